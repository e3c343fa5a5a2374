//! A contact sheet of what a network will be shown: training images as the preparation makes them, and what augmentation makes of them
//! in the first epochs.

use crate::models::check_inputs;
use crate::{Choice, Error, Plan, Result, load};
use arrow_array::cast::AsArray;
use cupola_data::augment::{Augment, STREAM};
use cupola_data::prepare::TablePreparation;
use cupola_data::split;
use cupola_data::{Thumbnail, thumbnail};
use cupola_task::{Columns, Draw, Field, ImageNeeds, Images, Kind, Needs, Schema, Splits};
use std::collections::BTreeMap;
use std::sync::Arc;

/// No side of a picture on the sheet is longer.
const SIDE_MAX: u32 = 160;
/// Small pictures are enlarged to about that side.
const SIDE_MIN: u32 = 84;
/// Between pictures, and between the prepared image and its changes.
const GAP: u32 = 4;
const GAP_FIRST: u32 = 12;
/// What shows between pictures.
const GREY: u8 = 200;
/// For a recipe that names no network.
const ANY: ImageNeeds = ImageNeeds { channels: None, size: None, size_default: 224, size_min: 1 };

/// How large a sheet is to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SheetSize {
    /// Rows of the sheet: images.
    pub images: usize,
    /// Columns beside the first: epochs.
    pub epochs: u64,
}

/// A drawn sheet.
#[derive(Clone, PartialEq, Debug)]
pub struct Sheet {
    /// A PNG file.
    pub png: Vec<u8>,
    /// The column of images that it shows.
    pub column: String,
    /// Height, width and channels of the prepared images.
    pub shape: [u32; 3],
    /// What was done to prepare them, as a sentence's end.
    pub prepared: String,
    /// Whether the recipe asks for no change at all.
    pub is_plain: bool,
    /// For each row of the sheet where its image stands, and its target, if it has one.
    pub rows: Vec<(String, Option<String>)>,
}

/// Draws the sheet of a plan's first column of images: one row an image out of the training rows, of all classes in turn; first the image
/// as it is prepared, then as each epoch would show it.
///
/// # Errors
/// When the data cannot be read, has no column of images, or does not suit the plan.
pub fn sheet(plan: &Plan, size: SheetSize) -> Result<Sheet> {
    let loaded = load::load(plan)?;
    let image = image_column(loaded.schema())?.clone();
    let draw = |purpose: &str| Draw::new(plan.seed).stream(purpose);
    let cut = split::sides(&loaded.table, &loaded.split, draw("split"))?;
    let splits = Splits::new(Arc::new(loaded.table.clone()), &cut.sides);
    let train = splits.train();
    let (fitted, prepared) = preparation(plan, loaded.schema())?.fit_table(train, draw("prepare"))?;
    let labels = labels(loaded.schema(), &train.read_all()?.targets);
    let rows = chosen(&labels, train.data().len(), size.images, draw("sheet"));
    let batch = prepared.data().read(&rows, Draw::default())?;
    let images = batch.inputs.get(&image.name).and_then(|column| column.images()).expect("a prepared image stays an image");
    let shape = images.common_shape().ok_or_else(|| Error::Data("no training row to show".into(), None))?;
    let augment = Augment::open(&plan.augment)?;
    let epochs = (0..size.epochs).map(|epoch| augment.apply(images, draw("network").stream(STREAM).at(epoch), &rows).images);
    let columns: Vec<Images> = std::iter::once(images.clone()).chain(epochs).collect();
    let raw: Vec<usize> = (0..cut.sides.len()).filter(|&row| cut.sides[row] == cupola_task::Side::Train).collect();
    let told = |row: &u64| (loaded.place(raw[*row as usize]), labels.get(*row as usize).cloned());
    let prepared = fitted.describe().into_iter().find(|(name, _)| *name == image.name).map_or(String::new(), |(_, how)| how);
    Ok(Sheet {
        png: drawn(&columns)?.png()?,
        column: image.name.to_string(),
        shape,
        prepared,
        is_plain: augment.is_nothing([shape[0], shape[1]]),
        rows: rows.iter().map(told).collect(),
    })
}

fn image_column(schema: &Schema) -> Result<&Field> {
    schema.inputs().find(|field| matches!(field.kind, Kind::Image { .. })).ok_or_else(|| {
        let names: Vec<String> = schema.inputs().take(10).map(|field| format!("{} ({})", field.name, field.kind.word())).collect();
        Error::Data(format!("no column of images among the inputs: {}", names.join(", ")), None)
    })
}

