//! Candidates beyond the models' own lists, while there is time: points that a search proposes in the spaces of the models that lead.

use super::{Board, Entrant, Standing, upwards, worth};
use crate::tune::{Point, Sampler, Space, State, Trial, default_space, suggest};
use crate::{Plan, Result, ensemble};
use cupola_task::{Draw, ModelDef, Schema, Settings, Task, Value};
use std::time::Duration;

/// A search is over once so many proposals in a row were no better than the best before them.
const PATIENCE: usize = 100;
/// Models that are searched.
const LEADING: usize = 3;
/// Of four proposals the leading model gets two, the next ones get one each.
const TURNS: [usize; 4] = [0, 1, 0, 2];
/// Random points of a model before its density is estimated, and points that the estimate chooses from.
const SAMPLER: Sampler = Sampler::Tpe { startup: 8, candidates: 24 };
/// Digits of a proposed number: so a recipe can be read.
const DIGITS: i32 = 3;

/// Spaces of the models that may be searched.
pub(super) struct Search {
    spaces: Vec<(&'static ModelDef, Space)>,
    draw: Draw,
    proposed: usize,
    best: f64,
    since: usize,
}

impl Search {
    /// Over the models that stand on the board, can join an ensemble and have a space of their own.
    ///
    /// # Errors
    /// When a space does not go with the recipe.
    pub fn new(board: &Board, task: Task, schema: &Schema, plan: &Plan, draw: Draw) -> Result<Search> {
        let mut spaces: Vec<(&'static ModelDef, Space)> = Vec::new();
        for standing in &board.standings {
            let def = standing.entrant.def;
            if spaces.iter().any(|(known, _)| known.name == def.name) || !ensemble::can_join(def) {
                continue;
            }
            let Ok(said) = default_space(Some(def.name), task, schema) else { continue };
            let mut recipe = plan.recipe.clone();
            recipe.argue(&format!("model={}", def.name))?;
            spaces.push((def, Space::read(&recipe, &said)?));
        }
        Ok(Search { spaces, draw, proposed: 0, best: f64::NEG_INFINITY, since: 0 })
    }

    /// The next candidate; none when nothing got better for long, or no model can be tried in the time that is left.
    ///
    /// # Errors
    /// When a point is none of its model's settings.
    pub fn next(&mut self, board: &Board, left: Duration) -> Result<Option<Entrant>> {
        let whole = board.standings.iter().filter(|standing| standing.scores.len() == board.folds);
        let best = whole.map(|standing| worth(standing, &board.metric)).fold(f64::NEG_INFINITY, f64::max);
        self.since = if best > self.best { 0 } else { self.since + 1 };
        self.best = self.best.max(best);
        if self.since > PATIENCE {
            return Ok(None);
        }
        let mut leading: Vec<(f64, usize)> = (0..self.spaces.len()).map(|place| (self.worth(place, board), place)).collect();
        leading.sort_by(|a, b| b.0.total_cmp(&a.0));
        let able = |&&(worth, place): &&(f64, usize)| worth.is_finite() && self.seconds(place, board) < left.as_secs_f64();
        let able: Vec<&(f64, usize)> = leading.iter().take(LEADING).filter(able).collect();
        let turn = TURNS[self.proposed % TURNS.len()];
        let Some(&&(_, place)) = able.get(turn).or(able.first()) else { return Ok(None) };
        self.proposed += 1;
        self.proposal(place, board).map(Some)
    }

    /// How the best of a model does.
    fn worth(&self, place: usize, board: &Board) -> f64 {
        self.done(place, board).map(|standing| worth(standing, &board.metric)).fold(f64::NEG_INFINITY, f64::max)
    }

    /// How long a model takes.
    fn seconds(&self, place: usize, board: &Board) -> f64 {
        let (count, sum) = self.done(place, board).fold((0.0, 0.0), |(count, sum), standing| (count + 1.0, sum + standing.seconds));
        sum / count
    }

    fn done<'a>(&'a self, place: usize, board: &'a Board) -> impl Iterator<Item = &'a Standing> {
        let name = self.spaces[place].0.name;
        let is_whole = move |standing: &&Standing| standing.scores.len() == board.folds && standing.entrant.def.name == name;
        board.standings.iter().filter(is_whole)
    }

    fn proposal(&self, place: usize, board: &Board) -> Result<Entrant> {
        let (def, space) = &self.spaces[place];
        let trial = |(number, standing): (usize, &Standing)| Trial {
            number: number as u64,
            state: State::Complete,
            point: point_of(space, &standing.entrant.settings),
            loss: -upwards(&board.metric, super::mean(&standing.scores)),
            steps: vec![],
            seconds: standing.seconds,
            note: String::new(),
        };
        let history: Vec<Trial> = self.done(place, board).enumerate().map(trial).collect();
        let draw = self.draw.stream(def.name);
        let point = suggest(space, SAMPLER, &history, self.proposed as u64, draw).expect("only a grid has an end");
        let words = space.parameters.iter().zip(point).filter_map(|(parameter, value)| {
            let name = parameter.path.last().expect("a path has a segment");
            Some(format!("{name}={}", short(&parameter.domain.value(value?))))
        });
        let said = words.collect::<Vec<_>>().join(" ");
        let settings = ensemble::settings_of(def, &said)?;
        Ok(Entrant { def, settings, said, rows_max: None, place: usize::MAX })
    }
}

/// Where settings lie in a space, as near as the space has it.
fn point_of(space: &Space, settings: &Settings) -> Point {
    space.point(|_, parameter| {
        let name = parameter.path.last().expect("a path has a segment");
        let value = parameter.domain.number(settings.value(name));
        value.map_or_else(|| parameter.domain.at(0.5), |value| parameter.domain.nearest(value))
    })
}

/// A number with few digits.
fn short(value: &Value) -> Value {
    match value {
        Value::Real(real) if *real != 0.0 => {
            let scale = 10f64.powi(DIGITS - 1 - real.abs().log10().floor() as i32);
            Value::Real((real * scale).round() / scale)
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Recipe;
    use std::collections::BTreeMap;

    fn stood(model: &str, said: &str, score: f64) -> Standing {
        let def = crate::model(model).unwrap();
        let settings = ensemble::settings_of(def, said).unwrap();
        let entrant = Entrant { def, settings, said: said.to_owned(), rows_max: None, place: 0 };
        Standing { scores: vec![score; 2], seconds: 1.0, ..Standing::new(entrant, None) }
    }

    #[test]
    fn leading_models_are_searched_until_nothing_gets_better() {
        let mut recipe = Recipe::parse("r.toml", "data.train = 'x.csv'\ntarget = 'y'\n").unwrap();
        recipe.argue("time=60").unwrap();
        let plan = Plan::check(recipe).unwrap();
        let standings = vec![
            stood("gbdt", "", 0.8),
            stood("logistic", "", 0.9),
            stood("mlp", "", 0.95),
            stood("forest", "", 0.7),
            stood("tree", "", 0.65),
        ];
        let metric = cupola_metrics::find("roc_auc").unwrap();
        let mut board = Board { metric, folds: 2, standings, fitted: None, bag: Some([2, 2]) };
        let draw = Draw::new(1);
        let mut search = Search::new(&board, Task::Classify, &Schema::default(), &plan, draw).unwrap();
        assert!(search.next(&board, Duration::from_millis(500)).unwrap().is_none(), "every model takes a second");
        let mut search = Search::new(&board, Task::Classify, &Schema::default(), &plan, draw).unwrap();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        while let Some(entrant) = search.next(&board, Duration::from_secs(2)).unwrap() {
            *counts.entry(entrant.def.name).or_default() += 1;
            assert_eq!(ensemble::settings_of(entrant.def, &entrant.said).unwrap(), entrant.settings);
            board.add(stood(entrant.def.name, &entrant.said, 0.6));
        }
        // The network cannot be a member; the tree is fourth.
        assert_eq!(counts, BTreeMap::from([("forest", PATIENCE / 4), ("gbdt", PATIENCE / 4), ("logistic", PATIENCE / 2 + 1)]));
    }
}
