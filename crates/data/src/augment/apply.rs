//! All operations of a recipe, and what they do to a batch.

use super::affine::Affine;
use super::crop::Crop;
use super::dice::Dice;
use super::flip::Flip;
use super::jitter::Jitter;
use super::mix::{Mix, partners};
use super::operation::OPERATIONS;
use super::policy::Policy;
use super::randaugment::RandAugment;
use super::random_resized_crop::ResizedCrop;
use super::warp::{Border, Map, Picture, Places, warp};
use super::{cutout, random_erasing};
use cupola_task::{Draw, Error, Images, Result, Setting, Settings};
use rayon::prelude::*;

/// The stream of a network's draw that augmentation takes: `draw.stream(STREAM).at(epoch)`.
pub const STREAM: &str = "augment";

/// Below so many bytes a batch is changed by one thread.
const BYTES_SHARED: usize = 1 << 18;

/// The checked `[augment]` table of a recipe.
#[derive(Clone, PartialEq, Debug)]
pub struct Augment {
    resized_crop: Option<ResizedCrop>,
    crop: Crop,
    flip: Flip,
    affine: Affine,
    randaugment: RandAugment,
    jitter: Jitter,
    cutout: u32,
    erasing: f64,
    mix: Mix,
}

/// What became of a batch.
#[derive(Clone, Debug)]
pub struct Augmented {
    /// As many images as before, of the same shape.
    pub images: Images,
    /// Where rows were mixed: for each row its partner's place in the batch, and the share of the row itself (0 to 1).
    pub blend: Option<(Vec<u32>, Vec<f32>)>,
}

/// One key an operation, so that switching one on does not change what another draws.
struct Keys {
    resized_crop: u64,
    crop: u64,
    flip: u64,
    affine: u64,
    randaugment: u64,
    jitter: u64,
    cutout: u64,
    erasing: u64,
    mix: u64,
    partners: u64,
}

impl Keys {
    fn new(draw: Draw) -> Keys {
        let key = |name: &str| draw.stream(name).key();
        Keys {
            resized_crop: key("resized crop"),
            crop: key("crop"),
            flip: key("flip"),
            affine: key("affine"),
            randaugment: key("randaugment"),
            jitter: key("jitter"),
            cutout: key("cutout"),
            erasing: key("erasing"),
            mix: key("mix"),
            partners: key("partners"),
        }
    }
}

/// What one thread works with.
#[derive(Default)]
struct Bench {
    places: Places,
    other: Vec<u8>,
}

