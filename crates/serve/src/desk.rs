//! Where predictions are made: a few at once, a few more waiting, the rest told to come back.
//!
//! Workers take what waits from the line themselves. If each waiting request had to be woken to hand its work to a worker, a server that is busy
//! refusing others would leave its workers idle until it came to that.

use crate::problem::Problem;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use tokio::time::Instant;

pub(crate) struct Desk {
    workers: usize,
    queue: usize,
    line: Arc<Mutex<Line>>,
}

#[derive(Default)]
struct Line {
    jobs: VecDeque<Box<dyn Job>>,
    /// How many workers are at work.
    busy: usize,
}

trait Job: Send {
    /// Whether somebody still waits for it.
    fn is_wanted(&self) -> bool;
    fn run(self: Box<Self>);
}

struct Task<T, W> {
    work: W,
    answer: oneshot::Sender<Result<T, Problem>>,
    has_begun: Arc<AtomicBool>,
}

impl<T: Send, W: FnOnce() -> Result<T, Problem> + Send> Job for Task<T, W> {
    fn is_wanted(&self) -> bool {
        !self.answer.is_closed()
    }

    fn run(self: Box<Self>) {
        self.has_begun.store(true, Ordering::Relaxed);
        let done = catch_unwind(AssertUnwindSafe(self.work)).unwrap_or_else(|_| Err(Problem::panicked()));
        // Who no longer waits is not told.
        let _ = self.answer.send(done);
    }
}

impl Desk {
    pub(crate) fn new(workers: usize, queue: usize) -> Desk {
        Desk { workers, queue, line: Arc::default() }
    }

    /// How many requests wait for a worker.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.line).jobs.len()
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
        let (answer, answered) = oneshot::channel();
        let has_begun = Arc::new(AtomicBool::new(false));
        self.enter(Box::new(Task { work, answer, has_begun: has_begun.clone() }))?;
        match tokio::time::timeout_at(deadline, answered).await {
            Ok(done) => done.unwrap_or_else(|_| Err(Problem::panicked())),
            Err(_) if has_begun.load(Ordering::Relaxed) => Err(Problem::late()),
            Err(_) => Err(Problem::overloaded()),
        }
    }

    /// Whether a job that came now would be turned away.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full_in(&mut lock(&self.line))
    }

    fn is_full_in(&self, line: &mut Line) -> bool {
        if line.busy == self.workers && line.jobs.len() >= self.queue {
            line.jobs.retain(|job| job.is_wanted());
        }
        line.busy == self.workers && line.jobs.len() >= self.queue
    }

    /// Gives a job to a free worker, or lets it wait.
    fn enter(&self, job: Box<dyn Job>) -> Result<(), Problem> {
        let mut line = lock(&self.line);
        if self.is_full_in(&mut line) {
            return Err(Problem::queue_full());
        }
        if line.busy < self.workers {
            line.busy += 1;
            let own = self.line.clone();
            tokio::task::spawn_blocking(move || work(&own, job));
        } else {
            line.jobs.push_back(job);
        }
        Ok(())
    }
}

/// Does one job after another until none waits.
fn work(line: &Mutex<Line>, first: Box<dyn Job>) {
    let mut next = Some(first);
    while let Some(job) = next {
        if job.is_wanted() {
            job.run();
        }
        let mut line = lock(line);
        next = line.jobs.pop_front();
        line.busy -= usize::from(next.is_none());
    }
}

/// Nothing that may panic is done while it is held.
fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(20)
    }

    #[tokio::test]
    async fn who_left_makes_room_and_is_not_worked_for() {
        let (desk, (open, gate)) = (Arc::new(Desk::new(1, 1)), std::sync::mpsc::channel::<()>());
        let run = |work: Box<dyn FnOnce() -> Result<u8, Problem> + Send>| {
            let desk = desk.clone();
            tokio::spawn(async move { desk.run(soon(), work).await })
        };
        let first = run(Box::new(move || {
            let _ = gate.recv();
            Ok(1)
        }));
        while lock(&desk.line).busy == 0 {
            tokio::task::yield_now().await;
        }
        let left = run(Box::new(|| unreachable!("nobody waits for it")));
        while desk.waiting() == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(desk.run(soon(), || Ok(2)).await, Err(Problem::queue_full()));
        left.abort();
        let _ = left.await;
        let third = run(Box::new(|| Ok(3)));
        tokio::task::yield_now().await;
        open.send(()).unwrap();
        assert_eq!((first.await.unwrap(), third.await.unwrap()), (Ok(1), Ok(3)));
        assert_eq!((desk.waiting(), desk.run(soon(), || panic!("as it is told")).await), (0, Err::<u8, _>(Problem::panicked())));
        assert_eq!(desk.run(soon(), || Ok(4)).await, Ok(4), "a panic costs no worker");
    }
}
