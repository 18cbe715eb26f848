//! S3 through the SDK, over TLS and HTTP/2.

use crate::world::{World, http_client};
use aws_credential_types::Credentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Region};
use aws_sdk_s3::error::ProvideErrorMetadata;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart, Delete, EncodingType, ObjectIdentifier};
use std::path::Path;
use tokio::task::JoinSet;

const MIB: usize = 1024 * 1024;

async fn put(s3: &Client, key: &str, body: &[u8]) -> String {
    let put = s3.put_object().bucket("lake").key(key).body(ByteStream::from(body.to_vec())).send().await;
    put.expect("a put").e_tag.expect("an ETag")
}

async fn get(s3: &Client, key: &str) -> Vec<u8> {
    let got = s3.get_object().bucket("lake").key(key).send().await.expect("an object");
    got.body.collect().await.expect("a body with the right checksum").to_vec()
}

async fn get_range(s3: &Client, key: &str, range: &str) -> Vec<u8> {
    let got = s3.get_object().bucket("lake").key(key).range(range).send().await.expect("a range");
    got.body.collect().await.expect("a body").to_vec()
}

async fn keys(s3: &Client, prefix: &str) -> Vec<String> {
    let listed = s3.list_objects_v2().bucket("lake").prefix(prefix).send().await.expect("a listing");
    listed.contents().iter().filter_map(|object| object.key.clone()).collect()
}

fn code(error: &impl ProvideErrorMetadata) -> &str {
    error.code().unwrap_or_default()
}

/// Every name in the bucket's folder, which must be the keys and nothing else.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn an_object_comes_back_as_it_was_put() {
    let world = World::start().await;
    let s3 = world.s3_with_bucket().await;
    let body: Vec<u8> = (0..3 * MIB).map(|index| (index % 251).to_le_bytes()[0]).collect();
    let put = s3.put_object().bucket("lake").key("raw/2026/object").metadata("rows", "7").content_type("text/csv");
    let etag = put.body(ByteStream::from(body.clone())).send().await.expect("a put").e_tag;

    assert!(get(&s3, "raw/2026/object").await == body);
    let head = s3.head_object().bucket("lake").key("raw/2026/object").send().await.expect("a head");
    assert_eq!(head.e_tag, etag);
    assert_eq!(head.content_length, i64::try_from(body.len()).ok());
    assert_eq!(head.content_type.as_deref(), Some("text/csv"));
    assert_eq!(head.metadata.and_then(|metadata| metadata.get("rows").cloned()).as_deref(), Some("7"));
    assert!(std::fs::read(world.dir.path().join("s3/lake/raw/2026/object")).expect("the raw bytes") == body);
    assert_eq!(names(&world.dir.path().join("s3/lake")), ["raw"]);
    world.emulator.stop().await;
}

#[tokio::test]
async fn ranges_are_parts_of_the_object() {
    let world = World::start().await;
    let s3 = world.s3_with_bucket().await;
    put(&s3, "digits", b"0123456789").await;
    assert_eq!(get_range(&s3, "digits", "bytes=2-4").await, b"234");
    assert_eq!(get_range(&s3, "digits", "bytes=8-").await, b"89");
    assert_eq!(get_range(&s3, "digits", "bytes=-3").await, b"789");
    assert_eq!(get_range(&s3, "digits", "bytes=-99").await, b"0123456789");
    let past = s3.get_object().bucket("lake").key("digits").range("bytes=10-").send().await.expect_err("past the end");
    assert_eq!(code(&past), "InvalidRange");
    world.emulator.stop().await;
}

/// The SDK's HTTP/2 (h2 0.4.16 and later) closes a connection that brought 100 empty DATA frames, with
/// ENHANCE_YOUR_CALM and the debug data `too_many_data_frames`.
#[tokio::test]
async fn large_bodies_and_small_ranges_over_http2_bring_no_too_many_data_frames() {
    let world = World::start().await;
    let s3 = world.s3_with_bucket().await;
    let body: Vec<u8> = (0..30 * MIB).map(|index| (index % 251).to_le_bytes()[0]).collect();
    put(&s3, "large", &body).await;
    assert!(get(&s3, "large").await == body);
    for first in [0, 5, 20 * MIB] {
        let range = format!("bytes={first}-{}", first + 99);
        assert!(get_range(&s3, "large", &range).await == body[first..first + 100], "{range}");
    }
    world.emulator.stop().await;
}

