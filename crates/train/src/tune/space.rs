//! What is searched: parameters with their domains and the conditions under which they exist, and points and trials in it.
//!
//! Inside, a value is a number: itself, or the place of a choice. That is how Optuna keeps them as well.

use crate::recipe::{self, Recipe};
use crate::{Error, Result};
use cupola_task::{ModelDef, Value};
use serde::{Deserialize, Serialize};

/// The values that a parameter may have.
#[derive(Clone, Debug, PartialEq)]
pub enum Domain {
    /// A number in bounds, both included.
    Number {
        /// The smallest.
        low: f64,
        /// The largest; `low` and a whole number of steps where there is a step.
        high: f64,
        /// Between two values; none for a continuum. Whole numbers have one.
        step: Option<f64>,
        /// Whether what counts is the ratio of two values.
        is_log: bool,
        /// Whether values are whole numbers.
        is_integer: bool,
    },
    /// One of these, in no order.
    Choice(Vec<Value>),
}

/// One parameter of a space.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// As the recipe writes it: a dotted key, or `MODEL.SETTING`.
    pub name: String,
    /// The recipe's key.
    pub path: Vec<String>,
    /// Its values.
    pub domain: Domain,
    /// The parameters before it that it depends on, by place, with the values of each under which it exists.
    pub when: Vec<(usize, Vec<f64>)>,
    /// The value that holds when nothing is said, as far as the domain has it.
    pub default: Option<f64>,
    /// Where it was written, for messages.
    pub place: String,
}

/// Parameters; each depends only on those before it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Space {
    /// The parameters.
    pub parameters: Vec<Parameter>,
}

/// A value for each parameter that exists there.
pub type Point = Vec<Option<f64>>;

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It has a value.
    Complete,
    /// It was given up early.
    Pruned,
    /// It could not learn.
    Failed,
}

/// A finished trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Its number, from 0.
    pub number: u64,
    /// How it ended.
    pub state: State,
    /// Where.
    pub point: Point,
    /// What is to be made small: the measure, or minus the measure where more is better. NaN unless it is complete.
    pub loss: f64,
    /// What was seen on the way, by step; small is better here, too.
    pub steps: Vec<(u64, f64)>,
    /// How long it took.
    pub seconds: f64,
    /// Why it failed.
    pub note: String,
}

/// Keys whose values may be searched: what a fit is told. All others decide which rows there are and how they are measured.
const SEARCHED: &str = "model, train.*, augment.*, data.clean.*, inputs.COLUMN.* and MODEL.SETTING";

impl Domain {
    /// A continuum.
    pub fn real(low: f64, high: f64) -> Domain {
        Domain::Number { low, high, step: None, is_log: false, is_integer: false }
    }

    /// A continuum where ratios count.
    pub fn log(low: f64, high: f64) -> Domain {
        Domain::Number { low, high, step: None, is_log: true, is_integer: false }
    }

    /// Whole numbers.
    pub fn integer(low: i64, high: i64) -> Domain {
        Domain::Number { low: low as f64, high: high as f64, step: Some(1.0), is_log: false, is_integer: true }
    }

    /// Places of so many choices.
    pub fn choice(count: usize) -> Domain {
        Domain::Choice((0..count as i64).map(Value::Integer).collect())
    }

    /// Reads `[int] [log] LOW..HIGH [step S]`, `choice A, B`, or a list.
    pub fn parse(value: &Value) -> std::result::Result<Domain, String> {
        const WANTED: &str = "\"[int] [log] LOW..HIGH [step S]\", \"choice A, B, ...\", or a list";
        let text = match value {
            Value::List(items) => return choices(items.clone()),
            Value::Text(text) => text.trim(),
            other => return Err(format!("found {other}, wanted {WANTED}")),
        };
        if let Some(items) = text.strip_prefix("choice ") {
            return choices(items_of(items));
        }
        numbers(text).ok_or_else(|| format!("found {text:?}, wanted {WANTED}")).and_then(bounded)
    }

