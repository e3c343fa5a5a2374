//! The statistics, in reading order.

use crate::axis::{Axis, Tally};
use crate::content::Content;
use crate::drift::{chi2, domain_classifier, jensen_shannon, ks, psi, wasserstein};
use crate::reference::{ColumnReference, Reference};
use crate::window::Window;
use serde::{Deserialize, Serialize};

/// Every statistic a recipe can name.
pub const DRIFTS: &[DriftDef] = &[ks::DEF, chi2::DEF, psi::DEF, wasserstein::DEF, jensen_shannon::DEF, domain_classifier::DEF];

/// A statistic's entry in the registry.
#[derive(Clone, Copy, Debug)]
pub struct DriftDef {
    /// Its name in recipes and reports.
    pub name: &'static str,
    /// One sentence, with the formula's source.
    pub doc: &'static str,
    /// What the effect is called.
    pub effect: &'static str,
    /// The smallest effect that is drift, when nothing else is said.
    pub threshold: f64,
    /// The statistic itself.
    pub test: Test,
}

/// What a statistic looks at.
#[derive(Clone, Copy, Debug)]
pub enum Test {
    /// Numbers on an axis: reference and window.
    Numbers(fn(&Axis, &Tally, &Tally) -> Moved),
    /// Names on an axis.
    Names(fn(&Axis, &Tally, &Tally) -> Moved),
    /// Either.
    Both(fn(&Axis, &Tally, &Tally) -> Moved),
    /// Whole rows; none when there are no rows to compare.
    Rows(fn(&Reference, &Window) -> Option<Moved>),
}

/// How far a window lies from the reference.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Moved {
    /// The statistic.
    pub statistic: f64,
    /// What is held against the threshold; for most statistics they themselves.
    pub effect: f64,
    /// The chance of such a window when nothing changed.
    pub p: Option<f64>,
}

impl Moved {
    /// A statistic that is its own effect.
    pub(crate) fn by(statistic: f64, p: f64) -> Moved {
        Moved { statistic, effect: statistic, p: Some(p.clamp(0.0, 1.0)) }
    }

    /// Nothing moved, or there is nothing that could have.
    pub(crate) const NONE: Moved = Moved { statistic: 0.0, effect: 0.0, p: Some(1.0) };
}

/// The statistic of that name.
pub fn find(name: &str) -> Option<DriftDef> {
    DRIFTS.iter().find(|def| def.name == name).copied()
}

impl DriftDef {
    /// The statistic `auto` takes for a column: Kolmogorov-Smirnov of numbers, chi-squared of names.
    pub fn auto(content: Content) -> DriftDef {
        if content == Content::Category { chi2::DEF } else { ks::DEF }
    }

    /// Whether it can measure such a column.
    pub fn suits(&self, content: Content) -> bool {
        match self.test {
            Test::Numbers(_) => content != Content::Category,
            Test::Names(_) => content == Content::Category,
            Test::Both(_) => true,
            Test::Rows(_) => false,
        }
    }
}

/// How far a window's column lies from the reference's; none where either has no value, or the statistic does not suit it. Of an embedding's
/// numbers the one that moved most counts, its p-value times their number (Bonferroni).
pub fn column(def: &DriftDef, reference: &ColumnReference, window: &[Tally]) -> Option<Moved> {
    if !def.suits(reference.content) {
        return None;
    }
    let (Test::Numbers(test) | Test::Names(test) | Test::Both(test)) = def.test else { return None };
    let pairs = reference.axes.iter().zip(reference.tallies.iter().zip(window));
    let has_values = |(_, (own, other)): &(&Axis, (&Tally, &Tally))| own.values() > 0 && other.values() > 0;
    let moved: Vec<Moved> = pairs.filter(has_values).map(|(axis, (own, other))| test(axis, own, other)).collect();
    let axes = moved.len() as f64;
    let farthest = moved.iter().copied().max_by(|a, b| a.effect.total_cmp(&b.effect))?;
    let p = moved.iter().filter_map(|moved| moved.p).min_by(f64::total_cmp).map(|p| (p * axes).min(1.0));
    Some(Moved { p, ..farthest })
}
