//! Products of prepared numbers: powers and interactions, as scikit-learn's `PolynomialFeatures` without the bias and
//! without the columns themselves, which are there already.

use super::category::vectors;
use arrow_array::ArrayRef;
use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use cupola_task::{Column, Error, Result};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// No more products are made.
const PRODUCTS_MAX: usize = 4096;
/// No product has more factors.
pub(crate) const DEGREE_MAX: usize = 6;

/// Which products are made of which columns.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Products {
    degree: usize,
    interaction_only: bool,
    /// Prepared columns, in order.
    pub columns: Vec<Arc<str>>,
    /// The factors of each product, as places among the columns.
    #[serde(skip)]
    factors: Vec<Vec<usize>>,
    #[serde(skip)]
    names: Vec<Arc<str>>,
}

impl Products {
    /// All products of two to `degree` of the columns; none where there are none to make.
    ///
    /// # Errors
    /// When they would be too many.
    pub fn new(columns: Vec<Arc<str>>, degree: usize, interaction_only: bool) -> Result<Option<Products>> {
        let mut products = Products { degree, interaction_only, columns, factors: vec![], names: vec![] };
        if !products.open() {
            let count = count(products.columns.len(), degree, interaction_only);
            let found = format!("{degree}, which makes {count} products of {} columns", products.columns.len());
            let error = Error::setting("data.clean.degree", found, format!("at most {PRODUCTS_MAX} products"));
            return Err(error.with_hint("name the columns to multiply: data.clean.interact=[...]; or interaction_only=true"));
        }
        Ok(Some(products).filter(|products| !products.factors.is_empty()))
    }

    /// Makes ready for use what was read from outside.
    pub fn open(&mut self) -> bool {
        let is_sound = self.degree <= DEGREE_MAX && count(self.columns.len(), self.degree, self.interaction_only) <= PRODUCTS_MAX as f64;
        if is_sound {
            let all = (2..=self.degree).flat_map(|degree| factors(self.columns.len(), degree, self.interaction_only));
            self.factors = all.collect();
            self.names = self.factors.iter().map(|factors| self.name(factors)).collect();
        }
        is_sound
    }

    fn name(&self, factors: &[usize]) -> Arc<str> {
        let power = |same: &[usize]| match same.len() {
            1 => self.columns[same[0]].to_string(),
            power => format!("{}^{power}", self.columns[same[0]]),
        };
        factors.chunk_by(|a, b| a == b).map(power).collect::<Vec<_>>().join("*").into()
    }

    /// What the products are called: `age*fare`, `age^2`.
    pub fn names(&self) -> &[Arc<str>] {
        &self.names
    }

    /// The products, a vector a row. `column` gives a prepared column of numbers.
    pub fn apply<'c>(&self, column: impl Fn(&str) -> Option<&'c Column>) -> ArrayRef {
        let numbers = |name: &Arc<str>| {
            let array = column(name).and_then(Column::array).and_then(|array| array.as_primitive_opt::<Float64Type>());
            &array.expect("products are of prepared numbers: checked when they were opened").values()[..]
        };
        let columns: Vec<&[f64]> = self.columns.iter().map(numbers).collect();
        let rows = columns.first().map_or(0, |column| column.len());
        let product = |row: usize, factors: &[usize]| {
            let product = factors.iter().map(|&place| columns[place][row]).product::<f64>();
            // What is missing stays missing; what is too large for a vector's elements becomes the largest.
            product.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
        };
        let values = (0..rows).flat_map(|row| self.factors.iter().map(move |factors| (row, factors)));
        let values = values.map(|(row, factors)| product(row, factors)).collect();
        vectors(self.factors.len(), values)
    }
}

/// How many products there are: combinations, with or without repeats.
fn count(columns: usize, degree: usize, interaction_only: bool) -> f64 {
    let choose = |of: usize, take: usize| (0..take).fold(1.0, |count, i| count * (of as f64 - i as f64).max(0.0) / (i as f64 + 1.0));
    let one = |degree: usize| if interaction_only { choose(columns, degree) } else { choose((columns + degree).saturating_sub(1), degree) };
    (2..=degree).map(one).sum::<f64>().round()
}

/// Combinations of so many places, in the order of their first, then their second place, and so on.
fn factors(columns: usize, degree: usize, interaction_only: bool) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = (0..columns).map(|place| vec![place]).collect();
    for _ in 1..degree {
        let longer = |factors: Vec<usize>| {
            let last = factors[factors.len() - 1];
            (last + usize::from(interaction_only)..columns).map(move |next| factors.iter().copied().chain([next]).collect::<Vec<_>>())
        };
        all = all.into_iter().flat_map(longer).collect();
    }
    all
}
