//! Answered rows on their way to the thread that counts them, in memory of their own. Rows that were kept as they came would keep their requests'
//! memory until another thread freed it, and requests would be given memory that no cache has: handing every row over like that made
//! them 8 % longer.

use crate::Result;
use crate::service::Model;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Float64Array, StringArray, TimestampMicrosecondArray};
use arrow_schema::{DataType, TimeUnit};
use cupola_task::{Answer, Column, Columns, Predictions};
use cupola_watch::log::row_id;
use cupola_watch::row_hash;
use std::collections::VecDeque;
use std::sync::Arc;

/// How many bytes may wait. More is left out, but for a request that is alone.
const WAITING: usize = 4 << 20;
/// What a request weighs beside its columns when some of them are kept as they came: so many are taken at most, however small.
const KEPT: usize = 16 << 10;
/// A request of more rows is kept as it came: to copy it would hold up others.
const COPIED: usize = 64;
/// Rows that are counted at once, unless one request has more.
const PART: usize = 1024;

/// What a request hands over.
pub(super) struct Said<'a> {
    pub(super) model: &'a Arc<Model>,
    pub(super) at_us: i64,
    pub(super) id: &'a str,
    pub(super) inputs: &'a Columns,
    pub(super) predictions: &'a Predictions,
}

#[derive(Default)]
pub(super) struct Line {
    parts: VecDeque<Part>,
    bytes: usize,
    /// Whether nothing more will come.
    pub(super) is_over: bool,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Whether there is as much as is counted at once.
    pub(super) fn has_part(&self) -> bool {
        self.parts.len() > 1 || self.parts.front().is_some_and(|part| !part.has_room())
    }

    /// Takes rows in; false when there is no room.
    pub(super) fn push(&mut self, said: &Said<'_>) -> bool {
        if self.bytes >= WAITING {
            return false;
        }
        let bytes = match self.parts.back_mut().filter(|part| part.takes(said)) {
            Some(part) => part.add(said),
            None => {
                let (part, bytes) = Part::new(said);
                if !self.is_empty() && self.bytes + bytes > WAITING {
                    return false;
                }
                self.parts.push_back(part);
                bytes
            }
        };
        self.bytes += bytes;
        if let Some(part) = self.parts.back_mut() {
            part.bytes += bytes;
        }
        true
    }

    pub(super) fn pop(&mut self) -> Option<Part> {
        let part = self.parts.pop_front()?;
        self.bytes -= part.bytes;
        Some(part)
    }
}

/// Rows that one model answered: request by request, and of each request column by column. So a request touches a few ends of memory, not some of
/// every column.
pub(super) struct Part {
    pub(super) model: Arc<Model>,
    pub(super) at_us: Vec<i64>,
    pub(super) hashes: Vec<u64>,
    /// How many rows each request has.
    requests: Vec<usize>,
    columns: Vec<(Arc<str>, Held)>,
    numbers: Vec<Option<f64>>,
    /// In microseconds.
    dates: Vec<Option<i64>>,
    /// How long each text is; the texts follow one another.
    lengths: Vec<Option<usize>>,
    texts: String,
    /// None for kinds that are not watched.
    answers: Option<Predictions>,
    /// A column whose type was another one in some request.
    odd: Option<Arc<str>>,
    bytes: usize,
}

/// Where a column's cells are.
enum Held {
    Numbers,
    Dates,
    Texts,
    /// Here, as they came.
    Kept(Vec<Column>),
}

impl Held {
    fn new(column: &Column) -> Held {
        match column.array().map(|array| array.data_type()) {
            Some(DataType::Float64) => Held::Numbers,
            Some(DataType::Timestamp(TimeUnit::Microsecond, None)) => Held::Dates,
            Some(DataType::Utf8) => Held::Texts,
            _ => Held::Kept(Vec::new()),
        }
    }
}

impl Part {
    /// With how many bytes it holds.
    fn new(said: &Said<'_>) -> (Part, usize) {
        let is_kept = said.predictions.rows() > COPIED;
        let held = |column: &Column| if is_kept { Held::Kept(Vec::new()) } else { Held::new(column) };
        let answers = said.predictions.0.iter().map(|(name, answer)| Some((name.clone(), empty(answer)?)));
        let mut part = Part {
            model: said.model.clone(),
            at_us: Vec::new(),
            hashes: Vec::new(),
            requests: Vec::new(),
            columns: said.inputs.iter().map(|(name, column)| (name.clone(), held(column))).collect(),
            numbers: Vec::new(),
            dates: Vec::new(),
            lengths: Vec::new(),
            texts: String::new(),
            answers: answers.collect::<Option<_>>().map(Predictions),
            odd: None,
            bytes: 0,
        };
        let bytes = part.add(said);
        (part, bytes)
    }

