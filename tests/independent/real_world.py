"""JSON as the world writes it, through `compact`, read back by pyarrow and DuckDB, and compared value by value.

    python tests/independent/real_world.py --compact target/release/compact [--s3 URL --bucket NAME] [--only tweets]

Makes objects of five kinds (package metadata, geodata, posts of a social network, logs, and names and values that are
meant to hurt), gzips them as Firehose leaves them, runs `compact` with several settings, and compares every value of
every row that pyarrow and DuckDB read, partitions included. With --s3, the objects go to a bucket first (by the AWS
command line's environment), and compact reads and writes there. Exits with 1 at the first difference.
"""

import argparse
import collections
import datetime
import decimal
import gzip
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import urllib.parse

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from read_back import same

NULL = "__HIVE_DEFAULT_PARTITION__"


def packages(rng, count):
    """Keys that are values, licences that are strings or objects, versions with odd numbers."""
    names = [f"lib-{n}" for n in range(200)] + ["@scope/tool", "left_pad", "constructor", "__proto__"]
    for n in range(count):
        made = {
            "id": n, "name": rng.choice(names), "version": f"{rng.randint(0, 9)}.{rng.randint(0, 30)}.{rng.randint(0, 99)}",
            "description": rng.choice([None, "", "Fast, small & “typed” 🚀", "line one\nline two\ttabbed \\ \"quoted\""]),
            "dependencies": {rng.choice(names): f"^{rng.randint(0, 9)}.0.0" for _ in range(rng.randint(0, 6))},
            "license": rng.choice(["MIT", {"type": "MIT", "url": "https://example.org/mit"}, ["MIT", "Apache-2.0"], None]),
            "keywords": rng.sample(["http", "json", "cli", "ünïcode", "日本"], rng.randint(0, 4)),
            "dist": {"size": rng.randint(100, 10**9), "integrity": "sha512-" + "%0128x" % rng.getrandbits(512)},
            "stars": rng.choice([rng.randint(0, 10**6), None]),
            "private": rng.random() < 0.1,
        }
        if n % 7 == 0:
            made["engines"] = {"node": ">=18"} if n % 14 else [">=18"]
        yield made


def geodata(rng, count):
    """Coordinates of several depths, doubles to the last bit, properties that come and go."""
    point = lambda: [rng.uniform(-180, 180), rng.uniform(-90, 90)]
    for n in range(count):
        kind = rng.choice(["Point", "Point", "LineString", "Polygon", "MultiPolygon"])
        shape = {
            "Point": point, "LineString": lambda: [point() for _ in range(5)],
            "Polygon": lambda: [[point() for _ in range(4)]],
            "MultiPolygon": lambda: [[[point() for _ in range(4)]] for _ in range(2)],
        }[kind]()
        made = {"id": n, "type": "Feature", "geometry": {"type": kind, "coordinates": shape}, "bbox": point() + point(),
                "properties": {"name": rng.choice(["Øya", "Ōsaka", "São Paulo", ""]), "height": rng.choice([1, 1.5, None])}}
        if kind == "Point" and n % 5 == 0:
            made["geometry"]["coordinates"].append(rng.randint(0, 3000))
        if n % 3 == 0:
            made["properties"]["population"] = rng.randint(0, 10**7)
        yield made


def posts(rng, count):
    """Numbers past 2^53 beside their strings, deep optional objects, emoji, escapes, dates of two kinds."""
    for n in range(count):
        number = 1_500_000_000_000_000_000 + rng.randint(0, 10**17)
        at = datetime.datetime(2026, 11, 23, tzinfo=datetime.timezone.utc) + datetime.timedelta(seconds=rng.randint(0, 2 * 86400))
        made = {
            "id": n, "post_id": number, "post_id_str": str(number), "created_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "text": "".join(rng.choice(["🇳🇴", "👩‍👩‍👧", "é", "e\u0301", "\u202e", "&amp;", " \n", "plain "]) for _ in range(10)),
            "user": {"id": rng.randint(1, 2**40), "name": rng.choice(["a", "Ω"]), "verified": rng.random() < 0.5,
                     "location": rng.choice([None, "Oslo", ""])},
            "entities": {"hashtags": [{"text": "x", "indices": [0, 2]}] * rng.randint(0, 2), "urls": []},
            "lang": rng.choice(["en", "no", "ja", "und", None]),
            "place": None,
        }
        if n % 4 == 0:
            made["coordinates"] = {"type": "Point", "coordinates": [rng.uniform(-1, 1), rng.uniform(-1, 1)]}
        if n % 6 == 0:
            made["retweeted"] = {"id": n, "user": {"id": 1, "name": "b"}, "entities": {"hashtags": []}}
        yield made


