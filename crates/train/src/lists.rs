//! Lists of labels, answered and measured as lists: the answers of the labels' own models put together again.

use crate::made::Made;
use crate::report::{Better, LabelTarget, LabelsReport, Measure, Score};
use crate::{Error, Result};
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, Float64Array, StringArray};
use cupola_data::labels::{Labels, YES};
use cupola_metrics::{LABEL_METRICS, LabelSets, Sampling, label_differences, label_scores};
use cupola_task::{Answer, Column, Columns, Predictions};
use std::sync::Arc;

/// How labels are learned.
const METHOD: &str = "binary relevance";

/// A list's answers: for each row and label whether it is answered, and its probability.
struct Answered {
    rows: usize,
    is_on: Vec<bool>,
    probability: Vec<f64>,
}

impl Answered {
    /// The answers beside the truth, as measures take them.
    fn sets<'a>(&'a self, labels: usize, truth: &'a [bool], weight: Option<&'a [f64]>) -> LabelSets<'a> {
        LabelSets { labels, truth, answer: &self.is_on, probability: &self.probability, weight }
    }

    fn of(labels: &Labels, predictions: &Predictions) -> Option<Answered> {
        let one = |target: Arc<str>| match predictions.get(&target)? {
            Answer::Scores { classes, values } => {
                let yes = classes.iter().position(|class| **class == *YES)?;
                let is_on: Vec<bool> = classes.chosen(values).map(|class| class == yes).collect();
                Some((is_on, values.iter().skip(yes).step_by(classes.len()).copied().collect::<Vec<f64>>()))
            }
            _ => None,
        };
        let columns = labels.targets().map(one).collect::<Option<Vec<_>>>()?;
        let rows = columns.first().map_or(0, |(is_on, _)| is_on.len());
        Some(Answered {
            rows,
            is_on: (0..rows).flat_map(|row| columns.iter().map(move |(is_on, _)| is_on[row])).collect(),
            probability: (0..rows).flat_map(|row| columns.iter().map(move |(_, probability)| probability[row])).collect(),
        })
    }
}

/// A list's answers as columns: `prediction`, the labels as a JSON list, and `probability_<label>` for each label.
pub(crate) fn columns(labels: &Labels, predictions: &Predictions) -> Option<Vec<(String, ArrayRef)>> {
    let answered = Answered::of(labels, predictions)?;
    let count = labels.names.len();
    let list = |row: usize| {
        let own = labels.names.iter().enumerate().filter(|(label, _)| answered.is_on[row * count + label]);
        serde_json::to_string(&own.map(|(_, name)| &**name).collect::<Vec<_>>()).expect("texts are JSON")
    };
    let lists: StringArray = (0..answered.rows).map(|row| Some(list(row))).collect();
    let mut columns: Vec<(String, ArrayRef)> = vec![("prediction".into(), Arc::new(lists))];
    columns.extend(labels.names.iter().enumerate().map(|(label, name)| {
        let own = answered.probability.iter().skip(label).step_by(count).copied();
        (format!("probability_{name}"), Arc::new(Float64Array::from_iter_values(own)) as ArrayRef)
    }));
    Some(columns)
}

/// What rows tell about the lists of a model. `baseline` answers the same rows.
///
/// # Errors
/// When an answer is missing.
pub(crate) fn measured(
    made: &Made,
    truth: &Columns,
    weight: Option<&[f64]>,
    predictions: &Predictions,
    baseline: Option<&Predictions>,
    sampling: Sampling,
) -> Result<Vec<LabelsReport>> {
    made.labels.iter().map(|labels| one(labels, truth, weight, [Some(predictions), baseline], sampling)).collect()
}

