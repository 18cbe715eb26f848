"""Kinesis, Firehose, S3 and DynamoDB by boto3; endpoint, keys and CA come from the environment."""

import threading
import time

import boto3
from botocore.exceptions import ClientError

from checks import Arrived, check, records
from stream import Stream


class FanOut(Arrived):
    """Follows a stream by SubscribeToShard: a shard after all its parents have ended."""

    def __init__(self, kinesis, consumer):
        super().__init__()
        self.kinesis, self.consumer, self.started, self.last_events = kinesis, consumer, set(), {}

    def start(self, shard):
        with self.changed:
            if shard in self.started:
                return
            self.started.add(shard)
        threading.Thread(target=self.read, args=(shard,), daemon=True).start()

    def read(self, shard):
        try:
            position = {"Type": "TRIM_HORIZON"}
            while shard not in self.last_events:
                answer = self.kinesis.subscribe_to_shard(ConsumerARN=self.consumer, ShardId=shard, StartingPosition=position)
                for event in answer["EventStream"]:
                    event = event["SubscribeToShardEvent"]
                    if shard in self.last_events:
                        raise AssertionError(f"{shard}: an event after the last one: {event}")
                    for record in event["Records"]:
                        self.add(shard, record["SequenceNumber"], record["Data"])
                    if event.get("ChildShards"):
                        self.last_events[shard] = event
                    elif not event.get("ContinuationSequenceNumber"):
                        raise AssertionError(f"{shard}: an event without continuation and children: {event}")
                    else:
                        position = {"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": event["ContinuationSequenceNumber"]}
            self.end(shard)
            for child in self.last_events[shard]["ChildShards"]:
                if set(child["ParentShards"]) <= set(self.ended):
                    self.start(child["ShardId"])
        except BaseException as failure:
            self.fail(repr(failure))


