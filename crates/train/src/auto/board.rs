//! How the candidates of `model=auto` did, and what is made of the best of them.

use super::jury::{Jury, best_alone, greedy, judged};
use super::{Entrant, THROUGH_MIN, mean, upwards, worth};
use crate::crossval::mean_and_variance;
use crate::fit::Fit;
use crate::report::{Better, Candidate, Leaderboard};
use crate::{Result, ensemble};
use cupola_metrics::plain;
use cupola_task::{Answer, MetricDef, ModelDef, Parts, Run, Settings, Value};
use std::time::Duration;

/// Of the time that is left behind the leaderboard, what members may need by what their folds took.
const SHARE_OF_MEMBERS: f64 = 0.8;
/// Candidates that may join an ensemble.
const CANDIDATES_MAX: usize = 16;
/// Bytes that the models of one candidate's folds may take to be kept, and those of all members of an ensemble.
const KEPT_BYTES_MAX: usize = 128 << 20;
const UNITED_BYTES_MAX: usize = 256 << 20;

/// How an entrant did.
pub(crate) struct Standing {
    /// Who.
    pub entrant: Entrant,
    /// Its score on each fold that was finished.
    pub scores: Vec<f64>,
    /// What it answered there, to the rows of the fold's jury.
    pub(super) answers: Vec<Answer>,
    /// What it learned from each fold, while it may join an ensemble.
    pub(super) fits: Vec<Fit>,
    /// What early stopping settled in each fold.
    pub(super) settled: Vec<Vec<(String, Value)>>,
    /// Bytes of its models.
    pub(super) bytes: usize,
    /// Seconds an answer takes.
    pub(super) answering: f64,
    /// Whether its first fold was cut short.
    pub(super) is_short: bool,
    /// Time for all folds.
    pub seconds: f64,
    /// Why there are fewer scores than folds.
    pub note: Option<String>,
}

/// Places of members with their weights, and the score of such a choice on each fold.
type Chosen = (Vec<(usize, u32)>, Vec<f64>);

/// All standings, the best first.
pub(crate) struct Board {
    /// The measure that decided.
    pub metric: MetricDef,
    /// How many folds.
    pub folds: usize,
    /// One an entrant.
    pub standings: Vec<Standing>,
    /// The ensemble of models that the folds left, where one leads.
    pub fitted: Option<Fit>,
    /// Where models of folds are kept and answer together: into how many folds the rows are dealt, and how many of them are used.
    pub(super) bag: Option<[usize; 2]>,
}

impl Standing {
    /// Nothing yet.
    pub(super) fn new(entrant: Entrant, note: Option<String>) -> Standing {
        Standing {
            entrant,
            scores: vec![],
            answers: vec![],
            fits: vec![],
            settled: vec![],
            bytes: 0,
            answering: 0.0,
            is_short: false,
            seconds: 0.0,
            note,
        }
    }

    /// Remembers what early stopping settled in a fold; and keeps the model, where models are kept and it is not too large.
    pub(super) fn keep(&mut self, fit: Fit, keeps: bool) -> Result<()> {
        self.settled.push(fit.resolved.iter().map(|(name, value, _)| (name.clone(), value.clone())).collect());
        if !keeps || !ensemble::can_join(self.entrant.def) {
            return Ok(());
        }
        let mut parts = Parts::default();
        fit.pipeline.predictor.save(&mut parts)?;
        self.bytes += parts.0.values().map(Vec::len).sum::<usize>();
        if self.bytes <= KEPT_BYTES_MAX {
            self.fits.push(fit);
        } else {
            self.fits.clear();
        }
        Ok(())
    }

    /// Lets go of what only the choice needed.
    pub(super) fn forget(&mut self) {
        self.fits.clear();
        self.answers.clear();
    }

    /// The settings for learning once more without rows to stop early on: whole numbers that early stopping settled are the mean of the folds'.
    fn settings(&self) -> Result<Settings> {
        let entrant = &self.entrant;
        let mean = |name: &str| {
            let of = |fold: &Vec<(String, Value)>| fold.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone());
            let values: Option<Vec<i64>> =
                self.settled.iter().map(|fold| if let Some(Value::Integer(value)) = of(fold) { Some(value) } else { None }).collect();
            values.filter(|values| !values.is_empty()).map(|values| Value::Integer(values.iter().sum::<i64>() / values.len() as i64))
        };
        let settled = self.settled.first().into_iter().flatten().filter_map(|(name, _)| Some((name.as_str(), mean(name)?)));
        let settled: Vec<(&str, Value)> = settled.collect();
        let given = entrant.settings.iter().filter(|(name, _)| settled.iter().all(|(other, _)| other != name));
        let given = given.chain(settled.iter().map(|(name, value)| (*name, value)));
        Ok(Settings::check("model", entrant.def.settings, given)?)
    }
}

