package alluvial.interop;

import java.io.ByteArrayOutputStream;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.IntStream;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.services.kinesis.model.PutRecordsRequestEntry;

/** What {@code run} counts, the records that are put, and what must be true of what arrives. */
final class Checks {
    private static final String CLIENT = System.getenv("INTEROP_CLIENT");

    /** A record that arrived. */
    record Arrived(String shard, BigInteger sequence, String data) {}

    private Checks() {}

    static void check(String name, boolean good, Object detail) {
        System.out.println(good ? "ok    " + CLIENT + ": " + name : "FAIL  " + CLIENT + ": " + name + ": " + detail);
    }

    /** Bytes as text, one character each. */
    static String text(SdkBytes data) {
        return data.asString(StandardCharsets.ISO_8859_1);
    }

    /** Entries of {@code PutRecords}: number and key as text, then bytes that are no UTF-8. */
    static List<PutRecordsRequestEntry> records(int first, int count) {
        return IntStream.range(first, first + count).mapToObj(n -> {
            String key = "key-" + n % 17;
            var data = new ByteArrayOutputStream();
            data.writeBytes((n + "|" + key + "|").getBytes(StandardCharsets.US_ASCII));
            data.writeBytes(new byte[] {0, (byte) 255, (byte) n});
            return PutRecordsRequestEntry.builder().partitionKey(key).data(SdkBytes.fromByteArray(data.toByteArray())).build();
        }).toList();
    }

    /** Checks that the entries {@code put} arrived, byte for byte, each once and in order. */
    static void checkAll(String what, List<PutRecordsRequestEntry> put, List<Arrived> arrived) {
        Set<String> wanted = new HashSet<>();
        put.forEach(entry -> wanted.add(text(entry.data())));
        Set<String> seen = new HashSet<>();
        arrived.forEach(record -> seen.add(record.data()));
        check(what + ": every record came, byte for byte", seen.equals(wanted), seen.size() + " of " + wanted.size());
        check(what + ": no record came twice", seen.size() == arrived.size(), arrived.size() + " came, " + seen.size() + " different");
        Map<String, BigInteger> last = new HashMap<>();
        List<String> wrong = new ArrayList<>();
        for (Arrived record : arrived) {
            String[] parts = record.data().split("\\|", 3);
            Map.of(record.shard(), record.sequence(), parts[1], new BigInteger(parts[0])).forEach((lane, position) -> {
                BigInteger before = last.put(lane, position);
                if (before != null && before.compareTo(position) >= 0) {
                    wrong.add(lane + " " + position);
                }
            });
        }
        check(what + ": in order within each shard and each key", wrong.isEmpty(), wrong);
    }

    /** Waits up to a minute until {@code wanted} is true; asks again every 50 ms. */
    static void until(String name, Callable<Boolean> wanted) throws Exception {
        long end = System.nanoTime() + 60_000_000_000L;
        boolean came = wanted.call();
        while (!came && System.nanoTime() < end) {
            Thread.sleep(50);
            came = wanted.call();
        }
        check(name, came, "not after 60 s");
        if (!came) {
            System.exit(1);
        }
    }
}
