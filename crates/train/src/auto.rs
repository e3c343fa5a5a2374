//! `model=auto`: a leaderboard by cross-validation on the training rows, within the time given.

use crate::crossval::{Fold, mean_and_variance};
use crate::fit::{Fit, fit, for_target, read_all};
use crate::journal::heard_by;
use crate::models::takes;
use crate::report::{Better, Candidate, Leaderboard};
use crate::{Error, Plan, Result, ensemble, folds};
use cupola_metrics::{Ruler, plain};
use cupola_task::{
    Answer, Batch, Columns, Dataset, Event, Field, Flow, MetricDef, ModelDef, Run, Schema, Settings, Side, Task, TrainSplit, Value,
};
use std::time::Duration;

/// Of the time limit, the share for cross-validation; the rest is for the final fit and its evaluation.
const SHARE_OF_TIME: f64 = 0.7;

/// By then the final fit is to be done; the rest is for evaluation and report.
const SHARE_UNTIL_EVALUATED: f64 = 0.9;
/// Of the time that is left behind the leaderboard, what members may need by what their folds took.
const SHARE_OF_MEMBERS: f64 = 0.8;
/// Held-out rows of a fold that ensembles are chosen by, candidates that may join one, and how often one joins at most.
const JURY_MAX: usize = 4000;
const CANDIDATES_MAX: usize = 12;
const ROUNDS_MAX: usize = 16;

/// A model with one choice of settings.
#[derive(Clone)]
pub(crate) struct Entrant {
    /// The model.
    pub def: &'static ModelDef,
    /// All its settings.
    pub settings: Settings,
    /// Those that differ from the defaults.
    pub said: String,
    /// The most training rows it is tried on.
    pub rows_max: Option<u64>,
    /// Which of its model's choices it is.
    place: usize,
}

/// How an entrant did.
pub(crate) struct Standing {
    /// Who.
    pub entrant: Entrant,
    /// Its score on each fold that was finished.
    pub scores: Vec<f64>,
    /// What it answered there, to the rows of the fold's jury.
    answers: Vec<Answer>,
    /// Time for all folds.
    pub seconds: f64,
    /// Why there are fewer scores than folds.
    pub note: Option<String>,
}

/// All standings, the best first.
pub(crate) struct Board {
    /// The measure that decided.
    pub metric: MetricDef,
    /// How many folds.
    pub folds: usize,
    /// One an entrant.
    pub standings: Vec<Standing>,
}

/// Who takes part for a task and such inputs: every model's own list of settings to try, cheap models first so that there is always a
/// result.
///
/// # Errors
/// When no model that can look at the inputs takes part.
pub(crate) fn entrants(task: Task, schema: &Schema) -> Result<Vec<Entrant>> {
    let mut entrants = Vec::new();
    for def in crate::models().filter(|def| def.tasks.contains(&task) && takes(def, schema)) {
        for (place, tried) in def.tries().enumerate() {
            let settings = ensemble::settings_of(def, &tried.settings)?;
            entrants.push(Entrant { def, settings, said: tried.settings.clone(), rows_max: tried.rows_max, place });
        }
    }
    if entrants.is_empty() {
        let able: Vec<&str> = crate::models().filter(|def| def.tasks.contains(&task) && takes(def, schema)).map(|def| def.name).collect();
        let error = Error::Data("model=auto tries no model that looks at such inputs".into(), None);
        return Err(error.with_hint(format!("name one of {}", able.join(", "))));
    }
    // The first choice of every model comes before the second of any.
    entrants.sort_by_key(|entrant| entrant.place);
    Ok(entrants)
}

/// The measure that decides: ROC-AUC for two classes, log loss for more, since it sees every probability, and the root mean squared error for
/// numbers. The raw schema knows no classes yet, so the rows say how many there are.
pub(crate) fn decider(field: &Field, task: Task, rows: &Batch) -> MetricDef {
    let name = match (task, distinct_texts(rows, &field.name)) {
        (Task::Classify, 2) => "roc_auc",
        (Task::Classify, _) => "log_loss",
        _ => crate::evaluate::main_measure(field, task),
    };
    cupola_metrics::find(name).expect("the registry has it")
}

