//! A window held against the reference: all tests together, corrected for how many they are, and what to make of those that alarm.

use crate::Result;
use crate::axis::{Axis, Tally};
use crate::content::Content;
use crate::drift::{self, DRIFTS, DriftDef, Moved, Test};
use crate::monitor::MonitorOptions;
use crate::performance::{Performance, performance};
use crate::quality::{ABSENT, MISTYPED, checks};
use crate::reference::{ColumnReference, Reference};
use crate::report::{Alarm, REPORT_VERSION, Report, Subject, TargetReport, TestRow, Verdict, short};
use crate::window::Window;
use std::collections::BTreeMap;

/// Tests are corrected within data, quality and slices, each of which gets the same share of alpha: so hundreds of slices do not hide that quality
/// fell, and the promise holds for all together.
const FAMILIES: f64 = 3.0;
/// An input of this share of the greatest importance or more is called important.
const IMPORTANT: f64 = 0.2;

/// Tests a window.
///
/// # Errors
/// When the window is of another reference, or labels do not fit their answers.
pub fn examine(reference: &Reference, window: &Window, options: &MonitorOptions) -> Result<Report> {
    window.check(reference)?;
    let importance = &reference.importance();
    let mut data = checks(reference, window);
    if options.is_drift_on {
        data.extend(drifts(reference, window, options));
    }
    let Performance { targets, tests: mut quality, mut slices } = performance(reference, window, options)?;
    // Where a column is missing or of another type no row may be answered at all: those that were refused are rows, too.
    let is_schema = |test: &TestRow| test.subject == Subject::Data && matches!(&*test.test, ABSENT | MISTYPED);
    let refused = window.columns.iter().map(|column| column.absent + column.mistyped).max().unwrap_or(0);
    data.iter_mut().chain(&mut quality).filter(|test| test.subject != Subject::Live).for_each(|test| {
        let rows = if is_schema(test) { window.rows.max(refused) } else { window.rows };
        if rows < options.min_rows {
            test.verdict = Verdict::Unknown;
        }
    });
    [&mut data, &mut quality, &mut slices].into_iter().for_each(|family| judge(family, options));
    let mut tests: Vec<TestRow> = quality.into_iter().chain(slices).chain(data).collect();
    tests.sort_by_key(|test| (test.verdict != Verdict::Alarm, test.subject));
    let weight = |test: &TestRow| importance.get(&test.column).copied().unwrap_or(0.0);
    let mut alarming: Vec<&TestRow> = tests.iter().filter(|test| test.verdict == Verdict::Alarm).collect();
    alarming.sort_by(|a, b| a.subject.cmp(&b.subject).then(weight(b).total_cmp(&weight(a))).then(b.effect.total_cmp(&a.effect)));
    let stake = stake(&targets, &tests);
    let alarms = folded(alarming).into_iter().map(|test| alarm(test, &stake, importance)).collect();
    Ok(Report {
        version: REPORT_VERSION,
        period: window.period,
        rows: window.rows,
        reference_rows: reference.rows,
        alpha: options.alpha,
        tests,
        targets,
        alarms,
    })
}

/// Slices and groups that are told by themselves when the whole is worse, too.
const SLICES_TOLD: usize = 3;

/// When a target's quality fell on the whole, only the slices where it fell most are told beside.
fn folded(alarming: Vec<&TestRow>) -> Vec<&TestRow> {
    let is_part = |test: &TestRow| matches!(test.subject, Subject::Slice | Subject::Group);
    let fell: Vec<String> =
        alarming.iter().filter(|test| test.subject == Subject::Live).map(|test| format!("{} where ", test.column)).collect();
    let mut told = 0;
    let is_told = |test: &&TestRow| {
        let is_folded = is_part(test) && fell.iter().any(|target| test.column.starts_with(target.as_str()));
        told += usize::from(is_folded);
        !is_folded || told <= SLICES_TOLD
    };
    alarming.into_iter().filter(is_told).collect()
}

