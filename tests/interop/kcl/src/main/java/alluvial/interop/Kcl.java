package alluvial.interop;

import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.util.Base64;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.kinesis.common.ConfigsBuilder;
import software.amazon.kinesis.common.InitialPositionInStream;
import software.amazon.kinesis.common.InitialPositionInStreamExtended;
import software.amazon.kinesis.common.KinesisClientUtil;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.exceptions.InvalidStateException;
import software.amazon.kinesis.exceptions.ShutdownException;
import software.amazon.kinesis.lifecycle.events.InitializationInput;
import software.amazon.kinesis.lifecycle.events.LeaseLostInput;
import software.amazon.kinesis.lifecycle.events.ProcessRecordsInput;
import software.amazon.kinesis.lifecycle.events.ShardEndedInput;
import software.amazon.kinesis.lifecycle.events.ShutdownRequestedInput;
import software.amazon.kinesis.metrics.NullMetricsFactory;
import software.amazon.kinesis.processor.ShardRecordProcessor;
import software.amazon.kinesis.processor.RecordProcessorCheckpointer;
import software.amazon.kinesis.processor.SingleStreamTracker;

/** A worker of the Kinesis Client Library by enhanced fan-out that prints {@code record SHARD SEQUENCE BASE64} and {@code ended SHARD}; its arguments: STREAM APPLICATION [WORKER]. */
public final class Kcl {
    public static void main(String[] args) throws Exception {
        String stream = args[0];
        String application = args[1];
        // A fleet names its workers: those of one name would take each other's leases for their own.
        String worker = args.length > 2 ? args[2] : InetAddress.getLoopbackAddress().getHostAddress();
        KinesisAsyncClient kinesis = KinesisClientUtil.createKinesisAsyncClient(KinesisAsyncClient.builder());
        var start = InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON);
        var configs = new ConfigsBuilder(new SingleStreamTracker(stream, start), application, kinesis, DynamoDbAsyncClient.create(),
                CloudWatchAsyncClient.create(), worker, Processor::new);
        var scheduler = new Scheduler(configs.checkpointConfig(),
                configs.coordinatorConfig().parentShardPollIntervalMillis(500),
                // Ten seconds and a minute by default: the waits of a start and after a split.
                configs.leaseManagementConfig().failoverTimeMillis(3_000).shardSyncIntervalMillis(1_000),
                configs.lifecycleConfig(), configs.metricsConfig().metricsFactory(new NullMetricsFactory()),
                configs.processorConfig(), configs.retrievalConfig());
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                boolean stopped = scheduler.startGracefulShutdown().get(30, TimeUnit.SECONDS);
                main.join(10_000);
                Runtime.getRuntime().halt(stopped ? 0 : 1);
            } catch (Exception failure) {
                failure.printStackTrace();
                Runtime.getRuntime().halt(1);
            }
        }));
        scheduler.run();
    }

    private static synchronized void say(String line) {
        System.out.println(line);
    }

    private static final class Processor implements ShardRecordProcessor {
        private String shard;

        @Override
        public void initialize(InitializationInput input) {
            shard = input.shardId();
        }

        @Override
        public void processRecords(ProcessRecordsInput input) {
            for (var record : input.records()) {
                ByteBuffer data = record.data();
                byte[] bytes = new byte[data.remaining()];
                data.get(bytes);
                say("record " + shard + " " + record.sequenceNumber() + " " + Base64.getEncoder().encodeToString(bytes));
            }
            if (!input.records().isEmpty()) {
                checkpoint(input.checkpointer());
            }
        }

        @Override
        public void leaseLost(LeaseLostInput input) {
            // Another worker has the shard: nothing of ours to do.
        }

        @Override
        public void shardEnded(ShardEndedInput input) {
            checkpoint(input.checkpointer());
            say("ended " + shard);
        }

        @Override
        public void shutdownRequested(ShutdownRequestedInput input) {
            checkpoint(input.checkpointer());
        }

        private static void checkpoint(RecordProcessorCheckpointer checkpointer) {
            try {
                checkpointer.checkpoint();
            } catch (InvalidStateException | ShutdownException failure) {
                throw new IllegalStateException(failure);
            }
        }
    }
}
