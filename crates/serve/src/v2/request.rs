//! An inference request: tensors become columns.

use super::outputs::Output;
use crate::problem::{Problem, shorten};
use crate::rows::{Input, Inputs};
use arrow_array::{ArrayRef, Float64Array, StringArray, new_null_array};
use arrow_schema::DataType;
use axum::http::StatusCode;
use cupola_task::{Column, Columns, Kind};
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use std::fmt;
use std::sync::Arc;

const DATATYPES: &str = "BOOL, INT8..INT64, UINT8..UINT64, FP32, FP64 or BYTES";

#[derive(serde::Deserialize)]
pub(super) struct InferRequest {
    pub(super) id: Option<String>,
    #[serde(default)]
    parameters: RequestParameters,
    inputs: Vec<Tensor>,
    #[serde(default)]
    outputs: Vec<Asked>,
}

#[derive(Default, serde::Deserialize)]
struct RequestParameters {
    #[serde(default)]
    binary_data_output: bool,
}

#[derive(serde::Deserialize)]
struct Tensor {
    name: String,
    shape: Vec<u64>,
    datatype: String,
    #[serde(default)]
    parameters: TensorParameters,
    data: Option<Data>,
}

#[derive(Default, serde::Deserialize)]
struct TensorParameters {
    binary_data_size: Option<usize>,
}

#[derive(serde::Deserialize)]
struct Asked {
    name: String,
    #[serde(default)]
    parameters: AskedParameters,
}

#[derive(Default, serde::Deserialize)]
struct AskedParameters {
    binary_data: Option<bool>,
    classification: Option<u64>,
}

/// A tensor's values in row-major order. A number that is missing is NaN.
#[derive(Debug, PartialEq)]
enum Data {
    Numbers(Vec<f64>),
    Texts(Vec<Option<String>>),
}

impl InferRequest {
    pub(super) fn parse(json: &[u8]) -> Result<InferRequest, Problem> {
        serde_json::from_slice(json).map_err(|error| Problem::bad(format!("malformed inference request: {error}")))
    }

    /// One column for each tensor. What follows the JSON holds the raw tensors, one after another.
    pub(super) fn columns(&mut self, inputs: &Inputs, mut binary: &[u8], max_rows: usize) -> Result<Columns, Problem> {
        let rows = self.inputs.first().and_then(|tensor| tensor.shape.first().copied()).unwrap_or(0);
        if rows > max_rows as u64 {
            return Err(Problem::too_large(format!("found {rows} rows, wanted at most {max_rows}")));
        }
        let mut columns = Columns::default();
        for mut tensor in std::mem::take(&mut self.inputs) {
            let data = tensor.read(rows, &mut binary)?;
            if columns.get(&tensor.name).is_some() {
                return Err(tensor.wrong("the input twice", "each input once"));
            }
            let array = match inputs.input(&tensor.name) {
                Some(input) => {
                    let found = data.word();
                    data.column(inputs, input, &tensor.datatype).ok_or_else(|| tensor.wrong(found, input.wanted()))?
                }
                // It may be a target or a key, whose values do not matter.
                None => new_null_array(&DataType::Null, rows as usize),
            };
            columns.insert(tensor.name.as_str().into(), Column::Array(array));
        }
        inputs.check_names(&columns).map_err(|problem| problem.with_status(StatusCode::BAD_REQUEST))?;
        Ok(columns.select(|name| inputs.input(name).is_some()))
    }

    /// The outputs asked for, all when none is named, and whether each goes out as raw bytes.
    pub(super) fn choose(&self, outputs: Vec<Output>) -> Result<Vec<(Output, bool)>, Problem> {
        let binary = self.parameters.binary_data_output;
        if self.outputs.is_empty() {
            return Ok(outputs.into_iter().map(|output| (output, binary)).collect());
        }
        let names: Vec<String> = outputs.iter().map(|output| output.name.clone()).collect();
        let find = |asked: &Asked| {
            if asked.parameters.classification.is_some_and(|classes| classes > 0) {
                return Err(Problem::bad("the classification extension is not supported: ask for the output probability"));
            }
            let output = outputs.iter().find(|output| output.name == asked.name).cloned();
            let output = output
                .ok_or_else(|| Problem::bad(format!("found the output {}, wanted one of {}", shorten(&asked.name), names.join(", "))))?;
            Ok((output, asked.parameters.binary_data.unwrap_or(binary)))
        };
        if self.outputs.len() > outputs.len() {
            return Err(Problem::bad(format!("found {} outputs, wanted at most {}", self.outputs.len(), outputs.len())));
        }
        self.outputs.iter().map(find).collect()
    }
}

