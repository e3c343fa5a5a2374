//! Answers with what made them.

use super::{ROW, check};
use crate::fixture::start;
use expect_test::expect;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_says_what_made_it_when_it_is_asked() {
    let server = start(1, |options| options.explain_rows = 2).await;
    let two = format!("[{ROW}, {{\"x\": null, \"colour\": \"blue\", \"day\": null}}]");
    let reply = server.post("/predict?explain=true", &two).await;
    let told = reply.json();
    let first =
        json!({"class": "yes", "unit": "probability", "base": 0.0, "score": 0.75, "contributions": {"colour": 0.5, "x": 0.25, "day": 0.0}});
    assert_eq!((reply.status, &told["explanations"][0]), (200, &first), "{}", reply.text());
    assert_eq!(told["explanations"][1]["score"], json!(0.0));
    assert_eq!(told["predictions"], server.post("/predict", &two).await.json()["predictions"]);
    for path in ["/predict", "/predict?explain=false", "/predict?other=1"] {
        assert!(server.post(path, ROW).await.json().get("explanations").is_none(), "{path}");
    }
    let several = start(2, |_| {}).await.post("/models/flowers/predict?explain=true", ROW).await;
    assert_eq!(several.json()["explanations"][0]["y"], first);
    assert_eq!(several.json()["explanations"][0]["z"]["score"], json!(0.75));
}

#[tokio::test(flavor = "multi_thread")]
async fn explanations_are_bounded() {
    let server = start(1, |options| options.explain_rows = 1).await;
    check(
        "too many",
        &server.post("/predict?explain=true", &format!("[{ROW}, {ROW}]")).await,
        413,
        expect![[r#"
            {"error":{"message":"found 2 rows to explain, wanted at most 1","hint":"send fewer rows at once"},
            "request_id":"r1"}"#]],
    );
    check(
        "neither true nor false",
        &server.post("/predict?explain=maybe", ROW).await,
        400,
        expect![[r#"
            {"error":{"message":"explain: found another value, wanted true or false, once","hint":"POST /predict?explain=true"},
            "request_id":"r2"}"#]],
    );
    check(
        "as a table",
        &server.send("POST", "/predict?explain=true", "content-type: text/csv\r\n", b"day,x,colour\n,2,red\n").await,
        400,
        expect![[r#"
            {"error":{"message":"explanations are no table","hint":"say accept: application/json"},
            "request_id":"r3"}"#]],
    );
    let none = start(1, |options| options.explain_rows = 0).await;
    assert_eq!(none.post("/predict?explain=true", ROW).await.status, 403);
}
