//! Files that other readers turn into silently wrong tables, and their kin: each is read as it is meant or refused with its place.

use super::{options, read_bytes, shown};
use cupola_task::{Exit, Fault};
use expect_test::expect;
use std::fmt::Write;

/// File name, content, recipe keys.
type Case = (&'static str, &'static [u8], &'static [(&'static str, &'static str)]);

const CASES: &[Case] = &[
    ("empty.csv", b"", &[]),
    ("mark-only.csv", b"\xef\xbb\xbf", &[]),
    ("blank-lines.csv", b"\n\r\n\n", &[]),
    ("header-only.csv", b"a,b,y\n", &[]),
    ("header-only-cut.csv", b"a,b,y", &[]),
    ("short-row.csv", b"a,b,y\n1,2,3\n4,5\n6,7,8\n", &[]),
    ("long-row.csv", b"a,b,y\n1,2,3\n4,5,6,7\n", &[]),
    ("all-rows-long.csv", b"a,b\n1,2,3\n4,5,6\n", &[]),
    ("cut-off.csv", b"a,b,y\n1,2,3\n4,5", &[]),
    ("no-last-end.csv", b"a,b\n1,2\n3,4", &[]),
    ("trailing-blanks.csv", b"a,b\n1,2\n\n\n", &[]),
    ("blanks-between.csv", b"a,b\n\n1,2\n\n3,4\n", &[]),
    ("unclosed.csv", b"a,b\n1,2\n\"3,4\n5,6\n", &[]),
    ("unclosed-late.csv", b"a,b\n1,\"x\ny\"\n3,\"4\n5,6\n7,\"8\n", &[]),
    ("behind-quote.csv", b"a,b\n\"x\"y,1\n", &[]),
    ("backslash.csv", b"a,b\n\"x \\\" y\",1\n", &[]),
    ("quotes-in-text.csv", b"a,b\n5\" pipe,1\n6\" pipe,2\n", &[]),
    ("quoted.csv", b"a,b\n\"x, \"\"y\"\"\nz\", \"2\" \n", &[]),
    ("no-quotes.csv", b"a,b\n\"x,1\n", &[("quote", "none")]),
    ("single-quotes.csv", b"a,b\n'x,y',1\n", &[("quote", "single")]),
    ("mixed-ends.csv", b"a,b\n1,2\r3,4\r\n5,6\n", &[]),
    ("double-cr.csv", b"a,b\r\r\n1,2\r\r\n", &[]),
    ("mark.csv", b"\xef\xbb\xbfa,b\n1,2\n", &[]),
    ("utf16.csv", b"\xff\xfea\0,\0b\0\n\0\xe9\0,\x002\0\n\0", &[]),
    ("utf16-no-mark.csv", b"a\0,\0b\0\n\x001\0,\x002\0\n\0", &[]),
    ("utf16-told.csv", b"a\0,\0b\0\n\x001\0,\x002\0\n\0", &[("encoding", "utf-16le")]),
    ("utf16be-no-mark.csv", b"\0a\0,\0b\0\n\x001\0,\x002\0\n", &[]),
    ("utf16-asked.csv", b"a\0,\0b\0\n\0", &[("encoding", "utf-16")]),
    ("utf16-odd.csv", b"\xff\xfea\0,\0b\0\n\x001\0,\x002\0\n\0\x33", &[]),
    ("latin1.csv", b"a,b\nx,1\ncaf\xe9,2\n", &[]),
    ("latin1-told.csv", b"a,b\ncaf\xe9,2\n", &[("encoding", "latin-1")]),
    ("latin1-header.csv", b"caf\xe9,b\n1,2\n", &[]),
    ("nul.csv", b"a,b\n1,2\n3,\x004\n", &[]),
    ("junk.csv", b"\x01\x02\xfe\xff\x00junk", &[]),
    ("double-header.csv", b"a,b,a\n1,2,3\n", &[]),
    ("blank-header.csv", b",a,b\n0,1,2\n", &[]),
    ("no-header.csv", b"5.1,3.5\n4.9,3.0\n", &[]),
    ("no-header-told.csv", b"5.1,3.5\n4.9,3.0\n", &[("header", "false")]),
    ("padded-header.csv", b" a , b\n1,2\n", &[]),
    ("semicolon.csv", b"a;b\n1,5;2,5\n", &[]),
    ("pipe.csv", b"a|b\n1|2\n", &[]),
    ("tabs.txt", b"a\tb\n1\t2\n", &[]),
    ("two-delimiters.csv", b"name, first;age\nDoe, John;35\n", &[]),
    ("two-delimiters-told.csv", b"name, first;age\nDoe, John;35\n", &[("delimiter", ";")]),
    ("ragged-other.csv", b"a;b;y\n1;2\n3;4;5\n", &[]),
    ("spaces.csv", b"a b\n1 2\n", &[]),
    ("spaces-told.csv", b"a b\n1 2\n", &[("delimiter", "space")]),
    ("one-column.csv", b"a\n1\n2\n", &[]),
    ("one-column-gap.csv", b"a\n1\n\n2\n", &[]),
    ("missing.csv", b"a,b,c\nNA, ?,\nx,null,-999\n", &[]),
    ("missing-told.csv", b"a,b,c\nNA,?,\nx,null,-999\n", &[("missing_values", "[-999, null]")]),
    ("title.csv", b"Sales 2021\na,b\n1,2\n", &[]),
    ("json-array.json", b"[{\"a\": 1}]\n", &[]),
    ("pretty.json", b"{\n  \"a\": 1\n}\n", &[]),
    ("json-named.csv", b"{\"a\": 1, \"b\": 2}\n{\"a\": 3, \"b\": 4}\n", &[]),
    ("nested.jsonl", b"{\"a\": 1}\n{\"a\": {\"b\": 1}}\n", &[]),
    ("list.jsonl", b"{\"a\": [1, 2]}\n", &[]),
    ("twice.jsonl", b"{\"a\": 1, \"a\": 2}\n", &[]),
    ("cut.jsonl", b"{\"a\": 1}\n{\"a\": \n", &[]),
    ("huge-number.jsonl", b"{\"a\": 1e999}\n", &[]),
    ("not-a-number.jsonl", b"{\"a\": NaN}\n", &[]),
    ("mixed.jsonl", b"{\"a\": 1, \"b\": true}\n\n{\"b\": \"x\", \"c\": 12345678901234567890, \"a\": null}\n", &[]),
    ("two-objects.jsonl", b"{\"a\": 1} {\"a\": 2}\n", &[]),
    ("bad-utf8.jsonl", b"{\"a\": \"\xe9\"}\n", &[]),
    ("scalar.jsonl", b"{\"a\": 1}\n3\n", &[]),
    ("skip.jsonl", b"{\"a\": 1}\n{\"b\": 2, \"a\": [\n{\"a\": 3}\n", &[("bad_rows", "skip")]),
    ("sheet.csv", b"PK\x03\x04rest", &[]),
    ("page.csv", b"<!DOCTYPE html><html>", &[]),
    ("text.parquet", b"a,b\n1,2\n", &[]),
    ("text.arrow", b"a,b\n1,2\n3,4\n", &[]),
    ("cut.gz", b"\x1f\x8b\x08\0\0", &[]),
    ("all-bad.csv", b"a,b\n1\n2\n", &[("bad_rows", "skip")]),
];

fn outcome(name: &str, bytes: &[u8], given: &[(&str, &str)]) -> String {
    match read_bytes(name, bytes, &options(given)) {
        Ok(raw) => {
            let mut text = format!(
                "ok {} {}: {}",
                raw.format,
                raw.columns.names().collect::<Vec<_>>().join("|"),
                shown(&raw.columns).join(" / ").escape_debug()
            );
            for warning in &raw.warnings {
                write!(text, "\n    warning: {warning}").unwrap();
            }
            for place in &raw.skipped.places {
                write!(text, "\n    skipped: {place}").unwrap();
            }
            text
        }
        Err(error) => {
            assert_eq!(error.exit(), Exit::Data, "{name}: {error}");
            format!("{error}\n    hint: {}", error.hint().unwrap_or_default())
        }
    }
}

#[test]
fn hostile_files_are_refused_or_read_as_meant() {
    let text: String = CASES.iter().map(|(name, bytes, given)| format!("{name}: {}\n", outcome(name, bytes, given))).collect();
    expect![[r#"
        empty.csv: empty.csv: found an empty file, wanted a header and rows
            hint: check that writing the file had finished
        mark-only.csv: mark-only.csv: found nothing but blank lines, wanted a header and rows
            hint: check that writing the file had finished
        blank-lines.csv: blank-lines.csv: found nothing but blank lines, wanted a header and rows
            hint: check that writing the file had finished
        header-only.csv: header-only.csv: found a header and no row, wanted at least one row
            hint: if the first line is data, set data.header=false
        header-only-cut.csv: header-only-cut.csv: found a header and no row, wanted at least one row
            hint: if the first line is data, set data.header=false
        short-row.csv: short-row.csv:3: found 2 fields, wanted 3 fields as in the header
            hint: fields are cut at each comma; quote a field that holds one, set data.delimiter, or leave such rows out with data.bad_rows=skip
        long-row.csv: long-row.csv:3: found 4 fields, wanted 3 fields as in the header
            hint: fields are cut at each comma; quote a field that holds one, set data.delimiter, or leave such rows out with data.bad_rows=skip
        all-rows-long.csv: all-rows-long.csv:2: found 3 fields, wanted 2 fields as in the header
            hint: fields are cut at each comma; quote a field that holds one, set data.delimiter, or leave such rows out with data.bad_rows=skip
        cut-off.csv: cut-off.csv:3: found 2 fields, wanted 3 fields as in the header
            hint: the file seems to be cut off inside its last line
        no-last-end.csv: ok csv a|b: 1|2 / 3|4
        trailing-blanks.csv: ok csv a|b: 1|2
        blanks-between.csv: ok csv a|b: 1|2 / 3|4
        unclosed.csv: unclosed.csv:3: found a quote that is never closed, wanted a closing quote
            hint: the file may be cut off, or the field holds a quote that is not doubled (data.quote=none reads it as it is)
        unclosed-late.csv: unclosed-late.csv:6: found "8" behind a closing quote (the quote opened on line 4), wanted a delimiter or a line end
            hint: a quote inside a quoted field is doubled
        behind-quote.csv: behind-quote.csv:2: found "y,1" behind a closing quote, wanted a delimiter or a line end
            hint: a quote inside a quoted field is doubled
        backslash.csv: backslash.csv:2: found "y\",1" behind a closing quote, wanted a delimiter or a line end
            hint: a quote inside a quoted field is doubled
        quotes-in-text.csv: ok csv a|b: 5\" pipe|1 / 6\" pipe|2
        quoted.csv: ok csv a|b: x, \"y\"\nz|2
        no-quotes.csv: ok csv a|b: \"x|1
        single-quotes.csv: ok csv a|b: x,y|1
        mixed-ends.csv: ok csv a|b: 1|2 / 3|4 / 5|6
        double-cr.csv: ok csv a|b: 1|2
        mark.csv: ok csv a|b: 1|2
        utf16.csv: ok csv a|b: é|2
        utf16-no-mark.csv: utf16-no-mark.csv:1: found a NUL at byte 1, wanted text
            hint: set data.encoding=utf-16le if this is UTF-16 text
        utf16-told.csv: ok csv a|b: 1|2
        utf16be-no-mark.csv: utf16be-no-mark.csv:1: found a NUL at byte 0, wanted text
            hint: set data.encoding=utf-16be if this is UTF-16 text
        utf16-asked.csv: utf16-asked.csv: found UTF-16 without a byte order mark, wanted a byte order mark
            hint: set data.encoding=utf-16le, or utf-16be
        utf16-odd.csv: utf16-odd.csv at byte 18: found bytes that are no character, wanted UTF-16LE
            hint: set data.encoding, or write the file as UTF-8
        latin1.csv: latin1.csv:3: found byte 0xE9 at byte 11, which is not UTF-8, wanted UTF-8 text
            hint: set data.encoding=latin-1 if the file comes from an older Windows program, or write it as UTF-8
        latin1-told.csv: ok csv a|b: café|2
        latin1-header.csv: latin1-header.csv:1: found byte 0xE9 at byte 3, which is not UTF-8, wanted UTF-8 text
            hint: set data.encoding=latin-1 if the file comes from an older Windows program, or write it as UTF-8
        nul.csv: nul.csv:3: found a NUL at byte 10, wanted text
            hint: the file is damaged or no text; data.bad_rows=skip leaves such rows out
        junk.csv: junk.csv:1: found a NUL at byte 4, wanted text
            hint: the file is damaged or no text; data.bad_rows=skip leaves such rows out
        double-header.csv: double-header.csv:1: found the name a for column 1 and column 3, wanted names that differ
            hint: rename one, or set data.header=false if the first line is data
        blank-header.csv: blank-header.csv:1: found no name for column 1, wanted a name for each column
            hint: name it (pandas writes such a column for its index unless told index=False), or set data.header=false if the first line is data
        no-header.csv: ok csv 5.1|3.5: 4.9|3.0
            warning: no-header.csv:1: every column name is a number (the first is 5.1): if the first line is data, set data.header=false
        no-header-told.csv: ok csv column_1|column_2: 5.1|3.5 / 4.9|3.0
        padded-header.csv: ok csv a|b: 1|2
        semicolon.csv: ok csv a|b: 1,5|2,5
        pipe.csv: ok csv a|b: 1|2
        tabs.txt: ok tsv a|b: 1|2
        two-delimiters.csv: two-delimiters.csv: found a table that comma and semicolon each cut evenly, wanted one delimiter
            hint: set data.delimiter=comma or data.delimiter=semicolon
        two-delimiters-told.csv: ok csv name, first|age: Doe, John|35
        ragged-other.csv: ragged-other.csv:2: found 2 fields, wanted 3 fields as in the header
            hint: fields are cut at each semicolon; quote a field that holds one, set data.delimiter, or leave such rows out with data.bad_rows=skip
        spaces.csv: ok csv a b: 1 2
            warning: spaces.csv: one column only: if there should be more, set data.delimiter
        spaces-told.csv: ok csv a|b: 1|2
        one-column.csv: ok csv a: 1 / 2
            warning: one-column.csv: one column only: if there should be more, set data.delimiter
        one-column-gap.csv: one-column-gap.csv:3: found a blank line between rows of one column, wanted a value
            hint: write "" for a missing value
        missing.csv: ok csv a|b|c: .|.|. / x|.|-999
        missing-told.csv: ok csv a|b|c: NA|?|. / x|.|.
        title.csv: title.csv:2: found 2 fields, wanted 1 field as in the header
            hint: fields are cut at each comma; quote a field that holds one, set data.delimiter, or leave such rows out with data.bad_rows=skip
        json-array.json: json-array.json:1: found a JSON array, wanted one flat JSON object a line
            hint: write one object a line, for example with jq -c '.[]'
        pretty.json: pretty.json:1: found a line that breaks off, wanted one flat JSON object a line
            hint: the object is spread over lines: write it on one, for example with jq -c .
        json-named.csv: ok jsonl a|b: 1.0|2.0 / 3.0|4.0
        nested.jsonl: nested.jsonl:2: found a nested object under the key a at character 7, wanted one flat JSON object a line
            hint: flatten it, or leave the key out
        list.jsonl: list.jsonl:1: found a nested list under the key a at character 10, wanted one flat JSON object a line
            hint: flatten it, or leave the key out
        twice.jsonl: twice.jsonl:1: found the key a twice at character 12, wanted one flat JSON object a line
            hint: each line must be whole JSON; data.bad_rows=skip leaves such lines out
        cut.jsonl: cut.jsonl:2: found a line that breaks off, wanted one flat JSON object a line
            hint: each line must be whole JSON; data.bad_rows=skip leaves such lines out
        huge-number.jsonl: huge-number.jsonl:1: found number out of range at character 11, wanted one flat JSON object a line
            hint: each line must be whole JSON; data.bad_rows=skip leaves such lines out
        not-a-number.jsonl: not-a-number.jsonl:1: found text that is not JSON (at character 7), wanted one flat JSON object a line
            hint: each line must be whole JSON; data.bad_rows=skip leaves such lines out
        mixed.jsonl: ok jsonl a|b|c: 1.0|true|. / .|x|12345678901234567890
        two-objects.jsonl: two-objects.jsonl:1: found trailing characters at character 10, wanted one flat JSON object a line
            hint: each line must be whole JSON; data.bad_rows=skip leaves such lines out
        bad-utf8.jsonl: bad-utf8.jsonl:1: found byte 0xE9 at byte 7, which is not UTF-8, wanted UTF-8 text
            hint: JSON is UTF-8; set data.encoding if this file is not
        scalar.jsonl: scalar.jsonl:2: found invalid type: integer `3`, expected an object at character 1, wanted one flat JSON object a line
            hint: each line must be whole JSON; data.bad_rows=skip leaves such lines out
        skip.jsonl: ok jsonl a: 1.0 / 3.0
            skipped: skip.jsonl:2: found a line that breaks off, wanted one flat JSON object a line
        sheet.csv: sheet.csv: found a zip archive, wanted parquet, arrow, numpy, sheet, sqlite, jsonl, arff, libsvm, tsv, csv, idx, cifar, webdataset, images, tables
            hint: unpack it
        page.csv: page.csv: found an HTML page, wanted parquet, arrow, numpy, sheet, sqlite, jsonl, arff, libsvm, tsv, csv, idx, cifar, webdataset, images, tables
            hint: the download may have answered with an error page
        text.parquet: text.parquet: found damaged or cut off Parquet (Parquet error: Invalid Parquet file. Corrupt footer), wanted a whole Parquet file
            hint: write or copy the file again
        text.arrow: text.arrow: found damaged or cut off Arrow IPC (it does not begin like one), wanted a whole Arrow file or stream
            hint: write or copy the file again
        cut.gz: cut.gz: found gzip data that breaks off, wanted a whole gzip file
            hint: copy the file again; a whole one unpacks without complaint
        all-bad.csv: all-bad.csv: found 2 bad rows and no good one, the first at all-bad.csv:2: found 1 field, wanted 2 fields as in the header, wanted at least one row
            hint: read it with bad_rows=fail to see what is wrong
    "#]].assert_eq(&text);
}

#[test]
fn large_things_meet_their_limits() {
    let line = [b"a,b\n1,".to_vec(), vec![b'x'; 1 << 20], b"\n".to_vec()].concat();
    let quoted = [b"a,b\n1,\"".to_vec(), vec![b'x'; 1 << 20]].concat();
    let many: String = (0..100_000).map(|column| format!("c{column},")).collect::<String>() + "y\n" + &"1,".repeat(100_000) + "1\n";
    let mut bomb = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    std::io::Write::write_all(&mut bomb, b"a,b\n").unwrap();
    for _ in 0..96 {
        std::io::Write::write_all(&mut bomb, "1,2\n".repeat(1 << 18).as_bytes()).unwrap();
    }
    let keys: String = (0..8000).map(|key| format!("{{\"k{key}\": 1}}\n")).collect();
    let cases = [
        outcome("line.csv", &line, &[("max_line", "100000")]),
        outcome("quoted.csv", &quoted, &[("max_line", "100000")]),
        outcome("quoted.csv", &quoted, &[]),
        outcome("line.jsonl", &[b"{\"a\": \"", &vec![b'x'; 1 << 20][..]].concat(), &[("max_line", "100000")]),
        outcome("big.csv", b"a,b\n1,2\n3,4\n", &[("max_bytes", "1000")]),
        outcome("packed.csv.zst", &zstd::encode_all(&b"a,b\n1,2\n3,4\n".repeat(100)[..], 1).unwrap(), &[("max_bytes", "1000")]),
        outcome("bomb.csv.zst", &bomb.finish().unwrap(), &[]),
        outcome("twice.csv.zst", &zstd::encode_all(&zstd::encode_all(&b"a,b\n1,2\n"[..], 1).unwrap()[..], 1).unwrap(), &[]),
        outcome("garbage.csv.zst", &[zstd::encode_all(&b"a,b\n1,2\n"[..], 1).unwrap(), b"garbage".to_vec()].concat(), &[]),
        outcome("keys.jsonl", keys.as_bytes(), &[]),
    ];
    expect![[r#"
        line.csv:2: found a record of more than 100000 bytes, wanted a record within data.max_line
            hint: is this a table? if so, raise data.max_line
        quoted.csv:2: found a quote that is still open after 100000 bytes, wanted a record within data.max_line
            hint: close it; a quote inside a quoted field is doubled
        quoted.csv:2: found a quote that is never closed, wanted a closing quote
            hint: the file may be cut off, or the field holds a quote that is not doubled (data.quote=none reads it as it is)
        line.jsonl:1: found a line of more than 100000 bytes, wanted a line within data.max_line
            hint: one row a line; if a line is meant to be so long, raise data.max_line
        ok csv a|b: 1|2 / 3|4
        packed.csv.zst: found more than 1000 bytes, wanted content within data.max_bytes
            hint: raise data.max_bytes, or give a part of the file
        bomb.csv.zst: found packed data that grows more than 1100-fold, wanted a table
            hint: unpack the file first if it is meant to be so
        twice.csv.zst: found a packed file inside a packed file, wanted one layer of gzip or zstd
            hint: unpack it once
        garbage.csv.zst: found damaged zstd data (Unknown frame descriptor), wanted a whole zstd file
            hint: copy the file again; a whole one unpacks without complaint
        keys.jsonl: found 8000 keys, of which a line has few, wanted lines with the same keys
            hint: put key and value into two columns
    "#]]
    .assert_eq(&(cases.join("\n") + "\n"));
    assert_eq!(read_bytes("many.csv", many, &options(&[])).unwrap().columns.len(), 100_001);
}

#[test]
fn paths_that_are_no_table_are_refused_with_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("adult.csv"), "a,b\n1,2\n").unwrap();
    std::fs::create_dir(folder.path().join("notes")).unwrap();
    std::fs::write(folder.path().join("notes/today.md"), "nothing").unwrap();
    let say = |path: &str| {
        let error = crate::read(&crate::Input::Path(folder.path().join(path)), &options(&[])).unwrap_err();
        format!("{error}; {}\n", error.hint().unwrap_or_default()).replace(&folder.path().display().to_string(), "F")
    };
    expect![[r#"
        F/adlut.csv: found no such file, wanted a file; did you mean F/adult.csv?
        F/adult.csv.gz: found no such file, wanted a file; did you mean F/adult.csv?
        F/notes: found a folder of other files (today.md), wanted a folder that is laid out as one of idx, cifar, webdataset, images, tables; files of a table end in csv, parquet and the like, or are named; pictures lie in a folder for each class
        F/no/such.csv: found no such file, wanted a file; there is no folder F/no either
    "#]]
    .assert_eq(&[say("adlut.csv"), say("adult.csv.gz"), say("notes"), say("no/such.csv")].concat());
}
