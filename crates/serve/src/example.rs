//! A row to show and to begin with: medians and commonest classes of the golden rows, never one of them, for they may be about somebody.

use arrow_array::{Array, Float64Array, StringArray};
use cupola_task::{Column, Kind};
use cupola_train::Artifact;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A value for each input; null where none can be told without telling about somebody.
pub(crate) fn row(artifact: &Artifact) -> Map<String, Value> {
    let golden = |name: &str| artifact.golden().get(name).and_then(Column::array);
    let value = |name: &str, kind: &Kind| match kind {
        Kind::Number => golden(name).and_then(|array| median(array.as_any().downcast_ref()?)).unwrap_or_default().into(),
        Kind::Category { classes } => {
            let common = golden(name).and_then(|array| commonest(array.as_any().downcast_ref()?));
            common.or_else(|| classes.first().map(|class| class.to_string())).map_or(Value::Null, Value::from)
        }
        Kind::Image { .. } => crate::pictures::example().into(),
        _ => Value::Null,
    };
    artifact.raw().inputs().map(|field| (field.name.to_string(), value(&field.name, &field.kind))).collect()
}

fn median(numbers: &Float64Array) -> Option<f64> {
    let mut known: Vec<f64> = numbers.iter().flatten().filter(|number| number.is_finite()).collect();
    known.sort_by(f64::total_cmp);
    known.get(known.len() / 2).copied()
}

fn commonest(texts: &StringArray) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    texts.iter().flatten().for_each(|text| *counts.entry(text).or_default() += 1);
    counts.into_iter().max_by_key(|(text, count)| (*count, std::cmp::Reverse(*text))).map(|(text, _)| text.to_owned())
}
