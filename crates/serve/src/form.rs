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
use std::sync::Arc;

const SHAPE: &str = "send a field for each column: curl -F COLUMN=@picture.png -F OTHER=value";

/// What was filled in: names and contents, in order.
pub(crate) struct Form(Vec<(String, Vec<u8>)>);

/// Reads the fields of a body that has come whole, within its limits.
///
/// # Errors
/// 400 when it is no such form.
pub(crate) async fn read(headers: &HeaderMap, body: Vec<u8>) -> Result<Form, Problem> {
    let wrong = |error: &dyn std::fmt::Display| Problem::bad(format!("malformed form: {error}")).with_hint(SHAPE);
    let mut request = Request::new(Body::from(body));
    if let Some(kind) = headers.get(header::CONTENT_TYPE) {
        request.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
    }
    // The body was read within our own limit.
    DefaultBodyLimit::disable().apply(&mut request);
    let mut multipart = Multipart::from_request(request, &()).await.map_err(|error| wrong(&error.body_text()))?;
    let mut fields = Vec::new();
    while let Some(field) = multipart.next_field().await.map_err(|error| wrong(&error.body_text()))? {
        let name = field.name().map(str::to_owned).ok_or_else(|| wrong(&"a field without a name"))?;
        fields.push((name, field.bytes().await.map_err(|error| wrong(&error.body_text()))?.to_vec()));
    }
    Ok(Form(fields))
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
