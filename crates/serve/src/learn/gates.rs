//! What a challenger must show before it answers anybody.

use super::backtest::Comparison;
use cupola_watch::policy::Policy;
use serde::Serialize;

/// A condition, and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Gate {
    /// `better`, `anchor`, `slices`, `attain`, `latency`.
    pub name: &'static str,
    /// Whether it is open.
    pub holds: bool,
    /// A sentence with its numbers.
    pub says: String,
}

/// Holds a comparison on the newest rows, and one on the test rows of the champion's training, against the policy. `skill_then` is the skill that the
/// champion showed in training.
pub fn gates(policy: &Policy, now: &Comparison, anchor: Option<&Comparison>, skill_then: Option<f64>) -> Vec<Gate> {
    let mut gates = vec![better(now)];
    gates.extend(anchor.map(|anchor| anchored(policy, anchor)));
    gates.push(sliced(policy, now));
    gates.extend(skill_then.map(|then| attained(policy, now, then)));
    gates.push(quick(policy, now));
    gates
}

/// The main measure is better beyond chance.
fn better(now: &Comparison) -> Gate {
    let main = &now.measures[0];
    let [difference, low, high] = main.difference;
    let holds = if main.is_score { low > 0.0 } else { high < 0.0 };
    let says = format!(
        "{} on {} newest rows: {:.4} against {:.4}, difference {difference:+.4} ({low:+.4} to {high:+.4})",
        main.name, now.rows, main.challenger[0], main.champion[0]
    );
    Gate { name: "better", holds, says }
}

/// What was learned in training is not forgotten.
fn anchored(policy: &Policy, anchor: &Comparison) -> Gate {
    let main = &anchor.measures[0];
    let [difference, low, high] = main.difference;
    let allowed = policy.anchor_drop * main.champion[0].abs();
    // Not surely worse than allowed: the kind end of the interval decides.
    let holds = if main.is_score { high >= -allowed } else { low <= allowed };
    let says = format!(
        "{} on {} test rows of the champion's training: {:.4} against {:.4}, difference {difference:+.4}, allowed is a loss of {allowed:.4}",
        main.name, anchor.rows, main.challenger[0], main.champion[0]
    );
    Gate { name: "anchor", holds, says }
}

/// No slice is surely worse than allowed.
fn sliced(policy: &Policy, now: &Comparison) -> Gate {
    let worse = |slice: &&super::SliceOf| {
        let [_, low, high] = slice.compared.difference;
        match slice.compared.is_score {
            true => high < -policy.slice_drop,
            false => low > policy.slice_drop * slice.compared.champion[0].abs(),
        }
    };
    let found = now.slices.iter().find(worse);
    let says = match found.or(now.slices.first()) {
        None => "no slice has enough rows to be looked at".to_owned(),
        Some(slice) => {
            let verdict = if found.is_some() { "worse than allowed" } else { "the worst, and not surely worse than allowed" };
            let [difference, low, high] = slice.compared.difference;
            format!(
                "{} of {} slices: {} ({} rows) {} {:.4} against {:.4}, difference {difference:+.4} ({low:+.4} to {high:+.4}): {verdict}",
                now.slices.iter().filter(|slice| worse(slice)).count(),
                now.slices.len(),
                slice.name,
                slice.rows,
                slice.compared.name,
                slice.compared.challenger[0],
                slice.compared.champion[0]
            )
        }
    };
    Gate { name: "slices", holds: found.is_none(), says }
}

/// Labels can be learned: where even a challenger of these rows is far from what was once possible, the labels may be wrong.
fn attained(policy: &Policy, now: &Comparison, then: f64) -> Gate {
    let wanted = policy.attain * then;
    let says = format!("skill on the newest rows {:.3}, in the champion's training {then:.3}, wanted at least {wanted:.3}", now.skill[1]);
    let holds = now.skill[1] >= wanted;
    let says = if holds { says } else { format!("{says}: the labels may be noise, or the task has become another") };
    Gate { name: "attain", holds, says }
}

fn quick(policy: &Policy, now: &Comparison) -> Gate {
    let (champion, challenger) = (now.latency.champion[0].max(1.0), now.latency.challenger[0]);
    let holds = challenger <= policy.latency_ratio * champion;
    let says = format!("one row takes {challenger:.0} us against {champion:.0} us, allowed is {} times that", policy.latency_ratio);
    Gate { name: "latency", holds, says }
}
