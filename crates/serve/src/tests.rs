//! The real server on a free port, asked over the wire.

use crate::fixture::{PANIC, Reply, Server, WAIT, start, start_photos};
use crate::{Error, ServeOptions, serve};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
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
    assert_eq!((reply.status, &reply.json()["error"]), (400, &json!("bad request")));
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
            r#"{"model_name":"flowers","model_version":"1","outputs":[{"name":"probability","datatype":"FP64","shape":[2,2],"data":[0.25,0.75,0.0,1.0]}],"id":"7"}"#
        ]],
    );

    let head = format!(
        r#"{{"inputs": [{{"name": "x", "shape": [2], "datatype": "FP64", "parameters": {{"binary_data_size": 16}}}}, {rest}], "parameters": {{"binary_data_output": true}}}}"#
    );
    let raw: Vec<u8> = [2.0f64, f64::NAN].iter().flat_map(|number| number.to_le_bytes()).collect();
    let length = format!("inference-header-content-length: {}\r\n", head.len());
    let reply = server.send("POST", "/v2/models/flowers/infer", &length, &[head.as_bytes(), &raw].concat()).await;
    let split: usize = reply.header("inference-header-content-length").unwrap().parse().unwrap();
    expect![[r#"{"model_name":"flowers","model_version":"1","outputs":[{"name":"prediction","datatype":"BYTES","shape":[2],"parameters":{"binary_data_size":13}},{"name":"probability","datatype":"FP64","shape":[2,2],"parameters":{"binary_data_size":32}}]}"#]].assert_eq(std::str::from_utf8(&reply.body[..split]).unwrap());
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
    let server = start(1, |options| (options.workers, options.queue) = (1, 1)).await;
    let wait = format!("{{\"x\": {WAIT}, \"colour\": null, \"day\": null}}");
    let (first, second, ()) = tokio::join!(server.post("/predict", &wait), server.post("/predict", &wait), async {
        server.gate.arrived(1).await;
        while !server.get("/metrics").await.text().contains("cupola_queue 1") {
            tokio::task::yield_now().await;
        }
        let reply = server.post("/predict", ROW).await;
        assert_eq!((reply.status, reply.header("retry-after")), (429, Some("1")), "{}", reply.text());
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
        serve(models, options, std::future::pending(), |_| {})
    };
    let model = || vec![("m".to_owned(), crate::fixture::artifact(&server.gate, 1))];
    let error = try_on(&server.address.to_string(), model()).await.unwrap_err();
    let port = server.address.port();
    assert!(matches!(error, Error::Listen { .. }) && error.hint().unwrap().contains(&format!("listens on port {port}")), "{error}");
    assert!(matches!(try_on("0.0.0.0:0", model()).await, Err(Error::Open { .. })));
    assert!(matches!(try_on("127.0.0.1:0", vec![]).await, Err(Error::Models(_))));
    assert!(matches!(try_on("127.0.0.1:0", [model(), model()].concat()).await, Err(Error::Models(_))));
}

fn row(x: f64) -> String {
    format!(r#"{{"x": {x}, "colour": "red", "day": null}}"#)
}

/// A window that only ends when enough rows wait: without company a request would come too late.
fn patient(rows: usize) -> impl FnOnce(&mut ServeOptions) {
    move |options| (options.batch_window, options.batch_rows) = (Some(Duration::from_secs(10)), rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_answered_together_get_the_answers_they_get_alone() {
    let (alone, together) = (start(2, |_| {}).await, start(2, patient(5)).await);
    let two = format!("[{}, {}]", row(3.0), row(4.0));
    let bodies = [row(1.0), row(2.0), two];
    let (a, b, c, d) = tokio::join!(
        together.post("/predict", &bodies[0]),
        together.post("/predict", &bodies[1]),
        together.post("/predict", &bodies[2]),
        together.send("POST", "/predict", "content-type: text/csv\r\n", b"day,y,x,colour\n,no,5,green\n"),
    );
    for (reply, body) in [a, b, c].iter().zip(&bodies) {
        let wanted = alone.post("/predict", body).await;
        assert_eq!((reply.status, &reply.json()["predictions"]), (200, &wanted.json()["predictions"]), "{body}");
    }
    assert_eq!(d.text(), alone.send("POST", "/predict", "content-type: text/csv\r\n", b"day,x,colour\n,5,green\n").await.text());
    let metrics = together.get("/metrics").await.text();
    assert!(metrics.contains("cupola_batches_total 1\n") && metrics.contains("cupola_batched_rows_total 5\n"), "{metrics}");
    // So many rows wait for nobody.
    let many = format!("[{}]", vec![row(1.0); 5].join(","));
    assert_eq!(together.post("/predict", &many).await.status, 200);
    let infer = r#"{"inputs": [{"name": "x", "shape": [4], "datatype": "FP32", "data": [1, 2, 3, 4]},
        {"name": "colour", "shape": [4], "datatype": "BYTES", "data": ["red", "red", "red", "red"]},
        {"name": "day", "shape": [4], "datatype": "BYTES", "data": ["", "", "", ""]}], "outputs": [{"name": "z_prediction"}]}"#;
    let (one, four) = (row(2.0), "/v2/models/flowers/infer");
    let (one, four) = tokio::join!(together.post("/predict", &one), together.post(four, infer));
    assert_eq!(one.status, 200, "{}", one.text());
    assert_eq!(four.json()["outputs"][0]["data"], json!([0.625, 0.75, 0.875, 1.0]), "{}", four.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_one_request_does_not_touch_its_company() {
    let server = start(1, patient(3)).await;
    let (good, panics, unfit) = (row(2.0), row(PANIC), row(1.0).replace("null", "\"soon\""));
    let (a, b, c, d) = tokio::join!(
        server.post("/predict", &good),
        server.post("/predict", &panics),
        server.post("/predict", &unfit),
        server.post("/predict", &good),
    );
    assert_eq!([a.status, b.status, c.status, d.status], [200, 500, 422, 200]);
    assert_eq!(a.json()["predictions"], d.json()["predictions"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_requests_wait_for_company() {
    let server = start(1, |options| {
        patient(100)(options);
        (options.queue, options.request_timeout) = (1, Duration::from_millis(900));
    })
    .await;
    let body = row(2.0);
    let third = async {
        while !server.get("/metrics").await.text().contains("cupola_queue 2\n") {}
        server.post("/predict", &body).await
    };
    let (a, b, c) = tokio::join!(server.post("/predict", &body), server.post("/predict", &body), third);
    assert_eq!([a.status, b.status, c.status], [504, 504, 429]);
    assert_eq!(c.header("retry-after"), Some("1"));
}

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
        form bare: 400 malformed form: Invalid `boundary` for `multipart/form-data` request
        csv: 422 column photo in row 1: found "cat.png", which looks like a path, and this server opens none, wanted the content of a JPEG, PNG, WebP, BMP, TIFF or GIF file in base64
        tensor: 400 input photo: found the type FP32, wanted UINT8 pixels of shape [n, height, width, channels], or BYTES with the content of picture files
        tensor: 400 input photo: found shape [1, 1, 1, 2], wanted [n, height, width, 1 or 3] or [n, height, width], with n > 0 as in the first input
        tensor: 400 input photo: found 2 values, wanted 3, as the shape says
        tensor: 400 input photo: found other numbers, wanted whole numbers of 0 to 255
        tensor: 400 input photo: found shape [1, 4294967296, 4294967296, 3], wanted [n, height, width, 1 or 3] or [n, height, width], with n > 0 as in the first input
        tensor: 400 input photo: found "/etc/hostname", which looks like a path, and this server opens none, wanted the content of a JPEG, PNG, WebP, BMP, TIFF or GIF file in base64 (send the file's bytes in base64, as data:image/png;base64,... or without that prefix; or as a form: curl -F COLUMN=@picture.png)
    "#]].assert_eq(&told);
}
