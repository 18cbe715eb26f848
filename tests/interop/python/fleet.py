"""Workers of one application, of the Kinesis Client Library and of alluvial, and the lease table that they share."""

import base64
import gzip
import json
import pathlib
import subprocess
import tempfile
import threading

import boto3

from checks import Arrived, check

SETTINGS = """
[source]
stream = "{name}"
application = "{name}"
worker = "{worker}"
failover = "3s"
[pack]
max_wait = "100ms"
[sink]
type = "firehose"
delivery_stream = "{name}"
[on_error]
dead_letter = "{folder}"
"""


def leases(name):
    """The lease rows of the application by shard, without rows of other kinds."""
    pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=name, ConsistentRead=True)
    return {item["leaseKey"]["S"]: item for page in pages for item in page["Items"] if item["leaseKey"]["S"].startswith("shardId-")}


class KclWorker:
    """A worker of the client library that prints `record SHARD SEQUENCE BASE64`, each record a JSON object with the number `n`."""

    def __init__(self, command, name, worker):
        self.worker, self.arrived = worker, Arrived()
        self.process = subprocess.Popen([*command, name, name, worker], stdout=subprocess.PIPE, stderr=open(f"{worker}.log", "w"), text=True)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            match line.split():
                case ["record", shard, sequence, data]:
                    self.arrived.add(shard, sequence, base64.b64decode(data))

    def numbers(self):
        return [json.loads(data)["n"] for _, _, data in list(self.arrived.records)]

    def stop(self):
        self.process.terminate()
        check(f"{self.worker} stops in order", self.process.wait(60) == 0, f"exit {self.process.returncode}")


class Alluvial:
    """A worker of alluvial, and the delivery stream and bucket that it delivers to, both called `name`."""

    def __init__(self, alluvial, name, worker):
        self.name, self.worker = name, worker
        self.firehose, self.s3 = boto3.client("firehose"), boto3.client("s3")
        self.s3.create_bucket(Bucket=name)
        self.firehose.create_delivery_stream(DeliveryStreamName=name, ExtendedS3DestinationConfiguration={
            "BucketARN": f"arn:aws:s3:::{name}", "RoleARN": "arn:aws:iam::000000000000:role/any",
            "BufferingHints": {"SizeInMBs": 1, "IntervalInSeconds": 1}})
        self.folder = tempfile.TemporaryDirectory()
        config = pathlib.Path(self.folder.name) / "alluvial.toml"
        config.write_text(SETTINGS.format(name=name, worker=worker, folder=self.folder.name))
        self.process = subprocess.Popen([alluvial, "run", "--config", config])

    def stop(self):
        self.process.terminate()
        check(f"{self.worker} stops in order", self.process.wait(60) == 0, f"exit {self.process.returncode}")
        self.folder.cleanup()

    def numbers(self):
        """What was delivered; the delivery stream is deleted, so that its buffer is in the bucket."""
        self.firehose.delete_delivery_stream(DeliveryStreamName=self.name)
        numbers = []
        for item in self.s3.list_objects_v2(Bucket=self.name)["Contents"]:
            text = gzip.decompress(self.s3.get_object(Bucket=self.name, Key=item["Key"])["Body"].read())
            numbers += [json.loads(line)["n"] for line in text.splitlines()]
        return numbers
