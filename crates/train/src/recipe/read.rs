//! Reads recipes: TOML files and `key=value` arguments, flattened into dotted paths.

use super::canonical;
use crate::{Error, Result};
use cupola_data::remote::{is_url, without_password};
use cupola_task::{Setting, Value, nearest};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Where a value comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// Seen in the data.
    Inferred,
    /// Settled by `auto`, early stopping or a time limit.
    Auto,
    /// The recipe file.
    File,
    /// The recipe's `[tiny]` table.
    Tiny,
    /// The command line.
    Flag,
}

/// A value and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// As written.
    pub value: Value,
    /// Who said it.
    pub origin: Origin,
    /// `recipe.toml:12` or `command line`.
    pub place: String,
}

/// Keys (canonical dotted paths, as segments) and what was said about them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipe {
    entries: BTreeMap<Vec<String>, Entry>,
    tiny: BTreeMap<Vec<String>, Entry>,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Default => "default",
            Origin::Inferred => "inferred",
            Origin::Auto => "auto",
            Origin::File => "file",
            Origin::Tiny => "tiny",
            Origin::Flag => "flag",
        })
    }
}

impl Recipe {
    /// Reads a recipe file.
    ///
    /// # Errors
    /// When it cannot be read, or as [`Recipe::parse`].
    pub fn open(path: &Path) -> Result<Recipe> {
        let text = std::fs::read_to_string(path).map_err(|source| {
            let found = match source.kind() {
                std::io::ErrorKind::NotFound => "found no such file, wanted a recipe".to_owned(),
                std::io::ErrorKind::InvalidData => "found bytes that are not UTF-8, wanted a recipe in TOML".to_owned(),
                _ => source.to_string(),
            };
            let error = Error::recipe(path.display(), found);
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(std::result::Result::ok);
            let recipes: Vec<String> =
                entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| name.ends_with(".toml")).collect();
            let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            match nearest(&name, recipes.iter().map(String::as_str)) {
                Some(near) if near != name => error.with_hint(format!("did you mean {}?", path.with_file_name(near).display())),
                _ => error,
            }
        })?;
        Recipe::parse(&path.display().to_string(), &text)
    }

    /// Reads the text of a recipe file; `name` is used in messages.
    ///
    /// # Errors
    /// When it is not TOML, with line and column.
    pub fn parse(name: &str, text: &str) -> Result<Recipe> {
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(0, |span| line_of(text, span.start));
            Error::recipe(format!("{name}:{line}"), format!("not valid TOML: {}", error.message().replace('\n', ", ")))
        })?;
        let mut recipe = Recipe::default();
        let mut walk = Walk { name, text, entries: Vec::new() };
        walk.table(table.get_ref(), &mut Vec::new())?;
        for (mut path, entry) in walk.entries {
            if path.first().is_some_and(|first| first == "tiny") && path.len() > 1 {
                path.remove(0);
                insert(&mut recipe.tiny, path, Entry { origin: Origin::Tiny, ..entry })?;
            } else {
                insert(&mut recipe.entries, path, entry)?;
            }
        }
        Ok(recipe)
    }

    /// Puts a `key=value` argument over what was said before.
    ///
    /// # Errors
    /// When there is no `=`, or no key before it.
    pub fn argue(&mut self, argument: &str) -> Result<()> {
        // A URL that comes too late may hold a password, and an equals sign.
        let plain = without_password(argument);
        let (key, value) = split_pair(argument).filter(|(key, _)| !key.trim().is_empty() && !is_url(argument)).ok_or_else(|| {
            Error::recipe("command line", format!("found {plain:?}, wanted key=value"))
                .with_hint("paths of data come first, then key=value pairs")
        })?;
        self.set(split_path(key.trim().trim_start_matches("--")), Value::parse(value), Origin::Flag, "command line");
        Ok(())
    }

    /// Sets a value, replacing what was said before.
    pub fn set(&mut self, path: Vec<String>, value: Value, origin: Origin, place: &str) {
        self.entries.insert(canonical(path), Entry { value: plain(value), origin, place: place.to_owned() });
    }

    /// Writes a table's keys by their own names where aliases of the list were used.
    pub fn rename(&mut self, table: &[&str], list: &[Setting]) {
        let alias = |path: &Vec<String>| {
            let (last, prefix) = path.split_last()?;
            let is_here = prefix.iter().map(String::as_str).eq(table.iter().copied());
            let setting = list.iter().filter(|_| is_here).find(|setting| setting.alias.contains(&last.as_str()))?;
            Some((path.clone(), setting.name))
        };
        for (path, name) in self.entries.keys().filter_map(alias).collect::<Vec<_>>() {
            if let Some(entry) = self.entries.remove(&path) {
                let path = path[..path.len() - 1].iter().cloned().chain([name.to_owned()]).collect();
                self.entries.insert(path, entry);
            }
        }
    }

    /// Lets the `[tiny]` table override the rest, for a quick try.
    pub fn shrink(&mut self) {
        self.entries.append(&mut self.tiny);
    }

    /// Forgets what was said about a key, and about all below it.
    pub fn remove(&mut self, path: &[&str]) {
        self.entries.retain(|known, _| !(known.len() >= path.len() && known.iter().zip(path).all(|(one, other)| one == other)));
    }

    /// What was said about a key.
    pub fn entry(&self, path: &[&str]) -> Option<&Entry> {
        self.entries.get(&owned(path))
    }

    /// Everything said, by path; the `[tiny]` table only after [`Recipe::shrink`].
    pub fn iter(&self) -> impl Iterator<Item = (&[String], &Entry)> {
        self.entries.iter().map(|(path, entry)| (path.as_slice(), entry))
    }

    /// The direct children of a table, as (last segment, entry).
    pub fn table<'a>(&'a self, prefix: &'a [&str]) -> impl Iterator<Item = (&'a str, &'a Entry)> {
        let is_below = move |path: &[String]| path.len() > prefix.len() && path.iter().zip(prefix).all(|(a, b)| a == b);
        // A table's keys stand together, behind its own name.
        let below = self.entries.range(owned(prefix)..).skip_while(move |(path, _)| path.len() == prefix.len());
        let below = below.take_while(move |(path, _)| is_below(path)).filter(|(path, _)| path.len() == prefix.len() + 1);
        below.map(|(path, entry)| (path[prefix.len()].as_str(), entry))
    }
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|&segment| segment.to_owned()).collect()
}