def get_all(stream, shard, arrived):
    """Reads a shard by GetRecords to its tip, or to its end; returns the last answer."""
    iterator = stream.kinesis.get_shard_iterator(StreamName=stream.name, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
    while True:
        answer = stream.kinesis.get_records(ShardIterator=iterator, Limit=50)
        for record in answer["Records"]:
            arrived.add(shard, record["SequenceNumber"], record["Data"])
        iterator = answer.get("NextShardIterator")
        if not iterator or (not answer["Records"] and answer["MillisBehindLatest"] == 0):
            return answer
        time.sleep(0.2)  # five calls a second and shard are AWS's limit


def register(kinesis, stream):
    summary = kinesis.describe_stream_summary(StreamName=stream.name)["StreamDescriptionSummary"]
    consumer = kinesis.register_stream_consumer(StreamARN=summary["StreamARN"], ConsumerName="interop")["Consumer"]["ConsumerARN"]
    while kinesis.describe_stream_consumer(ConsumerARN=consumer)["ConsumerDescription"]["ConsumerStatus"] != "ACTIVE":
        time.sleep(0.2)
    return consumer


def kinesis_checks(kinesis):
    stream = Stream(kinesis, "interop", 2)
    roots = sorted(stream.shards())
    check("ListShards shows both shards of a new stream", len(roots) == 2, roots)
    stream.put(records(0, 200))
    arrived = Arrived()
    for shard in roots:
        get_all(stream, shard, arrived)
    arrived.check_all("GetRecords", stream.sent)

    fan_out = FanOut(kinesis, register(kinesis, stream))
    for shard in roots:
        fan_out.start(shard)
    fan_out.wait_for("SubscribeToShard delivers what was there", lambda: len(fan_out.records) >= 200)
    children = stream.split(roots[0])
    stream.put(records(200, 200))
    fan_out.wait_for("the children of a split are read", lambda: len(fan_out.records) >= 400)
    merged = stream.merge(children)
    stream.put(records(400, 200))
    fan_out.wait_for("the child of a merge is read", lambda: len(fan_out.records) >= 600)
    fan_out.check_all("SubscribeToShard", stream.sent)
    check("the closed shards ended, and no other", sorted(fan_out.ended) == sorted([roots[0], *children]), fan_out.ended)
    for shard, born in ((roots[0], children), (children[0], merged), (children[1], merged)):
        event = fan_out.last_events[shard]
        named = sorted(child["ShardId"] for child in event["ChildShards"])
        check(f"the last event of {shard} has its children and no continuation",
              named == born and "ContinuationSequenceNumber" not in event, event)
    last = get_all(stream, roots[0], Arrived())
    check("GetRecords ends a closed shard with its children",
          "NextShardIterator" not in last and sorted(child["ShardId"] for child in last["ChildShards"]) == children, last)
    try:
        kinesis.describe_stream_summary(StreamName="nowhere")
        check("an unknown stream is refused", False, "it was not")
    except kinesis.exceptions.ResourceNotFoundException:
        check("an unknown stream is refused", True)


def firehose_checks(firehose, s3):
    s3.create_bucket(Bucket="interop")
    firehose.create_delivery_stream(DeliveryStreamName="interop", DeliveryStreamType="DirectPut", ExtendedS3DestinationConfiguration={
        "BucketARN": "arn:aws:s3:::interop", "RoleARN": "arn:aws:iam::000000000000:role/firehose", "Prefix": "rows/",
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1}, "CompressionFormat": "UNCOMPRESSED"})
    while firehose.describe_delivery_stream(DeliveryStreamName="interop")["DeliveryStreamDescription"]["DeliveryStreamStatus"] != "ACTIVE":
        time.sleep(0.2)
    rows = [b"first\n", bytes(range(256)), "last é\n".encode()]
    answer = firehose.put_record_batch(DeliveryStreamName="interop", Records=[{"Data": row} for row in rows])
    check("PutRecordBatch takes all", answer["FailedPutCount"] == 0 and len(answer["RequestResponses"]) == 3, answer)
    until = time.monotonic() + 30
    while not (found := s3.list_objects_v2(Bucket="interop", Prefix="rows/").get("Contents")) and time.monotonic() < until:
        time.sleep(0.2)
    bodies = [s3.get_object(Bucket="interop", Key=entry["Key"])["Body"].read() for entry in found or []]
    check("Firehose leaves an object with these bytes", bodies == [b"".join(rows)], bodies)


def dynamodb_checks(dynamodb):
    dynamodb.create_table(TableName="interop", BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                          AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}])
    dynamodb.get_waiter("table_exists").wait(TableName="interop")
    item = {"id": {"S": "a"}, "owner": {"S": "me"}, "count": {"N": "7"}, "bytes": {"B": b"\x00\xff"}, "set": {"SS": ["x"]}}
    dynamodb.put_item(TableName="interop", Item=item, ConditionExpression="attribute_not_exists(id)")
    try:
        dynamodb.put_item(TableName="interop", Item={"id": {"S": "a"}}, ConditionExpression="attribute_not_exists(id)",
                          ReturnValuesOnConditionCheckFailure="ALL_OLD")
        check("a condition that fails is refused with ALL_OLD", False, "it was written")
    except ClientError as refused:
        code, old = refused.response["Error"]["Code"], refused.response.get("Item")
        check("a condition that fails is refused with ALL_OLD", code == "ConditionalCheckFailedException" and old == item, refused.response)
    new = dynamodb.update_item(TableName="interop", Key={"id": {"S": "a"}}, UpdateExpression="SET #o = :o ADD #c :one",
                               ConditionExpression="#o = :me", ExpressionAttributeNames={"#o": "owner", "#c": "count"},
                               ExpressionAttributeValues={":o": {"S": "you"}, ":me": {"S": "me"}, ":one": {"N": "1"}},
                               ReturnValues="ALL_NEW")["Attributes"]
    check("a condition that holds lets an update through", new == {**item, "owner": {"S": "you"}, "count": {"N": "8"}}, new)


kinesis_checks(boto3.client("kinesis"))
firehose_checks(boto3.client("firehose"), boto3.client("s3"))
dynamodb_checks(boto3.client("dynamodb"))
