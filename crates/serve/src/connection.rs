//! A connection that does not wait for ever: neither for a request to begin, nor for its headers to end, nor for a client
//! that does not take its answer. hyper's own timer counts from the end of the last answer to the end of the next headers,
//! so that a patient keep-alive and a short limit for headers cannot both be had from it.
//!
//! A request may be answered before its body has come. A connection that is closed while bytes of it are on their way is reset, and the client may
//! lose the answer; so such a one lingers: its end is said, and what still comes is taken and thrown away for a while, as nginx does.

use axum::body::{Body, Bytes};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From the first byte of a request to the end of its headers.
    pub(crate) header: Duration,
    /// Between requests, and for each piece of an answer that the client is to take.
    pub(crate) idle: Duration,
}

/// How much of a body that nobody reads is taken from a client that has its answer, and for how long.
const LINGER_BYTES: usize = 64 << 20;
const LINGER: Duration = Duration::from_secs(2);
/// A body of more bytes is not there with its head.
const BODY_AT_ONCE: u64 = 16 << 10;

/// What a connection's stream knows of its requests. While one is being answered, reading has the request's own deadline.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phase(Arc<Marks>);

#[derive(Debug, Default)]
struct Marks {
    begun: AtomicUsize,
    ended: AtomicUsize,
    /// Whether the last request was answered before its body was read to the end.
    is_unread: AtomicBool,
    /// Whether what was left of that body was not there yet.
    is_coming: AtomicBool,
}

/// A request is being answered until this is dropped.
pub(crate) struct Busy(Phase);

impl Phase {
    pub(crate) fn begin(&self) -> Busy {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        self.0.is_unread.store(false, Ordering::Relaxed);
        self.0.is_coming.store(false, Ordering::Relaxed);
        Busy(self.clone())
    }

    fn begun_and_ended(&self) -> [usize; 2] {
        [&self.0.begun, &self.0.ended].map(|count| count.load(Ordering::Relaxed))
    }
}

impl Busy {
    /// The request's body, watched for whether it is read to its end.
    pub(crate) fn watch(&self, body: Incoming) -> Body {
        let is_coming = body.size_hint().upper().is_none_or(|bytes| bytes > BODY_AT_ONCE);
        Body::new(Watched { is_ended: body.is_end_stream(), is_coming, body, phase: self.0.clone() })
    }

    /// Whether the connection cannot be used for another request: a piece of this one's body is still to come, and nobody will read it.
    pub(crate) fn is_spent(&self) -> bool {
        self.0.0.is_unread.load(Ordering::Relaxed) && self.0.0.is_coming.load(Ordering::Relaxed)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}

struct Watched {
    body: Incoming,
    is_ended: bool,
    is_coming: bool,
    phase: Phase,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.is_ended |= matches!(polled, Poll::Ready(None));
        self.is_coming |= polled.is_pending();
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.phase.0.is_unread.store(!self.is_ended && !self.body.is_end_stream(), Ordering::Relaxed);
        self.phase.0.is_coming.store(self.is_coming, Ordering::Relaxed);
    }
}

/// A stream under time limits.
pub(crate) struct Timed<S> {
    stream: S,
    limits: Limits,
    phase: Phase,
    reading: Timer,
    writing: Timer,
    /// How many requests have ended when the reading timer was last reset, and whether bytes of a new one have come since.
    ended: usize,
    has_begun: bool,
    /// How many bytes may still be thrown away, once the client was told that this is the end.
    lingering: Option<usize>,
}

/// A limit that is set and lifted with each request, while what wakes us stays: it is moved on only when it goes off too early.
#[derive(Default)]
struct Timer {
    end: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    fn start(&mut self, after: Duration) {
        self.end = Some(Instant::now() + after);
    }

    fn stop(&mut self) {
        self.end = None;
    }

    /// Ready when it has run out; a timer that does not run is started.
    fn poll(&mut self, after: Duration, context: &mut Context<'_>) -> Poll<io::Error> {
        let end = *self.end.get_or_insert_with(|| Instant::now() + after);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(end)));
        if sleep.deadline() > end {
            sleep.as_mut().reset(end);
        }
        loop {
            ready!(sleep.as_mut().poll(context));
            if sleep.deadline() >= end {
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            sleep.as_mut().reset(end);
        }
    }
}

impl<S> Timed<S> {
    pub(crate) fn new(stream: S, limits: Limits) -> (Timed<S>, Phase) {
        let phase = Phase::default();
        let (reading, writing) = (Timer::default(), Timer::default());
        (Timed { stream, limits, phase: phase.clone(), reading, writing, ended: 0, has_begun: false, lingering: None }, phase)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let [begun, ended] = this.phase.begun_and_ended();
        if ended != this.ended {
            (this.ended, this.has_begun) = (ended, false);
            this.reading.stop();
        }
        if begun > ended {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        }
        let filled = buffer.filled().len();
        let limit = if this.has_begun { this.limits.header } else { this.limits.idle };
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Pending => this.reading.poll(limit, context).map(Err),
            done => {
                if !this.has_begun && buffer.filled().len() > filled {
                    this.has_begun = true;
                    this.reading.start(this.limits.header);
                }
                done
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> Timed<S> {
    fn wrote<T>(&mut self, result: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        match result {
            Poll::Pending => self.writing.poll(self.limits.idle, context).map(Err),
            done => {
                self.writing.stop();
                done
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Timed<S> {
    /// Takes what still comes until the client has closed too, or it was enough.
    fn linger(&mut self, mut left: usize, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scratch = [0; 16 << 10];
        while left > 0 {
            let mut buffer = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => left = left.saturating_sub(buffer.filled().len()),
                Poll::Ready(_) => break,
                Poll::Pending => {
                    self.lingering = Some(left);
                    return self.reading.poll(LINGER, context).map(|_| Ok(()));
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.wrote(result, context)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, context: &mut Context<'_>, pieces: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, pieces);
        self.wrote(result, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.wrote(result, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(left) = self.lingering {
            return self.linger(left, context);
        }
        let result = Pin::new(&mut self.stream).poll_shutdown(context);
        ready!(self.wrote(result, context))?;
        if !self.phase.0.is_unread.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(()));
        }
        self.reading.start(LINGER);
        self.linger(LINGER_BYTES, context)
    }
}
