//! Cupola inside another program: open a model file and ask it, as the server does.
//!
//! ```
//! use arrow_array::{Float64Array, StringArray};
//! use cupola::{Column, Columns};
//! use std::sync::Arc;
//!
//! # fn main() -> Result<(), cupola::Error> {
//! # let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/iris-0.1.cupola");
//! let model = cupola::open(path)?;
//! let number = |values: Vec<f64>| Column::Array(Arc::new(Float64Array::from(values)));
//! let rows = Columns::new(vec![
//!     ("sepal_length".into(), number(vec![5.1, 6.7])),
//!     ("sepal_width".into(), number(vec![3.5, 3.0])),
//!     ("petal_length".into(), number(vec![1.4, 5.2])),
//!     ("petal_width".into(), number(vec![0.2, 2.3])),
//! ]);
//! let answers = cupola::columns(&model.predict(&rows)?);
//! let species = answers.array("prediction")?.as_any().downcast_ref::<StringArray>().expect("classes are texts");
//! assert_eq!(species.value(0), "setosa");
//! # Ok(())
//! # }
//! ```

pub use cupola_task::{Answer, Column, Columns, Fault, Predictions, Schema};
pub use cupola_train::{Artifact, Error, answer_columns as columns};

use cupola_train::Opening;
use std::path::Path;
use std::time::Instant;

/// Opens a model file and replays its golden rows for at most 200 ms.
///
/// # Errors
/// When the file is not a model, is damaged, comes from a newer version, or does not answer as it did when it was saved.
pub fn open(path: impl AsRef<Path>) -> Result<Artifact, Error> {
    let began = Instant::now();
    Artifact::open(path.as_ref(), Opening { clock: &|| began.elapsed(), replay: Opening::REPLAY })
}
