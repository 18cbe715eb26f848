//! Listing objects, with their ETags, by which a plan can later tell whether an object was replaced.

use super::store::Store;
use super::walk::{self, Page, Wanted};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use s3s::dto::*;
use s3s::{S3Error, S3Result, s3_error};
use std::fmt::Write as _;

/// The most keys that one call returns, whatever it asks for
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>).
const MAX_KEYS: i32 = 1_000;

impl Store {
    /// Lists a page of objects and common prefixes.
    pub(super) async fn list(&self, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
        let resume = input.continuation_token.as_deref().map(read_token).transpose()?;
        let after = resume.max(input.start_after.clone()).unwrap_or_default();
        let spelling = Spelling::of(input.encoding_type.as_ref())?;
        let page = self.page(&input, after).await?;
        Ok(ListObjectsV2Output {
            key_count: i32::try_from(page.objects.len() + page.groups.len()).ok(),
            max_keys: Some(max_keys(input.max_keys)),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.map(|last| URL_SAFE_NO_PAD.encode(last)),
            contents: spelling.objects(page.objects),
            common_prefixes: spelling.groups(page.groups),
            continuation_token: input.continuation_token,
            delimiter: input.delimiter.map(|text| spelling.spell(text)),
            prefix: input.prefix.map(|text| spelling.spell(text)),
            start_after: input.start_after.map(|text| spelling.spell(text)),
            encoding_type: input.encoding_type,
            name: Some(input.bucket),
            ..ListObjectsV2Output::default()
        })
    }

    /// The same by the first version of the call, which old clients use.
    pub(super) async fn list_first_version(&self, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
        let marker = input.marker.clone();
        let input = ListObjectsV2Input::from(input);
        let spelling = Spelling::of(input.encoding_type.as_ref())?;
        let page = self.page(&input, marker.clone().unwrap_or_default()).await?;
        let truncated = page.next.is_some();
        Ok(ListObjectsOutput {
            max_keys: Some(max_keys(input.max_keys)),
            is_truncated: Some(truncated),
            // Without a delimiter S3 leaves it out, and clients go on behind the last key.
            next_marker: page.next.filter(|_| input.delimiter.is_some()).map(|last| spelling.spell(last)),
            contents: spelling.objects(page.objects),
            common_prefixes: spelling.groups(page.groups),
            marker: marker.map(|text| spelling.spell(text)),
            delimiter: input.delimiter.map(|text| spelling.spell(text)),
            prefix: input.prefix.map(|text| spelling.spell(text)),
            encoding_type: input.encoding_type,
            name: Some(input.bucket),
            ..ListObjectsOutput::default()
        })
    }

    async fn page(&self, input: &ListObjectsV2Input, after: String) -> S3Result<Page> {
        self.require_bucket(&input.bucket).await?;
        let wanted = Wanted {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone().filter(|delimiter| !delimiter.is_empty()),
            after,
            most: usize::try_from(max_keys(input.max_keys)).unwrap_or_default(),
        };
        let (root, bucket) = (self.root().to_owned(), input.bucket.clone());
        match tokio::task::spawn_blocking(move || walk::page(&root, &bucket, &wanted)).await {
            Ok(page) => page.map_err(S3Error::internal_error),
            Err(error) => Err(S3Error::internal_error(error)),
        }
    }
}

/// How many keys a page may have.
fn max_keys(asked: Option<i32>) -> i32 {
    asked.map_or(MAX_KEYS, |asked| asked.clamp(0, MAX_KEYS))
}

/// The key or group that a continuation token stands for.
fn read_token(token: &str) -> S3Result<String> {
    let read = URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    read.ok_or_else(|| s3_error!(InvalidArgument, "The continuation token provided is incorrect"))
}

/// How keys are written in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Plain,
    /// Percent-encoded, for XML cannot hold every character of a key.
    Url,
}

impl Spelling {
    fn of(asked: Option<&EncodingType>) -> S3Result<Self> {
        match asked.map(EncodingType::as_str) {
            None => Ok(Self::Plain),
            Some(EncodingType::URL) => Ok(Self::Url),
            Some(_) => Err(s3_error!(InvalidArgument, "Invalid Encoding Method specified in Request")),
        }
    }

    fn spell(self, text: String) -> String {
        match self {
            Self::Plain => text,
            Self::Url => text.bytes().fold(String::with_capacity(text.len()), |mut spelled, byte| {
                if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
                    spelled.push(char::from(byte));
                } else {
                    // Writing to a String cannot fail.
                    write!(spelled, "%{byte:02X}").unwrap_or_default();
                }
                spelled
            }),
        }
    }

    fn objects(self, mut objects: Vec<Object>) -> Option<ObjectList> {
        for object in &mut objects {
            object.key = object.key.take().map(|key| self.spell(key));
        }
        (!objects.is_empty()).then_some(objects)
    }

    fn groups(self, groups: Vec<String>) -> Option<CommonPrefixList> {
        let groups: Vec<_> = groups.into_iter().map(|group| CommonPrefix { prefix: Some(self.spell(group)) }).collect();
        (!groups.is_empty()).then_some(groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_at_most_a_thousand_keys() {
        assert_eq!([None, Some(5_000), Some(7), Some(-1)].map(max_keys), [1_000, 1_000, 7, 0]);
    }

    #[test]
    fn a_key_is_encoded_as_the_documentation_shows() {
        let url = Spelling::of(Some(&EncodingType::from_static(EncodingType::URL))).expect("an encoding");
        assert_eq!(url.spell("test_file(3).png".to_owned()), "test_file%283%29.png");
        assert_eq!(url.spell("a/é \u{1}+".to_owned()), "a/%C3%A9%20%01%2B");
        Spelling::of(Some(&EncodingType::from_static("base64"))).expect_err("no encoding of S3");
    }

    #[test]
    fn a_token_that_was_never_given_out_is_refused() {
        assert_eq!(read_token(&URL_SAFE_NO_PAD.encode("a/é")).expect("a token"), "a/é");
        read_token("a/b c").expect_err("no token");
    }
}
