//! An inference request: tensors become columns.

use super::outputs::Output;
use crate::pictures;
use crate::problem::{Problem, shorten};
use crate::rows::{Input, Inputs};
use arrow_array::builder::BinaryBuilder;
use arrow_array::{ArrayRef, Float64Array, StringArray, new_null_array};
use arrow_schema::DataType;
use axum::http::StatusCode;
use cupola_task::{Column, Columns, Images, Kind};
use serde::de::{self, Deserialize, Deserializer, SeqAccess, Visitor};
use std::fmt;
use std::sync::Arc;

/// What an input of images takes.
const PICTURES: &str = "UINT8 pixels of shape [n, height, width, channels], or BYTES with the content of picture files";
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
            if columns.get(&tensor.name).is_some() {
                return Err(tensor.wrong("the input twice", "each input once"));
            }
            let column = match inputs.input(&tensor.name) {
                Some(input) if matches!(input.kind, Kind::Image { .. }) => tensor.images(rows, &mut binary)?,
                Some(input) => {
                    let data = tensor.read(rows, &mut binary)?;
                    let found = data.word();
                    let array = data.column(inputs, input, &tensor.datatype);
                    Column::Array(array.ok_or_else(|| tensor.wrong(found, input.wanted()))?)
                }
                // It may be a target or a key, whose values do not matter.
                None => {
                    tensor.read(rows, &mut binary)?;
                    Column::Array(new_null_array(&DataType::Null, rows as usize))
                }
            };
            columns.insert(tensor.name.as_str().into(), column);
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
                let own = self.raw(size, binary)?;
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

    /// The next so many bytes of the raw tensors.
    fn raw<'b>(&self, size: usize, binary: &mut &'b [u8]) -> Result<&'b [u8], Problem> {
        let left = format!("at most the {} bytes that are left", binary.len());
        let (own, rest) = binary.split_at_checked(size).ok_or_else(|| self.wrong(&format!("binary_data_size {size}"), &left))?;
        *binary = rest;
        Ok(own)
    }

    /// Pictures: pixels as UINT8 of shape `[n, height, width, channels]`, or `[n, height, width]` for grey, as Triton's and KServe's clients
    /// send them to models with preprocessing of their own; or BYTES, each the content of a file (in JSON in base64).
    ///
    /// Other numbers are refused: whether FP32 pixels go to 1 or to 255, and which channel comes first, cannot be seen.
    fn images(&mut self, rows: u64, binary: &mut &[u8]) -> Result<Column, Problem> {
        match self.datatype.as_str() {
            "BYTES" => self.files(rows, binary),
            "UINT8" => self.pixels(rows, binary),
            other => Err(self.wrong(&format!("the type {}", shorten(other)), PICTURES)),
        }
    }

    fn files(&mut self, rows: u64, binary: &mut &[u8]) -> Result<Column, Problem> {
        let mut files = BinaryBuilder::new();
        match self.parameters.binary_data_size {
            Some(size) => {
                if !matches!(self.shape[..], [n] | [n, 1] if n == rows && n > 0) {
                    return Err(self.wrong(&format!("shape {:?}", &self.shape[..self.shape.len().min(8)]), "[n] or [n, 1] for BYTES"));
                }
                let own = self.raw(size, binary)?;
                let parts = parts(own).ok_or_else(|| self.wrong(&format!("{size} bytes"), "each value behind its length in 4 bytes"))?;
                if parts.len() as u64 != rows {
                    return Err(self.wrong(&format!("{} values", parts.len()), &format!("{rows}, as the shape says")));
                }
                parts.into_iter().for_each(|part| files.append_value(part));
            }
            None => {
                let Data::Texts(texts) = self.read(rows, binary)? else { return Err(self.wrong("numbers", pictures::WANTED)) };
                for text in texts {
                    let found = text.map_or_else(|| Err("nothing".to_owned()), |text| pictures::decode(&text));
                    files.append_value(found.map_err(|found| self.wrong(&found, pictures::WANTED).with_hint(pictures::HINT))?);
                }
            }
        }
        Ok(Column::Array(Arc::new(files.finish())))
    }

    fn pixels(&mut self, rows: u64, binary: &mut &[u8]) -> Result<Column, Problem> {
        let wanted = "[n, height, width, 1 or 3] or [n, height, width], with n > 0 as in the first input";
        let shown = format!("shape {:?}", &self.shape[..self.shape.len().min(8)]);
        let sides = match self.shape[..] {
            [n, height, width] if n == rows => [height, width, 1],
            [n, height, width, channels] if n == rows && matches!(channels, 1 | 3) => [height, width, channels],
            _ => return Err(self.wrong(&shown, wanted)),
        };
        // An image is no larger than a side that fits and an area that can be counted.
        let bytes = sides.iter().try_fold(rows, |product, side| product.checked_mul(*side)).filter(|bytes| *bytes > 0);
        let bytes = bytes.filter(|_| sides.iter().all(|side| *side <= u64::from(u16::MAX))).ok_or_else(|| self.wrong(&shown, wanted))?;
        let pixels = match self.parameters.binary_data_size {
            Some(size) => self.raw(size, binary)?.to_vec(),
            None => match self.data.take() {
                Some(Data::Numbers(numbers)) => {
                    let level = |number: &f64| (number.fract() == 0.0 && (0.0..=255.0).contains(number)).then_some(*number as u8);
                    numbers
                        .iter()
                        .map(level)
                        .collect::<Option<Vec<u8>>>()
                        .ok_or_else(|| self.wrong("other numbers", "whole numbers of 0 to 255"))?
                }
                Some(Data::Texts(_)) => return Err(self.wrong("texts", PICTURES)),
                None => return Err(self.wrong("no data", "data or binary_data_size")),
            },
        };
        if pixels.len() as u64 != bytes {
            return Err(self.wrong(&format!("{} values", pixels.len()), &format!("{bytes}, as the shape says")));
        }
        let shape = sides.map(|side| side as u32);
        Ok(Column::Images(Images::packed(pixels, std::iter::repeat_n(shape, rows as usize))))
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

fn decode_texts(bytes: &[u8]) -> Option<Vec<Option<String>>> {
    parts(bytes)?.into_iter().map(|part| Some(Some(std::str::from_utf8(part).ok()?.to_owned()))).collect()
}

/// Values of BYTES, each behind its length in four bytes.
fn parts(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut parts = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let (part, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        parts.push(part);
        bytes = rest;
    }
    bytes.is_empty().then_some(parts)
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
