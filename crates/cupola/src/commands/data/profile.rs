//! `cupola data profile`: what a table holds, on the terminal, as JSON and as a page.

use super::{Progress, again, percent, plan};
use crate::arguments::ProfileArguments;
use crate::commands::{aligned, rows, use_machine};
use crate::screen::Screen;
use anyhow::{Context, Result};
use cupola_data::survey::{ColumnSurvey, GroupSurvey, Looked, Survey, survey};
use std::process::ExitCode;

/// Columns, hints and pairs that are told on the terminal.
const COLUMNS_MAX: usize = 100;
const HINTS_MAX: usize = 40;
const PAIRS_MAX: usize = 8;
const GROUPS_MAX: usize = 12;

pub fn run(arguments: &ProfileArguments, screen: &Screen) -> Result<ExitCode> {
    let (mut plan, _) = plan(&arguments.arguments, &[], "profile")?;
    use_machine(&plan)?;
    again(&mut plan.train, plan.read.max_bytes)?;
    let looked = Looked { targets: &plan.targets, sensitive: &plan.sensitive, ignore: &plan.ignore };
    let mut progress = Progress::begin(screen, "read");
    let survey = survey(&plan.train, &plan.read, &looked, &mut |done, total| progress.at("read", done, total))
        .context("failed to profile the table")?;
    screen.finish();
    if let Some(path) = &arguments.html {
        let page = cupola_train::report::survey_page(&survey);
        cupola_train::runs::write_file(path, page.as_bytes()).context("failed to write the page")?;
    }
    screen.object(&serde_json::to_value(&survey)?);
    screen.text(&told(&survey));
    if let Some(path) = &arguments.html {
        screen.note(&format!("wrote {}", path.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn told(survey: &Survey) -> String {
    let cells = survey.rows.saturating_mul(survey.columns.len() as u64);
    let mut text = format!(
        "{} ({}): {}, {} columns, {} of the cells missing",
        survey.name,
        survey.format,
        rows(survey.rows),
        survey.columns.len(),
        percent(survey.missing_cells, cells)
    );
    if let Some(repeated) = survey.repeated_rows.filter(|repeated| *repeated > 0) {
        text += &format!(", {} repeated", rows(repeated));
    }
    if survey.skipped > 0 {
        text += &format!(", {} left out (bad_rows=skip)", rows(survey.skipped));
    }
    text += "\n\n";
    let lines: Vec<Vec<String>> = survey.columns.iter().take(COLUMNS_MAX).map(|column| line(column, survey.rows)).collect();
    text += &aligned(&["column", "type", "missing", "distinct", "lowest", "median", "highest", "most frequent"], &lines);
    if survey.columns.len() > COLUMNS_MAX {
        text += &format!("\nand {} more columns (--json has them)", survey.columns.len() - COLUMNS_MAX);
    }
    text += &hints(survey);
    for target in &survey.targets {
        let classes: Vec<String> =
            target.classes.iter().take(6).map(|class| format!("{} {:.1} %", class.class, 100.0 * class.share)).collect();
        let more = if target.count > 6 { format!(", and {} more", target.count - 6) } else { String::new() };
        if !classes.is_empty() {
            text += &format!("\n\ntarget {}: {}{more}", target.name, classes.join(", "));
        }
        if let Some(sentence) = &target.sentence {
            text += &format!("\n  {sentence}");
        }
    }
    survey.groups.iter().for_each(|group| text += &groups(group));
    let strong: Vec<_> = survey.associations.iter().filter(|pair| pair.value.abs() >= 0.3).take(PAIRS_MAX).collect();
    if !strong.is_empty() {
        text += "\n\nhangs together:";
        for pair in strong {
            text += &format!("\n  {:>5.2}  {} and {} ({})", pair.value, pair.first, pair.second, pair.measure.word());
        }
    }
    text
}

fn line(column: &ColumnSurvey, rows: u64) -> Vec<String> {
    let distinct = if column.is_distinct_exact { column.distinct.to_string() } else { format!("~{}", column.distinct) };
    let frequent = column.frequent.first().map_or(String::new(), |top| {
        let short: String = top.value.chars().take(24).collect();
        format!("{short} ({})", percent(top.count, column.values))
    });
    let [low, middle, high] = match &column.numbers {
        Some(numbers) => [numbers.min, numbers.quantiles[4], numbers.max].map(|number| column.told(number)),
        None => [const { String::new() }; 3],
    };
    let missing = if column.missing == 0 { String::new() } else { percent(column.missing, rows) };
    vec![column.name.to_string(), column.column_type.clone(), missing, distinct, low, middle, high, frequent]
}

fn hints(survey: &Survey) -> String {
    let all: Vec<String> = survey
        .columns
        .iter()
        .flat_map(|column| column.hints.iter().map(move |hint| format!("\n  {}: {}", column.name, hint.sentence)))
        .chain(survey.warnings.iter().map(|warning| format!("\n  {warning}")))
        .collect();
    match all.len() {
        0 => String::new(),
        count if count > HINTS_MAX => format!("\n\nto look at:{}\n  and {} more", all[..HINTS_MAX].concat(), count - HINTS_MAX),
        _ => format!("\n\nto look at:{}", all.concat()),
    }
}

fn groups(group: &GroupSurvey) -> String {
    let by = group.target.as_ref().map_or(String::new(), |target| format!(" by {target}"));
    let classes: Vec<&str> =
        group.groups.first().map_or(vec![], |row| row.classes.iter().take(4).map(|class| class.class.as_str()).collect());
    let has_mean = group.groups.iter().any(|row| row.mean.is_some());
    let mut head = vec!["group", "rows", "share"];
    head.extend(&classes);
    if has_mean {
        head.push("mean of target");
    }
    let share = |share: f64| format!("{:.1} %", 100.0 * share);
    let lines: Vec<Vec<String>> = group
        .groups
        .iter()
        .take(GROUPS_MAX)
        .map(|row| {
            let mut cells = vec![row.group.clone(), row.rows.to_string(), share(row.share)];
            cells.extend(row.classes.iter().take(classes.len()).map(|class| share(class.share)));
            if has_mean {
                cells.push(row.mean.map_or(String::new(), |mean| format!("{mean:.4}")));
            }
            cells
        })
        .collect();
    let mut text = format!("\n\ngroups of {}{by}:\n{}", group.column, aligned(&head, &lines));
    group.sentences.iter().for_each(|sentence| text += &format!("\n  {sentence}"));
    text
}
