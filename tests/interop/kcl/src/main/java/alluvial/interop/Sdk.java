package alluvial.interop;

import static alluvial.interop.Checks.check;
import static alluvial.interop.Checks.checkAll;
import static alluvial.interop.Checks.records;
import static alluvial.interop.Checks.until;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionException;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.async.AsyncResponseTransformer;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.BillingMode;
import software.amazon.awssdk.services.dynamodb.model.ConditionalCheckFailedException;
import software.amazon.awssdk.services.dynamodb.model.KeyType;
import software.amazon.awssdk.services.dynamodb.model.ReturnValuesOnConditionCheckFailure;
import software.amazon.awssdk.services.dynamodb.model.ScalarAttributeType;
import software.amazon.awssdk.services.firehose.FirehoseAsyncClient;
import software.amazon.awssdk.services.firehose.model.DeliveryStreamStatus;
import software.amazon.awssdk.services.firehose.model.Record;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.ChildShard;
import software.amazon.awssdk.services.kinesis.model.ConsumerStatus;
import software.amazon.awssdk.services.kinesis.model.GetRecordsResponse;
import software.amazon.awssdk.services.kinesis.model.PutRecordsRequestEntry;
import software.amazon.awssdk.services.kinesis.model.ResourceNotFoundException;
import software.amazon.awssdk.services.kinesis.model.Shard;
import software.amazon.awssdk.services.kinesis.model.ShardIteratorType;
import software.amazon.awssdk.services.s3.S3AsyncClient;

/** Kinesis, Firehose, S3 and DynamoDB by the AWS SDK for Java v2, clients as they come: endpoint and keys are in the environment. */
public final class Sdk {
    private static final String NAME = "interop";
    private final KinesisAsyncClient kinesis = KinesisAsyncClient.create();
    private final List<PutRecordsRequestEntry> sent = new ArrayList<>();

    public static void main(String[] args) throws Exception {
        new Sdk().kinesisChecks();
        firehoseChecks();
        dynamoDbChecks();
        System.exit(0); // the last subscriptions are open
    }

    private List<String> shards() {
        return kinesis.listShards(r -> r.streamName(NAME)).join().shards().stream().map(Shard::shardId).sorted().toList();
    }

    private void put(List<PutRecordsRequestEntry> entries) {
        var answer = kinesis.putRecords(r -> r.streamName(NAME).records(entries)).join();
        check("PutRecords takes " + entries.size(), answer.failedRecordCount() == 0, answer);
        sent.addAll(entries);
    }

    private void waitForStream() {
        kinesis.waiter().waitUntilStreamExists(r -> r.streamName(NAME)).join();
    }

    /** Reads a shard by GetRecords to its tip or end; returns the last answer. */
    private GetRecordsResponse getAll(String shard, List<Checks.Arrived> arrived) throws InterruptedException {
        String iterator = kinesis.getShardIterator(
                r -> r.streamName(NAME).shardId(shard).shardIteratorType(ShardIteratorType.TRIM_HORIZON)).join().shardIterator();
        while (true) {
            String from = iterator;
            GetRecordsResponse answer = kinesis.getRecords(r -> r.shardIterator(from)).join();
            answer.records().forEach(record -> arrived.add(
                    new Checks.Arrived(shard, new BigInteger(record.sequenceNumber()), Checks.text(record.data()))));
            iterator = answer.nextShardIterator();
            if (iterator == null || answer.records().isEmpty() && answer.millisBehindLatest() == 0) {
                return answer;
            }
            Thread.sleep(200); // five calls a second and shard are AWS's limit
        }
    }

    private void kinesisChecks() throws Exception {
        kinesis.createStream(r -> r.streamName(NAME).shardCount(2)).join();
        waitForStream();
        List<String> roots = shards();
        check("ListShards shows both shards of a new stream", roots.size() == 2, roots);
        put(records(0, 200));
        List<Checks.Arrived> got = new ArrayList<>();
        for (String shard : roots) {
            getAll(shard, got);
        }
        checkAll("GetRecords", sent, got);

        var summary = kinesis.describeStreamSummary(r -> r.streamName(NAME)).join().streamDescriptionSummary();
        check("the stream's time of creation is now", Math.abs(summary.streamCreationTimestamp().toEpochMilli() - System.currentTimeMillis()) < 60_000, summary);
        String consumer = kinesis.registerStreamConsumer(
                r -> r.streamARN(summary.streamARN()).consumerName(NAME)).join().consumer().consumerARN();
        until("the consumer is active", () -> kinesis.describeStreamConsumer(r -> r.consumerARN(consumer)).join()
                .consumerDescription().consumerStatus() == ConsumerStatus.ACTIVE);

        var fanOut = new FanOut(kinesis, consumer);
        roots.forEach(fanOut::start);
        until("SubscribeToShard delivers what was there", () -> fanOut.arrived().size() >= 200);
        List<String> children = split(roots.get(0));
        put(records(200, 200));
        until("the children of a split are read", () -> fanOut.arrived().size() >= 400);
        List<String> merged = merge(children);
        put(records(400, 200));
        until("the child of a merge is read", () -> fanOut.arrived().size() >= 600);
        checkAll("SubscribeToShard", sent, fanOut.arrived());
        Map.of(roots.get(0), children, children.get(0), merged, children.get(1), merged).forEach((shard, born) -> {
            var event = fanOut.lastEvents.get(shard);
            check("the last event of " + shard + " has its children and no continuation",
                    event != null && named(event.childShards()).equals(born) && event.continuationSequenceNumber() == null, event);
        });
        GetRecordsResponse last = getAll(roots.get(0), new ArrayList<>());
        check("GetRecords ends a closed shard with its children",
                last.nextShardIterator() == null && named(last.childShards()).equals(children), last);
        Throwable refused = kinesis.describeStreamSummary(r -> r.streamName("nowhere")).handle((answer, error) -> error).join();
        check("an unknown stream is refused", cause(refused) instanceof ResourceNotFoundException, refused);
    }

