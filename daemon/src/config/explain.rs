//! TOML errors, with the nearest name for one that is unknown.

/// The error as text: place, line, and "did you mean" where a name is close to one that exists.
pub(super) fn explain(error: &toml::de::Error) -> String {
    let text = error.to_string();
    let text = text.trim_end();
    match suggestion(error.message()) {
        Some(name) => format!("{text}\nhelp: did you mean `{name}`?"),
        None => text.to_owned(),
    }
}

/// The known name nearest to the unknown one, from a message such as
/// "unknown field `streem`, expected one of `stream`, `application`".
fn suggestion(message: &str) -> Option<&str> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let unknown = quoted.next().filter(|_| message.starts_with("unknown "))?;
    // Nearer than a rewrite of half the name.
    quoted
        .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
        .filter(|(distance, known)| *distance <= known.len().max(unknown.len()) / 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_and_a_far_one_is_not() {
        let message = "unknown field `streem`, expected one of `stream`, `application`, `start`";
        assert_eq!(suggestion(message), Some("stream"));
        assert_eq!(suggestion("unknown field `zzzzzz`, expected one of `stream`, `start`"), None);
        assert_eq!(suggestion("missing field `stream`"), None);
    }
}
