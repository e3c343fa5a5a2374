//! Tables on other machines. Real servers are asked by `crates/cupola/proof/sources.py`.

use crate::desk::{Desk, good};
use expect_test::expect;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;

/// Serves one object, `bucket/good.csv`, for as long as the test runs; gives its address.
fn server(body: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let asked: Vec<String> = (&mut stream).lines().map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
            let is_known = asked.iter().any(|line| line.eq_ignore_ascii_case("if-none-match: \"abc1\""));
            let (status, body) = match asked[0].starts_with("GET /bucket/good.csv") {
                true if is_known => ("304 Not Modified", ""),
                true => ("200 OK", body.as_str()),
                false => ("404 Not Found", "<Error><Code>NoSuchKey</Code></Error>"),
            };
            let head = format!("HTTP/1.1 {status}\r\netag: \"abc1\"\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.get_mut().write_all((head + body).as_bytes()).unwrap();
        }
    });
    address
}

#[test]
fn an_object_is_read_as_a_file_is() {
    let desk = Desk::new();
    desk.put("good.csv", good(200));
    let address = server(good(200));
    let asked = |words: &[&str]| {
        let mut command = desk.cupola(words);
        for variable in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"] {
            command.env_remove(variable);
        }
        let ran = desk.ended(command.env("HOME", desk.path(".")).env("AWS_ENDPOINT_URL", &address).spawn().unwrap());
        assert_eq!(ran.code, Some(0), "{words:?}\n{}{}", ran.stdout, ran.stderr);
    };
    for (name, data) in [("near", "good.csv"), ("far", "s3://bucket/good.csv")] {
        asked(&["train", data, "target=c", "model=tree", "ignore=y", &format!("name={name}"), "-q"]);
        asked(&["predict", "runs/latest", data, "-o", &format!("{name}.csv")]);
    }
    assert_eq!(desk.bytes("runs/0001-near/model.cupola"), desk.bytes("runs/0002-far/model.cupola"));
    assert_eq!(desk.bytes("near.csv"), desk.bytes("far.csv"));
    assert_eq!(desk.json("runs/0002-far/report.json")["data"]["files"][0]["path"], "s3://bucket/good.csv");
    assert_eq!(desk.names("cache/s3").len(), 1);
    asked(&["data", "convert", "s3://bucket/good.csv", "again.csv"]);
    assert_eq!(desk.bytes("again.csv"), desk.bytes("good.csv"));
}

#[test]
fn passwords_are_not_repeated() {
    let desk = Desk::new();
    let lines = [
        "train postgres://ann:s3cret@127.0.0.1:9/shop table=orders target=y",
        "train target=y postgres://ann:s3cret@127.0.0.1:9/shop",
        "data profile postgres://ann:s3cret@127.0.0.1:9/shop?sslmode=never",
        "data profile s3://KEY:s3cret@bucket/a.csv",
        "data profile https://example.org/a.csv",
    ];
    desk.refuses(&lines, expect![[r#"
        $ train postgres://ann:s3cret@127.0.0.1:9/shop table=orders target=y
        error: failed to train: postgres://ann@127.0.0.1:9/shop: found error connecting to server: Connection refused (os error 111), wanted a table that can be read
        hint: is the server running, and do host and port hold? postgres://USER@HOST:PORT/DATABASE
        = 3
        $ train target=y postgres://ann:s3cret@127.0.0.1:9/shop
        error: failed to read the command line: command line: found "postgres://ann@127.0.0.1:9/shop", wanted key=value
        hint: paths of data come first, then key=value pairs
        = 2
        $ data profile postgres://ann:s3cret@127.0.0.1:9/shop?sslmode=never
        error: failed to profile the table: postgres://ann@127.0.0.1:9/shop?sslmode=never: found sslmode=never, wanted disable, prefer, require or verify-full
        = 3
        $ data profile s3://KEY:s3cret@bucket/a.csv
        error: failed to profile the table: s3://KEY@bucket/a.csv: found no name of a bucket, wanted s3://BUCKET/KEY
        hint: keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, not from the URL
        = 3
        $ data profile https://example.org/a.csv
        error: failed to profile the table: https://example.org/a.csv: found a URL of https, wanted a file, or a URL of postgres or s3
        hint: download what it names, and name the file
        = 3
    "#]]);
    desk.put("recipe.toml", "target = 'y'\n[data]\ntrain = 'postgres://ann:s3cret@127.0.0.1:9/shop?table=orders&password=s3cret'\n");
    let checked = desk.run(&["check", "recipe.toml"]);
    assert_eq!(checked.code, Some(3));
    assert!(
        checked.stderr.contains("postgres://ann@127.0.0.1:9/shop?table=orders:") && !checked.stderr.contains("s3cret"),
        "{}",
        checked.stderr
    );
}
