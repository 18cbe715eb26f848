"""The Kinesis Client Library and alluvial at the same time, as one fleet on one lease table, while records arrive.

    together.py ALLUVIAL COMMAND …    COMMAND is the client library's worker, started with stream, application and worker name

The client library begins alone; alluvial joins and gets its share; the client library stops, and alluvial has all.
"""

import itertools
import json
import sys
import threading
import time
from collections import Counter

import boto3

from checks import check
from fleet import Alluvial, KclWorker, leases
from stream import Stream

NAME = "interop-together"
SHARDS = 4
BATCH = 20
LIMIT_SECONDS = 120


class Load(threading.Thread):
    """Puts a hundred records a second until it is stopped; `sent` counts them."""

    def __init__(self, stream):
        super().__init__(daemon=True)
        self.stream, self.sent, self.stopping = stream, 0, threading.Event()

    def run(self):
        for first in itertools.count(0, BATCH):
            if self.stopping.wait(0.2):
                return
            self.stream.put([{"PartitionKey": f"key-{n % 97}", "Data": json.dumps({"n": n}).encode()} for n in range(first, first + BATCH)])
            self.sent = first + BATCH

    def stop(self):
        self.stopping.set()
        self.join()


def owners():
    return Counter(lease.get("leaseOwner", {}).get("S") for lease in leases(NAME).values())


def wait_for(name, wanted):
    """Waits until `wanted()`; says what the owners of the leases were if it never comes true."""
    deadline = time.monotonic() + LIMIT_SECONDS
    while not (done := wanted()) and time.monotonic() < deadline:
        time.sleep(0.2)
    check(name, done, dict(owners()))
    if not done:
        raise SystemExit(1)


def checkpoints():
    return {shard: int(lease["checkpoint"]["S"]) for shard, lease in leases(NAME).items() if lease["checkpoint"]["S"].isdigit()}


def until_still():
    """Waits until no checkpoint moves for two of their intervals: all that was put is delivered."""
    last, deadline = None, time.monotonic() + LIMIT_SECONDS
    while (now := checkpoints()) != last and time.monotonic() < deadline:
        last = now
        time.sleep(5)


def main():
    alluvial, *command = sys.argv[1:]
    load = Load(Stream(boto3.client("kinesis"), NAME, SHARDS))
    load.start()
    kcl = KclWorker(command, NAME, "kcl")
    kcl.arrived.wait_for("KCL alone reads every shard", lambda: len({shard for shard, *_ in kcl.arrived.records}) == SHARDS, LIMIT_SECONDS)
    ours = Alluvial(alluvial, NAME, "alluvial")
    wait_for("alluvial joins and gets half of the leases", lambda: owners() == {"kcl": 2, "alluvial": 2})
    before = checkpoints()
    wait_for("both go on", lambda: all(checkpoints()[shard] > at for shard, at in before.items()))
    check("the shares stay as they are", owners() == {"kcl": 2, "alluvial": 2}, dict(owners()))
    kcl.stop()
    wait_for("alluvial has all leases after KCL stopped", lambda: owners() == {"alluvial": SHARDS})
    load.stop()
    until_still()
    ours.stop()
    counts = Counter(kcl.numbers() + ours.numbers())
    lost = sorted(set(range(load.sent)) - set(counts))
    check(f"nothing of {load.sent} records lost", not lost, f"{len(lost)}, first {lost[:1]}")
    repeated = sum(count - 1 for count in counts.values())
    # KCL keeps its leases when it stops, and what it read since its last checkpoint comes again.
    check("what is repeated was read by KCL last", repeated <= BATCH * SHARDS, f"{repeated}")


main()
