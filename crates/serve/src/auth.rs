//! Who may ask what: bearer tokens (RFC 6750) with roles, from a file that is read again when it changes.
//!
//! A line of the file is a name, roles and a token, or the token's SHA-256 as `printf %s TOKEN | sha256sum` prints it:
//!
//! ```text
//! # who    may               with
//! shop     predict,feedback  3J7vN0c9PzQx4mT1
//! grafana  metrics           sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//! ```
//!
//! What is presented is hashed and the digests are compared, all of them and to their ends, so that time tells nothing about a token. Pages in
//! a browser take the token as a password (RFC 7617), but only from themselves: a browser adds a password to what other sites make it send.

use crate::problem::Problem;
use crate::renewed::{Renewed, secret};
use crate::{Error, Result};
use axum::http::{HeaderMap, Method, StatusCode, header};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_rustls::rustls::crypto::ring::cipher_suite::TLS13_AES_128_GCM_SHA256;

/// What a token may be good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    Predict,
    Feedback,
    Admin,
    Metrics,
}

const ROLES: [(&str, Role); 4] =
    [("predict", Role::Predict), ("feedback", Role::Feedback), ("admin", Role::Admin), ("metrics", Role::Metrics)];

/// Shorter ones can be guessed: sixteen letters and digits at random are 95 bits.
const TOKEN_MIN: usize = 16;
/// Wrong tokens that an address may present at once, and how soon one of them is forgiven.
const FAILURES_MAX: u32 = 20;
const FORGIVEN_AFTER: Duration = Duration::from_secs(1);
/// Addresses of which wrong tokens are remembered. When there are more, the one that is forgiven next is forgotten.
const ADDRESSES_MAX: usize = 4096;

type Digest = [u8; 32];

/// Who holds a token.
#[derive(Debug)]
struct Holder {
    name: Arc<str>,
    roles: Vec<Role>,
    digest: Digest,
}

/// The address a request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Lets requests pass or not.
pub(crate) struct Gate {
    tokens: Renewed<Vec<Holder>>,
    failures: Failures,
}

/// Which of these roles a route asks for; none: everybody may. `route` is the pattern that the router matched, so that no writing of a path
/// is taken for another one here than there.
fn roles(route: Option<&str>) -> &'static [Role] {
    match route.unwrap_or_default() {
        "/health" | "/v2/health/live" | "/v2/health/ready" => &[],
        // What pages are drawn with tells nothing, and pages are for different roles.
        path if path.starts_with("/assets/") => &[],
        "/metrics" => &[Role::Metrics, Role::Admin],
        path if path.starts_with("/admin/") => &[Role::Admin],
        "/monitor" | "/models/{model}/monitor" => &[Role::Metrics, Role::Admin],
        path if path.ends_with("/feedback") => &[Role::Feedback],
        _ => &[Role::Predict],
    }
}

impl Gate {
    /// Reads the tokens.
    ///
    /// # Errors
    /// When the file cannot be read or a line is none. What stands in a line is never repeated.
    pub(crate) fn open(path: &Path) -> Result<Gate> {
        Ok(Gate { tokens: Renewed::open(vec![path.to_owned()], |paths| read(&paths[0]))?, failures: Failures::default() })
    }

    /// The tokens themselves, to be renewed.
    pub(crate) fn refresh(&self) -> Option<Result<()>> {
        self.tokens.refresh()
    }

    /// How often the tokens were renewed, and how often that failed.
    pub(crate) fn counts(&self) -> [u64; 2] {
        self.tokens.counts()
    }

    /// Who asks, when the request may pass; nobody where everybody may.
    ///
    /// # Errors
    /// 401 without a token that is known, 403 when it is good for something else, 429 to an address that presents many that are not.
    pub(crate) fn check(
        &self,
        method: &Method,
        headers: &HeaderMap,
        peer: Option<Peer>,
        route: Option<&str>,
    ) -> Result<Option<Arc<str>>, Problem> {
        let wanted = roles(route);
        if wanted.is_empty() {
            return Ok(None);
        }
        let presented = presented(method, headers).ok_or_else(|| unknown("found no token, wanted one"))?;
        let (peer, now) = (peer.map(|Peer(address)| block(address)), Instant::now());
        if peer.is_some_and(|peer| self.failures.is_blocked(peer, now)) {
            return Err(Problem::guessing());
        }
        let holders = self.tokens.current();
        let Some(holder) = find(&holders, &digest(&presented)) else {
            if let Some(peer) = peer {
                self.failures.count(peer, now);
            }
            return Err(unknown("found a token that is not known here"));
        };
        if holder.roles.iter().any(|role| wanted.contains(role)) {
            return Ok(Some(holder.name.clone()));
        }
        let words: Vec<&str> = ROLES.iter().filter(|(_, role)| wanted.contains(role)).map(|(word, _)| *word).collect();
        let message = format!("the token of {} is not good for this: wanted the role {}", holder.name, words.join(" or "));
        Err(Problem::new(StatusCode::FORBIDDEN, message))
    }
}