/// Corrects p-values and says what is an alarm.
fn judge(family: &mut [TestRow], options: &MonitorOptions) {
    let known: Vec<usize> = (0..family.len()).filter(|at| family[*at].verdict != Verdict::Unknown && family[*at].p.is_some()).collect();
    let ps: Vec<f64> = known.iter().filter_map(|at| family[*at].p).collect();
    let shared = if options.correction == crate::Correction::None { 1.0 } else { FAMILIES };
    for (at, p) in known.into_iter().zip(options.correction.apply(&ps)) {
        family[at].p_corrected = Some((p * shared).min(1.0));
    }
    for test in family.iter_mut().filter(|test| test.verdict != Verdict::Unknown) {
        let is_alarm = test.effect >= test.threshold && test.p_corrected.is_none_or(|p| p <= options.alpha);
        test.verdict = if is_alarm { Verdict::Alarm } else { Verdict::Fine };
    }
}

fn drifts(reference: &Reference, window: &Window, options: &MonitorOptions) -> Vec<TestRow> {
    let mut tests: Vec<TestRow> = Vec::new();
    for (column, own) in reference.columns.iter().zip(&window.columns) {
        tests.extend(drifted(Subject::Input, column, &own.tallies, options));
    }
    for (target, own) in reference.targets.iter().zip(&window.targets) {
        for (column, tally) in target.answers.iter().zip(&own.answers) {
            tests.extend(drifted(Subject::Answer, column, std::slice::from_ref(tally), options));
        }
        if let (Some(column), Some(tally)) = (&target.said, &own.said) {
            tests.extend(drifted(Subject::Answer, column, std::slice::from_ref(tally), options));
        }
        tests.extend(drifted(Subject::Label, &target.truth, std::slice::from_ref(&own.truth), options));
    }
    let whole = DRIFTS.iter().filter_map(|def| match def.test {
        Test::Rows(test) => test(reference, window).map(|moved| (def, moved)),
        _ => None,
    });
    tests
        .extend(whole.map(|(def, moved)| row(Subject::Rows, "all inputs", def, moved, def.threshold, "told apart by a classifier".into())));
    tests
}

fn drifted(subject: Subject, column: &ColumnReference, window: &[Tally], options: &MonitorOptions) -> Option<TestRow> {
    let chosen = options.drift.filter(|def| def.suits(column.content));
    let def = chosen.unwrap_or_else(|| DriftDef::auto(column.content));
    let moved = drift::column(&def, column, window)?;
    let threshold = options.threshold.filter(|_| chosen.is_some() || options.drift.is_none()).unwrap_or(def.threshold);
    let mut row = row(subject, &column.name, &def, moved, threshold, change(column, window));
    if window[0].values() < options.min_rows {
        row.verdict = Verdict::Unknown;
    }
    Some(row)
}

fn row(subject: Subject, column: &str, def: &DriftDef, moved: Moved, threshold: f64, change: String) -> TestRow {
    TestRow {
        subject,
        column: column.to_owned(),
        test: def.name.to_owned(),
        statistic: moved.statistic,
        effect: moved.effect,
        threshold,
        p: moved.p,
        p_corrected: None,
        verdict: Verdict::Fine,
        change,
    }
}

/// What a column was and what it is.
fn change(column: &ColumnReference, window: &[Tally]) -> String {
    let (own, other) = (&column.tallies[0], &window[0]);
    match (column.content, &column.axes[0]) {
        (Content::Text | Content::Image, _) => "its embedding".into(),
        (Content::Category, Axis::Names { names }) => shares(names, own, other),
        _ => match (own.mean(), other.mean(), own.std(), column.content) {
            (Some(before), Some(now), _, Content::Date) => {
                format!("mean {} -> {}", crate::write_moment(before as i64), crate::write_moment(now as i64))
            }
            (Some(before), Some(now), Some(std), _) => {
                let steps = if std > 0.0 { format!(" ({:+.2} standard deviations)", (now - before) / std) } else { String::new() };
                format!("mean {} -> {}{steps}", short(before), short(now))
            }
            _ => String::new(),
        },
    }
}

/// The name whose share changed most.
fn shares(names: &[String], own: &Tally, other: &Tally) -> String {
    let share = |tally: &Tally, place: usize| tally.counts[place] as f64 / tally.values().max(1) as f64;
    let gap = |place: &usize| (share(own, *place) - share(other, *place)).abs();
    let most = (0..own.counts.len()).max_by(|a, b| gap(a).total_cmp(&gap(b))).unwrap_or(0);
    let name = names.get(most).map_or_else(|| "other names".into(), |name| format!("{name:?}"));
    format!("share of {name} {} -> {}", short(share(own, most)), short(share(other, most)))
}