    /// How many values there are; none for a continuum.
    pub fn count(&self) -> Option<u64> {
        match self {
            Domain::Choice(values) => Some(values.len() as u64),
            Domain::Number { low, high, step, .. } => {
                step.map(|step| (((high - low) / step).round() as u64).saturating_add(1)).or((low == high).then_some(1))
            }
        }
    }

    /// The value at a share of the domain, 0 at the lower end and 1 at the upper; steps and choices have equal shares.
    pub fn at(&self, share: f64) -> f64 {
        match *self {
            Domain::Choice(ref values) => ((share * values.len() as f64) as usize).min(values.len() - 1) as f64,
            Domain::Number { low, high, step, is_log, .. } => {
                let half = step.unwrap_or(0.0) / 2.0;
                let ends = [low - half, high + half].map(|end| if is_log { end.ln() } else { end });
                let value = ends[0] + share * (ends[1] - ends[0]);
                self.nearest(if is_log { value.exp() } else { value })
            }
        }
    }

    /// The share at which a value lies; the inverse of [`Domain::at`] up to rounding to steps.
    pub fn share(&self, value: f64) -> f64 {
        match *self {
            Domain::Choice(ref values) => (value + 0.5) / values.len() as f64,
            Domain::Number { low, high, step, is_log, .. } => {
                let half = step.unwrap_or(0.0) / 2.0;
                let [low, high, value] = [low - half, high + half, value].map(|end| if is_log { end.ln() } else { end });
                if high > low { (value - low) / (high - low) } else { 0.5 }
            }
        }
    }

    /// The value of the domain next to a number.
    pub fn nearest(&self, value: f64) -> f64 {
        match *self {
            Domain::Choice(ref values) => value.round().clamp(0.0, values.len() as f64 - 1.0),
            Domain::Number { low, high, step: Some(step), .. } => (low + ((value - low) / step).round() * step).clamp(low, high),
            Domain::Number { low, high, .. } => value.clamp(low, high),
        }
    }

    /// A value as a recipe writes it.
    pub fn value(&self, number: f64) -> Value {
        match self {
            Domain::Choice(values) => values[(number as usize).min(values.len() - 1)].clone(),
            Domain::Number { is_integer: true, .. } => Value::Integer(number as i64),
            Domain::Number { .. } => Value::Real(number),
        }
    }

    /// The number for a value of a recipe, when the domain has it.
    pub fn number(&self, value: &Value) -> Option<f64> {
        match (self, value) {
            (Domain::Choice(values), value) => values.iter().position(|known| same(known, value)).map(|place| place as f64),
            (Domain::Number { .. }, Value::Integer(number)) => self.admit(*number as f64),
            (Domain::Number { .. }, Value::Real(number)) => self.admit(*number),
            _ => None,
        }
    }

    fn admit(&self, number: f64) -> Option<f64> {
        let Domain::Number { low, high, .. } = self else { return None };
        (*low..=*high).contains(&number).then(|| self.nearest(number))
    }

    /// Values that are checked at the door: both ends, or every choice.
    fn ends(&self) -> Vec<f64> {
        match self {
            Domain::Choice(values) => (0..values.len()).map(|place| place as f64).collect(),
            Domain::Number { low, high, .. } => vec![*low, *high],
        }
    }
}

/// Whether two values mean the same: 1 and 1.0 do.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Integer(one), Value::Real(other)) | (Value::Real(other), Value::Integer(one)) => *one as f64 == *other,
        (one, other) => one == other,
    }
}

fn choices(items: Vec<Value>) -> std::result::Result<Domain, String> {
    match items.is_empty() {
        true => Err("found no choice, wanted one or more".into()),
        false if (1..items.len()).any(|place| items[..place].iter().any(|before| same(before, &items[place]))) => {
            Err("found a choice twice, wanted each once".into())
        }
        false => Ok(Domain::Choice(items)),
    }
}

/// Cuts at commas outside of brackets.
fn items_of(text: &str) -> Vec<Value> {
    let (mut depth, mut items) = (0_i32, vec![String::new()]);
    for character in text.chars() {
        depth += i32::from(character == '[') - i32::from(character == ']');
        match character {
            ',' if depth == 0 => items.push(String::new()),
            character => items.last_mut().expect("there is always an item").push(character),
        }
    }
    items.iter().map(|item| item.trim()).filter(|item| !item.is_empty()).map(Value::parse).collect()
}

