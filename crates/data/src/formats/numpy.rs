//! NumPy arrays (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>), read by the `npyz` crate: a matrix of a `.npy` file
//! gives `column_1`, `column_2`, ...; of the arrays of an `.npz` file a vector gives the column of its name, a matrix `NAME_1`, `NAME_2`, ...
//! All have as many rows.
//!
//! Numbers, flags and texts are read; objects, which are pickles, never.

use super::archive::{ZIP, unpack};
use super::{FormatDef, Listed, Markers, Open, check_names, guarded, no_rows};
use crate::read::{Lines, Places, ReadOptions, Skipped};
use crate::source::Store;
use crate::{Error, Result};
use arrow_array::{ArrayRef, Float64Array, StringArray};
use bytes::Bytes;
use cupola_task::{Column, Columns};
use npyz::{DType, Deserialize, NpyFile, Order, TypeChar};
use std::sync::Arc;

/// The registry's entry.
pub const FORMAT: FormatDef = FormatDef {
    name: "numpy",
    extensions: &["npy", "npz"],
    doc: "NumPy arrays: vectors and matrices of a .npy or .npz file",
    sniff: |head| head.starts_with(MAGIC) || is_archive(head),
    open: Open::Random(open),
};

const MAGIC: &[u8] = b"\x93NUMPY";

/// A zip whose first file is an array: its name begins at byte 30.
fn is_archive(head: &[u8]) -> bool {
    let length = head.get(26..28).map_or(0, |bytes| usize::from(bytes[0]) | usize::from(bytes[1]) << 8);
    head.starts_with(ZIP) && head.get(30..30 + length).is_some_and(|name| name.ends_with(b".npy"))
}

fn open(store: Store, name: Arc<str>, options: &ReadOptions) -> super::Opened {
    let bytes = store.into_bytes(&name)?;
    let arrays = match bytes.starts_with(MAGIC) {
        true => vec![(None, bytes)],
        false => arrays(&name, &bytes, options.max_bytes)?,
    };
    let markers = Markers::new(&options.missing_values);
    let mut columns: Vec<(Arc<str>, Column)> = Vec::new();
    for (array, bytes) in arrays {
        let place = array.as_ref().map_or_else(|| name.to_string(), |array| format!("{name} array {array}"));
        let list = guarded(&place, || read(&place, array.as_deref(), &bytes, &markers))?;
        let rows = |list: &[(Arc<str>, Column)]| list.first().map(|(_, column)| column.len());
        if let (Some(had), Some(has)) = (rows(&columns), rows(&list))
            && had != has
        {
            let error = Error::refused(place, format!("{has} rows"), format!("{had} rows, as in the arrays before"));
            return Err(error.with_hint("arrays that belong to different tables stand in different files"));
        }
        columns.extend(list);
    }
    check_names(&name, columns.iter().map(|(name, _)| &**name))?;
    let columns = Columns::new(columns);
    if columns.rows() == 0 {
        return Err(no_rows(&name, &Skipped::default()));
    }
    Ok(Box::new(Listed::new(columns, Places::new(name, Lines::rows_from(0)))))
}

/// The arrays of an archive with their names, in its order.
fn arrays(name: &str, bytes: &[u8], bytes_max: u64) -> Result<Vec<(Option<String>, Bytes)>> {
    let mut files = Vec::new();
    unpack(name, bytes, bytes_max, |inside, file| {
        let mut content = Vec::new();
        let read = file.read_to_end(&mut content)?;
        files.push((inside.to_owned(), content));
        Ok(read as u64)
    })?;
    let array = |(inside, content): (String, Vec<u8>)| match inside.strip_suffix(".npy") {
        Some(array) => Ok((Some(array.to_owned()), content.into())),
        None => Err(Error::refused(name, format!("the file {inside:?} in the archive"), "arrays (.npy) alone")),
    };
    files.into_iter().map(array).collect()
}

fn damaged(place: &str, error: &std::io::Error) -> Error {
    Error::refused(place, format!("an array that cannot be read ({error})"), "a whole NumPy array")
        .with_hint("write or copy the file again")
}

/// Values of an array in the order of the file.
enum Values {
    Numbers(Vec<f64>),
    Texts(Vec<String>),
}

