"""What the Python clients share: the lines that `run` counts, the records they put, and what must be true of what arrives."""

import os
import threading
from collections import Counter

CLIENT = os.environ["INTEROP_CLIENT"]
WAIT_SECONDS = 120


def check(name, good, detail=""):
    """Prints one line for `run` to count."""
    print(f"ok    {CLIENT}: {name}" if good else f"FAIL  {CLIENT}: {name}: {detail}", flush=True)


def records(first, count):
    """Entries of `PutRecords`: number and key as text, then bytes that are no UTF-8."""
    return [{"PartitionKey": f"key-{n % 17}", "Data": f"{n}|key-{n % 17}|".encode() + bytes([0, 255, n % 256])}
            for n in range(first, first + count)]


class Arrived:
    """Records as they arrive from any thread, and the shards that ended."""

    def __init__(self):
        self.changed = threading.Condition()
        self.records, self.ended, self.failure = [], [], None

    def add(self, shard, sequence, data):
        with self.changed:
            self.records.append((shard, int(sequence), bytes(data)))
            self.changed.notify_all()

    def end(self, shard):
        with self.changed:
            self.ended.append(shard)
            self.changed.notify_all()

    def fail(self, failure):
        with self.changed:
            self.failure = failure
            self.changed.notify_all()

    def wait_for(self, name, wanted, seconds=WAIT_SECONDS):
        """Checks that `wanted()` comes true in time."""
        with self.changed:
            came = self.changed.wait_for(lambda: self.failure or wanted(), seconds) and not self.failure
            check(name, came, self.failure or f"not after {seconds} s; {len(self.records)} records, ended {self.ended}")
        if not came:
            raise SystemExit(1)

    def check_all(self, what, put):
        """Checks that the entries `put` came, byte for byte, each once and in order."""
        seen = Counter(data for _, _, data in self.records)
        lost = [entry["Data"] for entry in put if not seen[entry["Data"]]]
        check(f"{what}: every record came, byte for byte", not lost, f"{len(lost)} lost, first {lost[:1]}")
        surplus = {data: count for data, count in seen.items() if count > 1} or set(seen) - {e["Data"] for e in put}
        check(f"{what}: no record came twice", not surplus, f"{len(surplus)}, first {sorted(surplus)[:1]}")
        last, wrong = {}, []
        for shard, sequence, data in self.records:
            number, key, _ = data.split(b"|", 2)
            for lane, position in ((shard, sequence), (key, int(number))):
                if position <= last.get(lane, -1):
                    wrong.append((lane, position))
                last[lane] = position
        check(f"{what}: in order within each shard and each key", not wrong, wrong[:3])
