"""A kcl-rs worker that prints what it gets, for leases.py: `record SHARD SEQUENCE BASE64` and `ended SHARD`."""

import base64
import os
import signal
import sys
import threading

import kcl_rs

stream, application = sys.argv[1:]
printing = threading.Lock()
stop = threading.Event()


def say(*words):
    with printing:
        print(*words, flush=True)


class Processor(kcl_rs.RecordProcessorBase):
    def initialize(self, start):
        self.shard = start.shard_id

    def process_records(self, batch):
        for record in batch.records:
            say("record", self.shard, record.sequence_number, base64.b64encode(record.data).decode())
        batch.checkpointer.checkpoint()

    def shard_ended(self, end):
        end.checkpointer.checkpoint()
        say("ended", self.shard)

    def lease_lost(self, lost):
        pass

    def shutdown_requested(self, request):
        request.checkpointer.checkpoint()


scheduler = kcl_rs.Scheduler(
    stream_name=stream, application_name=application, record_processor_factory=Processor, worker_identifier="worker-1",
    region=os.environ["AWS_REGION"], endpoint_url=os.environ["AWS_ENDPOINT_URL"], initial_position="TRIM_HORIZON",
    access_key_id=os.environ["AWS_ACCESS_KEY_ID"], secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    # A minute by default, and the start waits for one whole interval.
    shard_sync_interval_millis=1000)
signal.signal(signal.SIGTERM, lambda *_: stop.set())
scheduler.start()
stop.wait()
scheduler.shutdown()
