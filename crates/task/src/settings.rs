//! Settings by name: what a recipe may say about a model, a metric or a preparation, checked once against its list.

use crate::{Error, Result, nearest};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A setting's value as a recipe writes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// A real number.
    Real(f64),
    /// A word.
    Text(String),
    /// Several values.
    List(Vec<Value>),
}

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Range {
    /// `true` or `false`.
    Flag,
    /// A whole number, bounds included.
    Integer {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// A real number, bounds included; whole numbers are taken too.
    Real {
        /// Smallest.
        min: f64,
        /// Largest.
        max: f64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
    /// A list of such values; a single one counts as a list of one.
    List(&'static Range),
    /// Whatever one of these takes, tried in order.
    Any(&'static [Range]),
}

/// One setting. The list of them feeds check, JSON Schema, `tune` ranges, help and docs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Setting {
    /// The name everywhere: recipe key, flag, docs.
    pub name: &'static str,
    /// Names from other systems that mean the same.
    pub alias: &'static [&'static str],
    /// What holds when nothing is said, as recipe text.
    pub default: &'static str,
    /// What values it takes.
    pub range: Range,
    /// One sentence.
    pub doc: &'static str,
}

/// Checked settings: every name of the list has a value in range.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings(BTreeMap<String, Value>);

impl Value {
    /// Reads a value as a command line writes it: `true`, `3`, `0.5`, `1e-3`, `word`, `[a, b]`.
    pub fn parse(text: &str) -> Value {
        let text = text.trim();
        if let Some(items) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return Value::List(split_list(items).map(str::trim).filter(|item| !item.is_empty()).map(Value::parse).collect());
        }
        let unquoted = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        match (unquoted, text) {
            (Some(inner), _) => Value::Text(inner.to_owned()),
            (None, "true") => Value::Flag(true),
            (None, "false") => Value::Flag(false),
            (None, _) => {
                text.parse().map(Value::Integer).or_else(|_| text.parse().map(Value::Real)).unwrap_or_else(|_| Value::Text(text.to_owned()))
            }
        }
    }
}

/// The items of a list, at commas that stand outside of lists within it.
fn split_list(items: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0i32;
    items.split(move |sign: char| {
        depth += i32::from(sign == '[') - i32::from(sign == ']');
        sign == ',' && depth == 0
    })
}

impl fmt::Display for Value {
    /// Recipe (TOML) text, which [`Value::parse`] reads back.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Flag(flag) => write!(f, "{flag}"),
            Value::Integer(number) => write!(f, "{number}"),
            Value::Real(number) => write!(f, "{number:?}"),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(Value::to_string).collect();
                write!(f, "[{}]", items.join(", "))
            }
        }
    }
}

impl Range {
    /// The value in this range's own type, when it fits.
    pub fn admit(&self, value: &Value) -> Option<Value> {
        match (self, value) {
            (Range::Flag, Value::Flag(_)) | (Range::Text, Value::Text(_)) => Some(value.clone()),
            (Range::Integer { min, max }, Value::Integer(number)) if (min..=max).contains(&number) => Some(value.clone()),
            (Range::Integer { .. }, Value::Real(number)) if number.fract() == 0.0 && number.abs() < 9e15 => {
                self.admit(&Value::Integer(*number as i64))
            }
            (Range::Real { min, max }, Value::Real(number)) if (min..=max).contains(&number) => Some(value.clone()),
            (Range::Real { .. }, Value::Integer(number)) => self.admit(&Value::Real(*number as f64)),
            (Range::Choice(words), Value::Text(text)) => words.contains(&text.as_str()).then(|| value.clone()),
            (Range::List(item), Value::List(items)) => {
                items.iter().map(|value| item.admit(value)).collect::<Option<Vec<_>>>().map(Value::List)
            }
            (Range::List(item), single) => item.admit(single).map(|value| Value::List(vec![value])),
            (Range::Any(ranges), value) => ranges.iter().find_map(|range| range.admit(value)),
            _ => None,
        }
    }
}

