//! Addresses, passwords and refusals. What a real server of either kind gives is held against files by `crates/cupola/proof/sources.py`; the test of
//! a database runs where `CUPOLA_TEST_POSTGRES` names one.

use super::login::{Secrecy, asked};
use super::passwords::{Login, find};
use super::*;
use crate::{Input, ReadOptions, Result};
use cupola_task::Fault;
use expect_test::expect;
use postgres::config::Host;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

fn access(cache: &Path, variables: &[(&str, &str)]) -> Access {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let now = || SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    Access { variables, passwords: "# nobody\n*:5433:shop:ann:from\\:file\n".to_owned(), cache: cache.to_owned(), now }
}

fn told<T>(result: Result<T>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => format!("{error}; {}", error.hint().unwrap_or_default()),
    }
}

#[test]
fn passwords_are_taken_out_of_urls() {
    for (typed, kept, password) in [
        ("postgres://ann:s3cret@db:5433/shop?table=orders", "postgres://ann@db:5433/shop?table=orders", Some("s3cret")),
        ("postgresql://ann:a%40b@db/shop2", "postgresql://ann@db/shop2", Some("a@b")),
        ("postgres://ann:with@and/and?@db/shop3", "postgres://ann@db/shop3", Some("with@and/and?")),
        ("postgres://ann@db/shop4?sslmode=require&password=s3cret", "postgres://ann@db/shop4?sslmode=require", Some("s3cret")),
        ("postgres://ann@db/shop5?password=s3cret", "postgres://ann@db/shop5", Some("s3cret")),
        ("postgres://db/shop6?application_name=a@b", "postgres://db/shop6?application_name=a@b", None),
        ("postgres://ann:wh?t@db/shop8", "postgres://ann@db/shop8", Some("wh?t")),
        ("postgres://ann:a/b?c@db/shop10", "postgres://ann@db/shop10", Some("a/b?c")),
        ("s3://KEY:SE/CRET@bucket/a.csv", "s3://KEY@bucket/a.csv", Some("SE/CRET")),
        ("postgres://db:5432/shop9?application_name=a@b", "postgres://db:5432/shop9?application_name=a@b", None),
        ("postgres:///shop7", "postgres:///shop7", None),
        ("s3://KEY:SECRET@bucket/a@b:c.csv", "s3://KEY@bucket/a@b:c.csv", Some("SECRET")),
        ("s3://bucket/a@b:c.csv", "s3://bucket/a@b:c.csv", None),
        ("data.csv", "data.csv", None),
        ("C:\\data@home:1.csv", "C:\\data@home:1.csv", None),
    ] {
        assert_eq!(without_password(typed), kept);
        assert_eq!(address::password(kept).as_deref(), password, "{typed}");
        assert_eq!(without_password(kept), kept, "once taken out, nothing more is");
    }
}

