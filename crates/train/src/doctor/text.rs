//! A checkup as text.

use super::trial::{Checkup, Gain, Outcome, Remedy};
use crate::report::{Level, number};
use std::fmt::Write;

/// Remedies and findings that are told.
const REMEDIES_MAX: usize = 20;
const FINDINGS_MAX: usize = 12;
const SUSPECTS_MAX: usize = 5;
const WEAK_MAX: usize = 12;

/// What `cupola doctor` prints.
pub fn text(checkup: &Checkup, run: &str) -> String {
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{}", text.trim_end()).expect("a text takes a line");
    line(format!("{}  {}, target {}", checkup.run, checkup.model, checkup.target));
    line(String::new());
    line("Findings".into());
    let told: Vec<_> = checkup.findings.iter().filter(|finding| finding.level > Level::Good).collect();
    for finding in told.iter().take(FINDINGS_MAX) {
        line(format!("  {:<5} {} ({})", finding.level.word(), finding.sentence, finding.evidence));
    }
    if told.is_empty() {
        line("  good  the report finds nothing to complain of".into());
    }
    if let Some(noise) = &checkup.noise {
        let share = 100.0 * noise.count as f64 / noise.rows.max(1) as f64;
        line(format!(
            "  {:<5} {} of {} labels look wrong ({share:.1} %), by confident learning on rows the model did not learn from",
            if share > 1.0 { "look" } else { "note" },
            noise.count,
            noise.rows
        ));
        for suspect in noise.suspects.iter().take(SUSPECTS_MAX) {
            line(format!(
                "        {}: {}, the model says {} ({} for the label)",
                suspect.place,
                suspect.label,
                suspect.answer,
                number(suspect.own)
            ));
        }
    }
    if !checkup.weak.is_empty() {
        let named = checkup.weak.iter().take(WEAK_MAX).cloned().collect::<Vec<_>>().join(", ");
        let more = if checkup.weak.len() > WEAK_MAX { format!(" and {} more", checkup.weak.len() - WEAK_MAX) } else { String::new() };
        line(format!("  note  these columns say nothing that could be told from chance: {named}{more}"));
    }
    line(String::new());
    line(format!("Remedies, each measured by {}-fold cross-validation inside the training rows", checkup.folds));
    for remedy in checkup.remedies.iter().take(REMEDIES_MAX) {
        told_remedy(remedy, &mut line);
    }
    for note in &checkup.notes {
        line(format!("  {note}"));
    }
    let helping: Vec<&Remedy> = checkup.remedies.iter().filter(|remedy| remedy.outcome == Outcome::Helps).collect();
    line(String::new());
    match helping.first() {
        Some(best) => {
            line("Next".into());
            let pairs: Vec<String> = best.patch.iter().map(|patch| quoted(patch)).collect();
            line(format!("  cupola train {run}/run.toml {}", pairs.join(" ")));
        }
        None => line("Nothing that was tried is shown to help.".into()),
    }
    out
}

/// `key = value` as one word of a command line.
fn quoted(patch: &str) -> String {
    let pair = patch.replacen(" = ", "=", 1).replace(['"', '\''], "");
    if pair.chars().all(|sign| sign.is_ascii_alphanumeric() || "=._-".contains(sign)) { pair } else { format!("'{pair}'") }
}

fn told_remedy(remedy: &Remedy, line: &mut impl FnMut(String)) {
    let word = match remedy.outcome {
        Outcome::Helps => "helps",
        Outcome::Unclear => "unclear",
        Outcome::Harms => "harms",
        Outcome::NotTried => "not tried",
    };
    line(format!("  {word:<9} {} (against {})", remedy.name, remedy.against));
    if let Some(note) = &remedy.note {
        line(format!("            {note}"));
    }
    for gain in remedy.gains.iter().take(1) {
        line(format!("            {}", told_gain(gain)));
    }
    for patch in &remedy.patch {
        line(format!("            {patch}"));
    }
}

fn told_gain(gain: &Gain) -> String {
    format!(
        "{} {} to {}, better by {} ({} to {})",
        gain.measure,
        number(gain.before),
        number(gain.after),
        number(gain.gain.value),
        number(gain.gain.low),
        number(gain.gain.high)
    )
}
