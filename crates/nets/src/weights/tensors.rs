//! Tensors as a file holds them: a name, a type, a shape and bytes, turned to `f32` only when they are wanted.

use cupola_task::{Error, Result};

/// The type of a tensor's numbers, little-endian.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Dtype {
    F16,
    BF16,
    F32,
    F64,
    I8,
    U8,
    I16,
    I32,
    I64,
    Bool,
}

/// A tensor that lies in a file.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Stored<'a> {
    pub name: String,
    pub dtype: Dtype,
    pub shape: Vec<usize>,
    /// For each side how many numbers further the next one lies.
    pub strides: Vec<usize>,
    /// The first number's place.
    pub offset: usize,
    /// All numbers of its storage, which other tensors may share.
    pub bytes: &'a [u8],
}

/// Strides of numbers that lie one after another, the last side fastest.
pub(super) fn contiguous(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for side in (1..shape.len()).rev() {
        strides[side - 1] = strides[side].saturating_mul(shape[side]);
    }
    strides
}

impl Dtype {
    pub fn size(self) -> usize {
        match self {
            Dtype::I8 | Dtype::U8 | Dtype::Bool => 1,
            Dtype::F16 | Dtype::BF16 | Dtype::I16 => 2,
            Dtype::F32 | Dtype::I32 => 4,
            Dtype::F64 | Dtype::I64 => 8,
        }
    }

    /// The number that begins these bytes, of which there are enough.
    fn read(self, bytes: &[u8]) -> f32 {
        let two = || [bytes[0], bytes[1]];
        let four = || [bytes[0], bytes[1], bytes[2], bytes[3]];
        let eight = || [bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]];
        match self {
            Dtype::F16 => half(u16::from_le_bytes(two())),
            Dtype::BF16 => f32::from_bits(u32::from(u16::from_le_bytes(two())) << 16),
            Dtype::F32 => f32::from_le_bytes(four()),
            Dtype::F64 => f64::from_le_bytes(eight()) as f32,
            Dtype::I8 => f32::from(bytes[0] as i8),
            Dtype::U8 | Dtype::Bool => f32::from(bytes[0]),
            Dtype::I16 => f32::from(i16::from_le_bytes(two())),
            Dtype::I32 => i32::from_le_bytes(four()) as f32,
            Dtype::I64 => i64::from_le_bytes(eight()) as f32,
        }
    }
}

/// IEEE 754 binary16: sign, 5 bits of exponent with bias 15, 10 bits of fraction.
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    match exponent {
        0 => sign * fraction * 2f32.powi(-24),
        0x1f if fraction == 0.0 => sign * f32::INFINITY,
        0x1f => f32::NAN,
        _ => sign * (1024.0 + fraction) * 2f32.powi(exponent - 25),
    }
}

impl Stored<'_> {
    /// All numbers, the last side fastest. The shape is the caller's wish by now, so its length is no surprise.
    ///
    /// # Errors
    /// When the storage is shorter than the shape says, or a number is not finite in `f32`.
    pub fn values(&self, place: &str) -> Result<Vec<f32>> {
        let wrong = |found: String, wanted: &str| Error::input(format!("{place}: tensor {}", self.name), found, wanted);
        if !self.fits() {
            return Err(wrong(format!("{} bytes for shape {:?}", self.bytes.len(), self.shape), "a number for every place"));
        }
        let values: Vec<f32> = if self.strides == contiguous(&self.shape) {
            let size = self.dtype.size();
            let count: usize = self.shape.iter().product();
            self.bytes[self.offset * size..(self.offset + count) * size].chunks_exact(size).map(|bytes| self.dtype.read(bytes)).collect()
        } else {
            self.strided()
        };
        match values.iter().find(|value| !value.is_finite()) {
            Some(value) => Err(wrong(value.to_string(), "finite numbers")),
            None => Ok(values),
        }
    }

    /// Whether every number that shape and strides reach lies in the storage.
    fn fits(&self) -> bool {
        if self.shape.contains(&0) {
            return self.offset.checked_mul(self.dtype.size()).is_some_and(|start| start <= self.bytes.len());
        }
        let reach = |place: usize, (&side, &stride): (&usize, &usize)| place.checked_add((side - 1).checked_mul(stride)?);
        let last = self.shape.iter().zip(&self.strides).try_fold(self.offset, reach);
        let end = last.and_then(|last| last.checked_add(1)?.checked_mul(self.dtype.size()));
        end.is_some_and(|end| end <= self.bytes.len()) && self.shape.len() == self.strides.len()
    }

    fn strided(&self) -> Vec<f32> {
        let count: usize = self.shape.iter().product();
        let mut index = vec![0usize; self.shape.len()];
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            let place = self.offset + index.iter().zip(&self.strides).map(|(at, stride)| at * stride).sum::<usize>();
            values.push(self.dtype.read(&self.bytes[place * self.dtype.size()..]));
            for side in (0..index.len()).rev() {
                index[side] += 1;
                if index[side] < self.shape[side] {
                    break;
                }
                index[side] = 0;
            }
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_read_exactly() {
        for (bits, wanted) in [
            (0x0000, 0.0),
            (0x8000, -0.0),
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x7bff, 65504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
            (0x7c00, f32::INFINITY),
        ] {
            assert_eq!(half(bits), wanted, "{bits:#06x}");
        }
        assert!(half(0x7e00).is_nan());
    }

    #[test]
    fn absurd_shapes_are_refused() {
        let stored = |shape: &[usize], strides: &[usize], offset| Stored {
            name: "x".into(),
            dtype: Dtype::U8,
            shape: shape.to_vec(),
            strides: strides.to_vec(),
            offset,
            bytes: &[1, 2, 3, 4],
        };
        assert_eq!(stored(&[2, 2], &[1, 2], 0).values("file").unwrap(), [1.0, 3.0, 2.0, 4.0]);
        assert_eq!(stored(&[0], &[1], 4).values("file").unwrap(), [0.0f32; 0]);
        for (shape, strides, offset) in
            [(&[5][..], &[1][..], 0), (&[2], &[usize::MAX], 1), (&[1], &[1], 4), (&[2, 2], &[2], 0), (&[0], &[1], usize::MAX)]
        {
            let error = stored(shape, strides, offset).values("file").unwrap_err();
            assert!(error.to_string().starts_with("file: tensor x: found 4 bytes for shape"), "{error}");
        }
    }
}