fn unknown(message: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, message).with_hint("send the header Authorization: Bearer TOKEN")
}

/// The holder of that token. All are looked at.
fn find<'a>(holders: &'a [Holder], digest: &Digest) -> Option<&'a Holder> {
    let differs = |other: &Digest| other.iter().zip(digest).fold(0, |differs, (a, b)| differs | (a ^ b));
    holders.iter().fold(None, |found, holder| if differs(&holder.digest) == 0 { Some(holder) } else { found })
}

/// SHA-256. It comes with TLS.
fn digest(token: &[u8]) -> Digest {
    let suite = TLS13_AES_128_GCM_SHA256.tls13().expect("it is a suite of TLS 1.3");
    suite.common.hash_provider.hash(token).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

fn presented(method: &Method, headers: &HeaderMap) -> Option<Vec<u8>> {
    let (scheme, value) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(value.trim().as_bytes().to_vec());
    }
    if !scheme.eq_ignore_ascii_case("basic") || !is_own(method, headers) {
        return None;
    }
    let pair = BASE64_STANDARD.decode(value.trim()).ok()?;
    let colon = pair.iter().position(|&byte| byte == b':')?;
    Some(pair[colon + 1..].to_vec())
}

/// Whether it changes nothing, or comes from a page of this server.
fn is_own(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::GET || method == Method::HEAD || is_of_own_page(headers)
}

/// Whether it comes from a page of this server: browsers say where a POST comes from.
pub(crate) fn is_of_own_page(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let origin = text(header::ORIGIN).and_then(|origin| origin.split_once("://"));
    origin.is_some_and(|(_, origin)| text(header::HOST) == Some(origin))
}

fn read(path: &Path) -> Result<Vec<Holder>> {
    let text = String::from_utf8(secret(path)?).map_err(|_| Error::secret(path.display(), "bytes that are not UTF-8", "lines of text"))?;
    let lines = text.lines().enumerate().map(|(line, text)| (line + 1, text.trim()));
    let lines = lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
    let holders = lines
        .map(|(line, text)| {
            let place = format!("{}:{line}", path.display());
            holder(text).map_err(|(found, wanted)| Error::secret(place, found, wanted))
        })
        .collect::<Result<Vec<Holder>>>()?;
    if holders.is_empty() {
        return Err(Error::secret(path.display(), "no token", "a line NAME ROLES TOKEN for each"));
    }
    Ok(holders)
}

/// Reads a line; else what was found and wanted. Neither repeats the line: a token may stand in any place of one that is wrong.
fn holder(line: &str) -> Result<Holder, (String, String)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [name, roles, token] = words[..] else {
        return Err((format!("{} words", words.len()), "three: NAME ROLES TOKEN".to_owned()));
    };
    let role = |word: &str| ROLES.iter().find(|(known, _)| *known == word).map(|(_, role)| *role);
    let known = || ROLES.map(|(word, _)| word).join(", ");
    let roles: Option<Vec<Role>> = roles.split(',').map(role).collect();
    let roles = roles.ok_or_else(|| ("a role that is none".to_owned(), format!("one or several of {}, with commas", known())))?;
    let digest = match token.strip_prefix("sha256:") {
        Some(hex) => unhex(hex).ok_or_else(|| ("another SHA-256".to_owned(), "64 hexadecimal digits".to_owned()))?,
        None if token.len() < TOKEN_MIN => {
            return Err((format!("a token of {} characters", token.len()), format!("at least {TOKEN_MIN}: openssl rand -hex 16")));
        }
        None => digest(token.as_bytes()),
    };
    Ok(Holder { name: name.into(), roles, digest })
}

fn unhex(text: &str) -> Option<Digest> {
    let digits: Vec<u8> = text.chars().map(|digit| digit.to_digit(16).map(|digit| digit as u8)).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[pair.len() - 1]).collect();
    (digits.len() == 64).then(|| bytes.try_into().ok())?
}

/// Who can have one address of version 6 can have the whole block around it.
fn block(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) >> 64 << 64).into(),
        address => address,
    }
}

/// By address, when its last wrong token will be forgiven.
#[derive(Default)]
struct Failures(Mutex<HashMap<IpAddr, Instant>>);

impl Failures {
    fn is_blocked(&self, address: IpAddr, now: Instant) -> bool {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        failures.get(&address).is_some_and(|forgiven| *forgiven > now + FORGIVEN_AFTER * (FAILURES_MAX - 1))
    }

    fn count(&self, address: IpAddr, now: Instant) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() >= ADDRESSES_MAX && !failures.contains_key(&address) {
            failures.retain(|_, forgiven| *forgiven > now);
            let next = failures.iter().min_by_key(|(_, forgiven)| **forgiven).map(|(address, _)| *address);
            if let Some(next) = next.filter(|_| failures.len() >= ADDRESSES_MAX) {
                failures.remove(&next);
            }
        }
        let forgiven = failures.entry(address).or_insert(now);
        *forgiven = (*forgiven).max(now) + FORGIVEN_AFTER;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    const CANARY: &str = "canary-9c1f7e55aa";

