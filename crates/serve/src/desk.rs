//! Where predictions are made: a few at once, a few more waiting, the rest told to come back.

use crate::problem::Problem;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::Semaphore;
use tokio::time::Instant;

pub(crate) struct Desk {
    workers: Arc<Semaphore>,
    queue: usize,
    waiting: Arc<AtomicUsize>,
}

/// One place in the queue, given back when dropped.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Desk {
    pub(crate) fn new(workers: usize, queue: usize) -> Desk {
        Desk { workers: Arc::new(Semaphore::new(workers)), queue, waiting: Arc::default() }
    }

    /// How many requests wait for a worker.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Does the work on a blocking thread once a worker is free.
    ///
    /// # Errors
    /// 429 when the queue is full, 503 when no worker was free and 504 when the work was not done by the deadline, 500 when it panicked.
    /// Work that was begun goes on to its end and holds its worker until then.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        deadline: Instant,
        work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
    ) -> Result<T, Problem> {
        let permit = match self.workers.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _place = self.queue()?;
                let free = tokio::time::timeout_at(deadline, self.workers.clone().acquire_owned()).await;
                free.map_err(|_| Problem::overloaded())?.expect("the semaphore is never closed")
            }
        };
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work()
        });
        match tokio::time::timeout_at(deadline, work).await {
            Ok(Ok(done)) => done,
            Ok(Err(_)) => Err(Problem::panicked()),
            Err(_) => Err(Problem::late()),
        }
    }

    fn queue(&self) -> Result<Place, Problem> {
        let take = |waiting| (waiting < self.queue).then_some(waiting + 1);
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map_err(|_| Problem::queue_full())?;
        Ok(Place(self.waiting.clone()))
    }
}
