//! The members of a zip archive whose members are stored as they are, which is how PyTorch writes. Reads the central directory at the end
//! (APPNOTE.TXT 6.3.10, sections 4.3.7 to 4.3.16 and 4.5.3), and hands out slices of the file: no data is unpacked or copied.

use cupola_task::{Error, Result};
use std::collections::BTreeMap;

const END: &[u8] = b"PK\x05\x06";
const END_64_PLACE: &[u8] = b"PK\x06\x07";
const END_64: &[u8] = b"PK\x06\x06";
const MEMBER: &[u8] = b"PK\x01\x02";
const LOCAL: &[u8] = b"PK\x03\x04";

/// A field of four bytes that says: see the 64-bit one.
const SEE_64: u64 = 0xffff_ffff;

/// All members by name.
///
/// # Errors
/// When the archive is torn, has a compressed or encrypted member, or two of one name.
pub(super) fn members<'a>(place: &str, bytes: &'a [u8]) -> Result<BTreeMap<String, &'a [u8]>> {
    let torn = || Error::input(place, "a torn zip archive", "a whole one").with_hint("copy or download the file again");
    let (count, mut at) = directory(bytes).ok_or_else(torn)?;
    let mut members = BTreeMap::new();
    for _ in 0..count {
        let member = Member::read(bytes, at).ok_or_else(torn)?;
        let name = String::from_utf8_lossy(member.name).into_owned();
        if member.method != 0 || member.flags & 1 != 0 {
            let hint = "PyTorch stores members as they are; unpack the archive and zip it with compression off";
            return Err(Error::input(format!("{place}: member {name}"), "compressed or encrypted data", "stored data").with_hint(hint));
        }
        let data = member.data(bytes).ok_or_else(torn)?;
        if members.insert(name.clone(), data).is_some() {
            return Err(Error::input(place, format!("two members named {name}"), "names once"));
        }
        at = member.next;
    }
    Ok(members)
}

struct Member<'a> {
    name: &'a [u8],
    flags: u64,
    method: u64,
    len: u64,
    local: u64,
    next: usize,
}

impl<'a> Member<'a> {
    fn read(bytes: &'a [u8], at: usize) -> Option<Member<'a>> {
        let header = bytes.get(at..)?.strip_prefix(MEMBER)?.get(..42)?;
        let field = |from: usize, len: usize| number(header, from - 4, len);
        let [name_len, extra_len, comment_len] = [field(28, 2)?, field(30, 2)?, field(32, 2)?].map(|len| len as usize);
        let name = bytes.get(at + 46..)?.get(..name_len)?;
        let extra = bytes.get(at + 46 + name_len..)?.get(..extra_len)?;
        let mut wide = wide_fields(extra);
        // The 64-bit field holds, in this order, only what did not fit.
        let mut wider = |short: u64| if short == SEE_64 { wide.next() } else { Some(short) };
        let unpacked_len = wider(field(24, 4)?)?;
        let len = wider(field(20, 4)?)?;
        let local = wider(field(42, 4)?)?;
        let method = if len == unpacked_len { field(10, 2)? } else { u64::MAX };
        Some(Member { name, flags: field(8, 2)?, method, len, local, next: at + 46 + name_len + extra_len + comment_len })
    }

    fn data(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let local = bytes.get(usize::try_from(self.local).ok()?..)?.strip_prefix(LOCAL)?;
        let [name_len, extra_len] = [number(local, 22, 2)?, number(local, 24, 2)?].map(|len| len as usize);
        local.get(26 + name_len + extra_len..)?.get(..usize::try_from(self.len).ok()?)
    }
}

/// The numbers of the extra field with id 1.
fn wide_fields(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut found: &[u8] = &[];
    while let (Some(id), Some(len)) = (number(extra, 0, 2), number(extra, 2, 2)) {
        let Some(data) = extra.get(4..4 + len as usize) else { break };
        if id == 1 {
            found = data;
        }
        extra = &extra[4 + len as usize..];
    }
    found.chunks_exact(8).filter_map(|eight| number(eight, 0, 8))
}

/// How many members, and where their directory begins.
fn directory(bytes: &[u8]) -> Option<(u64, usize)> {
    // The end record has 22 bytes and then a comment of at most 65535.
    let first = bytes.len().saturating_sub(22 + 0xffff);
    let end = (first..=bytes.len().checked_sub(22)?).rev().find(|&at| bytes[at..].starts_with(END))?;
    let (count, start) = (number(bytes, end + 10, 2)?, number(bytes, end + 16, 4)?);
    if count != 0xffff && start != SEE_64 {
        return Some((count, usize::try_from(start).ok()?));
    }
    let place = bytes.get(end.checked_sub(20)?..)?.strip_prefix(END_64_PLACE)?;
    let end = usize::try_from(number(place, 4, 8)?).ok()?;
    let record = bytes.get(end..)?.strip_prefix(END_64)?;
    Some((number(record, 28, 8)?, usize::try_from(number(record, 44, 8)?).ok()?))
}

/// A little-endian number of up to eight bytes.
fn number(bytes: &[u8], from: usize, len: usize) -> Option<u64> {
    let bytes = bytes.get(from..from.checked_add(len)?)?;
    Some(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
}