/// One array as columns; only those of an archive have names.
fn read(place: &str, name: Option<&str>, bytes: &[u8], markers: &Markers) -> Result<Vec<(Arc<str>, Column)>> {
    let file = NpyFile::new(bytes).map_err(|error| damaged(place, &error))?;
    let shape: Vec<usize> = file.shape().iter().map(|&side| usize::try_from(side).unwrap_or(usize::MAX)).collect();
    let (rows, width) = match *shape.as_slice() {
        [rows] => (rows, 1),
        [rows, width] => (rows, width),
        _ => {
            let error =
                Error::refused(place, format!("an array of {} axes", shape.len()), "a vector or a matrix: rows, or rows and columns");
            return Err(error.with_hint("reshape it: numpy.reshape(x, (len(x), -1))"));
        }
    };
    // A header may say what the file does not hold.
    let item = file.dtype().num_bytes().unwrap_or(1).max(1);
    if rows.checked_mul(width).and_then(|cells| cells.checked_mul(item)).is_none_or(|size| size > bytes.len()) {
        return Err(Error::refused(place, format!("{} bytes for an array of {shape:?}", bytes.len()), "a whole NumPy array")
            .with_hint("write or copy the file again"));
    }
    let (is_vector, order) = (shape.len() == 1, file.order());
    let values = values(place, file)?;
    let at = |row: usize, column: usize| match order {
        Order::C => row * width + column,
        Order::Fortran => column * rows + row,
    };
    let column = |column: usize| {
        let array: ArrayRef = match &values {
            Values::Numbers(numbers) => Arc::new(
                (0..rows)
                    .map(|row| numbers[at(row, column)])
                    .map(|number| (!markers.contain_number(number)).then_some(number))
                    .collect::<Float64Array>(),
            ),
            Values::Texts(texts) => Arc::new(
                (0..rows).map(|row| Some(texts[at(row, column)].as_str()).filter(|text| !markers.contain(text))).collect::<StringArray>(),
            ),
        };
        let name = match name {
            Some(name) if is_vector => name.to_owned(),
            name => format!("{}_{}", name.unwrap_or("column"), column + 1),
        };
        (name.into(), Column::Array(array))
    };
    Ok((0..width).map(column).collect())
}

fn values(place: &str, file: NpyFile<&[u8]>) -> Result<Values> {
    let unread = |found: String| Err(Error::refused(place, found, "numbers, flags or texts"));
    let dtype = file.dtype();
    let DType::Plain(kind) = &dtype else { return unread(format!("records ({})", dtype.descr())) };
    let (letter, size) = (kind.type_char(), kind.size_field());
    match (letter, size) {
        (TypeChar::Float, 8) => numbers::<f64>(place, file, |number| number),
        (TypeChar::Float, 4) => numbers::<f32>(place, file, f64::from),
        (TypeChar::Int, 1) => numbers::<i8>(place, file, f64::from),
        (TypeChar::Int, 2) => numbers::<i16>(place, file, f64::from),
        (TypeChar::Int, 4) => numbers::<i32>(place, file, f64::from),
        (TypeChar::Uint, 1) => numbers::<u8>(place, file, f64::from),
        (TypeChar::Uint, 2) => numbers::<u16>(place, file, f64::from),
        (TypeChar::Uint, 4) => numbers::<u32>(place, file, f64::from),
        (TypeChar::Int, 8) => wholes(items::<i64>(place, file)?.into_iter().map(i128::from)),
        (TypeChar::Uint, 8) => wholes(items::<u64>(place, file)?.into_iter().map(i128::from)),
        (TypeChar::Bool, _) => Ok(Values::Texts(items::<bool>(place, file)?.into_iter().map(|flag| flag.to_string()).collect())),
        (TypeChar::UnicodeStr | TypeChar::ByteStr, _) => Ok(Values::Texts(items::<String>(place, file)?)),
        (TypeChar::Object, _) => {
            let error = Error::refused(place, "objects, which are Python pickles", "numbers, flags or texts");
            Err(error.with_hint("write the array with a type of numbers or texts; pickles are never opened"))
        }
        _ => unread(format!("values of the type {}", dtype.descr())),
    }
}

fn items<T: Deserialize>(place: &str, file: NpyFile<&[u8]>) -> Result<Vec<T>> {
    file.into_vec::<T>().map_err(|error| damaged(place, &error))
}

fn numbers<T: Deserialize>(place: &str, file: NpyFile<&[u8]>, number: fn(T) -> f64) -> Result<Values> {
    Ok(Values::Numbers(items::<T>(place, file)?.into_iter().map(number).collect()))
}