fn one(
    labels: &Labels,
    truth: &Columns,
    weight: Option<&[f64]>,
    [predictions, baseline]: [Option<&Predictions>; 2],
    sampling: Sampling,
) -> Result<LabelsReport> {
    let lost = || Error::Data(format!("the model does not answer every label of {}", labels.column), None);
    let answered = predictions.and_then(|predictions| Answered::of(labels, predictions)).ok_or_else(lost)?;
    let truth = labels
        .targets()
        .map(|target| {
            let texts = truth.get(&target).and_then(Column::array)?.as_string_opt::<i32>()?;
            Some(texts.iter().map(|text| text == Some(YES)).collect::<Vec<bool>>())
        })
        .collect::<Option<Vec<_>>>()
        .ok_or_else(lost)?;
    let count = labels.names.len();
    let truth: Vec<bool> = (0..answered.rows).flat_map(|row| truth.iter().map(move |column| column[row])).collect();
    let own = label_scores(answered.sets(count, &truth, weight), sampling)?;
    let base = baseline.and_then(|baseline| Answered::of(labels, baseline));
    let beside = |base: &Answered| -> Result<_> {
        let sets = [&answered, base].map(|answered| answered.sets(count, &truth, weight));
        Ok((label_scores(sets[1], sampling)?, label_differences(sets, sampling)?))
    };
    let beside = base.as_ref().map(beside).transpose()?;
    let measure = |score: &cupola_metrics::Score| Measure::new(score.value, score.low, score.high);
    let score = |(place, (name, is_score)): (usize, &(&str, bool))| Score {
        name: (*name).to_owned(),
        better: if *is_score { Better::Higher } else { Better::Lower },
        // The best coverage error is the mean number of labels of a row.
        best: if *is_score { 1.0 } else { 0.0 },
        test: measure(&own[place]),
        train: None,
        valid: None,
        baseline: beside.as_ref().map(|(base, _)| measure(&base[place])),
        difference: beside.as_ref().map(|(_, difference)| measure(&difference[place])),
    };
    let mean = |flags: &[bool]| flags.iter().filter(|flag| **flag).count() as f64 / answered.rows.max(1) as f64;
    Ok(LabelsReport {
        name: labels.column.to_string(),
        separator: labels.form.word().to_owned(),
        method: METHOD.to_owned(),
        labels: labels.names.iter().map(|name| LabelTarget { label: name.to_string(), target: labels.target(name).to_string() }).collect(),
        rows: answered.rows as u64,
        rows_empty: truth.chunks(count).filter(|row| !row.contains(&true)).count() as u64,
        per_row: [mean(&truth), mean(&answered.is_on)],
        scores: LABEL_METRICS.iter().enumerate().map(score).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_data::labels::ListForm;
    use cupola_data::prepare::Spelling;

    #[test]
    fn a_list_is_answered_and_measured_as_one() {
        let labels =
            Labels { column: "g".into(), form: ListForm::Json, spelling: Spelling::Keep, names: vec!["a".into(), "b \"c\"".into()] };
        let yes = |values: Vec<f64>| Answer::Scores { classes: ["no".into(), "yes".into()].into(), values };
        let predictions =
            Predictions(vec![("g:a".into(), yes(vec![0.2, 0.8, 0.9, 0.1])), ("g:b \"c\"".into(), yes(vec![0.4, 0.6, 0.7, 0.3]))]);
        let columns = columns(&labels, &predictions).unwrap();
        assert_eq!(
            columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["prediction", "probability_a", "probability_b \"c\""]
        );
        let lists: Vec<_> = columns[0].1.as_string::<i32>().iter().flatten().collect();
        assert_eq!(lists, [r#"["a","b \"c\""]"#, "[]"]);
        let text = |cells: [&str; 2]| Column::Array(Arc::new(StringArray::from(cells.to_vec())));
        let truth = Columns::new(vec![("g:a".into(), text(["yes", "no"])), ("g:b \"c\"".into(), text(["no", "no"]))]);
        let made = Made { labels: vec![labels], ..Made::default() };
        let report = &measured(&made, &truth, None, &predictions, Some(&predictions), Sampling::default()).unwrap()[0];
        let value = |name: &str| report.scores.iter().find(|score| score.name == name).unwrap().test.value;
        assert_eq!((value("subset_accuracy"), value("hamming_loss"), value("f1_micro")), (0.5, 0.25, 2.0 / 3.0));
        assert_eq!((report.rows, report.rows_empty, report.per_row), (2, 1, [0.5, 1.0]));
    }
}
