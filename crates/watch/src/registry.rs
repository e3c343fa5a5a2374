//! Which models are deployed: versions of a name, aliases that say which one answers, and every decision with its reasons.
//!
//! ```text
//! deploy/
//!   registry.sqlite           versions, aliases, decisions, labels; or a PostgreSQL instead
//!   models/HASH.cupola        each version's model file, under the hash of its content
//!   NAME/decisions.jsonl      the decisions again, a line each, for people and programs
//!   NAME/log/                 the prediction log
//! ```
//!
//! From an answer back to its making: an answer names the model's hash, the hash names the version, the version keeps the recipe and the
//! hashes of data, split and program (`run.lock`), and which version it was retrained from.

use crate::store::{Durability, Row, Store, StoreAt, Transaction, Value};
use crate::{Error, Result};
use cupola_data::WholeFile;
use cupola_task::nearest;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// The alias of the version that answers.
pub const CHAMPION: &str = "champion";
/// The alias of the version that is tried beside it.
pub const CHALLENGER: &str = "challenger";

const NAME_MAX: usize = 100;
/// The store's file in the folder.
const STORE: &str = "registry.sqlite";

/// A deployed model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Version {
    /// Counted from 1 within its name.
    pub number: i64,
    /// BLAKE3 of the model file's content.
    pub hash: String,
    /// The version it was retrained from.
    pub parent: Option<i64>,
    /// `train`, or `retrain`.
    pub origin: String,
    /// The resolved recipe, as TOML.
    pub recipe: String,
    /// What is known of its making: `run.lock`, scores, the run's name.
    pub facts: Json,
    /// When it was added, in microseconds since 1970.
    pub added_us: i64,
}

/// What is said of a version when it is added.
#[derive(Clone, Debug)]
pub struct NewVersion {
    /// BLAKE3 of the model file's content.
    pub hash: String,
    /// The version it was retrained from.
    pub parent: Option<i64>,
    /// `train`, or `retrain`.
    pub origin: String,
    /// The resolved recipe, as TOML.
    pub recipe: String,
    /// What is known of its making.
    pub facts: Json,
    /// The record of which row was on which side of its split, when there is one.
    pub sides: Option<PathBuf>,
}

/// What was decided. A line of `decisions.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Ascends; the same in the store and in the file.
    pub seq: i64,
    /// When, in microseconds since 1970.
    pub at_us: i64,
    /// The model's name.
    pub name: String,
    /// `add`, `alias`, `unalias`, `promote`, `rollback`, and what the loop decides: `alarm`, `retrain`, `refuse`, ...
    pub kind: String,
    /// The alias that moved.
    pub alias: Option<String>,
    /// The version it points to now, or the version that is spoken of.
    pub number: Option<i64>,
    /// The version it pointed to before.
    pub before: Option<i64>,
    /// The reasons with their numbers.
    pub facts: Json,
}

/// A folder of deployed models and its store.
pub struct Registry {
    root: PathBuf,
    store: Store,
}

impl Registry {
    /// Opens the registry in a folder, with its own store in it unless another is named.
    ///
    /// # Errors
    /// When folder or store cannot be made or reached.
    pub fn open(root: &Path, store: Option<&StoreAt>) -> Result<Registry> {
        let store = Store::open(store.unwrap_or(&Self::store(root)), Durability::Power)?;
        Ok(Registry { root: root.to_owned(), store })
    }

    /// The store of a folder that names no other.
    pub fn store(root: &Path) -> StoreAt {
        StoreAt::File(root.join(STORE))
    }

