//! The real server on a free port, asked over the wire.

mod admin;
mod batches;
mod bodies;
mod explained;
mod pictures;
mod secrets;

use crate::fixture::{PANIC, Reply, WAIT, start, world};
use crate::{Error, ServeOptions, Source, serve};
use cupola_task::Fault;
use expect_test::{Expect, expect};
use serde_json::json;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const ROW: &str = r#"{"x": 2, "colour": "red", "day": null}"#;

fn check(what: &str, reply: &Reply, status: u16, body: Expect) {
    assert_eq!(reply.status, status, "{what}: {}", reply.text());
    body.assert_eq(&reply.text().replace("\"request_id\":", "\n\"request_id\":"));
}

#[tokio::test(flavor = "multi_thread")]
async fn predict_takes_every_shape_of_rows() {
    let server = start(1, |_| {}).await;
    let plain = json!([{"prediction": "yes", "probability_no": 0.25, "probability_yes": 0.75}]);
    let with_others = r#"{"y": "no", "x": 2.0, "day": "2024-12-31", "colour": "red"}"#;
    for body in [format!(r#"{{"rows": [{ROW}]}}"#), format!("[{ROW}]"), ROW.to_owned(), with_others.to_owned()] {
        let reply = server.post("/predict", &body).await;
        assert_eq!((reply.status, &reply.json()["predictions"]), (200, &plain), "{body}: {}", reply.text());
    }
    let reply = server.post("/models/flowers/predict", r#"[{"x": null, "colour": "mauve", "day": ""}]"#).await;
    assert_eq!(reply.json()["unseen"], json!([{"column": "colour", "row": 1, "value": "mauve"}]));
    assert_eq!(reply.json()["hash"].as_str().unwrap().len(), 64);

    let csv = "day,x,colour\n2024-12-31,2,red\n,?, green \n";
    let reply = server.send("POST", "/predict", "content-type: text/csv\r\nx-request-id: mine-1\r\n", csv.as_bytes()).await;
    assert_eq!((reply.header("content-type"), reply.header("x-request-id")), (Some("text/csv; charset=utf-8"), Some("mine-1")));
    check("csv", &reply, 200, expect!["prediction,probability_no,probability_yes\nyes,0.25,0.75\nno,1,0\n"]);
    let reply = server.send("POST", "/predict", "content-type: text/csv\r\naccept: application/json\r\n", csv.as_bytes()).await;
    assert_eq!(reply.json()["predictions"][0], plain[0]);
    let metrics = server.get("/metrics").await.text();
    for line in
        ["cupola_rows_total 9", "cupola_unseen_total{model=\"flowers\",column=\"colour\"} 1", "route=\"/predict\",status=\"200\"} 6"]
    {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_targets_answer_under_their_names() {
    let server = start(2, |_| {}).await;
    let reply = server.post("/predict", ROW).await;
    let both = json!({"y": {"prediction": "yes", "probability_no": 0.25, "probability_yes": 0.75}, "z": {"prediction": 0.75}});
    assert_eq!(reply.json()["predictions"], json!([both]));
    let outputs = &server.get("/v2/models/flowers").await.json()["outputs"];
    let names: Vec<&str> = outputs.as_array().unwrap().iter().map(|output| output["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["y_prediction", "y_probability", "z_prediction"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_told_with_its_place() {
    let server = start(1, |options| (options.max_body_bytes, options.max_rows) = (2000, 3)).await;
    let deep = "[".repeat(1500);
    let four = format!("[{ROW},{ROW},{ROW},{ROW}]");
    let cases: [(&str, &str, u16, Expect); 15] = [
        (
            "malformed",
            "{\"rows\": [{\"x\": }]}",
            400,
            expect![[r#"
            {"error":{"message":"malformed JSON: expected value at line 1 column 17","hint":"send {\"rows\": [{\"column\": value, ...}, ...]}; /docs shows an example"},
            "request_id":"r1"}"#]],
        ),
        (
            "empty",
            "",
            400,
            expect![[r#"
            {"error":{"message":"malformed JSON: EOF while parsing a value at line 1 column 0","hint":"send {\"rows\": [{\"column\": value, ...}, ...]}; /docs shows an example"},
            "request_id":"r2"}"#]],
        ),
        (
            "no row",
            "{\"rows\": []}",
            400,
            expect![[r#"
            {"error":{"message":"found no row, wanted at least one","hint":"send {\"rows\": [{\"column\": value, ...}, ...]}; /docs shows an example"},
            "request_id":"r3"}"#]],
        ),
        (
            "deep",
            &deep,
            400,
            expect![[r#"
                {"error":{"message":"JSON of another shape: invalid type: sequence, expected a row as an object of columns and values at line 1 column 1","hint":"send {\"rows\": [{\"column\": value, ...}, ...]}; /docs shows an example"},
                "request_id":"r4"}"#]],
        ),
        (
            "deep cell",
            &format!("{{\"x\": {deep}"),
            400,
            expect![[r#"
            {"error":{"message":"malformed JSON: EOF while parsing a list at line 1 column 1506","hint":"send {\"rows\": [{\"column\": value, ...}, ...]}; /docs shows an example"},
            "request_id":"r5"}"#]],
        ),
        (
            "no object",
            "[1]",
            400,
            expect![[r#"
                {"error":{"message":"JSON of another shape: invalid type: integer `1`, expected a row as an object of columns and values at line 1 column 2","hint":"send {\"rows\": [{\"column\": value, ...}, ...]}; /docs shows an example"},
                "request_id":"r6"}"#]],
        ),
        (
            "missing",
            "[{\"x\": 1, \"day\": null}]",
            422,
            expect![[r#"
            {"error":{"message":"column colour in row 1: found no such column, wanted a value","column":"colour","row":1,"found":"no such column","wanted":"a value","hint":"send null where the value is not known"},
            "request_id":"r7"}"#]],
        ),
        (
            "unknown",
            "[{\"x\": 1, \"color\": \"red\", \"day\": null}]",
            422,
            expect![[r#"
            {"error":{"message":"column color in row 1: found a column that the model does not know, wanted its inputs","column":"color","row":1,"found":"a column that the model does not know","wanted":"its inputs","hint":"did you mean colour?"},
            "request_id":"r8"}"#]],
        ),
        (
            "twice",
            "{\"x\": 1, \"x\": 2}",
            422,
            expect![[r#"
            {"error":{"message":"column x in row 1: found the column twice, wanted each column once","column":"x","row":1,"found":"the column twice","wanted":"each column once"},
            "request_id":"r9"}"#]],
        ),
        (
            "text",
            "[{\"x\": 1, \"colour\": \"red\", \"day\": null}, {\"x\": \"many\"}]",
            422,
            expect![[r#"
            {"error":{"message":"column x in row 2: found \"many\", wanted a number or null","column":"x","row":2,"found":"\"many\"","wanted":"a number or null"},
            "request_id":"r10"}"#]],
        ),
        (
            "quoted",
            "{\"x\": \"2.5\"}",
            422,
            expect![[r#"
            {"error":{"message":"column x in row 1: found \"2.5\", wanted a number or null","column":"x","row":1,"found":"\"2.5\"","wanted":"a number or null","hint":"write numbers without quotes"},
            "request_id":"r11"}"#]],
        ),
        (
            "list",
            "{\"x\": [1]}",
            422,
            expect![[r#"
            {"error":{"message":"column x in row 1: found a list, wanted a number or null","column":"x","row":1,"found":"a list","wanted":"a number or null"},
            "request_id":"r12"}"#]],
        ),
        (
            "date",
            "[{\"x\": 1, \"colour\": \"red\", \"day\": \"soon\"}]",
            422,
            expect![[r#"
                {"error":{"message":"column day in row 1: found \"soon\", wanted a date","column":"day","row":1,"found":"\"soon\"","wanted":"a date","hint":"send nothing (null in JSON, an empty cell in CSV) where the value is not known"},
                "request_id":"r13"}"#]],
        ),
        (
            "rows",
            &four,
            413,
            expect![[r#"
            {"error":{"message":"found more than 3 rows","hint":"send fewer rows at once"},
            "request_id":"r14"}"#]],
        ),
        (
            "beside",
            &format!("{{\"rows\": [{ROW}], \"x\": 1}}"),
            400,
            expect![[r#"
            {"error":{"message":"found other keys beside rows","hint":"send {\"rows\": [{\"column\": value, ...}, ...]}; /docs shows an example"},
            "request_id":"r15"}"#]],
        ),
    ];
    for (what, body, status, wanted) in cases {
        check(what, &server.post("/predict", body).await, status, wanted);
    }
    let csv = |body: &'static str| server.send("POST", "/predict", "content-type: text/csv\r\n", body.as_bytes());
    check(
        "csv header",
        &csv("x,colour,dai\n1,red,\n").await,
        422,
        expect![[r#"
        {"error":{"message":"column dai: found a column that the model does not know, wanted its inputs","column":"dai","found":"a column that the model does not know","wanted":"its inputs","hint":"did you mean day?"},
        "request_id":"r16"}"#]],
    );
    check(
        "csv cell",
        &csv("x,colour,day\n1,red,\nmany,red,\n").await,
        422,
        expect![[r#"
            {"error":{"message":"column x in row 2: found \"many\", wanted a number","column":"x","row":2,"found":"\"many\"","wanted":"a number","hint":"send nothing (null in JSON, an empty cell in CSV) where the value is not known"},
            "request_id":"r17"}"#]],
    );
    check(
        "csv ragged",
        &csv("x,colour,day\n1,red\n").await,
        400,
        expect![[r#"
            {"error":{"message":"body:2: found 2 fields, wanted 3 fields as in the header","hint":"send a line of column names and a line for each row; quote fields that hold the delimiter"},
            "request_id":"r18"}"#]],
    );
    check(
        "other form",
        &server.send("POST", "/predict", "content-type: image/png\r\n", b"").await,
        415,
        expect![[r#"
        {"error":{"message":"content-type \"image/png\" is not supported","hint":"send application/json, text/csv or multipart/form-data"},
        "request_id":"r19"}"#]],
    );
    check(
        "gzip",
        &server.send("POST", "/predict", "content-encoding: gzip\r\n", b"").await,
        415,
        expect![[r#"
        {"error":{"message":"content-encoding \"gzip\" is not supported","hint":"send the body as it is"},
        "request_id":"r20"}"#]],
    );
    check(
        "giant",
        &server.post("/predict", &"x".repeat(1 << 20)).await,
        413,
        expect![[r#"
        {"error":{"message":"a body of 1048576 bytes, wanted at most 2000","hint":"send fewer rows at once, or raise max_body_bytes"},
        "request_id":"r21"}"#]],
    );
    let chunked = b"POST /predict HTTP/1.1\r\nhost: t\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("bb8\r\n{}\r\n0\r\n\r\n", "x".repeat(3000));
    let answer = server.raw(&[chunked, chunk.as_bytes()].concat()).await;
    assert!(answer.starts_with(b"HTTP/1.1 413"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_pages_and_methods_are_told_in_json() {
    let server = start(1, |_| {}).await;
    let reply = server.get("/predictt").await;
    let hint = reply.json()["error"]["hint"].as_str().unwrap().to_owned();
    assert!(reply.status == 404 && hint.starts_with("did you mean /predict? there are: GET /, POST /predict"), "{hint}");
    check(
        "method",
        &server.get("/predict").await,
        405,
        expect![[r#"
        {"error":{"message":"/predict cannot be asked with GET","hint":"ask it with POST; /docs shows how"},
        "request_id":"r2"}"#]],
    );
    check(
        "model",
        &server.post("/models/flower/predict", ROW).await,
        404,
        expect![[r#"
        {"error":{"message":"no model flower","hint":"did you mean flowers?"},
        "request_id":"r3"}"#]],
    );
    check("protocol", &server.get("/v2/models/flower").await, 404, expect![[r#"{"error":"no model flower (did you mean flowers?)"}"#]]);
    let reply = server.get("/v2/models/%ff").await;
    assert_eq!((reply.status, &reply.json()["error"]), (400, &json!("the path is not UTF-8")));
    for path in ["/", "/docs", "/openapi.json", "/health", "/assets/page.js", "/assets/page.css", "/?model=flowers"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    let page = server.get("/").await;
    assert!(
        page.text().contains("<option value=\"green\" selected>")
            && page.header("content-security-policy").unwrap().starts_with("default-src 'none'")
    );
    let answer = server.raw(b"nonsense\r\n\r\n").await;
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inference_protocol_takes_text_and_raw_tensors() {
    let server = start(1, |_| {}).await;
    check("server", &server.get("/v2").await, 200, expect![[r#"{"name":"cupola","version":"0.1.0","extensions":["binary_tensor_data"]}"#]]);
    check("ready", &server.get("/v2/health/ready").await, 200, expect![[r#"{"live":true,"ready":true}"#]]);
    check("model ready", &server.get("/v2/models/flowers/versions/1/ready").await, 200, expect![[r#"{"name":"flowers","ready":true}"#]]);
    check(
        "describe",
        &server.get("/v2/models/flowers").await,
        200,
        expect![[
            r#"{"name":"flowers","versions":["1"],"platform":"cupola","inputs":[{"name":"x","datatype":"FP64","shape":[-1]},{"name":"colour","datatype":"BYTES","shape":[-1]},{"name":"day","datatype":"BYTES","shape":[-1]}],"outputs":[{"name":"prediction","datatype":"BYTES","shape":[-1]},{"name":"probability","datatype":"FP64","shape":[-1,2],"parameters":{"classes":["no","yes"]}}]}"#
        ]],
    );
    let rest = r#"{"name": "colour", "shape": [2, 1], "datatype": "BYTES", "data": [["red"], [null]]}, {"name": "day", "shape": [2], "datatype": "BYTES", "data": ["", ""]}"#;
    let json = format!(
        r#"{{"id": "7", "inputs": [{{"name": "x", "shape": [2], "datatype": "FP32", "data": [2, 8]}}, {rest}], "outputs": [{{"name": "probability"}}]}}"#
    );
    check(
        "json",
        &server.post("/v2/models/flowers/infer", &json).await,
        200,
        expect![[
            r#"{"model_name":"flowers","model_version":"1","outputs":[{"name":"probability","datatype":"FP64","shape":[2,2],"data":[0.25,0.75,0.0,1.0]}],"parameters":{"hash":"5a33acd1102c97187f158f1ed6b90e1aaf33d09f11f86f48e3ed38267ff58f52","prediction_id":"r5","logged":false},"id":"7"}"#
        ]],
    );

    let head = format!(
        r#"{{"inputs": [{{"name": "x", "shape": [2], "datatype": "FP64", "parameters": {{"binary_data_size": 16}}}}, {rest}], "parameters": {{"binary_data_output": true}}}}"#
    );
    let raw: Vec<u8> = [2.0f64, f64::NAN].iter().flat_map(|number| number.to_le_bytes()).collect();
    let length = format!("inference-header-content-length: {}\r\n", head.len());
    let reply = server.send("POST", "/v2/models/flowers/infer", &length, &[head.as_bytes(), &raw].concat()).await;
    let split: usize = reply.header("inference-header-content-length").unwrap().parse().unwrap();
    expect![[r#"{"model_name":"flowers","model_version":"1","outputs":[{"name":"prediction","datatype":"BYTES","shape":[2],"parameters":{"binary_data_size":13}},{"name":"probability","datatype":"FP64","shape":[2,2],"parameters":{"binary_data_size":32}}],"parameters":{"hash":"5a33acd1102c97187f158f1ed6b90e1aaf33d09f11f86f48e3ed38267ff58f52","prediction_id":"r6","logged":false}}"#]].assert_eq(std::str::from_utf8(&reply.body[..split]).unwrap());
    assert_eq!(&reply.body[split..split + 13], b"\x03\0\0\0yes\x02\0\0\0no");
    assert_eq!(reply.body[split + 13..], [0.25f64, 0.75, 1.0, 0.0].iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>());

    for (what, body, wanted) in [
        (
            "no inputs",
            r#"{"inputs": []}"#.to_owned(),
            expect![[r#"{"error":"column x: found no such column, wanted a value (send null where the value is not known)"}"#]],
        ),
        ("shape", json.replacen("[2]", "[3]", 1), expect![[r#"{"error":"input x: found 2 values, wanted 3, as the shape says"}"#]]),
        ("count", json.replacen("[2, 8]", "[2]", 1), expect![[r#"{"error":"input x: found 1 values, wanted 2, as the shape says"}"#]]),
        (
            "datatype",
            json.replacen("[2, 8]", "[\"a\", \"b\"]", 1),
            expect![[r#"{"error":"input x: found texts, wanted a number or null"}"#]],
        ),
        (
            "unknown",
            json.replacen("\"x\"", "\"xx\"", 1),
            expect![[r#"{"error":"column xx: found a column that the model does not know, wanted its inputs (did you mean x?)"}"#]],
        ),
        (
            "output",
            json.replacen("probability", "chance", 1),
            expect![[r#"{"error":"found the output chance, wanted one of prediction, probability"}"#]],
        ),
        (
            "raw size",
            head.clone(),
            expect![[r#"{"error":"input x: found binary_data_size 16, wanted at most the 0 bytes that are left"}"#]],
        ),
        ("broken", "{".to_owned(), expect![[r#"{"error":"malformed inference request: EOF while parsing an object at line 1 column 1"}"#]]),
    ] {
        check(what, &server.post("/v2/models/flowers/infer", &body).await, 400, wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_cut_off_and_patient_ones_are_not() {
    let server = start(1, |options| {
        (options.header_timeout, options.idle_timeout) = (Duration::from_millis(60), Duration::from_millis(400));
        options.request_timeout = Duration::from_millis(300);
    })
    .await;
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"GET /health HTT").await.unwrap();
    let mut rest = Vec::new();
    let begin = tokio::time::Instant::now();
    let _ = slow.read_to_end(&mut rest).await;
    let took = begin.elapsed();
    assert!((Duration::from_millis(50)..Duration::from_millis(350)).contains(&took), "headers cut off after {took:?}");

    let mut patient = TcpStream::connect(server.address).await.unwrap();
    for pause in [150, 150, 0] {
        patient.write_all(b"GET /health HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
        let mut answer = [0; 15];
        patient.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
        // Longer than the headers may take, shorter than a connection may rest.
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let mut rest = [0; 4096];
        let _ = patient.read(&mut rest).await.unwrap();
    }
    let begin = tokio::time::Instant::now();
    let _ = patient.read_to_end(&mut rest).await;
    assert!(begin.elapsed() >= Duration::from_millis(200), "an idle connection is closed in its own time");

    let answer = server.raw(b"POST /predict HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: 10\r\n\r\n{").await;
    assert!(answer.starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_turns_away_and_a_panic_costs_one_request() {
    let server = start(1, |options| (options.workers, options.queue) = (1, Some(1))).await;
    let wait = format!("{{\"x\": {WAIT}, \"colour\": null, \"day\": null}}");
    let (first, second, ()) = tokio::join!(server.post("/predict", &wait), server.post("/predict", &wait), async {
        server.gate.arrived(1).await;
        while !server.get("/metrics").await.text().contains("cupola_queue 1") {
            tokio::task::yield_now().await;
        }
        let reply = server.post("/predict", ROW).await;
        assert_eq!((reply.status, reply.header("retry-after")), (429, Some("1")), "{}", reply.text());
        assert_eq!(reply.json()["request_id"].as_str(), reply.header("x-request-id"));
        for path in ["/models/flowers/predict", "/models/nobody/predict", "/v2/models/flowers/versions/1/infer"] {
            let reply = server.send("POST", path, "x-request-id: mine\r\n", ROW.as_bytes()).await;
            assert_eq!((reply.status, reply.header("x-request-id")), (429, Some("mine")), "{path}");
            assert_eq!(reply.json()["error"].is_string(), path.starts_with("/v2"), "{path}");
        }
        let counted = r#"cupola_requests_total{route="/v2/models/{model}/versions/{version}/infer",status="429"} 1"#;
        let metrics = server.get("/metrics").await.text();
        assert!(metrics.contains(counted), "{metrics}");
        assert_eq!(server.get("/models/nobody/predict").await.status, 405, "only what asks for predictions is turned away");
        server.gate.open();
    });
    assert_eq!((first.status, second.status), (200, 200));
    let reply = server.post("/predict", &wait.replace(&WAIT.to_string(), &PANIC.to_string())).await;
    assert_eq!((reply.status, reply.json()["request_id"].as_str()), (500, reply.header("x-request-id")));
    assert_eq!(server.post("/predict", ROW).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_answers_are_given_up() {
    let server = start(1, |options| (options.workers, options.request_timeout) = (1, Duration::from_millis(80))).await;
    let wait = format!("{{\"x\": {WAIT}, \"colour\": null, \"day\": null}}");
    assert_eq!(server.post("/predict", &wait).await.status, 504);
    assert_eq!(server.post("/predict", ROW).await.status, 503, "the only worker is still at work");
    server.gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_finishes_what_is_under_way() {
    let server = start(1, |_| {}).await;
    let wait = format!("{{\"x\": {WAIT}, \"colour\": null, \"day\": null}}");
    let (address, gate) = (server.address, server.gate.clone());
    let head = format!("POST /predict HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n{wait}", wait.len());
    let answer = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let (answer, ()) = tokio::join!(answer, async {
        gate.arrived(1).await;
        server.stop.send(()).unwrap();
        while TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
        gate.open();
    });
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    server.done.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_in_use_hears_that_its_answer_is_the_last() {
    let server = start(1, |_| {}).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    server.stop.send(()).unwrap();
    let answer = loop {
        stream.write_all(b"GET /health HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
        let mut answer = vec![0; 4096];
        let count = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
        if !answer.starts_with("HTTP/1.1 200 OK") {
            break answer;
        }
        assert!(!answer.contains("connection: close"), "{answer}");
    };
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("connection: close"), "{answer}");
    assert_eq!(stream.read(&mut [0; 16]).await.unwrap(), 0);
    server.done.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_has_an_end() {
    let server = start(1, |options| options.drain = Duration::from_millis(50)).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    let wait = format!("{{\"x\": {WAIT}, \"colour\": null, \"day\": null}}");
    let head = format!("POST /predict HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n{wait}", wait.len());
    idle.write_all(head.as_bytes()).await.unwrap();
    server.gate.arrived(1).await;
    server.stop.send(()).unwrap();
    server.done.await.unwrap().unwrap();
    server.gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_start_says_why() {
    let server = start(1, |_| {}).await;
    let try_on = |http: &str, models| {
        let options = ServeOptions { http: http.parse().unwrap(), ..ServeOptions::default() };
        serve(models, options, world(), std::future::pending(), |_| {})
    };
    let model = || vec![("m".to_owned(), Source::Fixed(crate::fixture::artifact(&server.gate, 1)))];
    let error = try_on(&server.address.to_string(), model()).await.unwrap_err();
    let port = server.address.port();
    assert!(matches!(error, Error::Listen { .. }) && error.hint().unwrap().contains(&format!("listens on port {port}")), "{error}");
    assert!(matches!(try_on("0.0.0.0:0", model()).await, Err(Error::Open { .. })));
    assert!(matches!(try_on("127.0.0.1:0", vec![]).await, Err(Error::Models(_))));
    assert!(matches!(try_on("127.0.0.1:0", model().into_iter().chain(model()).collect()).await, Err(Error::Models(_))));
}
