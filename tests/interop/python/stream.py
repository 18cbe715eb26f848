"""One Kinesis stream and what the checks do to it, by boto3."""


class Stream:
    def __init__(self, kinesis, name, shard_count):
        self.kinesis, self.name, self.sent = kinesis, name, []
        kinesis.create_stream(StreamName=name, ShardCount=shard_count)
        self.wait()

    def wait(self):
        self.kinesis.get_waiter("stream_exists").wait(StreamName=self.name)

    def shards(self):
        pages = self.kinesis.get_paginator("list_shards").paginate(StreamName=self.name)
        return {shard["ShardId"]: shard for page in pages for shard in page["Shards"]}

    def put(self, entries):
        failed = self.kinesis.put_records(StreamName=self.name, Records=entries)["FailedRecordCount"]
        if failed:
            raise SystemExit(f"PutRecords: {failed} failed")
        self.sent += entries

    def split(self, shard):
        """Splits `shard` in the middle; returns its two children."""
        before = self.shards()
        low, high = (int(before[shard]["HashKeyRange"][key]) for key in ("StartingHashKey", "EndingHashKey"))
        self.kinesis.split_shard(StreamName=self.name, ShardToSplit=shard, NewStartingHashKey=str((low + high + 1) // 2))
        self.wait()
        return sorted(set(self.shards()) - set(before))

    def merge(self, shards):
        """Merges two neighbours; returns their one child, as a list."""
        before = self.shards()
        self.kinesis.merge_shards(StreamName=self.name, ShardToMerge=shards[0], AdjacentShardToMerge=shards[1])
        self.wait()
        return sorted(set(self.shards()) - set(before))
