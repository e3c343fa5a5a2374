//! Answers as tensors: `prediction` and, for classes, `probability`; with several targets each name begins with `<target>_`.

use super::request::InferRequest;
use crate::ask::Answered;
use cupola_task::{Answer, Classes, Predictions};
use cupola_train::set_texts;
use serde_json::{Value, json};
use std::sync::Arc;

/// A tensor that goes out.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub(super) name: String,
    /// How many values each row has; none for a plain list.
    width: Option<usize>,
    data: Values,
    /// What the columns of probabilities are.
    classes: Option<Classes>,
}

#[derive(Clone, Debug)]
enum Values {
    Texts(Vec<String>),
    Numbers(Vec<f64>),
}

pub(super) fn outputs(predictions: &Predictions) -> Vec<Output> {
    let is_one = predictions.0.len() == 1;
    let prefixed = |(target, answer): &(Arc<str>, Answer)| {
        let prefix = if is_one { String::new() } else { format!("{target}_") };
        let name = move |mut output: Output| {
            output.name = format!("{prefix}{}", output.name);
            output
        };
        answer_outputs(answer).into_iter().map(name).collect::<Vec<_>>()
    };
    predictions.0.iter().flat_map(prefixed).collect()
}

fn answer_outputs(answer: &Answer) -> Vec<Output> {
    let plain = |name: &str, data: Values| Output { name: name.to_owned(), width: None, data, classes: None };
    match answer {
        Answer::Scores { classes, values } => {
            let best = classes.chosen(values).map(|class| classes[class].to_string()).collect();
            let probability = Output {
                width: Some(classes.len()),
                classes: Some(classes.clone()),
                ..plain("probability", Values::Numbers(values.clone()))
            };
            let mut outputs = vec![plain("prediction", Values::Texts(best)), probability];
            // A set is a list as JSON text: rows have sets of different sizes, and a tensor has none.
            outputs.extend(set_texts(classes, values).map(|sets| plain("prediction_set", Values::Texts(sets.collect()))));
            outputs
        }
        Answer::Numbers { values, range } => {
            let ends = |side: usize| range.as_ref().map(|range| Values::Numbers(range.iter().map(|ends| ends[side]).collect()));
            let mut outputs = vec![plain("prediction", Values::Numbers(values.clone()))];
            outputs.extend(ends(0).map(|data| plain("prediction_low", data)));
            outputs.extend(ends(1).map(|data| plain("prediction_high", data)));
            outputs
        }
        Answer::Texts(texts) => vec![plain("prediction", Values::Texts(texts.clone()))],
        Answer::Vectors { width, values } => {
            vec![Output { width: Some(*width), ..plain("prediction", Values::Numbers(values.iter().map(|&value| value.into()).collect())) }]
        }
        // No model of the registry gives these to rows of a table.
        Answer::Objects(_) | Answer::LogLikelihood { .. } | Answer::List { .. } => vec![],
    }
}

impl Output {
    fn datatype(&self) -> &'static str {
        match self.data {
            Values::Texts(_) => "BYTES",
            Values::Numbers(_) => "FP64",
        }
    }

    fn len(&self) -> usize {
        match &self.data {
            Values::Texts(texts) => texts.len(),
            Values::Numbers(numbers) => numbers.len(),
        }
    }

    pub(super) fn describe(&self) -> Value {
        let shape = std::iter::once(-1).chain(self.width.map(|width| width as i64)).collect::<Vec<_>>();
        let mut about = json!({"name": self.name, "datatype": self.datatype(), "shape": shape});
        if let Some(classes) = &self.classes {
            about["parameters"] = json!({"classes": classes.names()});
        }
        about
    }

    fn encode(&self) -> Vec<u8> {
        match &self.data {
            Values::Numbers(numbers) => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
            Values::Texts(texts) => {
                texts.iter().flat_map(|text| [&(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()).collect()
            }
        }
    }

    fn json(&self, binary: Option<usize>) -> Value {
        let shape: Vec<usize> = std::iter::once(self.len() / self.width.unwrap_or(1).max(1)).chain(self.width).collect();
        let mut about = json!({"name": self.name, "datatype": self.datatype(), "shape": shape});
        let data = match &self.data {
            Values::Texts(texts) => json!(texts),
            Values::Numbers(numbers) => json!(numbers),
        };
        match binary {
            Some(size) => about["parameters"] = json!({"binary_data_size": size}),
            None => about["data"] = data,
        }
        about
    }
}

/// The body, and how long its JSON is.
pub(super) fn write(answered: &Answered<InferRequest>, outputs: Vec<(Output, bool)>) -> (usize, Vec<u8>) {
    let raw: Vec<Option<Vec<u8>>> = outputs.iter().map(|(output, is_binary)| is_binary.then(|| output.encode())).collect();
    let about: Vec<Value> = outputs.iter().zip(&raw).map(|((output, _), raw)| output.json(raw.as_ref().map(Vec::len))).collect();
    let model = &answered.model;
    let mut parameters = json!({"hash": model.artifact.hash(), "prediction_id": answered.id, "logged": answered.logged});
    if !answered.unseen.is_empty() {
        parameters["unseen"] = answered.unseen.len().into();
    }
    let mut body = json!({"model_name": model.name, "model_version": model.version, "outputs": about, "parameters": parameters});
    if let Some(id) = &answered.rest.id {
        body["id"] = id.as_str().into();
    }
    let mut bytes = body.to_string().into_bytes();
    let json_length = bytes.len();
    raw.into_iter().flatten().for_each(|raw| bytes.extend(raw));
    (json_length, bytes)
}