fn insert(entries: &mut BTreeMap<Vec<String>, Entry>, path: Vec<String>, entry: Entry) -> Result<()> {
    let path = canonical(path);
    let key = path.join(".");
    let place = entry.place.clone();
    match entries.insert(path, Entry { value: plain(entry.value), ..entry }) {
        Some(before) => Err(Error::recipe(place, format!("{key} is said twice, first at {} under another name", before.place))),
        None => Ok(()),
    }
}

/// A value as it is kept: URLs of tables have lost their passwords, so that nothing that is made of a recipe can repeat them.
fn plain(value: Value) -> Value {
    match value {
        Value::Text(text) => Value::Text(without_password(&text)),
        Value::List(items) => Value::List(items.into_iter().map(plain).collect()),
        other => other,
    }
}

/// Cuts at the first `=` that does not stand in quotes, since a column's name may hold one.
fn split_pair(argument: &str) -> Option<(&str, &str)> {
    let mut quote = None;
    let mut characters = argument.char_indices();
    while let Some((at, character)) = characters.next() {
        match (character, quote) {
            ('=', None) => return Some((&argument[..at], &argument[at + 1..])),
            ('\\', Some('"')) => drop(characters.next()),
            ('"' | '\'', None) => quote = Some(character),
            (character, Some(open)) if character == open => quote = None,
            _ => {}
        }
    }
    None
}

/// Cuts a dotted key into segments; `"a.b"` in quotes is one segment, in which a backslash lets a quote or a backslash stand.
pub fn split_path(key: &str) -> Vec<String> {
    let mut segments = vec![String::new()];
    let mut quote = None;
    let mut characters = key.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', Some('"')) => segments.last_mut().expect("there is always a segment").extend(characters.next()),
            ('"' | '\'', None) => quote = Some(character),
            (character, Some(open)) if character == open => quote = None,
            ('.', None) => segments.push(String::new()),
            (character, _) => segments.last_mut().expect("there is always a segment").push(character),
        }
    }
    segments
}

