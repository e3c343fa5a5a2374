//! Rows as points that others are compared to: support vectors, neighbours. Columns that are nearly full lie densely, those that are
//! nearly empty (one-hot codes, word counts) by their entries only.
//!
//! Sums go over dense columns in order and then over entries in order, whichever rows are compared and however many at once: the scalar
//! product of two rows is the same number each time.

use crate::bytes::{Reader, Writer};
use crate::rows::{Feature, Values};
use crate::solve::{Input, Taken};
use cupola_task::{Error, Result};
use std::ops::Range;

/// Columns with at most this share of entries other than zero are stored by their entries.
const SPARSE_SHARE: f64 = 0.25;
/// Larger numbers overflow when their squares are summed.
const SIZE_MAX: f64 = 1e150;
/// Others that a row is compared to at once.
pub(crate) const LANES: usize = 4;

/// One number for each of the [`LANES`] others.
pub(crate) type Lane = [f64; LANES];

/// Points, one a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Points {
    rows: usize,
    dense: usize,
    /// For each place the column it comes from; dense ones first.
    order: Vec<u32>,
    values: Vec<f64>,
    starts: Vec<u32>,
    places: Vec<u32>,
    entries: Vec<f64>,
}

/// Up to [`LANES`] points, place by place.
pub(crate) struct Packed {
    dense: Vec<Lane>,
    sparse: Vec<Lane>,
}

/// The numbers of features, which all models of points want.
///
/// # Errors
/// When one holds categories.
pub(crate) fn columns(features: &[Feature]) -> Result<Vec<&[f64]>> {
    let numbers = |feature: &'_ Feature| match &feature.values {
        Values::Numbers(_) => Ok(()),
        Values::Codes { .. } => Err(Error::input(format!("column {}", feature.name), "category codes", "numbers")),
    };
    features.iter().try_for_each(numbers)?;
    Ok(features.iter().map(|feature| if let Values::Numbers(values) = &feature.values { values.as_slice() } else { &[] }).collect())
}