    private List<String> split(String shard) {
        List<String> before = shards();
        var range = kinesis.listShards(r -> r.streamName(NAME)).join().shards().stream()
                .filter(s -> s.shardId().equals(shard)).findFirst().orElseThrow().hashKeyRange();
        BigInteger middle = new BigInteger(range.startingHashKey()).add(new BigInteger(range.endingHashKey()))
                .add(BigInteger.ONE).shiftRight(1);
        kinesis.splitShard(r -> r.streamName(NAME).shardToSplit(shard).newStartingHashKey(middle.toString())).join();
        waitForStream();
        return shards().stream().filter(id -> !before.contains(id)).toList();
    }

    private List<String> merge(List<String> pair) {
        List<String> before = shards();
        kinesis.mergeShards(r -> r.streamName(NAME).shardToMerge(pair.get(0)).adjacentShardToMerge(pair.get(1))).join();
        waitForStream();
        return shards().stream().filter(id -> !before.contains(id)).toList();
    }

    private static List<String> named(List<ChildShard> children) {
        return children.stream().map(ChildShard::shardId).sorted().toList();
    }

    private static Throwable cause(Throwable error) {
        return error instanceof CompletionException ? error.getCause() : error;
    }

    private static void firehoseChecks() throws Exception {
        var s3 = S3AsyncClient.create();
        var firehose = FirehoseAsyncClient.create();
        s3.createBucket(r -> r.bucket(NAME)).join();
        firehose.createDeliveryStream(r -> r.deliveryStreamName(NAME).extendedS3DestinationConfiguration(
                d -> d.bucketARN("arn:aws:s3:::" + NAME).roleARN("arn:aws:iam::000000000000:role/firehose").prefix("rows/")
                        .bufferingHints(b -> b.sizeInMBs(1).intervalInSeconds(1)))).join();
        until("the delivery stream is active", () -> firehose.describeDeliveryStream(r -> r.deliveryStreamName(NAME)).join()
                .deliveryStreamDescription().deliveryStreamStatus() == DeliveryStreamStatus.ACTIVE);
        List<Record> rows = records(0, 3).stream().map(entry -> Record.builder().data(entry.data()).build()).toList();
        var answer = firehose.putRecordBatch(r -> r.deliveryStreamName(NAME).records(rows)).join();
        check("PutRecordBatch takes all", answer.failedPutCount() == 0 && answer.requestResponses().size() == 3, answer);
        until("Firehose leaves an object", () -> !s3.listObjectsV2(r -> r.bucket(NAME).prefix("rows/")).join().contents().isEmpty());
        String key = s3.listObjectsV2(r -> r.bucket(NAME).prefix("rows/")).join().contents().get(0).key();
        var object = s3.getObject(r -> r.bucket(NAME).key(key), AsyncResponseTransformer.toBytes()).join();
        String wanted = String.join("", rows.stream().map(row -> Checks.text(row.data())).toList());
        check("the object has these bytes", Checks.text(SdkBytes.fromByteArray(object.asByteArray())).equals(wanted), object);
    }

    private static void dynamoDbChecks() {
        var dynamo = DynamoDbAsyncClient.create();
        dynamo.createTable(r -> r.tableName(NAME).billingMode(BillingMode.PAY_PER_REQUEST)
                .keySchema(k -> k.attributeName("id").keyType(KeyType.HASH))
                .attributeDefinitions(a -> a.attributeName("id").attributeType(ScalarAttributeType.S))).join();
        dynamo.waiter().waitUntilTableExists(r -> r.tableName(NAME)).join();
        var item = Map.of("id", AttributeValue.fromS("a"), "owner", AttributeValue.fromS("me"), "count", AttributeValue.fromN("7"));
        dynamo.putItem(r -> r.tableName(NAME).item(item).conditionExpression("attribute_not_exists(id)")).join();
        Throwable refused = cause(dynamo.putItem(r -> r.tableName(NAME).item(Map.of("id", AttributeValue.fromS("a")))
                .conditionExpression("attribute_not_exists(id)")
                .returnValuesOnConditionCheckFailure(ReturnValuesOnConditionCheckFailure.ALL_OLD))
                .handle((answer, error) -> error).join());
        check("a condition that fails is refused with ALL_OLD",
                refused instanceof ConditionalCheckFailedException failed && failed.item().equals(item), refused);
    }
}
