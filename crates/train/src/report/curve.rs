//! A learning curve as one page.

use super::html::{figure, page};
use super::names::{plural, shown};
use super::numbers::count;
use super::plots::learning_curve;
use crate::curve_slices::{Gain, SliceCurves};
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
        @if let Some(found) = &curve.slices { (slices(curve, found)) }
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

fn slices(curve: &LearningCurve, found: &SliceCurves) -> Markup {
    let gain = |gain: Gain| html! { td.n { (format!("{:+.4}", gain.value)) } td.n { (format!("{:+.4} to {:+.4}", gain.low, gain.high)) } };
    html! {
        section {
            h2 { "Slices where the next " (count(curve.labels)) " labels pay most" }
            p.faint.small {
                "What labels of a slice take off its " (shown(&found.loss, 40)) ", and off that of all test rows, by trainings with a quarter, half and all of its rows and "
                "the law of the curve through them. Slices were sought among the same test rows."
            }
            div.scroll {
                table {
                    thead {
                        tr {
                            th { "slice" } th.n { "rows" } th.n { "of test rows" } th.n { (shown(&found.loss, 40)) }
                            th.n { "its gain" } th.n { "95 % band" } th.n { "gain of all" } th.n { "95 % band" }
                        }
                    }
                    tbody {
                        @for slice in &found.slices {
                            tr {
                                td.name { bdi { (shown(&slice.phrase(), 120)) } } td.n { (count(slice.rows)) } td.n { (format!("{:.1} %", slice.share * 100.0)) }
                                td.n { (format!("{:.4}", slice.loss)) } (gain(slice.gain)) (gain(slice.gain_all))
                            }
                        }
                        tr.main {
                            td { "rows as they come" } td.n { (curve.points.last().map_or(String::new(), |point| count(point.rows))) } td.n { "100.0 %" }
                            td.n { (format!("{:.4}", found.overall)) } td.n {} td.n {} (gain(found.everywhere))
                        }
                    }
                }
            }
            @for left_out in &found.left_out { p.faint.small { "Not told: " (shown(left_out, 300)) } }
        }
    }
}
