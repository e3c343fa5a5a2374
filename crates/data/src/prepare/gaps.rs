//! Numbers of which some are missing, in JSON, which has no word for NaN: null stands for it.

use serde::{Deserialize, Deserializer, Serializer};

/// Writes NaN as null.
pub(crate) fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(values.iter().map(|value| (!value.is_nan()).then_some(value)))
}

/// Reads null as NaN.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
    let values = Vec::<Option<f64>>::deserialize(deserializer)?;
    Ok(values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
}