impl Tensor {
    /// The values, from the JSON or from the front of what is left of the raw tensors.
    fn read(&mut self, rows: u64, binary: &mut &[u8]) -> Result<Data, Problem> {
        if !matches!(self.shape[..], [n] | [n, 1] if n == rows && n > 0) {
            let found = format!("shape {:?}", &self.shape[..self.shape.len().min(8)]);
            return Err(self.wrong(&found, &format!("[n] or [n, 1] with n > 0 as in the first input: {rows}")));
        }
        let data = match self.parameters.binary_data_size {
            Some(size) => {
                let left = format!("at most the {} bytes that are left", binary.len());
                let found = format!("binary_data_size {size}");
                let (own, rest) = binary.split_at_checked(size).ok_or_else(|| self.wrong(&found, &left))?;
                *binary = rest;
                Data::decode(&self.datatype, own)
                    .ok_or_else(|| self.wrong(&format!("{size} bytes of {}", shorten(&self.datatype)), DATATYPES))?
            }
            None => self.data.take().ok_or_else(|| self.wrong("no data", "data or binary_data_size"))?,
        };
        match data.len() as u64 {
            found if found == rows => Ok(data),
            found => Err(self.wrong(&format!("{found} values"), &format!("{rows}, as the shape says"))),
        }
    }

    fn wrong(&self, found: &str, wanted: &str) -> Problem {
        Problem::bad(format!("input {}: found {found}, wanted {wanted}", shorten(&self.name)))
    }
}

impl Data {
    fn len(&self) -> usize {
        match self {
            Data::Numbers(numbers) => numbers.len(),
            Data::Texts(texts) => texts.len(),
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Data::Numbers(_) => "numbers",
            Data::Texts(_) => "texts",
        }
    }

    /// Raw little-endian values; none when the type is not known or the bytes do not fit it.
    fn decode(datatype: &str, bytes: &[u8]) -> Option<Data> {
        fn of<const N: usize>(bytes: &[u8], value: impl Fn([u8; N]) -> f64) -> Option<Data> {
            let (values, rest) = bytes.as_chunks::<N>();
            rest.is_empty().then(|| Data::Numbers(values.iter().map(|&bytes| value(bytes)).collect()))
        }
        match datatype {
            "BOOL" => of(bytes, |[byte]| f64::from(u8::from(byte != 0))),
            "INT8" => of(bytes, |b| i8::from_le_bytes(b).into()),
            "INT16" => of(bytes, |b| i16::from_le_bytes(b).into()),
            "INT32" => of(bytes, |b| i32::from_le_bytes(b).into()),
            "INT64" => of(bytes, |b| i64::from_le_bytes(b) as f64),
            "UINT8" => of(bytes, |b| u8::from_le_bytes(b).into()),
            "UINT16" => of(bytes, |b| u16::from_le_bytes(b).into()),
            "UINT32" => of(bytes, |b| u32::from_le_bytes(b).into()),
            "UINT64" => of(bytes, |b| u64::from_le_bytes(b) as f64),
            "FP32" => of(bytes, |b| f32::from_le_bytes(b).into()),
            "FP64" => of(bytes, f64::from_le_bytes),
            "BYTES" => decode_texts(bytes).map(Data::Texts),
            _ => None,
        }
    }

