//! Alarms are posted where somebody looks: JSON that programs read, with a `text` that chat services show as it is.

use crate::alarm::{AlarmEvent, AlarmKind};
use crate::{Error, Result};
use serde_json::json;
use std::time::Duration;

/// How long the other side may take, and how often it is asked.
const TIMEOUT: Duration = Duration::from_secs(10);
const TRIES: u32 = 3;

/// Posts what somebody should be told of a model to `http://` or `https://` addresses. Blocks, half a minute at most.
///
/// # Errors
/// When the other side is away or refuses, three times. The address is not repeated beyond its host: it may hold a secret.
pub fn post(url: &str, model: &str, hash: &str, events: &[AlarmEvent]) -> Result<()> {
    let body = json!({ "event": "alarms", "model": model, "hash": hash, "text": text(model, events), "events": events }).to_string();
    let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).max_redirects(0).build();
    let agent: ureq::Agent = config.into();
    let mut reason = String::new();
    for turn in 0..TRIES {
        if turn > 0 {
            std::thread::sleep(Duration::from_millis(500) * turn);
        }
        match agent.post(url).header("content-type", "application/json").send(body.as_str()) {
            Ok(response) if response.status().is_success() => return Ok(()),
            Ok(response) => reason = format!("it answers {}", response.status()),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(Error::Store { action: format!("post alarms to {}", host(url)), reason })
}

/// What a chat service shows.
fn text(model: &str, events: &[AlarmEvent]) -> String {
    let line = |event: &AlarmEvent| match (&event.kind, &event.alarm) {
        (AlarmKind::Raised, Some(alarm)) => format!("{model}: {} {} {}", alarm.what, alarm.stake, alarm.advice),
        (AlarmKind::Raised, None) => format!("{model}: {}", event.key),
        (AlarmKind::Over, _) => format!("{model}: {} is over", event.key),
    };
    events.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Scheme and host of an address, without what may be secret.
fn host(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    format!("{scheme}://{}", host.rsplit('@').next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Alarm;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

    fn events() -> Vec<AlarmEvent> {
        let told = Alarm { key: "input.age.ks".into(), what: "age moved.".into(), stake: "Quality holds.".into(), advice: "Wait.".into() };
        let raised = AlarmEvent { kind: AlarmKind::Raised, key: told.key.clone(), at_us: 7, alarm: Some(told) };
        vec![raised, AlarmEvent { kind: AlarmKind::Over, key: "input.wait.ks".into(), at_us: 7, alarm: None }]
    }

    /// Answers one request after another with these statuses; gives the bodies.
    fn server(statuses: &'static [u16]) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let bodies = std::thread::spawn(move || {
            let answer = |status: &u16| {
                let mut stream = BufReader::new(listener.accept().unwrap().0);
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).unwrap();
                    match line.to_lowercase().strip_prefix("content-length:") {
                        Some(rest) => length = rest.trim().parse().unwrap(),
                        None if line.trim().is_empty() => break,
                        None => {}
                    }
                }
                let mut body = vec![0; length];
                stream.read_exact(&mut body).unwrap();
                write!(stream.get_mut(), "HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
                String::from_utf8(body).unwrap()
            };
            statuses.iter().map(answer).collect()
        });
        (format!("http://user:secret@{address}/token"), bodies)
    }

    #[test]
    fn alarms_arrive_also_when_the_first_try_fails() {
        let (url, bodies) = server(&[500, 204]);
        post(&url, "adult", "ab12", &events()).unwrap();
        let bodies = bodies.join().unwrap();
        assert_eq!(bodies[0], bodies[1]);
        let body: serde_json::Value = serde_json::from_str(&bodies[1]).unwrap();
        assert_eq!(body["text"], "adult: age moved. Quality holds. Wait.\nadult: input.wait.ks is over");
        assert_eq!((&body["model"], &body["events"][0]["alarm"]["what"]), (&"adult".into(), &"age moved.".into()));
    }

    #[test]
    fn a_refusal_does_not_tell_the_address() {
        let (url, bodies) = server(&[403, 403, 403]);
        let error = post(&url, "adult", "ab12", &events()).unwrap_err().to_string();
        assert!(error.contains("http://127.0.0.1:") && !error.contains("secret") && !error.contains("token"), "{error}");
        assert_eq!(bodies.join().unwrap().len(), 3);
    }
}
