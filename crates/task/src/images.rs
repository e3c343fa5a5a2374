//! Pixels of many images: a shared store and a view of it, so that splitting, shuffling and taking rows copy nothing.

use std::fmt;
use std::sync::Arc;

/// Where pixels lie: memory of ours, or a mapped file.
pub type Pixels = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// Where one image lies in its store.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its first byte.
    pub start: usize,
    /// Height, width and channels.
    pub shape: [u32; 3],
}

/// Images, one a row: 8-bit pixels row by row, channels last. Cloning and [`Images::take`] share the pixels.
#[derive(Clone)]
pub struct Images {
    pixels: Pixels,
    places: Arc<[Place]>,
}

impl Place {
    /// How many bytes the image has.
    pub fn len(&self) -> usize {
        self.shape.iter().map(|&side| side as usize).product()
    }

    /// Whether the image has no pixel.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Images {
    /// A view of a store; asserts that every place lies inside it.
    pub fn new(pixels: Pixels, places: impl Into<Arc<[Place]>>) -> Images {
        let places = places.into();
        let size = (*pixels).as_ref().len();
        assert!(places.iter().all(|place| place.start <= size && place.len() <= size - place.start), "every image lies in its store");
        Images { pixels, places }
    }

    /// Images that lie one after another.
    pub fn packed(pixels: Vec<u8>, shapes: impl IntoIterator<Item = [u32; 3]>) -> Images {
        let mut start = 0;
        let place = |shape| {
            let place = Place { start, shape };
            start += place.len();
            place
        };
        let places: Vec<Place> = shapes.into_iter().map(place).collect();
        Images::new(Arc::new(pixels), places)
    }

    /// How many images.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Height, width and channels of an image.
    pub fn shape(&self, row: usize) -> [u32; 3] {
        self.places[row].shape
    }

    /// Every image's height, width and channels.
    pub fn shapes(&self) -> impl ExactSizeIterator<Item = [u32; 3]> + '_ {
        self.places.iter().map(|place| place.shape)
    }

    /// An image's pixels, row by row, channels last.
    pub fn pixels(&self, row: usize) -> &[u8] {
        let place = self.places[row];
        &(*self.pixels).as_ref()[place.start..place.start + place.len()]
    }

    /// The given images, in the given order; an image may come more than once.
    pub fn take(&self, rows: &[u64]) -> Images {
        Images { pixels: self.pixels.clone(), places: rows.iter().map(|&row| self.places[row as usize]).collect() }
    }

    /// All of the first, then all of the next, and so on, in a store of their own.
    pub fn concat(parts: &[&Images]) -> Images {
        let all = || parts.iter().flat_map(|images| (0..images.len()).map(move |row| images.pixels(row)));
        let mut pixels = Vec::with_capacity(all().map(<[u8]>::len).sum());
        all().for_each(|image| pixels.extend_from_slice(image));
        Images::packed(pixels, parts.iter().flat_map(|images| images.shapes()))
    }

    /// The shape that all images share, when they do.
    pub fn common_shape(&self) -> Option<[u32; 3]> {
        let first = self.places.first()?.shape;
        self.shapes().all(|shape| shape == first).then_some(first)
    }
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Images").field("places", &self.places).finish_non_exhaustive()
    }
}

impl PartialEq for Images {
    /// Equal pixels, wherever they lie.
    fn eq(&self, other: &Images) -> bool {
        self.len() == other.len() && (0..self.len()).all(|row| self.shape(row) == other.shape(row) && self.pixels(row) == other.pixels(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_images_share_their_store() {
        let images = Images::packed(vec![1, 2, 3, 4], [[1, 1, 1], [1, 3, 1]]);
        let taken = images.take(&[1, 1, 0]);
        assert_eq!((taken.pixels(0), taken.pixels(1), taken.pixels(2)), (&[2, 3, 4][..], &[2, 3, 4][..], &[1][..]));
        assert!(Arc::ptr_eq(&images.pixels, &taken.pixels));
        assert_eq!(taken, Images::packed(vec![2, 3, 4, 2, 3, 4, 1], [[1, 3, 1], [1, 3, 1], [1, 1, 1]]));
        assert_eq!(Images::concat(&[&images, &taken.take(&[2])]), images.take(&[0, 1, 0]));
        assert_eq!((images.common_shape(), taken.take(&[0, 1]).common_shape()), (None, Some([1, 3, 1])));
    }
}