impl fmt::Display for Range {
    /// What is wanted, for messages and docs: `a whole number in 2..131072`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Range::Flag => f.write_str("true or false"),
            Range::Integer { min, max: i64::MAX } => write!(f, "a whole number >= {min}"),
            Range::Integer { min, max } => write!(f, "a whole number in {min}..{max}"),
            Range::Real { min: f64::MIN, max: f64::MAX } => f.write_str("a number"),
            Range::Real { min, max: f64::MAX } => write!(f, "a number >= {}", short(*min)),
            Range::Real { min, max } => write!(f, "a number in {}..{}", short(*min), short(*max)),
            Range::Choice(words) => f.write_str(&words.join("|")),
            Range::Text => f.write_str("text"),
            Range::List(item) => write!(f, "a list of {item}"),
            Range::Any(ranges) => {
                let ranges: Vec<String> = ranges.iter().map(Range::to_string).collect();
                f.write_str(&ranges.join(", or "))
            }
        }
    }
}

/// A bound without a long row of zeros.
fn short(bound: f64) -> String {
    let is_plain = bound == 0.0 || (1e-5..1e7).contains(&bound.abs());
    if is_plain { bound.to_string() } else { format!("{bound:e}") }
}

impl Setting {
    /// The default as a value.
    pub fn default_value(&self) -> Value {
        let value = Value::parse(self.default);
        self.range.admit(&value).unwrap_or_else(|| panic!("default {} of setting {} is in its range", self.default, self.name))
    }
}