    fn has_room(&self) -> bool {
        self.hashes.len() < PART
    }

    /// Whether these rows may join: none join a request that is kept as it came.
    fn takes(&self, said: &Said<'_>) -> bool {
        let rows = said.predictions.rows();
        rows <= COPIED && self.requests[0] <= COPIED && self.hashes.len() + rows <= PART && Arc::ptr_eq(&self.model, said.model)
    }

    /// How many bytes came in.
    fn add(&mut self, said: &Said<'_>) -> usize {
        let rows = said.predictions.rows();
        self.requests.push(rows);
        self.at_us.extend(std::iter::repeat_n(said.at_us, rows));
        match rows {
            1 => self.hashes.push(row_hash(said.id)),
            _ => self.hashes.extend((0..rows).map(|row| row_hash(&row_id(said.id, row)))),
        }
        let answers = self.answers.iter_mut().flat_map(|answers| &mut answers.0);
        let answered: usize = answers.zip(&said.predictions.0).map(|((_, sum), (_, answer))| extend(sum, answer)).sum();
        let before = self.texts.len();
        let (mut grown, mut kept) = (16 * rows + answered, 0);
        for ((name, held), (_, column)) in self.columns.iter_mut().zip(said.inputs.iter()) {
            match (held, column.array().map(|array| (array.data_type(), array))) {
                (Held::Numbers, Some((DataType::Float64, array))) => {
                    self.numbers.extend(array.as_primitive::<Float64Type>());
                    grown += 16 * rows;
                }
                (Held::Dates, Some((DataType::Timestamp(TimeUnit::Microsecond, None), array))) => {
                    self.dates.extend(array.as_primitive::<TimestampMicrosecondType>());
                    grown += 16 * rows;
                }
                (Held::Texts, Some((DataType::Utf8, array))) => {
                    for text in array.as_string::<i32>() {
                        self.lengths.push(text.map(str::len));
                        self.texts.push_str(text.unwrap_or_default());
                    }
                    grown += 16 * rows;
                }
                (Held::Kept(columns), _) => {
                    kept += held_bytes(column).max(1);
                    columns.push(column.clone());
                }
                _ => self.odd = Some(name.clone()),
            }
        }
        grown + self.texts.len() - before + if kept > 0 { KEPT + kept } else { 0 }
    }

    /// What was asked and answered; none for kinds that are not watched.
    ///
    /// # Errors
    /// When columns of one name were of different types.
    pub(super) fn finish(self) -> Result<Option<(Columns, Predictions)>> {
        let Some(answers) = self.answers else { return Ok(None) };
        if let Some(name) = self.odd {
            return Err(cupola_task::Error::input(format!("column {name}"), "another type than before", "one type").into());
        }
        let rows = self.requests.iter().sum::<usize>();
        let counts = [self.numbers.len(), self.dates.len(), self.lengths.len()].map(|cells| cells / rows);
        let mut begins = Vec::with_capacity(self.lengths.len());
        let mut end = 0;
        for length in &self.lengths {
            begins.push(end);
            end += length.unwrap_or_default();
        }
        let mut places = [0; 3];
        let mut columns = Vec::with_capacity(self.columns.len());
        for (name, held) in self.columns {
            let mut cells = |kind: usize| {
                places[kind] += 1;
                cells(&self.requests, counts[kind], places[kind] - 1)
            };
            let array: ArrayRef = match held {
                Held::Numbers => Arc::new(cells(0).map(|at| self.numbers[at]).collect::<Float64Array>()),
                Held::Dates => Arc::new(cells(1).map(|at| self.dates[at]).collect::<TimestampMicrosecondArray>()),
                Held::Texts => {
                    let text = |at: usize| self.lengths[at].map(|length| &self.texts[begins[at]..begins[at] + length]);
                    Arc::new(cells(2).map(text).collect::<StringArray>())
                }
                Held::Kept(parts) => {
                    let parts: Vec<Columns> = parts.into_iter().map(|part| Columns::new(vec![(name.clone(), part)])).collect();
                    columns.extend(Columns::concat(&parts)?.iter().map(|(name, column)| (name.clone(), column.clone())));
                    continue;
                }
            };
            columns.push((name, Column::Array(array)));
        }
        Ok(Some((Columns::new(columns), answers)))
    }
}