struct Walk<'a> {
    name: &'a str,
    text: &'a str,
    entries: Vec<(Vec<String>, Entry)>,
}

impl Walk<'_> {
    fn table(&mut self, table: &DeTable<'_>, path: &mut Vec<String>) -> Result<()> {
        for (key, value) in table {
            path.push(key.get_ref().to_string());
            match value.get_ref() {
                DeValue::Table(inner) => self.table(inner, path)?,
                other => {
                    let place = format!("{}:{}", self.name, line_of(self.text, key.span().start));
                    let value = scalar(other).map_err(|message| Error::recipe(&place, format!("{}: {message}", path.join("."))))?;
                    self.entries.push((path.clone(), Entry { value, origin: Origin::File, place }));
                }
            }
            path.pop();
        }
        Ok(())
    }
}

fn scalar(value: &DeValue<'_>) -> std::result::Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Integer(number) => Value::Integer(
            i64::from_str_radix(number.as_str(), number.radix()).map_err(|_| format!("{} is too large a whole number", number.as_str()))?,
        ),
        DeValue::Float(number) => Value::Real(number.as_str().parse().map_err(|_| format!("{} is not a number", number.as_str()))?),
        DeValue::Datetime(date) => Value::Text(date.to_string()),
        DeValue::Array(items) => Value::List(items.iter().map(Spanned::get_ref).map(scalar).collect::<std::result::Result<_, _>>()?),
        DeValue::Table(_) => return Err("found a table in a list, wanted values".into()),
    })
}

fn line_of(text: &str, byte: usize) -> usize {
    text.as_bytes()[..byte.min(text.len())].iter().filter(|&&byte| byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_flattens_tables_and_remembers_lines() {
        let recipe =
            Recipe::parse("r.toml", "target = 'y'\nmodel = \"gbdt\"\n[inputs.\"a.b\"]\ntype = \"number\"\n[tiny]\ndata.train = 't.csv'\n")
                .unwrap();
        let entry = recipe.entry(&["inputs", "a.b", "type"]).unwrap();
        assert_eq!((entry.value.clone(), entry.place.as_str()), (Value::Text("number".into()), "r.toml:4"));
        assert_eq!(recipe.entry(&["model", "name"]).unwrap().value, Value::Text("gbdt".into()));
        assert!(recipe.entry(&["data", "train"]).is_none());
        let mut tiny = recipe;
        tiny.shrink();
        assert_eq!(tiny.entry(&["data", "train"]).unwrap().origin, Origin::Tiny);
    }

    #[test]
    fn arguments_override_files() {
        let mut recipe = Recipe::parse("r.toml", "seed = 1\n[data.clean]\nleaks = 'warn'\n").unwrap();
        for argument in ["train.seed=2", "--leaks=off", "inputs.\"a.b\".type=text", "inputs.'b = c'.type=id", r#"inputs."d\"e\\".type=id"#]
        {
            recipe.argue(argument).unwrap();
        }
        assert_eq!(recipe.entry(&["seed"]).unwrap().value, Value::Integer(2));
        assert_eq!(recipe.entry(&["data", "clean", "leaks"]).unwrap().origin, Origin::Flag);
        assert!(recipe.entry(&["inputs", "a.b", "type"]).is_some());
        assert!(recipe.entry(&["inputs", "b = c", "type"]).is_some());
        assert!(recipe.entry(&["inputs", "d\"e\\", "type"]).is_some());
        assert_eq!(recipe.argue("oops").unwrap_err().to_string(), "command line: found \"oops\", wanted key=value");
    }

    #[test]
    fn faults_name_their_line() {
        for (text, wanted) in [
            ("a = 1\nb = = 2\n", "r.toml:2: not valid TOML"),
            ("seed = 1\n[train]\nseed = 2\n", "r.toml:3: seed is said twice, first at r.toml:1 under another name"),
            ("a = [{b = 1}]\n", "r.toml:1: a: found a table in a list, wanted values"),
        ] {
            let text = Recipe::parse("r.toml", text).unwrap_err().to_string();
            assert!(text.starts_with(wanted), "{text}");
        }
    }
}
