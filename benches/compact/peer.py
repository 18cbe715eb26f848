"""Runs a contender or a check, and prints what it took or found as one JSON object.

    peer.py run COMMAND...            any command: wall and CPU seconds, and the most memory it had
    peer.py duckdb SRC DST MODE       DuckDB's COPY, as a process of its own
    peer.py check SET DST             rows and sums of the Parquet below DST, by pyarrow
"""

import json
import pathlib
import resource
import subprocess
import sys
import time

# What DuckDB is asked for. `default` is what its manual shows; `tuned` is the fastest that was found for its defaults'
# result; `whole` reads every row for the schema, as `compact` does.
DUCKDB = {
    "default": ("", "format='newline_delimited', compression='gzip'", ""),
    "tuned": ("SET preserve_insertion_order=false;", "format='newline_delimited', compression='gzip'", ", ROW_GROUP_SIZE {group}"),
    "whole": ("SET preserve_insertion_order=false;",
              "format='newline_delimited', compression='gzip', union_by_name=true, sample_size=-1", ", ROW_GROUP_SIZE {group}"),
}


def run(command):
    began = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wall = time.monotonic() - began
    if done.returncode:
        sys.exit(f"{command[0]} failed: {done.stderr}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    # A process that is forked from this one begins with this one's memory: small against any contender's.
    return {"wall": wall, "cpu": used.ru_utime + used.ru_stime, "mib": used.ru_maxrss / 1024}


def copy(src, dst, mode, group):
    import duckdb
    pathlib.Path(dst).mkdir(parents=True)
    before, reading, writing = DUCKDB[mode]
    connection = duckdb.connect()
    connection.execute(before)
    connection.execute(
        f"COPY (SELECT * FROM read_json('{src}/*', {reading})) TO '{dst}/out.parquet' "
        f"(FORMAT parquet, COMPRESSION zstd{writing.format(group=group)})")


def check(name, dst):
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    rows, ints, doubles = 0, 0, 0.0
    bytes_out = 0
    for file in sorted(pathlib.Path(dst).rglob("*.parquet")):
        bytes_out += file.stat().st_size
        for batch in pq.ParquetFile(file).iter_batches(batch_size=64 if name == "A" else 65536):
            rows += batch.num_rows
            if name == "A":
                xs = pc.list_flatten(batch.column("testAdditonalDataList"))
                ints += pc.sum(pc.struct_field(xs, "dimesnion_X")).as_py()
                gps = pc.list_flatten(batch.column("gpsSensorList"))
                for value in pc.struct_field(gps, "longitude").to_pylist():
                    doubles += value
            else:
                ints += pc.sum(batch.column("currentTemperature")).as_py()
    return {"rows": rows, "int_sum": ints, "double_sum": doubles, "bytes": bytes_out}


def main():
    what, *rest = sys.argv[1:]
    if what == "run":
        print(json.dumps(run(rest)))
    elif what == "copy":
        copy(*rest)
    elif what == "duckdb":
        print(json.dumps(run([sys.executable, __file__, "copy", *rest])))
    elif what == "check":
        print(json.dumps(check(*rest)))


main()