    /// Whether a folder holds a registry of its own.
    pub fn is_in(root: &Path) -> bool {
        root.join(STORE).is_file()
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a name's decisions and its log are.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Where a version's model file lies.
    pub fn model_file(&self, version: &Version) -> PathBuf {
        self.root.join("models").join(format!("{}.cupola", version.hash))
    }

    /// Where the sides of a version's rows are recorded, when they are.
    pub fn sides_file(&self, version: &Version) -> PathBuf {
        self.root.join("models").join(format!("{}.sides.parquet", version.hash))
    }

    /// All names, in order.
    ///
    /// # Errors
    /// When the store is away.
    pub fn names(&self) -> Result<Vec<String>> {
        let rows = self.store.query("SELECT DISTINCT name FROM versions ORDER BY name", &[])?;
        Ok(rows.iter().filter_map(|row| row[0].text().map(str::to_owned)).collect())
    }

    /// A name's versions, oldest first; none for an unknown name.
    ///
    /// # Errors
    /// When the store is away.
    pub fn versions(&self, name: &str) -> Result<Vec<Version>> {
        let statement = format!("SELECT {VERSION} FROM versions WHERE name = $1 ORDER BY number");
        Ok(self.store.query(&statement, &[name.into()])?.iter().map(version).collect())
    }

    /// A name's aliases with the numbers behind them, in order.
    ///
    /// # Errors
    /// When the store is away.
    pub fn aliases(&self, name: &str) -> Result<Vec<(String, i64)>> {
        let rows = self.store.query("SELECT alias, number FROM aliases WHERE name = $1 ORDER BY alias", &[name.into()])?;
        Ok(rows.iter().filter_map(|row| Some((row[0].text()?.to_owned(), row[1].integer()?))).collect())
    }

    /// Since when an alias points where it does, in microseconds since 1970.
    ///
    /// # Errors
    /// When the store is away.
    pub fn since(&self, name: &str, alias: &str) -> Result<Option<i64>> {
        let rows = self.store.query("SELECT since_us FROM aliases WHERE name = $1 AND alias = $2", &[name.into(), alias.into()])?;
        Ok(rows.first().and_then(|row| row[0].integer()))
    }

    /// The version behind an alias or a number written as text.
    ///
    /// # Errors
    /// When the store is away.
    pub fn behind(&self, name: &str, alias: &str) -> Result<Option<Version>> {
        let rows = match alias.parse::<i64>() {
            Ok(number) => {
                let statement = format!("SELECT {VERSION} FROM versions WHERE name = $1 AND number = $2");
                self.store.query(&statement, &[name.into(), number.into()])?
            }
            Err(_) => {
                let statement = format!(
                    "SELECT {VERSION} FROM versions WHERE name = $1 AND number = (SELECT number FROM aliases WHERE name = $2 AND alias = $3)"
                );
                self.store.query(&statement, &[name.into(), name.into(), alias.into()])?
            }
        };
        Ok(rows.first().map(version))
    }

    /// The same, where there must be one.
    ///
    /// # Errors
    /// When there is none, with those that are there; when the store is away.
    pub fn find(&self, name: &str, alias: &str) -> Result<Version> {
        if let Some(version) = self.behind(name, alias)? {
            return Ok(version);
        }
        let versions = self.versions(name)?;
        if versions.is_empty() {
            let names = self.names()?;
            let hint = match nearest(name, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("`cupola registry add RUN name={name}` adds one"),
            };
            return Err(Error::refused(format!("registry {}", self.root.display()), format!("no model {name}"), "a name of the registry")
                .with_hint(hint));
        }
        let mut known: Vec<String> = self.aliases(name)?.into_iter().map(|(alias, _)| alias).collect();
        known.extend(versions.iter().map(|version| version.number.to_string()));
        Err(Error::refused(format!("model {name}"), format!("no alias or version {alias}"), known.join(", ")))
    }

    /// Adds a model file as the next version of a name. The same file again is the version that it was. The first version of a name becomes
    /// its champion.
    ///
    /// # Errors
    /// When the name is none, the file cannot be copied, or the store is away.
    pub fn add(&self, name: &str, file: &Path, new: &NewVersion, at_us: i64) -> Result<Version> {
        check_name(name)?;
        self.keep(file, &format!("{}.cupola", new.hash))?;
        if let Some(sides) = new.sides.as_ref().filter(|sides| sides.is_file()) {
            self.keep(sides, &format!("{}.sides.parquet", new.hash))?;
        }
        let (version, is_new) = self.store.transaction(|transaction| {
            let statement = format!("SELECT {VERSION} FROM versions WHERE name = $1 AND hash = $2");
            if let Some(row) = transaction.query(&statement, &[name.into(), new.hash.as_str().into()])?.first() {
                return Ok((version(row), false));
            }
            let rows = transaction.query("SELECT COALESCE(MAX(number), 0) FROM versions WHERE name = $1", &[name.into()])?;
            let number = rows[0][0].integer().unwrap_or(0) + 1;
            let added = Version {
                number,
                hash: new.hash.clone(),
                parent: new.parent,
                origin: new.origin.clone(),
                recipe: new.recipe.clone(),
                facts: new.facts.clone(),
                added_us: at_us,
            };
            insert(transaction, name, &added)?;
            decide(transaction, &Entry { name, at_us, kind: "add", alias: None, number: Some(number), before: None, facts: &Json::Null })?;
            if number == 1 {
                point(transaction, name, CHAMPION, 1, at_us)?;
                let facts = serde_json::json!({ "why": "the first version" });
                let entry = Entry { name, at_us, kind: "alias", alias: Some(CHAMPION), number: Some(1), before: None, facts: &facts };
                decide(transaction, &entry)?;
            }
            Ok((added, true))
        })?;
        if is_new {
            self.write_decisions(name)?;
        }
        Ok(version)
    }

    /// Points an alias to a version, and says why.
    ///
    /// # Errors
    /// When there is no such version, or the store is away.
    pub fn alias(&self, name: &str, alias: &str, number: i64, at_us: i64, facts: &Json) -> Result<Decision> {
        check_name(alias)?;
        self.move_alias("alias", name, alias, number, at_us, facts)
    }

    /// Takes an alias away. The champion's cannot be taken: something must answer.
    ///
    /// # Errors
    /// When it is the champion's or there is none, or the store is away.
    pub fn unalias(&self, name: &str, alias: &str, at_us: i64, facts: &Json) -> Result<Decision> {
        if alias == CHAMPION {
            return Err(Error::refused("alias", CHAMPION, "another alias").with_hint("promote another version instead"));
        }
        let decision = self.store.transaction(|transaction| {
            let before = pointed(transaction, name, alias)?;
            if before.is_none() {
                return Err(Error::refused(format!("model {name}"), format!("no alias {alias}"), "an alias"));
            }
            transaction.execute("DELETE FROM aliases WHERE name = $1 AND alias = $2", &[name.into(), alias.into()])?;
            decide(transaction, &Entry { name, at_us, kind: "unalias", alias: Some(alias), number: None, before, facts })
        })?;
        self.write_decisions(name)?;
        Ok(decision)
    }

    /// Makes a version the champion. If it was the challenger, there is none afterwards.
    ///
    /// # Errors
    /// When there is no such version, or the store is away.
    pub fn promote(&self, name: &str, number: i64, at_us: i64, facts: &Json) -> Result<Decision> {
        self.move_alias("promote", name, CHAMPION, number, at_us, facts)
    }

    /// Makes the champion what was champion before the last promotion.
    ///
    /// # Errors
    /// When there was none before, or the store is away.
    pub fn rollback(&self, name: &str, at_us: i64, facts: &Json) -> Result<Decision> {
        let Some(before) = self.before_champion(name)? else {
            self.find(name, CHAMPION)?;
            return Err(Error::refused(format!("model {name}"), "no champion before the present one", "one to go back to"));
        };
        self.move_alias("rollback", name, CHAMPION, before, at_us, facts)
    }

    /// The version that a rollback would make the champion: each promotion is undone once.
    fn before_champion(&self, name: &str) -> Result<Option<i64>> {
        let mut stack: Vec<i64> = Vec::new();
        for decision in self.decisions(name)? {
            if decision.alias.as_deref() != Some(CHAMPION) {
                continue;
            }
            match (decision.kind.as_str(), decision.number) {
                ("rollback", _) => drop(stack.pop()),
                (_, Some(number)) if stack.last() != Some(&number) => stack.push(number),
                _ => {}
            }
        }
        Ok(stack.len().checked_sub(2).map(|place| stack[place]))
    }

    fn move_alias(&self, kind: &str, name: &str, alias: &str, number: i64, at_us: i64, facts: &Json) -> Result<Decision> {
        self.find(name, &number.to_string())?;
        let decision = self.store.transaction(|transaction| {
            let before = pointed(transaction, name, alias)?;
            point(transaction, name, alias, number, at_us)?;
            if alias == CHAMPION {
                let statement = "DELETE FROM aliases WHERE name = $1 AND alias = $2 AND number = $3";
                transaction.execute(statement, &[name.into(), CHALLENGER.into(), number.into()])?;
            }
            decide(transaction, &Entry { name, at_us, kind, alias: Some(alias), number: Some(number), before, facts })
        })?;
        self.write_decisions(name)?;
        Ok(decision)
    }

    /// Notes a decision that moves no alias: an alarm, a challenger that was refused.
    ///
    /// # Errors
    /// When the store is away or the file cannot be written.
    pub fn note(&self, name: &str, kind: &str, number: Option<i64>, at_us: i64, facts: &Json) -> Result<Decision> {
        let entry = Entry { name, at_us, kind, alias: None, number, before: None, facts };
        let decision = self.store.transaction(|transaction| decide(transaction, &entry))?;
        self.write_decisions(name)?;
        Ok(decision)
    }

    /// All decisions about a name, oldest first.
    ///
    /// # Errors
    /// When the store is away.
    pub fn decisions(&self, name: &str) -> Result<Vec<Decision>> {
        let statement = "SELECT seq, at_us, name, kind, alias, number, before, facts FROM decisions WHERE name = $1 ORDER BY seq";
        Ok(self.store.query(statement, &[name.into()])?.iter().map(decision).collect())
    }

    /// Copies a file to its place beside the models, whole or not at all.
    fn keep(&self, file: &Path, name: &str) -> Result<()> {
        let place = self.root.join("models").join(name);
        if place.is_file() {
            return Ok(());
        }
        fs::create_dir_all(self.root.join("models"))
            .map_err(|source| Error::io(format!("make folder {}/models", self.root.display()), source))?;
        let bytes = fs::read(file).map_err(|source| Error::io(format!("read {}", file.display()), source))?;
        let mut whole = WholeFile::create(&place)?;
        whole.write_all(&bytes).map_err(|source| Error::io(format!("write {}", place.display()), source))?;
        Ok(whole.commit()?)
    }

    /// Appends to `decisions.jsonl` what the store knows and the file does not: also what a crash kept from it.
    fn write_decisions(&self, name: &str) -> Result<()> {
        let path = self.folder(name).join("decisions.jsonl");
        let failed = |source| Error::io(format!("write {}", path.display()), source);
        fs::create_dir_all(self.folder(name)).map_err(failed)?;
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(&path).map_err(failed)?;
        // A server and a command may decide at once; each line is to stand there once.
        file.lock().map_err(failed)?;
        let mut written = String::new();
        file.read_to_string(&mut written).map_err(failed)?;
        // A line that a crash cut short is written again below; its rest stays behind as a line of its own.
        let lines = written.lines().filter_map(|line| serde_json::from_str::<Decision>(line).ok());
        let last = lines.map(|decision| decision.seq).max().unwrap_or(0);
        let mut text = if written.is_empty() || written.ends_with('\n') { String::new() } else { "\n".to_owned() };
        for decision in self.decisions(name)?.iter().filter(|decision| decision.seq > last) {
            text += &serde_json::to_string(decision).expect("decisions are plain data");
            text.push('\n');
        }
        file.write_all(text.as_bytes()).and_then(|()| file.sync_data()).map_err(failed)
    }
}

/// Names become folders and parts of addresses.
fn check_name(name: &str) -> Result<()> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_good = (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(is_plain) && name.as_bytes()[0].is_ascii_alphanumeric();
    match is_good && name.parse::<i64>().is_err() {
        true => Ok(()),
        false => {
            Err(Error::refused("name", format!("{name:?}"), "letters, digits, -, _ and ., beginning with a letter or digit, no number"))
        }
    }
}

const VERSION: &str = "number, hash, parent, origin, recipe, facts, added_us";

fn version(row: &Row) -> Version {
    let text = |place: usize| row[place].text().unwrap_or_default();
    Version {
        number: row[0].integer().unwrap_or_default(),
        hash: text(1).to_owned(),
        parent: row[2].integer(),
        origin: text(3).to_owned(),
        recipe: text(4).to_owned(),
        facts: serde_json::from_str(text(5)).unwrap_or_default(),
        added_us: row[6].integer().unwrap_or_default(),
    }
}

fn decision(row: &Row) -> Decision {
    let text = |place: usize| row[place].text().unwrap_or_default();
    Decision {
        seq: row[0].integer().unwrap_or_default(),
        at_us: row[1].integer().unwrap_or_default(),
        name: text(2).to_owned(),
        kind: text(3).to_owned(),
        alias: row[4].text().map(str::to_owned),
        number: row[5].integer(),
        before: row[6].integer(),
        facts: serde_json::from_str(text(7)).unwrap_or_default(),
    }
}

fn insert(transaction: &mut Transaction<'_>, name: &str, version: &Version) -> Result<()> {
    let facts = version.facts.to_string();
    let values: [Value; 8] = [
        name.into(),
        version.number.into(),
        version.hash.as_str().into(),
        version.parent.into(),
        version.origin.as_str().into(),
        version.recipe.as_str().into(),
        facts.as_str().into(),
        version.added_us.into(),
    ];
    let statement =
        "INSERT INTO versions (name, number, hash, parent, origin, recipe, facts, added_us) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    transaction.execute(statement, &values).map(|_| ())
}

fn pointed(transaction: &mut Transaction<'_>, name: &str, alias: &str) -> Result<Option<i64>> {
    let rows = transaction.query("SELECT number FROM aliases WHERE name = $1 AND alias = $2", &[name.into(), alias.into()])?;
    Ok(rows.first().and_then(|row| row[0].integer()))
}

fn point(transaction: &mut Transaction<'_>, name: &str, alias: &str, number: i64, at_us: i64) -> Result<()> {
    let statement = "INSERT INTO aliases (name, alias, number, since_us) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (name, alias) DO UPDATE SET number = excluded.number, since_us = excluded.since_us";
    transaction.execute(statement, &[name.into(), alias.into(), number.into(), at_us.into()]).map(|_| ())
}

struct Entry<'a> {
    name: &'a str,
    at_us: i64,
    kind: &'a str,
    alias: Option<&'a str>,
    number: Option<i64>,
    before: Option<i64>,
    facts: &'a Json,
}

