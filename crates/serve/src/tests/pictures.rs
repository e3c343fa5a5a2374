//! Pictures in every form they are sent in.

use crate::fixture::{Reply, Server, start_photos};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use expect_test::expect;
use serde_json::json;

/// A PNG file of one colour.
fn png(level: u8) -> Vec<u8> {
    cupola_data::Thumbnail { height: 5, width: 4, channels: 3, pixels: vec![level; 60] }.png().unwrap()
}

/// A form with these fields: name, whether it is a file, content.
async fn form(server: &Server, fields: &[(&str, bool, &[u8])]) -> Reply {
    let mut body = Vec::new();
    for (name, is_file, content) in fields {
        let file = if *is_file { "; filename=\"a.png\"\r\ncontent-type: application/octet-stream" } else { "" };
        body.extend_from_slice(format!("--cut\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--cut--\r\n");
    server.send("POST", "/predict", "content-type: multipart/form-data; boundary=cut\r\n", &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_come_as_files_in_base64_and_as_pixels() {
    let server = start_photos(|_| {}).await;
    let answers = |reply: &Reply| {
        let rows = reply.json()["predictions"].as_array().unwrap_or_else(|| panic!("{}", reply.text())).clone();
        rows.iter().map(|row| row["prediction"].as_f64().unwrap()).collect::<Vec<f64>>()
    };
    let reply = form(&server, &[("photo", true, &png(7)), ("age", false, b"3.5")]).await;
    assert_eq!(answers(&reply), [7.0]);
    let reply = form(&server, &[("photo", true, &png(7)), ("photo", true, &png(9)), ("age", false, b""), ("age", false, b"2")]).await;
    assert_eq!(answers(&reply), [7.0, 9.0]);
    let (plain, uri) = (STANDARD.encode(png(30)), format!("data:image/png;base64,{}", STANDARD.encode(png(40))));
    let body = format!(r#"{{"rows": [{{"photo": "{plain}", "age": null}}, {{"photo": "{uri}", "age": 2}}]}}"#);
    assert_eq!(answers(&server.post("/predict", &body).await), [30.0, 40.0]);
    let csv = format!("age,photo\n1,{plain}\n");
    let reply = server.send("POST", "/predict", "content-type: text/csv\r\n", csv.as_bytes()).await;
    assert_eq!(reply.text(), "prediction\n30\n");

    let age = r#"{"name": "age", "shape": [2], "datatype": "FP64", "data": [1, 2]}"#;
    let infer = |photo: &str| format!(r#"{{"inputs": [{{"name": "photo", {photo}}}, {age}]}}"#);
    let pixels = r#""shape": [2, 1, 2, 1], "datatype": "UINT8", "data": [[[[1], [3]]], [[[10], [20]]]]"#;
    let files = format!(r#""shape": [2, 1], "datatype": "BYTES", "data": ["{plain}", "{uri}"]"#);
    for (photo, wanted) in [(pixels, json!([2.0, 15.0])), (&files, json!([30.0, 40.0]))] {
        let reply = server.post("/v2/models/photos/infer", &infer(photo)).await;
        assert_eq!(reply.json()["outputs"][0]["data"], wanted, "{}", reply.text());
    }
    let raw: Vec<u8> = [png(5), png(6)].iter().flat_map(|file| [&(file.len() as u32).to_le_bytes()[..], file].concat()).collect();
    for (photo, raw, wanted) in [
        (r#""shape": [2], "datatype": "BYTES""#, raw, json!([5.0, 6.0])),
        (r#""shape": [2, 2, 1, 3], "datatype": "UINT8""#, vec![1, 2, 3, 4, 5, 6, 9, 9, 9, 9, 9, 9], json!([3.5, 9.0])),
    ] {
        let head = infer(&format!(r#"{photo}, "parameters": {{"binary_data_size": {}}}"#, raw.len()));
        let length = format!("inference-header-content-length: {}\r\n", head.len());
        let reply = server.send("POST", "/v2/models/photos/infer", &length, &[head.as_bytes(), &raw].concat()).await;
        assert_eq!(reply.json()["outputs"][0]["data"], wanted, "{}", reply.text());
    }
    let described = server.get("/v2/models/photos").await.json();
    assert_eq!(described["inputs"][0], json!({"name": "photo", "datatype": "BYTES", "shape": [-1]}));
    let page = server.get("/").await.text();
    assert!(page.contains("type=\"file\"") && page.contains("accept=\"image/*\""), "{page}");
    assert!(server.get("/docs").await.text().contains("-F photo=@picture.png -F age=..."));
    assert_eq!(server.get("/openapi.json").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_picture_is_refused_and_no_name_is_followed() {
    let server = start_photos(|_| {}).await;
    let mut told = String::new();
    let mut tell = |what: &str, reply: &Reply| {
        let error = reply.json()["error"].clone();
        let text = error["message"].as_str().or_else(|| error.as_str()).unwrap_or_default().to_owned();
        told += &format!("{what}: {} {text}\n", reply.status);
    };
    let json = |photo: &str| format!(r#"{{"photo": {photo}, "age": 1}}"#);
    for photo in [
        "\"https://example.org/cat.png\"",
        "\"/etc/hostname\"",
        "\"cat.png\"",
        "null",
        "7",
        "\"\"",
        &format!("\"{}\"", STANDARD.encode(b"this is no picture, but it is long enough to be one")),
        &format!("\"{}\"", STANDARD.encode(&png(3)[..60])),
    ] {
        tell("json", &server.post("/predict", &json(photo)).await);
    }
    tell("form path", &form(&server, &[("photo", false, b"@cat.png"), ("age", false, b"1")]).await);
    tell("form without", &form(&server, &[("age", false, b"1")]).await);
    tell("form unequal", &form(&server, &[("photo", true, &png(1)), ("photo", true, &png(1)), ("age", false, b"1")]).await);
    tell("form unknown", &form(&server, &[("foto", true, &png(1)), ("photo", true, &png(1)), ("age", false, b"1")]).await);
    tell("form age", &form(&server, &[("photo", true, &png(1)), ("age", false, b"old")]).await);
    tell("form cut", &server.send("POST", "/predict", "content-type: multipart/form-data; boundary=cut\r\n", b"--cut\r\nnonsense").await);
    tell("form bare", &server.send("POST", "/predict", "content-type: multipart/form-data\r\n", b"").await);
    tell("csv", &server.send("POST", "/predict", "content-type: text/csv\r\n", b"age,photo\n1,cat.png\n").await);
    let age = r#"{"name": "age", "shape": [1], "datatype": "FP64", "data": [1]}"#;
    for photo in [
        r#""shape": [1, 1, 1, 3], "datatype": "FP32", "data": [0.1, 0.2, 0.3]"#,
        r#""shape": [1, 1, 1, 2], "datatype": "UINT8", "data": [1, 2]"#,
        r#""shape": [1, 1, 1, 3], "datatype": "UINT8", "data": [1, 2]"#,
        r#""shape": [1, 1, 2], "datatype": "UINT8", "data": [1, 256]"#,
        r#""shape": [1, 4294967296, 4294967296, 3], "datatype": "UINT8", "data": [1]"#,
        r#""shape": [1], "datatype": "BYTES", "data": ["/etc/hostname"]"#,
    ] {
        let body = format!(r#"{{"inputs": [{{"name": "photo", {photo}}}, {age}]}}"#);
        tell("tensor", &server.post("/v2/models/photos/infer", &body).await);
    }
    expect![[r#"
        json: 422 column photo in row 1: found the address "https://example.org/cat.png", and this server opens none, wanted the content of a JPEG, PNG, WebP, BMP, TIFF or GIF file in base64
        json: 422 column photo in row 1: found "/etc/hostname", which looks like a path, and this server opens none, wanted the content of a JPEG, PNG, WebP, BMP, TIFF or GIF file in base64
        json: 422 column photo in row 1: found "cat.png", which looks like a path, and this server opens none, wanted the content of a JPEG, PNG, WebP, BMP, TIFF or GIF file in base64
        json: 422 column photo in row 1: found null, wanted the content of a JPEG, PNG, WebP, BMP, TIFF or GIF file in base64
        json: 422 column photo in row 1: found 7, wanted the content of a JPEG, PNG, WebP, BMP, TIFF or GIF file in base64
        json: 422 column photo in row 1: found nothing, wanted the content of a JPEG, PNG, WebP, BMP, TIFF or GIF file in base64
        json: 422 column photo in row 1: found no picture of a known format, wanted a JPEG, PNG, WebP, BMP, TIFF or GIF picture
        json: 422 column photo in row 1: found a damaged or cut off picture (unexpected end of file), wanted a JPEG, PNG, WebP, BMP, TIFF or GIF picture
        form path: 422 column photo in row 1: found "@cat.png", which looks like a path, and this server opens none, wanted the content of a picture's file
        form without: 422 column photo: found no such column, wanted a value
        form unequal: 422 column age: found 1 values, wanted 2, as many as of other columns
        form unknown: 422 column foto: found a column that the model does not know, wanted its inputs
        form age: 422 column age in row 1: found "old", wanted a number
        form cut: 400 malformed form: incomplete multipart stream
        form bare: 400 malformed form: 0 boundaries in the content type, wanted one
        csv: 422 column photo in row 1: found "cat.png", which looks like a path, and this server opens none, wanted the content of a JPEG, PNG, WebP, BMP, TIFF or GIF file in base64
        tensor: 400 input photo: found the type FP32, wanted UINT8 pixels of shape [n, height, width, channels], or BYTES with the content of picture files
        tensor: 400 input photo: found shape [1, 1, 1, 2], wanted [n, height, width, 1 or 3] or [n, height, width], with n > 0 as in the first input
        tensor: 400 input photo: found 2 values, wanted 3, as the shape says
        tensor: 400 input photo: found other numbers, wanted whole numbers of 0 to 255
        tensor: 400 input photo: found shape [1, 4294967296, 4294967296, 3], wanted [n, height, width, 1 or 3] or [n, height, width], with n > 0 as in the first input
        tensor: 400 input photo: found "/etc/hostname", which looks like a path, and this server opens none, wanted the content of a JPEG, PNG, WebP, BMP, TIFF or GIF file in base64 (send the file's bytes in base64, as data:image/png;base64,... or without that prefix; or as a form: curl -F COLUMN=@picture.png)
    "#]].assert_eq(&told);
}
