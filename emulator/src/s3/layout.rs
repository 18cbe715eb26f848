//! Where `s3s-fs` 0.14 puts an object and its two sidecar files, and which keys a folder can hold.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use md5::{Digest as _, Md5};
use s3s::dto::ETag;
use s3s::{S3Result, s3_error};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use uuid::Uuid;

/// The bucket of writes in flight. No bucket of a client can have this name, for a name begins with a letter or digit.
pub(super) const STAGING: &str = ".staging";

/// The longest file name that Linux and macOS file systems take, in bytes.
const MAX_NAME_BYTES: usize = 255;

/// The longest key, in bytes of UTF-8 (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>).
const MAX_KEY_BYTES: usize = 1024;

/// The files of one object.
#[derive(Debug, Clone)]
pub(super) struct Files {
    /// The object's bytes.
    pub(super) data: PathBuf,
    /// Headers and user metadata; `None` if bucket and key are too long for the sidecar's file name.
    pub(super) attributes: Option<PathBuf>,
    /// ETag and checksums; `None` likewise, and the ETag is then the MD5 of the bytes.
    pub(super) info: Option<PathBuf>,
}

impl Files {
    /// The files of `key` in `bucket` under `root`. The key must have passed [`check_key`].
    pub(super) fn of(root: &Path, bucket: &str, key: &str) -> Self {
        let sidecar = |ending: &str| {
            let name =
                format!(".bucket-{}.object-{}{ending}", URL_SAFE_NO_PAD.encode(bucket), URL_SAFE_NO_PAD.encode(key));
            (name.len() <= MAX_NAME_BYTES).then(|| root.join(name))
        };
        Self {
            data: root.join(bucket).join(key),
            attributes: sidecar(".metadata.json"),
            info: sidecar(".internal.json"),
        }
    }

    /// The ETag that was stored with the object; `None` if there is no sidecar.
    pub(super) fn stored_etag(&self) -> Option<ETag> {
        let info: serde_json::Value = serde_json::from_slice(&fs::read(self.info.as_ref()?).ok()?).ok()?;
        Some(ETag::Strong(info.get("e_tag")?.as_str()?.to_owned()))
    }

    /// The object's ETag, by reading all of it if none was stored; `None` if there is no object.
    pub(super) fn etag(&self) -> io::Result<Option<ETag>> {
        if !self.data.is_file() {
            return Ok(None);
        }
        if let Some(etag) = self.stored_etag() {
            return Ok(Some(etag));
        }
        let mut file = fs::File::open(&self.data)?;
        let (mut digest, mut buffer) = (Md5::new(), vec![0; 64 * 1024]);
        loop {
            let length = file.read(&mut buffer)?;
            let Some(read) = buffer.get(..length).filter(|read| !read.is_empty()) else { break };
            digest.update(read);
        }
        Ok(Some(ETag::Strong(hex(&digest.finalize()))))
    }

    /// Removes what there is of the object: the bytes first, so that no reader finds them with half of their sidecars.
    pub(super) fn remove(&self) -> io::Result<()> {
        remove_if_there(&self.data)?;
        for sidecar in [&self.info, &self.attributes].into_iter().flatten() {
            remove_if_there(sidecar)?;
        }
        Ok(())
    }
}

/// The file that exists as long as the multipart upload `id`, begun for the object `name` in [`STAGING`], has not
/// ended.
pub(super) fn upload_marker(root: &Path, name: &str, id: Uuid) -> PathBuf {
    let (bucket, key) = (URL_SAFE_NO_PAD.encode(STAGING), URL_SAFE_NO_PAD.encode(name));
    root.join(format!(".bucket-{bucket}.object-{key}.upload-{id}.metadata.json"))
}

/// The file store's file that exists as long as the multipart upload `id` has not ended. It is the first to go.
pub(super) fn upload_record(root: &Path, id: Uuid) -> PathBuf {
    root.join(format!(".upload-{id}.json"))
}

