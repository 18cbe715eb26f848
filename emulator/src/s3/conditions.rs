//! `If-Match` and `If-None-Match`, for writes and for reads
//! (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html>).

use s3s::dto::{ETag, ETagCondition};
use s3s::{S3Result, s3_error};

/// What a request asks of the object as it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
}

impl Conditions {
    /// Whether there is anything to check.
    pub(super) fn is_empty(&self) -> bool {
        self.if_match.is_none() && self.if_none_match.is_none()
    }

    /// Whether a write may go ahead over the object with `current` as its ETag, or over none.
    ///
    /// # Errors
    /// `PreconditionFailed`, or `NoSuchKey` where `If-Match` meets no object.
    pub(super) fn allow_write(&self, current: Option<&ETag>) -> S3Result<()> {
        match (&self.if_match, current) {
            (Some(_), None) => return Err(s3_error!(NoSuchKey)),
            (Some(condition), Some(etag)) if !holds(condition, etag) => return Err(failed("If-Match")),
            _ => {}
        }
        match (&self.if_none_match, current) {
            (Some(condition), Some(etag)) if holds(condition, etag) => Err(failed("If-None-Match")),
            _ => Ok(()),
        }
    }

    /// Whether the object with `current` as its ETag is to be sent.
    ///
    /// # Errors
    /// `PreconditionFailed`, or `NotModified` where `If-None-Match` names the object that the caller has.
    pub(super) fn allow_read(&self, current: &ETag) -> S3Result<()> {
        if self.if_match.as_ref().is_some_and(|condition| !holds(condition, current)) {
            return Err(failed("If-Match"));
        }
        if self.if_none_match.as_ref().is_some_and(|condition| holds(condition, current)) {
            return Err(s3_error!(NotModified));
        }
        Ok(())
    }
}

fn holds(condition: &ETagCondition, etag: &ETag) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag.value(),
    }
}

fn failed(condition: &'static str) -> s3s::S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold: {condition}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use s3s::S3ErrorCode;

    fn etag(value: &str) -> ETag {
        ETag::Strong(value.to_owned())
    }

    fn code(result: S3Result<()>) -> Option<S3ErrorCode> {
        result.err().map(|error| error.code().clone())
    }

    #[test]
    fn create_only_meets_no_object() {
        let create = Conditions { if_none_match: Some(ETagCondition::Any), ..Conditions::default() };
        assert_eq!(code(create.allow_write(None)), None);
        assert_eq!(code(create.allow_write(Some(&etag("a")))), Some(S3ErrorCode::PreconditionFailed));
    }

    #[test]
    fn replace_only_meets_the_object_it_names() {
        let replace = Conditions { if_match: Some(ETagCondition::ETag(etag("a"))), ..Conditions::default() };
        assert_eq!(code(replace.allow_write(Some(&etag("a")))), None);
        assert_eq!(code(replace.allow_write(Some(&etag("b")))), Some(S3ErrorCode::PreconditionFailed));
        assert_eq!(code(replace.allow_write(None)), Some(S3ErrorCode::NoSuchKey));
    }

    #[test]
    fn a_reader_is_told_that_nothing_changed() {
        let read = Conditions { if_none_match: Some(ETagCondition::ETag(etag("a"))), ..Conditions::default() };
        assert_eq!(code(read.allow_read(&etag("a"))), Some(S3ErrorCode::NotModified));
        assert_eq!(code(read.allow_read(&etag("b"))), None);
    }
}
