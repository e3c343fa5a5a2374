//! A network that the recipe lists layer by layer.
//!
//! ```toml
//! [model]
//! name = "layers"
//! layers = ["conv 32 3 relu", "maxpool 2", "flatten", "dense 128 relu dropout=0.5"]
//! ```
//!
//! Each text is a word, its numbers, and what may follow in any order:
//!
//! | layer | what it does |
//! |---|---|
//! | `conv OUT KERNEL [activation] [stride=1] [padding=same\|N] [groups=1] [dilation=1] [bias=true]` | convolution to OUT maps |
//! | `convtranspose OUT KERNEL [padding=N] [output_padding=0]` and the rest of `conv` | transposed convolution to OUT larger maps |
//! | `maxpool SIDE [stride=SIDE] [padding=0]` | the largest number of each window |
//! | `avgpool SIDE [stride=SIDE] [padding=0]` | the mean of each window |
//! | `globalavgpool` | the mean of each map, flat |
//! | `batchnorm [activation]` | batch normalisation |
//! | `flatten` | maps as flat numbers |
//! | `dense OUT [activation] [dropout=0] [bias=true]` | a weighted sum of all numbers for each of OUT |
//! | `dropout SHARE` | drops that share of numbers while it learns |
//! | `relu`, `relu6`, `tanh`, `scaled_tanh`, `sigmoid`, `gelu`, `silu`, `leaky_relu`, `softplus`, `identity` | the activation alone |
//!
//! The dense layer to the classes, or to the number, comes after the last one by itself. Weights begin as PyTorch's do by default and are
//! named by their place in the list, `layers.0.weight`; those of the last layer are `head.weight` and `head.bias`.
//!
//! ```
//! let model = cupola_nets::MODELS.iter().find(|model| model.name == "layers").expect("it is registered");
//! let list = cupola_task::Value::parse("[conv 8 3 relu padding=same, globalavgpool]");
//! assert!(cupola_task::Settings::check("model", model.settings, [("layers", &list)]).is_ok());
//! ```

use super::entry::image_model;
use super::feedforward::Architecture;
use super::image_column::NORMALIZE;
use crate::layers::{Activation, BatchNorm, Bias, Conv, ConvTranspose, Dense, Padding, Pool, Stack};
use cupola_task::{Error, ImageNeeds, ModelDef, Range, Result, Setting, Settings, Value, nearest};
use std::fmt::Display;
use std::str::FromStr;

/// The registry's entry.
pub(crate) const LAYERS: ModelDef = image_model!(
    "layers",
    "A network that the recipe lists layer by layer: convolutions, pooling, batch norm, dense layers, dropout.",
    ImageNeeds { channels: None, size: None, size_default: 32, size_min: 1 },
    Architecture { settings: &[LIST, NORMALIZE], field: None, build },
);

const LIST: Setting = Setting {
    name: "layers",
    alias: &[],
    default: "[conv 32 3 relu, maxpool 2, conv 64 3 relu, maxpool 2, flatten, dense 128 relu dropout=0.5]",
    range: Range::List(&Range::Text),
    doc: "The layers from the images on, such as \"conv 32 3 relu\", \"maxpool 2\", \"flatten\", \"dense 128 relu dropout=0.5\".",
};

const WORDS: &[&str] = &["conv", "convtranspose", "maxpool", "avgpool", "globalavgpool", "batchnorm", "flatten", "dense", "dropout"];

/// No size in a list is larger.
const SIZE_MAX: usize = 1 << 16;

fn build(settings: &Settings, stack: &mut Stack<'_>, outputs: usize) -> Result<()> {
    let texts: Vec<&str> =
        settings.list("layers").iter().filter_map(|value| if let Value::Text(text) = value { Some(&**text) } else { None }).collect();
    for (place, text) in texts.iter().enumerate() {
        let line = Line::parse(place, text)?;
        stack.at(&format!("layers.{place}"), |stack| line.clone().build(stack)).map_err(|error| line.blame(error))?;
    }
    let last = Line::parse(texts.len(), "dense")?;
    stack.linear("head", Dense::new(outputs)).map_err(|error| last.blame(error))
}

/// One text of the list while it is read.
#[derive(Clone, Debug)]
struct Line<'a> {
    place: usize,
    text: &'a str,
    word: &'a str,
    numbers: Vec<&'a str>,
    options: Vec<(&'a str, &'a str)>,
    activation: Activation,
}