/// Scores every entrant by cross-validation until the time is up, the best first. At least one entrant is finished.
///
/// # Errors
/// When no entrant can learn from the rows, or the run was stopped before one was scored.
pub(crate) fn leaderboard(train: &TrainSplit, target: &Field, task: Task, plan: &Plan, run: &Run<'_>, time: Duration) -> Result<Board> {
    let began = (run.clock)();
    let deadline = began + time.mul_f64(SHARE_OF_TIME);
    let table = for_target(train.data(), &target.name)?;
    let rows = read_all(&table)?;
    let k = folds::count(plan.folds, table.len());
    let sides = folds::folds(table.schema(), &rows, k, run.draw("auto"))?;
    let metric = decider(target, task, &rows);
    let entrants = entrants(task, table.schema())?;
    let total = entrants.len() as u64;
    let mut board = Board { metric, folds: k, standings: Vec::new() };
    let contest = Contest { train, folds: &sides, target, ruler: (metric, plain(&metric)), plan };
    let (mut juries, mut is_cut) = (Vec::new(), false);
    let (mut failed, mut failure) = (Vec::new(), None);
    for (place, entrant) in entrants.into_iter().enumerate() {
        let is_first = board.standings.iter().all(|standing| standing.scores.is_empty());
        if !is_first && (run.clock)() >= deadline {
            let note = Some("not tried: the time was up".to_owned());
            board.standings.push(Standing { entrant, scores: vec![], answers: vec![], seconds: 0.0, note });
            continue;
        }
        if let Some(most) = entrant.rows_max.filter(|&most| train.data().len() > most) {
            let note = Some(format!("not tried: its time grows faster than the rows, and {} are more than {most}", train.data().len()));
            board.standings.push(Standing { entrant, scores: vec![], answers: vec![], seconds: 0.0, note });
            continue;
        }
        let quiet =
            |_: &Event| run.tell(Event::Progress { done: place as u64, total: Some(total), unit: "candidates".into(), score: None });
        let mut inner = heard_by(run, &quiet);
        inner.until = Some(deadline);
        let stood = standing(&contest, &entrant, is_first, &mut juries, &inner);
        let is_stopped =
            run.tell(Event::Progress { done: place as u64 + 1, total: Some(total), unit: "candidates".into(), score: None }) == Flow::Stop;
        match stood {
            // A model cut short by a signal says nothing about the model; the first one is all there is.
            Ok(standing) if is_stopped && !is_first => {
                let note = Some("not finished: the run was stopped".to_owned());
                board.standings.push(Standing { scores: vec![], answers: vec![], note, ..standing });
            }
            Ok(standing) => {
                tell(run, &board, &standing, place as u64 + 1, total);
                board.standings.push(standing);
            }
            Err(error) => {
                failed.push(entrant.phrase());
                failure = Some(error);
            }
        }
        is_cut = is_stopped;
        if is_stopped {
            break;
        }
    }
    board.standings.sort_by(|a, b| worth(b, &metric).total_cmp(&worth(a, &metric)));
    if !is_cut {
        let left = (began + time.mul_f64(SHARE_UNTIL_EVALUATED)).saturating_sub((run.clock)());
        board.add_ensemble(&juries, left, run)?;
    }
    let has_best = board.standings.first().is_some_and(|best| !best.scores.is_empty());
    match failure {
        None if has_best => Ok(board),
        None => Err(cupola_task::Error::Interrupted.into()),
        Some(error) if has_best => {
            run.tell(Event::Warning {
                text: format!("not tried, since they could not learn from these rows: {} ({error})", failed.join(", ")),
            });
            Ok(board)
        }
        Some(error) => {
            let rows = train.data().len();
            let text = format!("none of {total} candidates could learn from folds of {rows} training rows; the last one said: {error}");
            Err(Error::Data(
                text,
                Some("name a model to learn from all training rows at once, such as model=tree; or give more rows".into()),
            ))
        }
    }
}

fn distinct_texts(rows: &Batch, target: &str) -> usize {
    use arrow_array::cast::AsArray;
    let array = rows.targets.array(target).ok().and_then(|array| array.as_string_opt::<i32>());
    array.map_or(0, |texts| texts.iter().flatten().collect::<std::collections::HashSet<_>>().len())
}

