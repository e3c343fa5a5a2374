//! `multipart/form-data` (RFC 7578): a field for each column, files for pictures. A column may come several times, once a row.

use crate::pictures;
use crate::problem::Problem;
use crate::rows::{Inputs, missing};
use arrow_array::ArrayRef;
use arrow_array::builder::{BinaryBuilder, StringBuilder};
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequest, Multipart, Request};
use axum::http::{HeaderMap, StatusCode, header};
use cupola_task::{Column, Columns, Kind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// Most parts of a form, and the longest line between two: RFC 2046 allows 70 bytes, and what looks for a longer one takes longer
/// (BentoML's CVE-2024-9056).
const PARTS_MAX: usize = 64;
const BOUNDARY_MAX: usize = 70;
const NAME: &str = "boundary=";

const SHAPE: &str = "send a field for each column: curl -F COLUMN=@picture.png -F OTHER=value";

/// What was filled in: names and contents, in order.
pub(crate) struct Form(Vec<(String, Vec<u8>)>);

/// The boundary that the head of a form names.
///
/// # Errors
/// 400 when there is none or several, or it is too long: of several, no two readers need take the same.
pub(crate) fn boundary(headers: &HeaderMap) -> Result<String, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let starts: Vec<usize> = kind.to_ascii_lowercase().match_indices(NAME).map(|(at, _)| at + NAME.len()).collect();
    let [start] = starts[..] else { return Err(wrong(&format!("{} boundaries in the content type, wanted one", starts.len()))) };
    let value = match kind[start..].strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => kind[start..].split(';').next(),
    };
    let value = value.unwrap_or_default().trim_end();
    if value.is_empty() || value.len() > BOUNDARY_MAX || value.contains('\\') {
        return Err(wrong(&format!("a boundary of {} bytes, wanted 1 to {BOUNDARY_MAX} without backslashes", value.len())));
    }
    Ok(value.to_owned())
}

/// Reads the fields of a body that has come whole, within its limits.
///
/// # Errors
/// 400 when it is no such form, 413 when it has too many parts.
pub(crate) fn read(headers: &HeaderMap, boundary: &str, body: Vec<u8>) -> Result<Form, Problem> {
    // What stands before the first boundary means nothing. No client writes it, and to look through it takes longer than through all the rest.
    let begins = body.strip_prefix(b"\r\n").unwrap_or(&body).strip_prefix(b"--").is_some_and(|rest| rest.starts_with(boundary.as_bytes()));
    if !begins {
        return Err(wrong(&format!("it does not begin with its boundary --{boundary}")));
    }
    // What is at hand whole is read at once.
    match pin!(fields(headers, body)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(fields) => fields.map(Form),
        Poll::Pending => unreachable!("nothing of it is still to come"),
    }
}

async fn fields(headers: &HeaderMap, body: Vec<u8>) -> Result<Vec<(String, Vec<u8>)>, Problem> {
    let mut request = Request::new(Body::from(body));
    if let Some(kind) = headers.get(header::CONTENT_TYPE) {
        request.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    }
    // The body was read within our own limit.
    DefaultBodyLimit::disable().apply(&mut request);
    let mut multipart = Multipart::from_request(request, &()).await.map_err(|error| wrong(&error.body_text()))?;
    let mut fields = Vec::new();
    while let Some(field) = multipart.next_field().await.map_err(|error| wrong(&error.body_text()))? {
        if fields.len() == PARTS_MAX {
            let message = format!("found more than {PARTS_MAX} fields in a form");
            return Err(Problem::too_large(message).with_hint("send JSON or CSV, which take more rows and columns"));
        }
        let name = field.name().map(str::to_owned).ok_or_else(|| wrong(&"a field without a name"))?;
        fields.push((name, field.bytes().await.map_err(|error| wrong(&error.body_text()))?.to_vec()));
    }
    Ok(fields)
}

fn wrong(error: &dyn std::fmt::Display) -> Problem {
    Problem::bad(format!("malformed form: {error}")).with_hint(SHAPE)
}

