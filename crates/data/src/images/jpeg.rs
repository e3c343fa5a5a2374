//! What the decoder does not tell about a JPEG: whether it is whole, and how many colours it has (ITU-T T.81, annex B).
//!
//! The decoder fills in grey for what is missing at the end of a file; a picture that is half grey is no picture of its class, so it is
//! refused here.

/// What a walk over a file's segments finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Segments {
    /// Whether the end is there that the format asks for.
    pub(super) is_whole: bool,
    /// 1 grey, 3 colour, 4 inks.
    pub(super) components: u8,
}

/// Walks over the segments of a JPEG; thumbnails lie inside segments and are passed over.
pub(super) fn segments(bytes: &[u8]) -> Segments {
    let mut found = Segments { is_whole: false, components: 0 };
    let mut at = 2;
    while let Some(marker) = next_marker(bytes, &mut at) {
        match marker {
            0xd9 => {
                found.is_whole = true;
                break;
            }
            0xd0..=0xd8 | 0x01 => continue,
            _ => {}
        }
        let Some(length) = bytes.get(at..at + 2).map(|pair| usize::from(u16::from_be_bytes([pair[0], pair[1]]))) else { break };
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            found.components = bytes.get(at + 7).copied().unwrap_or(0);
        }
        at += length.max(2);
    }
    found
}

/// The next marker, which follows a 0xff; coded data between segments holds none but those that restart it.
fn next_marker(bytes: &[u8], at: &mut usize) -> Option<u8> {
    loop {
        *at += bytes.get(*at..)?.iter().position(|&byte| byte == 0xff)? + 1;
        match *bytes.get(*at)? {
            0x00 => *at += 1,
            0xff => {}
            marker => {
                *at += 1;
                return Some(marker);
            }
        }
    }
}