/// What is known of quality, in a sentence for every alarm, and whether it fell.
fn stake(targets: &[TargetReport], tests: &[TestRow]) -> (String, bool) {
    let sentence = |target: &TargetReport| {
        let made = target.reference.first()?;
        let of = |list: &[crate::Quality]| list.iter().find(|quality| quality.metric == made.metric).cloned();
        let (kind, now) = of(&target.live).map(|now| ("labelled", now)).or_else(|| of(&target.estimated).map(|now| ("estimated", now)))?;
        let rows = if now.rows == 1 { "row" } else { "rows" };
        Some(format!("{} on {} {kind} {rows} of {}, {} when it was made", now.text(), now.rows, target.target, short(made.value)))
    };
    let known: Vec<String> = targets.iter().filter_map(sentence).collect();
    if known.is_empty() {
        return ("Whether quality is at stake is not known: there are no labels, and no held-out rows to estimate it from.".into(), false);
    }
    let subject = if targets.iter().all(|target| target.live.is_empty()) { Subject::Estimated } else { Subject::Live };
    let has = |verdict: Verdict| tests.iter().any(|test| test.subject == subject && test.verdict == verdict);
    let verdict = match (has(Verdict::Alarm), has(Verdict::Unknown)) {
        (true, _) => "Quality has fallen",
        (false, true) => "Too few rows tell whether quality holds",
        (false, false) => "Quality holds so far",
    };
    (format!("{verdict}: {}.", known.join("; ")), has(Verdict::Alarm))
}

fn alarm(test: &TestRow, (stake, has_fallen): &(String, bool), importance: &BTreeMap<String, f64>) -> Alarm {
    let what = match test.subject {
        Subject::Live | Subject::Estimated => format!("Quality of {} fell: {}.", test.column, test.change),
        Subject::Slice => format!("Quality of {} fell: {}.", test.column, test.change),
        Subject::Group => format!("Quality for a group fell, {}: {}.", test.column, test.change),
        Subject::Data => format!("{} is {} more often: {}.", test.column, data_word(&test.test), test.change),
        Subject::Rows => format!("All inputs together moved: a classifier tells them from training rows, ROC-AUC {}.", short(test.effect)),
        Subject::Input | Subject::Answer | Subject::Label => {
            let measure = drift::find(&test.test).map_or("drift", |def| def.effect);
            format!("{} moved: {}; {measure} {}, {} matters.", test.column, test.change, short(test.effect), short(test.threshold))
        }
    };
    let rank = rank(&test.column, importance).map(|rank| format!(" {rank}")).unwrap_or_default();
    Alarm { key: test.key(), what, stake: stake.clone() + &rank, advice: advice(test, *has_fallen).into() }
}

fn data_word(test: &str) -> &str {
    match test {
        "range" => "out of range",
        "unseen" => "a name that training never saw",
        "mistyped" => "of another type",
        other => other,
    }
}

/// Where an input stands among all by importance.
fn rank(column: &str, importance: &BTreeMap<String, f64>) -> Option<String> {
    let own = *importance.get(column)?;
    let most = importance.values().copied().fold(0.0, f64::max);
    let place = importance.values().filter(|other| **other > own).count() + 1;
    let word = if own >= IMPORTANT * most { "The model leans on it" } else { "The model hardly looks at it" };
    Some(format!("{word}: number {place} of {} inputs.", importance.len()))
}