/// `[int] [log] LOW..HIGH [step S]` as a domain whose bounds may be wrong.
fn numbers(text: &str) -> Option<Domain> {
    let (mut is_integer, mut is_log, mut step, mut bounds) = (false, false, None, None);
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "int" => is_integer = true,
            "log" => is_log = true,
            "step" => step = Some(words.next()?.parse::<f64>().ok()?),
            word => {
                let (low, high) = word.split_once("..")?;
                bounds = Some((low.parse::<f64>().ok()?, high.parse::<f64>().ok()?));
            }
        }
    }
    let (low, high) = bounds?;
    let step = if is_integer { Some(step.unwrap_or(1.0)) } else { step };
    Some(Domain::Number { low, high, step, is_log, is_integer })
}

fn bounded(domain: Domain) -> std::result::Result<Domain, String> {
    let Domain::Number { low, high, step, is_log, is_integer } = domain else { return Ok(domain) };
    let wrong = |what: &str| Err(format!("found {low}..{high}, wanted {what}"));
    if !(low.is_finite() && high.is_finite() && low <= high) {
        return wrong("a lower bound that is not above the upper one");
    }
    if is_log && low <= 0.0 {
        return wrong("bounds above 0, for log");
    }
    if is_log && step.is_some_and(|step| step != 1.0 || !is_integer) {
        return wrong("log without a step");
    }
    if is_integer && (low.fract() != 0.0 || high.fract() != 0.0 || low.abs() > 9e15 || high.abs() > 9e15) {
        return wrong("whole numbers, for int");
    }
    if let Some(step) = step {
        if !(step.is_finite() && step > 0.0 && (!is_integer || step.fract() == 0.0)) {
            return Err(format!("found step {step}, wanted one above 0, and a whole number for int"));
        }
        let high = low + ((high - low) / step + 1e-9).floor() * step;
        return Ok(Domain::Number { low, high, step: Some(step), is_log, is_integer });
    }
    Ok(Domain::Number { low, high, step, is_log, is_integer })
}

impl Parameter {
    /// A parameter for a search by hand: always there, with no key in a recipe.
    pub fn new(name: &str, domain: Domain) -> Parameter {
        Parameter { name: name.to_owned(), path: vec![name.to_owned()], domain, when: vec![], default: None, place: String::new() }
    }

    /// Whether it exists at a point that is known for all parameters before it.
    pub fn exists(&self, point: &[Option<f64>]) -> bool {
        self.when.iter().all(|(other, values)| point.get(*other).copied().flatten().is_some_and(|value| values.contains(&value)))
    }
}

impl Space {
    /// Reads what a recipe says about its search: names and domains as written, with the place of each.
    ///
    /// # Errors
    /// When a key may not be searched, a domain or condition cannot be read, or a value would not be taken by the recipe.
    pub fn read(recipe: &Recipe, said: &[(String, Value, String)]) -> Result<Space> {
        let mut said: Vec<&(String, Value, String)> = said.iter().collect();
        // The model comes first, for its settings depend on it; a condition names what comes before.
        said.sort_by_key(|(name, value, _)| (!is_model(name), condition(value).is_some(), owner(name).is_some()));
        let mut space = Space::default();
        for (name, value, place) in said {
            let parameter = space.parameter(name, value, place)?;
            space.parameters.push(parameter);
        }
        space.bind_to_models(recipe)?;
        space.check_paths()?;
        space.check(recipe)?;
        space.set_defaults(recipe);
        Ok(space)
    }

