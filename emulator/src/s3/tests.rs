//! The store below HTTP, where a test can leave in the middle of a call.

use super::*;
use futures_util::{StreamExt as _, poll};
use s3s::S3ErrorCode;
use s3s::dto::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use tokio::task::JoinSet;

const MIB: usize = 1024 * 1024;

async fn store() -> (TempDir, Store) {
    let root = tempfile::tempdir().expect("a folder");
    let store = Store::open(root.path()).expect("a store");
    store.make_bucket("lake").await.expect("a bucket");
    (root, store)
}

fn blob(bytes: Vec<u8>) -> Option<StreamingBlob> {
    Some(StreamingBlob::wrap(futures_util::stream::iter([Ok::<_, Infallible>(Bytes::from(bytes))])))
}

async fn put(store: &Store, key: &str, bytes: Vec<u8>) -> S3Result<()> {
    let content_length = i64::try_from(bytes.len()).ok();
    let (bucket, key) = ("lake".to_owned(), key.to_owned());
    let input = PutObjectInput { bucket, key, body: blob(bytes), content_length, ..PutObjectInput::default() };
    store.put_object(own_request(Method::PUT, input)).await.map(drop)
}

/// The pieces of the body.
async fn get(store: &Store, key: &str, range: Option<Range>) -> S3Result<Vec<Bytes>> {
    let (bucket, key) = ("lake".to_owned(), key.to_owned());
    let input = GetObjectInput { bucket, key, range, ..GetObjectInput::default() };
    let body = store.get_object(own_request(Method::GET, input)).await?.output.body.expect("a body");
    Ok(body.map(|piece| piece.expect("a piece")).collect().await)
}

#[tokio::test]
async fn a_body_has_the_bytes_of_its_range_in_large_pieces_and_then_ends() {
    let (_root, store) = store().await;
    let all: Vec<u8> = (0..3 * MIB).map(|index| (index % 251).to_le_bytes()[0]).collect();
    put(&store, "large", all.clone()).await.expect("a put");
    put(&store, "empty", Vec::new()).await.expect("a put");
    for (range, expected) in [
        (None, &all[..]),
        (Some(Range::Int { first: 5, last: Some(104) }), &all[5..105]),
        (Some(Range::Int { first: 1_000_000, last: Some(1_499_999) }), &all[1_000_000..1_500_000]),
        (Some(Range::Suffix { length: 10 }), &all[3 * MIB - 10..]),
    ] {
        let pieces = get(&store, "large", range).await.expect("a body");
        assert!(pieces.concat() == expected, "{range:?}");
        assert_eq!(pieces.len(), expected.len().div_ceil(128 * 1024), "{range:?}");
    }
    assert!(get(&store, "empty", None).await.expect("a body").is_empty());
}

async fn begin(store: &Store, key: &str) -> String {
    let (bucket, key) = ("lake".to_owned(), key.to_owned());
    let input = CreateMultipartUploadInput { bucket, key, ..CreateMultipartUploadInput::default() };
    let begun = store.create_multipart_upload(own_request(Method::POST, input)).await.expect("an upload");
    begun.output.upload_id.expect("an id")
}

async fn upload_part(store: &Store, key: &str, upload_id: &str, part_number: i32, bytes: Vec<u8>) {
    let (bucket, key, upload_id) = ("lake".to_owned(), key.to_owned(), upload_id.to_owned());
    let content_length = i64::try_from(bytes.len()).ok();
    let body = blob(bytes);
    let input =
        UploadPartInput { bucket, key, upload_id, part_number, body, content_length, ..UploadPartInput::default() };
    store.upload_part(own_request(Method::PUT, input)).await.expect("a part");
}

fn completion(key: &str, upload_id: &str, parts: i32) -> S3Request<CompleteMultipartUploadInput> {
    let parts = (1..=parts).map(|number| CompletedPart { part_number: Some(number), ..CompletedPart::default() });
    let input = CompleteMultipartUploadInput {
        bucket: "lake".to_owned(),
        key: key.to_owned(),
        upload_id: upload_id.to_owned(),
        multipart_upload: Some(CompletedMultipartUpload { parts: Some(parts.collect()) }),
        ..CompleteMultipartUploadInput::default()
    };
    own_request(Method::POST, input)
}