    /// The values as the column of an input; none when they are of another kind.
    fn column(self, inputs: &Inputs, input: &Input, datatype: &str) -> Option<ArrayRef> {
        match (self, &input.kind) {
            (Data::Numbers(numbers), Kind::Number) => {
                Some(Arc::new(numbers.into_iter().map(|number| (!number.is_nan()).then_some(number)).collect::<Float64Array>()))
            }
            (Data::Numbers(_), Kind::Date) | (Data::Texts(_), Kind::Number) => None,
            (Data::Numbers(numbers), _) => {
                let word = |number: f64| match datatype {
                    "BOOL" => (number != 0.0).to_string(),
                    _ => number.to_string(),
                };
                Some(Arc::new(numbers.into_iter().map(|number| (!number.is_nan()).then(|| word(number))).collect::<StringArray>()))
            }
            (Data::Texts(texts), _) => {
                let known = |text: &String| !inputs.is_missing(text);
                Some(Arc::new(texts.into_iter().map(|text| text.filter(known)).collect::<StringArray>()))
            }
        }
    }

    fn push_number(&mut self, number: f64) -> bool {
        match self {
            Data::Numbers(numbers) => numbers.push(number),
            Data::Texts(texts) if number.is_nan() => texts.push(None),
            Data::Texts(_) => return false,
        }
        true
    }

    fn push_text(&mut self, text: &str) -> bool {
        if let Data::Numbers(numbers) = self {
            if numbers.iter().any(|number| !number.is_nan()) {
                return false;
            }
            *self = Data::Texts(vec![None; numbers.len()]);
        }
        if let Data::Texts(texts) = self {
            texts.push(Some(text.to_owned()));
        }
        true
    }
}

/// Each text behind its length in four bytes.
fn decode_texts(mut bytes: &[u8]) -> Option<Vec<Option<String>>> {
    let mut texts = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        texts.push(Some(std::str::from_utf8(text).ok()?.to_owned()));
        bytes = rest;
    }
    bytes.is_empty().then_some(texts)
}

impl<'de> Deserialize<'de> for Data {
    /// Nested lists are flattened: `[[1], [2]]` is `[1, 2]`.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Data, D::Error> {
        let mut data = Data::Numbers(vec![]);
        from.deserialize_seq(Flatten(&mut data))?;
        Ok(data)
    }
}

struct Flatten<'a>(&'a mut Data);

impl<'de> de::DeserializeSeed<'de> for Flatten<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl Flatten<'_> {
    fn number<E: de::Error>(self, number: f64) -> Result<(), E> {
        if self.0.push_number(number) { Ok(()) } else { Err(E::custom("found a number among texts, wanted one kind of value")) }
    }
}

impl<'de> Visitor<'de> for Flatten<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of numbers, flags or texts")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Flatten(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.number(f64::NAN)
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<(), E> {
        self.number(f64::from(u8::from(flag)))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<(), E> {
        self.number(number as f64)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<(), E> {
        self.number(number as f64)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<(), E> {
        self.number(number)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        if self.0.push_text(text) { Ok(()) } else { Err(E::custom("found a text among numbers, wanted one kind of value")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_flat_and_of_one_kind() {
        let read = serde_json::from_str::<Data>;
        assert_eq!(read("[[1], [2.5], [true]]").unwrap(), Data::Numbers(vec![1.0, 2.5, 1.0]));
        assert_eq!(read(r#"[null, "a"]"#).unwrap(), Data::Texts(vec![None, Some("a".into())]));
        assert!(read(r#"[1, "a"]"#).is_err() && read(r#"["a", 1]"#).is_err() && read("3").is_err() && read(r#"[{"a": 1}]"#).is_err());
        assert!(read(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn decode_takes_whole_values_only() {
        assert_eq!(Data::decode("INT16", &[1, 0, 255, 255]), Some(Data::Numbers(vec![1.0, -1.0])));
        assert_eq!(Data::decode("BYTES", b"\x02\0\0\0hi\0\0\0\0"), Some(Data::Texts(vec![Some("hi".into()), Some(String::new())])));
        for (datatype, bytes) in
            [("FP64", &b"1234"[..]), ("BYTES", b"\xff\xff\xff\xffhi"), ("BYTES", b"\x01\0\0\0\xff"), ("BYTES", b"\x01"), ("FP8", b"")]
        {
            assert_eq!(Data::decode(datatype, bytes), None, "{datatype}");
        }
    }
}
