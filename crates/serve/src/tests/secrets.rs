//! Tokens and certificates over the wire.

use super::ROW;
use crate::fixture::{Reply, Server, start, world};
use crate::{Error, ServeOptions, Source, TlsFiles, serve};
use cupola_task::{Event, Exit, Fault};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

const CANARY: &str = "canary-31a8c2b07d";
const TOKENS: &str = "
    shop     predict,feedback  canary-31a8c2b07d
    operator admin             canary-of-the-operator
    grafana  metrics           sha256:af74fe008dfe1e28b1e5cd44c21cff0fc3f1f6f38cb7a8a0ff2e25a6fb0dc7e5
";

/// Puts a file there at once.
fn place(path: &Path, content: &str) {
    let fresh = path.with_extension("fresh");
    std::fs::write(&fresh, content).unwrap();
    std::fs::rename(&fresh, path).unwrap();
}

async fn as_holder(server: &Server, token: &str, method: &str, path: &str, body: &str) -> Reply {
    server.send(method, path, &format!("authorization: Bearer {token}\r\ncontent-type: application/json\r\n"), body.as_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_what_its_roles_say() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    place(&path, TOKENS);
    let server = start(1, |options| options.tokens = Some(path.clone())).await;
    let (operator, wrong) = ("canary-of-the-operator", "canary-nobody-has-it");
    let mut heard = Vec::new();
    for (token, method, route, status) in [
        (CANARY, "POST", "/predict", 200),
        (CANARY, "GET", "/", 200),
        (CANARY, "GET", "/v2/models/flowers", 200),
        (CANARY, "GET", "/metrics", 403),
        (CANARY, "POST", "/admin/models/flowers/promote", 403),
        (CANARY, "POST", "/v2/models/flowers/feedback", 400),
        (CANARY, "GET", "/nowhere", 404),
        (operator, "POST", "/predict", 403),
        (operator, "GET", "/metrics", 200),
        (operator, "GET", "/admin/models/flowers", 409),
        (operator, "POST", "/feedback", 403),
        (wrong, "POST", "/predict", 401),
        (wrong, "GET", "/nowhere", 401),
        (wrong, "GET", "/health", 200),
        (wrong, "GET", "/v2/health/ready", 200),
    ] {
        let body = if route.ends_with("/feedback") { "{" } else { ROW };
        let reply = as_holder(&server, token, method, route, if method == "GET" { "" } else { body }).await;
        assert_eq!(reply.status, status, "{method} {route}: {}", reply.text());
        heard.push(format!("{}{}", reply.head, reply.text()));
    }
    let reply = server.post("/predict", ROW).await;
    assert_eq!((reply.status, reply.header("www-authenticate")), (401, Some("Bearer realm=\"cupola\"")));
    for _ in 0..30 {
        heard.push(as_holder(&server, wrong, "POST", "/predict", ROW).await.text());
    }
    let reply = as_holder(&server, wrong, "POST", "/predict", ROW).await;
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("1")), "{}", reply.text());
    assert_eq!(server.get("/health").await.status, 200);
    heard.push(server.get("/health").await.text());
    heard.iter().for_each(|text| assert!(!text.contains("canary"), "{text}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_renewed_and_broken_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokens");
    place(&path, TOKENS);
    let server = start(1, |options| (options.tokens, options.refresh) = (Some(path.clone()), Duration::from_millis(5))).await;
    let metrics = async |token: &str, line: &str| {
        while !as_holder(&server, token, "GET", "/metrics", "").await.text().contains(line) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    place(&path, "shop");
    metrics("canary-of-the-operator", "cupola_secret_reloads_total{secret=\"tokens\",outcome=\"failed\"} 1").await;
    assert_eq!(as_holder(&server, CANARY, "POST", "/predict", ROW).await.status, 200);
    place(&path, "all metrics,predict another-token-of-all");
    // Wrong ones are counted: ask with one that stays unknown only when the new ones are there.
    let renewed = async || as_holder(&server, CANARY, "POST", "/predict", ROW).await.status;
    while renewed().await != 401 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    metrics("another-token-of-all", "cupola_secret_reloads_total{secret=\"tokens\",outcome=\"done\"} 1").await;
}

fn certificate(files: &TlsFiles) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    place(&files.key, &made.signing_key.serialize_pem());
    place(&files.cert, &made.cert.pem());
    made.cert.der().clone()
}

