"""The Kinesis Client Library and alluvial in turns on one lease table: each goes on where the other stopped.

    alternate.py ALLUVIAL COMMAND …    COMMAND is the client library's worker, started with stream, application and worker name

The worker prints `record SHARD SEQUENCE BASE64`. What alluvial read is looked for in what it delivered.
"""

import base64
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter

import boto3

from checks import Arrived, check
from stream import Stream

NAME = "interop-alternate"
BATCH = 200
LIMIT_SECONDS = 120
SETTINGS = f"""
[source]
stream = "{NAME}"
application = "{NAME}"
failover = "3s"
[pack]
max_wait = "100ms"
[sink]
type = "firehose"
delivery_stream = "{NAME}"
[on_error]
dead_letter = "%s"
"""


def rows(first):
    return [{"PartitionKey": f"key-{n % 17}", "Data": json.dumps({"n": n}).encode()} for n in range(first, first + BATCH)]


def leases():
    pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=NAME, ConsistentRead=True)
    return {item["leaseKey"]["S"]: item for page in pages for item in page["Items"] if item["leaseKey"]["S"].startswith("shardId-")}


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


def turn_of_kcl(command, worker, first):
    """The client library reads one batch; returns its numbers."""
    arrived, errors = Arrived(), open(f"{worker}.log", "w")
    process = subprocess.Popen([*command, NAME, NAME, worker], stdout=subprocess.PIPE, stderr=errors, text=True)

    def read():
        for line in process.stdout:
            match line.split():
                case ["record", shard, sequence, data]:
                    arrived.add(shard, sequence, base64.b64decode(data))

    threading.Thread(target=read, daemon=True).start()
    STREAM.put(rows(first))
    arrived.wait_for(f"{worker} reads what is new", lambda: len(arrived.records) >= BATCH, LIMIT_SECONDS)
    process.terminate()
    check(f"{worker} stops in order", process.wait(60) == 0, f"exit {process.returncode}")
    return [json.loads(data)["n"] for _, _, data in arrived.records]


def turn_of_alluvial(alluvial, first):
    """alluvial reads one batch; returns the numbers that it delivered."""
    firehose, s3 = boto3.client("firehose"), boto3.client("s3")
    s3.create_bucket(Bucket=NAME)
    firehose.create_delivery_stream(DeliveryStreamName=NAME, ExtendedS3DestinationConfiguration={
        "BucketARN": f"arn:aws:s3:::{NAME}", "RoleARN": "arn:aws:iam::000000000000:role/any",
        "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1}})
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder) / "alluvial.toml"
        config.write_text(SETTINGS % folder)
        STREAM.put(rows(first))
        wanted = last_sequences()
        process = subprocess.Popen([alluvial, "run", "--config", config])
        deadline = time.monotonic() + LIMIT_SECONDS
        while not (done := {shard: lease["checkpoint"]["S"] for shard, lease in leases().items()} == wanted) and time.monotonic() < deadline:
            time.sleep(0.2)
        check("alluvial checkpoints the last records", done, (leases(), wanted))
        process.terminate()
        check("alluvial stops in order", process.wait(60) == 0, f"exit {process.returncode}")
    firehose.delete_delivery_stream(DeliveryStreamName=NAME)
    numbers = []
    for item in s3.list_objects_v2(Bucket=NAME)["Contents"]:
        text = gzip.decompress(s3.get_object(Bucket=NAME, Key=item["Key"])["Body"].read())
        numbers += [json.loads(line)["n"] for line in text.splitlines()]
    return numbers


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
    free = [lease for lease in leases().values() if "leaseOwner" not in lease]
    check("alluvial gives its leases back", len(free) == 2, leases())
    check_turn("second turn of KCL", turn_of_kcl(command, "kcl-second", 2 * BATCH), 2 * BATCH)


main()
