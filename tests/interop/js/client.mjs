// Kinesis, Firehose, S3 and DynamoDB by the AWS SDK for JavaScript v3, clients as they come: endpoint, keys and CA are in the
// environment. Kinesis goes over HTTP/2, by ALPN with https:// and by prior knowledge with http://.

import * as dynamo from "@aws-sdk/client-dynamodb";
import * as firehose from "@aws-sdk/client-firehose";
import * as kinesis from "@aws-sdk/client-kinesis";
import * as s3 from "@aws-sdk/client-s3";
import { check, checkAll, records, until } from "./checks.mjs";

const StreamName = "interop";
const stream = new kinesis.KinesisClient();

const shards = async () => (await stream.send(new kinesis.ListShardsCommand({ StreamName }))).Shards;

async function put(entries, sent) {
  const answer = await stream.send(new kinesis.PutRecordsCommand({ StreamName, Records: entries }));
  if (answer.FailedRecordCount) throw new Error(`PutRecords: ${answer.FailedRecordCount} failed`);
  sent.push(...entries);
}

const active = () => kinesis.waitUntilStreamExists({ client: stream, maxWaitTime: 60 }, { StreamName });

/** Sends a command that reshards; returns the ids of the shards that it made. */
async function reshard(command) {
  const before = new Set((await shards()).map((shard) => shard.ShardId));
  await stream.send(command);
  await active();
  return (await shards()).map((shard) => shard.ShardId).filter((id) => !before.has(id)).sort();
}

/** Reads a shard by GetRecords to its tip or end. */
async function getAll(ShardId) {
  const start = new kinesis.GetShardIteratorCommand({ StreamName, ShardId, ShardIteratorType: "TRIM_HORIZON" });
  const arrived = [];
  let iterator = (await stream.send(start)).ShardIterator;
  while (iterator) {
    const answer = await stream.send(new kinesis.GetRecordsCommand({ ShardIterator: iterator, Limit: 500 }));
    arrived.push(...answer.Records.map((record) => ({ shard: ShardId, sequence: record.SequenceNumber, data: record.Data })));
    if (!answer.Records.length && answer.MillisBehindLatest === 0) break;
    iterator = answer.NextShardIterator;
  }
  return arrived;
}

/** Follows a stream by SubscribeToShard: a shard after all its parents have ended. */
class FanOut {
  arrived = [];
  ended = new Set();
  lastEvents = new Map();
  readers = new Map();

  constructor(consumer) {
    this.consumer = consumer;
  }

  start(shard) {
    if (!this.readers.has(shard)) this.readers.set(shard, this.read(shard));
  }

  async read(shard) {
    let position = { Type: "TRIM_HORIZON" };
    while (!this.lastEvents.has(shard)) {
      const command = new kinesis.SubscribeToShardCommand({ ConsumerARN: this.consumer, ShardId: shard, StartingPosition: position });
      for await (const { SubscribeToShardEvent: event } of (await stream.send(command)).EventStream) {
        if (this.lastEvents.has(shard)) throw new Error(`${shard}: an event after the last one`);
        this.arrived.push(...event.Records.map((record) => ({ shard, sequence: record.SequenceNumber, data: record.Data })));
        if (event.ChildShards?.length) this.lastEvents.set(shard, event);
        else if (!event.ContinuationSequenceNumber) throw new Error(`${shard}: an event without continuation and children`);
        else position = { Type: "AFTER_SEQUENCE_NUMBER", SequenceNumber: event.ContinuationSequenceNumber };
      }
    }
    this.ended.add(shard);
    for (const child of this.lastEvents.get(shard).ChildShards) {
      if (child.ParentShards.every((parent) => this.ended.has(parent))) this.start(child.ShardId);
    }
  }
}

