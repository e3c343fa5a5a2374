"""Writes crates/data/fixtures: one small table in every format that Cupola reads, by the formats' own libraries.

Run by hand: python parity/data_fixtures.py (needs pyarrow; made with 22 or later).
"""

import datetime
import gzip
import json
import pathlib

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

folder = pathlib.Path(__file__).parent.parent / "crates" / "data" / "fixtures"
folder.mkdir(exist_ok=True)

kinds = ["rose", "oak, red", 'say "fern"', "Gänseblümchen", None, "rose"]
heights = [1.5, 30.0, None, 0.1, -2e-3, 4.0]
counts = [3, 12, 7, 0, 9007199254740991, None]
flags = [True, False, True, None, False, True]
days = [datetime.date(2021, 1, 5), datetime.date(1969, 12, 31), None, datetime.date(2000, 2, 29), datetime.date(2021, 12, 31), datetime.date(1999, 9, 9)]
rows = list(zip(kinds, heights, counts, flags, days))
names = ["kind", "height", "count", "flag", "day"]


def cell(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\n\t;') else text


def delimited(delimiter, end="\n"):
    return end.join(delimiter.join(line) for line in [names] + [[cell(v) for v in row] for row in rows]) + end


csv = delimited(",")
(folder / "flowers.csv").write_bytes(csv.encode())
(folder / "flowers.tsv").write_bytes(delimited("\t", "\r\n").encode())
(folder / "flowers.semicolon.csv").write_bytes(b"\xef\xbb\xbf" + delimited(";", "\r").encode())
(folder / "flowers.utf16.csv").write_bytes(csv.encode("utf-16"))
(folder / "flowers.csv.gz").write_bytes(gzip.compress(csv[:40].encode(), mtime=0) + gzip.compress(csv[40:].encode(), mtime=0))
(folder / "flowers.csv.zst").write_bytes(pa.compress(csv.encode(), codec="zstd", asbytes=True))
lines = [{k: v.isoformat() if isinstance(v, datetime.date) else v for k, v in zip(names, row) if v is not None or k == "kind"} for row in rows]
(folder / "flowers.jsonl").write_bytes("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode())

table = pa.table({
    "kind": pa.array(kinds).dictionary_encode(),
    "height": pa.array(heights, pa.float64()),
    "count": pa.array(counts, pa.int64()),
    "flag": pa.array(flags, pa.bool_()),
    "day": pa.array(days, pa.date32()),
})
pa.parquet.write_table(table, folder / "flowers.parquet", row_group_size=4)
for name, new in [("flowers.arrow", pa.ipc.new_file), ("flowers.stream.arrows", pa.ipc.new_stream)]:
    options = pa.ipc.IpcWriteOptions(compression="zstd" if "stream" in name else None)
    with pa.OSFile(str(folder / name), "wb") as sink, new(sink, table.schema, options=options) as writer:
        for batch in table.to_batches(max_chunksize=4):
            writer.write_batch(batch)
