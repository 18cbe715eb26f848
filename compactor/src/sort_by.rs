//! What the rows of a file are sorted by, as it is asked for.

use crate::error::Error;
use crate::field_path::FieldPath;
use std::fmt;
use std::str::FromStr;

/// A field that rows are sorted by. Written `FIELD`, or `FIELD:desc` for the largest first. Nulls come last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortBy {
    pub(crate) path: FieldPath,
    pub(crate) descending: bool,
}

impl FromStr for SortBy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (field, descending) = match text.rsplit_once(':').filter(|(field, _)| !field.ends_with('\\')) {
            None => (text, false),
            Some((field, "asc")) => (field, false),
            Some((field, "desc")) => (field, true),
            Some((_, other)) => {
                return Err(Error::Usage(format!("{text}: {other:?} is no order; write FIELD:asc or FIELD:desc")));
            }
        };
        Ok(Self { path: field.parse()?, descending })
    }
}

impl fmt::Display for SortBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.to_string().replace(':', "\\:");
        write!(f, "{path}{}", if self.descending { ":desc" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_read_back() {
        for (text, descending) in [("a", false), ("a.b:desc", true), (r"a\:desc", false), ("a:asc", false)] {
            let by: SortBy = text.parse().expect(text);
            assert_eq!(by.descending, descending, "{text}");
            assert_eq!(by.to_string().parse::<SortBy>().expect(text), by);
        }
        assert!("a:up".parse::<SortBy>().is_err());
    }
}
