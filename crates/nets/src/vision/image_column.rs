//! The image column of a network: checked against the schema, scaled, and packed channel by channel.

use crate::layout::{Builder, Fill, Layout, Param};
use cupola_task::{Columns, Draw, Error, Images, Kind, Range, Result, Schema, Setting, Settings, TrainSplit};
use std::sync::Arc;

/// How pixels are scaled, for the settings of every image network.
pub const NORMALIZE: Setting = Setting {
    name: "normalize",
    alias: &[],
    default: "auto",
    range: Range::Choice(&["auto", "imagenet", "none"]),
    doc: "Channels get mean 0 and deviation 1 by training images (auto) or by ImageNet's numbers (imagenet), or stay in 0..1 (none).",
};

/// ImageNet's mean and deviation of red, green and blue, as torchvision's pretrained weights expect them.
const IMAGENET: [[f32; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];

/// Means and deviations are learned from at most so many images, spread evenly.
const IMAGES_MEASURED: u64 = 10_000;

/// So many images are read together while they are measured.
const IMAGES_TOGETHER: usize = 500;

/// A row's image has at most so many numbers.
const NUMBERS_MAX: u64 = 1 << 28;

/// The one image column that a network looks at.
#[derive(Clone, Debug)]
pub struct ImageColumn {
    column: Arc<str>,
    /// Height, width and channels.
    shape: [usize; 3],
    /// Height and width of what the network sees: images stand in the middle of it.
    field: [usize; 2],
    learns: bool,
    mean: Param,
    std: Param,
}

impl ImageColumn {
    /// The schema's only input, which must be images of one size. Two fixed entries, `input.mean` and `input.std`, scale pixels that
    /// were brought to 0..1. A `field` holds smaller images in its middle, on black.
    ///
    /// # Errors
    /// When the inputs are something else, or images are larger than the field.
    pub fn new(schema: &Schema, settings: &Settings, field: Option<[usize; 2]>, builder: &mut Builder) -> Result<ImageColumn> {
        let (column, shape) = find(schema)?;
        let [height, width, channels] = shape;
        let field = field.unwrap_or([height, width]);
        if height > field[0] || width > field[1] {
            let wanted = format!("at most {}x{}", field[0], field[1]);
            return Err(Error::input(format!("column {column}"), format!("images of {height}x{width}"), wanted)
                .with_hint("scale them down, or use a model for larger images, such as resnet18"));
        }
        let normalize = settings.text("normalize");
        if normalize == "imagenet" && channels != 3 {
            return Err(Error::setting("model.normalize", format!("imagenet with images of {channels} channels"), "3 channels")
                .with_hint("use normalize=auto"));
        }
        let [mean, std] = builder.at("input", |builder| {
            ["mean", "std"].map(|name| builder.fixed(name, &[channels], Fill::Constant(if name == "std" { 1.0 } else { 0.0 })))
        });
        Ok(ImageColumn { column, shape, field, learns: normalize == "auto", mean, std })
    }

    /// Channels, height and width of what the network sees.
    pub fn sides(&self) -> [usize; 3] {
        [self.shape[2], self.field[0], self.field[1]]
    }

    /// Fills in means and deviations.
    ///
    /// # Errors
    /// When the rows cannot be read, or hold other images than the schema said.
    pub fn learn(&self, settings: &Settings, train: &TrainSplit, layout: &Layout, arena: &mut [f32]) -> Result<()> {
        let [mean, std] = [self.mean, self.std].map(|param| layout.of(param).range());
        if settings.text("normalize") == "imagenet" {
            arena[mean].copy_from_slice(&IMAGENET[0]);
            arena[std].copy_from_slice(&IMAGENET[1]);
        } else if self.learns {
            for (channel, counts) in self.histogram(train)?.iter().enumerate() {
                let [channel_mean, deviation] = moments(counts);
                arena[mean.start + channel] = channel_mean as f32;
                arena[std.start + channel] = deviation as f32;
            }
        }
        Ok(())
    }

    /// How often each channel has each brightness. Whole numbers, so that the order of images does not matter.
    fn histogram(&self, train: &TrainSplit) -> Result<Vec<[u64; 256]>> {
        let data = train.data();
        let measured = data.len().min(IMAGES_MEASURED);
        let rows: Vec<u64> = (0..measured).map(|place| place * data.len() / measured).collect();
        let mut counts = vec![[0u64; 256]; self.shape[2]];
        for rows in rows.chunks(IMAGES_TOGETHER) {
            let batch = data.read(rows, Draw::default())?;
            let images = self.images(&batch.inputs)?;
            for pixel in (0..images.len()).flat_map(|row| images.pixels(row).chunks_exact(self.shape[2])) {
                counts.iter_mut().zip(pixel).for_each(|(counts, &value)| counts[usize::from(value)] += 1);
            }
        }
        Ok(counts)
    }

    /// The column's images, all of the shape that the schema said.
    fn images<'a>(&self, inputs: &'a Columns) -> Result<&'a Images> {
        let place = format!("column {}", self.column);
        let column = inputs.get(&self.column).ok_or_else(|| Error::input(&place, "nothing", "images"))?;
        let images = column.images().ok_or_else(|| Error::input(&place, "something else", "images"))?;
        let wrong = images.shapes().position(|shape| shape.map(|side| side as usize) != self.shape);
        match wrong {
            None => Ok(images),
            Some(row) => {
                let [height, width, channels] = self.shape;
                let found = images.shape(row);
                Err(Error::input(
                    format!("{place}, image {}", row + 1),
                    format!("{}x{} with {} channels", found[0], found[1], found[2]),
                    format!("{height}x{width} with {channels} channels, as the network was made for"),
                ))
            }
        }
    }

    /// Scaled pixels of a batch, `[batch, channels, height, width]`, with how many images there are.
    ///
    /// # Errors
    /// When the column is missing or holds other images than the schema said.
    pub fn pack(&self, inputs: &Columns, layout: &Layout, arena: &[f32]) -> Result<(usize, Vec<f32>)> {
        let images = self.images(inputs)?;
        let [mean, std] = [self.mean, self.std].map(|param| &arena[layout.of(param).range()]);
        let scaled = |channel: usize, value: usize| (value as f32 / 255.0 - mean[channel]) / std[channel];
        let tables: Vec<[f32; 256]> = (0..mean.len()).map(|channel| std::array::from_fn(|value| scaled(channel, value))).collect();
        let [height, width] = self.field;
        let mut packed = vec![0.0; images.len() * tables.len() * height * width];
        if !packed.is_empty() {
            let planes = packed.chunks_exact_mut(height * width);
            for (place, plane) in planes.enumerate() {
                let (row, channel) = (place / tables.len(), place % tables.len());
                self.pack_plane(images.pixels(row), channel, &tables[channel], plane);
            }
        }
        Ok((images.len(), packed))
    }

    fn pack_plane(&self, pixels: &[u8], channel: usize, table: &[f32; 256], plane: &mut [f32]) {
        let [height, width, channels] = self.shape;
        let [top, left] = [(self.field[0] - height) / 2, (self.field[1] - width) / 2];
        if self.field != [height, width] {
            plane.fill(table[0]);
        }
        for (y, line) in pixels.chunks_exact(width * channels).enumerate() {
            let target = &mut plane[(top + y) * self.field[1] + left..][..width];
            target.iter_mut().zip(line.chunks_exact(channels)).for_each(|(to, pixel)| *to = table[usize::from(pixel[channel])]);
        }
    }
}

