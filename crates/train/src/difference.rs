//! How the columns of two versions of a table differ in their distribution, by the statistics that deployed models are watched with.

use crate::Result;
use cupola_data::{Notation, Raw, Wanted, conform, infer};
use cupola_task::{Columns, Field, Predictions, Role, Schema};
use cupola_watch::{Content, Keep, Reference, Window, drift};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How far a column moved.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Moved {
    /// The column.
    pub column: Arc<str>,
    /// The statistic: `ks` of numbers and dates, `chi2` of categories.
    pub statistic: &'static str,
    /// How far: the largest difference of shares, or Cohen's w.
    pub effect: f64,
    /// The chance of such a difference when both are samples of one.
    pub p: f64,
    /// Whether the effect is beyond what is taken for drift, and chance does not explain it.
    pub is_drift: bool,
}

/// A p-value below which chance does not explain a difference; it is shared among the columns (Bonferroni).
const LEVEL: f64 = 0.01;

/// How far each column of both tables moved, the farthest first. A column that is of another type in the second is left out, as are texts.
///
/// # Errors
/// When a table cannot be counted.
pub fn moved(first: &Raw, second: &Raw) -> Result<Vec<Moved>> {
    let names: Vec<Arc<str>> =
        first.columns.iter().filter(|(name, _)| second.columns.get(name).is_some()).map(|(name, _)| name.clone()).collect();
    let mut all: Vec<Moved> =
        names.iter().map(|name| one(first, second, name)).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    let columns = all.len().max(1) as f64;
    all.iter_mut().for_each(|moved| moved.is_drift &= moved.p < LEVEL / columns);
    all.sort_by(|a, b| b.effect.total_cmp(&a.effect).then_with(|| a.column.cmp(&b.column)));
    Ok(all)
}

fn one(first: &Raw, second: &Raw, name: &Arc<str>) -> Result<Option<Moved>> {
    let pick = |raw: &Raw| raw.columns.select(|known| *known == **name);
    let columns = pick(first);
    // What is of no clear type has no distribution to compare.
    let Ok(inferred) = infer(&columns, &BTreeMap::new(), &[], &|row| first.place(row)) else { return Ok(None) };
    let Some(column) = inferred.into_iter().next().filter(|column| column.role == Role::Input) else { return Ok(None) };
    let (schema, notation) = cupola_data::schema(&[column]);
    let Some(content) = schema.inputs().next().and_then(|field: &Field| Content::of(&field.kind)) else { return Ok(None) };
    let Some((own, other)) = typed(first, &columns, &schema, &notation).zip(typed(second, &pick(second), &schema, &notation)) else {
        return Ok(None);
    };
    let reference = Reference::new(&schema, &own, None, Keep::Counts)?;
    let mut window = Window::new(&reference);
    window.push(&reference, &vec![0; other.rows()], &other, &Predictions(vec![]))?;
    let def = drift::DriftDef::auto(content);
    let moved = reference.columns.first().zip(window.columns.first());
    let moved = moved.and_then(|(column, window)| drift::column(&def, column, &window.tallies));
    Ok(moved.map(|moved| Moved {
        column: name.clone(),
        statistic: def.name,
        effect: moved.effect,
        p: moved.p.unwrap_or(1.0),
        is_drift: moved.effect >= def.threshold,
    }))
}

fn typed(raw: &Raw, columns: &Columns, schema: &Schema, notation: &Notation) -> Option<Columns> {
    conform(columns, schema, notation, &|row| raw.place(row), Wanted::All).ok().map(|conformed| conformed.columns)
}