fn advice(test: &TestRow, has_fallen: bool) -> &'static str {
    match (test.subject, has_fallen) {
        (Subject::Live | Subject::Slice | Subject::Group, _) => "Retrain with the labels that came, or go back to the version before.",
        (Subject::Estimated, _) => "Get labels for some of these rows; retrain if they say the same.",
        (Subject::Data, _) => "Look at where the column comes from: this is more often a fault on the way than a change of the world.",
        (_, true) => "Retrain with the labels that came; this may be why quality fell.",
        (Subject::Label, false) => "The world changed its shares: check thresholds that decisions hang on, and retrain before long.",
        (_, false) => "Nothing needs to be done at once: see that labels come, and retrain if quality follows.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{answers, full, hashes, names, numbers, table};
    use crate::window::SchemaFault;
    use cupola_task::{Columns, Predictions};
    use expect_test::expect;

    /// A window of rows that moved by so much, with labels of the first `labelled`; `flips` says which share of classes is wrong.
    fn window(reference: &Reference, rows: u64, shift: f64, labelled: u64, flips: f64) -> Window {
        let (predictions, truth) = answers(9, rows);
        let (inputs, hashes) = (table(9, rows, shift), hashes(9, rows));
        let mut window = Window::new(reference);
        window.push(reference, &hashes, &inputs, &predictions).unwrap();
        let draw = cupola_task::Draw::new(5);
        let is_known = |row: u64| row < labelled;
        let flip = |row: u64, name: &str| if (draw.uniform(row) < flips) == (name == "no") { "yes" } else { "no" };
        let class = truth.array("paid").unwrap();
        let class: &arrow_array::StringArray = class.as_any().downcast_ref().unwrap();
        let paid: Vec<Option<&str>> =
            class.iter().zip(0..).map(|(name, row)| name.filter(|_| is_known(row)).map(|name| flip(row, name))).collect();
        let truth = Columns::new(vec![("paid".into(), names(paid))]);
        window.push_labels(reference, &hashes, &inputs, &predictions, &truth).unwrap();
        window
    }

    fn keys(report: &Report) -> Vec<&str> {
        report.alarms.iter().map(|alarm| alarm.key.as_str()).collect()
    }

    fn check(window: &Window, reference: &Reference) -> Report {
        let report = examine(reference, window, &MonitorOptions::default()).unwrap();
        let json = serde_json::to_string(&report).unwrap();
        assert!(serde_json::from_str::<Report>(&json).unwrap() == report, "{json}");
        report
    }

    #[test]
    fn unchanged_rows_alarm_nothing_and_few_rows_say_nothing() {
        let reference = full(3000);
        assert_eq!(keys(&check(&window(&reference, 1000, 0.0, 500, 0.0), &reference)), [""; 0]);
        for rows in [0, 1, 50] {
            let report = check(&window(&reference, rows, 3.0, 0, 0.0), &reference);
            assert!(report.alarms.is_empty() && report.tests.iter().all(|test| test.verdict == Verdict::Unknown), "{}", report.text());
        }
    }

    #[test]
    fn a_handful_of_labels_holds_nothing() {
        let reference = full(3000);
        let report = check(&window(&reference, 1000, 0.6, 3, 0.0), &reference);
        assert!(!report.alarms.is_empty());
        assert!(
            report.alarms.iter().all(|alarm| alarm.stake.starts_with("Too few rows tell whether quality holds: ")),
            "{}",
            report.text()
        );
    }

    #[test]
    fn a_report_says_what_moved_what_is_at_stake_and_what_to_do() {
        let reference = full(3000);
        let mut window = window(&reference, 1000, 0.6, 400, 0.0);
        window.period = Some([0, 86_400_000_000]);
        let importance = [("number", 0.9), ("name", 0.01), ("when", 0.3)].map(|(name, value)| (name.to_owned(), value)).into();
        let reference = reference.with_importance(&importance);
        let report = examine(&reference, &window, &MonitorOptions::default()).unwrap();
        expect![[r#"
            1000 rows from 1970-01-01T00:00:00Z to 1970-01-02T00:00:00Z, held against 3000 training rows: alarms:

            - number moved: mean 0.0543 -> 0.562 (+0.51 standard deviations); largest difference of shares 0.208, 0.1 matters.
              Quality holds so far: accuracy 0.69 (0.643 to 0.733) on 400 labelled rows of paid, 0.74 when it was made. The model leans on it: number 1 of 3 inputs.
              Nothing needs to be done at once: see that labels come, and retrain if quality follows.

            - when moved: mean 1970-01-06T00:17:22Z -> 1970-01-07T19:06:57Z; largest difference of shares 0.198, 0.1 matters.
              Quality holds so far: accuracy 0.69 (0.643 to 0.733) on 400 labelled rows of paid, 0.74 when it was made. The model leans on it: number 2 of 3 inputs.
              Nothing needs to be done at once: see that labels come, and retrain if quality follows.

            - name moved: share of "ash" 0.166 -> 0.061; Cohen's w 0.415, 0.1 matters.
              Quality holds so far: accuracy 0.69 (0.643 to 0.733) on 400 labelled rows of paid, 0.74 when it was made. The model hardly looks at it: number 3 of 3 inputs.
              Nothing needs to be done at once: see that labels come, and retrain if quality follows.

            - note moved: its embedding; largest difference of shares 0.26, 0.1 matters.
              Quality holds so far: accuracy 0.69 (0.643 to 0.733) on 400 labelled rows of paid, 0.74 when it was made.
              Nothing needs to be done at once: see that labels come, and retrain if quality follows.

            - whole moved: mean -0.0613 -> 1.14 (+0.59 standard deviations); largest difference of shares 0.225, 0.1 matters.
              Quality holds so far: accuracy 0.69 (0.643 to 0.733) on 400 labelled rows of paid, 0.74 when it was made.
              Nothing needs to be done at once: see that labels come, and retrain if quality follows.

            - All inputs together moved: a classifier tells them from training rows, ROC-AUC 0.775.
              Quality holds so far: accuracy 0.69 (0.643 to 0.733) on 400 labelled rows of paid, 0.74 when it was made.
              Nothing needs to be done at once: see that labels come, and retrain if quality follows.

            paid when made, 3000 rows: accuracy 0.74 (0.724 to 0.756), f1 0.745 (0.727 to 0.762), roc_auc 0.828 (0.813 to 0.842), precision 0.743 (0.72 to 0.764), recall 0.746 (0.724 to 0.768), log_loss 0.503 (0.486 to 0.521)
            paid labelled now, 400 rows: accuracy 0.69 (0.643 to 0.733), f1 0.696 (0.643 to 0.744), roc_auc 0.792 (0.745 to 0.832), precision 0.693 (0.627 to 0.752), recall 0.7 (0.633 to 0.758), log_loss 0.55 (0.499 to 0.608)
            paid estimated now, 1000 rows: accuracy 0.744 (0.717 to 0.771), f1 0.752 (0.722 to 0.782), roc_auc 0.832 (0.808 to 0.857), precision 0.747 (0.709 to 0.785), recall 0.758 (0.72 to 0.795), log_loss 0.497 (0.467 to 0.527)

            price when made, 3000 rows: mae 0.796 (0.775 to 0.818), rmse 0.996 (0.971 to 1.02), mse 0.993 (0.943 to 1.05), r2 0.0802 (0.0623 to 0.0975)

            about      column           test               effect  threshold  p        verdict  change
            input      number           ks                 0.208   0.1        2.6e-27  ALARM    mean 0.0543 -> 0.562 (+0.51 standard deviations)
            input      whole            ks                 0.225   0.1        5.1e-32  ALARM    mean -0.0613 -> 1.14 (+0.59 standard deviations)
            input      name             chi2               0.415   0.1        3.0e-22  ALARM    share of "ash" 0.166 -> 0.061
            input      when             ks                 0.198   0.1        1.4e-24  ALARM    mean 1970-01-06T00:17:22Z -> 1970-01-07T19:06:57Z
            input      note             ks                 0.26    0.1        9.5e-42  ALARM    its embedding
            rows       all inputs       domain_classifier  0.775   0.55       1.7e-47  ALARM    told apart by a classifier
            live       paid             accuracy           0.068   0.05       0.116    fine     0.74 -> accuracy 0.69 (0.643 to 0.733) on 400 rows
            estimated  paid             accuracy           0       0.05       1        fine     0.74 -> accuracy 0.744 (0.717 to 0.771) on 1000 rows
            data       number           missing            0       0.02       1        fine     0 -> 0 of rows
            data       number           range              0.003   0.01       1        fine     0 -> 0.003 of rows outside -3.73 to 3.09; now -2.91 to 3.58
            data       whole            missing            0       0.02       1        fine     0 -> 0 of rows
            data       whole            range              0.003   0.01       1        fine     0 -> 0.003 of rows outside -7 to 6; now -5 to 7
            data       name             missing            0       0.02       1        fine     0 -> 0 of rows
            data       name             unseen             0       0.01       1        fine     0 -> 0 of rows
            data       when             missing            0       0.02       1        fine     0 -> 0 of rows
            data       note             missing            0       0.02       1        fine     0 -> 0 of rows
            answer     P(paid = yes)    ks                 0.022   0.1        1        fine     mean 0.503 -> 0.51 (+0.02 standard deviations)
            answer     class of paid    chi2               0.0227  0.1        1        fine     share of "no" 0.49 -> 0.479
            answer     predicted price  ks                 0.022   0.1        1        fine     mean 0.503 -> 0.51 (+0.02 standard deviations)
            label      paid             chi2               3.3e-4  0.1        1        fine     share of "yes" 0.507 -> 0.507
            and 5 slices and groups without an alarm
        "#]].assert_eq(&report.text());
    }

    #[test]
    fn labels_that_say_otherwise_are_a_loss_of_quality() {
        let reference = full(3000);
        let report = check(&window(&reference, 1000, 0.0, 800, 0.3), &reference);
        assert_eq!(keys(&report)[0], "live.paid.accuracy");
        assert!(report.alarms[0].stake.starts_with("Quality has fallen"), "{}", report.text());
        assert!(keys(&report).iter().any(|key| key.starts_with("slice.paid where name")), "{}", report.text());
        assert!(!keys(&report).iter().any(|key| key.starts_with("estimated")), "scores say nothing of flipped labels");
    }

    #[test]
    fn columns_that_do_not_hold_what_they_should_are_found() {
        let reference = full(3000);
        let rows = 1000;
        let mut inputs = table(9, rows, 0.0);
        inputs.insert("number".into(), numbers((0..rows).map(|row| if row % 10 == 0 { f64::NAN } else { (row % 7) as f64 / 7.0 })));
        inputs.insert("whole".into(), numbers((0..rows).map(|row| if row % 20 == 0 { 1e6 } else { 1.0 })));
        let strange: Vec<String> = (0..rows).map(|row| if row % 20 == 0 { format!("palm {row}") } else { "oak".into() }).collect();
        inputs.insert("name".into(), names(strange.iter().map(|name| Some(name.as_str()))));
        let mut window = Window::new(&reference);
        window.push(&reference, &hashes(9, rows), &inputs.select(|name| name != "note"), &Predictions::default()).unwrap();
        window.push_faults(&reference, "when", SchemaFault::Mistyped, 30);
        let report = check(&window, &reference);
        for key in ["data.number.missing", "data.whole.range", "data.name.unseen", "data.note.absent", "data.when.mistyped"] {
            assert!(keys(&report).contains(&key), "{key} in {:?}", keys(&report));
        }
        let strange = report.alarms.iter().find(|alarm| alarm.key == "data.name.unseen").unwrap();
        assert!(
            strange.what.starts_with("name is a name that training never saw more often: 0 -> 0.05 of rows, such as palm"),
            "{}",
            strange.what
        );
    }

    #[test]
    fn a_column_that_every_request_lacks_is_found_though_nothing_is_answered() {
        let reference = full(1000);
        for (rows, found) in [(99, false), (100, true)] {
            let mut window = Window::new(&reference);
            window.push_faults(&reference, "number", SchemaFault::Absent, rows);
            assert_eq!(keys(&check(&window, &reference)) == ["data.number.absent"], found, "{rows}");
        }
    }

    #[test]
    fn estimates_follow_what_labels_will_say() {
        let reference = full(3000);
        let report = check(&window(&reference, 2000, 0.0, 2000, 0.0), &reference);
        let target = &report.targets[0];
        assert_eq!(target.estimated.len(), 6, "{target:?}");
        for (estimated, live) in target.estimated.iter().zip(&target.live) {
            assert_eq!(estimated.metric, live.metric);
            assert!(estimated.better_by(live).abs() < 3.0, "{} {}", estimated.text(), live.text());
        }
    }

    #[test]
    fn expected_losses_of_a_model_of_losses_are_an_estimate() {
        let reference = full(1000);
        let mut window = window(&reference, 500, 0.0, 0, 0.0);
        window.push_losses(&reference, "price", &[[2.0, 9.0]; 500]);
        let report = check(&window, &reference);
        let found: Vec<(&str, f64)> = report.targets[1].estimated.iter().map(|quality| (quality.metric.as_str(), quality.value)).collect();
        assert_eq!(found, [("mae", 2.0), ("rmse", 3.0), ("mse", 9.0)]);
        assert_eq!(keys(&report)[0], "estimated.price.mae");
    }
}