impl Augment {
    /// The settings of all operations: the keys of `[augment]`.
    pub fn settings() -> Vec<&'static [Setting]> {
        OPERATIONS.iter().map(|operation| operation.settings).collect()
    }

    /// Opens settings that were checked against [`Augment::settings`].
    ///
    /// # Errors
    /// When bounds do not ascend, or two operations are asked for that do the same.
    pub fn open(settings: &Settings) -> Result<Augment> {
        let policy = Policy::open(settings);
        let (mut resized_crop, mut crop) = (ResizedCrop::open(settings, policy)?, Crop::open(settings, policy));
        if resized_crop.is_some_and(ResizedCrop::is_said) && crop.is_said() {
            let error = Error::setting("augment.crop", settings.value("crop"), "0 beside random_resized_crop, for both cut a window");
            return Err(error.with_hint("leave one of them out"));
        }
        // What is asked for by name takes the place of the policy's way to cut windows.
        if resized_crop.is_some_and(ResizedCrop::is_said) {
            crop = Crop::open(settings, Policy::None);
        } else if crop.is_said() {
            resized_crop = None;
        }
        Ok(Augment {
            resized_crop,
            crop,
            flip: Flip::open(settings, policy),
            affine: Affine::open(settings)?,
            randaugment: RandAugment::open(settings),
            jitter: Jitter::open(settings),
            cutout: cutout::open(settings),
            erasing: random_erasing::open(settings),
            mix: Mix::open(settings),
        })
    }

    /// Whether images of that height and width stay as they are.
    pub fn is_nothing(&self, size: [u32; 2]) -> bool {
        !self.moves(size) && !self.repaints() && self.mix.is_nothing()
    }

    /// Whether pixels may move.
    fn moves(&self, size: [u32; 2]) -> bool {
        let resizes = self.resized_crop.is_some_and(|crop| crop.suits(size));
        resizes || self.crop.padding(size) != [0, 0] || !self.flip.is_nothing() || !self.affine.is_nothing()
    }

    /// Whether pixels may change by what they are.
    fn repaints(&self) -> bool {
        !self.randaugment.is_nothing() || !self.jitter.is_nothing() || self.cutout > 0 || self.erasing > 0.0
    }

    /// Changes a batch of images of one shape with 1 or 3 channels. `draw` is the run's, at the epoch; `rows` are the rows' numbers in their
    /// data set. What becomes of a row depends on nothing else, but for mixing, which depends on the rows of the batch.
    pub fn apply(&self, images: &Images, draw: Draw, rows: &[u64]) -> Augmented {
        assert_eq!(images.len(), rows.len(), "every image has a row number");
        if images.is_empty() {
            return Augmented { images: images.clone(), blend: None };
        }
        let shape = images.common_shape().expect("prepared images are of one shape");
        let size = [shape[0], shape[1]];
        if self.is_nothing(size) {
            return Augmented { images: images.clone(), blend: None };
        }
        let keys = Keys::new(draw);
        let changed = match self.moves(size) || self.repaints() {
            true => each(images, shape, |bench, place, out| self.change(&keys, bench, images.pixels(place), rows[place], shape, out)),
            false => images.clone(),
        };
        if self.mix.is_nothing() {
            return Augmented { images: changed, blend: None };
        }
        let partner = partners(keys.partners, rows);
        let mut shares = vec![0f32; rows.len()];
        let sides = shape.map(|side| side as usize);
        let mut mixed = vec![0; shape.iter().product::<u32>() as usize * rows.len()];
        let each = mixed.par_chunks_exact_mut(sides.iter().product()).zip(&mut shares).enumerate();
        each.for_each(|(place, (out, share))| {
            let dice = Dice::new(keys.mix, rows[place]);
            *share = self.mix.apply(dice, changed.pixels(place), changed.pixels(partner[place] as usize), sides, out);
        });
        Augmented { images: Images::packed(mixed, std::iter::repeat_n(shape, rows.len())), blend: Some((partner, shares)) }
    }

    /// One image: moved in one step, then repainted in place.
    fn change(&self, keys: &Keys, bench: &mut Bench, pixels: &[u8], row: u64, shape: [u32; 3], out: &mut [u8]) {
        let (size, [height, width, channels]) = ([shape[0], shape[1]], shape.map(|side| side as usize));
        let (map, border) = self.map(keys, row, size);
        warp(Picture { pixels, height, width, channels }, map, border, &mut bench.places, out);
        let dice = |key| Dice::new(key, row);
        if !self.randaugment.is_nothing() {
            bench.other.resize(out.len(), 0);
            self.randaugment.apply(dice(keys.randaugment), out, [height, width, channels], border, &mut bench.places, &mut bench.other);
        }
        if !self.jitter.is_nothing() {
            self.jitter.apply(dice(keys.jitter), out, channels);
        }
        if self.cutout > 0 {
            cutout::cover(out, cutout::part(dice(keys.cutout), self.cutout, size), width * channels, channels);
        }
        if let Some(part) = random_erasing::part(dice(keys.erasing), self.erasing, size) {
            cutout::cover(out, part, width * channels, channels);
        }
    }

    /// From the pixels of the result back to those of the image: through turns, flips and crops.
    fn map(&self, keys: &Keys, row: u64, size: [u32; 2]) -> (Map, Border) {
        let sides = size.map(f64::from);
        let mut map = Map::IDENTITY;
        if !self.affine.is_nothing() {
            map = map.then(self.affine.map(Dice::new(keys.affine, row), sides));
        }
        if !self.flip.is_nothing() {
            map = map.then(self.flip.map(Dice::new(keys.flip, row), sides));
        }
        if self.crop.padding(size) != [0, 0] {
            map = map.then(self.crop.map(Dice::new(keys.crop, row), size));
        }
        if let Some(crop) = self.resized_crop.filter(|crop| crop.suits(size)) {
            map = map.then(crop.map(Dice::new(keys.resized_crop, row), size));
        }
        (map, self.crop.border)
    }
}

/// As many new images of that shape, each made by `make` from its place.
fn each(images: &Images, shape: [u32; 3], make: impl Fn(&mut Bench, usize, &mut [u8]) + Sync) -> Images {
    let bytes = shape.iter().map(|&side| side as usize).product::<usize>();
    let mut made = vec![0; bytes * images.len()];
    if made.len() < BYTES_SHARED {
        let mut bench = Bench::default();
        made.chunks_exact_mut(bytes).enumerate().for_each(|(place, out)| make(&mut bench, place, out));
    } else {
        let chunks = made.par_chunks_exact_mut(bytes).enumerate();
        chunks.for_each_init(Bench::default, |bench, (place, out)| make(bench, place, out));
    }
    Images::packed(made, std::iter::repeat_n(shape, images.len()))
}