fn decide(transaction: &mut Transaction<'_>, entry: &Entry<'_>) -> Result<Decision> {
    let facts = entry.facts.to_string();
    let values: [Value; 7] = [
        entry.name.into(),
        entry.at_us.into(),
        entry.kind.into(),
        entry.alias.into(),
        entry.number.into(),
        entry.before.into(),
        facts.as_str().into(),
    ];
    let statement =
        "INSERT INTO decisions (name, at_us, kind, alias, number, before, facts) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING seq";
    let rows = transaction.query(statement, &values)?;
    Ok(Decision {
        seq: rows.first().and_then(|row| row[0].integer()).unwrap_or_default(),
        at_us: entry.at_us,
        name: entry.name.to_owned(),
        kind: entry.kind.to_owned(),
        alias: entry.alias.map(str::to_owned),
        number: entry.number,
        before: entry.before,
        facts: entry.facts.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::fixtures;
    use serde_json::json;

    fn new(hash: &str) -> NewVersion {
        NewVersion {
            hash: hash.into(),
            parent: None,
            origin: "train".into(),
            recipe: "target = \"y\"".into(),
            facts: json!({"run": "0001-a"}),
            sides: None,
        }
    }

    #[test]
    fn versions_are_added_promoted_and_rolled_back() {
        for (folder, at) in fixtures() {
            let file = folder.path().join("m.cupola");
            let registry = Registry::open(folder.path(), Some(&at)).unwrap();
            for (time, hash) in ["aa", "bb", "cc"].into_iter().enumerate() {
                fs::write(&file, hash).unwrap();
                assert_eq!(registry.add("adult", &file, &new(hash), time as i64).unwrap().number, time as i64 + 1);
            }
            assert_eq!(registry.add("adult", &file, &new("bb"), 9).unwrap().number, 2);
            assert_eq!(registry.find("adult", CHAMPION).unwrap().hash, "aa");
            registry.alias("adult", CHALLENGER, 2, 10, &Json::Null).unwrap();
            registry.promote("adult", 2, 11, &json!({"p": 0.01})).unwrap();
            assert_eq!(registry.behind("adult", CHALLENGER).unwrap(), None);
            registry.promote("adult", 3, 12, &Json::Null).unwrap();
            let champion = || registry.find("adult", CHAMPION).unwrap().number;
            let back = registry.rollback("adult", 13, &Json::Null).unwrap();
            assert_eq!((back.number, back.before, champion()), (Some(2), Some(3), 2));
            registry.rollback("adult", 14, &Json::Null).unwrap();
            assert_eq!(champion(), 1);
            assert!(registry.rollback("adult", 15, &Json::Null).unwrap_err().to_string().contains("no champion before"));
            assert_eq!(fs::read(registry.model_file(&registry.find("adult", "3").unwrap())).unwrap(), b"cc");

            let written = fs::read_to_string(registry.folder("adult").join("decisions.jsonl")).unwrap();
            let lines: Vec<Decision> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(lines, registry.decisions("adult").unwrap());
            assert_eq!(lines.len(), 9);
        }
    }

    #[test]
    fn a_line_that_a_crash_cut_short_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("m");
        fs::write(&file, "m").unwrap();
        let registry = Registry::open(folder.path(), None).unwrap();
        registry.add("a", &file, &new("aa"), 1).unwrap();
        let path = registry.folder("a").join("decisions.jsonl");
        let written = fs::read_to_string(&path).unwrap();
        fs::write(&path, &written[..written.len() - 20]).unwrap();
        registry.note("a", "alarm", Some(1), 2, &json!({"column": "age"})).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let whole = text.lines().filter_map(|line| serde_json::from_str::<Decision>(line).ok()).count();
        assert_eq!(whole, registry.decisions("a").unwrap().len());
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("m");
        fs::write(&file, "m").unwrap();
        let registry = Registry::open(folder.path(), None).unwrap();
        registry.add("adult", &file, &new("aa"), 1).unwrap();
        let found = |name: &str, alias: &str| cupola_task::Fault::hint(&registry.find(name, alias).unwrap_err());
        assert_eq!(found("adlut", CHAMPION).as_deref(), Some("did you mean adult?"));
        assert!(
            registry
                .find("adult", CHALLENGER)
                .unwrap_err()
                .to_string()
                .ends_with("found no alias or version challenger, wanted champion, 1")
        );
        for name in ["", "..", "a/b", "a b", ".a", "12", &"x".repeat(101)] {
            assert!(registry.add(name, &file, &new("aa"), 1).is_err(), "{name}");
        }
        assert!(registry.unalias("adult", CHAMPION, 2, &Json::Null).is_err());
    }
}
