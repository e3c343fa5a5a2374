//! A learning curve as one page.

use super::html::{figure, page};
use super::names::{plural, shown};
use super::numbers::count;
use super::plots::learning_curve;
use crate::learning_curve::LearningCurve;
use maud::{Markup, html};

/// Writes the page.
pub fn learning_curve_page(curve: &LearningCurve) -> String {
    let title = format!("Learning curve of {} by {}", shown(&curve.target, 60), shown(&curve.model, 30));
    let law = format!("{:.4} + {:.4} n^-{:.3}", curve.law.a, curve.law.b, curve.law.c);
    let main = html! {
        section {
            h2 { (title) }
            p.faint.small { (shown(&curve.measure, 40)) " on " (plural(curve.rows_test, "test row")) "; loss = " (law) }
            @for warning in &curve.warnings { p.small { (shown(warning, 300)) } }
            div.plots { (figure(&learning_curve(curve))) }
        }
        (points(curve))
        (classes(curve))
    };
    page(&title, "", &main)
}

fn points(curve: &LearningCurve) -> Markup {
    html! {
        section {
            h2 { "Rows and what they bring" }
            div.scroll {
                table {
                    thead { tr { th.n { "training rows" } th.n { (shown(&curve.measure, 40)) } th.n { "95 % interval" } th.n { "gain" } } }
                    tbody {
                        @for point in &curve.points {
                            tr { td.n { (count(point.rows)) } td.n { (format!("{:.4}", point.mean)) } td.n { (format!("{:.4} to {:.4}", point.low, point.high)) } td.n {} }
                        }
                        @for ahead in &curve.ahead {
                            tr.main {
                                td.n { (count(ahead.rows)) " (expected)" } td.n { (format!("{:.4}", ahead.value)) }
                                td.n { (format!("{:.4} to {:.4}", ahead.low, ahead.high)) } td.n { (format!("{:+.4}", ahead.gain)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn classes(curve: &LearningCurve) -> Markup {
    html! {
        @if !curve.classes.is_empty() {
            section {
                h2 { "Where the next " (count(curve.labels)) " labels pay most" }
                div.scroll {
                    table {
                        thead { tr { th { "class" } th.n { "rows" } th.n { "recall" } th.n { "gain" } th.n { "95 % band" } th.n { "rows of 1000" } } }
                        tbody {
                            @for class in &curve.classes {
                                tr {
                                    td.name { bdi { (shown(&class.class, 60)) } } td.n { (count(class.rows)) } td.n { (format!("{:.4}", class.recall)) }
                                    td.n { (format!("{:+.4}", class.gain)) } td.n { (format!("{:+.4} to {:+.4}", class.gain_low, class.gain_high)) }
                                    td.n { (format!("{:+.2}", class.per_thousand)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