#[tokio::test]
async fn a_completion_whose_client_leaves_is_done_when_the_store_has_stopped() {
    let (root, store) = store().await;
    let id = begin(&store, "table").await;
    upload_part(&store, "table", &id, 1, vec![1; 5 * MIB]).await;
    upload_part(&store, "table", &id, 2, vec![2; 10]).await;
    let mut leaving = store.complete_multipart_upload(completion("table", &id, 2));
    assert!(poll!(leaving.as_mut()).is_pending());
    drop(leaving);
    store.stop().await;
    let found = std::fs::read(root.path().join("lake/table")).expect("the object");
    assert!(found == [vec![1; 5 * MIB], vec![2; 10]].concat());
    let again =
        store.complete_multipart_upload(completion("table", &id, 2)).await.expect_err("an upload that has ended");
    assert_eq!(again.code(), &S3ErrorCode::NoSuchUpload);
}

#[tokio::test]
async fn a_start_removes_the_parts_of_uploads_that_have_ended_and_no_others() {
    let (root, store) = store().await;
    let (ended, open) = (begin(&store, "ended").await, begin(&store, "open").await);
    for (key, id) in [("ended", &ended), ("open", &open)] {
        upload_part(&store, key, id, 1, b"part".to_vec()).await;
    }
    drop(store);
    // A completion begins with this. The process is killed behind it.
    std::fs::remove_file(root.path().join(format!(".upload-{ended}.json"))).expect("the upload's file");
    let store = Store::open(root.path()).expect("a store");
    let names = std::fs::read_dir(root.path()).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let names: Vec<_> = names.map(|name| name.into_string().expect("UTF-8")).collect();
    assert!(!names.iter().any(|name| name.contains(&ended)), "{names:?}");
    store.complete_multipart_upload(completion("open", &open, 1)).await.expect("an upload outlives a restart");
    assert_eq!(get(&store, "open", None).await.expect("the object").concat(), b"part");
}

#[tokio::test]
async fn a_listing_succeeds_while_objects_are_deleted_in_it() {
    let (root, store) = store().await;
    put(&store, "kept", Vec::new()).await.expect("a put");
    let stop = Arc::new(AtomicBool::new(false));
    let churn = {
        let (stop, folder) = (Arc::clone(&stop), root.path().join("lake"));
        tokio::task::spawn_blocking(move || {
            let names: Vec<_> = (0..50).map(|number| folder.join(format!("{number}/object"))).collect();
            while !stop.load(Ordering::Relaxed) {
                for name in &names {
                    std::fs::create_dir(name.parent().expect("a folder")).expect("a folder");
                    std::fs::write(name, "").expect("an object");
                }
                for name in &names {
                    std::fs::remove_file(name).expect("an object");
                    std::fs::remove_dir(name.parent().expect("a folder")).expect("a folder");
                }
            }
        })
    };
    let mut listed = Ok(ListObjectsV2Output::default());
    for _ in 0..300 {
        let input = ListObjectsV2Input { bucket: "lake".to_owned(), ..ListObjectsV2Input::default() };
        listed = store.list_objects_v2(own_request(Method::GET, input)).await.map(|response| response.output);
        if listed.is_err() {
            break;
        }
    }
    stop.store(true, Ordering::Relaxed);
    churn.await.expect("the deletes");
    let objects = listed.expect("a listing").contents.expect("objects");
    assert!(objects.iter().any(|object| object.key.as_deref() == Some("kept") && object.e_tag.is_some()));
}

#[tokio::test]
async fn a_key_is_free_again_once_every_object_below_it_is_gone() {
    let (_root, store) = store().await;
    for key in ["a/b/c/1", "a/b/2"] {
        put(&store, key, b"below".to_vec()).await.expect("a put");
    }
    for key in ["a/b/c/1", "a/b/2"] {
        let refused = put(&store, "a", b"object".to_vec()).await.expect_err("objects below");
        assert_eq!(refused.code(), &S3ErrorCode::InvalidArgument);
        store.delete("lake", key).await.expect("a delete");
    }
    put(&store, "a", b"object".to_vec()).await.expect("nothing is below");
    assert_eq!(get(&store, "a", None).await.expect("the object").concat(), b"object");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_of_a_key_and_of_keys_below_it_fail_in_no_other_way_than_by_refusal() {
    let (_root, store) = store().await;
    let mut writers = JoinSet::new();
    for key in ["a", "a/b", "a/b/c", "a/d"] {
        let store = store.clone();
        writers.spawn(async move {
            for _ in 0..100 {
                if let Err(error) = put(&store, key, b"x".to_vec()).await {
                    assert_eq!(error.code(), &S3ErrorCode::InvalidArgument, "{key}: {error}");
                }
                store.delete("lake", key).await.expect("a delete");
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.expect("a writer");
    }
}