    fn try_read(text: &str) -> Result<Vec<Holder>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    #[test]
    fn lines_are_read_and_never_repeated() {
        let hash = "532eaabd9574880dbf76b9b8cc00832c20a6ec113d682299550d7a6e0f345e25";
        let holders = try_read(&format!("# who may with\n\n a  predict,admin {CANARY}\nb metrics sha256:{hash}\n")).unwrap();
        assert_eq!(holders[0].roles, [Role::Predict, Role::Admin]);
        assert_eq!(find(&holders, &digest(CANARY.as_bytes())).unwrap().name, "a".into());
        assert_eq!(find(&holders, &digest(b"Test")).unwrap().name, "b".into());
        assert!(find(&holders, &digest(b"test")).is_none());
        let mut told = String::new();
        for text in [
            "",
            "# nobody",
            CANARY,
            &format!("a {CANARY} predict"),
            &format!("a predict, feedback {CANARY}"),
            &format!("a predict sha256:{CANARY}"),
            "a predict canary",
        ] {
            let error = try_read(text).unwrap_err().to_string();
            told += error.split_once("tokens").unwrap().1;
            told.push('\n');
        }
        assert!(!told.contains("canary"), "{told}");
        expect![[r#"
            : found no token, wanted a line NAME ROLES TOKEN for each
            : found no token, wanted a line NAME ROLES TOKEN for each
            :1: found 1 words, wanted three: NAME ROLES TOKEN
            :1: found a role that is none, wanted one or several of predict, feedback, admin, metrics, with commas
            :1: found 4 words, wanted three: NAME ROLES TOKEN
            :1: found another SHA-256, wanted 64 hexadecimal digits
            :1: found a token of 6 characters, wanted at least 16: openssl rand -hex 16
        "#]]
        .assert_eq(&told);
    }

    #[test]
    fn a_route_knows_its_roles() {
        for (route, wanted) in [
            ("/health", &[][..]),
            ("/v2/health/ready", &[]),
            ("/metrics", &[Role::Metrics, Role::Admin]),
            ("/predict", &[Role::Predict]),
            ("/v2/models/{model}/infer", &[Role::Predict]),
            ("/feedback", &[Role::Feedback]),
            ("/v2/models/{model}/feedback", &[Role::Feedback]),
            ("/admin/models/{model}/promote", &[Role::Admin]),
            ("/assets/page.css", &[]),
            ("/monitor", &[Role::Metrics, Role::Admin]),
            ("/", &[Role::Predict]),
        ] {
            assert_eq!(roles(Some(route)), wanted, "{route}");
        }
        assert_eq!(roles(None), [Role::Predict]);
    }

    #[test]
    fn passwords_come_from_own_pages_only() {
        let check = |method: Method, pairs: &[(&'static str, &str)]| {
            let pairs = pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            presented(&method, &pairs.collect()).map(|token| String::from_utf8(token).unwrap())
        };
        let basic = ("authorization", "Basic YTp0Om9rZW4="); // a:t:oken
        assert_eq!(check(Method::POST, &[("authorization", "bearer  token ")]).as_deref(), Some("token"));
        assert_eq!(check(Method::GET, &[basic]).as_deref(), Some("t:oken"));
        assert_eq!(check(Method::POST, &[basic]), None);
        assert_eq!(check(Method::POST, &[basic, ("host", "a:1"), ("origin", "https://b:1")]), None);
        assert_eq!(check(Method::POST, &[basic, ("host", "a:1"), ("origin", "https://a:1")]).as_deref(), Some("t:oken"));
        assert_eq!(check(Method::POST, &[("authorization", "Digest x")]), None);
    }

    #[test]
    fn failures_are_few_and_forgiven() {
        let (failures, now) = (Failures::default(), Instant::now());
        let (guesser, other) = (block("2001:db8::1".parse().unwrap()), block("::ffff:10.0.0.1".parse().unwrap()));
        assert_eq!((guesser, other), ("2001:db8::".parse().unwrap(), "10.0.0.1".parse().unwrap()));
        for _ in 0..FAILURES_MAX {
            assert!(!failures.is_blocked(guesser, now));
            failures.count(guesser, now);
        }
        assert!(failures.is_blocked(guesser, now) && !failures.is_blocked(other, now));
        assert!(!failures.is_blocked(guesser, now + FORGIVEN_AFTER));
        for address in 0..2 * ADDRESSES_MAX as u32 {
            failures.count(std::net::Ipv4Addr::from(address).into(), now);
        }
        assert!(failures.is_blocked(guesser, now), "who guesses most is remembered longest");
        assert_eq!(failures.0.lock().unwrap().len(), ADDRESSES_MAX);
    }
}
