//! LeNet-5 as of 1998 (LeCun, Bottou, Bengio, Haffner: "Gradient-based learning applied to document recognition", Proceedings of the
//! IEEE 86(11), section II.B): grey images in a field of 32x32, maps that see some of the maps before them by the paper's Table I,
//! subsampling with a trained coefficient and bias a map, and the squashing function 1.7159 tanh(2x / 3) after every layer but the last.
//!
//! The paper counts 156 + 12 + 1,516 + 32 + 48,120 + 10,164 = 60,000 trained numbers up to F6; so does this file.
//!
//! ```
//! let model = cupola_nets::MODELS.iter().find(|model| model.name == "lenet5").expect("lenet5 is registered");
//! assert_eq!(model.settings[0].name, "normalize");
//! ```
//
// Differs: the output layer. The paper's has radial basis functions around fixed 7x12 bitmaps of ASCII characters, with a loss that
// pushes the wrong ones away. Bitmaps exist for characters alone; here a trained dense layer of 84 x classes + classes numbers goes to the
// softmax and cross-entropy of every classifier, or to a number.
// Differs: pixels. The paper maps paper white to -0.1 and ink to 1.175, so that the mean is about 0 and the variance about 1; here mean and
// deviation of the training images do that. The field around smaller images is black (0), which is the paper of MNIST's images.
// Differs: subsampling begins at the mean of its window (see `layers/subsample.rs`), everything else within 2.4 / fan in as there.

use super::entry::image_model;
use super::feedforward::Architecture;
use super::image_column::NORMALIZE;
use crate::layers::{Activation, Bias, Conv, Dense, Init, Stack};
use cupola_task::{ImageNeeds, ModelDef, Result, Settings};

/// The registry's entry.
pub(crate) const LENET5: ModelDef = image_model!(
    "lenet5",
    "LeNet-5 as of 1998: grey images up to 32x32, partial connections, trained subsampling, scaled tanh.",
    ImageNeeds { channels: Some(1), size: None, size_default: 32, size_min: 1 },
    Architecture { settings: &[NORMALIZE], field: Some([32, 32]), build },
);

/// Which maps of S2 each map of C3 sees: the paper's Table I.
const TABLE_I: &[&[usize]] = &[
    &[0, 1, 2],
    &[1, 2, 3],
    &[2, 3, 4],
    &[3, 4, 5],
    &[0, 4, 5],
    &[0, 1, 5],
    &[0, 1, 2, 3],
    &[1, 2, 3, 4],
    &[2, 3, 4, 5],
    &[0, 3, 4, 5],
    &[0, 1, 4, 5],
    &[0, 1, 2, 5],
    &[0, 1, 3, 4],
    &[1, 2, 4, 5],
    &[0, 2, 3, 5],
    &[0, 1, 2, 3, 4, 5],
];

/// The paper's Appendix A: weights begin uniform within 2.4 divided by how many inputs a unit has.
const INIT: Init = Init::OverFanIn(2.4);

fn build(_settings: &Settings, stack: &mut Stack<'_>, outputs: usize) -> Result<()> {
    let squash = |stack: &mut Stack<'_>, name: &str| stack.at(name, |stack| stack.activation("squash", Activation::ScaledTanh));
    stack.conv2d("c1", Conv { init: INIT, ..Conv::new(6, 5) })?;
    squash(stack, "c1")?;
    stack.subsample("s2")?;
    squash(stack, "s2")?;
    stack.partial_conv2d("c3", TABLE_I, 5, INIT)?;
    squash(stack, "c3")?;
    stack.subsample("s4")?;
    squash(stack, "s4")?;
    stack.conv2d("c5", Conv { init: INIT, ..Conv::new(120, 5) })?;
    squash(stack, "c5")?;
    stack.flatten()?;
    stack.linear("f6", Dense { init: INIT, ..Dense::new(84) })?;
    squash(stack, "f6")?;
    stack.linear("output", Dense { out: outputs, bias: Bias::AsWeights, init: INIT })
}

#[cfg(test)]
mod tests {
    use crate::fixtures::{schema, trainee};

    #[test]
    fn layers_have_as_many_numbers_as_the_paper_counts() {
        let trainee = trainee("lenet5", "", &schema([28, 28, 1], 10)).unwrap();
        let layout = trainee.layout();
        let of =
            |layer: &str| layout.entries().iter().filter(|entry| entry.path.starts_with(layer)).map(|entry| entry.len()).sum::<usize>();
        assert_eq!(["c1", "s2", "c3", "s4", "c5", "f6", "output"].map(of), [156, 12, 1516, 32, 48_120, 10_164, 850]);
        // The paper counts connections, biases among them: 151,600 of C3.
        let c3 = layout.layers().iter().find(|layer| layer.path == "c3").unwrap();
        assert_eq!((c3.flops, &c3.output[..]), (2 * (151_600 - 1600), &[16, 10, 10][..]));
    }

    #[test]
    fn larger_images_are_refused() {
        let error = trainee("lenet5", "", &schema([33, 28, 1], 10)).err().unwrap();
        assert_eq!(error.to_string(), "column image: found images of 33x28, wanted at most 32x32");
    }
}
