//! What an optimiser does to which entry: its rule, its decay, its share of the rate and its places in the state.

use super::rules::Rule;
use super::settings::{betas, number};
use crate::layout::{Entry, Layout, Role};
use cupola_kernels::optimizer::Rule as Elementwise;
use cupola_task::{Result, Settings};
use std::collections::BTreeSet;
use std::ops::Range;

/// One trained entry.
#[derive(Clone, Debug)]
pub(super) struct Group {
    /// Its number in the layout.
    pub place: usize,
    /// Its numbers in the arena.
    pub range: Range<usize>,
    /// What is done to it.
    pub rule: Rule,
    /// Weight decay, 0 for none.
    pub decay: f64,
    /// Its rate as a share of the schedule's.
    pub factor: f64,
    /// Its places in the first state.
    pub first: Range<usize>,
    /// Its places in the second state, empty where the rule has none.
    pub second: Range<usize>,
}

/// The names of an optimiser's first and second state, as PyTorch names them; empty where there is none.
pub(super) fn names(optimizer: &str) -> [&'static str; 2] {
    match optimizer {
        "sgd" => ["momentum_buffer", ""],
        "lion" => ["exp_avg", ""],
        "rmsprop" => ["square_avg", "momentum_buffer"],
        _ => ["exp_avg", "exp_avg_sq"],
    }
}

/// All trained entries, with the lengths of the first and the second state.
pub(super) fn groups(settings: &Settings, layout: &Layout) -> Result<(Vec<Group>, [usize; 2])> {
    let optimizer = settings.text("optimizer");
    let all = settings.flag("decay_all");
    let decay = number(settings, "weight_decay").unwrap_or(if matches!(optimizer, "adamw" | "lion" | "muon") { 0.01 } else { 0.0 });
    let plain = rule(settings)?;
    let levels = levels(layout);
    let (mut groups, mut lengths) = (Vec::new(), [0, 0]);
    for (place, entry) in layout.entries().iter().enumerate().filter(|(_, entry)| entry.role == Role::Trained) {
        let is_matrix = optimizer == "muon" && goes_to_muon(entry, layout, &levels);
        let (rule, share) = match optimizer {
            "muon" if is_matrix => (muon(settings, entry), 1.0),
            "muon" => (plain, settings.real("muon_adamw")),
            _ => (plain, 1.0),
        };
        let above = levels.range(entry.layer + 1..).count() as i32;
        let taken = rule.states().map(|has| if has { entry.len() } else { 0 });
        groups.push(Group {
            place,
            range: entry.range(),
            rule,
            decay: if all || entry.decays { decay } else { 0.0 },
            factor: share * settings.real("layer_decay").powi(above),
            first: lengths[0]..lengths[0] + taken[0],
            second: lengths[1]..lengths[1] + taken[1],
        });
        lengths = [lengths[0] + taken[0], lengths[1] + taken[1]];
    }
    Ok((groups, lengths))
}

/// Layers with a matrix or kernel. What has none, a norm or an activation, is no level of its own, nor are embeddings: all lie below the first.
fn levels(layout: &Layout) -> BTreeSet<usize> {
    layout.entries().iter().filter(|entry| entry.decays && !is_embedding(entry, layout)).map(|entry| entry.layer).collect()
}

fn is_embedding(entry: &Entry, layout: &Layout) -> bool {
    layout.layers().get(entry.layer).is_some_and(|layer| layer.kind.starts_with("embedding"))
}

/// The first and the last layer, embeddings, biases and norms are not for Muon (Jordan et al. 2024).
fn goes_to_muon(entry: &Entry, layout: &Layout, levels: &BTreeSet<usize>) -> bool {
    let is_outer = Some(&entry.layer) == levels.first() || Some(&entry.layer) == levels.last();
    entry.decays && entry.shape.len() > 1 && !is_outer && !is_embedding(entry, layout)
}

/// Kernels are taken as matrices, one row for each output channel.
fn muon(settings: &Settings, entry: &Entry) -> Rule {
    let rows = entry.shape[0];
    Rule::Muon {
        momentum: number(settings, "momentum").unwrap_or(0.95),
        nesterov: settings.flag("nesterov"),
        rows,
        columns: entry.len() / rows.max(1),
    }
}

fn rule(settings: &Settings) -> Result<Rule> {
    let eps = settings.real("eps");
    Ok(Rule::Elementwise(match settings.text("optimizer") {
        "sgd" => Elementwise::Sgd { momentum: number(settings, "momentum").unwrap_or(0.9), nesterov: settings.flag("nesterov") },
        "rmsprop" => Elementwise::RmsProp { alpha: settings.real("alpha"), eps, momentum: number(settings, "momentum").unwrap_or(0.0) },
        "lion" => Elementwise::Lion { betas: betas(settings, [0.9, 0.99])? },
        "adam" => Elementwise::Adam { betas: betas(settings, [0.9, 0.999])?, eps, is_decoupled: false },
        "muon" => Elementwise::Adam { betas: betas(settings, [0.9, 0.95])?, eps, is_decoupled: true },
        _ => Elementwise::Adam { betas: betas(settings, [0.9, 0.999])?, eps, is_decoupled: true },
    }))
}
