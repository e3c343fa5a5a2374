//! Reports for tests: two classes, three classes, numbers, and one whose names are hostile.

use super::audit::*;
use super::history::{History, HistoryPoint};
use super::report::*;
use cupola_task::Task;

pub(super) fn all() -> [Report; 3] {
    [binary(), multiclass(), regression()]
}

fn score(name: &str, better: Better, best: f64, test: [f64; 3], baseline: f64, train: f64) -> Score {
    let [value, low, high] = test;
    Score {
        name: name.to_owned(),
        better,
        best,
        test: Measure::new(value, low, high),
        train: Some(Measure::exact(train)),
        valid: Some(Measure::exact(value + (train - value) * 0.2)),
        baseline: Some(Measure::exact(baseline)),
        difference: Some(Measure::new(value - baseline, low - baseline, high - baseline)),
    }
}

fn class(name: &str, rows: u64, precision: f64, recall: f64) -> ClassScore {
    let around = |value: f64| Measure::new(value, value - 0.02, value + 0.02);
    let f1 = 2.0 * precision * recall / (precision + recall);
    ClassScore { class: name.to_owned(), rows, precision: around(precision), recall: around(recall), f1: around(f1) }
}

fn column(name: &str, kind: &str, role: &str, reason: &str, missing: u64, distinct: u64) -> ColumnSummary {
    ColumnSummary {
        name: name.into(),
        kind: kind.into(),
        role: role.into(),
        reason: reason.into(),
        missing,
        distinct: Some(distinct),
        prepared: None,
    }
}

fn setting(key: &str, value: &str, origin: Origin, reason: Option<&str>) -> SettingSource {
    SettingSource { key: key.into(), value: value.into(), origin, reason: reason.map(str::to_owned) }
}

fn step(command: &str, purpose: &str) -> Step {
    Step { command: command.into(), purpose: purpose.into() }
}

/// A curve that bends towards the upper left as the power falls.
fn roc_curve(class: &str, area: f64, power: f64) -> Curve {
    let points = (0..=400).map(|i| f64::from(i) / 400.0).map(|x| Point { x, y: x.powf(power) }).collect();
    Curve { class: class.into(), area: Measure::new(area, area - 0.004, area + 0.004), points }
}

fn recall_curve(class: &str, area: f64, share: f64) -> Curve {
    let points = (0..=400).map(|i| f64::from(i) / 400.0).map(|x| Point { x, y: 1.0 - (1.0 - share) * x.powi(4) }).collect();
    Curve { class: class.into(), area: Measure::new(area, area - 0.006, area + 0.006), points }
}

fn run(name: &str, model: &str) -> Report {
    let path = format!("runs/{name}/model.cupola");
    Report {
        name: name.into(),
        cupola: "0.1.0".into(),
        model: model.into(),
        model_path: path.clone(),
        timings: [("read", 0.21), ("leaks", 0.4), ("fit", 3.2), ("evaluate", 1.1)]
            .map(|(stage, seconds)| Timing { stage: stage.into(), seconds })
            .to_vec(),
        files: vec![
            OutputFile { path: path.clone(), what: "the model".into(), bytes: Some(1_340_000) },
            OutputFile { path: format!("runs/{name}/report.html"), what: "this report as a page".into(), bytes: None },
        ],
        next: vec![
            step(&format!("cupola predict {path} new.csv"), "answer rows of a file"),
            step(&format!("cupola serve {path}"), "answer over HTTP"),
        ],
        reproduce: vec![step(&format!("cupola train runs/{name}/run.toml"), "the same model, byte for byte")],
        settings: vec![
            setting("data.train", "\"adult.csv.gz\"", Origin::Flag, None),
            setting("leaks", "\"deny\"", Origin::Default, None),
            setting("model.num_leaves", "31", Origin::Default, None),
            setting("model.n_estimators", "212", Origin::Auto, Some("early stopping on validation rows")),
        ],
        ..Report::default()
    }
}

