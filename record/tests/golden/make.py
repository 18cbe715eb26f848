"""Packs the cases of cases.json with AWS's aggregator for Python: `pip install aws_kinesis_agg==1.2.3 six`, then
`python make.py`. Writes one file a case, in hexadecimal."""

import json
import pathlib

from aws_kinesis_agg.aggregator import RecordAggregator

here = pathlib.Path(__file__).parent
for name, records in json.loads((here / "cases.json").read_text()).items():
    aggregator = RecordAggregator()
    for record in records:
        data = bytes.fromhex(record["hex"] * record.get("times", 1))
        assert aggregator.add_user_record(record["key"], data, record.get("hash")) is None
    _, _, packed = aggregator.clear_and_get().get_contents()
    (here / f"{name}.python.hex").write_text(packed.hex() + "\n")