/// The preparation of the plan's network, or of any where it names none.
fn preparation(plan: &Plan, schema: &Schema) -> Result<TablePreparation> {
    let needs = match (&plan.model, schema.targets().next()) {
        (Choice::Named(def, _), Some((_, task))) => {
            check_inputs(def, task, schema)?;
            if def.needs == Needs::Nothing { Needs::Images(ANY) } else { def.needs }
        }
        _ => Needs::Images(ANY),
    };
    let is_input = |name: &str| schema.inputs().any(|field| *field.name == *name);
    let columns = plan.inputs.iter().filter(|(name, _)| is_input(name)).map(|(name, input)| (name.clone(), input.prepare.clone()));
    Ok(TablePreparation { needs, table: plan.prepare.clone(), columns: columns.collect(), positive: BTreeMap::new() })
}

/// What stands in the first target of classes, row by row; empty without one.
fn labels(schema: &Schema, targets: &Columns) -> Vec<String> {
    let array = schema.targets().find_map(|(field, _)| targets.get(&field.name)?.array().cloned());
    let texts = array.as_ref().and_then(|array| array.as_string_opt::<i32>());
    texts.map_or(vec![], |texts| texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect())
}

/// Rows at random, one of each class in turn, sorted by class.
fn chosen(labels: &[String], rows: u64, wanted: usize, draw: Draw) -> Vec<u64> {
    let mut by_class: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for row in draw.permutation(rows) {
        by_class.entry(labels.get(row as usize).map_or("", String::as_str)).or_default().push(row);
    }
    let mut ranked: Vec<(usize, usize, u64)> = Vec::new();
    for (class, rows) in by_class.values().enumerate() {
        ranked.extend(rows.iter().take(wanted).enumerate().map(|(turn, &row)| (turn, class, row)));
    }
    ranked.sort_unstable();
    ranked.truncate(wanted);
    ranked.sort_unstable_by_key(|&(turn, class, _)| (class, turn));
    ranked.into_iter().map(|(_, _, row)| row).collect()
}

/// All pictures side by side, each column of images a column of the sheet.
fn drawn(columns: &[Images]) -> Result<Thumbnail> {
    let rows = columns.first().map_or(0, Images::len);
    let small = |images: &Images| (0..rows).map(|row| Ok(thumbnail(images, row, SIDE_MAX)?)).collect::<Result<Vec<_>>>();
    let pictures: Vec<Vec<Thumbnail>> = columns.iter().map(small).collect::<Result<_>>()?;
    let (height, width) = pictures.first().and_then(|column| column.first()).map_or((1, 1), |first| (first.height, first.width));
    let zoom = (SIDE_MIN / height.max(width)).max(1);
    let (tall, wide) = (height * zoom, width * zoom);
    let left = |column: u32| GAP + column * (wide + GAP) + if column > 0 { GAP_FIRST - GAP } else { 0 };
    let full = [GAP + rows as u32 * (tall + GAP), left(columns.len() as u32)];
    let mut canvas = vec![GREY; full[0] as usize * full[1] as usize * 3];
    for (column, pictures) in (0..).zip(&pictures) {
        for (row, picture) in (0..).zip(pictures) {
            let top = GAP + row * (tall + GAP);
            for (y, x) in (0..tall).flat_map(|y| (0..wide).map(move |x| (y, x))) {
                let at = ((top + y) as usize * full[1] as usize + (left(column) + x) as usize) * 3;
                canvas[at..at + 3].copy_from_slice(&picture.rgb(y / zoom, x / zoom));
            }
        }
    }
    Ok(Thumbnail { height: full[0], width: full[1], channels: 3, pixels: canvas })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_come_in_turn() {
        let labels: Vec<String> = (0..30).map(|row| ["cat", "dog", "rare"][if row == 7 { 2 } else { row % 2 }].to_owned()).collect();
        let rows = chosen(&labels, 30, 5, Draw::new(1));
        let classes: Vec<&str> = rows.iter().map(|&row| labels[row as usize].as_str()).collect();
        assert_eq!(classes, ["cat", "cat", "dog", "dog", "rare"]);
        assert_eq!(chosen(&[], 3, 5, Draw::new(1)).len(), 3);
    }

    #[test]
    fn pictures_stand_side_by_side() {
        let one = Images::packed(vec![10, 20], [[1, 1, 1], [1, 1, 1]]);
        let sheet = drawn(&[one.clone(), one.take(&[1, 0])]).unwrap();
        assert_eq!((sheet.height, sheet.width), (4 + 2 * 88, 4 + 2 * 88 + 8));
        assert_eq!([sheet.rgb(5, 5), sheet.rgb(5, 110), sheet.rgb(93, 5), sheet.rgb(0, 0)], [[10; 3], [20; 3], [20; 3], [200; 3]]);
    }
}
