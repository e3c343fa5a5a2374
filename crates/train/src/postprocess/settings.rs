//! The keys of `[decision]`, and the same keys of `[outputs.NAME]`, which go before them.

use crate::{Error, Result};
use cupola_task::{Field, Range, Setting, Settings, Value};

const CALIBRATE: Range = Range::Choice(&["none", "sigmoid", "isotonic", "auto"]);
const THRESHOLD: Range = Range::Any(&[Range::Real { min: 0.0, max: 1.0 }, Range::Choice(&["best_f1", "balanced", "cost"])]);
const INTERVAL: Range = Range::Any(&[Range::Choice(&["off"]), Range::Real { min: 0.5, max: 0.999 }]);
const INTERVALS: Range = Range::Choice(&["split", "cqr"]);
const SETS: Range = Range::Choice(&["lac", "aps"]);

/// How answers are made of what a model says.
pub(crate) const DECISION: &[Setting] = &[
    Setting {
        name: "calibrate",
        alias: &["calibration"],
        default: "none",
        range: CALIBRATE,
        doc: "Maps that make probabilities hold, learned on validation rows (without any by cross-fitting inside the training rows); auto: what helps on rows it was not fitted to, or none.",
    },
    Setting {
        name: "threshold",
        alias: &[],
        default: "0.5",
        range: THRESHOLD,
        doc: "The probability from which on the positive class of two is answered: a number, or what is best on validation rows by F1, balanced accuracy or cost.",
    },
    Setting {
        name: "interval",
        alias: &["coverage"],
        default: "off",
        range: INTERVAL,
        doc: "How often intervals of numbers, or sets of classes, are to hold the truth (conformal prediction); off: none are given.",
    },
    Setting {
        name: "intervals",
        alias: &[],
        default: "split",
        range: INTERVALS,
        doc: "How intervals of numbers are made: split gives all rows the same width around the answer; cqr learns two quantiles (boosted trees), so that rows that scatter more get wider ones.",
    },
    Setting {
        name: "sets",
        alias: &["interval_method"],
        default: "lac",
        range: SETS,
        doc: "How sets of classes are made: lac gives the smallest ones, aps larger ones that fit hard rows better.",
    },
];

/// Which calibration is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Calibrate {
    /// Probabilities stay as they are.
    #[default]
    None,
    /// A sigmoid of the log odds.
    Sigmoid,
    /// Rising steps.
    Isotonic,
    /// What helps.
    Auto,
}

/// How the threshold of two classes is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum ThresholdBy {
    /// The most probable class, or the one of least expected cost.
    #[default]
    Default,
    /// This number.
    At(f64),
    /// Where F1 is largest on validation rows.
    BestF1,
    /// Where balanced accuracy is largest on validation rows.
    Balanced,
    /// Where the cost is smallest on validation rows.
    Cost,
}

/// How intervals of numbers are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IntervalMethod {
    /// Split conformal prediction: one width.
    #[default]
    Split,
    /// Conformalised quantile regression: as wide as the rows around scatter.
    Cqr,
}

/// How sets of classes are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SetMethod {
    /// Least ambiguous sets.
    #[default]
    Lac,
    /// Adaptive sets.
    Aps,
}

/// What answers cost, as the recipe says it.
#[derive(Clone, Debug, PartialEq)]
pub enum Costs {
    /// One line a true class, one number an answered class, in the order of the classes.
    Matrix(Vec<Vec<f64>>),
    /// True class, answered class, cost. What is not named costs 1, a right answer nothing.
    Named(Vec<(String, String, f64)>),
}

/// What is to be done to the answers for one target.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecisionPlan {
    /// Which calibration.
    pub calibrate: Calibrate,
    /// Which threshold.
    pub threshold: ThresholdBy,
    /// What answers cost.
    pub costs: Option<Costs>,
    /// How often intervals or sets are to hold the truth.
    pub interval: Option<f64>,
    /// How intervals of numbers are made.
    pub intervals: IntervalMethod,
    /// How sets of classes are made.
    pub sets: SetMethod,
}

