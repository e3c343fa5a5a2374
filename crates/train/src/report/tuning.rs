//! The search for settings: its trials, what their ranks follow, and the recipe that came of it.

use super::audit::CrossValidation;
use super::html::figure;
use super::names::{plural, shown};
use super::numbers::{percent, seconds};
use super::plots::trials;
use super::report::Better;
use crate::tune::State;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

/// Trials of the page's table; `report.json` has all.
const TRIALS_MAX: usize = 25;

/// A search.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tuning {
    /// The measure that decided.
    pub measure: String,
    /// Its direction.
    pub better: Better,
    /// On what it was taken, as a phrase.
    pub judged: String,
    /// How settings were proposed.
    pub sampler: String,
    /// When trials were given up.
    pub pruner: String,
    /// What was searched, the weightiest first.
    pub parameters: Vec<TunedParameter>,
    /// Every trial, by number.
    pub trials: Vec<TunedTrial>,
    /// The search made again in folds, on its way to the target's report.
    #[serde(skip)]
    pub nested: Option<CrossValidation>,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TunedParameter {
    /// The key.
    pub name: String,
    /// Where it was searched.
    pub domain: String,
    /// The best trial's value; none where it does not exist there.
    pub value: Option<String>,
    /// The share of the variance of the trials' ranks that lies between its choices or fifths (Kruskal-Wallis epsilon squared), for the
    /// parameter alone; none where too few trials have it.
    pub importance: Option<f64>,
}

/// One trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TunedTrial {
    /// From 0.
    pub number: u64,
    /// How it ended.
    pub state: State,
    /// The measure; none unless it is complete.
    pub value: Option<f64>,
    /// How long it took.
    pub seconds: f64,
    /// Its settings, as `key=value key=value`.
    pub settings: String,
    /// Whether its settings were kept.
    pub chosen: bool,
    /// Why it failed.
    pub note: Option<String>,
}

impl Tuning {
    /// The trial that was kept.
    pub fn best(&self) -> Option<&TunedTrial> {
        self.trials.iter().find(|trial| trial.chosen)
    }

    /// `50 trials (21 given up early, 1 failed) by tpe, judged by 5-fold cross-validation on training rows`.
    pub fn phrase(&self) -> String {
        let count = |state: State| self.trials.iter().filter(|trial| trial.state == state).count();
        let odd = [(count(State::Pruned), "given up early"), (count(State::Failed), "failed")];
        let odd: Vec<String> = odd.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        let odd = if odd.is_empty() { String::new() } else { format!(" ({})", odd.join(", ")) };
        format!("{}{odd} by {}, judged by {}", plural(self.trials.len() as u64, "trial"), self.sampler, self.judged)
    }

    /// The parameters that trials' ranks follow most, with their shares.
    pub fn matters(&self, most: usize) -> Vec<String> {
        let shares = self.parameters.iter().filter_map(|parameter| Some((parameter, parameter.importance?)));
        let shares = shares.filter(|(_, share)| *share >= 0.01).take(most);
        shares.map(|(parameter, share)| format!("{} {}", shown(&parameter.name, 40), percent(share))).collect()
    }

    /// Complete trials by value, the best first, then the others by number.
    fn ranked(&self) -> Vec<&TunedTrial> {
        let mut ranked: Vec<&TunedTrial> = self.trials.iter().collect();
        let worth = |trial: &TunedTrial| match (trial.value, self.better) {
            (None, _) => f64::NEG_INFINITY,
            (Some(value), Better::Higher) => value,
            (Some(value), Better::Lower) => -value,
        };
        ranked.sort_by(|one, other| worth(other).total_cmp(&worth(one)).then(one.number.cmp(&other.number)));
        ranked
    }
}

/// The page's section.
pub(super) fn section(tuning: &Tuning) -> Markup {
    html! {
        section {
            h2 { "Search" }
            p.faint.small { (tuning.phrase()) "; pruner " (tuning.pruner) ". No test row was looked at." }
            (parameters(tuning))
            @if let Some(plot) = trials(tuning) { div.plots style="margin-top:1.5rem" { (figure(&plot)) } }
            h3 { "Best trials" }
            (trial_table(tuning))
            @if tuning.trials.len() > TRIALS_MAX { p.faint.small { "and " (tuning.trials.len() - TRIALS_MAX) " more in report.json and tune/trials.sqlite" } }
        }
    }
}

fn parameters(tuning: &Tuning) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { th { "parameter" } th { "searched" } th.n { "kept" } th.n title="share of the variance of the trials' ranks between its choices or fifths, alone" { "importance" } } }
                tbody {
                    @for parameter in &tuning.parameters {
                        tr {
                            td.name { (shown(&parameter.name, 80)) }
                            td.why { (shown(&parameter.domain, 160)) }
                            td.n { @if let Some(value) = &parameter.value { (shown(value, 60)) } }
                            td.n { @if let Some(share) = parameter.importance { (percent(share)) } }
                        }
                    }
                }
            }
        }
    }
}

fn trial_table(tuning: &Tuning) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { th.n { "trial" } th.n { (shown(&tuning.measure, 30)) } th.n { "time" } th { "settings" } } }
                tbody {
                    @for trial in tuning.ranked().into_iter().take(TRIALS_MAX) {
                        tr.main[trial.chosen] {
                            td.n { (trial.number + 1) @if trial.chosen { " (kept)" } }
                            td.n {
                                @match trial.value {
                                    Some(value) => { (format!("{value:.5}")) }
                                    None => { @if trial.state == State::Pruned { "given up" } @else { "failed" } }
                                }
                            }
                            td.n { (seconds(trial.seconds)) }
                            td.why { (shown(&trial.settings, 200)) @if let Some(note) = &trial.note { " " (shown(note, 160)) } }
                        }
                    }
                }
            }
        }
    }
}
