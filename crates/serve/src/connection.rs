//! A connection that does not wait for ever: neither for a request to begin, nor for its headers to end, nor for a client
//! that does not take its answer. hyper's own timer counts from the end of the last answer to the end of the next headers,
//! so that a patient keep-alive and a short limit for headers cannot both be had from it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From the first byte of a request to the end of its headers.
    pub(crate) header: Duration,
    /// Between requests, and for each piece of an answer that the client is to take.
    pub(crate) idle: Duration,
}

/// How many requests of the connection have begun and ended. While one is being answered, reading has the request's own deadline.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phase(Arc<[AtomicUsize; 2]>);

/// A request is being answered until this is dropped.
pub(crate) struct Busy(Phase);

impl Phase {
    pub(crate) fn begin(&self) -> Busy {
        self.0[0].fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    fn begun_and_ended(&self) -> [usize; 2] {
        [self.0[0].load(Ordering::Relaxed), self.0[1].load(Ordering::Relaxed)]
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0[1].fetch_add(1, Ordering::Relaxed);
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
}

#[derive(Default)]
struct Timer(Option<Pin<Box<Sleep>>>);

impl Timer {
    fn start(&mut self, after: Duration) {
        match &mut self.0 {
            Some(sleep) => sleep.as_mut().reset(Instant::now() + after),
            None => self.0 = Some(Box::pin(sleep(after))),
        }
    }

    /// Ready when it has run out; a timer that does not run is started.
    fn poll(&mut self, after: Duration, context: &mut Context<'_>) -> Poll<io::Error> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep(after)));
        ready!(sleep.as_mut().poll(context));
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }
}

impl<S> Timed<S> {
    pub(crate) fn new(stream: S, limits: Limits) -> (Timed<S>, Phase) {
        let phase = Phase::default();
        (Timed { stream, limits, phase: phase.clone(), reading: Timer(None), writing: Timer(None), ended: 0, has_begun: false }, phase)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let [begun, ended] = this.phase.begun_and_ended();
        if ended != this.ended {
            (this.ended, this.has_begun, this.reading) = (ended, false, Timer(None));
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
                self.writing = Timer(None);
                done
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
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
        let result = Pin::new(&mut self.stream).poll_shutdown(context);
        self.wrote(result, context)
    }
}