/// The schema's only input column with its height, width and channels.
fn find(schema: &Schema) -> Result<(Arc<str>, [usize; 3])> {
    let is_image = |kind: &Kind| matches!(kind, Kind::Image { .. });
    let images: Vec<_> = schema.inputs().filter(|field| is_image(&field.kind)).collect();
    let [field] = images[..] else {
        let names: Vec<&str> = images.iter().map(|field| &*field.name).collect();
        let found = if names.is_empty() { "no image column".to_owned() } else { format!("image columns {}", names.join(", ")) };
        let hint = if names.is_empty() { "for tables use another model, such as gbdt" } else { "ignore all but one of them" };
        return Err(Error::input("inputs", found, "one image column").with_hint(hint));
    };
    if let Some(other) = schema.inputs().find(|field| !is_image(&field.kind)) {
        let found = format!("a column of kind {}, which the network would not look at", other.kind.word());
        return Err(Error::input(format!("input {}", other.name), found, "images only").with_hint("ignore the column"));
    }
    let Kind::Image { channels, size } = field.kind else { return Err(Error::input("inputs", "no images", "images")) };
    let place = format!("column {}", field.name);
    let Some([height, width]) = size else {
        return Err(
            Error::input(place, "images of several sizes", "images of one size").with_hint("give the size that they are brought to")
        );
    };
    let numbers = u64::from(height).checked_mul(u64::from(width)).and_then(|area| area.checked_mul(u64::from(channels)));
    match numbers {
        Some(1..=NUMBERS_MAX) => Ok((field.name.clone(), [height as usize, width as usize, usize::from(channels)])),
        _ => {
            Err(Error::input(place, format!("images of {height}x{width} with {channels} channels"), format!("1 to {NUMBERS_MAX} numbers")))
        }
    }
}

