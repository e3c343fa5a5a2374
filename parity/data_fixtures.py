"""Writes crates/data/fixtures: one small table in every format that Cupola reads, by the formats' own libraries.

Run by hand: python parity/data_fixtures.py (needs pyarrow, openpyxl and numpy; made with 22, 3.1 and 2.3 or later).
"""

import contextlib
import datetime
import gzip
import json
import pathlib
import sqlite3

import numpy
import openpyxl
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


def quoted(value):
    text = cell(value) if not isinstance(value, str) else "'" + value.replace("'", "\\'") + "'"
    return text or "?"


arff = ["% Six flowers.", "@RELATION flowers", "", "@ATTRIBUTE kind string", "@ATTRIBUTE height NUMERIC", "@attribute 'count' integer", "@attribute flag {true, false}", '@attribute day date "yyyy-MM-dd"', "", "@DATA"]
(folder / "flowers.arff").write_bytes(("\n".join(arff + [", ".join(map(quoted, row)) for row in rows]) + "\n").encode())

workbook = openpyxl.Workbook()
sheet = workbook.active
sheet.title = "garden"
for line in [names] + rows:
    sheet.append(line)
workbook.create_sheet("empty")
workbook.save(folder / "flowers.xlsx")

(folder / "flowers.sqlite").unlink(missing_ok=True)
with contextlib.closing(sqlite3.connect(folder / "flowers.sqlite")) as database:
    database.execute("pragma page_size = 1024")
    database.execute("create table flowers (kind text, height real, count integer, flag text, day text)")
    said = [(kind, height, count, None if flag is None else str(flag).lower(), day and day.isoformat()) for kind, height, count, flag, day in rows]
    database.executemany("insert into flowers values (?, ?, ?, ?, ?)", said)
    database.commit()

words = lambda values: numpy.array(["" if value is None else str(value).lower() if isinstance(value, bool) else str(value) for value in values])
amounts = lambda values: numpy.array([numpy.nan if value is None else value for value in values])
numpy.savez_compressed(folder / "flowers.npz", kind=words(kinds), height=amounts(heights), count=amounts(counts), flag=words(flags), day=words(days))

workbook = openpyxl.Workbook()
sheet = workbook.active
sheet.title = "first"
moment = datetime.datetime(2024, 2, 29, 13, 45, 30)
for line in [[], [None, "when", "clock", "span", "mixed", "yes"], [None, moment, datetime.time(8, 30), datetime.timedelta(hours=30), moment, True], [], [None, datetime.datetime(1900, 3, 1), None, None, 2.5, False], [None, None, datetime.time(0, 0), datetime.timedelta(minutes=1), "NA", None]]:
    sheet.append(line)
sheet.delete_cols(1)
for title, lines in {"errors": [["a"], [1], ["#DIV/0!"]], "unnamed": [["a"], [1, 2]], "twice": [["a", "a"], [1, 2]], "gap": [["a", None, "b"], [1, 2, 3]], "header": [["a"]], "empty": []}.items():
    sheet = workbook.create_sheet(title)
    for line in lines:
        sheet.append(line)
workbook.save(folder / "sheets.xlsx")
with contextlib.closing(sqlite3.connect(":memory:")) as database:
    database.execute("pragma page_size = 512")
    database.executescript("""
        create table "a table" (id integer, mixed, wide integer);
        insert into "a table" values (1, 2, 9007199254740993), (2, 'x', null), (null, 2.5, -1);
        create view seen as select id * 2 as twice from "a table" where id is not null;
        create table blobs (b blob);
        insert into blobs values (x'00ff');
        create table bare (x);
    """)
    (folder / "tables.sqlite").write_bytes(database.serialize())