async function kinesisChecks() {
  await stream.send(new kinesis.CreateStreamCommand({ StreamName, ShardCount: 2 }));
  await active();
  const roots = (await shards()).sort((a, b) => (a.ShardId < b.ShardId ? -1 : 1));
  check("ListShards shows both shards of a new stream", roots.length === 2, roots);
  const sent = [];
  await put(records(0, 200), sent);
  checkAll("GetRecords", sent, (await Promise.all(roots.map(({ ShardId }) => getAll(ShardId)))).flat());

  const { StreamDescriptionSummary: summary } = await stream.send(new kinesis.DescribeStreamSummaryCommand({ StreamName }));
  const { Consumer: consumer } = await stream.send(
    new kinesis.RegisterStreamConsumerCommand({ StreamARN: summary.StreamARN, ConsumerName: "interop" }));
  const describe = () => stream.send(new kinesis.DescribeStreamConsumerCommand({ ConsumerARN: consumer.ConsumerARN }));
  await until("the consumer is active", async () => (await describe()).ConsumerDescription.ConsumerStatus === "ACTIVE");

  const fanOut = new FanOut(consumer.ConsumerARN);
  for (const { ShardId } of roots) fanOut.start(ShardId);
  await until("SubscribeToShard delivers what was there", () => fanOut.arrived.length >= 200);
  const [{ ShardId: parent, HashKeyRange: range }] = roots;
  const middle = (BigInt(range.StartingHashKey) + BigInt(range.EndingHashKey) + 1n) / 2n;
  const children = await reshard(
    new kinesis.SplitShardCommand({ StreamName, ShardToSplit: parent, NewStartingHashKey: String(middle) }));
  await put(records(200, 200), sent);
  await until("the children of a split are read", () => fanOut.arrived.length >= 400);
  const merged = await reshard(
    new kinesis.MergeShardsCommand({ StreamName, ShardToMerge: children[0], AdjacentShardToMerge: children[1] }));
  await put(records(400, 200), sent);
  await until("the child of a merge is read", () => fanOut.arrived.length >= 600);
  checkAll("SubscribeToShard", sent, fanOut.arrived);
  for (const [shard, born] of [[parent, children], [children[0], merged], [children[1], merged]]) {
    const event = fanOut.lastEvents.get(shard);
    const named = event?.ChildShards.map((child) => child.ShardId).sort();
    check(`the last event of ${shard} has its children and no continuation`,
      named?.join() === born.join() && event.ContinuationSequenceNumber === undefined, event);
  }
  const refused = await stream.send(new kinesis.DescribeStreamSummaryCommand({ StreamName: "nowhere" })).catch((error) => error);
  check("an unknown stream is refused", refused instanceof kinesis.ResourceNotFoundException, refused);
}

async function firehoseChecks() {
  const store = new s3.S3Client();
  const delivery = new firehose.FirehoseClient();
  await store.send(new s3.CreateBucketCommand({ Bucket: "interop" }));
  const DeliveryStreamName = "interop";
  await delivery.send(new firehose.CreateDeliveryStreamCommand({
    DeliveryStreamName,
    ExtendedS3DestinationConfiguration: {
      BucketARN: "arn:aws:s3:::interop",
      RoleARN: "arn:aws:iam::000000000000:role/firehose",
      Prefix: "rows/",
      BufferingHints: { SizeInMBs: 1, IntervalInSeconds: 1 },
    },
  }));
  const describe = () => delivery.send(new firehose.DescribeDeliveryStreamCommand({ DeliveryStreamName }));
  await until("the delivery stream is active", async () => (await describe()).DeliveryStreamDescription.DeliveryStreamStatus === "ACTIVE");
  const rows = [Buffer.from("first\n"), Buffer.from(Array.from({ length: 256 }, (_, i) => i)), Buffer.from("last é\n")];
  const answer = await delivery.send(
    new firehose.PutRecordBatchCommand({ DeliveryStreamName, Records: rows.map((Data) => ({ Data })) }));
  check("PutRecordBatch takes all", answer.FailedPutCount === 0 && answer.RequestResponses.length === 3, answer);
  const list = () => store.send(new s3.ListObjectsV2Command({ Bucket: "interop", Prefix: "rows/" }));
  const [object] = await until("Firehose leaves an object", async () => (await list()).Contents);
  const got = await store.send(new s3.GetObjectCommand({ Bucket: "interop", Key: object.Key }));
  const body = Buffer.from(await got.Body.transformToByteArray());
  check("the object has these bytes", body.equals(Buffer.concat(rows)), body.toString("latin1"));
}

async function dynamodbChecks() {
  const table = new dynamo.DynamoDBClient();
  const TableName = "interop";
  await table.send(new dynamo.CreateTableCommand({
    TableName,
    BillingMode: "PAY_PER_REQUEST",
    KeySchema: [{ AttributeName: "id", KeyType: "HASH" }],
    AttributeDefinitions: [{ AttributeName: "id", AttributeType: "S" }],
  }));
  await dynamo.waitUntilTableExists({ client: table, maxWaitTime: 60 }, { TableName });
  const put = { TableName, Item: { id: { S: "a" }, owner: { S: "me" }, count: { N: "7" } }, ConditionExpression: "attribute_not_exists(id)" };
  await table.send(new dynamo.PutItemCommand(put));
  const refused = await table.send(
    new dynamo.PutItemCommand({ ...put, ReturnValuesOnConditionCheckFailure: "ALL_OLD" })).catch((error) => error);
  check("a condition that fails is refused with ALL_OLD",
    refused instanceof dynamo.ConditionalCheckFailedException && refused.Item?.owner?.S === "me" && refused.Item?.count?.N === "7", refused);
}

await kinesisChecks();
await firehoseChecks();
await dynamodbChecks();
process.exit(0); // the last subscriptions are open