#[tokio::test]
async fn listings_have_pages_prefixes_and_etags() {
    let world = World::start().await;
    let s3 = world.s3_with_bucket().await;
    let mut etags = Vec::new();
    for key in ["a/1", "a/2", "a/dt=2026-11-23/x y+z", "b", "c"] {
        etags.push(put(&s3, key, key.as_bytes()).await);
    }
    let top = s3.list_objects_v2().bucket("lake").delimiter("/").send().await.expect("a listing");
    let prefixes: Vec<_> = top.common_prefixes().iter().filter_map(|prefix| prefix.prefix()).collect();
    assert_eq!(prefixes, ["a/"]);
    assert_eq!(top.contents().iter().filter_map(|object| object.key()).collect::<Vec<_>>(), ["b", "c"]);

    let mut pages = s3.list_objects_v2().bucket("lake").max_keys(2).into_paginator().send();
    let (mut seen, mut sizes) = (Vec::new(), Vec::new());
    while let Some(page) = pages.next().await {
        let page = page.expect("a page");
        sizes.push(page.contents().len());
        seen.extend(page.contents().iter().map(|object| {
            (object.key().unwrap_or_default().to_owned(), object.e_tag().unwrap_or_default().to_owned())
        }));
    }
    assert_eq!(sizes, [2, 2, 1]);
    let expected: Vec<_> =
        ["a/1", "a/2", "a/dt=2026-11-23/x y+z", "b", "c"].into_iter().map(str::to_owned).zip(etags).collect();
    assert_eq!(seen, expected);
    assert_eq!(keys(&s3, "a/dt=").await, ["a/dt=2026-11-23/x y+z"]);

    let encoded =
        s3.list_objects_v2().bucket("lake").prefix("a/dt=").delimiter("-11-").encoding_type(EncodingType::Url);
    let encoded = encoded.send().await.expect("a listing");
    let prefixes: Vec<_> = encoded.common_prefixes().iter().filter_map(|prefix| prefix.prefix()).collect();
    assert_eq!((prefixes, encoded.prefix()), (vec!["a/dt%3D2026-11-"], Some("a/dt%3D")));
    let first = s3.list_objects().bucket("lake").delimiter("/").max_keys(2).send().await.expect("a listing");
    assert_eq!((first.is_truncated(), first.next_marker()), (Some(true), Some("b")));
    let rest = s3.list_objects().bucket("lake").delimiter("/").marker("b").send().await.expect("a listing");
    assert_eq!(rest.contents().iter().filter_map(|object| object.key()).collect::<Vec<_>>(), ["c"]);
    world.emulator.stop().await;
}

