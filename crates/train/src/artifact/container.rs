//! The bytes around the parts: magic, version, table of parts, the parts, a checksum over all of it.
//!
//! ```text
//! 8 bytes  magic            4 bytes  format version       4 bytes  number of parts
//! per part: 2 bytes length of name, name (UTF-8), 8 bytes length of part; names ascend, each comes once
//! the parts one after another, in the table's order
//! 32 bytes BLAKE3 of everything before
//! ```
//! Whole numbers are little-endian. Every length is held against the bytes that are there before anything is allocated.

use crate::{Error, Result};
use cupola_task::Parts;
use std::collections::BTreeMap;

/// How a model file begins. The first byte is not ASCII and the last is a line feed, so that a transfer that takes the file
/// for text is noticed (PNG's trick).
pub const MAGIC: [u8; 8] = *b"\x89CUPOLA\n";

/// The version this program writes, and the newest it reads. Since 2 a file may hold what its answers are watched with.
pub const FORMAT_VERSION: u32 = 2;

const HEAD: usize = 16;
const DIGEST: usize = blake3::OUT_LEN;
const PARTS_MAX: u32 = 1 << 16;
const NAME_MAX: usize = 512;
/// Bytes of a table entry beside its name.
const ENTRY: usize = 10;

/// Parts as the bytes of a file, and their checksum in hexadecimal. The same parts give the same bytes.
pub(crate) fn pack(parts: &Parts) -> Result<(Vec<u8>, String)> {
    let parts = &parts.0;
    if parts.len() > PARTS_MAX as usize {
        return Err(Error::artifact("model file", format!("{} parts", parts.len()), format!("at most {PARTS_MAX}")));
    }
    let table: usize = parts.keys().map(|name| ENTRY + name.len()).sum();
    let content: usize = parts.values().map(Vec::len).sum();
    let mut bytes = Vec::with_capacity(HEAD + table + content + DIGEST);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes.extend_from_slice(&(parts.len() as u32).to_le_bytes());
    for (name, part) in parts {
        if name.len() > NAME_MAX {
            return Err(Error::artifact("model file", format!("a part's name of {} bytes", name.len()), format!("at most {NAME_MAX}")));
        }
        bytes.extend_from_slice(&(name.len() as u16).to_le_bytes());
        bytes.extend_from_slice(name.as_bytes());
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
    }
    parts.values().for_each(|part| bytes.extend_from_slice(part));
    let digest = blake3::hash(&bytes);
    bytes.extend_from_slice(digest.as_bytes());
    Ok((bytes, digest.to_hex().to_string()))
}

/// The parts of a file's bytes, and its checksum in hexadecimal. `place` names the file in errors.
///
/// # Errors
/// A foreign file, a newer version, a file cut short or with bytes too many, a table that makes no sense, a wrong checksum.
pub(crate) fn unpack(place: &str, bytes: &[u8]) -> Result<(Parts, String)> {
    check_head(place, bytes)?;
    let table = read_table(place, bytes)?;
    let body = bytes.len() - DIGEST;
    let found = blake3::hash(&bytes[..body]);
    if found.as_bytes()[..] != bytes[body..] {
        let wanted: String = bytes[body..].iter().map(|byte| format!("{byte:02x}")).collect();
        return Err(Error::artifact(format!("{place}: checksum"), found.to_hex(), wanted)
            .with_hint("the file was damaged after it was written: copy or train it again"));
    }
    let parts = table.into_iter().map(|(name, range)| (name.to_owned(), bytes[range].to_vec())).collect();
    Ok((Parts(parts), found.to_hex().to_string()))
}

/// Looks at the first bytes only: is it ours, and can we read this version?
pub(super) fn check_head(place: &str, bytes: &[u8]) -> Result<()> {
    let magic = &bytes[..bytes.len().min(MAGIC.len())];
    if magic != &MAGIC[..magic.len()] || magic.is_empty() {
        let found: Vec<String> = magic.iter().map(|byte| format!("{byte:02x}")).collect();
        let found = if found.is_empty() { "an empty file".to_owned() } else { format!("a file that begins with {}", found.join(" ")) };
        return Err(Error::artifact(place, found, "a model file of cupola")
            .with_hint("`cupola train` writes one into its run folder: model.cupola"));
    }
    if bytes.len() < HEAD {
        return Err(truncated(place, bytes.len(), format!("at least {}", HEAD + DIGEST)));
    }
    let version = u32_at(bytes, 8);
    if version == 0 || version > FORMAT_VERSION {
        return Err(Error::artifact(format!("{place}: format version"), version, format!("1..{FORMAT_VERSION}"))
            .with_hint("a newer cupola wrote this file: upgrade this one, or train again with it"));
    }
    Ok(())
}

type Table<'a> = BTreeMap<&'a str, std::ops::Range<usize>>;

