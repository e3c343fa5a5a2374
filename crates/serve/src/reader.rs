//! A request's body, within a size, a time and a pace.
//!
//! A body that is too large or too slow is answered at once, unread: what the client still sends is taken and thrown away when the connection
//! closes (`connection.rs`), so that it sees the answer.

use crate::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use hyper::body::Body as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Bytes a second that a body must come with, once its grace is over: a client that sends a byte now and then holds what others could have.
/// The rule is that of Apache's `mod_reqtimeout` (`body=20,MinRate=500`): so many bytes more give a second more.
const RATE_MIN: f64 = 1024.0;

/// A body that comes in pieces of fewer bytes than these on the whole is none that a client means to send: each costs what a large one does (Triton's
/// CVE-2025-23310 and 23311). So many bytes are taken however they come.
const PIECE_MIN: usize = 32;
const CRUMBS_MAX: usize = 128 << 10;
/// What a body that does not say its length is gathered in.
const BLOCK: usize = 1 << 20;

/// By when a body must have come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How long it may take before its rate counts.
    pub(crate) grace: Duration,
    pub(crate) deadline: Instant,
}

impl Pace {
    /// By when the next piece must come, after so many bytes since `begin`.
    fn next(self, begin: Instant, bytes: usize) -> Instant {
        self.deadline.min(begin + self.grace + Duration::from_secs_f64(bytes as f64 / RATE_MIN))
    }
}

/// Reads all of it.
///
/// # Errors
/// 413 when it is larger than `limit`, 408 when it does not come in time, 415 when it is compressed, 400 when it breaks off.
pub(crate) async fn read(headers: &HeaderMap, mut body: Body, limit: usize, pace: Pace) -> Result<Vec<u8>, Problem> {
    let encoding = headers.get(header::CONTENT_ENCODING).filter(|encoding| *encoding != "identity");
    if let Some(encoding) = encoding {
        let message = format!("content-encoding {encoding:?} is not supported");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message).with_hint("send the body as it is"));
    }
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(too_large(&format!("a body of {announced} bytes"), limit));
    }
    let begin = Instant::now();
    let mut gathered = Gathered::new(announced as usize);
    loop {
        let frame = timeout_at(pace.next(begin, gathered.bytes), next(&mut body)).await;
        match frame.map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"))? {
            Some(Ok(piece)) => gathered.push(&piece),
            Some(Err(error)) => return Err(Problem::bad(format!("the body breaks off: {error}"))),
            None => return Ok(gathered.joined()),
        }
        if gathered.bytes > limit {
            return Err(too_large(&format!("a body of more than {limit} bytes"), limit));
        }
        if gathered.pieces * PIECE_MIN > gathered.bytes + CRUMBS_MAX {
            let message = format!("a body in pieces of {} bytes, wanted {PIECE_MIN} or more", gathered.bytes / gathered.pieces);
            return Err(Problem::too_large(message).with_hint("write it in larger chunks"));
        }
    }
}

/// What has come of a body. It goes into blocks, since one that grows is moved, and then held twice.
struct Gathered {
    blocks: Vec<Vec<u8>>,
    bytes: usize,
    pieces: usize,
}

impl Gathered {
    fn new(announced: usize) -> Gathered {
        Gathered { blocks: vec![Vec::with_capacity(announced)], bytes: 0, pieces: 0 }
    }

    fn push(&mut self, mut piece: &[u8]) {
        self.pieces += 1;
        self.bytes += piece.len();
        while !piece.is_empty() {
            let room = self.blocks.last().map_or(0, |block| block.capacity() - block.len());
            let (now, rest) = piece.split_at(room.min(piece.len()));
            self.blocks.last_mut().expect("there is always a block").extend_from_slice(now);
            if !rest.is_empty() {
                self.blocks.push(Vec::with_capacity(BLOCK));
            }
            piece = rest;
        }
    }

    fn joined(mut self) -> Vec<u8> {
        if self.blocks.len() == 1 { self.blocks.remove(0) } else { self.blocks.concat() }
    }
}

async fn next(body: &mut Body) -> Option<Result<axum::body::Bytes, axum::Error>> {
    let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
}

fn too_large(found: &str, limit: usize) -> Problem {
    Problem::too_large(format!("{found}, wanted at most {limit}")).with_hint("send fewer rows at once, or raise max_body_bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_joined_as_they_came() {
        let body: Vec<u8> = (0..BLOCK * 2 + 100).map(|at| (at % 251) as u8).collect();
        for (announced, piece) in [(0, 1000), (body.len(), 1000), (10, BLOCK + 7), (0, body.len())] {
            let mut gathered = Gathered::new(announced);
            body.chunks(piece).for_each(|piece| gathered.push(piece));
            assert_eq!((gathered.bytes, gathered.pieces), (body.len(), body.len().div_ceil(piece)));
            assert!(gathered.joined() == body, "{announced} {piece}");
        }
        assert!(Gathered::new(0).joined().is_empty());
    }

    #[test]
    fn bytes_give_time_up_to_the_deadline() {
        let begin = Instant::now();
        let pace = Pace { grace: Duration::from_secs(5), deadline: begin + Duration::from_secs(30) };
        for (bytes, seconds) in [(0, 5), (1024, 6), (10 * 1024, 15), (16 << 20, 30)] {
            assert_eq!(pace.next(begin, bytes), begin + Duration::from_secs(seconds), "{bytes}");
        }
    }
}
