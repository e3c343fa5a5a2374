//! Exchanging models is no affair of whoever may ask them.

use crate::fixture::start;

#[tokio::test(flavor = "multi_thread")]
async fn models_are_administered_on_the_machine_of_the_server_alone() {
    let server = start(1, |options| (options.http, options.insecure) = ("0.0.0.0:0".parse().unwrap(), true)).await;
    assert_eq!(server.get("/admin/models/flowers").await.status, 403);
    let local = start(1, |_| {}).await;
    let path = "/admin/models/flowers/rollback";
    let reply = local.post(path, "").await;
    assert_eq!(reply.status, 409, "{}", reply.text());
    assert!(reply.text().contains("served from a file"));
    let from = async |origin: &str| local.send("POST", path, &format!("origin: {origin}\r\n"), b"").await.status;
    assert_eq!((from("http://elsewhere.example").await, from("http://test").await, from("null").await), (403, 409, 403));
    assert_eq!(local.post("/admin/models/others/rollback", "").await.status, 404);
}
