//! Held against pandas (`parity/lags.py`), and what rows may look at.

use super::*;
use arrow_array::StringArray;
use serde_json::Value as Json;

/// Means and deviations are summed in another order than pandas' running sums.
const TOLERANCE: f64 = 1e-9;

fn schema() -> Schema {
    let field = |name: &str, kind: Kind, role: Role| Field { name: name.into(), kind, role };
    Schema {
        fields: vec![
            field("t", Kind::Number, Role::Input),
            field("g", Kind::Category { classes: [].into() }, Role::Input),
            field("x", Kind::Number, Role::Input),
            field("y", Kind::Number, Role::Target(cupola_task::Task::Regress)),
        ],
    }
}

fn lags(pairs: &[(&str, &str)]) -> Result<Option<Lags>> {
    let values: Vec<(&str, Value)> = pairs.iter().map(|(name, text)| (*name, Value::parse(text))).collect();
    let settings = Settings::check("data.lag", SETTINGS, values.iter().map(|(name, value)| (*name, value))).unwrap();
    Lags::open(&settings, &schema(), None)
}

fn numbers(values: Vec<Option<f64>>) -> Column {
    Column::Array(Arc::new(Float64Array::from(values)))
}

fn columns(time: Vec<Option<f64>>, group: &[&str], x: Vec<Option<f64>>) -> Columns {
    Columns::new(vec![
        ("t".into(), numbers(time)),
        ("g".into(), Column::Array(Arc::new(StringArray::from(group.to_vec())))),
        ("x".into(), numbers(x)),
    ])
}

fn applied(lags: &Lags, columns: &Columns) -> BTreeMap<String, Vec<Option<f64>>> {
    let lagged = lags.apply(columns, &Notation::default(), &|row| row.to_string()).unwrap();
    lagged.columns.into_iter().map(|(name, array)| (name.to_string(), array.as_primitive::<Float64Type>().iter().collect())).collect()
}

fn some(values: &[f64]) -> Vec<Option<f64>> {
    values.iter().map(|value| Some(*value).filter(|value| !value.is_nan())).collect()
}

#[test]
fn columns_equal_pandas() {
    let file: Json = serde_json::from_str(include_str!("../../parity/lags.json")).unwrap();
    let list = |value: &Json| value.as_array().unwrap().iter().map(Json::as_f64).collect::<Vec<Option<f64>>>();
    let mut checked = 0;
    for case in file["cases"].as_array().unwrap() {
        let groups: Vec<&str> = case["g"].as_array().unwrap().iter().map(|group| group.as_str().unwrap()).collect();
        let table = columns(list(&case["t"]), &groups, list(&case["x"]));
        let said: Vec<(&str, &str)> =
            case["settings"].as_object().unwrap().iter().map(|(name, text)| (name.as_str(), text.as_str().unwrap())).collect();
        let found = applied(&lags(&said).unwrap().unwrap(), &table);
        for (name, wanted) in case["expected"].as_object().unwrap() {
            for (row, (found, wanted)) in found[name].iter().zip(list(wanted)).enumerate() {
                let is_equal = match (found, wanted) {
                    (Some(found), Some(wanted)) => (found - wanted).abs() <= TOLERANCE,
                    (found, wanted) => found.is_none() && wanted.is_none(),
                };
                assert!(is_equal, "{name} of row {row} with {said:?}: {found:?} is not {wanted:?}");
                checked += 1;
            }
        }
        assert_eq!(found.len(), case["expected"].as_object().unwrap().len());
    }
    assert!(checked > 3000, "{checked}");
}

