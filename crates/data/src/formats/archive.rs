//! Zip archives, which spreadsheets and NumPy's `.npz` files are.

use crate::{Error, Result};
use std::io::{self, Cursor, Read};

/// How an archive begins.
pub(super) const ZIP: &[u8] = b"PK\x03\x04";

/// Hands each file of an archive to `take`, with its name; `take` says how many bytes it read. All together have at most `bytes_max` bytes
/// unpacked, whatever the archive says of itself.
pub(super) fn unpack(name: &str, bytes: &[u8], bytes_max: u64, mut take: impl FnMut(&str, &mut dyn Read) -> io::Result<u64>) -> Result<()> {
    let damaged = |error: String| {
        Error::refused(name, format!("an archive that cannot be read ({error})"), "a whole file").with_hint("write or copy the file again")
    };
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|error| damaged(error.to_string()))?;
    let mut left = bytes_max;
    for at in 0..archive.len() {
        let file = archive.by_index(at).map_err(|error| damaged(error.to_string()))?;
        let inside = file.name().map_err(|error| damaged(error.to_string()))?.into_owned();
        let read = take(&inside, &mut file.take(left.saturating_add(1))).map_err(|error| damaged(error.to_string()))?;
        left = left.checked_sub(read).ok_or_else(|| {
            let error = Error::refused(name, format!("more than {bytes_max} bytes unpacked"), "content within data.max_bytes");
            error.with_hint("raise data.max_bytes, or give a part of the table")
        })?;
    }
    Ok(())
}
