//! Files that are cut short or changed.

use super::super::Damage;
use super::*;
use std::fs;

const SHARD: &str = "shardId-000000000000";

/// A stream with two records, each in a frame of its own; and the length of its segment before the second.
async fn two_records() -> (World, PathBuf, usize) {
    let world = World::new();
    world.ok("CreateStream", create("orders", 1)).await;
    world.put("orders", "a", b"first").await;
    let segment = world.files("segment-").pop().unwrap();
    let before = fs::read(&segment).unwrap().len();
    world.put("orders", "b", b"second").await;
    (world, segment, before)
}

#[tokio::test]
async fn an_end_that_is_torn_at_any_byte_is_cut_off() {
    let (world, segment, before) = two_records().await;
    drop(world.kinesis);
    let whole = fs::read(&segment).unwrap();
    for length in before..=whole.len() {
        fs::write(&segment, &whole[..length]).unwrap();
        let kinesis = open(world.dir.path()).unwrap();
        let reopened = World { kinesis, dir: tempfile::tempdir().unwrap() };
        let records = reopened.records("orders", SHARD).await;
        assert_eq!(records.len(), if length == whole.len() { 2 } else { 1 }, "cut at byte {length}");
        let left = fs::read(&segment).unwrap();
        assert_eq!(left.len(), if length == whole.len() { length } else { before }, "cut at byte {length}");
        // What is written now lies where the torn end lay, and is read back.
        let put = reopened.put("orders", "c", b"third").await;
        drop(reopened.kinesis);
        let reopened = World { kinesis: open(world.dir.path()).unwrap(), dir: reopened.dir };
        let records = reopened.records("orders", SHARD).await;
        assert_eq!(records.last().unwrap()["SequenceNumber"], put["SequenceNumber"]);
    }
}

#[tokio::test]
async fn a_segment_that_died_at_birth_is_removed() {
    let world = World::new();
    world.ok("CreateStream", create("orders", 1)).await;
    drop(world.kinesis);
    for length in 0..super::super::frame::START_BYTES {
        let path = world.dir.path().join("kinesis/segment-x");
        fs::write(&path, &super::super::segment_start()[..length]).unwrap();
        fs::write(world.dir.path().join("kinesis/stream-y.part"), "half").unwrap();
        drop(open(world.dir.path()).unwrap());
        let left = (files(world.dir.path(), "segment-").len(), files(world.dir.path(), "stream-").len());
        assert_eq!(left, (0, 1), "{length} bytes");
    }
}

/// The error of opening the folder after `change` was done to the file, which is put right again.
fn refused(dir: &Path, file: &Path, change: impl FnOnce(&mut Vec<u8>)) -> Damage {
    let whole = fs::read(file).unwrap();
    let mut bytes = whole.clone();
    change(&mut bytes);
    fs::write(file, &bytes).unwrap();
    let broken = open(dir).unwrap_err();
    assert_eq!(broken.path, file);
    assert_eq!(fs::read(file).unwrap(), bytes, "a file that is refused is not touched");
    fs::write(file, whole).unwrap();
    broken.damage
}

#[tokio::test]
async fn a_changed_byte_anywhere_is_found_and_the_file_is_named() {
    let (world, segment, _) = two_records().await;
    let stream = world.files("stream-").pop().unwrap();
    drop(world.kinesis);
    for file in [segment, stream] {
        for position in 0..fs::read(&file).unwrap().len() {
            refused(world.dir.path(), &file, |bytes| bytes[position] ^= 1);
        }
    }
}

#[tokio::test]
async fn a_later_format_is_named_and_nothing_is_touched() {
    let (world, segment, _) = two_records().await;
    let stream = world.files("stream-").pop().unwrap();
    drop(world.kinesis);
    let damage = refused(world.dir.path(), &segment, |bytes| bytes[12] = 2);
    assert_eq!(damage.to_string(), "its format is 2, and this version reads format 1 only");
    let damage = refused(world.dir.path(), &stream, |bytes| bytes["alluvial-kinesis ".len()] = b'2');
    assert_eq!(damage.to_string(), "its format is 2, and this version reads format 1 only");
    let error = crate::server::StartError::from(Broken { path: segment.clone(), damage });
    let expected = format!("cannot open {}: move it away or give another --dir", segment.display());
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_missing_segment_is_no_silent_loss() {
    let (world, segment, _) = two_records().await;
    // The stream's file knows of the records.
    world.ok("AddTagsToStream", json!({ "StreamName": "orders", "Tags": { "a": "b" } })).await;
    drop(world.kinesis);
    fs::remove_file(segment).unwrap();
    let broken = open(world.dir.path()).unwrap_err();
    assert_eq!(broken.damage.to_string(), "records 1 to 2 of shard 0 of stream orders are in no segment, or in two");
    assert_eq!(broken.path, files(world.dir.path(), "stream-")[0]);
}