/// A sound model of two classes.
pub(super) fn binary() -> Report {
    let mut target = TargetReport::new("income", Task::Classify);
    target.main = "roc_auc".into();
    target.baseline = "always <=50K".into();
    target.classes = vec!["<=50K".into(), ">50K".into()];
    target.positive = Some(">50K".into());
    target.class_rows = vec![22_248, 7056];
    target.scores = vec![
        score("accuracy", Better::Higher, 1.0, [0.8731, 0.868, 0.878], 0.7638, 0.889),
        score("roc_auc", Better::Higher, 1.0, [0.927_14, 0.9229, 0.9312], 0.5, 0.9428),
        score("f1", Better::Higher, 1.0, [0.7123, 0.7, 0.7241], 0.0, 0.75),
        score("log_loss", Better::Lower, 0.0, [0.2794, 0.2713, 0.2877], 0.5466, 0.247),
        score("calibration_error", Better::Lower, 0.0, [0.0081, 0.0052, 0.0129], 0.0, 0.006),
    ];
    target.per_class = vec![class("<=50K", 12_435, 0.8959, 0.9431), class(">50K", 3846, 0.7811, 0.6544)];
    target.confusion = Some(Confusion { classes: target.classes.clone(), counts: vec![vec![11_728.0, 707.0], vec![1329.0, 2517.0]] });
    target.roc = vec![roc_curve(">50K", 0.9271, 0.08)];
    target.precision_recall = vec![recall_curve(">50K", 0.83, 0.24)];
    let bins = (0..10).map(|i| 0.05 + 0.1 * f64::from(i));
    target.calibration = vec![Calibration {
        class: ">50K".into(),
        bins: bins.map(|p| Bin { predicted: p, observed: (p * 1.01).min(1.0), rows: (5000.0 * (1.0 - p).powi(3)) as u64 + 300 }).collect(),
    }];
    target.permutation =
        Some(Permutation { measure: "roc_auc".into(), repeats: 5, side: "valid".into(), columns: importance(), left_out: vec![] });
    target.thresholds = vec![
        Threshold { purpose: "default".into(), threshold: 0.5, precision: 0.781, recall: 0.654, f1: 0.712, used: true },
        Threshold {
            purpose: "best f1 on validation rows".into(),
            threshold: 0.41,
            precision: 0.716,
            recall: 0.747,
            f1: 0.731,
            used: false,
        },
    ];
    let mut report = run("0007-adult-gbdt", "gbdt");
    report.data = DataSummary {
        files: vec![
            DataFile { path: "adult.csv.gz".into(), purpose: "data".into(), rows_read: 32_561, ..DataFile::default() },
            DataFile { path: "adult.test.csv.gz".into(), purpose: "test".into(), rows_read: 16_281, ..DataFile::default() },
        ],
        split: "the test file; 90/10 of the data stratified by income".into(),
        rows: SplitRows { train: 29_304, valid: 3257, test: 16_281, out: 0 },
        made: vec![],
        columns: vec![
            column("age", "number", "input", "all values are numbers", 0, 73),
            column("workclass", "category", "input", "9 different words", 1836, 9),
            column("income", "category", "target", "named by target=", 0, 2),
        ],
    };
    report.findings = vec![Finding {
        check: "single_feature".into(),
        severity: Severity::Note,
        column: Some("capital_gain".into()),
        rows: vec![],
        rows_total: 0,
        sentence: "capital_gain alone reaches roc_auc 0.59".into(),
        remedy: "nothing, if it is known before the answer".into(),
    }];
    report.leaderboard = Some(leaderboard());
    report.targets = vec![target];
    let row = serde_json::json!({"age": 39, "workclass": "State-gov", "note": "it's"});
    report.example = row.as_object().cloned();
    report
}

fn importance() -> Vec<Importance> {
    [
        ("relationship", 0.061),
        ("capital_gain", 0.048),
        ("age", 0.0312),
        ("education", 0.021),
        ("hours_per_week", 0.0095),
        ("fnlwgt", -0.0004),
    ]
    .map(|(name, drop)| Importance { column: name.into(), drop: Measure::new(drop, drop - 0.003, drop + 0.003) })
    .to_vec()
}

