//! Images in the files that the scripts in `parity/` write.

use cupola_task::Images;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// One image: height, width and channels, and its pixels in hexadecimal.
#[derive(Deserialize)]
pub(crate) struct Picture {
    pub shape: [u32; 3],
    pixels: String,
}

impl Picture {
    /// Its pixels.
    pub fn pixels(&self) -> Vec<u8> {
        let byte = |place: usize| u8::from_str_radix(&self.pixels[place..place + 2], 16).unwrap();
        (0..self.pixels.len()).step_by(2).map(byte).collect()
    }

    /// A column of that image.
    pub fn images(&self) -> Images {
        Images::packed(self.pixels(), [self.shape])
    }
}

/// A part of such a file.
pub(crate) fn part<T: DeserializeOwned>(file: &str, part: &str) -> T {
    let mut file: serde_json::Value = serde_json::from_str(file).unwrap();
    serde_json::from_value(file[part].take()).unwrap()
}
