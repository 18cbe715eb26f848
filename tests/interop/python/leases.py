"""A worker of the Kinesis Client Library's kind against a stream that is split and merged while the worker reads it.

    leases.py COMMAND …    started with the stream and the application as its last arguments

The worker prints `record SHARD SEQUENCE BASE64` and `ended SHARD`. When all has come it gets SIGTERM, and its lease table is
compared with what was put.
"""

import base64
import signal
import subprocess
import sys
import threading

import boto3

from checks import Arrived, check, records
from stream import Stream

NAME = "interop-leases"


def read_lines(worker, arrived):
    for line in worker.stdout:
        match line.split():
            case ["record", shard, sequence, data]:
                arrived.add(shard, sequence, base64.b64decode(data))
            case ["ended", shard]:
                arrived.end(shard)
    arrived.fail(f"the worker ended with {worker.wait()}")


def leases():
    pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=NAME, ConsistentRead=True)
    return {item["leaseKey"]["S"]: item for page in pages for item in page["Items"] if item["leaseKey"]["S"].startswith("shardId-")}


def main():
    stream = Stream(boto3.client("kinesis"), NAME, 2)
    roots = sorted(stream.shards())
    stream.put(records(0, 200))
    arrived = Arrived()
    worker = subprocess.Popen([*sys.argv[1:], NAME, NAME], stdout=subprocess.PIPE, text=True)
    try:
        threading.Thread(target=read_lines, args=(worker, arrived), daemon=True).start()
        arrived.wait_for("what was there arrives", lambda: len(arrived.records) >= 200)
        children = stream.split(roots[0])
        stream.put(records(200, 200))
        arrived.wait_for("the children of a split are read", lambda: len(arrived.records) >= 400)
        merged = stream.merge(children)
        stream.put(records(400, 200))
        arrived.wait_for("the child of a merge is read", lambda: len(arrived.records) >= 600)
        arrived.check_all("worker", stream.sent)
        closed = sorted([roots[0], *children])
        check("the closed shards ended, and no other", sorted(arrived.ended) == closed, arrived.ended)

        worker.send_signal(signal.SIGTERM)
        check("the worker stops in order", worker.wait(60) == 0, f"exit {worker.returncode}")
    finally:
        worker.kill()
        worker.wait()
    table = leases()
    check("every shard has a lease", sorted(table) == sorted([*roots, *children, *merged]), sorted(table))
    found = {shard: table[shard]["checkpoint"]["S"] for shard in sorted(table)}
    last = {shard: str(sequence) for shard, sequence, _ in arrived.records}
    wanted = {shard: "SHARD_END" if shard in closed else last[shard] for shard in sorted(table)}
    check("checkpoints are SHARD_END, or the last record of an open shard", found == wanted, (found, wanted))
    check("the parent's lease names its children", sorted(table[roots[0]].get("childShardIds", {}).get("SS", [])) == children, table[roots[0]])


main()
