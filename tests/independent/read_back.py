"""Any JSON objects through the whole demo, read back by pyarrow and DuckDB, and compared value by value.

    python tests/independent/read_back.py --alluvial target/release/alluvial --lines 200000

Makes a file of JSON objects (nested, with missing fields, changing types, unicode and 300 KB lines), runs
`alluvial demo --input` over it, reads the Parquet with readers that share no code with the writer, and compares every
value of every row with its line. Exits with 1 at the first difference.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

ALPHABET = ["é", "漢字", "😀", "\u2028", "\\", '"', "\n", "\t", "ä", "плохо", "a", "b", "c"]
POSITION = ["_shard", "_sequence", "_sub_sequence"]


def any_value(rng, depth):
    kind = rng.random()
    if depth > 3 or kind < 0.5:
        return rng.choice([
            None, True, False, rng.randint(-(2**53), 2**53), rng.randint(0, 9), 2**63 + rng.randint(0, 9),
            rng.random() * 10.0 ** rng.randint(-20, 20), -0.0,
            "".join(rng.choice(ALPHABET) for _ in range(rng.randint(0, 12))),
        ])
    if kind < 0.75:
        return {rng.choice("abcdefgh"): any_value(rng, depth + 1) for _ in range(rng.randint(0, 4))}
    return [any_value(rng, depth + 1) for _ in range(rng.randint(0, 4))]


def make_objects(count, seed):
    rng = random.Random(seed)
    for n in range(count):
        made = {"id": n, "steady": {"n": n, "text": f"row {n} é", "f": n / 7, "list": [n, n + 1]}}
        for name in rng.sample(["alpha", "beta", "gamma", "tags", "x y", "é"], rng.randint(0, 5)):
            made[name] = any_value(rng, 0)
        if n % 2000 == 0:
            made["long"] = "L" * 300_000
        if n % 5 == 0:
            made["measure"] = n if n % 10 else n + 0.5
        yield made, n % 3 == 0


def whole(digits):
    return -0.0 if digits == "-0" else int(digits)


def canonical(value):
    """Members by name and without those that are null, and no fraction where there is none."""
    if isinstance(value, dict):
        return {name: canonical(value[name]) for name in sorted(value) if value[name] is not None}
    if isinstance(value, list):
        return [canonical(element) for element in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16 and repr(value) != "-0.0":
        return int(value)
    return value


def same(wanted, found, arrow_type):
    """True when `found`, read from a column of `arrow_type`, is what `wanted` must have become."""
    if wanted is None:
        return found is None
    if pa.types.is_struct(arrow_type):
        fields = {arrow_type.field(i).name: arrow_type.field(i).type for i in range(arrow_type.num_fields)}
        if not isinstance(wanted, dict) or not isinstance(found, dict) or not set(wanted) <= set(fields):
            return False
        return all(same(wanted.get(name), found.get(name), kind) for name, kind in fields.items())
    if pa.types.is_list(arrow_type):
        return (isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found)
                and all(same(a, b, arrow_type.value_type) for a, b in zip(wanted, found)))
    if pa.types.is_string(arrow_type):
        if isinstance(wanted, str):
            return found == wanted
        # Other values stand in a text column as their JSON text, in the one form that each value has.
        return isinstance(found, str) and repr(json.loads(found, parse_int=whole)) == repr(canonical(wanted))
    if pa.types.is_floating(arrow_type):
        return isinstance(wanted, (int, float)) and not isinstance(wanted, bool) and repr(found) == repr(float(wanted))
    if pa.types.is_boolean(arrow_type):
        return isinstance(wanted, bool) and found is wanted
    return isinstance(wanted, int) and not isinstance(wanted, bool) and found == wanted


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--alluvial", type=pathlib.Path, required=True, help="the alluvial binary")
    options.add_argument("--lines", type=int, default=200_000)
    options.add_argument("--seed", type=int, default=7)
    options = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        objects, source = {}, folder / "input.ndjson"
        with source.open("w", encoding="utf-8") as lines:
            for made, ascii_only in make_objects(options.lines, options.seed):
                objects[made["id"]] = made
                lines.write(json.dumps(made, ensure_ascii=ascii_only) + "\n")
        command = [options.alluvial, "demo", "--dir", folder / "demo", "--input", source, "--json"]
        report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        print(f"demo: {report['records_in']} records, {report['rows']} rows, {report['seconds']:.1f} s")

        table = ds.dataset(folder / "demo" / "parquet", format="parquet", exclude_invalid_files=False,
                           ignore_prefixes=["_", "."]).to_table()
        types = {field.name: field.type for field in table.schema}
        seen = set()
        for batch in table.to_batches(max_chunksize=2_000):
            for row in batch.to_pylist():
                made = objects[row["id"]]
                if row["id"] in seen:
                    sys.exit(f"row {row['id']} came twice")
                seen.add(row["id"])
                for name, arrow_type in types.items():
                    if name in POSITION:
                        continue
                    if not same(made.get(name), row[name], arrow_type):
                        sys.exit(f"row {row['id']}, column {name} ({arrow_type}): {made.get(name)!r} became {row[name]!r}")
                if not set(made) <= set(types):
                    sys.exit(f"row {row['id']}: a field has no column: {set(made) - set(types)}")
        if len(seen) != len(objects):
            sys.exit(f"{len(objects) - len(seen)} of {len(objects)} rows are missing")
        counted = duckdb.sql(f"select count(*), count(distinct _sequence) from '{folder}/demo/parquet/**/*.parquet'").fetchall()[0]
        if counted != (len(objects), len(objects)):
            sys.exit(f"DuckDB counts {counted}, {len(objects)} wanted")
        print(f"pyarrow: {len(seen)} rows and {len(types)} columns equal their lines; DuckDB counts the same")


if __name__ == "__main__":
    main()
