//! What a recipe or a command line may say about serving.

use crate::monitor::LiveOptions;
use crate::{Error, Result, TlsFiles};
use cupola_task::{Range, Setting, Settings, Value};
use cupola_watch::log::LogOptions;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How to serve.
#[derive(Clone, Debug, PartialEq)]
pub struct ServeOptions {
    /// Where to listen; port 0 takes a free one.
    pub http: SocketAddr,
    /// Whether an address that other machines can reach is allowed.
    pub insecure: bool,
    /// Largest body of a request.
    pub max_body_bytes: usize,
    /// Most rows in one request.
    pub max_rows: usize,
    /// Most rows of a request with `explain=true`; 0: no answer is explained.
    pub explain_rows: usize,
    /// How many requests may wait for a worker; none: [`ServeOptions::QUEUE`], or a batch where requests are answered together.
    pub queue: Option<usize>,
    /// How many predictions run at once.
    pub workers: usize,
    /// How long a request waits for others to be answered with; none: 2 ms where a model looks at images, else not at all.
    pub batch_window: Option<Duration>,
    /// Most rows that are answered together.
    pub batch_rows: usize,
    /// From a request's headers to its answer.
    pub request_timeout: Duration,
    /// From a request's first byte to the end of its headers; as long again before a body must have come with 1 KiB a second.
    pub header_timeout: Duration,
    /// Between two requests of a connection, and for a client that does not take its answer.
    pub idle_timeout: Duration,
    /// How many connections are open at once.
    pub max_connections: usize,
    /// How long a shutdown waits for what is under way.
    pub drain: Duration,
    /// How often it is looked whether models were exchanged.
    pub refresh: Duration,
    /// A model that answers a row in less is asked where the request was read, without the way to a worker and its queue.
    pub inline: Duration,
    /// What is remembered of answers.
    pub log: LogOptions,
    /// How often it is looked whether a model is to be trained again; none: never.
    pub retrain: Option<Duration>,
    /// How answers are watched; none when they are not.
    pub monitor: Option<LiveOptions>,
    /// What a challenger does.
    pub challenger: Challenger,
    /// The share of requests that a challenger answers when it answers any.
    pub split: f64,
    /// A file of bearer tokens and what each may; without one everybody may everything.
    pub tokens: Option<PathBuf>,
    /// Certificate and key; without them nothing is encrypted.
    pub tls: Option<TlsFiles>,
}

/// What a challenger does beside the champion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenger {
    /// Nothing, unless a request names it.
    Off,
    /// It is asked what the champion is asked; its answers are logged and go to nobody.
    Shadow,
    /// It answers a share of the requests.
    Split,
}

const SECONDS: Range = Range::Real { min: 0.001, max: 86_400.0 };