/// Refuses rows to answer that hold what is no number, or one too large to square.
///
/// # Errors
/// With column and row.
pub(crate) fn check_finite(taken: &[Taken<'_>], inputs: &[Input], rows: usize) -> Result<()> {
    taken.iter().try_for_each(|taken| check_column(0..rows, |row| taken.value(row), || taken.name(inputs)))
}

fn check_column(mut rows: impl Iterator<Item = usize>, value: impl Fn(usize) -> f64, name: impl Fn() -> String) -> Result<()> {
    // Written so that NaN is refused too.
    let Some(row) = rows.find(|&row| !matches!(value(row).abs(), 0.0..=SIZE_MAX)) else { return Ok(()) };
    let wanted = if value(row).is_finite() { "a number of at most 1e150" } else { "a finite number" };
    Err(Error::input(format!("column {} in row {row}", name()), value(row), wanted))
}

impl Points {
    /// The rows that `keep` names.
    ///
    /// # Errors
    /// When a feature is not numeric, or a kept value is not finite or too large to square, with column and row.
    pub(crate) fn new(features: &[Feature], keep: &[usize]) -> Result<Points> {
        let columns = columns(features)?;
        for (feature, column) in features.iter().zip(&columns) {
            check_column(keep.iter().copied(), |row| column[row], || feature.name.to_string())?;
        }
        let is_sparse = |column: &u32| {
            let filled = keep.iter().filter(|&&row| columns[*column as usize][row] != 0.0).count();
            filled as f64 <= SPARSE_SHARE * keep.len() as f64
        };
        let (sparse, dense): (Vec<u32>, Vec<u32>) = (0..columns.len() as u32).partition(is_sparse);
        let mut points = Points {
            rows: keep.len(),
            dense: dense.len(),
            order: dense.iter().chain(&sparse).copied().collect(),
            values: Vec::with_capacity(keep.len() * dense.len()),
            starts: vec![0],
            places: Vec::new(),
            entries: Vec::new(),
        };
        for &row in keep {
            points.values.extend(dense.iter().map(|&column| columns[column as usize][row]));
            for (place, &column) in sparse.iter().enumerate() {
                let value = columns[column as usize][row];
                if value != 0.0 {
                    points.places.push(place as u32);
                    points.entries.push(value);
                }
            }
            points.starts.push(points.entries.len() as u32);
        }
        Ok(points)
    }

    /// Some of the rows, in that order.
    pub(crate) fn take(&self, rows: &[usize]) -> Points {
        let mut taken = Points {
            rows: rows.len(),
            dense: self.dense,
            order: self.order.clone(),
            values: Vec::with_capacity(rows.len() * self.dense),
            starts: vec![0],
            places: Vec::new(),
            entries: Vec::new(),
        };
        for &row in rows {
            taken.values.extend_from_slice(self.dense_row(row));
            let (places, entries) = self.sparse_row(row);
            taken.places.extend_from_slice(places);
            taken.entries.extend_from_slice(entries);
            taken.starts.push(taken.entries.len() as u32);
        }
        taken
    }

    /// Other points of the same columns, given place by place.
    pub(crate) fn of_places(&self, rows: &[Vec<f64>]) -> Points {
        let starts = vec![0; rows.len() + 1];
        Points {
            rows: rows.len(),
            dense: self.width(),
            order: self.order.clone(),
            values: rows.concat(),
            starts,
            places: vec![],
            entries: vec![],
        }
    }

    /// How many points.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// How many numbers are stored.
    pub(crate) fn stored(&self) -> usize {
        self.values.len() + self.entries.len()
    }

    /// How many numbers a point has.
    pub(crate) fn width(&self) -> usize {
        self.order.len()
    }

    /// For each place the column it comes from.
    pub(crate) fn columns(&self) -> &[u32] {
        &self.order
    }

    fn sparse(&self) -> usize {
        self.width() - self.dense
    }

    fn dense_row(&self, row: usize) -> &[f64] {
        &self.values[row * self.dense..(row + 1) * self.dense]
    }

    fn sparse_row(&self, row: usize) -> (&[u32], &[f64]) {
        let range = self.starts[row] as usize..self.starts[row + 1] as usize;
        (&self.places[range.clone()], &self.entries[range])
    }

    /// A row's numbers, place by place.
    pub(crate) fn write_row(&self, row: usize, out: &mut [f64]) {
        out[..self.dense].copy_from_slice(self.dense_row(row));
        out[self.dense..].fill(0.0);
        let (places, entries) = self.sparse_row(row);
        for (&place, &entry) in places.iter().zip(entries) {
            out[self.dense + place as usize] = entry;
        }
    }

    /// `sum += factor * row`, place by place.
    pub(crate) fn add_row(&self, row: usize, factor: f64, sum: &mut [f64]) {
        for (sum, value) in sum.iter_mut().zip(self.dense_row(row)) {
            *sum += factor * value;
        }
        let (places, entries) = self.sparse_row(row);
        for (&place, &entry) in places.iter().zip(entries) {
            sum[self.dense + place as usize] += factor * entry;
        }
    }

    /// Each row's product with itself, as [`Points::products`] gives it.
    pub(crate) fn squares(&self) -> Vec<f64> {
        let square = |row: usize| {
            let dense = self.dense_row(row).iter().fold(0.0, |sum, value| sum + value * value);
            self.sparse_row(row).1.iter().fold(dense, |sum, entry| sum + entry * entry)
        };
        (0..self.rows).map(square).collect()
    }

    /// Room for others to compare to.
    pub(crate) fn packed(&self) -> Packed {
        Packed { dense: vec![[0.0; LANES]; self.dense], sparse: vec![[0.0; LANES]; self.sparse()] }
    }

    /// Packs some of the own rows; lanes without one are zeros.
    pub(crate) fn pack_own(&self, rows: &[usize], packed: &mut Packed) {
        self.pack_other(self, rows, packed);
    }

    /// Packs rows of other points of the same columns in the same order, of which more may lie densely here.
    pub(crate) fn pack_other(&self, other: &Points, rows: &[usize], packed: &mut Packed) {
        debug_assert!(self.order == other.order, "places are the same");
        packed.clear();
        for (lane, &row) in rows.iter().enumerate() {
            for (place, &value) in other.dense_row(row).iter().enumerate() {
                packed.place(place)[lane] = value;
            }
            let (places, entries) = other.sparse_row(row);
            for (&place, &entry) in places.iter().zip(entries) {
                packed.place(other.dense + place as usize)[lane] = entry;
            }
        }
    }

    /// Packs rows to answer; lanes beyond them are zeros.
    pub(crate) fn pack(&self, taken: &[Taken<'_>], rows: Range<usize>, packed: &mut Packed) {
        packed.clear();
        for (place, &column) in self.order.iter().enumerate() {
            let lanes = packed.place(place);
            for (lane, row) in lanes.iter_mut().zip(rows.clone()) {
                *lane = taken[column as usize].value(row);
            }
        }
    }

    /// The scalar products of some rows with the packed ones.
    pub(crate) fn products(&self, rows: Range<usize>, packed: &Packed, out: &mut [Lane]) {
        let (mut row, mut place) = (rows.start, 0);
        while row + LANES <= rows.end {
            out[place..place + LANES].copy_from_slice(&self.four(row, &packed.dense));
            (row, place) = (row + LANES, place + LANES);
        }
        while row < rows.end {
            let mut sum = [0.0; LANES];
            for (lanes, &value) in packed.dense.iter().zip(self.dense_row(row)) {
                for lane in 0..LANES {
                    sum[lane] += value * lanes[lane];
                }
            }
            out[place] = sum;
            (row, place) = (row + 1, place + 1);
        }
        if self.sparse() > 0 {
            for (row, sum) in rows.zip(out) {
                let (places, entries) = self.sparse_row(row);
                for (&place, &entry) in places.iter().zip(entries) {
                    let lanes = &packed.sparse[place as usize];
                    for lane in 0..LANES {
                        sum[lane] += entry * lanes[lane];
                    }
                }
            }
        }
    }

    /// Four rows at once: what is packed is loaded once for all of them.
    fn four(&self, row: usize, packed: &[Lane]) -> [Lane; LANES] {
        let [a, b, c, d] = [row, row + 1, row + 2, row + 3].map(|row| &self.dense_row(row)[..packed.len()]);
        let mut sums = [[0.0; LANES]; LANES];
        for (place, lanes) in packed.iter().enumerate() {
            let values = [a[place], b[place], c[place], d[place]];
            for (sum, value) in sums.iter_mut().zip(values) {
                for lane in 0..LANES {
                    sum[lane] += value * lanes[lane];
                }
            }
        }
        sums
    }

    /// Writes what [`Points::read`] reads.
    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.count(self.rows);
        writer.count(self.dense);
        writer.wholes(&self.order);
        writer.reals(&self.values);
        writer.wholes(&self.starts);
        writer.wholes(&self.places);
        writer.reals(&self.entries);
    }

    /// Reads and checks points of so many numbers.
    ///
    /// # Errors
    /// When the bytes are not such points.
    pub(crate) fn read(reader: &mut Reader<'_>, width: usize) -> Result<Points> {
        let (rows, dense) = (reader.whole("points")? as usize, reader.whole("dense columns")? as usize);
        let order = reader.wholes("columns")?;
        // As long as the bytes that are there, whatever the width claims to be.
        let mut is_there = vec![false; order.len()];
        let is_order = order.len() == width
            && dense <= width
            && order.iter().all(|&column| is_there.get_mut(column as usize).is_some_and(|seen| !std::mem::replace(seen, true)));
        if !is_order {
            return Err(reader.wrong(format!("{} columns, {dense} of them dense", order.len()), format!("each of {width} columns once")));
        }
        let values = reader.reals("coordinates")?;
        let (starts, places, entries) = (reader.wholes("starts")?, reader.wholes("places")?, reader.reals("entries")?);
        let is_sound = rows.checked_mul(dense) == Some(values.len())
            && starts.len() == rows + 1
            && starts[0] == 0
            && starts.windows(2).all(|pair| pair[0] <= pair[1])
            && starts[rows] as usize == entries.len()
            && places.len() == entries.len()
            && places.iter().all(|&place| (place as usize) < width - dense)
            && values.iter().chain(&entries).all(|value| value.abs() <= SIZE_MAX);
        match is_sound {
            true => Ok(Points { rows, dense, order, values, starts, places, entries }),
            false => Err(reader.wrong(format!("{rows} points that contradict themselves"), "points")),
        }
    }
}

impl Packed {
    fn clear(&mut self) {
        self.dense.fill([0.0; LANES]);
        self.sparse.fill([0.0; LANES]);
    }

    fn place(&mut self, place: usize) -> &mut Lane {
        match place.checked_sub(self.dense.len()) {
            None => &mut self.dense[place],
            Some(sparse) => &mut self.sparse[sparse],
        }
    }

    /// The packed points' products with themselves, as [`Points::products`] gives them.
    pub(crate) fn squares(&self) -> Lane {
        let mut sum = [0.0; LANES];
        for lanes in self.dense.iter().chain(&self.sparse) {
            for lane in 0..LANES {
                sum[lane] += lanes[lane] * lanes[lane];
            }
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::Draw;

    fn points(rows: usize) -> (Points, Vec<Vec<f64>>) {
        let draw = Draw::new(3);
        let column = |number: u64, row: u64| match number % 3 {
            0 => draw.at(number).normal(row),
            1 => f64::from(u8::from(draw.at(number).uniform(row) < 0.2)),
            _ => 0.0,
        };
        let columns: Vec<Vec<f64>> = (0..8).map(|number| (0..rows as u64).map(|row| column(number, row)).collect()).collect();
        let feature = |values: &Vec<f64>| Feature { name: "x".into(), values: Values::Numbers(values.clone()) };
        let features: Vec<Feature> = columns.iter().map(feature).collect();
        (Points::new(&features, &(0..rows).collect::<Vec<_>>()).unwrap(), columns)
    }

    #[test]
    fn products_are_plain_sums_and_the_same_however_rows_are_packed() {
        let (points, columns) = points(23);
        let plain = |a: usize, b: usize| columns.iter().map(|column| column[a] * column[b]).sum::<f64>();
        let mut packed = points.packed();
        let mut out = vec![[0.0; LANES]; 23];
        let mut square = vec![];
        for others in [[3usize, 7, 22, 0], [7, 3, 1, 2]] {
            points.pack_own(&others, &mut packed);
            points.products(0..23, &packed, &mut out);
            for (row, found) in out.iter().enumerate() {
                for (found, &other) in found.iter().zip(&others) {
                    assert!((found - plain(row, other)).abs() < 1e-12);
                }
            }
            square.push((out[7], packed.squares()));
            let mut one = vec![[0.0; LANES]];
            points.products(5..6, &packed, &mut one);
            assert_eq!(one[0], out[5]);
        }
        assert_eq!((square[0].0[1], square[0].1[1]), (square[1].0[0], square[1].1[0]));
        assert_eq!(points.squares()[7], square[0].0[1]);
        assert_eq!(points.squares()[7], square[0].1[1]);
    }

    #[test]
    fn read_gives_what_write_wrote_and_refuses_the_rest() {
        let (points, _) = points(6);
        let mut writer = Writer::default();
        points.write(&mut writer);
        let read = |bytes: &[u8], width| Points::read(&mut Reader::new("points", bytes), width);
        assert_eq!(read(&writer.0, 8).unwrap(), points);
        assert!(read(&writer.0, 7).is_err() && read(&writer.0, usize::MAX).is_err());
        assert!((0..writer.0.len()).all(|end| read(&writer.0[..end], 8).is_err()));
        let draw = Draw::new(1);
        for trial in 0..4000u64 {
            let mut bytes = writer.0.clone();
            let place = draw.at(trial).below(0, bytes.len() as u64) as usize;
            bytes[place] = draw.at(trial).bits(1) as u8;
            if let Ok(points) = read(&bytes, 8) {
                let mut packed = points.packed();
                points.pack_own(&[0], &mut packed);
                points.products(0..points.rows(), &packed, &mut vec![[0.0; LANES]; points.rows()]);
            }
        }
    }
}
