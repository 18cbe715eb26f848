//! The name of a field, which may lie within others.

use crate::error::Error;
use std::fmt;
use std::str::FromStr;

/// A field of the rows, as in `user.country`. A backslash takes the dot (or any other character) after it as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldPath(Vec<Box<str>>);

impl FieldPath {
    /// The names of the fields within each other, from the row's own on. There is at least one.
    pub(crate) fn names(&self) -> &[Box<str>] {
        &self.0
    }

    /// The innermost field's name.
    pub(crate) fn last(&self) -> &str {
        self.0.last().map_or("", |name| name)
    }

    /// The name, where the field is one of the row itself.
    pub(crate) fn top_level(&self) -> Option<&str> {
        match self.0.as_slice() {
            [name] => Some(name),
            _ => None,
        }
    }
}

impl FromStr for FieldPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut names = Vec::new();
        let mut name = String::new();
        let mut characters = text.chars();
        while let Some(next) = characters.next() {
            match next {
                '\\' => match characters.next() {
                    Some(escaped) => name.push(escaped),
                    None => {
                        return Err(Error::Usage(format!("{text}: nothing follows the backslash; write \\\\ for one")));
                    }
                },
                '.' => names.push(std::mem::take(&mut name).into_boxed_str()),
                other => name.push(other),
            }
        }
        names.push(name.into_boxed_str());
        if names.iter().any(|name| name.is_empty()) {
            return Err(Error::Usage(format!("{text:?}: a field's name is missing; write field or outer.inner")));
        }
        Ok(Self(names))
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, name) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(".")?;
            }
            f.write_str(&name.replace('\\', "\\\\").replace('.', "\\."))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_separate_and_backslashes_take_what_follows_as_it_is() {
        let names = |text: &str| -> Vec<String> {
            let path: FieldPath = text.parse().expect("a path");
            assert_eq!(path.to_string().parse::<FieldPath>().expect("a path"), path);
            path.names().iter().map(ToString::to_string).collect()
        };
        assert_eq!(names("site"), ["site"]);
        assert_eq!(names("user.country"), ["user", "country"]);
        assert_eq!(names(r"a\.b.c\\"), ["a.b", r"c\"]);
        for bad in ["", ".a", "a..b", "a\\"] {
            assert!(bad.parse::<FieldPath>().is_err(), "{bad}");
        }
    }
}
