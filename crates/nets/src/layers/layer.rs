//! Any layer.

use super::activation::Activate;
use super::adaptive_avg_pool::AdaptiveAvgPool;
use super::avg_pool::AvgPool2d;
use super::batch_norm::BatchNormLayer;
use super::conv_transpose2d::ConvTranspose2d;
use super::conv2d::Conv2d;
use super::dropout::Dropout;
use super::features::Features;
use super::flatten::Flatten;
use super::linear::Linear;
use super::max_pool::MaxPool2d;
use super::partial_conv2d::PartialConv2d;
use super::residual::Residual;
use super::scale::Scale;
use super::subsample::Subsample;
use super::thin_pad::ThinPad;
use crate::pass::Pass;

macro_rules! layers {
    ($($name:ident($kind:ty)),* $(,)?) => {
        /// A layer of a [`Sequence`](super::Sequence).
        #[derive(Clone, Debug)]
        pub enum Layer {
            $(
                #[doc = concat!("See the file of `", stringify!($kind), "`.")]
                $name($kind),
            )*
        }

        $(impl From<$kind> for Layer {
            fn from(layer: $kind) -> Layer {
                Layer::$name(layer)
            }
        })*

        impl Layer {
            /// What it makes of its input.
            pub fn forward(&self, input: Features, pass: &Pass<'_>) -> Features {
                match self {
                    $(Layer::$name(layer) => layer.forward(input, pass),)*
                }
            }
        }
    };
}

layers! {
    Conv2d(Conv2d),
    ConvTranspose2d(ConvTranspose2d),
    PartialConv2d(PartialConv2d),
    Linear(Linear),
    BatchNorm(BatchNormLayer),
    MaxPool(MaxPool2d),
    AvgPool(AvgPool2d),
    AdaptiveAvgPool(AdaptiveAvgPool),
    Subsample(Subsample),
    Activation(Activate),
    Dropout(Dropout),
    Flatten(Flatten),
    ThinPad(ThinPad),
    Residual(Residual),
    Scale(Scale),
}
