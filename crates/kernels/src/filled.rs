//! Memory for a result, without a pass that fills it with zeros first.

/// A vector of `len` numbers, all written by `fill`, which must read none of them: what is in them before is whatever memory held. Every
/// kernel of this crate overwrites its outputs completely, and its tests begin with outputs of NaN to show it.
pub fn filled(len: usize, fill: impl FnOnce(&mut [f32])) -> Vec<f32> {
    let mut values: Vec<f32> = Vec::with_capacity(len);
    let room = &mut values.spare_capacity_mut()[..len];
    // SAFETY: the room is as long and aligned for `f32`, of which every pattern of bits is a value; nobody else sees it before it is written.
    fill(unsafe { std::slice::from_raw_parts_mut(room.as_mut_ptr().cast::<f32>(), len) });
    // SAFETY: there is room for as many, and `fill` has written them.
    unsafe { values.set_len(len) };
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_as_long_as_asked() {
        assert_eq!(filled(3, |to| to.copy_from_slice(&[1.0, 2.0, 3.0])), [1.0, 2.0, 3.0]);
        assert!(filled(0, |to| assert!(to.is_empty())).is_empty());
    }
}
