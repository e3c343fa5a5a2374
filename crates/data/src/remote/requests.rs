//! Requests to S3 (<https://docs.aws.amazon.com/AmazonS3/latest/API>), signed by `rusty-s3` and sent by `ureq`. Who asks, where the server is and its
//! region come from the variables of the AWS command line: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`,
//! `AWS_ENDPOINT_URL`. Without a key requests are not signed, as public buckets want it.
//!
//! Differs: not `object_store`, whose feature `aws` brings a second HTTP client (reqwest, h2) with a runtime into a program that has one, and makes
//! all of DataFusion, which uses the crate too, another build.

use super::Access;
use crate::{Error, Result};
use rusty_s3::actions::ListObjectsV2;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use std::time::{Duration, SystemTime};
use ureq::Body;
use ureq::http::Response;

/// How long the server may take to be reached, to begin to answer, and to go on.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(60);
/// How often a request is made that a server was too busy for.
const TRIES: u32 = 3;
/// A signature is good for this long: a large object is under way within it, or not.
const SIGNED: Duration = Duration::from_secs(900);
/// Most bytes of a list, or of what a server says about an error.
const WORDS_MAX: u64 = 16 << 20;

/// A bucket and who asks it.
pub(super) struct Server<'a> {
    bucket: Bucket,
    credentials: Option<Credentials>,
    agent: ureq::Agent,
    access: &'a Access,
    /// The region was said.
    has_region: bool,
}

/// An object of a bucket.
pub(super) struct Listed {
    pub key: String,
}