def logs(rng, count):
    """Levels, durations that are whole or not, contexts of any shape, stack traces, an integer that is not one."""
    for n in range(count):
        made = {
            "id": n, "ts": 1_795_410_000_000 + n * 37, "level": rng.choice(["INFO", "INFO", "WARN", "ERROR"]),
            "host": f"ip-10-0-{rng.randint(0, 3)}-{rng.randint(0, 255)}", "message": f"GET /orders/{n} ? took {n % 90} ms",
            "took": n % 90 if n % 2 else (n % 90) + 0.25, "status": rng.choice([200, 200, 404, "timeout"]),
            "context": rng.choice([{}, {"user": n}, {"user": "x", "tags": {"a": [1]}}, [], [{"k": None}], None, "none"]),
            "bytes": rng.choice([0, 2**53 + 1, 2**63, -(2**63), 17]),
        }
        if made["level"] == "ERROR":
            made["stack"] = "\n".join(f"  at f{k} (/srv/app.js:{k}:{k})" for k in range(20))
        yield made


def hostile(rng, count):
    """Names and values that are meant to hurt."""
    values = ["..", "../../x", "a/b", "a=b", "%2F", "x y", " lead", "trail ", "ø", "😀", "'", "\"", "#?&+", "C:\\x", "\n", "1", "01",
              "true", "null", NULL, "", "x" * 300, "[1]", "{}", "a,b;c"]
    for n in range(count):
        made = {"id": n, "where": rng.choice(values), "a.b": n, "sp ace": n, "": n, "ünï": n, "select": n, "\"q\"": n, "x,y": n,
                "list.element": [n], "deep": {"a": {"b ": {"c.d": [[{"e": n}]]}}}, "path/\u2028": n, "dt": "day", "_hidden": n}
        if n % 3 == 0:
            made["where"] = None
        if n % 50 == 1:
            del made["where"]
        yield made


KINDS = {"packages": packages, "geodata": geodata, "posts": posts, "logs": logs, "hostile": hostile}

SCHEMA = """
  id bigint, ts timestamp, level string, host string, message string, took decimal(10,2), status int,
  context string, stack string, extra map<string,int>
"""

SETTINGS = {
    "defaults": (None, []),
    "sorted": (None, ["--sort", "id:desc", "--bloom", "id", "--partition-by", "none"]),
    "by name": ("packages", ["--partition-by", "name"]),
    "by kind": ("geodata", ["--partition-by", "geometry.type,key:day", "--byte-stream-split"]),
    "by time": ("posts", ["--partition-by", "created_at:hour", "--timestamps", "--sort", "lang,post_id"]),
    "by user": ("posts", ["--partition-by", "lang,user.verified", "--write-partition-columns"]),
    "by milliseconds": ("logs", ["--partition-by", "ts:hour,level", "--bloom", "host"]),
    "given": ("logs", ["--schema", "SCHEMA", "--partition-by", "level"]),
    "by hostile values": ("hostile", ["--partition-by", "where"]),
    "by hostile names": ("hostile", ["--partition-by", "sp ace,_hidden", "--target-size", "1MiB"]),
}


