use super::*;

#[tokio::test(start_paused = true)]
async fn a_consumer_is_found_by_arn_and_by_name_until_it_goes() {
    let (service, arn) = Service::with_stream(1).await;
    let stream = crate::kinesis::arn::stream("orders");
    let by_name = json!({ "StreamARN": stream, "ConsumerName": "app" });
    let by_arn = json!({ "ConsumerARN": arn });
    for request in [&by_name, &by_arn] {
        let found = service.ok("DescribeStreamConsumer", request.clone()).await["ConsumerDescription"].take();
        assert_eq!(
            (&found["ConsumerARN"], &found["ConsumerStatus"], &found["StreamARN"]),
            (&json!(arn), &json!("ACTIVE"), &json!(stream))
        );
    }
    assert_eq!(service.refused("RegisterStreamConsumer", by_name.clone()).await, "ResourceInUseException");
    assert_eq!(service.refused("DeleteStream", json!({ "StreamName": "orders" })).await, "ResourceInUseException");
    service.ok("DeregisterStreamConsumer", by_arn.clone()).await;
    for request in [by_name, by_arn.clone()] {
        assert_eq!(service.refused("DescribeStreamConsumer", request).await, "ResourceNotFoundException");
    }
    assert_eq!(service.refused("DeregisterStreamConsumer", by_arn).await, "ResourceNotFoundException");
    assert_eq!(service.refused("DescribeStreamConsumer", json!({})).await, "InvalidArgumentException");
    let arn = service.register("app").await;
    let all = |name: &str, stream: String| json!({ "ConsumerARN": arn, "ConsumerName": name, "StreamARN": stream });
    service.ok("DescribeStreamConsumer", all("app", stream.clone())).await;
    for (request, code) in [
        (all("other", stream.clone()), "InvalidArgumentException"),
        (all("app", crate::kinesis::arn::stream("other")), "InvalidArgumentException"),
        (all("a b", stream.clone()), "ValidationException"),
        (json!({ "ConsumerARN": stream }), "ValidationException"),
        (json!({ "StreamARN": arn, "ConsumerName": "app" }), "ResourceNotFoundException"),
    ] {
        assert_eq!(service.refused("DescribeStreamConsumer", request.clone()).await, code, "{request}");
    }
    let subscribe = json!({ "ConsumerARN": stream, "ShardId": "x", "StartingPosition": { "Type": "LATEST" } });
    assert_eq!(service.refused("SubscribeToShard", subscribe).await, "ValidationException");
    assert_eq!(service.refused("RegisterStreamConsumer", json!({ "StreamARN": stream })).await, "ValidationException");
}

#[tokio::test(start_paused = true)]
async fn the_listing_goes_on_page_by_page_and_its_tokens_expire() {
    let (service, _) = Service::with_stream(1).await;
    for name in ["b", "c", "d"] {
        service.register(name).await;
    }
    let names = |page: &Value| -> Vec<String> {
        page["Consumers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|consumer| consumer["ConsumerName"].as_str().unwrap().to_owned())
            .collect()
    };
    let stream = crate::kinesis::arn::stream("orders");
    let first = service.ok("ListStreamConsumers", json!({ "StreamARN": stream, "MaxResults": 3 })).await;
    assert_eq!(names(&first), ["app", "b", "c"]);
    let next = json!({ "StreamARN": stream, "NextToken": first["NextToken"] });
    let second = service.ok("ListStreamConsumers", next.clone()).await;
    assert_eq!((names(&second), &second["NextToken"]), (vec!["d".to_owned()], &Value::Null));
    let other = json!({ "StreamARN": crate::kinesis::arn::stream("other"), "NextToken": first["NextToken"] });
    assert_eq!(service.refused("ListStreamConsumers", other).await, "InvalidArgumentException");
    pass(301).await;
    assert_eq!(service.refused("ListStreamConsumers", next).await, "ExpiredNextTokenException");
    assert_eq!(service.refused("ListStreamConsumers", json!({})).await, "ValidationException");
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_is_being_created_cannot_subscribe_yet() {
    let service = Service::slow(3);
    service.ok("CreateStream", json!({ "StreamName": "orders", "ShardCount": 1 })).await;
    pass(3).await;
    let arn = service.register("app").await;
    let latest = json!({ "Type": "LATEST" });
    assert_eq!(service.subscribe_refused(&arn, "shardId-000000000000", latest.clone()).await, "ResourceInUseException");
    pass(3).await;
    service.subscribe(&arn, 0, latest).await;
}