fn leaderboard() -> Leaderboard {
    let candidate = |model: &str, settings: &str, mean: f64, seconds: f64| Candidate {
        model: model.into(),
        settings: settings.into(),
        mean,
        deviation: 0.0031,
        seconds,
        chosen: model == "gbdt",
        note: mean.is_nan().then(|| "out of time".into()),
    };
    let candidates = vec![
        candidate("gbdt", "learning_rate=0.05 num_leaves=31", 0.9284, 8.2),
        candidate("forest", "", 0.9171, 12.5),
        candidate("logistic", "C=1", 0.9062, 2.1),
        candidate("extra_trees", "", f64::NAN, 0.4),
    ];
    Leaderboard { measure: "roc_auc".into(), better: Better::Higher, folds: 5, candidates }
}

/// Three classes, one of them rare and hard, few test rows, a suspected leak.
pub(super) fn multiclass() -> Report {
    let mut target = TargetReport::new("species", Task::Classify);
    target.main = "balanced_accuracy".into();
    target.baseline = "always oak".into();
    target.classes = vec!["oak".into(), "beech".into(), "elm".into()];
    target.class_rows = vec![420, 310, 14];
    target.scores = vec![
        score("balanced_accuracy", Better::Higher, 1.0, [0.64, 0.52, 0.75], 0.3333, 0.99),
        score("accuracy", Better::Higher, 1.0, [0.86, 0.77, 0.92], 0.56, 1.0),
        Score { difference: None, baseline: None, ..score("roc_auc_ovr", Better::Higher, 1.0, [f64::NAN; 3], 0.5, 1.0) },
    ];
    target.per_class = vec![class("oak", 52, 0.9, 0.88), class("beech", 38, 0.83, 0.87), class("elm", 3, 0.33, 0.33)];
    let counts = vec![vec![46.0, 5.0, 1.0], vec![4.0, 33.0, 1.0], vec![1.0, 1.0, 1.0]];
    target.confusion = Some(Confusion { classes: target.classes.clone(), counts });
    target.roc = vec![roc_curve("oak", 0.94, 0.1), roc_curve("beech", 0.9, 0.2), roc_curve("elm", 0.7, 0.5)];
    let mut report = run("0008-trees-forest", "forest");
    report.data.rows = SplitRows { train: 744, valid: 93, test: 93, out: 2 };
    report.data.split = "random, 80/10/10".into();
    report.data.files =
        vec![DataFile { path: "trees.csv".into(), purpose: "data".into(), rows_read: 932, rows_skipped: 3, hash: Some("b3:9f2c".into()) }];
    report.data.columns = vec![
        column("id_code", "id", "ignored", "every row differs", 0, 932),
        column("species", "category", "target", "named by target=", 2, 3),
    ];
    report.warnings = vec!["2 rows have no target and were left out".into()];
    report.findings = vec![Finding {
        check: "duplicate_rows".into(),
        severity: Severity::Warn,
        column: None,
        rows: vec![17, 512],
        rows_total: 2,
        sentence: "2 test rows are copies of training rows".into(),
        remedy: "drop them: data.clean.duplicates=drop".into(),
    }];
    report.targets = vec![target];
    report
}

