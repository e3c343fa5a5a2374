//! Plain sentences from numbers: is the model any good, and what to do about it.
//!
//! A claim is made only where an interval supports it; otherwise the sentence says that it is not known. Every remark
//! carries its numbers, so that a reader can disagree.

use super::balance::Unbalanced;
use super::names::{plural, shown};
use super::numbers::{count, decimals, fixed, interval, percent, plain, signed, signed_interval, wilson, with_interval};
use super::remarks;
use super::report::{Better, Bin, Finding, Measure, Report, Score, Severity, TargetReport};
use serde::{Deserialize, Serialize};

/// From good news to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Good,
    /// Good to know.
    Note,
    /// Needs a look.
    Warn,
    /// The model should not be used as it is.
    Bad,
}

/// What a remark is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// Against the baseline.
    Baseline,
    /// Rows that know the answer.
    Leak,
    /// Better on training rows than on test rows.
    Overfit,
    /// Poor even on training rows.
    Underfit,
    /// Classes of very different size.
    Imbalance,
    /// Too few test rows to tell.
    Uncertain,
    /// What probabilities promise.
    Calibration,
    /// Answers off to one side.
    Bias,
    /// Too good to be believed at once.
    Perfect,
    /// Values that are not there.
    Missing,
    /// What dates gave.
    Dates,
    /// Rows that are answered worst.
    Slices,
}

/// One thing to know about the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remark {
    /// What it is about.
    pub topic: Topic,
    /// How good or bad.
    pub level: Level,
    /// The target it is about, where there are several.
    pub target: Option<String>,
    /// What was found.
    pub sentence: String,
    /// The numbers behind it.
    pub evidence: String,
    /// What to do; empty when nothing needs doing.
    pub advice: String,
    /// The recipe key that does it, where there is one.
    pub key: Option<String>,
}

/// The judgement of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The worst of what decides: the baseline and the leaks.
    pub level: Level,
    /// The result in one sentence.
    pub headline: String,
    /// The first target's main measure against its baseline, with intervals; empty when nothing was measured.
    pub evidence: String,
    /// All that is worth knowing, the worst first.
    pub remarks: Vec<Remark>,
}

/// Names in sentences are cut to this many characters.
const NAME: usize = 60;
/// Share of the gain on training rows whose loss on test rows is called overfitting.
const OVERFIT_SHARE: f64 = 0.25;
/// Share of the way from the baseline to the best value below which a fit to the training rows is called an underfit.
const UNDERFIT_REACH: f64 = 0.05;
/// Share of the way that is called perfect.
const PERFECT_REACH: f64 = 0.999;
/// The share from which on a score is too good where shuffling one column alone costs most of the gain over the baseline, and which part of it.
const CARRIED_REACH: f64 = 0.98;
const CARRIED_SHARE: f64 = 0.9;
/// A smallest class below this share of an even one is called rare: under 10 % of two classes.
const RARE_SHARE: f64 = 0.2;
/// Test rows below which no score says much.
const TEST_ROWS_FEW: u64 = 100;
/// Test rows of a class below which its scores say little.
const CLASS_ROWS_FEW: u64 = 10;
/// With ten bins at 95 % each, a calibrated model has more than a quarter outside in about 1 of 90 cases.
const UNCALIBRATED_SHARE: f64 = 0.25;
/// A mean gap between promise and outcome that is too small to matter.
const CALIBRATION_GAP: f64 = 0.02;
/// Leaks that get a remark of their own.
const LEAKS_MAX: usize = 8;

/// Judges a run.
pub fn verdict(report: &Report) -> Verdict {
    let mut found_remarks = Vec::new();
    for target in &report.targets {
        let name = (report.targets.len() > 1).then(|| shown(&target.name, NAME));
        let found = [
            baseline(report, target),
            overfit(report, target),
            underfit(target),
            imbalance(target),
            balanced(target),
            uncertain(report, target),
            calibration(target),
            bias(report, target),
            perfect(report, target),
            remarks::slices(target),
        ];
        found_remarks.extend(found.into_iter().flatten().map(|remark| Remark { target: name.clone(), ..remark }));
    }
    found_remarks.extend(leaks(report));
    found_remarks.extend(remarks::missing(report).into_iter().chain(remarks::dates(report)));
    found_remarks.sort_by_key(|remark| std::cmp::Reverse(remark.level));
    let decides = |remark: &&Remark| matches!(remark.topic, Topic::Baseline | Topic::Leak);
    let level = found_remarks.iter().filter(decides).map(|remark| remark.level).max().unwrap_or(Level::Warn);
    let (headline, evidence) = headline(report, level);
    Verdict { level, headline, evidence, remarks: found_remarks }
}

