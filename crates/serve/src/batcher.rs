//! Micro-batching: rows of requests that come within a short time are answered together. A network answers thirty-two pictures in little
//! more time than one, so that under load every request is answered sooner.
//!
//! Requests are read and conformed one by one before they come here, so that what is wrong with one never touches another; should a batch
//! fail all the same, each of its requests is asked alone.

use crate::app::App;
use crate::problem::Problem;
use crate::service::Model;
use cupola_task::{Columns, Predictions};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

/// Where a model's requests wait for company.
pub(crate) struct Batcher {
    window: Duration,
    rows_max: usize,
    queue: usize,
    waiting: Mutex<Waiting>,
    is_full: Notify,
}

#[derive(Default)]
struct Waiting {
    jobs: Vec<Job>,
    /// Whether a task is on its way to take them.
    is_gathering: bool,
}

/// A request's rows, and where its answer goes.
struct Job {
    columns: Columns,
    deadline: Instant,
    answer: oneshot::Sender<Result<Predictions, Problem>>,
}

impl Batcher {
    pub(crate) fn new(window: Duration, rows_max: usize, queue: usize) -> Batcher {
        Batcher { window, rows_max, queue, waiting: Mutex::default(), is_full: Notify::new() }
    }

    /// Whether so many rows may wait for others.
    pub(crate) fn takes(&self, rows: usize) -> bool {
        rows < self.rows_max
    }

    /// How many requests wait.
    pub(crate) fn waiting(&self) -> usize {
        self.lock().jobs.len()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers conformed rows, together with those of other requests.
    ///
    /// # Errors
    /// 429 when too many wait, 504 when there is no answer by the deadline, and what is wrong with the prediction.
    pub(crate) async fn ask(
        &self,
        app: &Arc<App>,
        model: &Arc<Model>,
        columns: Columns,
        deadline: Instant,
    ) -> Result<Predictions, Problem> {
        let (send, receive) = oneshot::channel();
        let leads = {
            let mut waiting = self.lock();
            // One more than the queue: who finds nobody waits for company, not for a worker.
            if waiting.jobs.len() > self.queue {
                return Err(Problem::queue_full());
            }
            waiting.jobs.push(Job { columns, deadline, answer: send });
            let rows: usize = waiting.jobs.iter().map(|job| job.columns.rows()).sum();
            if rows >= self.rows_max {
                self.is_full.notify_one();
            }
            !std::mem::replace(&mut waiting.is_gathering, true)
        };
        if leads {
            tokio::spawn(gather(app.clone(), model.clone()));
        }
        match tokio::time::timeout_at(deadline, receive).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Problem::panicked()),
            Err(_) => Err(Problem::late()),
        }
    }

    /// The oldest requests, up to the most rows; none and the end of gathering when there are none. Whose client no longer waits is left out.
    fn take(&self) -> Vec<Job> {
        let mut waiting = self.lock();
        waiting.jobs.retain(|job| !job.answer.is_closed());
        let mut rows = 0;
        let mut fits = |job: &Job| {
            rows += job.columns.rows();
            rows <= self.rows_max
        };
        let count = waiting.jobs.iter().take_while(|job| fits(job)).count();
        waiting.is_gathering = count > 0;
        waiting.jobs.drain(..count).collect()
    }
}

/// Waits for company, then answers batch after batch until nobody waits. What comes meanwhile goes into the next one.
async fn gather(app: Arc<App>, model: Arc<Model>) {
    let Some(batcher) = &model.batcher else { return };
    let _ = tokio::time::timeout(batcher.window, batcher.is_full.notified()).await;
    loop {
        let jobs = batcher.take();
        if jobs.is_empty() {
            return;
        }
        answer(&app, &model, jobs).await;
    }
}

async fn answer(app: &Arc<App>, model: &Arc<Model>, jobs: Vec<Job>) {
    let counts: Vec<usize> = jobs.iter().map(|job| job.columns.rows()).collect();
    if jobs.len() > 1 {
        let parts: Vec<Columns> = jobs.iter().map(|job| job.columns.clone()).collect();
        let deadline = jobs.iter().map(|job| job.deadline).max().unwrap_or_else(Instant::now);
        let model = model.clone();
        let together = app.desk.run(deadline, move || {
            let columns = Columns::concat(&parts).map_err(|error| Problem::fault(&cupola_train::Error::Task(error)))?;
            model.artifact.answer(&columns).map_err(|error| Problem::fault(&error))
        });
        if let Some(parts) = together.await.ok().and_then(|predictions| split(&predictions, &counts)) {
            app.metrics.batch(counts.iter().sum());
            jobs.into_iter().zip(parts).for_each(|(job, predictions)| drop(job.answer.send(Ok(predictions))));
            return;
        }
    }
    for job in jobs {
        let (model, columns) = (model.clone(), job.columns);
        app.metrics.batch(columns.rows());
        let alone = app.desk.run(job.deadline, move || model.artifact.answer(&columns).map_err(|error| Problem::fault(&error)));
        let _ = job.answer.send(alone.await);
    }
}

/// The answers to so many rows each; none when an answer is of a kind that is not cut.
fn split(predictions: &Predictions, counts: &[usize]) -> Option<Vec<Predictions>> {
    let mut start = 0;
    let part = |&rows: &usize| {
        let range: Vec<u64> = (start..start + rows as u64).collect();
        start += rows as u64;
        let own = predictions.0.iter().map(|(target, answer)| Some((target.clone(), answer.take(&range)?)));
        own.collect::<Option<Vec<_>>>().map(Predictions)
    };
    counts.iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::Answer;

    #[test]
    fn answers_are_cut_as_rows_came() {
        let scores = Answer::Scores { classes: ["a".into(), "b".into()].into(), values: vec![0.1, 0.9, 0.2, 0.8, 0.3, 0.7] };
        let numbers = Answer::Numbers { values: vec![1.0, 2.0, 3.0], range: Some(vec![[0.0, 1.0]; 3]) };
        let all = Predictions(vec![("s".into(), scores), ("n".into(), numbers)]);
        let parts = split(&all, &[1, 2]).unwrap();
        assert_eq!(parts[0].get("n"), Some(&Answer::Numbers { values: vec![1.0], range: Some(vec![[0.0, 1.0]]) }));
        let Some(Answer::Scores { values, .. }) = parts[1].get("s") else { panic!("scores stay scores") };
        assert_eq!(values, &[0.2, 0.8, 0.3, 0.7]);
        assert_eq!(split(&all, &[2, 2]), None);
        assert_eq!(split(&Predictions(vec![("o".into(), Answer::Objects(vec![vec![]]))]), &[1]), None);
    }
}