#[test]
fn what_a_url_leaves_open_the_surroundings_say() {
    let folder = Path::new("none");
    let shown = |url: &str, variables: &[(&str, &str)]| {
        let asked = match asked(url, &access(folder, variables)) {
            Ok(asked) => asked,
            Err(error) => return told::<()>(Err(error)),
        };
        let config = &asked.config;
        let hosts: Vec<String> =
            config.get_hosts().iter().map(|host| if let Host::Tcp(name) = host { name.clone() } else { "socket".into() }).collect();
        let password = config.get_password().map_or("none".into(), String::from_utf8_lossy);
        format!(
            "{}@{}:{:?}/{} password {password}, {:?}, table {:?}, {:?} s",
            config.get_user().unwrap_or("?"),
            hosts.join(","),
            config.get_ports(),
            config.get_dbname().unwrap_or("?"),
            asked.secrecy,
            asked.table,
            config.get_connect_timeout().map(Duration::as_secs)
        )
    };
    let lines = [
        shown("postgres://ann@db:5433/shop?table=my%20orders", &[]),
        shown(
            "postgres:///",
            &[("PGHOST", "h"), ("PGPORT", "6000"), ("PGUSER", "u"), ("PGDATABASE", "d"), ("PGPASSWORD", "p"), ("PGSSLMODE", "require")],
        ),
        shown("postgres://h/d?sslmode=verify-full&connect_timeout=3", &[("USER", "me"), ("PGUSER", " ")]),
        shown("postgres://h/d?sslmode=sometimes", &[]),
        shown("postgres://h:x/d", &[]),
        shown("postgres://h/d?colour=red", &[]),
        shown("postgres:///d", &[("PGPORT", "many")]),
    ];
    expect![[r#"
        ann@db:[5433]/shop password from:file, Prefer, table Some("my orders"), Some(10) s
        u@h:[6000]/d password p, Require, table None, Some(10) s
        me@h:[5432]/d password none, Verify, table None, Some(3) s
        postgres://h/d?sslmode=sometimes: found sslmode=sometimes, wanted disable, prefer, require or verify-full; 
        postgres://h:x/d: found invalid connection string: invalid value for option `port`, wanted a URL of PostgreSQL; postgres://USER@HOST:PORT/DATABASE?table=TABLE; signs such as / @ : ? in a name are written %2F %40 %3A %3F
        postgres://h/d?colour=red: found invalid connection string: unknown option `colour`, wanted a URL of PostgreSQL; postgres://USER@HOST:PORT/DATABASE?table=TABLE; signs such as / @ : ? in a name are written %2F %40 %3A %3F
        postgres:///d: found PGPORT=many, wanted a number; "#]].assert_eq(&lines.join("\n"));
    assert_eq!(asked("postgres://h/d?sslmode=disable", &access(folder, &[])).map(|asked| asked.secrecy).ok(), Some(Secrecy::Disable));
}

#[test]
fn the_file_of_passwords_is_read_as_libpq_reads_it() {
    let file = "# h:1:d:u:commented\nh:1:d:u:first\nh:1:d:*:any:user\n*:*:*:esc\\:aped:back\\\\slash\nshort:line\n*:*:*:none:\r\n";
    let found = |host, port, database, user| find(file, &Login { host, port, database, user });
    assert_eq!(found("h", 1, "d", "u").as_deref(), Some("first"));
    assert_eq!(found("h", 1, "d", "v").as_deref(), Some("any:user"));
    assert_eq!(found("x", 2, "y", "esc:aped").as_deref(), Some("back\\slash"));
    assert_eq!((found("x", 2, "y", "z"), found("x", 2, "y", "none")), (None, None));
}

#[test]
fn a_database_that_is_away_is_told_without_the_password() {
    let url = without_password("postgres://ann:s3cret@127.0.0.1:9/shop");
    let error = told(open_table(&url, &access(Path::new("none"), &[]), &ReadOptions::default()));
    expect!["postgres://ann@127.0.0.1:9/shop: found error connecting to server: Connection refused (os error 111), wanted a table that can be read; is the server running, and do host and port hold? postgres://USER@HOST:PORT/DATABASE"].assert_eq(&error);
}

/// Answers requests one after another; gives their first lines and the headers `if-none-match`.
fn server(answers: Vec<String>) -> (String, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let answer = |answer: &String| {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let mut asked = String::new();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                if line.trim().is_empty() {
                    break;
                }
                if asked.is_empty() {
                    asked = line.split(['?', ' ']).take(2).collect::<Vec<_>>().join(" ");
                    asked += if line.contains("X-Amz-Signature=") { " signed" } else { "" };
                    let prefix = line.split(['?', '&', ' ']).find(|pair| pair.starts_with("prefix="));
                    asked += &prefix.map_or(String::new(), |prefix| format!(" {prefix}"));
                } else if line.to_lowercase().starts_with("if-none-match") {
                    asked += &format!(" {}", line.trim().to_lowercase());
                }
            }
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
            asked
        };
        answers.iter().map(answer).collect()
    });
    (address, asked)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n{body}", body.len())
}

