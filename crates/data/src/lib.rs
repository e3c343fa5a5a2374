//! Files into tables: formats, types, splits, preparation, leaks, profile.
//!
//! The promise is *never a silently wrong table*: what does not fit is refused with its place, what was found and what
//! was wanted, or kept out by an explicit recipe key and counted.

mod as_read;
pub mod augment;
mod cells;
mod conform;
pub mod convert;
mod date;
pub mod diff;
mod error;
mod formats;
mod images;
mod infer;
pub mod labels;
pub mod lags;
pub mod leaks;
pub mod lock;
pub mod near;
mod places;
pub mod prepare;
pub mod profile;
mod read;
pub mod remote;
mod source;
pub mod split;
#[cfg(feature = "sql")]
mod sql;
#[cfg(not(feature = "sql"))]
#[path = "no_sql.rs"]
mod sql;
pub mod survey;
mod thumbnail;
mod write;

#[cfg(test)]
mod parity;

pub use conform::{Conformed, Notation, Wanted, category_text, conform, conform_files};
pub use error::{Error, Result};
pub use formats::{Chunk, FORMATS, FormatDef, Layout, is_guarded};
pub use images::{Changes, Decoded, ImageOptions, Keep, decode, picture_columns};
pub use infer::{ColumnType, Inferred, infer, schema};
pub use read::{BadRows, Encoding, Input, Places, Query, Raw, ReadOptions, Skipped, Stream, read, read_numbers, stream, whole};
pub use thumbnail::{Thumbnail, thumbnail};
pub use write::{OutputFormat, WholeFile, Writer};
