//! What is called LeNet-5 in most tutorials today: the 1998 layout (LeCun et al., "Gradient-based learning applied to document
//! recognition") with full connections, plain pooling, and softmax on a dense layer.
//!
//! conv 6 5x5 with 2 zeros around the maps, activation, pool 2x2; conv 16 5x5, activation, pool 2x2; dense 120, activation; dense 84,
//! activation; dense to the classes. On grey images of 28x28 with ten classes it has 61,706 trained numbers, under the names `conv1`,
//! `conv2`, `fc1`, `fc2`, `fc3`, and begins as PyTorch's layers do by default.
//!
//! ```
//! let model = cupola_nets::MODELS.iter().find(|model| model.name == "lenet5_modern").expect("it is registered");
//! let tanh = cupola_task::Value::Text("tanh".into());
//! let settings = cupola_task::Settings::check("model", model.settings, [("activation", &tanh)])?;
//! assert_eq!((settings.text("activation"), settings.text("pool")), ("tanh", "max"));
//! # Ok::<(), cupola_task::Error>(())
//! ```

use super::entry::image_model;
use super::feedforward::Architecture;
use super::image_column::NORMALIZE;
use crate::layers::{Activation, Conv, Dense, Padding, Pool, Stack};
use cupola_task::{ImageNeeds, ModelDef, Range, Result, Setting, Settings};

/// The registry's entry.
pub(crate) const LENET5_MODERN: ModelDef = image_model!(
    "lenet5_modern",
    "The usual modern LeNet-5: two convolutions with full connections, relu and max pooling, three dense layers.",
    ImageNeeds { channels: None, size: None, size_default: 28, size_min: 12 },
    Architecture { settings: &[ACTIVATION, POOL, NORMALIZE], field: None, build },
);

const ACTIVATION: Setting = Setting {
    name: "activation",
    alias: &[],
    default: "relu",
    range: Range::Choice(&["relu", "tanh", "sigmoid"]),
    doc: "What follows every layer but the last.",
};

const POOL: Setting =
    Setting { name: "pool", alias: &[], default: "max", range: Range::Choice(&["max", "avg"]), doc: "How 2x2 windows are pooled." };

fn build(settings: &Settings, stack: &mut Stack<'_>, outputs: usize) -> Result<()> {
    let activation = Activation::of(settings.text("activation")).unwrap_or_default();
    let pool = |stack: &mut Stack<'_>, name: &str| match settings.text("pool") {
        "avg" => stack.avg_pool(name, Pool::new(2)),
        _ => stack.max_pool(name, Pool::new(2)),
    };
    stack.conv2d("conv1", Conv { padding: Padding::Each(2), ..Conv::new(6, 5) })?;
    stack.activation("act1", activation)?;
    pool(stack, "pool1")?;
    stack.conv2d("conv2", Conv::new(16, 5))?;
    stack.activation("act2", activation)?;
    pool(stack, "pool2")?;
    stack.flatten()?;
    stack.linear("fc1", Dense::new(120))?;
    stack.activation("act3", activation)?;
    stack.linear("fc2", Dense::new(84))?;
    stack.activation("act4", activation)?;
    stack.linear("fc3", Dense::new(outputs))
}

#[cfg(test)]
mod tests {
    use crate::fixtures::{schema, trainee};

    #[test]
    fn it_has_as_many_numbers_as_tutorials_count() {
        let net = |sides: [u32; 3]| trainee("lenet5_modern", "", &schema(sides, 10));
        assert_eq!(net([28, 28, 1]).unwrap().layout().params(), 61_706);
        assert!(net([12, 12, 3]).is_ok());
        let error = net([11, 28, 1]).err().unwrap().to_string();
        assert_eq!(error, "layer 6 \"maxpool 2\": found 1x10 maps, wanted at least 2x2");
    }
}
