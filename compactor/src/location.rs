//! Where data lies: a local path, or a prefix in an S3 bucket.

use crate::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A folder of objects: a local path or `s3://bucket/prefix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// A folder, or one file, of this machine.
    Local(PathBuf),
    /// All keys of `bucket` below `prefix/`, or all keys where `prefix` is empty.
    S3 {
        /// The bucket's name.
        bucket: String,
        /// Without slashes at either end.
        prefix: String,
    },
}

impl Location {
    /// Whether an S3 client is needed to reach it.
    pub fn is_s3(&self) -> bool {
        matches!(self, Self::S3 { .. })
    }

    /// Whether `self` is `other` or lies below it.
    ///
    /// Local paths are compared after following links, as far as the folders exist.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Local(inner), Self::Local(outer)) => resolve(inner).starts_with(resolve(outer)),
            (Self::S3 { bucket, prefix }, Self::S3 { bucket: outer_bucket, prefix: outer }) => {
                bucket == outer_bucket
                    && (outer.is_empty()
                        || prefix
                            .strip_prefix(outer.as_str())
                            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
            }
            _ => false,
        }
    }
}

/// The path without links, where its longest existing part allows.
pub(crate) fn resolve(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for ancestor in absolute.ancestors() {
        if let Ok(real) = ancestor.canonicalize() {
            return match absolute.strip_prefix(ancestor) {
                Ok(rest) if rest.as_os_str().is_empty() => real,
                Ok(rest) => real.join(rest),
                Err(_) => absolute.clone(),
            };
        }
    }
    absolute
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(rest) = text.strip_prefix("s3://") {
            let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            if bucket.is_empty() {
                return Err(Error::Usage(format!("{text}: the bucket is missing; write s3://bucket/prefix")));
            }
            return Ok(Self::S3 { bucket: bucket.to_owned(), prefix: prefix.trim_matches('/').to_owned() });
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(Error::Usage(format!("{text}: {scheme}:// is not known; write s3://bucket/prefix or a path")));
        }
        if text.is_empty() {
            return Err(Error::Usage("an empty path; write s3://bucket/prefix or a path".to_owned()));
        }
        Ok(Self::Local(PathBuf::from(text)))
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(f, "{}", path.display()),
            Self::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Self::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Location {
        text.parse().expect("a location")
    }

    #[test]
    fn s3_urls_and_paths_are_told_apart_and_print_as_given() {
        assert_eq!(at("s3://lake/raw/"), Location::S3 { bucket: "lake".into(), prefix: "raw".into() });
        assert_eq!(at("s3://lake").to_string(), "s3://lake");
        assert_eq!(at("data/raw"), Location::Local("data/raw".into()));
        for bad in ["s3://", "gs://lake/raw", ""] {
            assert!(bad.parse::<Location>().is_err(), "{bad}");
        }
    }

    #[test]
    fn within_compares_whole_segments() {
        assert!(at("s3://lake/raw/parquet").is_within(&at("s3://lake/raw")));
        assert!(at("s3://lake/raw").is_within(&at("s3://lake")));
        assert!(!at("s3://lake/raw2").is_within(&at("s3://lake/raw")));
        assert!(!at("s3://other/raw").is_within(&at("s3://lake/raw")));
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().to_string_lossy().into_owned();
        assert!(at(&format!("{root}/a/../a/b")).is_within(&at(&root)));
        assert!(!at(&root).is_within(&at(&format!("{root}/a"))));
    }
}
