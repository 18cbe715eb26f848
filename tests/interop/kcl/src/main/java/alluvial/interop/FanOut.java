package alluvial.interop;

import java.math.BigInteger;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.model.ShardIteratorType;
import software.amazon.awssdk.services.kinesis.model.StartingPosition;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardEvent;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardResponseHandler;

/** Follows a stream by SubscribeToShard: a shard after all its parents have ended. */
final class FanOut {
    final Map<String, SubscribeToShardEvent> lastEvents = new ConcurrentHashMap<>();
    private final KinesisAsyncClient kinesis;
    private final String consumer;
    private final List<Checks.Arrived> arrived = new ArrayList<>();
    private final Set<String> started = new HashSet<>();
    private final Set<String> ended = new HashSet<>();
    private Throwable failure;

    FanOut(KinesisAsyncClient kinesis, String consumer) {
        this.kinesis = kinesis;
        this.consumer = consumer;
    }

    synchronized void start(String shard) {
        if (started.add(shard)) {
            read(shard, StartingPosition.builder().type(ShardIteratorType.TRIM_HORIZON).build());
        }
    }

    /** What has arrived by now; throws what a subscription failed with. */
    synchronized List<Checks.Arrived> arrived() {
        if (failure != null) {
            throw new IllegalStateException(failure);
        }
        return List.copyOf(arrived);
    }

    private void read(String shard, StartingPosition from) {
        var position = new Object() {
            StartingPosition next = from;
        };
        var handler = SubscribeToShardResponseHandler.builder().subscriber(
                events -> events.accept(SubscribeToShardResponseHandler.Visitor.builder()
                        .onSubscribeToShardEvent(event -> position.next = take(shard, event, position.next)).build())).build();
        kinesis.subscribeToShard(request -> request.consumerARN(consumer).shardId(shard).startingPosition(from), handler)
                .whenComplete((done, error) -> {
                    if (error != null) {
                        fail(error);
                    } else if (lastEvents.containsKey(shard)) {
                        end(shard);
                    } else {
                        read(shard, position.next);
                    }
                });
    }

    private synchronized StartingPosition take(String shard, SubscribeToShardEvent event, StartingPosition before) {
        if (lastEvents.containsKey(shard)) {
            fail(new IllegalStateException(shard + ": an event after the last one"));
        }
        event.records().forEach(record -> arrived.add(
                new Checks.Arrived(shard, new BigInteger(record.sequenceNumber()), Checks.text(record.data()))));
        if (event.hasChildShards() && !event.childShards().isEmpty()) {
            lastEvents.put(shard, event);
            return before;
        }
        return StartingPosition.builder().type(ShardIteratorType.AFTER_SEQUENCE_NUMBER)
                .sequenceNumber(event.continuationSequenceNumber()).build();
    }

    private synchronized void end(String shard) {
        ended.add(shard);
        lastEvents.get(shard).childShards().stream()
                .filter(child -> ended.containsAll(child.parentShards())).forEach(child -> start(child.shardId()));
    }

    private synchronized void fail(Throwable error) {
        failure = error;
    }
}