/// The keys of `[serve]`.
pub const SETTINGS: &[Setting] = &[
    Setting {
        name: "http",
        alias: &["listen"],
        default: "127.0.0.1:8000",
        range: Range::Text,
        doc: "address and port to listen on; port 0 takes a free one",
    },
    Setting {
        name: "insecure",
        alias: &[],
        default: "false",
        range: Range::Flag,
        doc: "whether to listen where other machines can reach it, without both of encryption and tokens",
    },
    Setting {
        name: "max_body_bytes",
        alias: &[],
        default: "12582912",
        range: Range::Integer { min: 1, max: 1 << 32 },
        doc: "largest body of a request",
    },
    Setting {
        name: "max_rows",
        alias: &[],
        default: "100000",
        range: Range::Integer { min: 1, max: 1 << 31 },
        doc: "most rows in one request",
    },
    Setting {
        name: "explain_rows",
        alias: &[],
        default: "20",
        range: Range::Integer { min: 0, max: 100_000 },
        doc: "most rows of a request with explain=true; 0: no answer is explained",
    },
    Setting {
        name: "queue",
        alias: &[],
        default: "auto",
        range: Range::Any(&[Range::Choice(&["auto"]), Range::Integer { min: 0, max: 1 << 20 }]),
        doc: "how many requests may wait for a worker; more are told to come back (429); auto: 12, or a batch where requests are answered together",
    },
    Setting {
        name: "workers",
        alias: &[],
        default: "2",
        range: Range::Integer { min: 1, max: 1024 },
        doc: "how many predictions run at once",
    },
    Setting {
        name: "batch_window_ms",
        alias: &["batch-window-ms"],
        default: "auto",
        range: Range::Any(&[Range::Choice(&["auto"]), Range::Real { min: 0.0, max: 10_000.0 }]),
        doc: "milliseconds a request waits for others to be answered with; auto: 2 where a model looks at images, else 0",
    },
    Setting {
        name: "batch_rows",
        alias: &["batch-rows", "max_batch_size"],
        default: "64",
        range: Range::Integer { min: 1, max: 1 << 20 },
        doc: "most rows of several requests that are answered together",
    },
    Setting { name: "request_timeout_s", alias: &[], default: "30", range: SECONDS, doc: "seconds from a request's headers to its answer" },
    Setting {
        name: "header_timeout_s",
        alias: &[],
        default: "5",
        range: SECONDS,
        doc: "seconds from a request's first byte to the end of its headers; as long again before a body must have come with 1 KiB a second",
    },
    Setting { name: "idle_timeout_s", alias: &[], default: "60", range: SECONDS, doc: "seconds between two requests of a connection" },
    Setting {
        name: "max_connections",
        alias: &[],
        default: "1024",
        range: Range::Integer { min: 1, max: 1 << 20 },
        doc: "how many connections are open at once; more wait to be accepted",
    },
    Setting { name: "drain_s", alias: &[], default: "10", range: SECONDS, doc: "seconds a shutdown waits for what is under way" },
    Setting {
        name: "refresh_s",
        alias: &[],
        default: "0.5",
        range: SECONDS,
        doc: "seconds between two looks whether a model file or an alias of the registry has changed",
    },
    Setting {
        name: "inline_us",
        alias: &[],
        default: "500",
        range: Range::Real { min: 0.0, max: 1e6 },
        doc: "a model that answers a row in fewer microseconds is asked at once, without a worker and its queue; 0: never",
    },
    Setting {
        name: "challenger",
        alias: &[],
        default: "shadow",
        range: Range::Choice(&["off", "shadow", "split"]),
        doc: "what a challenger of the registry does: nothing, answer in the shadow for the log alone, or answer a share of the requests",
    },
    Setting {
        name: "split",
        alias: &[],
        default: "0.1",
        range: Range::Real { min: 0.0, max: 1.0 },
        doc: "the share of requests that the challenger answers with challenger=split; the request's id decides",
    },
    Setting {
        name: "monitor",
        alias: &[],
        default: "true",
        range: Range::Flag,
        doc: "whether answers of champions are watched; the keys of [monitor] say how, as monitor.window=6h",
    },
    Setting {
        name: "retrain_s",
        alias: &[],
        default: "60",
        range: Range::Real { min: 0.0, max: 86_400.0 },
        doc: "seconds between two looks whether a model whose recipe says retrain.mode=auto is to be trained again, by another process; 0: never",
    },
    Setting {
        name: "webhook",
        alias: &[],
        default: "off",
        range: Range::Text,
        doc: "an http:// or https:// address that alarms are posted to as JSON, with a text that chat services show",
    },
    Setting {
        name: "tokens",
        alias: &[],
        default: "off",
        range: Range::Text,
        doc: "a file of bearer tokens, a line each: NAME ROLES TOKEN, roles some of predict,feedback,admin,metrics with commas; for TOKEN also \
              sha256: and its SHA-256; read again when it changes",
    },
    Setting {
        name: "tls_cert",
        alias: &[],
        default: "off",
        range: Range::Text,
        doc: "a file with the server's certificate and those that lead to a root, in PEM; read again when it changes",
    },
    Setting { name: "tls_key", alias: &[], default: "off", range: Range::Text, doc: "a file with the certificate's key, in PEM" },
];

impl ServeOptions {
    /// How many requests wait for a worker at most when nothing is said. With random arrivals at 80 % of what one worker can do, the slowest
    /// answer of 100 takes about 11 times as long as the work itself (M/D/1); behind a worker and 12 others it takes 14 times as long.
    pub const QUEUE: usize = 12;

    /// Takes what was said; the settings were checked against [`SETTINGS`]. `log` is what `log.` keys say, `monitor` are keys of `[monitor]`.
    ///
    /// # Errors
    /// When an address is none, or can be reached from other machines without encryption and tokens or `insecure`.
    pub fn from_settings(settings: &Settings, log: LogOptions, monitor: Vec<(String, Value)>) -> Result<ServeOptions> {
        let found = settings.text("http");
        let local = found.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        let http: SocketAddr = local.as_deref().unwrap_or(found).parse().map_err(|_| Error::Address { found: found.to_owned() })?;
        let count = |name: &str| settings.integer(name).unsigned_abs() as usize;
        let seconds = |name: &str| Duration::from_secs_f64(settings.real(name));
        let options = ServeOptions {
            http,
            insecure: settings.flag("insecure"),
            max_body_bytes: count("max_body_bytes"),
            max_rows: count("max_rows"),
            explain_rows: count("explain_rows"),
            queue: settings.try_integer("queue").map(|queue| queue.unsigned_abs() as usize),
            workers: count("workers"),
            batch_window: settings.try_real("batch_window_ms").map(|window| Duration::from_secs_f64(window / 1000.0)),
            batch_rows: count("batch_rows"),
            request_timeout: seconds("request_timeout_s"),
            header_timeout: seconds("header_timeout_s"),
            idle_timeout: seconds("idle_timeout_s"),
            max_connections: count("max_connections"),
            drain: seconds("drain_s"),
            refresh: seconds("refresh_s"),
            inline: Duration::from_secs_f64(settings.real("inline_us") / 1e6),
            challenger: match settings.text("challenger") {
                "split" => Challenger::Split,
                "shadow" => Challenger::Shadow,
                _ => Challenger::Off,
            },
            split: settings.real("split"),
            tokens: file(settings, "tokens"),
            tls: tls(settings)?,
            log,
            retrain: Some(seconds("retrain_s")).filter(|every| !every.is_zero()),
            monitor: match settings.flag("monitor") {
                true => Some(LiveOptions { said: monitor, webhook: webhook(settings)? }),
                false => None,
            },
        };
        options.check_open()?;
        Ok(options)
    }

