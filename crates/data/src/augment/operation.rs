//! The registry: every operation with what a recipe may say about it.

use super::{affine, crop, cutout, flip, jitter, mix, policy, randaugment, random_erasing, random_resized_crop};
use cupola_task::{Error, Range, Result, Setting, Settings, Value};

/// An operation of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// Its name.
    pub name: &'static str,
    /// One sentence, with its source.
    pub doc: &'static str,
    /// Keys of `[augment]`.
    pub settings: &'static [Setting],
}

/// All operations, in the order in which they are done.
pub const OPERATIONS: &[Operation] = &[
    policy::POLICY,
    random_resized_crop::RESIZED_CROP,
    crop::CROP,
    flip::FLIP,
    affine::AFFINE,
    randaugment::RANDAUGMENT,
    jitter::JITTER,
    cutout::CUTOUT,
    random_erasing::ERASING,
    mix::MIX,
];

/// A share of the rows, or a probability.
pub(crate) const SHARE: Range = Range::Real { min: 0.0, max: 1.0 };
/// A lower and an upper bound.
pub(crate) const BOUNDS: Range = Range::List(&Range::Real { min: 0.01, max: 100.0 });

/// The two numbers of a setting of bounds; none where it is a word.
///
/// # Errors
/// When there are not two, or they do not ascend, or lie outside `least` to `most`.
pub(crate) fn bounds(settings: &Settings, name: &str, [least, most]: [f64; 2]) -> Result<Option<[f64; 2]>> {
    let real = |value: &Value| match value {
        Value::Real(number) => *number,
        Value::Integer(number) => *number as f64,
        _ => f64::NAN,
    };
    match settings.list(name) {
        [] => Ok(None),
        [low, high] if least <= real(low) && real(low) <= real(high) && real(high) <= most => Ok(Some([real(low), real(high)])),
        _ => {
            let wanted = format!("two numbers that ascend, from {least} to {most}: [{least}, {most}]");
            Err(Error::setting(format!("augment.{name}"), settings.value(name), wanted))
        }
    }
}
