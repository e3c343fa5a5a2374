//! Pictures in requests: base64 in JSON and CSV, files in forms, raw pixels in tensors. Only content is taken: a server that opened the
//! paths or addresses it is sent would read for a stranger what the stranger may not.

use crate::problem::Problem;
use crate::rows::Inputs;
use arrow_array::builder::BinaryBuilder;
use arrow_array::{Array, ArrayRef, StringArray};
use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use cupola_data::Thumbnail;
use cupola_task::{Column, Columns, Kind};
use std::sync::Arc;

/// What a cell of pictures takes.
pub(crate) const WANTED: &str = "the content of a JPEG, PNG, WebP, BMP, TIFF or GIF file in base64";
/// What to do instead.
pub(crate) const HINT: &str =
    "send the file's bytes in base64, as data:image/png;base64,... or without that prefix; or as a form: curl -F COLUMN=@picture.png";

const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const PLAIN: GeneralPurpose = GeneralPurpose::new(&STANDARD, CONFIG);
const URLS: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, CONFIG);

/// The bytes that a text stands for.
///
/// # Errors
/// What was found instead: an address, a path, or something that is not base64.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, String> {
    let text = text.trim();
    let content = match text.strip_prefix("data:") {
        None => text,
        Some(uri) => match uri.split_once(',') {
            Some((head, content)) if head.ends_with(";base64") => content,
            _ => return Err("a data: address that is not in base64".to_owned()),
        },
    };
    if content.is_empty() {
        return Err("nothing".to_owned());
    }
    let joined: String;
    let content = match content.contains(|letter: char| letter.is_ascii_whitespace()) {
        true => {
            joined = content.split_ascii_whitespace().collect();
            &joined
        }
        false => content,
    };
    let decoded = PLAIN.decode(content).or_else(|_| URLS.decode(content));
    // A path may happen to be base64 too; the content of a picture never is that short.
    decoded.ok().filter(|bytes| bytes.len() > 16).ok_or_else(|| name(text))
}

/// What a text that is no picture seems to be.
fn name(text: &str) -> String {
    let shown = crate::problem::shorten(text);
    let is_file =
        text.len() < 4096 && (text.contains('/') || text.contains('\\') || text.rsplit_once('.').is_some_and(|(_, end)| end.len() <= 5));
    match text.split_once("://") {
        Some((scheme, _)) if scheme.len() < 12 => format!("the address {shown:?}, and this server opens none"),
        _ if is_file => format!("{shown:?}, which looks like a path, and this server opens none"),
        _ => "a text that is not base64".to_owned(),
    }
}

/// As-read columns with the texts under images decoded.
///
/// # Errors
/// 422 for the first that is no picture's content.
pub(crate) fn decoded(inputs: &Inputs, columns: Columns) -> Result<Columns, Problem> {
    let decode = |(name, column): (Arc<str>, Column)| {
        let is_image = inputs.input(&name).is_some_and(|input| matches!(input.kind, Kind::Image { .. }));
        let texts = column.array().and_then(|array| array.as_any().downcast_ref::<StringArray>());
        match texts.filter(|_| is_image) {
            Some(texts) => Ok((name.clone(), Column::Array(bytes(&name, texts)?))),
            None => Ok((name, column)),
        }
    };
    Ok(Columns::new(columns.into_iter().map(decode).collect::<Result<_, Problem>>()?))
}

fn bytes(name: &str, texts: &StringArray) -> Result<ArrayRef, Problem> {
    let mut bytes = BinaryBuilder::new();
    for (row, text) in texts.iter().enumerate() {
        let found = text.map_or_else(|| Err("nothing".to_owned()), decode);
        bytes.append_value(found.map_err(|found| Problem::misfit(name, Some(row + 1), found, WANTED).with_hint(HINT))?);
    }
    Ok(Arc::new(bytes.finish()))
}

/// A picture to show how one is sent: grey, and about nobody.
pub(crate) fn example() -> String {
    let grey = Thumbnail { height: 8, width: 8, channels: 1, pixels: vec![128; 64] };
    let file = grey.png().expect("a grey square is a PNG file");
    format!("data:image/png;base64,{}", PLAIN.encode(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_taken_and_names_of_it_are_not() {
        let content: Vec<u8> = (0..=254).collect();
        let plain = PLAIN.encode(&content);
        let wrapped = plain.as_bytes().chunks(60).map(|line| String::from_utf8_lossy(line).into_owned()).collect::<Vec<_>>().join("\r\n");
        let bare = plain.trim_end_matches('=').to_owned();
        for text in [plain.clone(), URLS.encode(&content), wrapped, bare, format!("data:image/png;base64,{plain}")] {
            assert_eq!(decode(&text).as_deref(), Ok(&content[..]), "{text}");
        }
        for (text, found) in [
            ("https://example.org/cat.png", "the address \"https://example.org/cat.png\", and this server opens none"),
            ("file:///etc/passwd", "the address \"file:///etc/passwd\", and this server opens none"),
            ("/etc/passwd", "\"/etc/passwd\", which looks like a path, and this server opens none"),
            ("cat.jpeg", "\"cat.jpeg\", which looks like a path, and this server opens none"),
            ("abcd", "a text that is not base64"),
            ("data:image/svg+xml,<svg/>", "a data: address that is not in base64"),
            (" ", "nothing"),
        ] {
            assert_eq!(decode(text), Err(found.to_owned()), "{text}");
        }
        assert!(decode(&example()).is_ok());
    }
}