#[test]
fn objects_are_fetched_once_and_again_when_they_change() {
    let cache = tempfile::tempdir().unwrap();
    let (address, asked) = server(vec![
        answer("200", "etag: \"aa11\"\r\n", "x,y\n1,2\n"),
        answer("304", "etag: \"aa11\"\r\n", ""),
        answer("503", "", "<Error><Code>SlowDown</Code></Error>"),
        answer("200", "etag: \"bb22\"\r\n", "x,y\n3,4\n"),
        answer("200", "etag: W/\"weak\"\r\n", "x,y\n5,6\n"),
        answer("200", "", "x,y\n7,8\n"),
    ]);
    let access = access(cache.path(), &[("AWS_ENDPOINT_URL", &address), ("AWS_ACCESS_KEY_ID", "K"), ("AWS_SECRET_ACCESS_KEY", "S")]);
    let mut texts = Vec::new();
    for _ in 0..5 {
        let path = fetch("s3://bucket/a table.csv", &access, &ReadOptions::default()).unwrap();
        texts.push(std::fs::read_to_string(&path).unwrap().replace("x,y\n", "").trim().to_owned());
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "an old copy is thrown away");
    }
    assert_eq!(texts, ["1,2", "1,2", "3,4", "5,6", "7,8"]);
    expect![[r#"
        GET /bucket/a%20table.csv signed
        GET /bucket/a%20table.csv signed if-none-match: "aa11"
        GET /bucket/a%20table.csv signed if-none-match: "aa11"
        GET /bucket/a%20table.csv signed if-none-match: "aa11"
        GET /bucket/a%20table.csv signed if-none-match: "bb22"
        GET /bucket/a%20table.csv signed"#]]
    .assert_eq(&asked.join().unwrap().join("\n"));
}

#[test]
fn what_a_server_refuses_is_told_with_what_helps() {
    let cache = tempfile::tempdir().unwrap();
    let xml = |code: &str| format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>m</Message></Error>");
    let refusals = [
        answer("404", "", &xml("NoSuchBucket")),
        answer("404", "", &xml("NoSuchKey")),
        answer("301", "x-amz-bucket-region: eu-west-1\r\n", &xml("PermanentRedirect")),
        answer("403", "", &xml("SignatureDoesNotMatch")),
        answer("400", "", &xml("ExpiredToken")),
        answer("418", "", ""),
        "HTTP/1.1 200 x\r\ncontent-length: 100\r\nconnection: close\r\n\r\nx,y\n1".to_owned(),
        answer("200", "", &"x".repeat(1001)),
    ];
    let keys = [("AWS_ACCESS_KEY_ID", "KEY"), ("AWS_SECRET_ACCESS_KEY", "hush")];
    let mut lines = Vec::new();
    for refusal in refusals {
        let (address, asked) = server(vec![refusal]);
        let variables = [&keys[..], &[("AWS_ENDPOINT_URL", &address)]].concat();
        let options = ReadOptions { max_bytes: 1000, ..ReadOptions::default() };
        lines.push(told(fetch("s3://bucket/a.csv", &access(cache.path(), &variables), &options)));
        asked.join().unwrap();
    }
    let (address, asked) = server(vec![answer("403", "", &xml("AccessDenied"))]);
    lines.push(told(fetch("s3://bucket/a.csv", &access(cache.path(), &[("AWS_ENDPOINT_URL", &address)]), &ReadOptions::default())));
    asked.join().unwrap();
    for (url, variables) in [
        ("s3://KEY@bucket/a.csv", &keys[..]),
        ("s3://bucket/../other/a.csv", &keys[..]),
        ("s3://bucket/a.csv", &keys[..1]),
        ("s3://bucket/a.csv", &[("AWS_ENDPOINT_URL", "localhost")]),
        ("s3://bucket/a.csv", &[("AWS_ENDPOINT_URL", "http://127.0.0.1:9")]),
    ] {
        lines.push(told(fetch(url, &access(cache.path(), variables), &ReadOptions::default())));
    }
    assert!(lines.iter().all(|line| !line.contains("hush") && !line.contains("Signature=")));
    expect![[r#"
        s3://bucket/a.csv: found no bucket bucket, wanted an object that can be read; check its name, and AWS_ENDPOINT_URL for a server of one's own
        s3://bucket/a.csv: found no such object, wanted an object that can be read; `aws s3 ls s3://bucket/` lists what is there; a pattern may stand behind the last /
        s3://bucket/a.csv: found region us-east-1 (AWS_REGION is not set), which is not the bucket's, wanted an object that can be read; set AWS_REGION=eu-west-1
        s3://bucket/a.csv: found a refusal (SignatureDoesNotMatch), wanted an object that can be read; these credentials may not read it: s3:GetObject, and s3:ListBucket for patterns
        s3://bucket/a.csv: found credentials that have expired, wanted an object that can be read; get new ones: AWS_SESSION_TOKEN
        s3://bucket/a.csv: found answer 418, wanted an object that can be read; try again later
        s3://bucket/a.csv: found an object that broke off on its way (Peer disconnected), wanted all of it; try again
        s3://bucket/a.csv: found an object of 1001 bytes, wanted content within data.max_bytes; raise data.max_bytes, or name a part of it
        s3://bucket/a.csv: found no credentials, and no bucket for everybody, wanted an object that can be read; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY
        s3://KEY@bucket/a.csv: found no name of a bucket, wanted s3://BUCKET/KEY; keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, not from the URL
        s3://bucket/../other/a.csv: found no key of an object, wanted s3://BUCKET/KEY; 
        s3://bucket/a.csv: found half of a key, wanted AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither; 
        s3://bucket/a.csv: found AWS_ENDPOINT_URL=localhost (relative URL without a base), wanted a URL such as http://localhost:9000; 
        s3://bucket/a.csv: found no connection with 127.0.0.1 (io: Connection refused (os error 111)), wanted a server that answers; AWS_ENDPOINT_URL says where a server of one's own is, AWS_REGION which of Amazon's"#]].assert_eq(&lines.join("\n"));
}

#[test]
fn a_pattern_lists_a_folder_page_by_page() {
    let cache = tempfile::tempdir().unwrap();
    let page = |keys: &[&str], next: &str| {
        let contents: Vec<String> = keys.iter().map(|key| format!("<Contents><Key>{key}</Key><Size>9</Size></Contents>")).collect();
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>bucket</Name>\
             <EncodingType>url</EncodingType><IsTruncated>{}</IsTruncated>{}{next}</ListBucketResult>",
            !next.is_empty(),
            contents.concat()
        );
        answer("200", "", &text)
    };
    let (address, asked) = server(vec![
        page(&["year/2024-b.csv", "year/2024-%C3%BC+1.csv"], "<NextContinuationToken>more</NextContinuationToken>"),
        page(&["year/2024-a.csv", "year/.hidden"], ""),
    ]);
    let listed = list("s3://bucket/year/2024-*.csv", &access(cache.path(), &[("AWS_ENDPOINT_URL", &address)])).unwrap();
    let urls: Vec<&str> = listed.iter().map(|(_, url)| url.as_str()).collect();
    assert_eq!(urls, ["s3://bucket/year/2024-a.csv", "s3://bucket/year/2024-b.csv", "s3://bucket/year/2024-ü 1.csv"]);
    expect![[r#"
        GET /bucket/ prefix=year%2F2024-
        GET /bucket/ prefix=year%2F2024-"#]]
    .assert_eq(&asked.join().unwrap().join("\n"));
}

#[test]
fn values_of_a_database_come_as_those_of_a_file() {
    let Ok(server) = std::env::var("CUPOLA_TEST_POSTGRES") else { return };
    let mut client = postgres::Client::connect(&server, postgres::NoTls).unwrap();
    client
        .batch_execute(
            "drop schema if exists cupola_test cascade; create schema cupola_test; set search_path = cupola_test; \
             create type mood as enum ('sad', 'ok'); create domain cents as numeric(12, 2); \
             create table kinds (id int primary key, small int2, big int8, real float4, wide float8, exact numeric, price cents, flag bool, \
             word text, code char(4), mood mood, day date, at timestamp, zone timestamptz, clock time, \"odd \"\"name\" varchar(9), doc jsonb); \
             insert into kinds values \
             (2, 1, 9007199254740993, 0.5, 'NaN', 12345678901234567890, 1.50, true, 'a', 'ab', 'ok', '2024-02-29', '2024-01-01 12:00', \
              '2024-01-01 12:00+02', '08:30', 'x', '{\"a\": 1}'), \
             (1, null, 3, null, 1e300, 2.5, null, false, 'NA', null, null, null, null, null, null, null, null); \
             create table loose (x int); insert into loose values (1), (2); create view seen as select id, word from kinds; \
             create table bytes (b bytea, a int[]); create table bare (x int); create table ever (d date); insert into ever values ('infinity')",
        )
        .unwrap();
    let url = without_password(&format!("{server}{}options=-csearch_path%3Dcupola_test", if server.contains('?') { "&" } else { "?" }));
    let read = |table: &str, chunk: usize| -> Result<String> {
        let options = ReadOptions { sheet: Some(table.to_owned()), ..ReadOptions::default() };
        let mut rows = open_table(&url, &access(Path::new("none"), &[]), &options)?;
        let mut lines = Vec::new();
        while let Some(chunk) = rows.next(chunk)? {
            lines.extend(crate::formats::tests::shown(&chunk.columns));
            lines.push(chunk.places.place(0).rsplit('/').next().unwrap_or_default().to_owned());
        }
        lines.extend(rows.warnings().iter().map(|warning| warning.rsplit('/').next().unwrap_or_default().to_owned()));
        lines.push(rows.content().map_or_else(|| "no hash".to_owned(), |content| format!("{} bytes", content.bytes)));
        Ok(lines.join("\n"))
    };
    let cases = [
        ("kinds", usize::MAX),
        ("kinds", 1),
        ("loose", 10),
        ("seen", 10),
        ("cupola_test.seen", 10),
        ("bytes", 1),
        ("bare", 1),
        ("ever", 1),
        ("sen", 1),
    ];
    let lines = cases.map(|(table, chunk)| match read(table, chunk) {
        Ok(text) => format!("{table}: {text}"),
        Err(error) => format!("{table}: {}", told::<()>(Err(error)).rsplit('/').next().unwrap_or_default()),
    });
    let database = server.split('?').next().unwrap().rsplit('/').next().unwrap();
    let all = lines.join("\n").replace(&format!("{database} table"), "shop table").replace(&format!("{database}?"), "shop?");
    expect![[r#"
        kinds: 1.0|.|3|.|1e300|2.5|.|false|.|.|.|.|.|.|.|.|.
        2.0|1.0|9007199254740993|0.5|.|12345678901234567890|1.5|true|a|ab|ok|2024-02-29T00:00:00|2024-01-01T12:00:00|2024-01-01T10:00:00|08:30:00|x|{"a": 1}
        shop table kinds row 1
        165 bytes
        kinds: 1.0|.|3.0|.|1e300|2.5|.|false|.|.|.|.|.|.|.|.|.
        shop table kinds row 1
        2.0|1.0|9007199254740993|0.5|.|12345678901234567890|1.5|true|a|ab|ok|2024-02-29T00:00:00|2024-01-01T12:00:00|2024-01-01T10:00:00|08:30:00|x|{"a": 1}
        shop table kinds row 2
        165 bytes
        loose: 1.0
        2.0
        shop table loose row 1
        shop table loose has no primary key: its rows come in the order in which the server keeps them, which may change
        16 bytes
        seen: 2.0|a
        1.0|.
        shop table seen row 1
        shop table seen has no primary key: its rows come in the order in which the server keeps them, which may change
        19 bytes
        cupola_test.seen: 2.0|a
        1.0|.
        shop table seen row 1
        shop table seen has no primary key: its rows come in the order in which the server keeps them, which may change
        19 bytes
        bytes: shop table bytes: column b: found the type bytea, wanted numbers, texts, flags, dates or times; read a view without the column, or with what you need of it
        bare: shop table bare: found a table without a row, wanted at least one row; 
        ever: shop table ever row 1: column d: found infinity, wanted a date; read a view that says null there: nullif(COLUMN, 'infinity')
        sen: shop?options=-csearch_path%3Dcupola_test: found no table sen, wanted a table of the file, as data.sheet says; did you mean seen?"#]].assert_eq(&all);
    client.batch_execute("drop schema cupola_test cascade").unwrap();
}

/// Census rows of a real database and of a real server of objects are those of the file, cell by cell. `crates/cupola/proof/sources.py --serve` starts
/// both, with the rows in them, and says what the variables are.
#[test]
fn servers_give_the_rows_of_the_file() {
    let said = ["CUPOLA_TEST_POSTGRES", "CUPOLA_TEST_S3"].map(std::env::var);
    let [Ok(database), Ok(endpoint)] = said else { return };
    let folder = tempfile::tempdir().unwrap();
    let key = [("AWS_ACCESS_KEY_ID", "AKIAPROOF"), ("AWS_SECRET_ACCESS_KEY", "s3-s3cret-word"), ("AWS_REGION", "eu-central-1")];
    let variables = [&key[..], &[("AWS_ENDPOINT_URL", endpoint.as_str())]].concat();
    grant(Access { now: SystemTime::now, ..access(folder.path(), &variables) });
    let cells = |source: &str| {
        let out = folder.path().join("out.parquet");
        let options = ReadOptions { sheet: Some("adult".to_owned()), ..ReadOptions::default() };
        crate::convert::convert(&Input::parse(source), &options, &out, crate::OutputFormat::Parquet, &mut |_| {}).unwrap();
        // The same cells in the same types; how many lie on a page of the file depends on how many come at once.
        let columns = crate::read(&Input::Path(out), &ReadOptions::default()).unwrap().columns;
        (columns.names().map(str::to_owned).collect::<Vec<_>>(), crate::formats::tests::shown(&columns))
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/adult.csv.gz");
    let own = cells(file.to_str().unwrap());
    for source in [database.as_str(), "s3://census/adult.csv.gz", "s3://census/parts/adult-*.csv", "s3://census/parts/"] {
        assert!(cells(source) == own, "{}", without_password(source));
        assert!(cells(source) == own, "{}, read again", without_password(source));
    }
    let read = |source: &str| told(crate::read(&Input::parse(source), &ReadOptions::default()));
    let missing = ["s3://nowhere/a.csv", "s3://census/a.csv", "s3://census/parts/b-*.csv", "s3://census/parts/adult-{2..4}.csv"];
    expect![[""]].assert_eq(&missing.map(read).join("\n"));
}
