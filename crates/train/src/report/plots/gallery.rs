//! Which plots a report has, and the two forms of each: in the page, and as a file of its own.

use super::calibration::calibration;
use super::canvas::{sheet, style, view_box};
use super::confusion::confusion;
use super::history::{losses, rate, watched};
use super::importance::importance;
use super::leaderboard::leaderboard;
use super::mean_shap::mean_shap;
use super::precision_recall::precision_recall;
use super::residuals::{histogram, scatter};
use super::roc::roc;
use super::trials::trials;
use crate::report::names::xml;
use crate::report::report::{Report, TargetReport};

/// Size of most plots: two stand side by side on a page.
pub(super) const SQUARE: [f64; 2] = [460.0, 370.0];
/// Width of plots with a list.
pub(super) const NARROW: f64 = 460.0;
/// Width of plots that need a page's width.
pub(super) const WIDE: f64 = 760.0;
/// Targets that get plots.
const TARGETS_MAX: usize = 50;

/// A plot that follows the reader's theme.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// Its file's name without the ending: `roc`; with several targets `2-roc`.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// How to read it.
    pub caption: String,
    size: [f64; 2],
    body: String,
}

impl Plot {
    pub(super) fn new(name: &str, title: &str, caption: impl Into<String>, size: [f64; 2], body: String) -> Plot {
        Plot { name: name.to_owned(), title: title.to_owned(), caption: caption.into(), size, body }
    }

    /// An SVG file that stands alone, with its title and its own style for light and dark.
    pub fn file(&self) -> String {
        let extra = 34.0;
        let [width, height] = [self.size[0], self.size[1] + extra];
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"{}\" role=\"img\">\
             <title>{title}</title><style>{}</style>{}{}</svg>\n",
            view_box(self.size, extra),
            style(),
            sheet(&self.title, self.size, extra),
            self.body,
            title = xml(&self.title),
        )
    }

    /// The tag for a page that holds [`style`] and says in words what is shown.
    pub(in crate::report) fn inline(&self) -> String {
        format!("<svg viewBox=\"{}\" role=\"img\" aria-label=\"{}\">{}</svg>", view_box(self.size, 0.0), xml(&self.title), self.body)
    }

    /// Whether it needs the width of a page.
    pub(in crate::report) fn is_wide(&self) -> bool {
        self.size[0] >= WIDE
    }
}

/// All plots of a report; names are unique.
pub fn plots(report: &Report) -> Vec<Plot> {
    let mut all = Vec::new();
    for (i, target) in report.targets.iter().take(TARGETS_MAX).enumerate() {
        let prefix = if report.targets.len() > 1 { format!("{}-", i + 1) } else { String::new() };
        all.extend(target_plots(target).into_iter().map(|plot| Plot { name: format!("{prefix}{}", plot.name), ..plot }));
    }
    all.extend(leaderboard_plot(report));
    all.extend(report.tuning.as_ref().and_then(trials));
    all
}

/// The plots about one target.
pub(in crate::report) fn target_plots(target: &TargetReport) -> Vec<Plot> {
    let plots = [losses, watched, rate, confusion, roc, precision_recall, calibration, scatter, histogram, importance, mean_shap];
    plots.iter().filter_map(|plot| plot(target)).collect()
}

/// The plot of the leaderboard.
pub(in crate::report) fn leaderboard_plot(report: &Report) -> Option<Plot> {
    report.leaderboard.as_ref().and_then(leaderboard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_says_what_it_says_and_marks_nothing_up() {
        let plot = Plot::new("x", "Dependence on <b>\"c\" & d", "", SQUARE, String::new());
        assert!(plot.inline().contains("aria-label=\"Dependence on &lt;b&gt;&quot;c&quot; &amp; d\""), "{}", plot.inline());
        assert!(!plot.file().contains("<b>") && plot.file().contains("<title>Dependence on &lt;b&gt;"), "{}", plot.file());
    }
}