impl Settings {
    /// Checks given values against the list and fills in defaults. `place` names the recipe table for messages.
    ///
    /// # Errors
    /// A name the list does not have (with the nearest it has), a value out of range, a name given twice under two aliases.
    pub fn check<'a>(place: &str, list: &[Setting], given: impl IntoIterator<Item = (&'a str, &'a Value)>) -> Result<Settings> {
        let mut settings: BTreeMap<String, Value> = list.iter().map(|setting| (setting.name.to_owned(), setting.default_value())).collect();
        let mut seen: BTreeMap<&str, &str> = BTreeMap::new();
        for (name, value) in given {
            let setting = list
                .iter()
                .find(|setting| setting.name == name || setting.alias.contains(&name))
                .ok_or_else(|| unknown(place, list, name))?;
            if let Some(other) = seen.insert(setting.name, name) {
                return Err(Error::setting(
                    format!("{place}.{name}"),
                    format!("{other} and {name}"),
                    "one of them, for they mean the same",
                ));
            }
            let admitted = setting.range.admit(value).ok_or_else(|| {
                Error::setting(format!("{place}.{name}"), value, setting.range)
                    .with_hint(format!("the default is {}", setting.default_value()))
            })?;
            settings.insert(setting.name.to_owned(), admitted);
        }
        Ok(Settings(settings))
    }

    /// The same settings with another value, which the registry must admit for that name.
    #[must_use]
    pub fn with(&self, name: &str, value: Value) -> Settings {
        assert!(self.0.contains_key(name), "setting {name} is in the registry");
        let mut settings = self.clone();
        settings.0.insert(name.to_owned(), value);
        settings
    }

    /// Names and values, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The value of a setting, which must be on the list the settings were checked against.
    pub fn value(&self, name: &str) -> &Value {
        self.0.get(name).unwrap_or_else(|| panic!("setting {name} is in the registry"))
    }

    /// The value as a flag; asserts the type that the registry gives.
    pub fn flag(&self, name: &str) -> bool {
        matches!(self.value(name), Value::Flag(true))
    }

    /// The value as a whole number, when it is one.
    pub fn try_integer(&self, name: &str) -> Option<i64> {
        match self.value(name) {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The value as a whole number; asserts the type that the registry gives.
    pub fn integer(&self, name: &str) -> i64 {
        self.try_integer(name).unwrap_or_else(|| panic!("setting {name} is a whole number"))
    }

    /// The value as a real number, when it is a number.
    pub fn try_real(&self, name: &str) -> Option<f64> {
        match self.value(name) {
            Value::Real(number) => Some(*number),
            Value::Integer(number) => Some(*number as f64),
            _ => None,
        }
    }

    /// The value as a real number; asserts the type that the registry gives.
    pub fn real(&self, name: &str) -> f64 {
        self.try_real(name).unwrap_or_else(|| panic!("setting {name} is a number"))
    }

    /// The value as a word, when it is one.
    pub fn try_text(&self, name: &str) -> Option<&str> {
        match self.value(name) {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The value as a word; asserts the type that the registry gives.
    pub fn text(&self, name: &str) -> &str {
        self.try_text(name).unwrap_or_else(|| panic!("setting {name} is a word"))
    }

    /// The values of a list; empty when it is none.
    pub fn list(&self, name: &str) -> &[Value] {
        match self.value(name) {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The words of a list; empty when it is none. Other values are left out: the registry says that it holds words.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let text = |value: &Value| if let Value::Text(text) = value { Some(text.clone()) } else { None };
        self.list(name).iter().filter_map(text).collect()
    }
}

fn unknown(place: &str, list: &[Setting], name: &str) -> Error {
    let names = || list.iter().flat_map(|setting| std::iter::once(setting.name).chain(setting.alias.iter().copied()));
    let error = Error::setting(format!("{place}.{name}"), "an unknown key", "a key of the list");
    match nearest(name, names()) {
        Some(near) => error.with_hint(format!("did you mean {near}?")),
        None => error.with_hint(format!("known keys: {}", list.iter().map(|setting| setting.name).collect::<Vec<_>>().join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIST: &[Setting] = &[
        Setting { name: "num_leaves", alias: &["max_leaf_nodes"], default: "31", range: Range::Integer { min: 2, max: 131_072 }, doc: "" },
        Setting { name: "learning_rate", alias: &["eta"], default: "0.1", range: Range::Real { min: 0.0, max: 10.0 }, doc: "" },
        Setting {
            name: "max_features",
            alias: &[],
            default: "sqrt",
            range: Range::Any(&[
                Range::Choice(&["sqrt", "all"]),
                Range::Integer { min: 1, max: i64::MAX },
                Range::Real { min: 0.0, max: 1.0 },
            ]),
            doc: "",
        },
    ];

    fn check(given: &[(&str, &str)]) -> Result<Settings> {
        let values: Vec<(&str, Value)> = given.iter().map(|(name, text)| (*name, Value::parse(text))).collect();
        Settings::check("model", LIST, values.iter().map(|(name, value)| (*name, value)))
    }

    #[test]
    fn check_resolves_aliases_defaults_and_ranges() {
        let settings = check(&[("eta", "1"), ("max_features", "0.5")]).unwrap();
        assert_eq!((settings.integer("num_leaves"), settings.real("learning_rate")), (31, 1.0));
        assert_eq!(settings.try_real("max_features"), Some(0.5));
    }

    #[test]
    fn check_refuses_with_place_and_hint() {
        for (given, text, hint) in [
            (
                &[("num_leafs", "3")][..],
                "setting model.num_leafs: found an unknown key, wanted a key of the list",
                "did you mean num_leaves?",
            ),
            (&[("num_leaves", "1")], "setting model.num_leaves: found 1, wanted a whole number in 2..131072", "the default is 31"),
            (
                &[("num_leaves", "many")],
                "setting model.num_leaves: found \"many\", wanted a whole number in 2..131072",
                "the default is 31",
            ),
        ] {
            let error = check(given).unwrap_err();
            assert_eq!(error.to_string(), text);
            assert_eq!(crate::Fault::hint(&error).as_deref(), Some(hint));
        }
        assert!(check(&[("num_leaves", "3"), ("max_leaf_nodes", "3")]).is_err());
    }

    proptest! {
        #[test]
        fn parse_reads_what_display_writes(number in any::<i64>(), real in -1e300f64..1e300, word in "[a-z]{1,8}", flag in any::<bool>()) {
            prop_assume!(word != "true" && word != "false" && word != "inf" && word != "nan" && word != "infinity");
            for value in [Value::Integer(number), Value::Real(real), Value::Text(word), Value::Flag(flag)] {
                prop_assert_eq!(&Value::parse(&value.to_string()), &value);
                let list = Value::List(vec![value.clone(), value]);
                prop_assert_eq!(&Value::parse(&list.to_string()), &list);
            }
        }
    }
}