/// Numbers, with a measure of which less is better.
pub(super) fn regression() -> Report {
    let mut target = TargetReport::new("price", Task::Regress);
    target.main = "rmse".into();
    target.baseline = "the mean".into();
    target.scores = vec![
        score("rmse", Better::Lower, 0.0, [48_231.0, 45_120.0, 51_400.0], 115_300.0, 41_000.0),
        score("mae", Better::Lower, 0.0, [31_877.0, 30_200.0, 33_600.0], 91_170.0, 27_900.0),
        score("r2", Better::Higher, 1.0, [0.8251, 0.803, 0.8461], -0.0002, 0.8734),
    ];
    let answers: Vec<f64> = (0..2064).map(|i| 60_000.0 + f64::from(i * 7919 % 2064) * 200.0).collect();
    let truth: Vec<f64> =
        (answers.iter().enumerate()).map(|(i, answer)| answer + ((i * 104_729 % 2000) as f64 / 1000.0 - 1.0).powi(3) * 100_000.0).collect();
    target.residuals = Some(residuals(&truth, &answers));
    let mut report = run("0009-homes-gbdt", "gbdt");
    report.data.rows = SplitRows { train: 16_512, valid: 2064, test: 2064, out: 0 };
    report.data.files = vec![DataFile { path: "homes.parquet".into(), purpose: "data".into(), rows_read: 20_640, ..DataFile::default() }];
    report.data.columns = vec![column("price", "number", "target", "named by target=", 0, 3842)];
    report.statement.intended_use = Some("estimates for *internal* planning".into());
    report.targets = vec![target];
    report
}

/// A network on images: curves, pictures, some of them wrong.
pub(super) fn pictures() -> Report {
    let mut target = TargetReport::new("label", Task::Classify);
    target.main = "accuracy".into();
    target.baseline = "always 7".into();
    target.classes = vec!["1".into(), "7".into(), "<b>9</b>".into()];
    target.class_rows = vec![500, 520, 480];
    target.scores = vec![score("accuracy", Better::Higher, 1.0, [0.968, 0.957, 0.977], 0.35, 0.991)];
    let counts = vec![vec![97.0, 2.0, 1.0], vec![1.0, 101.0, 2.0], vec![0.0, 3.0, 93.0]];
    target.confusion = Some(Confusion { classes: target.classes.clone(), counts });
    let point = |epoch: u32| {
        let done = f64::from(epoch);
        HistoryPoint {
            epoch: done,
            step: u64::from(epoch) * 12,
            seconds: done * 0.8,
            rate: 0.05 * (1.0 + (done / 20.0 * std::f64::consts::PI).cos()),
            train_loss: 0.02 + 2.2 * (-done / 4.0).exp(),
            valid_loss: 0.09 + 2.0 * (-done / 4.0).exp() + 0.003 * (done - 12.0).max(0.0),
            valid_score: 0.97 - 0.8 * (-done / 3.0).exp(),
        }
    };
    target.history = Some(History { watched: "accuracy".into(), points: (1..=20).map(point).collect(), best_epoch: Some(14.0) });
    let picture = |number: u8, truth: &str, answer: &str, probability: f64| {
        let stroke = |place: u32| if (place % 14).abs_diff(3 + u32::from(number)) < 2 { 230 } else { 12 };
        let pixels = (0..14 * 14).map(stroke).collect();
        let png = cupola_data::Thumbnail { height: 14, width: 14, channels: 1, pixels }.png().expect("a picture is a PNG file");
        let place = format!("t10k-images, row {number}");
        Picture { place, truth: truth.into(), answer: answer.into(), probability, loss: 4.0 - f64::from(number), png }
    };
    target.pictures = Some(Pictures {
        column: "image".into(),
        wrong: 9,
        samples: vec![picture(4, "1", "1", 0.998), picture(5, "7", "7", 0.87), picture(6, "<b>9</b>", "<b>9</b>", 0.6)],
        mistakes: vec![picture(1, "7", "1", 0.991), picture(2, "<b>9</b>", "7", 0.93), picture(3, "1", "7", 0.55)],
    });
    target.permutation = None;
    let mut report = run("0010-digits-lenet5", "lenet5");
    report.data.rows = SplitRows { train: 1500, valid: 150, test: 300, out: 0 };
    report.data.split = "random, 77/8/15".into();
    report.data.files = vec![DataFile { path: "digits/".into(), purpose: "data".into(), rows_read: 1950, ..DataFile::default() }];
    report.data.columns = vec![
        column("image", "image", "input", "images of 28x28 pixels", 0, 1950),
        column("label", "category", "target", "named by target=", 0, 3),
    ];
    report.targets = vec![target];
    report
}