fn tell(run: &Run<'_>, board: &Board, standing: &Standing, done: u64, total: u64) {
    let (who, mean) = (standing.entrant.phrase(), mean(&standing.scores));
    let text = format!("{done}/{total} {who}: {} {mean:.5} in {:.1} s", board.metric.name, standing.seconds);
    run.tell(Event::Note { text });
}

/// Higher is better, unfinished last.
fn worth(standing: &Standing, metric: &MetricDef) -> f64 {
    let worth = upwards(metric, mean(&standing.scores));
    if worth.is_nan() { f64::NEG_INFINITY } else { worth }
}

/// The value, or its opposite where less is better.
fn upwards(metric: &MetricDef, value: f64) -> f64 {
    if metric.is_score { value } else { -value }
}

fn mean(scores: &[f64]) -> f64 {
    mean_and_variance(scores)[0]
}

/// What every entrant is measured by.
struct Contest<'a> {
    train: &'a TrainSplit,
    folds: &'a [Vec<Side>],
    target: &'a Field,
    ruler: Ruler,
    plan: &'a Plan,
}

fn standing(contest: &Contest<'_>, entrant: &Entrant, is_first: bool, juries: &mut Vec<Jury>, run: &Run<'_>) -> Result<Standing> {
    let Contest { train, folds, target, ruler, plan } = contest;
    let began = (run.clock)();
    let mut standing = Standing { entrant: entrant.clone(), scores: vec![], answers: vec![], seconds: 0.0, note: None };
    for (fold, sides) in folds.iter().enumerate() {
        let splits = train.split(sides);
        let Fit { pipeline, .. } = fit(entrant.def, &entrant.settings, target, splits.train(), &**splits.valid(), plan, run)?;
        // A model cut short by the clock says nothing about the model; the very first one is better than none.
        if run.is_late() && !(is_first && standing.scores.is_empty()) {
            standing.note = Some(format!("{} of {} folds in the time given", standing.scores.len(), folds.len()));
            break;
        }
        let (all, field) = (Fold::answered(&pipeline, &**splits.test())?, pipeline.field()?);
        standing.scores.push(all.value(field, ruler)?);
        let count = all.answer.len();
        let few: Vec<u64> = (0..count as u64).step_by(count.div_ceil(JURY_MAX).max(1)).collect();
        standing.answers.extend(all.answer.take(&few));
        if juries.len() == fold {
            let weights = all.weights.map(|weights| few.iter().map(|&row| weights[row as usize]).collect());
            let rows = Batch { inputs: Columns::default(), ..all.rows }.take(&few);
            juries.push(Jury { field: field.clone(), rows, weights });
        }
    }
    standing.seconds = (run.clock)().saturating_sub(began).as_secs_f64();
    Ok(standing)
}

/// Rows that were held out, to judge answers by.
struct Jury {
    /// The target with the classes that the fold's training rows have.
    field: Field,
    rows: Batch,
    weights: Option<Vec<f64>>,
}

impl Jury {
    fn value(&self, answer: &Answer, ruler: &Ruler) -> Result<f64> {
        Ok(cupola_metrics::value(&self.field, answer, self.rows.view(&self.field.name, self.weights.as_deref()), ruler)?)
    }
}

/// How often each candidate joins: in each round the one joins that makes the mean of all who have joined best, until none does. `answers[candidate][fold]`
/// are judged on the folds that `counts`.
fn greedy(answers: &[&[Answer]], juries: &[Jury], counts: impl Fn(usize) -> bool, ruler: &Ruler) -> Result<Vec<u32>> {
    let mut joined = vec![0; answers.len()];
    let mut best = f64::NEG_INFINITY;
    for _ in 0..ROUNDS_MAX {
        let mut next = None;
        for candidate in 0..answers.len() {
            joined[candidate] += 1;
            let mut sum = 0.0;
            for fold in (0..juries.len()).filter(|&fold| counts(fold)) {
                sum += upwards(&ruler.0, judged(answers, &joined, fold, &juries[fold], ruler)?);
            }
            joined[candidate] -= 1;
            if sum > best {
                (best, next) = (sum, Some(candidate));
            }
        }
        let Some(next) = next else { break };
        joined[next] += 1;
    }
    Ok(joined)
}

