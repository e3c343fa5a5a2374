//! Trials on disk: `tune/trials.sqlite` in the run folder. A trial is there as a whole or not at all, and a kill at any moment leaves
//! those that were finished.

use super::space::{Space, State, Trial};
use crate::{Error, Result};
use rusqlite::{Connection, OptionalExtension, params};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The version of the tables.
const VERSION: &str = "1";

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS study (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS trials (number INTEGER PRIMARY KEY, state TEXT NOT NULL, value REAL, seconds REAL NOT NULL, note TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS params (trial INTEGER NOT NULL, name TEXT NOT NULL, number REAL NOT NULL, value TEXT NOT NULL, PRIMARY KEY (trial, name));
    CREATE TABLE IF NOT EXISTS steps (trial INTEGER NOT NULL, step INTEGER NOT NULL, loss REAL, PRIMARY KEY (trial, step));
";

/// What must be the same for trials to be compared.
pub(super) struct Study<'a> {
    pub space: &'a Space,
    pub measure: &'a str,
    pub is_score: bool,
    pub seed: u64,
}

/// The trials of a run.
pub(super) struct Store<'a> {
    connection: Connection,
    path: PathBuf,
    study: Study<'a>,
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join("tune").join("trials.sqlite")
}

/// Whether a run folder is that of a search.
pub(crate) fn is_study(folder: &Path) -> bool {
    path_in(folder).is_file()
}

/// Whether no process is at the search of a folder.
pub(super) fn is_free(folder: &Path) -> bool {
    connect(&path_in(folder)).is_ok()
}

/// Makes the store of a new run, so that the folder is known as a search from its first moment.
///
/// # Errors
/// When it cannot be written.
pub(super) fn create(folder: &Path) -> Result<()> {
    let path = path_in(folder);
    std::fs::create_dir_all(folder.join("tune")).map_err(|source| Error::io(format!("make folder {}", path.display()), source))?;
    connect(&path).map(drop)
}

fn connect(path: &Path) -> Result<Connection> {
    let open = || {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.busy_timeout(Duration::ZERO)?;
        // The file is this process's own until it ends, however it ends.
        connection.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
        connection.execute_batch("BEGIN EXCLUSIVE; COMMIT")?;
        connection.execute_batch(SCHEMA)?;
        Ok(connection)
    };
    open().map_err(|error: rusqlite::Error| refused(path, &error))
}

fn refused(path: &Path, error: &rusqlite::Error) -> Error {
    if matches!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)) {
        let text = format!("{} is held by another process", path.display());
        return Error::Runs(
            text,
            Some("wait for the search that is going on there, or begin another under a name of its own: name=NAME".into()),
        );
    }
    Error::artifact(path.display(), error, "a database of trials")
}

impl<'a> Store<'a> {
    /// Opens the store of a run, and holds what it is of against what is searched now.
    ///
    /// # Errors
    /// When it cannot be read or written, or is of another search.
    pub fn open(folder: &Path, study: Study<'a>) -> Result<Store<'a>> {
        let path = path_in(folder);
        let store = Store { connection: connect(&path)?, path, study };
        let facts = [
            ("version", VERSION.to_owned()),
            ("measure", store.study.measure.to_owned()),
            ("seed", store.study.seed.to_string()),
            ("space", store.study.space.text()),
        ];
        for (key, now) in facts {
            let known: Option<String> = store
                .ask(|connection| connection.query_row("SELECT value FROM study WHERE key = ?1", [key], |row| row.get(0)).optional())?;
            match known {
                None => drop(store.ask(|connection| connection.execute("INSERT INTO study VALUES (?1, ?2)", [key, &now]))?),
                Some(known) if known == now => {}
                Some(_) => {
                    let text = format!("trials of another {key}");
                    return Err(Error::artifact(store.path.display(), text, "those of this search").with_hint("tune anew"));
                }
            }
        }
        Ok(store)
    }

    fn ask<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T> {
        work(&self.connection).map_err(|error| refused(&self.path, &error))
    }

    /// What makes small what is good, and back.
    fn turned(&self, value: f64) -> f64 {
        if self.study.is_score { -value } else { value }
    }

    /// Keeps a finished trial.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn add(&mut self, trial: &Trial) -> Result<()> {
        let number = trial.number as i64;
        let state = match trial.state {
            State::Complete => "complete",
            State::Pruned => "pruned",
            State::Failed => "failed",
        };
        let (value, space) = (self.turned(trial.loss), self.study.space);
        let write = |connection: &mut Connection| {
            let transaction = connection.transaction()?;
            transaction
                .execute("INSERT INTO trials VALUES (?1, ?2, ?3, ?4, ?5)", params![number, state, value, trial.seconds, trial.note])?;
            for (parameter, number_of) in space.parameters.iter().zip(&trial.point) {
                let Some(value) = number_of else { continue };
                let said = parameter.domain.value(*value).to_string();
                transaction.execute("INSERT INTO params VALUES (?1, ?2, ?3, ?4)", params![number, parameter.name, value, said])?;
            }
            for (step, loss) in &trial.steps {
                transaction.execute("INSERT INTO steps VALUES (?1, ?2, ?3)", params![number, *step as i64, loss])?;
            }
            transaction.commit()
        };
        write(&mut self.connection).map_err(|error| refused(&self.path, &error))
    }