fn read_table<'a>(place: &str, bytes: &'a [u8]) -> Result<Table<'a>> {
    let count = u32_at(bytes, 12);
    let wrong = |what: String, wanted: String| Error::artifact(format!("{place}: table of parts"), what, wanted);
    if count > PARTS_MAX {
        return Err(wrong(format!("{count} parts"), format!("at most {PARTS_MAX}")));
    }
    let mut at = HEAD;
    let mut entries: Vec<(&str, u64)> = Vec::new();
    for _ in 0..count {
        let (name, length, next) = read_entry(place, bytes, at)?;
        if entries.last().is_some_and(|(last, _)| *last >= name) {
            return Err(wrong(format!("the name {name:?} out of order"), "names in ascending order, each once".to_owned()));
        }
        entries.push((name, length));
        at = next;
    }
    let wanted = entries.iter().try_fold((at + DIGEST) as u64, |sum, (_, length)| sum.checked_add(*length));
    match wanted {
        Some(wanted) if wanted == bytes.len() as u64 => {}
        Some(wanted) if wanted < bytes.len() as u64 => {
            return Err(Error::artifact(place, format!("{} bytes", bytes.len()), format!("{wanted} bytes"))
                .with_hint("something was written behind the model: copy the file again"));
        }
        Some(wanted) => return Err(truncated(place, bytes.len(), wanted)),
        None => return Err(wrong("lengths beyond 64 bits".to_owned(), "the lengths of the parts".to_owned())),
    }
    let mut start = at;
    let place_of = |(name, length): (&'a str, u64)| {
        let range = start..start + length as usize;
        start = range.end;
        (name, range)
    };
    Ok(entries.into_iter().map(place_of).collect())
}

fn read_entry<'a>(place: &str, bytes: &'a [u8], at: usize) -> Result<(&'a str, u64, usize)> {
    let cut = || truncated(place, bytes.len(), format!("at least {}", at + ENTRY + DIGEST));
    let length = bytes.get(at..at + 2).map(|pair| u16::from_le_bytes([pair[0], pair[1]]) as usize).ok_or_else(cut)?;
    if length > NAME_MAX {
        return Err(Error::artifact(
            format!("{place}: table of parts"),
            format!("a name of {length} bytes"),
            format!("at most {NAME_MAX}"),
        ));
    }
    let end = at + 2 + length;
    let name = bytes.get(at + 2..end).ok_or_else(cut)?;
    let name = std::str::from_utf8(name)
        .map_err(|_| Error::artifact(format!("{place}: table of parts"), "a name that is not UTF-8", "names in UTF-8"))?;
    let size = bytes.get(end..end + 8).ok_or_else(cut)?;
    Ok((name, u64::from_le_bytes(size.try_into().expect("eight bytes were taken")), end + 8))
}

fn truncated(place: &str, found: usize, wanted: impl std::fmt::Display) -> Error {
    Error::artifact(place, format!("{found} bytes"), format!("{wanted} bytes")).with_hint("the file was cut short: copy or train it again")
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes were taken"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cupola_task::Fault;
    use expect_test::expect;
    use proptest::prelude::*;

    fn parts() -> Parts {
        Parts([("a", &b"one"[..]), ("b/c", b""), ("manifest.json", b"{}")].map(|(name, part)| (name.to_owned(), part.to_vec())).into())
    }

    #[test]
    fn unpack_says_what_is_wrong_with_a_file() {
        let (bytes, _) = pack(&parts()).unwrap();
        let newer = [&MAGIC[..], &7u32.to_le_bytes(), &bytes[12..]].concat();
        let last = bytes.len() - DIGEST - 1;
        let flipped = [&bytes[..last], &[bytes[last] ^ 1], &bytes[last + 1..]].concat();
        let cases: [(&str, &[u8]); 7] = [
            ("empty", b""),
            ("foreign", b"PK\x03\x04 and more"),
            ("cut in the head", &bytes[..10]),
            ("cut in the table", &bytes[..20]),
            ("cut in a part", &bytes[..bytes.len() - 33]),
            ("newer", &newer),
            ("longer", &[&bytes[..], b"!"].concat()),
        ];
        let mut text = String::new();
        for (what, bytes) in cases {
            let error = unpack("m.cupola", bytes).unwrap_err();
            text += &format!("{what}: {error}\n  hint: {}\n", error.hint().unwrap());
        }
        expect![[r#"
            empty: m.cupola: found an empty file, wanted a model file of cupola
              hint: `cupola train` writes one into its run folder: model.cupola
            foreign: m.cupola: found a file that begins with 50 4b 03 04 20 61 6e 64, wanted a model file of cupola
              hint: `cupola train` writes one into its run folder: model.cupola
            cut in the head: m.cupola: found 10 bytes, wanted at least 48 bytes
              hint: the file was cut short: copy or train it again
            cut in the table: m.cupola: found 20 bytes, wanted at least 58 bytes
              hint: the file was cut short: copy or train it again
            cut in a part: m.cupola: found 67 bytes, wanted 100 bytes
              hint: the file was cut short: copy or train it again
            newer: m.cupola: format version: found 7, wanted 1..2
              hint: a newer cupola wrote this file: upgrade this one, or train again with it
            longer: m.cupola: found 101 bytes, wanted 100 bytes
              hint: something was written behind the model: copy the file again
        "#]]
        .assert_eq(&text);
        assert!(unpack("m", &flipped).unwrap_err().to_string().starts_with("m: checksum: found"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn unpack_reads_what_pack_writes(content in prop::collection::btree_map("[a-z/]{0,9}", prop::collection::vec(any::<u8>(), 0..40), 0..6)) {
            let parts = Parts(content);
            let (bytes, hash) = pack(&parts).unwrap();
            prop_assert_eq!(unpack("m", &bytes).unwrap(), (parts, hash));
        }
    }
}
