//! Listing objects. The file store finds them; this adds their ETags, by which a plan can later tell whether an object
//! was replaced.

use super::layout::Files;
use super::store::Store;
use s3s::dto::*;
use s3s::{S3 as _, S3Error, S3Request, S3Response, S3Result, s3_error};

/// The most keys that one call returns, whatever it asks for
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>).
const MAX_KEYS: i32 = 1_000;

impl Store {
    /// Lists a page of objects and common prefixes.
    pub(super) async fn list(
        &self,
        mut req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let bucket = req.input.bucket.clone();
        let input = &mut req.input;
        tidy(&mut input.delimiter, &mut input.encoding_type, &mut input.max_keys)?;
        let mut response = self.files().list_objects_v2(req).await?;
        self.add_etags(&bucket, &mut response.output.contents).await?;
        Ok(response)
    }

    /// The same by the first version of the call, which old clients use.
    pub(super) async fn list_first_version(
        &self,
        mut req: S3Request<ListObjectsInput>,
    ) -> S3Result<S3Response<ListObjectsOutput>> {
        let bucket = req.input.bucket.clone();
        let input = &mut req.input;
        tidy(&mut input.delimiter, &mut input.encoding_type, &mut input.max_keys)?;
        let mut response = self.files().list_objects(req).await?;
        self.add_etags(&bucket, &mut response.output.contents).await?;
        Ok(response)
    }

    /// Fills in the ETags that are stored. An object whose ETag must be computed, because a person put the file there
    /// or its name is too long for a sidecar, is listed without.
    async fn add_etags(&self, bucket: &str, contents: &mut Option<ObjectList>) -> S3Result<()> {
        let Some(mut objects) = contents.take() else { return Ok(()) };
        let (root, bucket) = (self.root().to_owned(), bucket.to_owned());
        let fill = move || {
            for object in &mut objects {
                if let Some(key) = &object.key {
                    object.e_tag = Files::of(&root, &bucket, key).stored_etag();
                }
            }
            objects
        };
        *contents = Some(tokio::task::spawn_blocking(fill).await.map_err(S3Error::internal_error)?);
        Ok(())
    }
}

/// Brings a request into the form that the file store reads rightly. It says that keys are URL-encoded when asked to
/// encode them, but does not, so it is not asked: keys are XML-escaped only, which every client reads as well.
fn tidy(
    delimiter: &mut Option<String>,
    encoding: &mut Option<EncodingType>,
    max_keys: &mut Option<i32>,
) -> S3Result<()> {
    *encoding = None;
    *max_keys = max_keys.map(|wanted| wanted.clamp(0, MAX_KEYS));
    match delimiter.as_deref().map(str::len) {
        Some(0) => *delimiter = None,
        Some(2..) => return Err(s3_error!(NotImplemented, "the emulator lists by delimiters of one ASCII character")),
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tidied(delimiter: &str, max_keys: i32) -> S3Result<(Option<String>, Option<i32>)> {
        let (mut delimiter, mut max_keys) = (Some(delimiter.to_owned()), Some(max_keys));
        tidy(&mut delimiter, &mut None, &mut max_keys)?;
        Ok((delimiter, max_keys))
    }

    #[test]
    fn a_page_has_at_most_a_thousand_keys() {
        assert_eq!(tidied("/", 5_000).expect("a request"), (Some("/".to_owned()), Some(1_000)));
        assert_eq!(tidied("/", -1).expect("a request"), (Some("/".to_owned()), Some(0)));
    }

    #[test]
    fn an_empty_delimiter_is_none() {
        assert_eq!(tidied("", 10).expect("a request"), (None, Some(10)));
    }

    #[test]
    fn long_delimiters_are_refused() {
        for delimiter in ["//", "é"] {
            tidied(delimiter, 10).expect_err(delimiter);
        }
    }
}