    /// All trials, by number.
    ///
    /// # Errors
    /// When the database is damaged.
    pub fn trials(&self) -> Result<Vec<Trial>> {
        let mut trials: Vec<Trial> = self.ask(|connection| {
            let mut statement = connection.prepare("SELECT number, state, value, seconds, note FROM trials ORDER BY number")?;
            let rows = statement.query_map([], |row| {
                let state: String = row.get(1)?;
                let value: Option<f64> = row.get(2)?;
                Ok(Trial {
                    number: row.get::<_, i64>(0)?.unsigned_abs(),
                    state: match state.as_str() {
                        "complete" => State::Complete,
                        "pruned" => State::Pruned,
                        _ => State::Failed,
                    },
                    point: vec![None; self.study.space.parameters.len()],
                    loss: value.map_or(f64::NAN, |value| self.turned(value)),
                    steps: vec![],
                    seconds: row.get(3)?,
                    note: row.get(4)?,
                })
            })?;
            rows.collect()
        })?;
        for trial in &mut trials {
            let number = trial.number as i64;
            let values: Vec<(String, f64)> = self.ask(|connection| {
                let mut statement = connection.prepare_cached("SELECT name, number FROM params WHERE trial = ?1")?;
                statement.query_map([number], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
            })?;
            for (parameter, value) in self.study.space.parameters.iter().zip(&mut trial.point) {
                *value = values.iter().find(|(name, _)| *name == parameter.name).map(|(_, number)| *number);
            }
            trial.steps = self.ask(|connection| {
                let mut statement = connection.prepare_cached("SELECT step, loss FROM steps WHERE trial = ?1 ORDER BY step")?;
                let step =
                    |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get::<_, Option<f64>>(1)?.unwrap_or(f64::NAN)));
                statement.query_map([number], step)?.collect()
            })?;
        }
        match trials.iter().enumerate().find(|(place, trial)| *place as u64 != trial.number) {
            Some((place, _)) => Err(Error::artifact(self.path.display(), format!("no trial {place}"), "every trial up to the last one")),
            None => Ok(trials),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::space::{Domain, Parameter};
    use super::*;

    #[test]
    fn trials_come_back_to_the_last_bit_and_another_search_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        create(folder.path()).unwrap();
        let space = Space { parameters: vec![Parameter::new("rate", Domain::log(0.001, 1.0)), Parameter::new("kind", Domain::choice(3))] };
        let study = |seed| Study { space: &space, measure: "roc_auc", is_score: true, seed };
        let trial = |number: u64, state, loss: f64| Trial {
            number,
            state,
            point: vec![Some(0.1 + 0.2), None],
            loss,
            steps: vec![(9, 1.0 / 3.0), (1_000_000, -0.7)],
            seconds: 0.25,
            note: "a \"note\"".into(),
        };
        let trials = [trial(0, State::Complete, -0.1 - 0.2), trial(1, State::Pruned, f64::NAN)];
        let mut store = Store::open(folder.path(), study(7)).unwrap();
        trials.iter().for_each(|trial| store.add(trial).unwrap());
        assert!(store.add(&trials[0]).is_err(), "a number is taken once");
        assert!(!is_free(folder.path()));
        assert!(Store::open(folder.path(), study(7)).err().unwrap().to_string().contains("held by another process"));
        drop(store);
        assert!(is_free(folder.path()));
        let again = Store::open(folder.path(), study(7)).unwrap().trials().unwrap();
        assert_eq!(again[0], trials[0]);
        assert_eq!((again[1].state, again[1].loss.is_nan()), (State::Pruned, true));
        assert!(Store::open(folder.path(), study(8)).is_err());
        assert!(is_study(folder.path()));
        std::fs::write(path_in(folder.path()), "no database").unwrap();
        assert!(Store::open(folder.path(), study(7)).is_err());
    }
}
