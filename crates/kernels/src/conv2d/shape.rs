//! What a convolution is told about its tensors.

/// Sides and settings of a convolution. Tensors are row-major: the input `[batch, channels, height, width]`, the weights
/// `[filters, channels / groups, kernel, kernel]`, the output `[batch, filters, output, output]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Images.
    pub batch: usize,
    /// Maps of the input.
    pub channels: usize,
    /// Height of the input.
    pub height: usize,
    /// Width of the input.
    pub width: usize,
    /// Maps of the output.
    pub filters: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Steps between places of the kernel.
    pub stride: [usize; 2],
    /// Zeros on each side.
    pub padding: [usize; 2],
    /// Steps between the kernel's own numbers.
    pub dilation: [usize; 2],
    /// Groups of maps that do not see each other.
    pub groups: usize,
}

impl Shape {
    /// Height and width of the output.
    ///
    /// # Panics
    /// When the padded input is smaller than the kernel, or a setting is 0.
    pub fn output(&self) -> [usize; 2] {
        std::array::from_fn(|axis| {
            let side = [self.height, self.width][axis] + 2 * self.padding[axis];
            let reach = self.dilation[axis] * (self.kernel[axis] - 1) + 1;
            assert!(side >= reach, "the kernel reaches over {reach} of {side} pixels");
            (side - reach) / self.stride[axis] + 1
        })
    }

    /// Numbers of the input, the weights and the output.
    pub fn lens(&self) -> [usize; 3] {
        let [rows, columns] = self.output();
        [
            self.batch * self.channels * self.height * self.width,
            self.filters * self.channels / self.groups * self.taps(),
            self.batch * self.filters * rows * columns,
        ]
    }

    /// Multiplications and additions of one pass.
    pub fn flops(&self) -> u64 {
        2 * self.lens()[2] as u64 * (self.channels / self.groups * self.taps()) as u64
    }

    /// Whether each output sees the pixel at its place alone: 1x1 kernels, nothing left out and no zeros around.
    pub(super) fn is_pointwise(&self) -> bool {
        self.kernel == [1; 2] && self.stride == [1; 2] && self.padding == [0; 2] && self.groups == 1
    }

    /// Numbers of one kernel.
    pub(crate) fn taps(&self) -> usize {
        self.kernel[0] * self.kernel[1]
    }

    /// Maps of the input and of the output in a group.
    pub(super) fn group(&self) -> [usize; 2] {
        [self.channels / self.groups, self.filters / self.groups]
    }

    /// Asserts that slices are as long as the tensors.
    pub(crate) fn check(&self, [x, weight, y]: [usize; 3]) {
        assert!(self.channels.is_multiple_of(self.groups) && self.filters.is_multiple_of(self.groups), "groups divide maps: {self:?}");
        assert_eq!([x, weight, y], self.lens(), "input, weights and output are as long as {self:?} says");
    }
}