    /// An address that other machines can reach wants encryption and tokens.
    ///
    /// # Errors
    /// When it has not both, and `insecure` does not say that this is meant.
    pub(crate) fn check_open(&self) -> Result<()> {
        let missing = match (&self.tls, &self.tokens) {
            (Some(_), Some(_)) => return Ok(()),
            (None, None) => "neither encryption nor a token",
            (None, Some(_)) => "no encryption: tokens can be read on the way",
            (Some(_), None) => "no token",
        };
        let is_meant = self.http.ip().is_loopback() || self.insecure;
        if is_meant { Ok(()) } else { Err(Error::Open { address: self.http, missing }) }
    }
}

fn webhook(settings: &Settings) -> Result<Option<String>> {
    let url = settings.text("webhook");
    match url.split_once("://") {
        _ if url == "off" => Ok(None),
        Some(("http" | "https", rest)) if !rest.is_empty() => Ok(Some(url.to_owned())),
        // It may hold a secret, and is not repeated.
        _ => Err(cupola_task::Error::setting("serve.webhook", "something else", "an address that begins with http:// or https://").into()),
    }
}

fn file(settings: &Settings, name: &str) -> Option<PathBuf> {
    Some(settings.text(name)).filter(|path| *path != "off").map(PathBuf::from)
}

fn tls(settings: &Settings) -> Result<Option<TlsFiles>> {
    let alone = |name: &str, wanted: &str| Err(cupola_task::Error::setting(format!("serve.{name}"), "off", wanted).into());
    match (file(settings, "tls_cert"), file(settings, "tls_key")) {
        (Some(cert), Some(key)) => Ok(Some(TlsFiles { cert, key })),
        (None, None) => Ok(None),
        (Some(_), None) => alone("tls_key", "the key of tls_cert"),
        (None, Some(_)) => alone("tls_cert", "the certificate of tls_key"),
    }
}

impl Default for ServeOptions {
    fn default() -> Self {
        let settings = Settings::check("serve", SETTINGS, []).expect("defaults are in range");
        ServeOptions::from_settings(&settings, LogOptions::default(), vec![]).expect("defaults make options")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::Fault;
    use expect_test::expect;

    fn check(given: &[(&str, &str)]) -> Result<ServeOptions> {
        let values: Vec<(&str, Value)> = given.iter().map(|(name, text)| (*name, Value::parse(text))).collect();
        ServeOptions::from_settings(
            &Settings::check("serve", SETTINGS, values.iter().map(|(name, value)| (*name, value)))?,
            LogOptions::default(),
            vec![],
        )
    }

    #[test]
    fn an_open_address_is_refused_until_it_is_asked_for() {
        assert_eq!(check(&[("http", "localhost:9000"), ("drain_s", "0.5")]).unwrap().http.to_string(), "127.0.0.1:9000");
        assert!(check(&[("http", "0.0.0.0:80"), ("insecure", "true")]).is_ok());
        let (http, tokens, cert, key) = (("http", "0.0.0.0:80"), ("tokens", "a"), ("tls_cert", "b"), ("tls_key", "c"));
        assert!(check(&[http, tokens, cert, key]).is_ok());
        assert!(check(&[http, tokens]).unwrap_err().to_string().ends_with("there is no encryption: tokens can be read on the way"));
        assert!(check(&[http, cert, key]).unwrap_err().to_string().ends_with("there is no token"));
        assert_eq!(check(&[key]).unwrap_err().to_string(), "setting serve.tls_cert: found off, wanted the certificate of tls_key");
        let error = check(&[http]).unwrap_err();
        expect![[r#"
            serve on 0.0.0.0:80: other machines can reach this address, and there is neither encryption nor a token
            pass tls_cert=FILE tls_key=FILE tokens=FILE; or serve on 127.0.0.1:80 behind a proxy; or pass insecure=true if everyone who reaches it may ask and listen"#]]
        .assert_eq(&format!("{error}\n{}", error.hint().unwrap()));
        assert!(check(&[("http", "here")]).unwrap_err().to_string().contains("found \"here\", wanted an address"));
    }
}