impl Remark {
    pub(super) fn new(topic: Topic, level: Level, sentence: impl Into<String>, evidence: impl Into<String>) -> Remark {
        let (sentence, evidence) = (sentence.into(), evidence.into());
        Remark { topic, level, target: None, sentence, evidence, advice: String::new(), key: None }
    }

    pub(super) fn advise(self, advice: impl Into<String>) -> Remark {
        Remark { advice: advice.into(), ..self }
    }

    pub(super) fn key(self, key: impl Into<String>) -> Remark {
        Remark { key: Some(key.into()), ..self }
    }
}

impl Level {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Level::Good => "good",
            Level::Note => "note",
            Level::Warn => "look",
            Level::Bad => "bad",
        }
    }
}

/// Which side of zero a gain is on, as far as its interval tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Better,
    Worse,
    Unclear,
    Unknown,
}

impl Side {
    /// Of the paired difference to the baseline.
    pub(super) fn of(score: &Score) -> Side {
        let Some(difference) = score.difference.filter(|d| d.is_defined() && d.has_interval()) else { return Side::Unknown };
        let gain = score.better.gain(difference);
        match gain {
            _ if gain.low > 0.0 => Side::Better,
            _ if gain.high < 0.0 => Side::Worse,
            _ => Side::Unclear,
        }
    }

    /// One word for tables.
    pub(super) fn word(self) -> &'static str {
        match self {
            Side::Better => "better",
            Side::Worse => "worse",
            Side::Unclear => "unclear",
            Side::Unknown => "",
        }
    }
}

fn headline(report: &Report, level: Level) -> (String, String) {
    let Some((target, score)) = report.targets.first().and_then(|target| Some((target, target.main_score()?))) else {
        return ("Nothing was measured, so nothing can be said about this model.".to_owned(), String::new());
    };
    let name = shown(&target.name, NAME);
    let mut sentence = match Side::of(score) {
        _ if report.model == "baseline" => format!("This is the baseline for {name}: what any model must beat."),
        _ if !score.test.is_defined() => format!("How well the model answers {name} could not be measured."),
        Side::Better => format!("The model answers {name} better than the baseline{}.", aside(&target.baseline)),
        Side::Worse => format!("The model answers {name} worse than the baseline{}.", aside(&target.baseline)),
        Side::Unclear => format!("The model is not shown to answer {name} better than the baseline{}.", aside(&target.baseline)),
        Side::Unknown => format!("The model answers {name}; how it compares to the baseline is not known."),
    };
    if level == Level::Bad && report.findings.iter().any(|finding| finding.severity == Severity::Stop) {
        sentence.push_str(" Do not believe the scores: a leak was found.");
    } else if report.findings.iter().any(|finding| finding.severity == Severity::Warn && finding.column.is_some()) {
        sentence.push_str(" A leak is suspected, so the scores may be too good.");
    }
    if report.targets.len() > 1 {
        sentence.push_str(&format!(" {} more below.", plural(report.targets.len() as u64 - 1, "target")));
    }
    (sentence, against(score) + direction(score))
}

/// `roc_auc 0.927 (95 % interval 0.923 to 0.931), baseline 0.500`.
fn against(score: &Score) -> String {
    let digits = decimals(score.test);
    let mut text = format!("{} {}", score.name, fixed(score.test.value, digits));
    if score.test.has_interval() {
        text.push_str(&format!(" (95 % interval {})", interval(score.test, digits)));
    }
    if let Some(baseline) = score.baseline {
        text.push_str(&format!(", baseline {}", fixed(baseline.value, digits)));
    }
    text
}

fn direction(score: &Score) -> &'static str {
    match score.better {
        Better::Higher => "",
        Better::Lower => "; lower is better",
    }
}

fn aside(baseline: &str) -> String {
    match baseline.is_empty() {
        true => String::new(),
        false => format!(" ({})", shown(baseline, NAME)),
    }
}

