//! Decoded pixels of many pictures, in memory or, from a limit on, in a file that the system pages in and out.

use super::decode::Decoded;
use super::settings::{ImageOptions, Keep};
use crate::{Error, Result};
use cupola_task::{Images, Pixels, Place};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::sync::Arc;

/// Pictures one after another.
pub(crate) struct Store {
    keep: Keep,
    memory_max: u64,
    kept: Kept,
    places: Vec<Place>,
    bytes: u64,
}

enum Kept {
    Memory(Vec<u8>),
    File(BufWriter<File>),
}

/// A file without a name that is mapped into memory.
struct Mapped(memmap2::Mmap);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Store {
    /// An empty store.
    pub(crate) fn new(options: &ImageOptions) -> Store {
        Store { keep: options.keep, memory_max: options.memory, kept: Kept::Memory(Vec::new()), places: Vec::new(), bytes: 0 }
    }

    /// How many bytes of pixels there are.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes a picture in.
    pub(crate) fn push(&mut self, image: Decoded) -> Result<()> {
        let start = self.bytes as usize;
        self.bytes += image.pixels.len() as u64;
        self.places.push(Place { start, shape: image.shape });
        let is_full = self.keep == Keep::File || self.keep == Keep::Auto && self.bytes > self.memory_max;
        if let (Kept::Memory(memory), true) = (&mut self.kept, is_full) {
            let mut file = BufWriter::with_capacity(1 << 20, tempfile::tempfile().map_err(refused)?);
            file.write_all(memory).map_err(refused)?;
            self.kept = Kept::File(file);
        }
        match &mut self.kept {
            Kept::Memory(memory) => memory.extend_from_slice(&image.pixels),
            Kept::File(file) => file.write_all(&image.pixels).map_err(refused)?,
        }
        Ok(())
    }

    /// The pictures.
    pub(crate) fn finish(self) -> Result<Images> {
        let pixels: Pixels = match self.kept {
            Kept::Memory(memory) => Arc::new(memory),
            Kept::File(file) => Arc::new(Mapped(map(&file.into_inner().map_err(|error| refused(error.into_error()))?)?)),
        };
        Ok(Images::new(pixels, self.places))
    }
}

#[expect(unsafe_code, reason = "a mapped file must not change; this one has no name and no other handle, so nobody can change it")]
fn map(file: &File) -> Result<memmap2::Mmap> {
    // SAFETY: `tempfile::tempfile` unlinks the file before anybody else can open it, and the only handle is dropped after this call.
    unsafe { memmap2::Mmap::map(file) }.map_err(refused)
}

fn refused(source: std::io::Error) -> Error {
    Error::Write { action: "write decoded pictures into a temporary file (data.images.keep)".to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Changes;

    #[test]
    fn pictures_are_the_same_wherever_they_are_kept() {
        let image = |size: u32| Decoded {
            pixels: (0..size * 2 * 3).map(|place| (place + size) as u8).collect(),
            shape: [size, 2, 3],
            changes: Changes::default(),
        };
        let kept = |keep, memory| {
            let mut store = Store::new(&ImageOptions { keep, memory, ..ImageOptions::default() });
            (1..20).for_each(|size| store.push(image(size)).unwrap());
            let is_file = matches!(store.kept, Kept::File(_));
            (store.finish().unwrap(), is_file)
        };
        let (memory, is_file) = kept(Keep::Memory, 0);
        assert_eq!((memory.len(), memory.pixels(4).to_vec(), is_file), (19, image(5).pixels, false));
        for (keep, limit, wanted) in [(Keep::File, u64::MAX, true), (Keep::Auto, 100, true), (Keep::Auto, 1 << 20, false)] {
            let (images, is_file) = kept(keep, limit);
            assert_eq!((images == memory, is_file), (true, wanted), "{keep:?}");
        }
    }
}