/// The multipart upload that a file of this name in the root belongs to: `.upload_id-….part-…` or an
/// [`upload_marker`].
pub(super) fn upload_of(name: &str) -> Option<Uuid> {
    // The names of buckets have no dot in front, and base64 has none inside.
    let marker = || Some(name.strip_prefix(".bucket-")?.split_once(".upload-")?.1);
    let (id, _) = name.strip_prefix(".upload_id-").or_else(marker)?.split_once('.')?;
    Uuid::parse_str(id).ok()
}

/// Whether a file of this name is a sidecar of a write in flight. Those of open multipart uploads are not: an upload may
/// go on after a restart.
pub(super) fn is_staged_sidecar(name: &str) -> bool {
    let of_staging = format!(".bucket-{}.object-", URL_SAFE_NO_PAD.encode(STAGING));
    name.starts_with(&of_staging) && !name.contains(".upload-")
}

/// Removes a file, or does nothing if it is not there.
pub(super) fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A file name for a key of any length.
pub(super) fn digest_name(bucket: &str, key: &str) -> String {
    hex(&Md5::new().chain_update(bucket).chain_update("/").chain_update(key).finalize())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

/// Refuses a key that a folder cannot hold under its own name. S3 takes such keys; the emulator says so instead of
/// storing the object under another one.
pub(super) fn check_key(key: &str) -> S3Result<()> {
    if key.len() > MAX_KEY_BYTES {
        return Err(s3_error!(KeyTooLongError));
    }
    let name = key.strip_suffix('/').unwrap_or(key);
    let bad = name.split('/').any(|part| matches!(part, "" | "." | "..") || part.len() > MAX_NAME_BYTES);
    if bad || key.contains('\0') {
        return Err(s3_error!(
            InvalidArgument,
            "the emulator keeps objects as files: each part of a key between slashes must have 1 to {MAX_NAME_BYTES} bytes and be neither . nor .., which {key:?} does not keep to"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_are_paths_are_taken() {
        for key in ["a", "a/b.c/d", "dt=2026-11-23/hour=05/part-00000.parquet", "folder/", "..a/b.."] {
            check_key(key).unwrap_or_else(|error| panic!("{key:?}: {error}"));
        }
    }

    #[test]
    fn keys_that_a_folder_cannot_hold_are_refused() {
        let long = "x".repeat(256);
        for key in ["/a", "a//b", "..", "a/../b", "./a", "a\0b", "a//", &long] {
            check_key(key).expect_err(key);
        }
    }

    #[test]
    fn a_sidecar_name_never_passes_what_the_file_system_takes() {
        for length in [1, 100, 150, 160, 200, 1000] {
            let files = Files::of(Path::new("/root"), "bucket", &"k".repeat(length));
            for sidecar in [files.info, files.attributes].into_iter().flatten() {
                let name = sidecar.file_name().expect("a name");
                assert!(name.len() <= MAX_NAME_BYTES, "{length}: {}", name.len());
            }
        }
    }

    #[test]
    fn only_writes_in_flight_are_swept() {
        let root = Path::new("/root");
        let swept = |path: &Path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_staged_sidecar);
        assert!(swept(&Files::of(root, STAGING, "key").info.expect("a sidecar")));
        assert!(swept(&Files::of(root, STAGING, "key").attributes.expect("a sidecar")));
        assert!(!swept(&upload_marker(root, "key", Uuid::nil())));
        assert!(!swept(&Files::of(root, "bucket", "key").info.expect("a sidecar")));
    }

    #[test]
    fn the_etag_without_a_sidecar_is_the_md5_of_the_bytes() {
        let root = tempfile::tempdir().expect("a folder");
        let files = Files::of(root.path(), "bucket", "key");
        assert_eq!(files.etag().expect("a reading"), None);
        fs::create_dir(root.path().join("bucket")).expect("a bucket");
        fs::write(&files.data, "hello").expect("an object");
        let expected = ETag::Strong("5d41402abc4b2a76b9719d911017c592".to_owned());
        assert_eq!(files.etag().expect("a reading"), Some(expected));
    }
}
