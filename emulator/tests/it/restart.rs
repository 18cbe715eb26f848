//! What outlives the process, and what stopping writes.

use crate::dynamodb::{create_leases, owner_of, text};
use crate::firehose;
use crate::world::World;
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::Record;
use aws_sdk_s3::primitives::ByteStream;

#[tokio::test]
async fn s3_and_dynamodb_keep_their_data_and_the_ca_is_new() {
    let world = World::start().await;
    let old_ca = std::fs::read(world.emulator.ca_bundle()).expect("ca.pem");
    let s3 = world.s3_with_bucket().await;
    s3.put_object().bucket("lake").key("a/b").body(ByteStream::from_static(b"kept")).send().await.expect("a put");
    let dynamodb = world.dynamodb();
    create_leases(&dynamodb).await;
    let put = dynamodb.put_item().table_name("leases").item("leaseKey", text("shard-0"));
    put.item("leaseOwner", text("a")).send().await.expect("a put");

    let world = world.restart().await;

    assert_eq!(owner_of(&world.dynamodb(), "shard-0").await.as_deref(), Some("a"));
    let put = world.dynamodb().put_item().table_name("leases").item("leaseKey", text("shard-0"));
    let error = put.condition_expression("attribute_not_exists(leaseKey)").send().await.expect_err("the item is there");
    assert!(error.into_service_error().is_conditional_check_failed_exception());
    let got = world.s3().get_object().bucket("lake").key("a/b").send().await.expect("an object");
    assert_eq!(got.body.collect().await.expect("a body").to_vec(), b"kept");
    assert_ne!(std::fs::read(world.emulator.ca_bundle()).expect("ca.pem"), old_ca);
    world.emulator.stop().await;
}

#[tokio::test]
async fn stopping_writes_what_firehose_buffers() {
    let world = World::start().await;
    world.s3_with_bucket().await;
    let firehose = world.firehose();
    firehose::create(&firehose, 1, 900).await;
    let record = Record::builder().data(Blob::new("buffered")).build().expect("a record");
    firehose.put_record().delivery_stream_name("orders").record(record).send().await.expect("a record");

    let world = world.restart().await;

    let s3 = world.s3();
    let listed = s3.list_objects_v2().bucket("lake").send().await.expect("a listing");
    let key = listed.contents()[0].key().expect("a key");
    let got = s3.get_object().bucket("lake").key(key).send().await.expect("an object");
    assert_eq!(got.body.collect().await.expect("a body").to_vec(), b"buffered");
    world.emulator.stop().await;
}
