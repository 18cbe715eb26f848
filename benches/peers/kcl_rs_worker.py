"""A kcl-rs worker that says what the benchmarks' own worker says: `kcl_rs_worker.py STREAM APPLICATION WORKER log|count [NUMBER]`.

`log` says each record; with a number, the handler fails once, at the record of this number. `count` says counts, at once when NUMBER
records came. Both checkpoint every two seconds, as the worker that this one is compared with does by default.
KCL_SHARD_SYNC_MILLIS sets shard_sync_interval_millis.
"""

import os
import signal
import sys
import threading
import time

import kcl_rs

stream, application, worker, mode, *number = sys.argv[1:]
number = int(number[0]) if number else None
COUNT_INTERVAL_NANOS = 50_000_000
CHECKPOINT_INTERVAL_NANOS = 2_000_000_000
saying = threading.Lock()
stop = threading.Event()
failed = False
counted = {"records": 0, "bytes": 0, "said": 0}


def log(shard, records):
    """Says the records up to the one that fails."""
    global failed
    with saying:
        now, lines, fails = time.time_ns(), [], False
        for record in records:
            if not failed and number is not None and record.partition_key == str(number):
                failed = fails = True
                break
            lines.append(f"record {now} {shard} {record.sequence_number} {record.partition_key}\n")
        sys.stdout.write("".join(lines))
        sys.stdout.flush()
    if fails:
        raise ValueError("a handler failed")


def count(records):
    size = sum(len(record.data) for record in records)
    with saying:
        counted["records"] += len(records)
        counted["bytes"] += size
        now = time.time_ns()
        if now - counted["said"] >= COUNT_INTERVAL_NANOS or number is not None and counted["records"] >= number:
            counted["said"] = now
            print("count", now, counted["records"], counted["bytes"], flush=True)


class Processor(kcl_rs.RecordProcessorBase):
    def initialize(self, start):
        self.shard, self.checkpointed = start.shard_id, time.time_ns()

    def process_records(self, batch):
        if mode == "log":
            log(self.shard, batch.records)
        else:
            count(batch.records)
        if time.time_ns() - self.checkpointed >= CHECKPOINT_INTERVAL_NANOS:
            self.checkpointed = time.time_ns()
            batch.checkpointer.checkpoint()

    def shard_ended(self, end):
        end.checkpointer.checkpoint()

    def lease_lost(self, lost):
        pass

    def shutdown_requested(self, request):
        request.checkpointer.checkpoint()


settings = {}
if "KCL_SHARD_SYNC_MILLIS" in os.environ:
    settings["shard_sync_interval_millis"] = int(os.environ["KCL_SHARD_SYNC_MILLIS"])
scheduler = kcl_rs.Scheduler(
    stream_name=stream, application_name=application, record_processor_factory=Processor, worker_identifier=worker,
    region=os.environ["AWS_REGION"], endpoint_url=os.environ["AWS_ENDPOINT_URL"], initial_position="TRIM_HORIZON",
    access_key_id=os.environ["AWS_ACCESS_KEY_ID"], secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"], **settings)
signal.signal(signal.SIGTERM, lambda *_: stop.set())
scheduler.start()
stop.wait()
scheduler.shutdown()