impl Board {
    /// Adds a standing. Models of folds are kept of the best alone.
    pub(super) fn add(&mut self, standing: Standing) {
        self.standings.push(standing);
        let mut order: Vec<usize> = (0..self.standings.len()).filter(|&place| !self.standings[place].fits.is_empty()).collect();
        order.sort_by(|&a, &b| worth(&self.standings[b], &self.metric).total_cmp(&worth(&self.standings[a], &self.metric)));
        for place in order.into_iter().skip(CANDIDATES_MAX) {
            self.standings[place].fits.clear();
        }
    }

    /// Whether half of those that are through did better on the first fold.
    pub(super) fn is_behind(&self, standing: &Standing) -> bool {
        let first = |standing: &Standing| standing.scores.first().map_or(f64::NEG_INFINITY, |&score| upwards(&self.metric, score));
        let through = self.standings.iter().filter(|standing| standing.scores.len() == self.folds);
        let mut scores: Vec<f64> = through.map(first).filter(|score| !score.is_nan()).collect();
        scores.sort_by(f64::total_cmp);
        scores.len() >= THROUGH_MIN && first(standing) < scores[scores.len() / 2]
    }

    /// Puts the weighted mean of the best in front, where it is better than any of them and there is time: to ask the models of the folds, or, where
    /// they are not kept, to learn once more; `rows` teach, and evaluation asks about `asked`. Its score is honest: on each fold it is that of weights chosen on the others. Where models of folds are kept and one
    /// candidate alone is best, it is the mean of its own.
    pub(super) fn add_ensemble(&mut self, juries: &[Jury], [rows, asked]: [u64; 2], left: Duration, run: &Run<'_>) -> Result<()> {
        let began = (run.clock)();
        let able = self.able(asked, left);
        let needed = if self.bag.is_some() { 1 } else { 2 };
        if able.len() < needed || juries.is_empty() {
            return Ok(());
        }
        let halves = if let [jury] = juries { jury.halves() } else { None };
        let answers: Vec<Vec<Answer>> = able
            .iter()
            .map(|&place| match &halves {
                Some((_, rows)) => rows.iter().filter_map(|rows| self.standings[place].answers[0].take(rows)).collect(),
                None => self.standings[place].answers.clone(),
            })
            .collect();
        let answers: Vec<&[Answer]> = answers.iter().map(Vec::as_slice).collect();
        let juries = halves.as_ref().map_or(juries, |(juries, _)| juries);
        if juries.len() < 2 {
            return Ok(());
        }
        let chosen = self.chosen(&able, &answers, juries, &|| (run.clock)().saturating_sub(began) > left)?;
        let (members, scores, note) = match chosen {
            Some((members, scores)) => (members, scores, "weights chosen on the other folds each time"),
            None if self.bag.is_some() && able[0] == 0 => {
                (vec![(0, 1)], self.standings[0].scores.clone(), "the mean of the models of its folds")
            }
            None => return Ok(()),
        };
        let took = (run.clock)().saturating_sub(began).as_secs_f64();
        let seconds = took + members.iter().map(|&(place, _)| self.standings[place].seconds).sum::<f64>();
        let entrant = self.united(&members)?;
        if self.bag.is_some() {
            let fits =
                members.iter().map(|&(place, weight)| (std::mem::take(&mut self.standings[place].fits), f64::from(weight))).collect();
            self.fitted = Some(ensemble::bagged(fits, &entrant.settings, rows)?);
        }
        self.standings.insert(0, Standing { scores, seconds, ..Standing::new(entrant, Some(note.to_owned())) });
        Ok(())
    }

    /// Members with weights, and the scores of such a choice, where the mean is better than each of them and there is time to find that out.
    fn chosen(&self, able: &[usize], answers: &[&[Answer]], juries: &[Jury], is_late: &dyn Fn() -> bool) -> Result<Option<Chosen>> {
        let ruler = (self.metric, plain(&self.metric));
        let mut scores = Vec::new();
        for (fold, jury) in juries.iter().enumerate() {
            if is_late() {
                return Ok(None);
            }
            let joined = greedy(answers, juries, |other| other != fold, &ruler)?;
            scores.push(judged(answers, &joined, fold, jury, &ruler)?);
        }
        let joined = greedy(answers, juries, |_| true, &ruler)?;
        let is_better = upwards(&self.metric, mean(&scores)) > best_alone(answers, juries, &ruler)?;
        let members: Vec<(usize, u32)> = able.iter().copied().zip(joined).filter(|(_, weight)| *weight > 0).collect();
        Ok((members.len() > 1 && is_better).then_some((members, scores)))
    }

