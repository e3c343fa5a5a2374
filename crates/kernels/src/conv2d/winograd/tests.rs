use super::fits;
use crate::conv2d::Shape;
use crate::conv2d::tests::{check, equal_for_threads, square};
use proptest::prelude::*;

#[test]
fn layers_of_known_networks_are_right() {
    for shape in [
        square(2, 16, 32, 16, 3, 1, 1), // ResNet-8
        square(3, 32, 16, 32, 3, 1, 1),
        square(5, 64, 8, 64, 3, 1, 1),
        square(2, 64, 28, 128, 3, 1, 1), // VGG16
        square(1, 300, 14, 40, 3, 1, 1),
        square(8, 512, 4, 512, 3, 1, 1),
    ] {
        assert!(fits(&shape), "{shape:?}");
        check(shape);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_shape_is_right(
        (batch, channels, filters) in (0..4usize, 8..40usize, 8..40usize),
        (height, width, down, across) in (3..20usize, 3..40usize, 0..3usize, 0..3usize),
    ) {
        let shape = Shape { height, width, padding: [down, across], ..square(batch, channels, height, filters, 3, 1, 0) };
        if height + 2 * down >= 5 && width + 2 * across >= 5 {
            assert!(fits(&shape), "{shape:?}");
            check(shape);
        }
    }
}

#[test]
fn threads_change_no_bit() {
    equal_for_threads(square(7, 24, 19, 40, 3, 1, 1));
}
