//! The measures, in reading order.

use crate::{
    accuracy, average_precision, balanced_accuracy, brier, calibration_error, expected_cost, f1, kappa, log_loss, mae, mape, mcc, mse,
    precision, r2, recall, rmse, roc_auc,
};
use cupola_task::{MetricDef, Settings};

/// Every measure a recipe can name.
pub const METRICS: &[MetricDef] = &[
    accuracy::DEF,
    balanced_accuracy::DEF,
    precision::DEF,
    recall::DEF,
    f1::DEF,
    roc_auc::DEF,
    average_precision::DEF,
    log_loss::DEF,
    brier::DEF,
    calibration_error::DEF,
    expected_cost::DEF,
    mcc::DEF,
    kappa::DEF,
    mse::DEF,
    rmse::DEF,
    mae::DEF,
    mape::DEF,
    r2::DEF,
];

/// The measure of that name.
pub fn find(name: &str) -> Option<MetricDef> {
    METRICS.iter().find(|def| def.name == name).copied()
}

/// A measure with its settings.
pub type Ruler = (MetricDef, Settings);

/// A measure's settings when nothing is said.
pub fn plain(def: &MetricDef) -> Settings {
    Settings::check(def.name, def.settings, []).expect("defaults are in range")
}

/// The measure of that name, which must be one, with its plain settings.
pub fn ruler(name: &str) -> Ruler {
    let def = find(name).expect("the registry has it");
    (def, plain(&def))
}