/// The measure of the weighted mean on a fold; not a number where answers cannot be put together.
fn judged(answers: &[&[Answer]], weights: &[u32], fold: usize, jury: &Jury, ruler: &Ruler) -> Result<f64> {
    let weighted = answers.iter().zip(weights).filter(|(_, weight)| **weight > 0);
    let weighted: Vec<(&Answer, f64)> = weighted.map(|(answers, weight)| (&answers[fold], f64::from(*weight))).collect();
    ensemble::blend(&weighted).map_or(Ok(f64::NAN), |answer| jury.value(&answer, ruler))
}

/// The best value, the higher the better, that a candidate has by itself on the juries' rows.
fn best_alone(answers: &[&[Answer]], juries: &[Jury], ruler: &Ruler) -> Result<f64> {
    let alone = |answers: &&[Answer]| {
        let values = juries.iter().zip(*answers).map(|(jury, answer)| jury.value(answer, ruler)).collect::<Result<Vec<f64>>>()?;
        Ok(upwards(&ruler.0, mean(&values)))
    };
    Ok(answers.iter().map(alone).collect::<Result<Vec<f64>>>()?.into_iter().fold(f64::NAN, f64::max))
}

impl Entrant {
    /// The model with the settings that differ from its defaults, as an ensemble names its members.
    fn phrase(&self) -> String {
        format!("{} {}", self.def.name, self.said).trim_end().to_owned()
    }
}

impl Board {
    /// Puts the weighted mean of the best in front, where it is better than any of them and its members can be fitted in the time that is left. Its score
    /// is honest: on each fold it is that of weights chosen on the others.
    fn add_ensemble(&mut self, juries: &[Jury], left: Duration, run: &Run<'_>) -> Result<()> {
        let began = (run.clock)();
        let able = self.able(juries.len(), left);
        if able.len() < 2 || juries.len() < 2 {
            return Ok(());
        }
        let ruler = (self.metric, plain(&self.metric));
        let answers: Vec<&[Answer]> = able.iter().map(|&place| self.standings[place].answers.as_slice()).collect();
        let mut scores = Vec::new();
        for (fold, jury) in juries.iter().enumerate() {
            if (run.clock)().saturating_sub(began) > left {
                return Ok(());
            }
            let joined = greedy(&answers, juries, |other| other != fold, &ruler)?;
            scores.push(judged(&answers, &joined, fold, jury, &ruler)?);
        }
        let joined = greedy(&answers, juries, |_| true, &ruler)?;
        let is_better = upwards(&self.metric, mean(&scores)) > best_alone(&answers, juries, &ruler)?;
        let members: Vec<(usize, u32)> = able.into_iter().zip(joined).filter(|(_, weight)| *weight > 0).collect();
        if members.len() < 2 || !is_better {
            return Ok(());
        }
        let took = (run.clock)().saturating_sub(began).as_secs_f64();
        let seconds = took + members.iter().map(|&(place, _)| self.standings[place].seconds).sum::<f64>();
        let note = Some("weights chosen on the other folds each time".to_owned());
        self.standings.insert(0, Standing { entrant: self.united(&members)?, scores, answers: vec![], seconds, note });
        Ok(())
    }

    /// Places of the best that answered every fold and can be members, as many as can be fitted again in the time that is left.
    fn able(&self, folds: usize, left: Duration) -> Vec<usize> {
        let is_able = |standing: &Standing| standing.answers.len() == folds && ensemble::can_join(standing.entrant.def);
        let whole = (0..self.standings.len()).filter(|&place| is_able(&self.standings[place])).take(CANDIDATES_MAX);
        let mut time = 0.0;
        whole
            .filter(|&place| {
                // Learning a member again takes a fold's time, and a little more: there are more rows.
                let seconds = self.standings[place].seconds / folds as f64 * (1.0 + 1.0 / folds as f64);
                let fits = time + seconds < left.as_secs_f64() * SHARE_OF_MEMBERS;
                time += if fits { seconds } else { 0.0 };
                fits
            })
            .collect()
    }