/// The two-class model with everything that an audit tells.
pub(super) fn audited() -> Report {
    let named = |name: &str, value: [f64; 3]| NamedMeasure { name: name.into(), measure: Measure::new(value[0], value[1], value[2]) };
    let mut report = binary();
    let target = &mut report.targets[0];
    let calibration = Calibration { class: ">50K".into(), bins: target.calibration[0].bins.clone() };
    target.postprocessing = Some(Postprocessing {
        learned_on: "validation rows".into(),
        rows: 3257,
        calibration: Some(CalibrationChange {
            asked: "auto".into(),
            method: "isotonic".into(),
            before: vec![named("log_loss", [0.2911, 0.283, 0.3]), named("calibration_error", [0.0212, 0.017, 0.026])],
            after: vec![named("log_loss", [0.2794, 0.2713, 0.2877]), named("calibration_error", [0.0081, 0.0052, 0.0129])],
            curve_before: calibration,
        }),
        rule: Some(ChosenRule { asked: "best f1".into(), threshold: 0.4112, costs: vec![vec![0.0, 1.0], vec![5.0, 0.0]] }),
        coverage: Some(Coverage {
            method: "lac".into(),
            promised: 0.9,
            share: Measure::new(0.9031, 0.8984, 0.9075),
            width: 1.08,
            split_width: None,
            sizes: vec![SetSize { classes: 1, rows: 14_900 }, SetSize { classes: 2, rows: 1381 }],
        }),
    });
    let group = |name: &str, rows: u64, rate: f64| Group {
        values: vec![name.into()],
        rows,
        train_rows: 2 * rows,
        train_label: rate,
        measures: vec![named("selection_rate", [rate, rate - 0.01, rate + 0.01]), named("true_positive_rate", [0.6, 0.55, 0.65])],
    };
    target.groups = vec![GroupReport {
        columns: vec!["sex".into()],
        groups: vec![group("Male", 10_860, 0.26), group("Female", 5421, 0.08)],
        gaps: vec![named("demographic_parity_difference", [0.18, 0.169, 0.191]), named("equalized_odds_difference", [0.09, 0.05, 0.13])],
        left_out: 0,
    }];
    target.slices = Some(SliceReport {
        loss: "log_loss".into(),
        measure: "roc_auc".into(),
        overall: Measure::new(0.9271, 0.9229, 0.9312),
        tried: 1713,
        rows_min: 162,
        level: 0.05,
        p_value: 0.01,
        slices: vec![WorstSlice {
            parts: vec![["relationship".into(), "= Husband".into()], ["education_num".into(), "13 to 16".into()]],
            rows: 2001,
            loss: 0.512,
            rest: 0.241,
            p_value: 0.01,
            measures: vec![named("roc_auc", [0.7912, 0.77, 0.81])],
        }],
    });
    target.cross_validation = Some(CrossValidation {
        folds: 3,
        repeats: 1,
        ratio: 0.5,
        dealt: "4f1c".into(),
        chosen: vec![],
        measures: vec![FoldMeasure {
            name: "roc_auc".into(),
            better: Better::Higher,
            mean: 0.9261,
            deviation: 0.0021,
            interval: Some(Measure::new(0.9261, 0.9213, 0.9309)),
            folds: [0.9283, 0.9242, 0.9258].map(Measure::exact).to_vec(),
        }],
    });
    report.gates = vec![
        GateResult {
            key: "slice.worst.roc_auc".into(),
            target: "income".into(),
            measured: Measure::new(0.7912, 0.77, 0.81),
            of: "relationship = Husband and education_num 13 to 16".into(),
            wanted: ">= 0.8".into(),
            holds: false,
            is_clear: false,
        },
        GateResult {
            key: "f1".into(),
            target: "income".into(),
            measured: Measure::new(0.7123, 0.7, 0.7241),
            of: String::new(),
            wanted: ">= 0.6".into(),
            holds: true,
            is_clear: true,
        },
    ];
    report.data.columns.push(ColumnSummary {
        prepared: Some("as year, month, weekday; as it is".into()),
        ..column("hired", "date", "input", "dates", 650, 300)
    });
    report
}