fn baseline(report: &Report, target: &TargetReport) -> Option<Remark> {
    let score = target.main_score()?;
    let mut evidence = against(score);
    if let Some(difference) = score.difference {
        let digits = decimals(difference);
        evidence.push_str(&format!(", difference {}", signed(difference.value, digits)));
        if difference.has_interval() {
            evidence.push_str(&format!(" ({})", signed_interval(difference, digits)));
        }
    }
    evidence.push_str(direction(score));
    let remark = |level, sentence: &str| Remark::new(Topic::Baseline, level, sentence, evidence.clone());
    Some(match Side::of(score) {
        _ if report.model == "baseline" => remark(Level::Warn, "This model looks at no column: it is what others are compared to.")
            .advise("train a model")
            .key("model=auto"),
        _ if !score.test.is_defined() => remark(Level::Bad, "The main measure is undefined on these test rows.")
            .advise("see that every class occurs in the test rows, or choose another measure")
            .key("eval.metrics"),
        Side::Better => remark(Level::Good, "It beats the baseline: the whole interval of the difference is on the good side."),
        Side::Worse => remark(Level::Bad, "It does worse than the baseline: what it learned does not hold on the test rows.")
            .advise("compare test rows with training rows (another time, another source?) and let the leaderboard choose")
            .key("model=auto"),
        Side::Unclear => remark(Level::Warn, "It is not shown to beat the baseline: no difference at all is within the interval.")
            .advise("measure on more test rows, or give it columns that say more about the target")
            .key("data.split.ratio"),
        Side::Unknown => remark(Level::Note, "It was not compared to the baseline."),
    })
}

fn leaks(report: &Report) -> Vec<Remark> {
    let grave: Vec<&Finding> = report.findings.iter().filter(|finding| finding.severity >= Severity::Warn).collect();
    let mut remarks: Vec<Remark> = grave.iter().take(LEAKS_MAX).map(|finding| leak(finding)).collect();
    if grave.len() > LEAKS_MAX {
        let more = plural((grave.len() - LEAKS_MAX) as u64, "finding");
        remarks.push(Remark::new(Topic::Leak, Level::Warn, format!("And {more} more."), "see the list of findings"));
    }
    let check = report.settings.iter().find(|setting| setting.key == "leaks" || setting.key.ends_with(".leaks"));
    match check.map(|setting| setting.value.trim_matches('"')) {
        Some("off") => remarks.push(
            Remark::new(Topic::Leak, Level::Warn, "The leak check was switched off, so nobody looked.", "leaks = off")
                .advise("switch it on")
                .key("leaks=deny"),
        ),
        Some(_) if grave.is_empty() => {
            remarks.push(Remark::new(Topic::Leak, Level::Good, "The leak check found nothing that gives the answer away.", ""));
        }
        _ => {}
    }
    remarks
}

fn leak(finding: &Finding) -> Remark {
    let level = if finding.severity == Severity::Stop { Level::Bad } else { Level::Warn };
    let mut evidence = shown(&finding.check, NAME);
    if let Some(column) = &finding.column {
        evidence.push_str(&format!(", column {}", shown(column, NAME)));
    }
    if finding.rows_total > 0 {
        evidence.push_str(&format!(", {}", plural(finding.rows_total, "row")));
    }
    Remark::new(Topic::Leak, level, shown(&finding.sentence, 400), evidence).advise(shown_or_empty(&finding.remedy))
}

fn shown_or_empty(text: &str) -> String {
    if text.is_empty() { String::new() } else { shown(text, 400) }
}

fn overfit(report: &Report, target: &TargetReport) -> Option<Remark> {
    let score = target.main_score()?;
    let train = score.train.filter(Measure::is_defined)?;
    if !score.test.is_defined() || !score.test.has_interval() {
        return None;
    }
    let gap = score.better.gain(Measure::exact(train.value - score.test.value)).value;
    let beyond = match score.better {
        Better::Higher => train.value > score.test.high,
        Better::Lower => train.value < score.test.low,
    };
    let digits = decimals(score.test);
    let mut evidence = format!(
        "{} {} on training rows, {} ({}) on test rows",
        score.name,
        fixed(train.value, digits),
        fixed(score.test.value, digits),
        interval(score.test, digits)
    );
    if !beyond {
        return Some(Remark::new(
            Topic::Overfit,
            Level::Good,
            "No sign of overfitting: test rows are answered as well as training rows.",
            evidence,
        ));
    }
    let gained = score.baseline.map(|baseline| score.better.gain(Measure::exact(train.value - baseline.value)).value);
    let lost = gained.filter(|gained| *gained > 0.0).map(|gained| gap / gained);
    if let Some(lost) = lost {
        evidence.push_str(&format!("; {} of the gain over the baseline is lost", percent(lost.min(1.0))));
    }
    Some(match lost {
        Some(lost) if lost >= OVERFIT_SHARE => {
            let (advice, key) = restrain(&report.model);
            Remark::new(Topic::Overfit, Level::Warn, "It overfits: much of what it gains on training rows is lost on test rows.", evidence)
                .advise(advice)
                .key(key)
        }
        _ => Remark::new(
            Topic::Overfit,
            Level::Note,
            "It fits training rows better than test rows, which most models do; the loss is small beside the gain.",
            evidence,
        ),
    })
}