async fn shake(server: &Server, root: &CertificateDer<'static>) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(server.address).await?;
    TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await
}

async fn health(mut stream: TlsStream<TcpStream>) -> String {
    stream.write_all(b"GET /health HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_renewed_and_broken_ones_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    let first = certificate(&files);
    let server = start(1, |options| {
        options.tls = Some(files.clone());
        (options.refresh, options.header_timeout) = (Duration::from_millis(5), Duration::from_millis(200));
    })
    .await;
    let stream = shake(&server, &first).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(health(stream).await.starts_with("HTTP/1.1 200 OK"));
    assert!(!server.raw(b"GET /health HTTP/1.1\r\nhost: t\r\n\r\n").await.starts_with(b"HTTP"), "it speaks TLS only");
    assert!(server.raw(b"").await.is_empty(), "who does not shake hands is let go");

    let patient = shake(&server, &first).await.unwrap();
    place(&files.key, "no key");
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(shake(&server, &first).await.is_ok(), "a broken pair leaves the old one");
    let second = certificate(&files);
    while shake(&server, &second).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(shake(&server, &first).await.is_err());
    assert!(health(patient).await.starts_with("HTTP/1.1 200 OK"), "connections outlive their certificate");
    server.stop.send(()).unwrap();
    server.done.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_that_are_none_stop_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let files = TlsFiles { cert: at("cert.pem"), key: at("key.pem") };
    let told: Arc<Mutex<Vec<Event>>> = Arc::default();
    let try_with = async |options: ServeOptions| {
        let models = vec![("m".to_owned(), Source::Fixed(crate::fixture::artifact(&Arc::default(), 1)))];
        let (mut world, heard) = (world(), told.clone());
        world.tell = Arc::new(move |event| heard.lock().unwrap().push(event));
        let options = ServeOptions { http: "127.0.0.1:0".parse().unwrap(), ..options };
        serve(models, options, world, std::future::ready(()), |_| {}).await
    };
    let with_tls = || ServeOptions { tls: Some(files.clone()), ..ServeOptions::default() };
    assert!(matches!(try_with(with_tls()).await, Err(Error::Task(_))), "no file");
    certificate(&files);
    assert!(try_with(with_tls()).await.is_ok());
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().signing_key.serialize_pem();
    let short = &other[..other.len() / 2];
    for (path, content) in [(&files.key, other.as_str()), (&files.key, short), (&files.cert, short), (&files.cert, &other)] {
        certificate(&files);
        place(path, content);
        let error = try_with(with_tls()).await.unwrap_err();
        assert!(error.exit() == Exit::Usage && error.to_string().contains(".pem: found "), "{error}");
        assert!(!error.to_string().contains(&other[40..60]), "{error}");
    }
    place(&at("tokens"), CANARY);
    let error = try_with(ServeOptions { tokens: Some(at("tokens")), ..ServeOptions::default() }).await.unwrap_err();
    assert!(error.exit() == Exit::Usage && !error.to_string().contains("canary"), "{error}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        place(&at("tokens"), TOKENS);
        let with_tokens = || ServeOptions { tokens: Some(at("tokens")), ..ServeOptions::default() };
        for (mode, wanted) in [(0o600, 0), (0o644, 1)] {
            std::fs::set_permissions(at("tokens"), std::fs::Permissions::from_mode(mode)).unwrap();
            told.lock().unwrap().clear();
            try_with(with_tokens()).await.unwrap();
            assert_eq!(told.lock().unwrap().len(), wanted, "{mode:o}");
        }
    }
}
