//! A request's body, within a size and a time.

use crate::problem::Problem;
use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use hyper::body::Body as _;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};

/// How much of a body that is too large is read and thrown away, and for how long: a client that is cut off while it
/// sends does not see our answer.
const DRAIN_BYTES: u64 = 64 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(2);

/// Reads all of it.
///
/// # Errors
/// 413 when it is larger than `limit`, 408 when it does not come by the deadline, 415 when it is compressed, 400 when it breaks off.
pub(crate) async fn read(headers: &HeaderMap, mut body: Body, limit: usize, deadline: Instant) -> Result<Vec<u8>, Problem> {
    let encoding = headers.get(header::CONTENT_ENCODING).filter(|encoding| *encoding != "identity");
    if let Some(encoding) = encoding {
        let message = format!("content-encoding {encoding:?} is not supported");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message).with_hint("send the body as it is"));
    }
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        return Err(refuse(headers, &mut body, announced, limit).await);
    }
    let mut bytes = Vec::with_capacity(announced as usize);
    loop {
        let frame = timeout_at(deadline, next(&mut body)).await;
        match frame.map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"))? {
            Some(Ok(piece)) if bytes.len() + piece.len() > limit => return Err(refuse(headers, &mut body, 0, limit).await),
            Some(Ok(piece)) => bytes.extend_from_slice(&piece),
            Some(Err(error)) => return Err(Problem::bad(format!("the body breaks off: {error}"))),
            None => return Ok(bytes),
        }
    }
}

async fn next(body: &mut Body) -> Option<Result<axum::body::Bytes, axum::Error>> {
    let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await?;
    Some(frame.map(|frame| frame.into_data().unwrap_or_default()))
}

async fn refuse(headers: &HeaderMap, body: &mut Body, announced: u64, limit: usize) -> Problem {
    // A client that waits for our word before it sends gets it at once.
    if !headers.contains_key(header::EXPECT) {
        let _ = timeout(DRAIN_TIME, drain(body)).await;
    }
    let found = if announced > 0 { format!("a body of {announced} bytes") } else { format!("a body of more than {limit} bytes") };
    Problem::too_large(format!("{found}, wanted at most {limit}")).with_hint("send fewer rows at once, or raise max_body_bytes")
}

async fn drain(body: &mut Body) {
    let mut drained = 0;
    while let Some(Ok(piece)) = next(body).await {
        drained += piece.len() as u64;
        if drained > DRAIN_BYTES {
            break;
        }
    }
}