    fn parameter(&self, name: &str, value: &Value, place: &str) -> Result<Parameter> {
        let wrong = |message: String| Error::recipe(place, format!("tune.search.{name}: {message}"));
        let path = match owner(name) {
            Some((_, setting)) => vec!["model".to_owned(), setting.to_owned()],
            None => recipe::canonical(recipe::split_path(name)),
        };
        let is_open = match path.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            // Files are no settings: weights to begin from, a model to go on with.
            ["model", "init_model"] | ["train", "weights"] => false,
            ["model" | "train" | "augment", _] => true,
            ["data", "clean", setting] => *setting != "leaks",
            ["inputs", _, setting] => *setting != "type",
            _ => false,
        };
        if !is_open {
            return Err(wrong("this key is not searched".into()).with_hint(format!("keys that are: {SEARCHED}")));
        }
        let (text, conditions) = match condition(value) {
            Some((domain, conditions)) => (Value::Text(domain.to_owned()), Some(conditions)),
            None => (value.clone(), None),
        };
        let domain = Domain::parse(&text).map_err(wrong)?;
        let when = conditions.map_or(Ok(vec![]), |text| text.split(" and ").map(|text| self.condition(text.trim(), &wrong)).collect())?;
        Ok(Parameter { name: name.to_owned(), path, domain, when, default: None, place: place.to_owned() })
    }

    /// `NAME=VALUE|VALUE` about a parameter that is there already.
    fn condition(&self, text: &str, wrong: &dyn Fn(String) -> Error) -> Result<(usize, Vec<f64>)> {
        let (name, values) =
            text.split_once('=').ok_or_else(|| wrong(format!("found condition {text:?}, wanted NAME=VALUE, or NAME=VALUE|VALUE")))?;
        let name = name.trim();
        let place = self.parameters.iter().position(|parameter| parameter.name == name || (is_model(name) && is_model(&parameter.name)));
        let place = place.ok_or_else(|| wrong(format!("the condition names {name}, which is not searched, or has a condition itself")))?;
        let domain = &self.parameters[place].domain;
        let number = |value: &str| {
            let value = Value::parse(value.trim());
            domain.number(&value).ok_or_else(|| wrong(format!("the condition names {name} = {value}, which is none of its values")))
        };
        Ok((place, values.split('|').map(number).collect::<Result<_>>()?))
    }

    /// Lets settings of a model exist only where that model does.
    fn bind_to_models(&mut self, recipe: &Recipe) -> Result<()> {
        let choices = self.parameters.first().filter(|first| is_model(&first.name)).map(|first| first.domain.clone());
        let fixed = recipe.entry(&["model", "name"]).map(|entry| entry.value.clone());
        for parameter in self.parameters.iter_mut().skip(usize::from(choices.is_some())) {
            if parameter.path[0] != "model" {
                continue;
            }
            let owned = owner(&parameter.name).map(|(model, _)| model);
            let has = |name: &Value| {
                let Value::Text(name) = name else { return false };
                let setting = &parameter.path[1];
                owned.is_none_or(|model| model.name == name) && crate::model(name).is_ok_and(|model| has_setting(model, setting))
            };
            match (&choices, &fixed) {
                (Some(Domain::Choice(names)), _) => {
                    let able: Vec<f64> = (0..names.len()).filter(|place| has(&names[*place])).map(|place| place as f64).collect();
                    if able.is_empty() {
                        let message = format!("tune.search.{}: none of the models that are searched has this setting", parameter.name);
                        return Err(Error::recipe(&parameter.place, message));
                    }
                    if able.len() < names.len() {
                        parameter.when.insert(0, (0, able));
                    }
                }
                (_, Some(name)) if owned.is_some() && !has(name) => {
                    let message = format!("tune.search.{}: the recipe's model is {name}", parameter.name);
                    return Err(Error::recipe(&parameter.place, message).with_hint("search the model, too: tune.search.model=[...]"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// A key has one parameter, unless they belong to different models.
    fn check_paths(&self) -> Result<()> {
        let models = |parameter: &Parameter| parameter.when.iter().find(|(other, _)| *other == 0).map(|(_, values)| values.clone());
        for (place, parameter) in self.parameters.iter().enumerate() {
            let is_apart = |other: &Parameter| match (models(parameter), models(other)) {
                (Some(one), Some(two)) => one.iter().all(|value| !two.contains(value)),
                _ => false,
            };
            let twice = self.parameters[..place].iter().find(|other| other.path == parameter.path && !is_apart(other));
            if let Some(other) = twice {
                let message = format!("tune.search.{} and tune.search.{} are the same key", other.name, parameter.name);
                return Err(Error::recipe(&parameter.place, message));
            }
        }
        Ok(())
    }

    /// The recipe must take both ends of every range, and every choice.
    fn check(&self, recipe: &Recipe) -> Result<()> {
        for (place, parameter) in self.parameters.iter().enumerate() {
            for value in parameter.domain.ends() {
                let mut point: Point = vec![None; self.parameters.len()];
                self.demand(place, value, &mut point);
                if let Some(first) = self.parameters.first().filter(|first| is_model(&first.name) && point[0].is_none()) {
                    point[0] = Some(first.domain.at(0.0));
                }
                crate::Plan::check(self.recipe(recipe, &point)).map_err(|error| match error {
                    Error::Recipe { message, hint, .. } => {
                        let message = format!("tune.search.{}: {message}", parameter.name);
                        Error::Recipe { place: parameter.place.clone(), message, hint }
                    }
                    other => other,
                })?;
            }
        }
        Ok(())
    }

    /// Sets a parameter and whatever it needs to exist.
    fn demand(&self, place: usize, value: f64, point: &mut Point) {
        point[place] = Some(value);
        for (other, values) in &self.parameters[place].when {
            if !point[*other].is_some_and(|value| values.contains(&value)) {
                self.demand(*other, values[0], point);
            }
        }
    }

    fn set_defaults(&mut self, recipe: &Recipe) {
        let models: Vec<Value> = match self.parameters.first() {
            Some(Parameter { name, domain: Domain::Choice(names), .. }) if is_model(name) => names.clone(),
            _ => recipe.entry(&["model", "name"]).map(|entry| entry.value.clone()).into_iter().collect(),
        };
        for parameter in &mut self.parameters {
            let (last, table) = parameter.path.split_last().expect("a path has a segment");
            let words: Vec<&str> = parameter.path.iter().map(String::as_str).collect();
            let said = recipe.entry(&words).map(|entry| entry.value.clone());
            let of_model = || {
                let able = |(place, _): &(usize, &Value)| {
                    parameter.when.iter().all(|(other, values)| *other != 0 || values.contains(&(*place as f64)))
                };
                let Value::Text(name) = models.iter().enumerate().find(able)?.1 else { return None };
                let model = crate::model(name).ok().filter(|_| parameter.path[0] == "model")?;
                model.settings.iter().find(|setting| setting.name == last || setting.alias.contains(&last.as_str()))
            };
            let table: Vec<&str> = table.iter().map(String::as_str).collect();
            let of_table = || recipe::lists(&table).into_iter().flatten().find(|setting| setting.name == last);
            let known = said.or_else(|| of_model().or_else(of_table).map(|setting| setting.default_value()));
            parameter.default = known.and_then(|value| parameter.domain.number(&value));
        }
    }

    /// The recipe with the values of a point in it.
    pub fn recipe(&self, recipe: &Recipe, point: &[Option<f64>]) -> Recipe {
        let mut recipe = recipe.clone();
        for (parameter, value) in self.parameters.iter().zip(point) {
            if let Some(value) = value {
                recipe.set(parameter.path.clone(), parameter.domain.value(*value), recipe::Origin::Auto, &parameter.place);
            }
        }
        recipe
    }

    /// The point where every parameter that exists has the value that a function gives it.
    pub fn point(&self, mut value: impl FnMut(usize, &Parameter) -> f64) -> Point {
        let mut point: Point = Vec::with_capacity(self.parameters.len());
        for (place, parameter) in self.parameters.iter().enumerate() {
            let exists = parameter.exists(&point);
            point.push(exists.then(|| value(place, parameter)));
        }
        point
    }

    /// Parameters that exist under the same condition, in order: they are proposed together.
    pub fn groups(&self) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (place, parameter) in self.parameters.iter().enumerate() {
            match groups.iter_mut().find(|group| self.parameters[group[0]].when == parameter.when) {
                Some(group) => group.push(place),
                None => groups.push(vec![place]),
            }
        }
        groups
    }

    /// A point as `key=value key=value`.
    pub fn phrase(&self, point: &[Option<f64>]) -> String {
        let said = self.parameters.iter().zip(point).filter_map(|(parameter, value)| {
            let text = match parameter.domain.value((*value)?) {
                Value::Text(text) => text,
                Value::Real(number) => short(number),
                other => other.to_string(),
            };
            Some(format!("{}={text}", parameter.path.last().map_or("", |last| if last == "name" { "model" } else { last })))
        });
        said.collect::<Vec<_>>().join(" ")
    }

    /// Everything that makes trials of two spaces comparable, as text for the store.
    pub(crate) fn text(&self) -> String {
        let line = |parameter: &Parameter| format!("{} {:?} {:?}\n", parameter.name, parameter.domain, parameter.when);
        self.parameters.iter().map(line).collect()
    }
}

/// Four digits that count.
fn short(number: f64) -> String {
    let digits = 3 - number.abs().max(1e-300).log10().floor() as i32;
    match (0..=12).contains(&digits) && number != 0.0 {
        true => {
            let text = format!("{number:.*}", digits as usize);
            if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
        }
        false if number == 0.0 => "0".into(),
        false => format!("{number:.3e}"),
    }
}

pub(crate) fn is_model(name: &str) -> bool {
    matches!(name, "model" | "model.name")
}

/// The model whose setting `MODEL.SETTING` is.
fn owner(name: &str) -> Option<(&'static ModelDef, &str)> {
    let (model, setting) = name.split_once('.')?;
    crate::models().find(|def| def.name == model).map(|def| (def, setting))
}

fn has_setting(model: &ModelDef, name: &str) -> bool {
    model.settings.iter().any(|setting| setting.name == name || setting.alias.contains(&name))
}

/// A domain's text and its condition, where it has one: `int 2..8 if model=tree`.
fn condition(value: &Value) -> Option<(&str, &str)> {
    if let Value::Text(text) = value { text.split_once(" if ") } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::Fault;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn space(recipe: &str, said: &[(&str, &str)]) -> Result<Space> {
        let mut parsed = Recipe::parse("r.toml", "data.train = 'x.csv'\ntarget = 'y'\n")?;
        for pair in recipe.split_whitespace() {
            parsed.argue(pair)?;
        }
        let said: Vec<_> = said.iter().map(|(name, text)| ((*name).to_owned(), Value::parse(text), "r.toml:3".to_owned())).collect();
        Space::read(&parsed, &said)
    }

    #[test]
    fn domains_are_read() {
        for (text, wanted) in [
            ("0..1", Domain::real(0.0, 1.0)),
            ("log 1e-5..1e-2", Domain::log(1e-5, 1e-2)),
            ("int 15..255", Domain::integer(15, 255)),
            ("int 2..9 step 3", Domain::Number { low: 2.0, high: 8.0, step: Some(3.0), is_log: false, is_integer: true }),
            ("-1..1 step 0.5", Domain::Number { low: -1.0, high: 1.0, step: Some(0.5), is_log: false, is_integer: false }),
            ("choice adamw, 3, [4, 5]", Domain::Choice(vec![Value::Text("adamw".into()), Value::Integer(3), Value::parse("[4, 5]")])),
            ("[a, b]", Domain::Choice(vec![Value::Text("a".into()), Value::Text("b".into())])),
        ] {
            assert_eq!(Domain::parse(&Value::parse(text)).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn wrong_spaces_are_refused_with_their_place() {
        let check = |recipe: &str, said: &[(&str, &str)], wanted: Expect| {
            let error = space(recipe, said).unwrap_err();
            wanted.assert_eq(&format!("{error} | {}", error.hint().unwrap_or_default()));
        };
        check(
            "model=gbdt",
            &[("model.num_leaves", "15 to 255")],
            expect![[
                r#"r.toml:3: tune.search.model.num_leaves: found "15 to 255", wanted "[int] [log] LOW..HIGH [step S]", "choice A, B, ...", or a list | "#
            ]],
        );
        check(
            "model=gbdt",
            &[("model.num_leaves", "int 1..255")],
            expect![
                "r.toml:3: tune.search.model.num_leaves: model.num_leaves: found 1, wanted a whole number in 2..131072 | the default is 31"
            ],
        );
        check(
            "model=gbdt",
            &[("model.learning_rate", "log 0..1")],
            expect!["r.toml:3: tune.search.model.learning_rate: found 0..1, wanted bounds above 0, for log | "],
        );
        check(
            "model=gbdt",
            &[("model.num_leafs", "int 1..255")],
            expect!["r.toml:3: tune.search.model.num_leafs: unknown key model.num_leafs | did you mean num_leaves?"],
        );
        check(
            "",
            &[("model", "[gbdt, forest]"), ("gbdt.n_estimators", "int 10..90"), ("model.n_estimators", "int 10..90")],
            expect!["r.toml:3: tune.search.model.n_estimators and tune.search.gbdt.n_estimators are the same key | "],
        );
        check(
            "model=gbdt",
            &[("seed", "int 1..255")],
            expect![
                "r.toml:3: tune.search.seed: this key is not searched | keys that are: model, train.*, augment.*, data.clean.*, inputs.COLUMN.* and MODEL.SETTING"
            ],
        );
        check(
            "model=gbdt",
            &[("forest.max_depth", "int 2..8")],
            expect![[
                r#"r.toml:3: tune.search.forest.max_depth: the recipe's model is "gbdt" | search the model, too: tune.search.model=[...]"#
            ]],
        );
        check(
            "",
            &[("model", "[gbdt, forest]"), ("model.C", "log 0.1..1")],
            expect!["r.toml:3: tune.search.model.C: none of the models that are searched has this setting | "],
        );
        check(
            "model=gbdt",
            &[("model.max_depth", "int 2..8 if model.grow_policy=depthwise")],
            expect![
                "r.toml:3: tune.search.model.max_depth: the condition names model.grow_policy, which is not searched, or has a condition itself | "
            ],
        );
    }

    #[test]
    fn settings_exist_where_their_model_does() {
        let space = space(
            "",
            &[
                ("forest.max_depth", "int 2..12"),
                ("model.learning_rate", "log 0.01..0.5"),
                ("model", "[logistic, gbdt, forest]"),
                ("gbdt.grow_policy", "[leafwise, depthwise]"),
                ("gbdt.max_depth", "int 2..9 if gbdt.grow_policy=depthwise"),
            ],
        );
        let space = space.unwrap();
        let names: Vec<&str> = space.parameters.iter().map(|parameter| parameter.name.as_str()).collect();
        assert_eq!(names, ["model", "model.learning_rate", "forest.max_depth", "gbdt.grow_policy", "gbdt.max_depth"]);
        let at = |model: f64, policy: f64| {
            let point = space.point(|place, parameter| {
                if place == 0 {
                    model
                } else if place == 3 {
                    policy
                } else {
                    parameter.domain.at(0.5)
                }
            });
            space.phrase(&point)
        };
        assert_eq!(at(0.0, 0.0), "model=logistic");
        assert_eq!(at(2.0, 0.0), "model=forest max_depth=7");
        assert_eq!(at(1.0, 0.0), "model=gbdt learning_rate=0.07071 grow_policy=leafwise");
        assert_eq!(at(1.0, 1.0), "model=gbdt learning_rate=0.07071 grow_policy=depthwise max_depth=6");
        assert_eq!(space.parameters[1].default, Some(0.1));
        assert_eq!(space.groups(), [vec![0], vec![1, 3], vec![2], vec![4]]);
    }

    proptest! {
        #[test]
        fn a_share_leads_to_its_value_and_back(share in 0.0f64..1.0, low in 1i64..50, width in 0i64..300, is_log: bool) {
            let (low, high) = (low as f64, (low + width) as f64);
            for step in [None, Some(1.0)] {
                let domain = Domain::Number { low, high, step, is_log, is_integer: step.is_some() };
                let value = domain.at(share);
                prop_assert!((low..=high).contains(&value));
                prop_assert!((domain.at(domain.share(value)) - value).abs() < 1e-9 * high);
                prop_assert_eq!(domain.number(&domain.value(value)), Some(value));
            }
        }
    }
}