impl DecisionPlan {
    /// What checked settings of the list say.
    pub(crate) fn from_settings(settings: &Settings) -> DecisionPlan {
        let text = |name: &str| match settings.value(name) {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        };
        DecisionPlan {
            calibrate: match settings.text("calibrate") {
                "sigmoid" => Calibrate::Sigmoid,
                "isotonic" => Calibrate::Isotonic,
                "auto" => Calibrate::Auto,
                _ => Calibrate::None,
            },
            threshold: match (text("threshold"), settings.try_real("threshold")) {
                (Some("best_f1"), _) => ThresholdBy::BestF1,
                (Some("balanced"), _) => ThresholdBy::Balanced,
                (Some("cost"), _) => ThresholdBy::Cost,
                (_, Some(0.5)) => ThresholdBy::Default,
                (_, Some(number)) => ThresholdBy::At(number),
                (_, None) => ThresholdBy::Default,
            },
            costs: None,
            interval: settings.try_real("interval"),
            intervals: if settings.text("intervals") == "cqr" { IntervalMethod::Cqr } else { IntervalMethod::Split },
            sets: if settings.text("sets") == "aps" { SetMethod::Aps } else { SetMethod::Lac },
        }
    }

    /// Whether anything has to be learned or done.
    pub(crate) fn is_none(&self) -> bool {
        self.calibrate == Calibrate::None && self.threshold == ThresholdBy::Default && self.costs.is_none() && self.interval.is_none()
    }

    /// Whether what is asked for suits a target, before anything is learned.
    ///
    /// # Errors
    /// When it does not.
    pub(crate) fn check(&self, field: &Field) -> Result<()> {
        let wrong = |key: &str, why: String| Error::recipe("recipe", format!("{key} does not suit target {}: {why}", field.name));
        let of_one = |key: &str| format!("say it for the target that it is meant for: outputs.NAME.{key}");
        if self.intervals == IntervalMethod::Cqr && self.interval.is_none() {
            let error = wrong("intervals=cqr", "nobody said how often they are to hold the truth".into());
            return Err(error.with_hint("interval=0.9, say"));
        }
        let Some(classes) = field.kind.classes() else {
            let of_classes = [
                ("calibrate", self.calibrate != Calibrate::None),
                ("threshold", self.threshold != ThresholdBy::Default),
                ("costs", self.costs.is_some()),
            ];
            return match of_classes.iter().find(|(_, is_asked)| *is_asked) {
                Some((key, _)) => Err(wrong(key, "it is a number, and only classes have probabilities".into()).with_hint(of_one(key))),
                None => Ok(()),
            };
        };
        if self.threshold != ThresholdBy::Default && classes.len() != 2 {
            let why = format!("it has {} classes, and a threshold tells two apart", classes.len());
            return Err(wrong("threshold", why).with_hint(format!("say what answers cost: outputs.{}.costs", field.name)));
        }
        if self.threshold == ThresholdBy::Cost && self.costs.is_none() {
            return Err(wrong("threshold=cost", "nobody said what answers cost".into())
                .with_hint(format!("outputs.{}.costs.TRUTH.ANSWER=NUMBER for each mistake", field.name)));
        }
        self.costs.as_ref().map_or(Ok(()), |costs| costs.in_order(&field.name, classes).map(|_| ()))
    }

    /// Whether rows that the model did not learn from are needed.
    pub(crate) fn learns(&self) -> bool {
        self.calibrate != Calibrate::None
            || matches!(self.threshold, ThresholdBy::BestF1 | ThresholdBy::Balanced | ThresholdBy::Cost)
            || self.interval.is_some()
    }
}

impl Costs {
    /// Costs in the order of classes: `costs[truth * classes + answer]`.
    ///
    /// # Errors
    /// When a class is not there, or the matrix has another size.
    pub(crate) fn in_order(&self, target: &str, classes: &[std::sync::Arc<str>]) -> Result<Vec<f64>> {
        let count = classes.len();
        let names = || classes.iter().map(|class| &**class).collect::<Vec<_>>().join(", ");
        match self {
            Costs::Matrix(lines) => {
                if lines.len() != count || lines.iter().any(|line| line.len() != count) {
                    let found = format!("outputs.{target}.costs: found {} lines", lines.len());
                    let error = Error::recipe("recipe", format!("{found}, wanted {count} lines of {count} costs, one for each class"));
                    return Err(
                        error.with_hint(format!("a line for each true class, in it a cost for each answer, in the order {}", names()))
                    );
                }
                Ok(lines.concat())
            }
            Costs::Named(pairs) => {
                let mut costs: Vec<f64> = (0..count * count).map(|cell| f64::from(u8::from(cell / count != cell % count))).collect();
                for (truth, answer, cost) in pairs {
                    let place = |name: &str| {
                        classes.iter().position(|class| **class == *name).ok_or_else(|| {
                            Error::recipe("recipe", format!("outputs.{target}.costs: {name:?} is no class of {target}"))
                                .with_hint(format!("the classes are {}", names()))
                        })
                    };
                    costs[place(truth)? * count + place(answer)?] = *cost;
                }
                Ok(costs)
            }
        }
    }
}