/// Mean and deviation of brightness / 255; a deviation of 0 counts as 1.
fn moments(counts: &[u64; 256]) -> [f64; 2] {
    let total = counts.iter().sum::<u64>().max(1) as f64;
    let mean_of = |of: &dyn Fn(f64) -> f64| {
        counts.iter().enumerate().map(|(value, &count)| of(value as f64 / 255.0) * count as f64).sum::<f64>() / total
    };
    let mean = mean_of(&|value| value);
    let deviation = mean_of(&|value| (value - mean).powi(2)).sqrt();
    [mean, if deviation > 0.0 { deviation } else { 1.0 }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{batch, model, schema, settings, splits, table};
    use cupola_task::{Column, Dataset, Fault, Field, Images, Role, Table};

    fn column(schema: &Schema, given: &str, field: Option<[usize; 2]>) -> Result<(ImageColumn, Layout)> {
        let mut builder = Builder::default();
        let column = ImageColumn::new(schema, &settings(model("layers"), given)?, field, &mut builder)?;
        Ok((column, builder.finish()))
    }

    fn learned(given: &str, field: Option<[usize; 2]>, table: &Table) -> (ImageColumn, Layout, Vec<f32>) {
        let (column, layout) = column(table.schema(), given, field).unwrap();
        let mut arena = layout.initial(Draw::new(1));
        column.learn(&settings(model("layers"), given).unwrap(), splits(table).train(), &layout, &mut arena).unwrap();
        (column, layout, arena)
    }

    #[test]
    fn pixels_are_scaled_channel_by_channel() {
        let table = table(50, [3, 2, 2], 3);
        let (column, layout, arena) = learned("normalize=auto", None, &table);
        let (rows, packed) = column.pack(&batch(&table).inputs, &layout, &arena).unwrap();
        assert_eq!((rows, packed.len()), (50, 600));
        for channel in 0..2 {
            let values = || packed.chunks(6).skip(channel).step_by(2).flatten().map(|&value| f64::from(value));
            let mean = values().sum::<f64>() / 300.0;
            let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / 300.0;
            assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-4, "{mean} {variance}");
        }
        let image = batch(&table).inputs.get("image").unwrap().images().unwrap().pixels(7).to_vec();
        let (plain, layout, arena) = learned("normalize=none", None, &table);
        let (_, packed) = plain.pack(&batch(&table).inputs, &layout, &arena).unwrap();
        let wanted: Vec<f32> =
            [0, 1].iter().flat_map(|&channel| image.iter().skip(channel).step_by(2)).map(|&v| f32::from(v) / 255.0).collect();
        assert_eq!(packed[7 * 12..8 * 12], wanted);
    }

    #[test]
    fn smaller_images_stand_in_the_middle_of_black() {
        let images = Column::Images(Images::packed(vec![255, 51], [[1, 2, 1]]));
        let columns = Columns::new(vec![("image".into(), images)]);
        let mut schema = schema([1, 2, 1], 2);
        schema.fields.truncate(1);
        let (column, layout) = column(&schema, "normalize=none", Some([3, 4])).unwrap();
        let (_, packed) = column.pack(&columns, &layout, &layout.initial(Draw::new(1))).unwrap();
        assert_eq!(packed, [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn other_columns_are_refused() {
        let whole = schema([4, 4, 1], 2);
        let with = |kind: Kind, size_known: bool| {
            let mut schema = whole.clone();
            if !size_known {
                schema.fields[0].kind = Kind::Image { channels: 1, size: None };
            }
            schema.fields.push(Field { name: "other".into(), kind, role: Role::Input });
            schema
        };
        let image = Kind::Image { channels: 1, size: Some([4, 4]) };
        let mut none = whole.clone();
        none.fields.remove(0);
        for (schema, text, hint) in [
            (none, "inputs: found no image column, wanted one image column", "for tables use another model, such as gbdt"),
            (with(image, true), "inputs: found image columns image, other, wanted one image column", "ignore all but one of them"),
            (
                with(Kind::Number, true),
                "input other: found a column of kind number, which the network would not look at, wanted images only",
                "ignore the column",
            ),
        ] {
            let error = column(&schema, "", None).unwrap_err();
            assert_eq!((error.to_string().as_str(), error.hint().as_deref()), (text, Some(hint)));
        }
        let mut many = with(Kind::Number, false);
        many.fields.pop();
        let error = column(&many, "", None).unwrap_err().to_string();
        assert_eq!(error, "column image: found images of several sizes, wanted images of one size");
        let error = column(&whole, "normalize=imagenet", None).unwrap_err().to_string();
        assert_eq!(error, "setting model.normalize: found imagenet with images of 1 channels, wanted 3 channels");
    }

    #[test]
    fn images_of_another_shape_are_refused() {
        let (column, layout, arena) = learned("", None, &table(2, [3, 2, 2], 3));
        let error = column.pack(&batch(&table(2, [3, 3, 2], 3)).inputs, &layout, &arena).unwrap_err().to_string();
        assert_eq!(error, "column image, image 1: found 3x3 with 2 channels, wanted 3x2 with 2 channels, as the network was made for");
        assert!(column.pack(&Columns::default(), &layout, &arena).is_err());
    }
}