/// What makes a model of that name simpler.
fn restrain(model: &str) -> (&'static str, &'static str) {
    match model {
        "gbdt" => ("make leaves larger or trees smaller, or get more rows", "model.min_data_in_leaf"),
        "forest" | "extra_trees" | "tree" => ("make leaves larger, or get more rows", "model.min_samples_leaf"),
        "logistic" | "svm" => ("regularise more, or get more rows", "model.C"),
        "knn" => ("ask more neighbours, or get more rows", "model.n_neighbors"),
        "naive_bayes" => ("smooth more, or get more rows", "model.alpha"),
        "ridge" | "lasso" | "elastic_net" => ("regularise more, or get more rows", "model.alpha"),
        "linear" => ("regularise, or get more rows", "model=ridge"),
        _ => ("take a simpler model, or get more rows", "model=auto"),
    }
}

/// How much of the way from the baseline to the best value has been gone: 0 at the baseline, 1 at the best.
fn reach(score: &Score, value: f64) -> Option<f64> {
    let baseline = score.baseline?.value;
    let reach = (value - baseline) / (score.best - baseline);
    reach.is_finite().then_some(reach)
}

fn underfit(target: &TargetReport) -> Option<Remark> {
    let score = target.main_score()?;
    let train = score.train.filter(Measure::is_defined)?;
    if reach(score, train.value)? >= UNDERFIT_REACH {
        return None;
    }
    let evidence = format!("{} {} on training rows, baseline {}", score.name, plain(train.value), plain(score.baseline?.value));
    Some(
        Remark::new(
            Topic::Underfit,
            Level::Warn,
            "It underfits, or the columns say little about the target: even training rows are answered hardly better than by the baseline.",
            evidence,
        )
        .advise("let the leaderboard look for a stronger model, or add columns")
        .key("model=auto"),
    )
}

fn imbalance(target: &TargetReport) -> Option<Remark> {
    let total: u64 = target.class_rows.iter().sum();
    let (class, rows) = target.classes.iter().zip(&target.class_rows).min_by_key(|(_, rows)| **rows)?;
    let share = *rows as f64 / total as f64;
    if target.classes.len() < 2 || total == 0 || share >= RARE_SHARE / target.classes.len() as f64 {
        return None;
    }
    let name = shown(class, NAME);
    let recall = target.per_class.iter().find(|score| score.class == *class).map_or(Measure::undefined(), |score| score.recall);
    let evidence = format!("{} of training rows are {name}; its recall on test rows is {}", percent(share), with_interval(recall));
    let remark = |level, sentence: &str| Remark::new(Topic::Imbalance, level, sentence, evidence.clone());
    Some(match recall.value >= 0.5 {
        true => {
            remark(Level::Note, "Classes differ much in size; the smallest is still found more often than not. Accuracy alone says little.")
        }
        false => remark(
            Level::Warn,
            "Classes differ much in size, and the smallest is missed more often than found. Accuracy alone says little.",
        )
        .advise("balance the classes, and the report says what it changed; or move the threshold")
        .key("data.clean.balance=weights"),
    })
}