impl Form {
    /// As-read columns.
    ///
    /// # Errors
    /// When a column is missing or unknown, comes more often than others, is no text, or there are too many rows.
    pub(crate) fn columns(self, inputs: &Inputs, max_rows: usize) -> Result<Columns, Problem> {
        let rows = inputs.columns.iter().map(|input| self.count(&input.name)).max().unwrap_or(0);
        if rows > max_rows {
            return Err(Problem::too_large(format!("found {rows} rows, wanted at most {max_rows}")).with_hint("send fewer rows at once"));
        }
        if let Some((name, _)) = self.0.iter().find(|(name, _)| !inputs.is_known(name)) {
            return Err(inputs.unknown(name, None));
        }
        let column = |input: &crate::rows::Input| {
            let cells: Vec<&[u8]> = self.0.iter().filter(|(name, _)| **name == *input.name).map(|(_, bytes)| bytes.as_slice()).collect();
            match cells.len() {
                0 => return Err(missing(&input.name, None).with_hint("send an empty field where the value is not known")),
                found if found != rows => {
                    return Err(Problem::misfit(
                        &input.name,
                        None,
                        format!("{found} values"),
                        format!("{rows}, as many as of other columns"),
                    ));
                }
                _ => {}
            }
            let array = match input.kind {
                Kind::Image { .. } => files(&input.name, &cells)?,
                _ => texts(&input.name, &cells, inputs)?,
            };
            Ok((input.name.clone(), Column::Array(array)))
        };
        Ok(Columns::new(inputs.columns.iter().map(column).collect::<Result<_, Problem>>()?))
    }

    fn count(&self, name: &str) -> usize {
        self.0.iter().filter(|(known, _)| known == name).count()
    }
}

fn files(name: &str, cells: &[&[u8]]) -> Result<ArrayRef, Problem> {
    let mut files = BinaryBuilder::new();
    for (row, cell) in cells.iter().enumerate() {
        // Who leaves out curl's @ sends the path itself.
        let is_text = cell.len() < 4096 && std::str::from_utf8(cell).is_ok();
        match pictures::decode(std::str::from_utf8(cell).unwrap_or_default()) {
            Ok(bytes) if is_text => files.append_value(bytes),
            Err(found) if is_text => {
                let problem = Problem::misfit(name, Some(row + 1), found, "the content of a picture's file");
                return Err(problem.with_hint(format!("send the file, not its name: curl -F {name}=@picture.png")));
            }
            _ => files.append_value(cell),
        }
    }
    Ok(Arc::new(files.finish()))
}

fn texts(name: &str, cells: &[&[u8]], inputs: &Inputs) -> Result<ArrayRef, Problem> {
    let mut texts = StringBuilder::new();
    for (row, cell) in cells.iter().enumerate() {
        let text = std::str::from_utf8(cell)
            .map_err(|_| Problem::misfit(name, Some(row + 1), "bytes that are not UTF-8", "a text").with_status(StatusCode::BAD_REQUEST))?;
        texts.append_option((!inputs.is_missing(text)).then_some(text));
    }
    Ok(Arc::new(texts.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_boundary() {
        for (kind, wanted) in [
            ("multipart/form-data", Err("0 boundaries")),
            ("multipart/form-data; boundary=ab", Ok("ab")),
            ("multipart/form-data; Boundary=\"a;b\"; charset=utf-8", Ok("a;b")),
            ("multipart/form-data; boundary=ab ;charset=utf-8", Ok("ab")),
            ("multipart/form-data; boundary=\"a\\\"b\"", Err("without backslashes")),
            ("multipart/form-data; x=\"boundary=a\"; boundary=abcd", Err("2 boundaries")),
            ("multipart/form-data; boundary=", Err("a boundary of 0 bytes")),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap())]);
            match (boundary(&headers), wanted) {
                (Ok(found), Ok(wanted)) => assert_eq!(found, wanted, "{kind}"),
                (Err(problem), Err(wanted)) => assert!(problem.to_string().contains(wanted), "{kind}: {problem}"),
                (found, wanted) => panic!("{kind}: found {found:?}, wanted {wanted:?}"),
            }
        }
    }
}
