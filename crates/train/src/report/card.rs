//! The model card, in Markdown: what is known about the model, and "not stated" for what only a person can say.
//!
//! The headings follow M. Mitchell et al., "Model Cards for Model Reporting", 2019.

use super::card_audit::audit;
use super::names::{markdown, plural, shell, shown};
use super::numbers::{count, decimals, fixed, percent, signed, signed_interval, with_interval};
use super::report::{ColumnSummary, Origin, Report, Score, TargetReport};
use super::verdict::{Level, Side, rows_phrase, verdict};
use cupola_task::Task;

/// Names in the card are cut to this many characters, sentences to [`SENTENCE`].
const NAME: usize = 80;
const SENTENCE: usize = 1000;
/// Columns, classes, settings listed.
const COLUMNS_MAX: usize = 60;
const CLASSES_MAX: usize = 30;
const SETTINGS_MAX: usize = 100;
/// Targets described.
const TARGETS_MAX: usize = 8;

/// Writes the model card.
pub fn card(report: &Report) -> String {
    let before = [opening(report), what(report), intended(report), data(report), scores(report)];
    let after = [limits(report), usage(report), reproduce(report)];
    before.into_iter().chain(audit(report)).chain(after).collect::<Vec<_>>().join("\n")
}

fn opening(report: &Report) -> String {
    let verdict = verdict(report);
    let evidence = if verdict.evidence.is_empty() { String::new() } else { format!(" {}.", markdown(&verdict.evidence, SENTENCE)) };
    format!("# {}\n\n{}{evidence}\n", markdown(&report.name, NAME), markdown(&verdict.headline, SENTENCE))
}

fn what(report: &Report) -> String {
    let mut text = format!("## Model\n\n- Model: {}\n", markdown(&report.model, NAME));
    for target in report.targets.iter().take(TARGETS_MAX) {
        text.push_str(&format!("- Answers: {}\n", answers(target)));
    }
    if report.targets.len() > TARGETS_MAX {
        text.push_str(&format!("- and {} more targets\n", report.targets.len() - TARGETS_MAX));
    }
    text + &format!("- Made with: Cupola {}\n", markdown(&report.cupola, NAME))
}

fn answers(target: &TargetReport) -> String {
    let name = markdown(&target.name, NAME);
    match target.task {
        Task::Classify => {
            let classes: Vec<String> = target.classes.iter().take(10).map(|class| markdown(class, NAME)).collect();
            let more = if target.classes.len() > 10 { format!(" and {} more", target.classes.len() - 10) } else { String::new() };
            let positive = target.positive.as_ref().map(|class| format!("; positive: {}", markdown(class, NAME))).unwrap_or_default();
            format!("{name}, one of {} ({}{more}{positive})", plural(target.classes.len() as u64, "class"), classes.join(", "))
        }
        Task::Regress => format!("{name}, a number"),
        _ => name,
    }
}

fn intended(report: &Report) -> String {
    let statement = &report.statement;
    let entries = [
        ("Intended use", &statement.intended_use),
        ("Not for", &statement.limits),
        ("Licence", &statement.licence),
        ("Contact", &statement.contact),
    ];
    let lines: String = entries
        .iter()
        .map(|(what, said)| format!("- {what}: {}\n", said.as_ref().map_or("not stated".to_owned(), |said| markdown(said, SENTENCE))))
        .collect();
    format!("## Use and licence\n\n{lines}")
}

fn data(report: &Report) -> String {
    let data = &report.data;
    let mut text = "## Data\n\n".to_owned();
    for file in &data.files {
        let skipped = if file.rows_skipped > 0 { format!(", {} left out", count(file.rows_skipped)) } else { String::new() };
        let hash = file.hash.as_ref().map(|hash| format!(", {}", markdown(hash, NAME))).unwrap_or_default();
        let rows = plural(file.rows_read, "row");
        text.push_str(&format!("- {} ({}): {rows}{skipped}{hash}\n", markdown(&file.path, 200), markdown(&file.purpose, NAME)));
    }
    let split = if data.split.is_empty() { "not stated".to_owned() } else { markdown(&data.split, SENTENCE) };
    text.push_str(&format!("- Rows: {}\n- Split: {split}\n- Columns: {}\n\n", rows_phrase(report), count(data.columns.len() as u64)));
    data.made.iter().for_each(|made| text.push_str(&format!("{}.\n\n", markdown(made, SENTENCE))));
    text.push_str("| column | type | role | missing | distinct |\n|---|---|---|---:|---:|\n");
    let total = data.files.iter().map(|file| file.rows_read).sum();
    data.columns.iter().take(COLUMNS_MAX).for_each(|column| text.push_str(&column_line(column, total)));
    text + &more(data.columns.len(), COLUMNS_MAX, "columns")
}