/// Numbers, or their digits when a `f64` does not hold one of them.
fn wholes(numbers: impl Iterator<Item = i128> + Clone) -> Result<Values> {
    let is_exact = numbers.clone().all(|number| number.unsigned_abs() <= u128::from(super::normal::EXACT_MAX));
    Ok(match is_exact {
        true => Values::Numbers(numbers.map(|number| number as f64).collect()),
        false => Values::Texts(numbers.map(|number| number.to_string()).collect()),
    })
}

#[cfg(test)]
mod tests {
    use crate::formats::tests::{options, read_bytes, shown};
    use cupola_task::Fault;
    use expect_test::expect;
    use std::io::Write;
    use zip::write::SimpleFileOptions;

    /// A file of version 1.0 with that header and data.
    fn npy(descr: &str, order: &str, shape: &str, data: &[u8]) -> Vec<u8> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}");
        let padded = format!("{header:<117}\n");
        [b"\x93NUMPY\x01\x00", &(padded.len() as u16).to_le_bytes()[..], padded.as_bytes(), data].concat()
    }

    fn told(name: &str, bytes: Vec<u8>) -> String {
        match read_bytes(name, bytes, &options(&[])) {
            Ok(raw) => format!("{} {}", raw.columns.names().collect::<Vec<_>>().join("|"), shown(&raw.columns).join(" ")),
            Err(error) => format!("{error}; {}", error.hint().unwrap_or_default()),
        }
    }

    fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, bytes) in arrays {
            archive.start_file(*name, SimpleFileOptions::default()).unwrap();
            archive.write_all(bytes).unwrap();
        }
        archive.finish().unwrap().into_inner()
    }

    #[test]
    fn vectors_and_matrices_of_every_type_are_columns() {
        let halves: Vec<u8> = [1.5f32, f32::NAN, 3.0, 4.0].iter().flat_map(|number| number.to_be_bytes()).collect();
        let wide: Vec<u8> = [1i64, -9_007_199_254_740_993].iter().flat_map(|number| number.to_le_bytes()).collect();
        let cases = [
            told("a.npy", npy(">f4", "False", "(2, 2)", &halves)),
            told("a.npy", npy(">f4", "True", "(2, 2)", &halves)),
            told("a.npy", npy("<i8", "False", "(2,)", &wide)),
            told("a.npy", npy("|b1", "False", "(2,)", &[1, 0])),
            told("a.npy", npy("|S2", "False", "(2,)", b"abc\0")),
            told(
                "a.npz",
                npz(&[("x.npy", npy("|u1", "False", "(2, 2)", &[1, 2, 3, 4])), ("y.npy", npy("|i1", "False", "(2,)", &[5, 255]))]),
            ),
            told("a.npz", npz(&[("x.npy", npy("|u1", "False", "(3,)", &[1, 2, 3])), ("y.npy", npy("|u1", "False", "(2,)", &[5, 6]))])),
            told("a.npz", npz(&[("x.npy", npy("|u1", "False", "(1,)", &[1])), ("y.txt", vec![1])])),
            told("a.npy", npy("|O", "False", "(2,)", &[0; 8])),
            told("a.npy", npy("<c8", "False", "(1,)", &[0; 8])),
            told("a.npy", npy("<f8", "False", "(2, 2, 2)", &[0; 64])),
            told("a.npy", npy("<f8", "False", "(4611686018427387904, 8)", &[0; 64])),
            told("a.npy", npy("<f8", "False", "(0,)", &[])),
        ];
        expect![[r#"
            column_1|column_2 1.5|. 3.0|4.0
            column_1|column_2 1.5|3.0 .|4.0
            column_1 1 -9007199254740993
            column_1 true false
            column_1 ab c
            x_1|x_2|y 1.0|2.0|5.0 3.0|4.0|-1.0
            a.npz array y: found 2 rows, wanted 3 rows, as in the arrays before; arrays that belong to different tables stand in different files
            a.npz: found the file "y.txt" in the archive, wanted arrays (.npy) alone; 
            a.npy: found objects, which are Python pickles, wanted numbers, flags or texts; write the array with a type of numbers or texts; pickles are never opened
            a.npy: found values of the type '<c8', wanted numbers, flags or texts; 
            a.npy: found an array of 3 axes, wanted a vector or a matrix: rows, or rows and columns; reshape it: numpy.reshape(x, (len(x), -1))
            a.npy: found 192 bytes for an array of [4611686018427387904, 8], wanted a whole NumPy array; write or copy the file again
            a.npy: found a header and no row, wanted at least one row; if the first line is data, set data.header=false"#]].assert_eq(&cases.join("\n"));
    }
}
