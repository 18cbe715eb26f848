"""Runs a contender or a check, and prints what it took or found as one JSON object.

    peer.py run COMMAND...            any command: wall and CPU seconds, and the most memory it had
    peer.py peer NAME SRC DST SET [MODE]   a peer, as a process of its own
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


def duckdb(src, dst, nested, mode):
    import duckdb
    before, reading, writing = DUCKDB[mode]
    group = 128 if nested else 122880
    connection = duckdb.connect()
    connection.execute(before)
    connection.execute(
        f"COPY (SELECT * FROM read_json('{src}/*', {reading})) TO '{dst}/out.parquet' "
        f"(FORMAT parquet, COMPRESSION zstd{writing.format(group=group)})")


def chdb(src, dst, nested, mode):
    import chdb
    chdb.query(
        f"INSERT INTO FUNCTION file('{dst}/out.parquet', 'Parquet') SELECT * FROM file('{src}/*', 'JSONEachRow', 'auto', 'gzip') "
        "SETTINGS output_format_parquet_compression_method='zstd'")


def polars(src, dst, nested, mode):
    import polars
    polars.scan_ndjson(sorted(pathlib.Path(src).iterdir())).sink_parquet(f"{dst}/out.parquet", compression="zstd")


def pyarrow(src, dst, nested, mode):
    """A thread for each core, and a file for each thread."""
    import concurrent.futures
    import os
    import pyarrow
    import pyarrow.json
    import pyarrow.parquet
    threads = os.cpu_count()
    files = sorted(pathlib.Path(src).iterdir())
    # A block holds whole rows: those of A are longer than one of the default size.
    reading = pyarrow.json.ReadOptions(block_size=(32 if nested else 4) << 20, use_threads=False)

    def work(number):
        writer = None
        for file in files[number::threads]:
            with pyarrow.CompressedInputStream(pyarrow.OSFile(str(file)), "gzip") as stream:
                table = pyarrow.json.read_json(stream, read_options=reading)
            writer = writer or pyarrow.parquet.ParquetWriter(f"{dst}/{number}.parquet", table.schema, compression="zstd")
            writer.write_table(table)
        if writer:
            writer.close()

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(threads)))


def pyspark(src, dst, nested, mode):
    """Each object is inflated whole by one task, and the schema inferred from all of the text, as the AWS post's job does."""
    import gzip
    from pyspark.sql import SparkSession
    session = (SparkSession.builder.master("local[*]").config("spark.driver.memory", "8g").config("spark.ui.enabled", "false")
               .config("spark.sql.parquet.compression.codec", "zstd").getOrCreate())
    files = sorted(str(file) for file in pathlib.Path(src).iterdir())

    def lines(file):
        with gzip.open(file, "rt", encoding="utf-8") as text:
            return text.read().splitlines()

    rows = session.sparkContext.parallelize(files, len(files)).flatMap(lines)
    session.read.json(rows).write.parquet(f"{dst}/out")
    session.stop()


PEERS = {peer.__name__: peer for peer in (duckdb, chdb, polars, pyarrow, pyspark)}


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
    elif what == "peer":
        print(json.dumps(run([sys.executable, __file__, "within", *rest])))
    elif what == "within":
        name, src, dst, data, *mode = rest
        pathlib.Path(dst).mkdir(parents=True)
        PEERS[name](src, dst, data == "A", *(mode or [""]))
    elif what == "check":
        print(json.dumps(check(*rest)))


main()
