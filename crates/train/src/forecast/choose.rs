//! What choosing among models or settings will take: `model=auto` and the search of `[tune]`.

use super::law::{Expected, ahead};
use super::rehearsal::{ROWS_FIRST, TIMES, growth};
use super::told::TriedForecast;
use crate::auto::{self, Entrant};
use crate::crossval::Fold;
use crate::fit::{fit, for_target, read_all};
use crate::journal::heard_by;
use crate::training::Divided;
use crate::{Plan, Result, learning_curve};
use cupola_task::{Dataset, Event, Exit, Fault, Field, Flow, Run, Side, Task};
use std::time::Duration;

/// Trying all candidates may take so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// The leaderboard of a target as it will be.
pub(super) struct BoardForecast {
    pub tried: Vec<TriedForecast>,
    /// All candidates that fit into the time.
    pub seconds: Expected,
}

/// Tries each candidate on parts of one fold, and tells which ones fit into the time.
///
/// # Errors
/// When no candidate can look at the rows, or the run was stopped.
pub(super) fn board(plan: &Plan, divided: &Divided, (field, task): (&Field, Task), time: Duration, run: &Run<'_>) -> Result<BoardForecast> {
    let train = divided.splits.train();
    let table = for_target(train.data(), &field.name)?;
    let rows = read_all(&table)?;
    let all = table.len();
    let k = auto::folds_of(plan, all);
    let entrants = auto::entrants(task, table.schema())?;
    let order = learning_curve::places(table.schema(), &rows, field, run.draw("plan"));
    let patience = PATIENCE / entrants.len() as u32;
    let deadline = auto::deadline(time).as_secs_f64();
    let mut found = BoardForecast { tried: vec![], seconds: Expected::known(0.0) };
    let total = Some(entrants.len() as u64);
    for (place, entrant) in entrants.iter().enumerate() {
        if run.tell(Event::Progress { done: place as u64, total, unit: "candidates".into(), score: None }) == Flow::Stop {
            return Err(cupola_task::Error::Interrupted.into());
        }
        let is_late = found.seconds.value >= deadline;
        let is_large = entrant.rows_max.is_some_and(|most| all > most);
        let (seconds, note) = match (is_late, is_large) {
            (true, _) => (None, Some("not in the time given".to_owned())),
            (false, true) => (None, Some(format!("not tried on more than {} rows", entrant.rows_max.unwrap_or(all)))),
            (false, false) => match trial(plan, divided, field, entrant, (&order, k, patience), run) {
                Ok(points) => (Some(ahead(&points, all as f64, growth(entrant.def)).times(k as f64)), None),
                Err(error) if error.exit() == Exit::Interrupted => return Err(error),
                Err(error) => (None, Some(format!("cannot learn from a part of these rows: {error}"))),
            },
        };
        if let Some(seconds) = seconds {
            found.seconds = found.seconds.plus(seconds);
        }
        found.tried.push(TriedForecast { model: entrant.def.name.to_owned(), settings: entrant.said.clone(), seconds, note });
    }
    found.seconds = found.seconds.at_most(Some(deadline));
    Ok(found)
}

/// Rows, and the seconds that one of `k` folds of them took.
fn trial(
    plan: &Plan,
    divided: &Divided,
    field: &Field,
    entrant: &Entrant,
    (order, k, patience): (&[u64], usize, Duration),
    run: &Run<'_>,
) -> Result<Vec<(f64, f64)>> {
    let quiet = |_: &Event| run.tell(Event::Progress { done: 0, total: None, unit: "candidates".into(), score: None });
    let run = heard_by(run, &quiet);
    let all = order.len() as u64;
    let (mut size, mut spent, mut points) = (ROWS_FIRST.min(all), Duration::ZERO, vec![]);
    loop {
        // The order is a fair one, so every stretch of it is: one for judging, a tenth of the rest for stopping early, as in a fold.
        let judged = size / k as u64;
        let side = |place: &u64| match *place {
            place if place < judged => Side::Test,
            place if place >= size => Side::Out,
            place if place % 10 == 0 => Side::Valid,
            _ => Side::Train,
        };
        let splits = divided.splits.train().split(&order.iter().map(side).collect::<Vec<_>>());
        let began = (run.clock)();
        let fitted = fit(entrant.def, &entrant.settings, field, splits.train(), &**splits.valid(), plan, &run)?;
        Fold::answered(&fitted.pipeline, &**splits.test())?;
        let took = (run.clock)().saturating_sub(began);
        points.push((size as f64, took.as_secs_f64()));
        spent += took;
        if size == all || spent + took * TIMES as u32 > patience {
            return Ok(points);
        }
        size = (size * TIMES).min(all);
    }
}