impl<'a> Line<'a> {
    fn parse(place: usize, text: &'a str) -> Result<Line<'a>> {
        let mut words = text.split_whitespace();
        let mut line =
            Line { place, text, word: words.next().unwrap_or(""), numbers: vec![], options: vec![], activation: Activation::Identity };
        if let Some(activation) = Activation::of(line.word) {
            line.activation = activation;
        } else if !WORDS.contains(&line.word) {
            return Err(line.unknown());
        }
        for word in words {
            match (word.split_once('='), Activation::of(word)) {
                (Some(option), _) => line.options.push(option),
                (None, Some(activation)) if line.activation == Activation::Identity => line.activation = activation,
                (None, _) => line.numbers.insert(0, word),
            }
        }
        Ok(line)
    }

    fn wrong(&self, found: impl Display, wanted: impl Display) -> Error {
        Error::setting(format!("model.layers: layer {} \"{}\"", self.place + 1, self.text), found, wanted)
    }

    fn unknown(&self) -> Error {
        let known = WORDS.iter().copied().chain(Activation::WORDS.iter().map(|(word, _)| *word));
        let error = self.wrong(format!("{:?}", self.word), "a layer");
        match nearest(self.word, known.clone()) {
            Some(near) => error.with_hint(format!("did you mean {near}?")),
            None => error.with_hint(format!("layers are {}", known.collect::<Vec<_>>().join(", "))),
        }
    }

    /// What a layer said does not fit, as a fault of this text.
    fn blame(&self, error: Error) -> Error {
        let Error::Input { found, wanted, hint, .. } = error else { return error };
        let error = self.wrong(found, wanted);
        match hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }

    /// The next number, which must be there.
    fn number<T: FromStr>(&mut self, what: &str) -> Result<T> {
        match self.numbers.pop() {
            Some(text) => text.parse().map_err(|_| self.wrong(format!("{text:?}"), what)),
            None => Err(self.wrong("no more numbers", what)),
        }
    }

    /// The next number, as a size.
    fn size(&mut self, what: &str) -> Result<usize> {
        let size: usize = self.number(what)?;
        self.in_range(what, size)
    }

    fn in_range(&self, what: &str, size: usize) -> Result<usize> {
        if size <= SIZE_MAX { Ok(size) } else { Err(self.wrong(size, format!("{what}, at most {SIZE_MAX}"))) }
    }

    /// An option's text, when it is given.
    fn text(&mut self, name: &str) -> Option<&'a str> {
        let place = self.options.iter().position(|(known, _)| *known == name)?;
        Some(self.options.remove(place).1)
    }