fn balanced(target: &TargetReport) -> Option<Remark> {
    let balance = target.balance.as_ref()?;
    let class = shown(&balance.class, NAME);
    let done = match balance.rows {
        [before, after] if before == after => format!("Classes were balanced by {}", balance.method),
        [before, after] => format!("Classes were balanced by {}: {} training rows became {}", balance.method, count(before), count(after)),
    };
    let Some(Unbalanced { main, scores, recall, precision }) = &balance.measured else {
        let remark =
            Remark::new(Topic::Imbalance, Level::Note, format!("{done}. What it changed was not measured: a second fit costs much."), "");
        return Some(remark.advise("train again without it and compare the two runs").key("data.clean.balance=none"));
    };
    let pair = |name: &str, [with, without]: &[Measure; 2]| {
        let digits = decimals(*with);
        format!("{name} {} with it, {} without", fixed(with.value, digits), fixed(without.value, digits))
    };
    let evidence = format!("{}; {}; {}", pair(&format!("recall of {class}"), recall), pair("its precision", precision), pair(main, scores));
    let verdict = match recall[0].value - recall[1].value {
        gain if gain > 0.0 => format!("{class} is found more often than without"),
        loss if loss < 0.0 => format!("{class} is found less often than without"),
        _ => format!("{class} is not found more often than without"),
    };
    let remark = Remark::new(Topic::Imbalance, Level::Note, format!("{done}; {verdict}."), evidence);
    Some(match recall[0].value > recall[1].value {
        true => remark,
        false => remark.advise("leave it out").key("data.clean.balance=none"),
    })
}

fn uncertain(report: &Report, target: &TargetReport) -> Option<Remark> {
    let rows = report.data.rows.test;
    let advice = "four times the test rows halve the interval";
    if rows < TEST_ROWS_FEW {
        let sentence = "Few test rows: take every score as a rough one.";
        return Some(Remark::new(Topic::Uncertain, Level::Warn, sentence, plural(rows, "test row")).advise(advice).key("data.split.ratio"));
    }
    let score = target.main_score()?;
    let width = score.test.high - score.test.low;
    let gain = score.difference.map_or(f64::NAN, |difference| difference.value.abs());
    if width > gain {
        let evidence = format!("{} {}, gain over the baseline {}", score.name, with_interval(score.test), plain(gain));
        let sentence = "The main score is uncertain: its interval is wider than the gain over the baseline.";
        return Some(Remark::new(Topic::Uncertain, Level::Note, sentence, evidence).advise(advice).key("data.split.ratio"));
    }
    let few: Vec<_> = target.per_class.iter().filter(|class| class.rows < CLASS_ROWS_FEW).collect();
    let first = few.first()?;
    let evidence = format!(
        "{} with fewer than {CLASS_ROWS_FEW} test rows, {} among them",
        plural(few.len() as u64, "class"),
        shown(&first.class, NAME)
    );
    Some(Remark::new(Topic::Uncertain, Level::Note, "The scores of rare classes say little: too few test rows.", evidence).advise(advice))
}

fn calibration(target: &TargetReport) -> Option<Remark> {
    let bins: Vec<&Bin> = target.calibration.first()?.bins.iter().filter(|bin| bin.rows >= 10).collect();
    let rows: f64 = bins.iter().map(|bin| bin.rows as f64).sum();
    let gap = |bin: &Bin| bin.predicted - bin.observed;
    let mean_gap = bins.iter().map(|bin| gap(bin).abs() * bin.rows as f64).sum::<f64>() / rows;
    let outside = bins.iter().filter(|bin| is_outside(bin)).map(|bin| bin.rows as f64).sum::<f64>() / rows;
    let worst = bins.iter().filter(|bin| is_outside(bin)).max_by(|a, b| gap(a).abs().total_cmp(&gap(b).abs()));
    let evidence = format!("mean gap {}, {} of test rows in bins that are off", fixed(mean_gap, 3), percent(outside));
    if !mean_gap.is_finite() {
        return None;
    }
    match worst {
        Some(bin) if outside > UNCALIBRATED_SHARE && mean_gap >= CALIBRATION_GAP => Some(
            Remark::new(
                Topic::Calibration,
                Level::Warn,
                format!(
                    "Probabilities are off: where it says {}, it is {} in truth ({}).",
                    percent(bin.predicted),
                    percent(bin.observed),
                    plural(bin.rows, "row")
                ),
                evidence,
            )
            .advise("learn a map on validation rows that makes them hold; until then rank by them, and do not read them as frequencies")
            .key("calibrate=auto"),
        ),
        _ => Some(Remark::new(
            Topic::Calibration,
            Level::Good,
            "Probabilities agree with what happens, as far as the test rows tell.",
            evidence,
        )),
    }
}

fn is_outside(bin: &Bin) -> bool {
    let [low, high] = wilson(bin.observed, bin.rows as f64);
    bin.predicted < low || bin.predicted > high
}