#[tokio::test]
async fn of_many_who_create_the_same_object_one_succeeds() {
    let world = World::start().await;
    let s3 = world.s3_with_bucket().await;
    let mut writers = JoinSet::new();
    for writer in 0_u8..8 {
        let put = s3.put_object().bucket("lake").key("_SUCCESS").if_none_match("*");
        writers.spawn(async move { (writer, put.body(ByteStream::from(vec![writer; 1000])).send().await) });
    }
    let mut winners = Vec::new();
    while let Some(done) = writers.join_next().await {
        match done.expect("a writer") {
            (writer, Ok(_)) => winners.push(writer),
            (_, Err(error)) => assert_eq!(code(&error), "PreconditionFailed"),
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(get(&s3, "_SUCCESS").await, vec![winners[0]; 1000]);
    world.emulator.stop().await;
}

#[tokio::test]
async fn readers_see_the_old_object_or_the_new_one() {
    let world = World::start().await;
    let s3 = world.s3_with_bucket().await;
    put(&s3, "replaced", &[0; 100_000]).await;
    let mut readers = JoinSet::new();
    for _ in 0..4 {
        let s3 = s3.clone();
        readers.spawn(async move {
            let mut seen = 0;
            while seen < 20 {
                let body = get(&s3, "replaced").await;
                let first = body.first().copied().expect("bytes");
                assert!(first >= seen && body.iter().all(|byte| *byte == first), "a mixture of versions");
                assert_eq!(body.len(), 100_000);
                seen = first;
            }
        });
    }
    for version in 1..=20 {
        put(&s3, "replaced", &[version; 100_000]).await;
    }
    while let Some(done) = readers.join_next().await {
        done.expect("a reader");
    }
    world.emulator.stop().await;
}

#[tokio::test]
async fn a_reader_that_has_the_object_is_told_so() {
    let world = World::start().await;
    let s3 = world.s3_with_bucket().await;
    let etag = put(&s3, "same", b"x").await;
    let again = s3.get_object().bucket("lake").key("same").if_none_match(&etag).send().await.expect_err("not modified");
    assert_eq!(again.raw_response().map(|response| response.status().as_u16()), Some(304));
    let other =
        s3.get_object().bucket("lake").key("same").if_match("\"other\"").send().await.expect_err("another object");
    assert_eq!(code(&other), "PreconditionFailed");
    world.emulator.stop().await;
}

#[tokio::test]
async fn objects_pass_through_the_plaintext_port() {
    let world = World::start().await;
    world.s3_with_bucket().await;
    let s3 = world.s3_at(world.emulator.plain_endpoint());
    let body = vec![7; 2 * MIB];
    put(&s3, "plain", &body).await;
    assert!(get(&s3, "plain").await == body);
    world.emulator.stop().await;
}

#[tokio::test]
async fn an_upload_with_a_wrong_checksum_changes_nothing() {
    let world = World::start().await;
    let s3 = world.s3_with_bucket().await;
    put(&s3, "kept", b"old").await;
    for key in ["kept", "new"] {
        let put =
            s3.put_object().bucket("lake").key(key).checksum_crc32("AAAAAA==").body(ByteStream::from_static(b"bad"));
        put.send().await.expect_err("a wrong checksum");
    }
    assert_eq!(get(&s3, "kept").await, b"old");
    assert_eq!(keys(&s3, "").await, ["kept"]);
    assert_eq!(names(&world.dir.path().join("s3/.staging")), [""; 0]);
    world.emulator.stop().await;
}

#[tokio::test]
async fn what_does_not_exist_is_named_as_aws_names_it() {
    let world = World::start().await;
    let s3 = world.s3_with_bucket().await;
    put(&s3, "folder/object", b"x").await;
    for key in ["missing", "folder", "folder/object/below", "a//b"] {
        let error = s3.get_object().bucket("lake").key(key).send().await.expect_err(key);
        assert_eq!(code(&error), "NoSuchKey", "{key}");
        let error = s3.head_object().bucket("lake").key(key).send().await.expect_err(key);
        let error = error.into_service_error();
        assert!(error.is_not_found(), "{key}: {error:?}");
    }
    let body = || ByteStream::from_static(b"x");
    let error = s3.put_object().bucket("nowhere").key("k").body(body()).send().await.expect_err("no bucket");
    assert_eq!(code(&error), "NoSuchBucket");
    let error = s3.get_object().bucket("nowhere").key("k").send().await.expect_err("no bucket");
    assert_eq!(code(&error), "NoSuchBucket");
    for key in ["folder", "folder/object/below"] {
        let error = s3.put_object().bucket("lake").key(key).body(body()).send().await.expect_err(key);
        assert_eq!(code(&error), "InvalidArgument", "{key}");
    }
    assert_eq!(get(&s3, "folder/object").await, b"x");
    world.emulator.stop().await;
}

#[tokio::test]
async fn deleting_removes_objects_and_then_the_bucket() {
    let world = World::start().await;
    let s3 = world.s3_with_bucket().await;
    s3.create_bucket().bucket("lake").send().await.expect("one's own bucket again");
    for key in ["a/1", "a/2", "b"] {
        put(&s3, key, b"x").await;
    }
    let error = s3.delete_bucket().bucket("lake").send().await.expect_err("objects inside");
    assert_eq!(code(&error), "BucketNotEmpty");

    s3.delete_object().bucket("lake").key("b").send().await.expect("a delete");
    s3.delete_object().bucket("lake").key("b").send().await.expect("a delete of nothing");
    let objects =
        ["a/1", "a/2", "a", "missing"].map(|key| ObjectIdentifier::builder().key(key).build().expect("a key"));
    let delete = Delete::builder().set_objects(Some(objects.to_vec())).build().expect("a list");
    let deleted = s3.delete_objects().bucket("lake").delete(delete).send().await.expect("deletes");
    assert_eq!((deleted.deleted().len(), deleted.errors().len()), (4, 0));
    assert_eq!(keys(&s3, "").await, [""; 0]);
    s3.delete_bucket().bucket("lake").send().await.expect("an empty bucket");
    s3.head_bucket().bucket("lake").send().await.expect_err("no bucket");
    assert_eq!(names(&world.dir.path().join("s3")), [".staging"], "no sidecar is left");
    world.emulator.stop().await;
}

#[tokio::test]
async fn a_copy_has_the_bytes_and_headers_of_its_source() {
    let world = World::start().await;
    let s3 = world.s3_with_bucket().await;
    let put = s3.put_object().bucket("lake").key("from").content_type("text/csv").body(ByteStream::from_static(b"1,2"));
    let etag = put.send().await.expect("a put").e_tag;
    s3.copy_object().bucket("lake").key("to/here").copy_source("lake/from").send().await.expect("a copy");
    assert_eq!(get(&s3, "to/here").await, b"1,2");
    let head = s3.head_object().bucket("lake").key("to/here").send().await.expect("a head");
    assert_eq!((head.e_tag, head.content_type.as_deref()), (etag, Some("text/csv")));
    world.emulator.stop().await;
}

#[tokio::test]
async fn keys_longer_than_a_file_name_are_kept() {
    let world = World::start().await;
    let s3 = world.s3_with_bucket().await;
    let key = format!("table/{}part.parquet", "column=value-of-some-length/".repeat(30));
    let etag = put(&s3, &key, b"PAR1").await;
    assert_eq!(get(&s3, &key).await, b"PAR1");
    let head = s3.head_object().bucket("lake").key(&key).send().await.expect("a head");
    assert_eq!(head.e_tag, Some(etag));
    assert_eq!(keys(&s3, "table/").await, [key]);
    assert_eq!(names(&world.dir.path().join("s3/.staging")), [""; 0]);
    world.emulator.stop().await;
}

#[tokio::test]
async fn only_the_test_credentials_are_taken() {
    let world = World::start().await;
    for (access, secret, expected) in
        [("test", "wrong", "SignatureDoesNotMatch"), ("other", "test", "InvalidAccessKeyId")]
    {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new(access, secret, None, None, "test"))
            .endpoint_url(world.emulator.endpoint())
            .http_client(http_client(world.emulator.ca_bundle()))
            .build();
        let error = Client::from_conf(config).list_buckets().send().await.expect_err(expected);
        assert_eq!(code(&error), expected);
    }
    world.emulator.stop().await;
}

async fn upload_part(s3: &Client, key: &str, id: &str, number: i32, body: Vec<u8>) -> CompletedPart {
    let part = s3.upload_part().bucket("lake").key(key).upload_id(id).part_number(number);
    let etag = part.body(ByteStream::from(body)).send().await.expect("a part").e_tag;
    CompletedPart::builder().part_number(number).set_e_tag(etag).build()
}

fn completed(parts: &[CompletedPart]) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build()
}

