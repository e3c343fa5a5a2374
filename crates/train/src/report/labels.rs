//! Targets whose cells list labels: the measures of whole lists, and one line for each label.

use super::names::{plural, shown};
use super::numbers::{decimals, fixed};
use super::report::{ClassScore, Measure, Report, Score};
use super::terminal::{Screen, Tone};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

/// Labels that the terminal and the page list.
const LINES_MAX: [usize; 2] = [12, 200];

/// What was measured about a target whose cells list labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelsReport {
    /// The column.
    pub name: String,
    /// What stands between its labels, or `json`.
    pub separator: String,
    /// How they are learned: `binary relevance`, a model a label.
    pub method: String,
    /// Each label with the name of the target that it is.
    pub labels: Vec<LabelTarget>,
    /// Test rows.
    pub rows: u64,
    /// Of those, the rows without a label.
    pub rows_empty: u64,
    /// Labels of a test row, in the mean, and of its answer.
    pub per_row: [f64; 2],
    /// The measures of whole lists.
    pub scores: Vec<Score>,
}

/// A label and its target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelTarget {
    /// The label.
    pub label: String,
    /// The target among those of the report.
    pub target: String,
}

/// A label's own line.
struct Line {
    label: String,
    /// Test rows that have it.
    rows: u64,
    precision: Measure,
    recall: Measure,
    f1: Measure,
    roc_auc: Option<Measure>,
}

impl Report {
    /// Whether a target is a label of a list.
    pub fn is_label(&self, target: &str) -> bool {
        self.labels.iter().any(|list| list.labels.iter().any(|label| label.target == target))
    }
}

impl LabelsReport {
    /// What it is, as a sentence.
    pub fn phrase(&self) -> String {
        format!(
            "{}; {:.1} labels a row, {:.1} answered; {} without a label; each label has a model of its own ({})",
            plural(self.labels.len() as u64, "label"),
            self.per_row[0],
            self.per_row[1],
            plural(self.rows_empty, "row"),
            self.method
        )
    }

    /// A line for each label, the most frequent first.
    fn lines(&self, report: &Report) -> Vec<Line> {
        let line = |label: &LabelTarget| {
            let target = report.targets.iter().find(|target| target.name == label.target)?;
            let yes: &ClassScore = target.per_class.iter().find(|class| class.class == cupola_data::labels::YES)?;
            let roc_auc = target.scores.iter().find(|score| score.name == "roc_auc").map(|score| score.test);
            let ClassScore { rows, precision, recall, f1, .. } = *yes;
            Some(Line { label: label.label.clone(), rows, precision, recall, f1, roc_auc })
        };
        let mut lines: Vec<Line> = self.labels.iter().filter_map(line).collect();
        lines.sort_by_key(|line| std::cmp::Reverse(line.rows));
        lines
    }
}

fn cell(measure: Measure) -> String {
    fixed(measure.value, decimals(measure).clamp(2, 3))
}

/// Measures as the terminal lists them, with the lines of labels below.
pub(super) fn told(screen: &mut Screen, report: &Report, scores: impl Fn(&mut Screen, &str, &[&Score])) {
    for list in &report.labels {
        scores(screen, &list.name, &list.scores.iter().collect::<Vec<_>>());
        screen.wrapped("  ", Tone::Faint, &list.phrase());
        let lines = list.lines(report);
        if lines.is_empty() {
            continue;
        }
        screen.heading("Labels", "the most frequent first");
        let width = lines.iter().take(LINES_MAX[0]).map(|line| shown(&line.label, 24).chars().count()).max().unwrap_or(0);
        for line in lines.iter().take(LINES_MAX[0]) {
            let auc = line.roc_auc.map_or(String::new(), |auc| format!("  roc_auc {}", cell(auc)));
            screen.line(&format!(
                "  {:<width$}  f1 {}  recall {}  precision {}{auc}  {}",
                shown(&line.label, 24),
                cell(line.f1),
                cell(line.recall),
                cell(line.precision),
                plural(line.rows, "row")
            ));
        }
        if lines.len() > LINES_MAX[0] {
            screen.line(&format!("  and {} more in the report", lines.len() - LINES_MAX[0]));
        }
    }
}

/// The same for the page.
pub(super) fn sections(report: &Report, table: impl Fn(&[Score]) -> Markup) -> Markup {
    html! {
        @for list in &report.labels {
            section {
                h2 { "Labels of " bdi { (shown(&list.name, 80)) } }
                p.faint.small { "On " (plural(list.rows, "test row")) ", with 95 % intervals. " (list.phrase()) "." }
                (table(&list.scores))
                (lines(&list.lines(report)))
            }
        }
    }
}

fn lines(lines: &[Line]) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr { th { "label" } th.n { "test rows" } th.n { "precision" } th.n { "recall" } th.n { "f1" } th.n { "roc_auc" } } }
                tbody {
                    @for line in lines.iter().take(LINES_MAX[1]) {
                        tr {
                            td.whole { bdi { (shown(&line.label, 80)) } }
                            td.n { (line.rows) }
                            td.n { (cell(line.precision)) }
                            td.n { (cell(line.recall)) }
                            td.n { (cell(line.f1)) }
                            td.n { @if let Some(auc) = line.roc_auc { (cell(auc)) } }
                        }
                    }
                }
            }
        }
        @if lines.len() > LINES_MAX[1] { p.faint.small { "and " (lines.len() - LINES_MAX[1]) " more labels in report.json" } }
    }
}
