//! Requests that are answered together.

use crate::ServeOptions;
use crate::fixture::{PANIC, start};
use serde_json::json;
use std::time::Duration;

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
        (options.queue, options.request_timeout) = (Some(1), Duration::from_millis(900));
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