#[tokio::test]
async fn a_multipart_upload_replaces_an_object_at_once() {
    let world = World::start().await;
    let s3 = world.s3_with_bucket().await;
    put(&s3, "table", b"small, with a checksum of its own").await;
    let begun = s3.create_multipart_upload().bucket("lake").key("table").content_type("text/csv").send().await;
    let id = begun.expect("an upload").upload_id.expect("an id");
    let first = upload_part(&s3, "table", &id, 1, vec![1; 5 * MIB]).await;
    let second = upload_part(&s3, "table", &id, 2, vec![2; 10]).await;
    assert_eq!(get(&s3, "table").await, b"small, with a checksum of its own");

    let complete = |parts: &[CompletedPart]| {
        let upload = completed(parts);
        s3.complete_multipart_upload().bucket("lake").key("table").upload_id(&id).multipart_upload(upload).send()
    };
    let absent = CompletedPart::builder().part_number(3).e_tag("\"x\"").build();
    let error = complete(&[first.clone(), second.clone(), absent]).await.expect_err("a part that was not uploaded");
    assert_eq!(code(&error), "InvalidPart");
    let done = complete(&[first.clone(), second.clone()]).await.expect("the upload outlives a wrong completion");
    assert!(done.e_tag().is_some_and(|etag| etag.ends_with("-2\"")), "{:?}", done.e_tag());
    assert_eq!((done.bucket(), done.key()), (Some("lake"), Some("table")));

    let mut expected = vec![1; 5 * MIB];
    expected.extend([2; 10]);
    assert!(get(&s3, "table").await == expected);
    let head = s3.head_object().bucket("lake").key("table").send().await.expect("a head");
    assert_eq!((head.e_tag(), head.content_type()), (done.e_tag(), Some("text/csv")));
    let error = complete(&[first]).await.expect_err("an upload that has ended");
    assert_eq!(code(&error), "NoSuchUpload");
    world.emulator.stop().await;
}

#[tokio::test]
async fn an_upload_that_may_only_create_leaves_an_object_alone() {
    let world = World::start().await;
    let s3 = world.s3_with_bucket().await;
    let begun = s3.create_multipart_upload().bucket("lake").key("once").send().await.expect("an upload");
    let id = begun.upload_id.expect("an id");
    let part = upload_part(&s3, "once", &id, 1, b"late".to_vec()).await;
    put(&s3, "once", b"first").await;
    let complete = s3.complete_multipart_upload().bucket("lake").key("once").upload_id(&id).if_none_match("*");
    let error = complete.multipart_upload(completed(&[part])).send().await.expect_err("an object is there");
    assert_eq!(code(&error), "PreconditionFailed");
    s3.abort_multipart_upload().bucket("lake").key("once").upload_id(&id).send().await.expect("an abort");
    assert_eq!(get(&s3, "once").await, b"first");
    let left: Vec<_> = names(&world.dir.path().join("s3")).into_iter().filter(|name| name.contains("upload")).collect();
    assert_eq!(left, [""; 0]);
    world.emulator.stop().await;
}