fn column_line(column: &ColumnSummary, total: u64) -> String {
    let missing = match column.missing {
        0 => "0".to_owned(),
        missing => format!("{} ({})", count(missing), percent(missing as f64 / total as f64)),
    };
    let distinct = column.distinct.map_or(String::new(), count);
    format!(
        "| {} | {} | {} | {missing} | {distinct} |\n",
        markdown(&column.name, NAME),
        markdown(&column.kind, NAME),
        markdown(&column.role, NAME)
    )
}

fn more(all: usize, max: usize, what: &str) -> String {
    if all > max { format!("\nand {} more {what}; all are in report.json\n", all - max) } else { String::new() }
}

fn scores(report: &Report) -> String {
    let mut text = format!("## Scores on {}, with 95 % intervals\n", plural(report.data.rows.test, "test row"));
    for list in &report.labels {
        text.push_str(&format!("\n### {}\n\n{}.\n\n", markdown(&list.name, NAME), markdown(&list.phrase(), SENTENCE)));
        text.push_str("| measure | test | baseline | difference | |\n|---|---:|---:|---:|---|\n");
        list.scores.iter().for_each(|score| text.push_str(&score_line(score)));
    }
    for target in report.targets.iter().take(TARGETS_MAX) {
        text.push_str(&format!("\n### {}\n\n", markdown(&target.name, NAME)));
        if !target.baseline.is_empty() {
            text.push_str(&format!("The baseline answers {}.\n\n", markdown(&target.baseline, NAME)));
        }
        text.push_str("| measure | test | baseline | difference | |\n|---|---:|---:|---:|---|\n");
        target.scores.iter().for_each(|score| text.push_str(&score_line(score)));
        text.push_str(&class_table(target));
    }
    text
}

fn score_line(score: &Score) -> String {
    let digits = decimals(score.test);
    let baseline = score.baseline.map_or(String::new(), |baseline| fixed(baseline.value, digits));
    let difference = score.difference.map_or(String::new(), |difference| match difference.has_interval() {
        true => format!("{} ({})", signed(difference.value, digits), signed_interval(difference, digits)),
        false => signed(difference.value, digits),
    });
    format!(
        "| {} | {} | {baseline} | {difference} | {} |\n",
        markdown(&score.name, NAME),
        with_interval(score.test),
        Side::of(score).word()
    )
}

fn class_table(target: &TargetReport) -> String {
    if target.per_class.is_empty() {
        return String::new();
    }
    let mut text = "\n| class | test rows | precision | recall | f1 |\n|---|---:|---:|---:|---:|\n".to_owned();
    for class in target.per_class.iter().take(CLASSES_MAX) {
        let cells = [class.precision, class.recall, class.f1].map(with_interval).join(" | ");
        text.push_str(&format!("| {} | {} | {cells} |\n", markdown(&class.class, NAME), count(class.rows)));
    }
    text + &more(target.per_class.len(), CLASSES_MAX, "classes")
}

fn limits(report: &Report) -> String {
    let mut text = "## What the run found\n\n".to_owned();
    for remark in verdict(report).remarks {
        let target = remark.target.map(|target| format!("{}: ", markdown(&target, NAME))).unwrap_or_default();
        let evidence = if remark.evidence.is_empty() { String::new() } else { format!(" ({})", markdown(&remark.evidence, SENTENCE)) };
        let mark = if remark.level >= Level::Warn { "**Look:** " } else { "" };
        text.push_str(&format!("- {mark}{target}{}{evidence}\n", markdown(&remark.sentence, SENTENCE)));
    }
    report.warnings.iter().take(20).for_each(|warning| text.push_str(&format!("- Warning: {}\n", markdown(warning, SENTENCE))));
    text + "\nScores hold for rows like the test rows; rows from another place or time may be answered worse.\n"
}

