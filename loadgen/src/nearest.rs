//! The known name that a mistyped one was most likely meant to be.

/// The name of `known` with the fewest typing errors between it and `given`; the first of equals.
/// Upper and lower case count as the same letter.
pub(crate) fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let given = given.to_ascii_lowercase();
    known.into_iter().min_by_key(|name| strsim::damerau_levenshtein(&given, &name.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_name() {
        let known = ["random.number", "random.uuid", "date.now"];
        assert_eq!(nearest("random.numbr", known), Some("random.number"));
        assert_eq!(nearest("Date.Now", known), Some("date.now"));
        assert_eq!(nearest("x", []), None);
    }
}
