"""The Kinesis Client Library and alluvial in turns on one lease table: each goes on where the other stopped.

    alternate.py ALLUVIAL COMMAND …    COMMAND is the client library's worker, started with stream, application and worker name
"""

import json
import sys
import time
from collections import Counter

import boto3

from checks import check
from fleet import Alluvial, KclWorker, leases
from stream import Stream

NAME = "interop-alternate"
BATCH = 200
LIMIT_SECONDS = 120


def rows(first):
    return [{"PartitionKey": f"key-{n % 17}", "Data": json.dumps({"n": n}).encode()} for n in range(first, first + BATCH)]


def last_sequences():
    """The last record of each shard, by GetRecords."""
    kinesis, last = boto3.client("kinesis"), {}
    for shard in Stream.shards(STREAM):
        it = kinesis.get_shard_iterator(StreamName=NAME, ShardId=shard, ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        while it:
            page = kinesis.get_records(ShardIterator=it)
            for record in page["Records"]:
                last[shard] = record["SequenceNumber"]
            it = page.get("NextShardIterator") if page["Records"] or page["MillisBehindLatest"] else None
            # Five calls a second of each shard.
            time.sleep(0.25)
    return last


def turn_of_kcl(command, name, first):
    """The client library reads one batch; returns its numbers."""
    worker = KclWorker(command, NAME, name)
    STREAM.put(rows(first))
    worker.arrived.wait_for(f"{name} reads what is new", lambda: len(worker.arrived.records) >= BATCH, LIMIT_SECONDS)
    worker.stop()
    return worker.numbers()


def turn_of_alluvial(alluvial, first):
    """alluvial reads one batch; returns the numbers that it delivered."""
    STREAM.put(rows(first))
    wanted = last_sequences()
    worker = Alluvial(alluvial, NAME, "alluvial")
    deadline = time.monotonic() + LIMIT_SECONDS
    while not (done := {shard: lease["checkpoint"]["S"] for shard, lease in leases(NAME).items()} == wanted) and time.monotonic() < deadline:
        time.sleep(0.2)
    check("alluvial checkpoints the last records", done, (leases(NAME), wanted))
    worker.stop()
    return worker.numbers()


def check_turn(who, numbers, first):
    counts = Counter(numbers)
    lost = sorted(set(range(first, first + BATCH)) - set(counts))
    check(f"{who}: nothing lost", not lost, f"{len(lost)}, first {lost[:1]}")
    repeated = sorted(n for n, count in counts.items() if count > 1 or not first <= n < first + BATCH)
    check(f"{who}: nothing repeated", not repeated, f"{len(repeated)}, first {repeated[:1]}")


STREAM = Stream(boto3.client("kinesis"), NAME, 2)


def main():
    alluvial, *command = sys.argv[1:]
    check_turn("first turn of KCL", turn_of_kcl(command, "kcl-first", 0), 0)
    check_turn("turn of alluvial", turn_of_alluvial(alluvial, BATCH), BATCH)
    free = [lease for lease in leases(NAME).values() if "leaseOwner" not in lease]
    check("alluvial gives its leases back", len(free) == 2, leases(NAME))
    check_turn("second turn of KCL", turn_of_kcl(command, "kcl-second", 2 * BATCH), 2 * BATCH)


main()