impl<'a> Server<'a> {
    /// The server of a bucket. `url` is for messages.
    pub(super) fn open(url: &str, bucket: &str, access: &'a Access) -> Result<Server<'a>> {
        if bucket.is_empty() || bucket.contains('@') {
            let error = Error::refused(url, "no name of a bucket", "s3://BUCKET/KEY");
            return Err(error.with_hint("keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, not from the URL"));
        }
        let region = access.variable("AWS_REGION").or_else(|| access.variable("AWS_DEFAULT_REGION"));
        let own = access.variable("AWS_ENDPOINT_URL_S3").or_else(|| access.variable("AWS_ENDPOINT_URL"));
        let named = region.unwrap_or("us-east-1");
        let endpoint = own.map_or_else(|| format!("https://s3.{named}.amazonaws.com"), str::to_owned);
        let wrong = |found: String| Error::refused(url, found, "a URL such as http://localhost:9000");
        let address = endpoint.parse().map_err(|error| wrong(format!("AWS_ENDPOINT_URL={endpoint} ({error})")))?;
        // A dot or a capital cannot be part of the name that AWS's certificates are for; servers of one's own have no name for each bucket.
        let is_host = own.is_none() && bucket.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-');
        let style = if is_host { UrlStyle::VirtualHost } else { UrlStyle::Path };
        let bucket = Bucket::new(address, style, bucket.to_owned(), named.to_owned());
        let bucket = bucket.map_err(|error| wrong(format!("AWS_ENDPOINT_URL={endpoint} ({error})")))?;
        let credentials = match (access.variable("AWS_ACCESS_KEY_ID"), access.variable("AWS_SECRET_ACCESS_KEY")) {
            (Some(key), Some(secret)) => Some(match access.variable("AWS_SESSION_TOKEN") {
                Some(token) => Credentials::new_with_token(key, secret, token),
                None => Credentials::new(key, secret),
            }),
            (None, None) => None,
            _ => return Err(Error::refused(url, "half of a key", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither")),
        };
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .timeout_per_read(Some(ANSWER))
            .build();
        Ok(Server { bucket, credentials, agent: config.into(), access, has_region: region.is_some() })
    }

    /// What tells objects of this server from those of the same name on another.
    pub(super) fn base(&self) -> &str {
        self.bucket.base_url().as_str()
    }

    /// Asks for an object; nothing when it is still the one with this tag.
    pub(super) fn get(&self, url: &str, key: &str, known: Option<&str>) -> Result<Option<Response<Body>>> {
        let is_plain = !key.is_empty() && key.split('/').all(|part| part != "." && part != "..");
        if !is_plain {
            return Err(Error::refused(url, "no key of an object", "s3://BUCKET/KEY"));
        }
        let action = self.bucket.get_object(self.credentials.as_ref(), key);
        let answer = self.ask(url, &action, known)?;
        Ok((answer.status() != 304).then_some(answer))
    }

    /// The objects whose keys begin so and go on without a further `/`.
    pub(super) fn list(&self, url: &str, prefix: &str) -> Result<Vec<Listed>> {
        let (mut listed, mut token) = (Vec::new(), None::<String>);
        loop {
            let mut action = self.bucket.list_objects_v2(self.credentials.as_ref());
            action.with_prefix(prefix);
            action.with_delimiter("/");
            if let Some(token) = token.take() {
                action.with_continuation_token(token);
            }
            let text = words(self.ask(url, &action, None)?.into_body()).map_err(|error| self.unreachable(url, &error))?;
            let page = ListObjectsV2::parse_response(&text).map_err(|error| {
                Error::refused(url, format!("an answer that is no list of objects ({error})"), "a server that speaks S3")
            })?;
            listed.extend(page.contents.into_iter().map(|object| Listed { key: object.key }));
            match page.next_continuation_token {
                Some(next) => token = Some(next),
                None => return Ok(listed),
            }
        }
    }

    /// Sends a request until the server has time for it.
    fn ask<'b>(&self, url: &str, action: &impl S3Action<'b>, known: Option<&str>) -> Result<Response<Body>> {
        let mut turn = 0;
        loop {
            turn += 1;
            let mut request = self.agent.get(self.signed(action).as_str());
            if let Some(tag) = known {
                request = request.header("if-none-match", format!("\"{tag}\""));
            }
            match request.call() {
                Ok(answer) if answer.status().is_success() || answer.status() == 304 && known.is_some() => return Ok(answer),
                Ok(answer) if answer.status().is_server_error() && turn < TRIES => {}
                Ok(answer) => return Err(self.refusal(url, answer)),
                Err(ureq::Error::Io(_) | ureq::Error::Timeout(_)) if turn < TRIES => {}
                Err(error) => return Err(self.unreachable(url, &error)),
            }
            std::thread::sleep(Duration::from_millis(300) * turn);
        }
    }

    /// An address that says who asks: it is a secret for as long as it is good.
    fn signed<'b>(&self, action: &impl S3Action<'b>) -> url::Url {
        let now = (self.access.now)().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let now = jiff::Timestamp::from_second(now.as_secs() as i64).unwrap_or_default();
        action.sign_with_time(SIGNED, &now)
    }

    fn unreachable(&self, url: &str, error: &ureq::Error) -> Error {
        let host = self.bucket.base_url().host_str().unwrap_or_default();
        let found = match error {
            ureq::Error::Timeout(_) => format!("no answer of {host} in time"),
            ureq::Error::HostNotFound => format!("no host {host}"),
            // The address itself is not repeated: it is signed.
            ureq::Error::BadUri(_) => format!("no address of {host}"),
            other => format!("no connection with {host} ({other})"),
        };
        let hint = match error {
            ureq::Error::Rustls(_) | ureq::Error::Tls(_) => {
                "its certificate must be of an authority that browsers know; http:// in AWS_ENDPOINT_URL does not encrypt"
            }
            _ => "AWS_ENDPOINT_URL says where a server of one's own is, AWS_REGION which of Amazon's",
        };
        Error::refused(url, found, "a server that answers").with_hint(hint)
    }

    /// What a server says when it does not give what was asked for.
    fn refusal(&self, url: &str, answer: Response<Body>) -> Error {
        let status = answer.status().as_u16();
        let region = answer.headers().get("x-amz-bucket-region").and_then(|region| region.to_str().ok()).map(str::to_owned);
        let text = words(answer.into_body()).unwrap_or_default();
        let code = between(&text, "<Code>", "</Code>").unwrap_or_default();
        let region = region.or_else(|| between(&text, "<Region>", "</Region>").map(str::to_owned));
        let refused = |found: String, hint: String| Error::refused(url, found, "an object that can be read").with_hint(hint);
        let bucket = self.bucket.name();
        match (code, status) {
            ("NoSuchBucket", _) => {
                refused(format!("no bucket {bucket}"), "check its name, and AWS_ENDPOINT_URL for a server of one's own".into())
            }
            ("NoSuchKey", _) | ("", 404) => refused(
                "no such object".into(),
                format!("`aws s3 ls s3://{bucket}/` lists what is there; a pattern may stand behind the last /"),
            ),
            ("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" | "TemporaryRedirect", _)
            | (_, 301 | 307) => {
                let asked = if self.has_region {
                    format!("region {}", self.bucket.region())
                } else {
                    format!("region {} (AWS_REGION is not set)", self.bucket.region())
                };
                let own = region
                    .map_or_else(|| "AWS_REGION names the region of the bucket".to_owned(), |region| format!("set AWS_REGION={region}"));
                refused(format!("{asked}, which is not the bucket's"), own)
            }
            ("RequestTimeTooSkewed", _) => refused("a clock that differs from the server's".into(), "set the clock of this machine".into()),
            ("ExpiredToken", _) => refused("credentials that have expired".into(), "get new ones: AWS_SESSION_TOKEN".into()),
            (_, 401 | 403) if self.credentials.is_none() => {
                refused("no credentials, and no bucket for everybody".into(), "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".into())
            }
            (code, 401 | 403) => {
                let code = if code.is_empty() { "access denied" } else { code };
                refused(
                    format!("a refusal ({code})"),
                    "these credentials may not read it: s3:GetObject, and s3:ListBucket for patterns".into(),
                )
            }
            (code, status) => refused(format!("answer {status} {code}").trim_end().to_owned(), "try again later".into()),
        }
    }
}

/// A short body.
fn words(body: Body) -> Result<String, ureq::Error> {
    body.into_with_config().limit(WORDS_MAX).lossy_utf8(true).read_to_string()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(inside, _)| inside)
}