fn bias(report: &Report, target: &TargetReport) -> Option<Remark> {
    let residuals = target.residuals.as_ref()?;
    let error = residuals.deviation / (report.data.rows.test as f64).sqrt();
    let is_sure = residuals.mean.abs() > 2.0 * error && residuals.mean.abs() > 0.1 * residuals.deviation;
    if !is_sure {
        return None;
    }
    let (side, sign) = if residuals.mean > 0.0 { ("low", "truth above answer") } else { ("high", "truth below answer") };
    let evidence = format!("mean residual {} ({sign}), standard error {}", plain(residuals.mean), plain(error));
    let sentence = format!("Answers are too {side} on average: the test rows may differ from the training rows.");
    Some(
        Remark::new(Topic::Bias, Level::Warn, sentence, evidence)
            .advise("see whether the target drifts over time, and split by time if so")
            .key("data.split.by=time"),
    )
}

fn perfect(report: &Report, target: &TargetReport) -> Option<Remark> {
    let score = target.main_score()?;
    let (reached, carrier) = (reach(score, score.test.value)?, carrier(target));
    if report.model == "baseline" || reached < if carrier.is_some() { CARRIED_REACH } else { PERFECT_REACH } {
        return None;
    }
    let mut evidence = format!("{} {} on {}", score.name, with_interval(score.test), plural(report.data.rows.test, "test row"));
    if let Some((column, share)) = carrier {
        evidence.push_str(&format!("; {} of the gain over the baseline is lost when it is shuffled", percent(share.min(1.0))));
        let column = shown(column, NAME);
        let sentence = format!(
            "The score is all but perfect, and column {column} alone carries it: such columns are often known only after the answer."
        );
        return Some(
            Remark::new(Topic::Perfect, Level::Warn, sentence, evidence)
                .advise("ask when its values become known, and leave it out when that is after the answer")
                .key(format!("ignore={column}")),
        );
    }
    if let Some(first) = target.permutation.as_ref().and_then(|permutation| permutation.columns.first()) {
        evidence.push_str(&format!("; most depends on column {}", shown(&first.column, NAME)));
    }
    let sentence = "The score is all but perfect. Some problems are that easy; often a column is known only after the answer.";
    Some(
        Remark::new(Topic::Perfect, Level::Warn, sentence, evidence)
            .advise("ask of the most important columns when their values become known"),
    )
}

/// The one column among several without which the gain over the baseline is gone, and the share of it that is.
fn carrier(target: &TargetReport) -> Option<(&str, f64)> {
    let permutation = target.permutation.as_ref().filter(|permutation| permutation.columns.len() > 1)?;
    let score = target.scores.iter().find(|score| score.name == permutation.measure)?;
    let gain = (score.test.value - score.baseline?.value).abs();
    let first = permutation.columns.first()?;
    let share = first.drop.value / gain;
    (share >= CARRIED_SHARE).then_some((&*first.column, share))
}

/// The classes with the lowest F1 on test rows, the worst first; those with an undefined F1 after the others.
pub(super) fn worst_classes(target: &TargetReport, max: usize) -> Vec<&super::report::ClassScore> {
    let mut classes: Vec<_> = target.per_class.iter().filter(|class| class.rows > 0).collect();
    classes.sort_by(|a, b| a.f1.value.total_cmp(&b.f1.value));
    classes.truncate(max);
    classes
}