    /// An option's value.
    fn option<T: FromStr>(&mut self, name: &str, default: T) -> Result<T> {
        match self.text(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| self.wrong(format!("{name}={text}"), format!("{name} as a number, or true or false"))),
        }
    }

    /// An option's value, as a size.
    fn size_option(&mut self, name: &str, default: usize) -> Result<usize> {
        let size = self.option(name, default)?;
        self.in_range(name, size)
    }

    /// Refuses what no layer asked for.
    fn end(&self) -> Result<()> {
        match (self.numbers.last(), self.options.first()) {
            (Some(number), _) => Err(self.wrong(format!("{number:?}"), "nothing more, or an activation")),
            (None, Some((name, _))) => Err(self.wrong(format!("{name}="), format!("options of {}", self.word))),
            (None, None) => Ok(()),
        }
    }

    fn conv(&mut self) -> Result<Conv> {
        let conv = Conv::new(self.size("how many maps")?, self.size("the kernel's side")?);
        let padding = match self.text("padding") {
            None => Padding::Each(0),
            Some("same") => Padding::Same,
            Some(text) => Padding::Each(text.parse().map_err(|_| self.wrong(format!("padding={text}"), "same or a number"))?),
        };
        if let Padding::Each(zeros) = padding {
            self.in_range("padding", zeros)?;
        }
        let (stride, dilation) = (self.size_option("stride", 1)?, self.size_option("dilation", 1)?);
        Ok(Conv { stride, padding, dilation, groups: self.size_option("groups", 1)?, bias: self.bias()?, ..conv })
    }

    fn conv_transpose(&mut self) -> Result<ConvTranspose> {
        let conv = ConvTranspose::new(self.size("how many maps")?, self.size("the kernel's side")?);
        let (stride, dilation) = (self.size_option("stride", 1)?, self.size_option("dilation", 1)?);
        let (padding, output_padding) = (self.size_option("padding", 0)?, self.size_option("output_padding", 0)?);
        let groups = self.size_option("groups", 1)?;
        Ok(ConvTranspose { stride, padding, output_padding, dilation, groups, bias: self.bias()?, ..conv })
    }

    fn pool(&mut self) -> Result<Pool> {
        let kernel = self.size("the window's side")?;
        Ok(Pool { kernel, stride: self.size_option("stride", kernel)?, padding: self.size_option("padding", 0)? })
    }

    fn bias(&mut self) -> Result<Bias> {
        Ok(if self.option("bias", true)? { Bias::AsWeights } else { Bias::None })
    }

    /// Puts the layer on top. An activation that stands behind it follows, then dropout.
    fn build(mut self, stack: &mut Stack<'_>) -> Result<()> {
        let mut dropout = 0.0;
        match self.word {
            "conv" => {
                let conv = self.conv()?;
                self.end()?;
                stack.conv2d("", conv)?;
            }
            "convtranspose" => {
                let conv = self.conv_transpose()?;
                self.end()?;
                stack.conv_transpose2d("", conv)?;
            }
            "maxpool" | "avgpool" => {
                let pool = self.pool()?;
                self.plain()?;
                if self.word == "maxpool" { stack.max_pool("", pool)? } else { stack.avg_pool("", pool)? }
            }
            "globalavgpool" => {
                self.plain()?;
                stack.adaptive_avg_pool("", 1)?;
                stack.flatten()?;
            }
            "batchnorm" => {
                self.end()?;
                stack.batch_norm("", BatchNorm::default())?;
            }
            "flatten" => {
                self.plain()?;
                stack.flatten()?;
            }
            "dense" => {
                let out = self.size("how many numbers it gives")?;
                dropout = self.option("dropout", 0.0)?;
                let bias = self.bias()?;
                self.end()?;
                stack.linear("", Dense { bias, ..Dense::new(out) })?;
            }
            "dropout" => {
                dropout = self.number("a share from 0 to below 1")?;
                self.plain()?;
            }
            _ => self.end()?,
        }
        stack.activation(self.activation.word(), self.activation)?;
        stack.dropout("dropout", dropout)
    }

    /// Refuses whatever else stands there.
    fn plain(&self) -> Result<()> {
        match self.activation {
            Activation::Identity => self.end(),
            activation => Err(self.wrong(activation.word(), "nothing more").with_hint("put the activation into a text of its own")),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixtures::{schema, trainee};
    use cupola_task::{Exit, Fault};

    #[test]
    fn a_list_becomes_named_layers() {
        let list = "layers=[conv 32 3 relu, maxpool 2, convtranspose 8 4 stride=2 padding=1 bias=false, batchnorm gelu, flatten, \
                    dense 128 relu dropout=0.5, dropout 0.1]";
        let trainee = trainee("layers", list, &schema([28, 28, 1], 10)).unwrap();
        let layers = trainee.layout().layers().iter().map(|layer| format!("{} {} {:?}", layer.path, layer.kind, layer.output));
        let wanted = [
            "layers.0 conv 32 3 [32, 26, 26]",
            "layers.0.relu relu [32, 26, 26]",
            "layers.1 maxpool 2 [32, 13, 13]",
            "layers.2 convtranspose 8 4 stride=2 padding=1 bias=false [8, 26, 26]",
            "layers.3 batchnorm [8, 26, 26]",
            "layers.3.gelu gelu [8, 26, 26]",
            "layers.5 dense 128 [128]",
            "layers.5.relu relu [128]",
            "layers.5.dropout dropout 0.5 [128]",
            "layers.6.dropout dropout 0.1 [128]",
            "head dense 10 [10]",
        ];
        assert_eq!(layers.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn what_cannot_be_built_is_said_with_its_place() {
        let check = |list: &str, text: &str, hint: Option<&str>| {
            let error = trainee("layers", &format!("layers=[{list}]"), &schema([4, 4, 1], 10)).err().unwrap();
            assert_eq!(error.to_string(), format!("setting model.layers: layer {text}"));
            assert_eq!((error.exit(), error.hint().as_deref()), (Exit::Usage, hint));
        };
        let small = "4 \"maxpool 2\": found 1x1 maps, wanted at least 2x2";
        check("conv 4 3 padding=same, maxpool 2, maxpool 2, maxpool 2", small, None);
        check("convo 4 3", "1 \"convo 4 3\": found \"convo\", wanted a layer", Some("did you mean conv?"));
        check("conv 4", "1 \"conv 4\": found no more numbers, wanted the kernel's side", None);
        check("conv 4 x", "1 \"conv 4 x\": found \"x\", wanted the kernel's side", None);
        check("conv 4 3 relu tanh", "1 \"conv 4 3 relu tanh\": found \"tanh\", wanted nothing more, or an activation", None);
        check("conv 4 3 size=2", "1 \"conv 4 3 size=2\": found size=, wanted options of conv", None);
        check("conv 4 3 stride=x", "1 \"conv 4 3 stride=x\": found stride=x, wanted stride as a number, or true or false", None);
        check("conv 99999999 3", "1 \"conv 99999999 3\": found 99999999, wanted how many maps, at most 65536", None);
        check("flatten, dropout 1", "2 \"dropout 1\": found 1, wanted a share from 0 to below 1", None);
        let most = "1 \"convtranspose 4 3 output_padding=1\": found output_padding=1, wanted at most 0: below stride or dilation";
        check("convtranspose 4 3 output_padding=1", most, None);
        let nothing = "1 \"convtranspose 4 1 padding=2\": found padding=2 of 4 pixels, wanted some pixels left";
        check("convtranspose 4 1 padding=2", nothing, None);
        check("conv 4 0", "1 \"conv 4 0\": found a size of 0, wanted sizes of at least 1", None);
        let flat = "2 \"dense\": found 4 maps of 2x2, wanted flat numbers";
        check("conv 4 3", flat, Some("put flatten or globalavgpool before it"));
        let large = "found 4296146946 numbers of weights so far, wanted at most 2147483648";
        check("flatten, dense 65536, dense 65536, dense 65536", &format!("3 \"dense 65536\": {large}"), None);
    }
}