    /// The ensemble of members with their weights.
    fn united(&self, members: &[(usize, u32)]) -> Result<Entrant> {
        let name = |place: usize| self.standings[place].entrant.phrase();
        let names = members.iter().map(|&(place, _)| Value::Text(name(place))).collect();
        let weights = members.iter().map(|&(_, weight)| Value::Integer(i64::from(weight))).collect();
        let given = [("members", &Value::List(names)), ("weights", &Value::List(weights))];
        let settings = Settings::check(ensemble::MODEL.name, ensemble::MODEL.settings, given)?;
        let said = members.iter().map(|&(place, weight)| format!("{weight} x {}", name(place))).collect::<Vec<_>>().join(", ");
        Ok(Entrant { def: &ensemble::MODEL, settings, said, rows_max: None, place: 0 })
    }

    /// The one to keep.
    pub fn best(&self) -> &Entrant {
        &self.standings.first().expect("a board has a standing").entrant
    }

    /// How long the final fit of a stopped run may take: twice as long as a fold of the best, and at least a second.
    pub fn patience(&self) -> Duration {
        let best = self.standings.first().expect("a board has a standing");
        Duration::from_secs_f64((2.0 * best.seconds / best.scores.len().max(1) as f64).max(1.0))
    }

    /// As the report shows it.
    pub fn leaderboard(&self) -> Leaderboard {
        let candidate = |(place, standing): (usize, &Standing)| {
            let [mean, variance] = mean_and_variance(&standing.scores);
            Candidate {
                model: standing.entrant.def.name.to_owned(),
                settings: standing.entrant.said.clone(),
                mean,
                deviation: variance.sqrt(),
                seconds: standing.seconds,
                chosen: place == 0,
                note: standing.note.clone(),
            }
        };
        Leaderboard {
            measure: self.metric.name.to_owned(),
            better: if self.metric.is_score { Better::Higher } else { Better::Lower },
            folds: self.folds as u32,
            candidates: self.standings.iter().enumerate().map(candidate).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::StringArray;
    use cupola_task::{Column, Kind, Role};
    use std::sync::Arc;

    #[test]
    fn an_ensemble_is_of_models_that_can_be_members() {
        let classes: Arc<[Arc<str>]> = ["no".into(), "yes".into()].into();
        let field = Field { name: "y".into(), kind: Kind::Category { classes: classes.clone() }, role: Role::Target(Task::Classify) };
        let jury = |_| {
            let truth = Column::Array(Arc::new(StringArray::from(vec!["no", "yes", "no", "yes"])));
            let schema = Schema { fields: vec![field.clone()] };
            Jury {
                field: field.clone(),
                rows: Batch::new((0..4).collect(), &Columns::new(vec![("y".into(), truth)]), &schema),
                weights: None,
            }
        };
        // Each is wrong about another row, so two of them together are better than one, and the network is the best.
        let standing = |(name, said, positive): (&str, &str, [f64; 4])| {
            let def = crate::model(name).unwrap();
            let answer = Answer::Scores { classes: (&classes).into(), values: positive.iter().flat_map(|p| [1.0 - p, *p]).collect() };
            let entrant = Entrant { def, settings: ensemble::settings_of(def, said).unwrap(), said: said.into(), rows_max: None, place: 0 };
            Standing { entrant, scores: vec![0.5; 2], answers: vec![answer; 2], seconds: 0.0, note: None }
        };
        let all = [
            ("mlp", "hidden=[8]", [0.1, 0.9, 0.1, 0.45]),
            ("tree", "max_depth=2", [0.6, 0.9, 0.1, 0.8]),
            ("logistic", "", [0.1, 0.4, 0.2, 0.9]),
        ];
        let metric = cupola_metrics::find("log_loss").unwrap();
        let mut board = Board { metric, folds: 2, standings: all.map(standing).into() };
        board.add_ensemble(&[0, 1].map(jury), Duration::from_secs(10), &Run::quiet(1)).unwrap();
        assert_eq!((board.standings.len(), board.best().def.name), (4, "ensemble"));
        let members = ensemble::members(&board.best().settings).unwrap();
        let mut names: Vec<&str> = members.iter().map(|member| member.def.name).collect();
        names.sort_unstable();
        assert_eq!(names, ["logistic", "tree"]);
    }
}
