//! Bodies that are too large, too slow, or of too many pieces.

use crate::fixture::{start, start_photos};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

const ROW: &str = r#"{"x": 2, "colour": "red", "day": null}"#;

/// Reads until the server closes.
async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_answered_while_it_comes() {
    let server = start(1, |options| options.max_body_bytes = 1000).await;
    let head = "POST /predict HTTP/1.1\r\nhost: t\r\n";
    for (framing, piece) in
        [("content-length: 1000000000\r\n\r\n", "x".repeat(1000)), ("transfer-encoding: chunked\r\n\r\n", "6\r\nxxxxxx\r\n".repeat(200))]
    {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(format!("{head}{framing}{piece}").as_bytes()).await.unwrap();
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTTP/1.1 413", "{framing}");
        // A client that goes on all the same is not reset before it has read its answer.
        for _ in 0..1000 {
            stream.write_all(piece.as_bytes()).await.unwrap();
        }
        stream.shutdown().await.unwrap();
        let answer = rest(&mut stream).await;
        assert!(answer.contains("connection: close") && answer.contains("wanted at most 1000"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crumbs_are_refused_and_small_pieces_are_not() {
    let server = start(1, |_| {}).await;
    let chunked = |piece: usize| {
        let chunk = format!("{piece:x}\r\n{}\r\n", " ".repeat(piece));
        format!(
            "POST /predict HTTP/1.1\r\nhost: t\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{}{:x}\r\n{ROW}\r\n0\r\n\r\n",
            chunk.repeat(10_000),
            ROW.len()
        )
    };
    for (piece, wanted) in [(6, "HTTP/1.1 413"), (40, "HTTP/1.1 200")] {
        let answer = server.raw(chunked(piece).as_bytes()).await;
        assert!(answer.starts_with(wanted.as_bytes()), "{}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_small_and_refused_leaves_the_connection_open() {
    let server = start(1, |_| {}).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for (path, status) in [("/models/other/predict", "404"), ("/predict", "200")] {
        let request = format!("POST {path} HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n{ROW}", ROW.len());
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = vec![0; 4096];
        let count = stream.read(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && !answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_is_given_up() {
    let server = start(1, |options| options.header_timeout = Duration::from_millis(200)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let begin = Instant::now();
    stream.write_all(b"POST /predict HTTP/1.1\r\nhost: t\r\ncontent-length: 1000\r\n\r\n{").await.unwrap();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(40)).await;
        stream.write_all(b" ").await.unwrap();
    }
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let took = begin.elapsed();
    assert!(
        took > Duration::from_millis(200) && took < Duration::from_secs(1),
        "given up after {took:?}, long before the request's deadline"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_have_few_parts_and_short_boundaries() {
    let server = start_photos(|_| {}).await;
    let send = async |boundary: &str, fields: usize| {
        let field = format!("--{boundary}\r\ncontent-disposition: form-data; name=\"age\"\r\n\r\n1\r\n");
        let kind = format!("content-type: multipart/form-data; boundary={boundary}\r\n");
        server.send("POST", "/predict", &kind, format!("{}--{boundary}--\r\n", field.repeat(fields)).as_bytes()).await
    };
    // The form itself is taken; it lacks the photo.
    assert_eq!(send(&"b".repeat(70), 64).await.status, 422);
    let reply = send(&"b".repeat(71), 1).await;
    assert_eq!((reply.status, reply.text().contains("a boundary of 71 bytes, wanted 1 to 70")), (400, true), "{}", reply.text());
    let reply = send("b", 65).await;
    assert_eq!((reply.status, reply.text().contains("more than 64 fields")), (413, true), "{}", reply.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn trees_of_values_are_counted_before_they_grow() {
    let server = start(1, |options| options.max_rows = 10).await;
    let outputs = r#"{"name": "prediction"},"#.repeat(6000);
    let body = format!(r#"{{"inputs": [], "outputs": [{}]}}"#, outputs.trim_end_matches(','));
    assert_eq!(server.post("/v2/models/flowers/infer", &body).await.status, 413);
    let labels = r#"{"id": "r1", "label": "yes"},"#.repeat(11);
    let reply = server.post("/feedback", &format!("[{}]", labels.trim_end_matches(','))).await;
    assert_eq!((reply.status, reply.text().contains("found 11 labels, wanted at most 10")), (413, true), "{}", reply.text());
    assert_eq!(server.post("/feedback", &"[".repeat(100)).await.status, 413);
}