/// Rows in words: `12 000 train, 1 500 valid, 1 500 test`.
pub(super) fn rows_phrase(report: &Report) -> String {
    let rows = report.data.rows;
    let sides = [(rows.train, "train"), (rows.valid, "valid"), (rows.test, "test"), (rows.out, "left out")];
    let parts: Vec<String> = sides.iter().filter(|(rows, _)| *rows > 0).map(|(rows, side)| format!("{} {side}", count(*rows))).collect();
    match parts.is_empty() {
        true => "no rows".to_owned(),
        false => parts.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::super::balance::Balance;
    use super::super::fixtures;
    use super::*;

    fn topics(report: &Report) -> Vec<(Topic, Level)> {
        verdict(report).remarks.iter().map(|remark| (remark.topic, remark.level)).collect()
    }

    fn with_main(change: impl Fn(&mut Score)) -> Vec<(Topic, Level)> {
        let mut report = fixtures::binary();
        report.targets[0].scores.iter_mut().filter(|score| score.name == "roc_auc").for_each(change);
        topics(&report)
    }

    #[test]
    fn a_sound_model_is_called_so() {
        let verdict = verdict(&fixtures::binary());
        assert_eq!(verdict.level, Level::Good);
        assert_eq!(verdict.headline, "The model answers income better than the baseline (always <=50K).");
        assert_eq!(verdict.evidence, "roc_auc 0.9271 (95 % interval 0.9229 to 0.9312), baseline 0.5000");
    }

    #[test]
    fn numbers_decide_each_remark() {
        let has = |topics: Vec<(Topic, Level)>, wanted| assert!(topics.contains(&wanted), "{wanted:?} in {topics:?}");
        has(with_main(|s| s.difference = Some(Measure::new(0.01, -0.01, 0.03))), (Topic::Baseline, Level::Warn));
        has(with_main(|s| s.difference = Some(Measure::new(-0.1, -0.2, -0.05))), (Topic::Baseline, Level::Bad));
        has(with_main(|s| s.difference = None), (Topic::Baseline, Level::Note));
        has(with_main(|s| s.test = Measure::undefined()), (Topic::Baseline, Level::Bad));
        has(with_main(|s| s.train = Some(Measure::exact(1.2))), (Topic::Overfit, Level::Warn));
        has(with_main(|s| s.train = Some(Measure::exact(0.94))), (Topic::Overfit, Level::Note));
        has(with_main(|s| s.train = Some(Measure::exact(0.928))), (Topic::Overfit, Level::Good));
        has(with_main(|s| s.train = Some(Measure::exact(0.51))), (Topic::Underfit, Level::Warn));
        has(with_main(|s| s.test = Measure::new(0.9999, 0.9999, 1.0)), (Topic::Perfect, Level::Warn));
        has(with_main(|s| s.test = Measure::new(0.9, 0.4, 1.0)), (Topic::Uncertain, Level::Note));
    }

    #[test]
    fn a_column_that_carries_all_but_perfect_scores_is_named() {
        let told = |score: f64, drop: f64| {
            let mut report = fixtures::binary();
            let target = &mut report.targets[0];
            target.scores.iter_mut().filter(|known| known.name == "roc_auc").for_each(|known| known.test = Measure::exact(score));
            target.permutation.as_mut().unwrap().columns[0].drop = Measure::exact(drop);
            let remarks = verdict(&report).remarks;
            remarks
                .into_iter()
                .find(|remark| remark.topic == Topic::Perfect)
                .map(|remark| format!("{} {}", remark.sentence, remark.evidence))
        };
        assert_eq!((told(0.95, 0.44), told(0.995, 0.3)), (None, None));
        let text = told(0.995, 0.48).unwrap();
        assert!(text.contains("alone carries it") && text.contains("97.0"), "{text}");
        assert!(told(0.99999, 0.3).unwrap().contains("most depends on column"));
    }

    #[test]
    fn data_decides_too() {
        let check = |change: fn(&mut Report), wanted| {
            let mut report = fixtures::binary();
            change(&mut report);
            assert!(topics(&report).contains(&wanted), "{wanted:?} in {:?}", topics(&report));
        };
        check(|r| r.data.rows.test = 40, (Topic::Uncertain, Level::Warn));
        check(|r| r.targets[0].class_rows = vec![9600, 400], (Topic::Imbalance, Level::Note));
        check(
            |r| {
                r.targets[0].class_rows = vec![9600, 400];
                r.targets[0].per_class[1].recall = Measure::new(0.1, 0.05, 0.2);
            },
            (Topic::Imbalance, Level::Warn),
        );
        check(
            |r| r.targets[0].balance = Some(Balance { method: "smote".to_owned(), ..Balance::default() }),
            (Topic::Imbalance, Level::Note),
        );
        check(|r| r.targets[0].calibration[0].bins.iter_mut().for_each(|bin| bin.observed *= 0.7), (Topic::Calibration, Level::Warn));
        check(|r| r.settings.iter_mut().filter(|s| s.key == "leaks").for_each(|s| s.value = "off".to_owned()), (Topic::Leak, Level::Warn));
        check(|r| r.findings.iter_mut().for_each(|finding| finding.severity = Severity::Stop), (Topic::Leak, Level::Bad));
        check(|r| r.model = "baseline".to_owned(), (Topic::Baseline, Level::Warn));
    }

    #[test]
    fn a_lower_measure_is_turned_round() {
        let topics = topics(&fixtures::regression());
        assert!(topics.contains(&(Topic::Baseline, Level::Good)), "{topics:?}");
        assert_eq!(verdict(&Report::default()).level, Level::Warn);
    }
}