    /// Places of the best that answered every fold and can be members: as many as can be asked, or fitted again, in the time that is left.
    fn able(&self, asked: u64, left: Duration) -> Vec<usize> {
        let folds = self.folds;
        let is_able = |standing: &Standing| {
            let is_kept = self.bag.is_none() || (standing.fits.len() == folds && ensemble::agree(&standing.fits));
            standing.answers.len() == folds && ensemble::can_join(standing.entrant.def) && is_kept
        };
        let whole = (0..self.standings.len()).filter(|&place| is_able(&self.standings[place])).take(CANDIDATES_MAX);
        let (mut time, mut bytes) = (0.0, 0);
        whole
            .filter(|&place| {
                let standing = &self.standings[place];
                let seconds = match self.bag.is_some() {
                    true => standing.answering * folds as f64 * asked as f64,
                    // Learning a member again takes a fold's time, and a little more: there are more rows.
                    false => standing.seconds / folds as f64 * (1.0 + 1.0 / folds as f64),
                };
                // What is kept of the best is there already: learning it again would take longer than asking it.
                let is_first = self.bag.is_some() && bytes == 0;
                let fits = is_first
                    || time + seconds < left.as_secs_f64() * SHARE_OF_MEMBERS
                        && (self.bag.is_none() || bytes + standing.bytes <= UNITED_BYTES_MAX);
                if fits {
                    time += seconds;
                    bytes += standing.bytes;
                }
                fits
            })
            .collect()
    }

    /// The ensemble of members with their weights.
    fn united(&self, members: &[(usize, u32)]) -> Result<Entrant> {
        let name = |place: usize| self.standings[place].entrant.phrase();
        let names = members.iter().map(|&(place, _)| Value::Text(name(place))).collect();
        let weights = members.iter().map(|&(_, weight)| Value::Integer(i64::from(weight))).collect();
        let [dealt, used] = self.bag.unwrap_or_default();
        let whole = |number: usize| Value::Integer(number as i64);
        let (names, weights, dealt, used) =
            (Value::List(names), Value::List(weights), whole(dealt), whole(if used == dealt { 0 } else { used }));
        let given = [("members", &names), ("weights", &weights), ("num_bag_folds", &dealt), ("num_bag_models", &used)];
        let settings = Settings::check(ensemble::MODEL.name, ensemble::MODEL.settings, given)?;
        let said = members.iter().map(|&(place, weight)| format!("{weight} x {}", name(place))).collect::<Vec<_>>().join(", ");
        Ok(Entrant { def: &ensemble::MODEL, settings, said, rows_max: None, place: 0 })
    }

    /// The one to keep, with the settings to learn it once more; `stops` where there are rows to stop early on.
    ///
    /// # Errors
    /// When the settings of the folds do not go together.
    pub fn best(&self, stops: bool) -> Result<(&'static ModelDef, Settings)> {
        let best = self.standings.first().expect("a board has a standing");
        Ok((best.entrant.def, if stops { best.entrant.settings.clone() } else { best.settings()? }))
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
    use cupola_task::{Batch, Column, Columns, Field, Kind, Role, Schema, Task};
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
            Standing { scores: vec![0.5; 2], answers: vec![answer; 2], ..Standing::new(entrant, None) }
        };
        let all = [
            ("mlp", "hidden=[8]", [0.1, 0.9, 0.1, 0.45]),
            ("tree", "max_depth=2", [0.6, 0.9, 0.1, 0.8]),
            ("logistic", "", [0.1, 0.4, 0.2, 0.9]),
        ];
        let metric = cupola_metrics::find("log_loss").unwrap();
        let mut board = Board { metric, folds: 2, standings: all.map(standing).into(), fitted: None, bag: None };
        board.add_ensemble(&[0, 1].map(jury), [4, 4], Duration::from_secs(10), &Run::quiet(1)).unwrap();
        let (def, settings) = board.best(true).unwrap();
        assert_eq!((board.standings.len(), def.name), (4, "ensemble"));
        let members = ensemble::members(&settings).unwrap();
        let mut names: Vec<&str> = members.iter().map(|member| member.def.name).collect();
        names.sort_unstable();
        assert_eq!(names, ["logistic", "tree"]);
    }
}