#[test]
fn later_rows_change_nothing() {
    let lags = lags(&[("columns", "[x]"), ("lags", "[1, 3]"), ("windows", "[2]"), ("time", "t"), ("group", "g")]).unwrap().unwrap();
    let time: Vec<f64> = (0..40).map(|row| f64::from((row * 17) % 40)).collect();
    let x: Vec<f64> = (0..40).map(|row| f64::from(row * row)).collect();
    let groups: Vec<&str> = (0..40).map(|row| ["a", "b", "c"][row % 3]).collect();
    let whole = applied(&lags, &columns(some(&time), &groups, some(&x)));
    let early: Vec<usize> = (0..40).filter(|row| time[*row] < 25.0).collect();
    let pick = |values: &[f64]| some(&early.iter().map(|row| values[*row]).collect::<Vec<_>>());
    let cut = applied(&lags, &columns(pick(&time), &early.iter().map(|row| groups[*row]).collect::<Vec<_>>(), pick(&x)));
    for (name, values) in cut {
        assert_eq!(values, early.iter().map(|row| whole[&name][*row]).collect::<Vec<_>>(), "{name}");
    }
}

#[test]
fn kept_rows_stand_before_new_ones() {
    let mut lags = lags(&[("columns", "[x]"), ("lags", "[1, 2]"), ("windows", "[2]"), ("time", "t"), ("group", "g")]).unwrap().unwrap();
    let old = columns(some(&[1.0, 2.0, 3.0, 1.0]), &["a", "a", "a", "b"], some(&[10.0, 20.0, 30.0, 7.0]));
    assert_eq!(lags.remember(&old, &Notation::default(), &|row| row.to_string()).unwrap(), 0);
    assert_eq!((lags.history.rows(), lags.history.series()), (3, 2));
    let new = columns(some(&[4.0, 5.0, 4.0, 4.0]), &["a", "a", "b", "c"], some(&[f64::NAN, 1.0, 1.0, 1.0]));
    let found = applied(&lags, &new);
    assert_eq!(found["x_lag_1"], some(&[30.0, f64::NAN, 7.0, f64::NAN]));
    assert_eq!(found["x_lag_2"], some(&[20.0, 30.0, f64::NAN, f64::NAN]));
    assert_eq!(found["x_rolling_mean_2"], some(&[25.0, f64::NAN, f64::NAN, f64::NAN]));
    // Rows that were given before stand for themselves, and what comes after them is not looked at.
    assert_eq!(applied(&lags, &old)["x_lag_1"], some(&[f64::NAN, 10.0, 20.0, f64::NAN]));
    let kept = serde_json::to_string(&lags).unwrap();
    let back: Lags = serde_json::from_str(&kept).unwrap();
    assert!(back == lags && back.is_sound());
    let lagged = lags.apply(&new, &Notation::default(), &|row| row.to_string()).unwrap();
    assert_eq!((lagged.short, lagged.tied, lagged.timeless), (2, 0, 0));
}

#[test]
fn what_cannot_be_is_refused() {
    let said = |pairs: &[(&str, &str)]| lags(pairs).map(|lags| lags.is_some());
    assert!(!said(&[("columns", "[x]"), ("time", "t")]).unwrap());
    let refused = |pairs: &[(&str, &str)]| said(pairs).unwrap_err().to_string();
    assert_eq!(refused(&[("lags", "[1]")]), "setting data.lag.time: found nothing, wanted the column that orders rows");
    assert_eq!(
        refused(&[("lags", "[1]"), ("time", "g")]),
        "setting data.lag.time: found g, a column of kind category, wanted a column of dates or numbers"
    );
    assert_eq!(
        refused(&[("lags", "[1]"), ("time", "t"), ("columns", "[z]")]),
        "setting data.lag.columns: found z, which is no column, wanted a column of the table"
    );
    let made = lags(&[("lags", "[2]"), ("time", "t")]).unwrap().unwrap();
    assert_eq!(made.described().collect::<Vec<_>>(), [("y_lag_2".into(), "y 2 rows before, by t".to_owned())]);
    let error = made.apply(&columns(vec![], &[], vec![]).select(|name| name != "t"), &Notation::default(), &|row| row.to_string());
    assert!(error.err().unwrap().to_string().starts_with("columns: found no column t"));
}