/// Many columns and classes, all with names that try to break out of a page, a table or a terminal.
pub(super) fn hostile(columns: usize, classes: usize) -> Report {
    const ATTACKS: [&str; 8] = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "a|b\n| c |",
        "\u{1b}[31mred\u{1b}]0;title\u{7}",
        "\u{202e}desrever",
        "]]></style><b>&amp;",
        "```\n# heading",
        "'; DROP TABLE rows; --\0",
    ];
    let name = |i: usize| format!("{}{i}{}", ATTACKS[i % ATTACKS.len()], "x".repeat(i % 300));
    let mut report = audited();
    report.name = name(0);
    report.gates = report.gates.into_iter().map(|gate| GateResult { key: name(1), target: name(2), of: name(3), ..gate }).collect();
    report.data.columns = (0..columns).map(|i| column(&name(i), "number", "input", &name(i + 1), 3, 9)).collect();
    report.warnings = (0..columns).map(name).collect();
    report.settings.extend((0..columns).map(|i| setting(&name(i), &name(i + 2), Origin::Flag, Some(&name(i + 3)))));
    report.findings = (0..columns.min(1000))
        .map(|i| Finding { column: Some(name(i)), severity: Severity::Warn, sentence: name(i), ..report.findings[0].clone() })
        .collect();
    report.example = Some(serde_json::Map::from_iter([(name(1), serde_json::Value::from(name(2)))]));
    let mut target = report.targets[0].clone();
    target.name = name(5);
    for (place, group) in target.groups[0].groups.iter_mut().enumerate() {
        group.values = vec![name(place)];
    }
    target.groups = vec![target.groups[0].clone(); 20];
    if let Some(slices) = &mut target.slices {
        slices.slices[0].parts = vec![[name(1), name(2)], [name(3), name(4)]];
        slices.slices = vec![slices.slices[0].clone(); 12];
    }
    target.classes = (0..classes).map(name).collect();
    target.class_rows = (0..classes as u64).collect();
    target.per_class = (0..classes).map(|i| class(&name(i), i as u64, 0.5, 0.5)).collect();
    target.confusion = Some(Confusion {
        classes: target.classes.clone(),
        counts: (0..classes).map(|i| (0..classes).map(|j| ((i * j) % 97) as f64).collect()).collect(),
    });
    target.roc = (0..classes).map(|i| roc_curve(&name(i), 0.9, 0.1)).collect();
    target.precision_recall = (0..classes).map(|i| recall_curve(&name(i), 0.9, 0.1)).collect();
    target.residuals = Some(residuals(&(0..5000).map(|i| f64::from(i % 71)).collect::<Vec<_>>(), &[1.0; 5000]));
    target.permutation = Some(Permutation {
        measure: "roc_auc".into(),
        repeats: 3,
        side: "test".into(),
        columns: (0..columns).map(|i| Importance { column: name(i), drop: Measure::new(0.1, f64::NAN, f64::INFINITY) }).collect(),
        left_out: (0..columns.min(20)).map(name).collect(),
    });
    report.targets = vec![target; 30];
    report
}

fn residuals(truth: &[f64], answers: &[f64]) -> Residuals {
    let role = cupola_task::Role::Target(Task::Regress);
    let field = cupola_task::Field { name: "y".into(), kind: cupola_task::Kind::Number, role };
    let truth = cupola_task::Column::Array(std::sync::Arc::new(arrow_array::Float64Array::from(truth.to_vec())));
    let none = cupola_task::Columns::default();
    let view = cupola_task::View { truth: Some(&truth), weight: None, inputs: &none, keys: &none };
    let answer = cupola_task::Answer::Numbers { values: answers.to_vec(), range: None };
    cupola_metrics::residuals(&field, &answer, view).expect("the fixture has rows").into()
}
