"""Kinesis, Firehose, S3 and DynamoDB by the AWS CLI, as it is typed in a shell. It has no SubscribeToShard: GetRecords reads."""

import base64
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

from checks import Arrived, check

AWS = str(pathlib.Path(sys.executable).parent / "aws")
STREAM = ("--stream-name", "interop")


def aws_run(*words):
    return subprocess.run([AWS, *map(str, words)], capture_output=True, text=True)


def aws(*words):
    """Runs a command that must succeed; returns its answer."""
    done = aws_run(*words)
    if done.returncode:
        sys.exit(f"aws {' '.join(map(str, words))[:200]}: {done.stderr.strip()}")
    return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout


def shards():
    return sorted(shard["ShardId"] for shard in aws("kinesis", "list-shards", *STREAM)["Shards"])


def put(first, count):
    # Version 1 of the CLI takes data as text, and shows it in base64.
    entries = [{"PartitionKey": f"key-{n % 17}", "Data": f"{n}|key-{n % 17}|é"} for n in range(first, first + count)]
    answer = aws("kinesis", "put-records", *STREAM, "--records", json.dumps(entries))
    check("put-records takes all", answer["FailedRecordCount"] == 0, answer)
    return [{**entry, "Data": entry["Data"].encode()} for entry in entries]


def get_all(shard, arrived):
    """Reads a shard to its tip, or to its end; returns the last answer."""
    iterator = aws("kinesis", "get-shard-iterator", *STREAM, "--shard-id", shard, "--shard-iterator-type", "TRIM_HORIZON")["ShardIterator"]
    while True:
        answer = aws("kinesis", "get-records", "--shard-iterator", iterator)
        for record in answer["Records"]:
            arrived.add(shard, record["SequenceNumber"], base64.b64decode(record["Data"]))
        iterator = answer.get("NextShardIterator")
        if not iterator or (not answer["Records"] and answer["MillisBehindLatest"] == 0):
            return answer


def kinesis_checks():
    aws("kinesis", "create-stream", *STREAM, "--shard-count", 2)
    aws("kinesis", "wait", "stream-exists", *STREAM)
    roots = shards()
    check("list-shards shows both shards of a new stream", len(roots) == 2, roots)
    sent = put(0, 100)
    summary = aws("kinesis", "describe-stream-summary", *STREAM)["StreamDescriptionSummary"]
    aws("kinesis", "register-stream-consumer", "--stream-arn", summary["StreamARN"], "--consumer-name", "interop")
    consumers = aws("kinesis", "list-stream-consumers", "--stream-arn", summary["StreamARN"])["Consumers"]
    check("list-stream-consumers shows the new consumer", [c["ConsumerName"] for c in consumers] == ["interop"], consumers)

    # The first of two shards has the hash keys below 2**127.
    aws("kinesis", "split-shard", *STREAM, "--shard-to-split", roots[0], "--new-starting-hash-key", 2**126)
    aws("kinesis", "wait", "stream-exists", *STREAM)
    children = sorted(set(shards()) - set(roots))
    sent += put(100, 100)
    aws("kinesis", "merge-shards", *STREAM, "--shard-to-merge", children[0], "--adjacent-shard-to-merge", children[1])
    aws("kinesis", "wait", "stream-exists", *STREAM)
    merged = sorted(set(shards()) - set(roots) - set(children))
    sent += put(200, 100)
    arrived = Arrived()
    last = {shard: get_all(shard, arrived) for shard in [*roots, *children, *merged]}
    arrived.check_all("get-records", sent)
    for shard, born in ((roots[0], children), (children[0], merged), (children[1], merged)):
        named = sorted(child["ShardId"] for child in last[shard].get("ChildShards", []))
        check(f"get-records ends {shard} with its children", named == born and "NextShardIterator" not in last[shard], last[shard])


def firehose_checks():
    aws("s3", "mb", "s3://interop")
    destination = {"BucketARN": "arn:aws:s3:::interop", "RoleARN": "arn:aws:iam::000000000000:role/firehose", "Prefix": "rows/",
                   "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1}}
    aws("firehose", "create-delivery-stream", "--delivery-stream-name", "interop",
        "--extended-s3-destination-configuration", json.dumps(destination))
    rows = ["first\n", "last é\n"]
    answer = aws("firehose", "put-record-batch", "--delivery-stream-name", "interop",
                 "--records", json.dumps([{"Data": row} for row in rows]))
    check("put-record-batch takes all", answer["FailedPutCount"] == 0, answer)
    until = time.monotonic() + 30
    while not (listed := aws_run("s3", "ls", "--recursive", "s3://interop/rows/").stdout) and time.monotonic() < until:
        time.sleep(0.2)
    check("s3 ls shows the object that Firehose left", len(listed.splitlines()) == 1, listed)
    with tempfile.TemporaryDirectory() as folder:
        got = pathlib.Path(folder, "got")
        aws("s3", "cp", f"s3://interop/{listed.split()[-1]}", got)
        check("s3 cp brings its bytes", got.read_bytes() == "".join(rows).encode(), got.read_bytes())
        large, back = pathlib.Path(folder, "large"), pathlib.Path(folder, "back")
        large.write_bytes(os.urandom(20_000_000))  # above 8 MB the CLI sends parts, and fetches ranges
        aws("s3", "cp", large, "s3://interop/large")
        aws("s3", "cp", "s3://interop/large", back)
        check("s3 cp carries 20 MB there and back", back.read_bytes() == large.read_bytes(), back.stat().st_size)


def dynamodb_checks():
    aws("dynamodb", "create-table", "--table-name", "interop", "--billing-mode", "PAY_PER_REQUEST",
        "--key-schema", "AttributeName=id,KeyType=HASH", "--attribute-definitions", "AttributeName=id,AttributeType=S")
    aws("dynamodb", "wait", "table-exists", "--table-name", "interop")
    item = {"id": {"S": "a"}, "owner": {"S": "me"}}
    put_item = ["dynamodb", "put-item", "--table-name", "interop", "--condition-expression", "attribute_not_exists(id)"]
    aws(*put_item, "--item", json.dumps(item))
    # What the service answers is in the debug log only.
    refused = aws_run(*put_item, "--item", '{"id": {"S": "a"}}', "--return-values-on-condition-check-failure", "ALL_OLD", "--debug")
    check("a condition that fails is refused", refused.returncode and "ConditionalCheckFailedException" in refused.stderr, refused.stderr)
    check("it is refused with ALL_OLD", '"owner":{"S":"me"}' in refused.stderr.replace(" ", ""), refused.stderr[-500:])
    got = aws("dynamodb", "get-item", "--table-name", "interop", "--key", '{"id": {"S": "a"}}')["Item"]
    check("the item is as it was", got == item, got)


kinesis_checks()
firehose_checks()
dynamodb_checks()
