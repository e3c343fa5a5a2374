//! URLs of tables, without what is secret in them.

use crate::Error;
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// What a URL leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scheme {
    /// A table of a database.
    Postgresql,
    /// Objects.
    S3,
}

/// How URLs of tables begin.
const SCHEMES: [(&str, Scheme); 3] = [("postgres://", Scheme::Postgresql), ("postgresql://", Scheme::Postgresql), ("s3://", Scheme::S3)];

/// Passwords that stood in URLs, by what was left of these. A recipe is checked more than once while it is carried out.
static PASSWORDS: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

impl Scheme {
    /// The scheme of a URL, and what stands behind it.
    pub(crate) fn of(text: &str) -> Option<(Scheme, &str)> {
        SCHEMES.iter().find_map(|(start, scheme)| Some((*scheme, text.strip_prefix(start)?)))
    }
}

/// Whether a text is the URL of a table.
pub fn is_url(text: &str) -> bool {
    Scheme::of(text).is_some()
}

/// The error for a URL of another kind, where a text is one.
pub(crate) fn foreign(text: &str) -> Option<Error> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = scheme.len() > 1 && scheme.chars().all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter));
    is_scheme.then(|| {
        // Who asks, and what signs a request, may be secret.
        let place = rest.rsplit_once('@').map_or(rest, |(_, place)| place).split('?').next().unwrap_or_default();
        let error = Error::refused(format!("{scheme}://{place}"), format!("a URL of {scheme}"), "a file, or a URL of postgres or s3");
        error.with_hint("download what it names, and name the file")
    })
}

/// A text without its password, when it is the URL of a table; the password is remembered for as long as the process lives.
pub fn without_password(text: &str) -> String {
    let Some((scheme, rest)) = Scheme::of(text) else { return text.to_owned() };
    let start = &text[..text.len() - rest.len()];
    let (user, rest) = split_user(scheme, rest);
    let (mut password, user) = match user.and_then(|user| user.split_once(':')) {
        Some((name, password)) => (Some(password.to_owned()), Some(name)),
        None => (None, user),
    };
    let rest = match rest.split_once('?').filter(|_| scheme == Scheme::Postgresql) {
        None => rest.to_owned(),
        Some((before, query)) => {
            let (secret, plain): (Vec<&str>, Vec<&str>) = query.split('&').partition(|pair| pair.starts_with("password="));
            password = secret.last().map(|pair| pair["password=".len()..].to_owned()).or(password);
            if plain.is_empty() { before.to_owned() } else { format!("{before}?{}", plain.join("&")) }
        }
    };
    let at = user.map_or_else(String::new, |user| format!("{user}@"));
    let url = format!("{start}{at}{rest}");
    if let Some(password) = password.filter(|password| !password.is_empty()) {
        let password = percent_decode_str(&password).decode_utf8_lossy().into_owned();
        PASSWORDS.lock().unwrap_or_else(PoisonError::into_inner).insert(url.clone(), password);
    }
    url
}

/// Who asks, and where. Passwords are typed as they are, with signs that should have been written otherwise: where that leaves a doubt, more is taken
/// for the password, and not less.
fn split_user(scheme: Scheme, rest: &str) -> (Option<&str>, &str) {
    let head = match scheme {
        Scheme::Postgresql => rest.find('?').unwrap_or(rest.len()),
        Scheme::S3 => rest.find('/').unwrap_or(rest.len()),
    };
    let at = match rest[..head].rfind('@') {
        Some(at) if scheme == Scheme::Postgresql && rest[..at].contains(':') => rest.rfind('@'),
        None if scheme == Scheme::Postgresql && !is_address(&rest[..head]) => rest.rfind('@'),
        // No bucket has a colon in its name; many a secret key has a slash.
        None if scheme == Scheme::S3 && rest[..head].contains(':') => rest.rfind('@'),
        at => at,
    };
    at.map_or((None, rest), |at| (Some(&rest[..at]), &rest[at + 1..]))
}

/// Whether hosts with their ports stand before the path, and not a user with a password that has a slash in it.
fn is_address(head: &str) -> bool {
    let is_host =
        |host: &str| host.starts_with('[') || host.split_once(':').is_none_or(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    head.split_once('/').is_some_and(|(hosts, _)| hosts.split(',').all(is_host))
}

/// The password that stood in a URL.
pub(super) fn password(url: &str) -> Option<String> {
    PASSWORDS.lock().unwrap_or_else(PoisonError::into_inner).get(url).cloned()
}