fn usage(report: &Report) -> String {
    let path = shown(&report.model_path, 400);
    let word = shell(&path);
    let row = report.example.clone().map_or("{ ... }".to_owned(), |row| serde_json::Value::Object(row).to_string());
    let body = shell(&format!("{{\"rows\":[{}]}}", shown(&row, 4000)));
    format!(
        "## How to use it\n\nOn the command line:\n\n```sh\ncupola predict {word} rows.csv > answers.csv\n```\n\n\
         Over HTTP:\n\n```sh\ncupola serve {word}\ncurl -s http://127.0.0.1:8000/predict -H 'content-type: application/json' -d {body}\n```\n\n\
         In Rust:\n\n```rust\nlet model = cupola::open({path:?})?;\nlet answers = model.predict(&columns)?;\n```\n"
    )
}

fn reproduce(report: &Report) -> String {
    let mut text = "## Make it again\n\n".to_owned();
    if report.reproduce.is_empty() {
        text.push_str("not stated\n");
    } else {
        let commands: String =
            report.reproduce.iter().map(|step| format!("{}  # {}\n", shown(&step.command, 1000), shown(&step.purpose, NAME))).collect();
        text.push_str(&format!("```sh\n{commands}```\n"));
    }
    let said: Vec<_> = report.settings.iter().filter(|setting| setting.origin != Origin::Default).collect();
    if !said.is_empty() {
        text.push_str("\nSettings that are not defaults:\n\n| key | value | from |\n|---|---|---|\n");
        for setting in said.iter().take(SETTINGS_MAX) {
            let cells = [&setting.key, &setting.value].map(|cell| markdown(cell, 200)).join(" | ");
            text.push_str(&format!("| {cells} | {} |\n", setting.origin.word()));
        }
        text.push_str(&more(said.len(), SETTINGS_MAX, "settings"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;
    use expect_test::expect;

    #[test]
    fn two_classes() {
        expect![[r##"
            # 0007-adult-gbdt

            The model answers income better than the baseline (always &lt;=50K). roc\_auc 0.9271 (95 % interval 0.9229 to 0.9312), baseline 0.5000.

            ## Model

            - Model: gbdt
            - Answers: income, one of 2 classes (&lt;=50K, &gt;50K; positive: &gt;50K)
            - Made with: Cupola 0.1.0

            ## Use and licence

            - Intended use: not stated
            - Not for: not stated
            - Licence: not stated
            - Contact: not stated

            ## Data

            - adult.csv.gz (data): 32 561 rows
            - adult.test.csv.gz (test): 16 281 rows
            - Rows: 29 304 train, 3 257 valid, 16 281 test
            - Split: the test file; 90/10 of the data stratified by income
            - Columns: 3

            | column | type | role | missing | distinct |
            |---|---|---|---:|---:|
            | age | number | input | 0 | 73 |
            | workclass | category | input | 1 836 (3.8 %) | 9 |
            | income | category | target | 0 | 2 |

            ## Scores on 16 281 test rows, with 95 % intervals

            ### income

            The baseline answers always &lt;=50K.

            | measure | test | baseline | difference | |
            |---|---:|---:|---:|---|
            | accuracy | 0.8731 (0.8680 to 0.8780) | 0.7638 | +0.1093 (+0.1042 to +0.1142) | better |
            | roc\_auc | 0.9271 (0.9229 to 0.9312) | 0.5000 | +0.4271 (+0.4229 to +0.4312) | better |
            | f1 | 0.712 (0.700 to 0.724) | 0.000 | +0.712 (+0.700 to +0.724) | better |
            | log\_loss | 0.2794 (0.2713 to 0.2877) | 0.5466 | -0.2672 (-0.2753 to -0.2589) | better |
            | calibration\_error | 0.0081 (0.0052 to 0.0129) | 0.0000 | +0.0081 (+0.0052 to +0.0129) | worse |

            | class | test rows | precision | recall | f1 |
            |---|---:|---:|---:|---:|
            | &lt;=50K | 12 435 | 0.896 (0.876 to 0.916) | 0.943 (0.923 to 0.963) | 0.919 (0.899 to 0.939) |
            | &gt;50K | 3 846 | 0.781 (0.761 to 0.801) | 0.654 (0.634 to 0.674) | 0.712 (0.692 to 0.732) |

            ## What the run found

            - It fits training rows better than test rows, which most models do; the loss is small beside the gain. (roc\_auc 0.9428 on training rows, 0.9271 (0.9229 to 0.9312) on test rows; 3.5 % of the gain over the baseline is lost)
            - Values are missing in 1 input; they were filled in, or left to the model. (workclass 5.6 %)
            - It beats the baseline: the whole interval of the difference is on the good side. (roc\_auc 0.9271 (95 % interval 0.9229 to 0.9312), baseline 0.5000, difference +0.4271 (+0.4229 to +0.4312))
            - Probabilities agree with what happens, as far as the test rows tell. (mean gap 0.003, 0 % of test rows in bins that are off)
            - The leak check found nothing that gives the answer away.

            Scores hold for rows like the test rows; rows from another place or time may be answered worse.

            ## How to use it

            On the command line:

            ```sh
            cupola predict runs/0007-adult-gbdt/model.cupola rows.csv > answers.csv
            ```

            Over HTTP:

            ```sh
            cupola serve runs/0007-adult-gbdt/model.cupola
            curl -s http://127.0.0.1:8000/predict -H 'content-type: application/json' -d '{"rows":[{"age":39,"workclass":"State-gov","note":"it'\''s"}]}'
            ```

            In Rust:

            ```rust
            let model = cupola::open("runs/0007-adult-gbdt/model.cupola")?;
            let answers = model.predict(&columns)?;
            ```

            ## Make it again

            ```sh
            cupola train runs/0007-adult-gbdt/run.toml  # the same model, byte for byte
            ```

            Settings that are not defaults:

            | key | value | from |
            |---|---|---|
            | data.train | "adult.csv.gz" | flag |
            | model.n\_estimators | 212 | auto |
        "##]].assert_eq(&card(&fixtures::binary()));
    }

    #[test]
    fn many_classes() {
        expect![[r##"
            # 0008-trees-forest

            The model answers species better than the baseline (always oak). balanced\_accuracy 0.64 (95 % interval 0.52 to 0.75), baseline 0.33.

            ## Model

            - Model: forest
            - Answers: species, one of 3 classes (oak, beech, elm)
            - Made with: Cupola 0.1.0

            ## Use and licence

            - Intended use: not stated
            - Not for: not stated
            - Licence: not stated
            - Contact: not stated

            ## Data

            - trees.csv (data): 932 rows, 3 left out, b3:9f2c
            - Rows: 744 train, 93 valid, 93 test, 2 left out
            - Split: random, 80/10/10
            - Columns: 2

            | column | type | role | missing | distinct |
            |---|---|---|---:|---:|
            | id\_code | id | ignored | 0 | 932 |
            | species | category | target | 2 (0.2 %) | 3 |

            ## Scores on 93 test rows, with 95 % intervals

            ### species

            The baseline answers always oak.

            | measure | test | baseline | difference | |
            |---|---:|---:|---:|---|
            | balanced\_accuracy | 0.64 (0.52 to 0.75) | 0.33 | +0.31 (+0.19 to +0.42) | better |
            | accuracy | 0.860 (0.770 to 0.920) | 0.560 | +0.300 (+0.210 to +0.360) | better |
            | roc\_auc\_ovr | undefined |  |  |  |

            | class | test rows | precision | recall | f1 |
            |---|---:|---:|---:|---:|
            | oak | 52 | 0.900 (0.880 to 0.920) | 0.880 (0.860 to 0.900) | 0.890 (0.870 to 0.910) |
            | beech | 38 | 0.830 (0.810 to 0.850) | 0.870 (0.850 to 0.890) | 0.850 (0.830 to 0.870) |
            | elm | 3 | 0.330 (0.310 to 0.350) | 0.330 (0.310 to 0.350) | 0.330 (0.310 to 0.350) |

            ## What the run found

            - **Look:** It overfits: much of what it gains on training rows is lost on test rows. (balanced\_accuracy 0.99 on training rows, 0.64 (0.52 to 0.75) on test rows; 53 % of the gain over the baseline is lost)
            - **Look:** Classes differ much in size, and the smallest is missed more often than found. Accuracy alone says little. (1.9 % of training rows are elm; its recall on test rows is 0.330 (0.310 to 0.350))
            - **Look:** Few test rows: take every score as a rough one. (93 test rows)
            - **Look:** 2 test rows are copies of training rows (duplicate\_rows, 2 rows)
            - It beats the baseline: the whole interval of the difference is on the good side. (balanced\_accuracy 0.64 (95 % interval 0.52 to 0.75), baseline 0.33, difference +0.31 (+0.19 to +0.42))
            - Warning: 2 rows have no target and were left out

            Scores hold for rows like the test rows; rows from another place or time may be answered worse.

            ## How to use it

            On the command line:

            ```sh
            cupola predict runs/0008-trees-forest/model.cupola rows.csv > answers.csv
            ```

            Over HTTP:

            ```sh
            cupola serve runs/0008-trees-forest/model.cupola
            curl -s http://127.0.0.1:8000/predict -H 'content-type: application/json' -d '{"rows":[{ ... }]}'
            ```

            In Rust:

            ```rust
            let model = cupola::open("runs/0008-trees-forest/model.cupola")?;
            let answers = model.predict(&columns)?;
            ```

            ## Make it again

            ```sh
            cupola train runs/0008-trees-forest/run.toml  # the same model, byte for byte
            ```

            Settings that are not defaults:

            | key | value | from |
            |---|---|---|
            | data.train | "adult.csv.gz" | flag |
            | model.n\_estimators | 212 | auto |
        "##]].assert_eq(&card(&fixtures::multiclass()));
    }

    #[test]
    fn numbers() {
        expect![[r##"
            # 0009-homes-gbdt

            The model answers price better than the baseline (the mean). rmse 48 231 (95 % interval 45 120 to 51 400), baseline 115 300; lower is better.

            ## Model

            - Model: gbdt
            - Answers: price, a number
            - Made with: Cupola 0.1.0

            ## Use and licence

            - Intended use: estimates for \*internal\* planning
            - Not for: not stated
            - Licence: not stated
            - Contact: not stated

            ## Data

            - homes.parquet (data): 20 640 rows
            - Rows: 16 512 train, 2 064 valid, 2 064 test
            - Split: not stated
            - Columns: 1

            | column | type | role | missing | distinct |
            |---|---|---|---:|---:|
            | price | number | target | 0 | 3 842 |

            ## Scores on 2 064 test rows, with 95 % intervals

            ### price

            The baseline answers the mean.

            | measure | test | baseline | difference | |
            |---|---:|---:|---:|---|
            | rmse | 48 231 (45 120 to 51 400) | 115 300 | -67 069 (-70 180 to -63 900) | better |
            | mae | 31 877 (30 200 to 33 600) | 91 170 | -59 293 (-60 970 to -57 570) | better |
            | r2 | 0.825 (0.803 to 0.846) | 0.000 | +0.825 (+0.803 to +0.846) | better |

            ## What the run found

            - It fits training rows better than test rows, which most models do; the loss is small beside the gain. (rmse 41 000 on training rows, 48 231 (45 120 to 51 400) on test rows; 9.7 % of the gain over the baseline is lost)
            - It beats the baseline: the whole interval of the difference is on the good side. (rmse 48 231 (95 % interval 45 120 to 51 400), baseline 115 300, difference -67 069 (-70 180 to -63 900); lower is better)
            - The leak check found nothing that gives the answer away.

            Scores hold for rows like the test rows; rows from another place or time may be answered worse.

            ## How to use it

            On the command line:

            ```sh
            cupola predict runs/0009-homes-gbdt/model.cupola rows.csv > answers.csv
            ```

            Over HTTP:

            ```sh
            cupola serve runs/0009-homes-gbdt/model.cupola
            curl -s http://127.0.0.1:8000/predict -H 'content-type: application/json' -d '{"rows":[{ ... }]}'
            ```

            In Rust:

            ```rust
            let model = cupola::open("runs/0009-homes-gbdt/model.cupola")?;
            let answers = model.predict(&columns)?;
            ```

            ## Make it again

            ```sh
            cupola train runs/0009-homes-gbdt/run.toml  # the same model, byte for byte
            ```

            Settings that are not defaults:

            | key | value | from |
            |---|---|---|
            | data.train | "adult.csv.gz" | flag |
            | model.n\_estimators | 212 | auto |
        "##]].assert_eq(&card(&fixtures::regression()));
    }

    #[test]
    fn hostile_names_mark_nothing_up() {
        let text = card(&fixtures::hostile(100, 100));
        assert!(!text.contains("<b>") && !text.contains('\u{202e}') && !text.contains('\u{1b}'));
        assert!(text.len() < 200_000, "{} bytes", text.len());
        let table: Vec<&str> = text.lines().filter(|line| line.starts_with("| ")).collect();
        let cells = |line: &str| line.replace("\\\\", "").replace("\\|", "").matches('|').count();
        assert!(table.iter().all(|line| [4, 6].contains(&cells(line))), "{table:#?}");
    }
}