def text_of(value):
    """A value as a partition shows it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value)


def is_shown(value):
    escaped = "".join(f"%{ord(c):02X}" if ord(c) < 32 or c in "\"#%'*/:=?\\{[]^<>|+&\x7f" else c for c in value)
    return value != "" and value != NULL and len(escaped.encode()) <= 180


def check_rows(rows, types, objects, who, folder):
    """Every row equals its object; what a column does not have, its folder or the overflow has."""
    seen = set()
    for row in rows:
        made = objects[row["id"]]
        if row["id"] in seen:
            sys.exit(f"{who}: row {row['id']} came twice")
        seen.add(row["id"])
        rest = json.loads(row.get("_overflow") or "{}")
        levels = folder(row)
        for name, wanted in made.items():
            if name in rest:
                continue
            if name not in types:
                if wanted is None and levels.get(name, None) is None or levels.get(name) == text_of(wanted):
                    continue
                sys.exit(f"{who}: row {row['id']}, field {name!r}: {wanted!r} is nowhere; partitions {levels}")
            found, kind = row[name], types[name]
            if pa.types.is_timestamp(kind):
                wanted = datetime.datetime.fromisoformat(wanted.replace("Z", "+00:00")) if isinstance(wanted, str) else \
                    datetime.datetime.fromtimestamp(wanted / 1000, datetime.timezone.utc)
                good = found == wanted
            elif pa.types.is_decimal(kind):
                good = found == decimal.Decimal(repr(wanted))
            elif pa.types.is_integer(kind) and kind.bit_width == 32:
                good = found == wanted
            else:
                good = same(wanted, found, kind)
            if not good:
                sys.exit(f"{who}: row {row['id']}, field {name!r} ({kind}): {wanted!r} became {found!r}")
    if len(seen) != len(objects):
        sys.exit(f"{who}: {len(objects) - len(seen)} of {len(objects)} rows are missing")


def run(options, kind, objects, label, more, work):
    raw, table = work / "raw", work / "table"
    source, target = raw, table
    if options.s3:
        prefix = f"{kind}-{label}".replace(" ", "-")
        source, target = f"s3://{options.bucket}/raw-{prefix}", f"s3://{options.bucket}/table-{prefix}"
        subprocess.run([*options.copy, "cp", "--recursive", "--quiet", str(raw), source], check=True)
    (work / "schema.sql").write_text(SCHEMA)
    more = [str(work / "schema.sql") if word == "SCHEMA" else word for word in more]
    aws = ["--endpoint-url", options.s3] if options.s3 else []
    ran = subprocess.run([options.compact, "run", source, target, "--json", *more, *aws], stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    if ran.returncode:
        sys.exit(f"{kind}, {label}: compact exits with {ran.returncode}: {ran.stderr.decode()}")
    report = json.loads(ran.stdout)
    if options.s3:
        subprocess.run([*options.copy, "cp", "--recursive", "--quiet", target, str(table)], check=True)

    # pyarrow, a file at a time, so that folders are read by this script and not by inference.
    levels_of, rows, types = {}, [], {}
    for file in sorted(table.rglob("*.parquet")):
        folder = {}
        for part in file.relative_to(table).parts[:-1]:
            name, value = part.split("=", 1)
            value = None if value == NULL else urllib.parse.unquote(value)
            folder[urllib.parse.unquote(name)] = value
        content = pq.ParquetFile(file).read()
        types |= {field.name: field.type for field in content.schema}
        for row in content.to_pylist():
            levels_of[row["id"]] = folder
            rows.append(row)
    columns = list(types)
    rows = [{name: row.get(name) for name in columns} for row in rows]
    check_rows(rows, types, objects, f"{kind}, {label}, pyarrow", lambda row: levels_of[row["id"]])

    # DuckDB, with the partitions as it reads them.
    names = report["partition_columns"]
    hive = ", hive_partitioning = true, hive_types_autocast = false" if names else ""
    read = duckdb.connect()
    relation = read.sql(f"select * from read_parquet('{table}/**/*.parquet', union_by_name = true{hive})")
    found = relation.to_arrow_table() if hasattr(relation, "to_arrow_table") else relation.fetch_arrow_table()
    # DuckDB has a name of its own for a column without one.
    unnamed = [name for name in found.schema.names if name not in types and name not in names]
    if unnamed and "" in types:
        found = found.rename_columns(["" if name == unnamed[0] else name for name in found.schema.names])
    seen = found.to_pylist()
    levels = lambda row: {name: row[name] for name in names}
    for row in seen:
        if levels(row) != {name: levels_of[row["id"]].get(name) for name in names}:
            sys.exit(f"{kind}, {label}, DuckDB: row {row['id']} is in {levels(row)}, not in {levels_of[row['id']]}")
    kinds = {field.name: types[field.name] for field in found.schema if field.name in types}
    missing = [name for name in types if name not in kinds]
    if missing:
        sys.exit(f"{kind}, {label}, DuckDB: columns {missing} are missing of {list(types)}")
    for row in seen:
        for name in names:
            if name in types:
                row[name] = levels_of[row["id"]][name] if row[name] is None else row[name]
    overridden = [name for name in names if name in types]
    check_rows([{name: value for name, value in row.items() if name not in overridden} | {name: objects[row["id"]].get(name) for name in overridden}
                for row in seen], kinds, objects, f"{kind}, {label}, DuckDB", levels)

    # The whole as a pyarrow dataset, with hive partitions as text.
    flavour = ds.partitioning(pa.schema([(name, pa.string()) for name in names]), flavor="hive") if names else None
    if not overridden:
        count = ds.dataset(table, format="parquet", partitioning=flavour, ignore_prefixes=["_", "."]).count_rows()
        if count != len(objects):
            sys.exit(f"{kind}, {label}: a pyarrow dataset counts {count} rows of {len(objects)}")
    folders = len({file.parent for file in table.rglob('*.parquet')})
    print(f"{kind}, {label}: {len(rows)} rows, {len(types)} columns, {report['files']} files, {folders} folders: equal by both")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--compact", type=pathlib.Path, required=True, help="the compact binary")
    options.add_argument("--rows", type=int, default=3_000)
    options.add_argument("--seed", type=int, default=7)
    options.add_argument("--only", help="one kind")
    options.add_argument("--s3", metavar="URL", help="the endpoint of an S3 service or emulator")
    options.add_argument("--bucket", default="real-world")
    options = options.parse_args()
    options.copy = ["aws", "--endpoint-url", options.s3, "s3"] if options.s3 else []
    for kind, generate in KINDS.items():
        if options.only not in (None, kind):
            continue
        objects = {made["id"]: made for made in generate(random.Random(options.seed), options.rows)}
        lines = [(json.dumps(made, ensure_ascii=made["id"] % 2 == 0) + "\n").encode() for made in objects.values()]
        for label, (of, more) in SETTINGS.items():
            if of not in (None, kind):
                continue
            with tempfile.TemporaryDirectory() as folder:
                work = pathlib.Path(folder)
                hour = work / "raw" / "2026/11/23/05"
                hour.mkdir(parents=True)
                parts = collections.deque(lines[at:at + 500] for at in range(0, len(lines), 500))
                for at, part in enumerate(parts):
                    members = [gzip.compress(b"".join(part[k:k + 50])) for k in range(0, len(part), 50)]
                    (hour / f"orders-1-2026-11-23-05-00-00-{at}").write_bytes(b"".join(members))
                run(options, kind, objects, label, more, work)


if __name__ == "__main__":
    main()