/// Where the cells of one column lie among those of so many columns, of requests with so many rows.
fn cells(requests: &[usize], columns: usize, place: usize) -> impl Iterator<Item = usize> {
    let begin = move |sum: &mut usize, &rows: &usize| {
        let begin = *sum + place * rows;
        *sum += columns * rows;
        Some(begin..begin + rows)
    };
    requests.iter().scan(0, begin).flatten()
}

/// About how many bytes a column keeps.
fn held_bytes(column: &Column) -> usize {
    match column {
        Column::Array(array) => array.get_array_memory_size(),
        Column::Images(images) => images.shapes().map(|shape| shape.iter().map(|&side| side as usize).product::<usize>()).sum(),
        _ => 0,
    }
}

/// An answer of that kind without rows; none for kinds that are not watched.
fn empty(answer: &Answer) -> Option<Answer> {
    match answer {
        Answer::Scores { classes, .. } => Some(Answer::Scores { classes: classes.clone(), values: Vec::new() }),
        Answer::Numbers { .. } => Some(Answer::Numbers { values: Vec::new(), range: None }),
        _ => None,
    }
}

/// Adds an answer's rows; how many bytes that were.
fn extend(sum: &mut Answer, answer: &Answer) -> usize {
    match (sum, answer) {
        (Answer::Scores { values: sum, .. }, Answer::Scores { values, .. })
        | (Answer::Numbers { values: sum, .. }, Answer::Numbers { values, .. }) => {
            sum.extend_from_slice(values);
            8 * values.len()
        }
        _ => unreachable!("a model answers a target in one way"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServeOptions;
    use crate::fixture::{Gate, artifact};

    /// Rows with the numbers of a range.
    fn rows(numbers: std::ops::Range<usize>) -> (Columns, Predictions) {
        let cell = |number: usize| (!number.is_multiple_of(3)).then_some(number as f64);
        let texts: StringArray = numbers.clone().map(|number| Some("long ".repeat(number % 5))).collect();
        let values: Float64Array = numbers.clone().map(cell).collect();
        let columns = Columns::new(vec![("x".into(), Column::Array(Arc::new(values))), ("t".into(), Column::Array(Arc::new(texts)))]);
        let values = numbers.map(|number| number as f64 / 7.0).collect();
        (columns, Predictions(vec![("y".into(), Answer::Numbers { values, range: None })]))
    }

    fn model(options: &ServeOptions) -> Arc<Model> {
        Arc::new(Model::new("m".into(), "1".into(), artifact(&Arc::new(Gate::default()), 1), options).unwrap())
    }

    fn push(line: &mut Line, model: &Arc<Model>, numbers: std::ops::Range<usize>) -> bool {
        let (id, (inputs, predictions)) = (format!("r{}", numbers.start), rows(numbers));
        line.push(&Said { model, at_us: 5, id: &id, inputs: &inputs, predictions: &predictions })
    }

    #[test]
    fn rows_come_out_as_they_came_in() {
        let options = ServeOptions::default();
        let (first, second) = (model(&options), model(&options));
        let mut line = Line::default();
        let bounds = [0, 1, 2, 40, 104, 304, 305, 306];
        let pushed = bounds.windows(2).all(|pair| push(&mut line, &first, pair[0]..pair[1])) && push(&mut line, &second, 306..308);
        assert!(pushed && line.has_part());
        // More rows than are copied stand alone, and a model's do not mix with another's.
        for (numbers, model) in [(0..104, &first), (104..304, &first), (304..306, &first), (306..308, &second)] {
            let part = line.pop().unwrap();
            assert!(Arc::ptr_eq(&part.model, model));
            assert_eq!((part.at_us.len(), part.hashes.len()), (numbers.len(), numbers.len()));
            if numbers.start == 0 {
                assert_eq!([part.hashes[1], part.hashes[5]], [row_hash("r1"), row_hash(&row_id("r2", 3))]);
            }
            let (columns, answers) = part.finish().unwrap().unwrap();
            let (wanted, told) = rows(numbers);
            assert_eq!(answers, told);
            for name in ["x", "t"] {
                assert_eq!(columns.array(name).unwrap(), wanted.array(name).unwrap());
            }
        }
        assert!(line.is_empty() && line.pop().is_none());
        assert_eq!(line.bytes, 0);
    }

    #[test]
    fn what_waits_has_an_end() {
        let (model, mut line) = (model(&ServeOptions::default()), Line::default());
        assert!(push(&mut line, &model, 0..300_000), "a request that is alone is taken, however large");
        assert!(!push(&mut line, &model, 0..1));
        line.pop();
        let taken = (0..).take_while(|&row| push(&mut line, &model, row..row + 1)).count();
        assert!((50_000..120_000).contains(&taken), "{taken}");
        assert!(!push(&mut line, &model, 0..1));
    }
}
