//! What may be set of a model, and the check of what is set.

use super::{Model, ModelError};
use crate::graph::GraphError;
use crate::ops::Activation;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// What is asked of a model; what is not named has the model's default.
///
/// Every model takes `num_classes`, `image_size` (one number, or height and width) and
/// `input_channels`; [`Model::attributes`] lists the others. As JSON it is one object.
///
/// ```
/// use tilewright::models::{self, ModelOptions};
///
/// let options = ModelOptions::new().num_classes(5).with("stem", "cifar").image_size(64, 64);
/// assert_eq!(models::find("resnet18")?.input(&options)?, [3, 64, 64]);
/// assert!(models::find("resnet18")?.input(&ModelOptions::new().with("depth", 3)).is_err());
/// # Ok::<(), models::ModelError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelOptions {
    attributes: Map<String, Json>,
}

impl ModelOptions {
    /// Every attribute at the model's default.
    pub fn new() -> Self {
        ModelOptions::default()
    }

    /// With the attribute `name` at `value`.
    pub fn with(mut self, name: &str, value: impl Into<Json>) -> Self {
        self.attributes.insert(name.to_owned(), value.into());
        self
    }

    /// With so many logits.
    pub fn num_classes(self, classes: usize) -> Self {
        self.with("num_classes", classes)
    }

    /// With elements dropped with the probability `p`, from 0 to below 1.
    pub fn dropout(self, p: f64) -> Self {
        self.with("dropout", p)
    }

    /// For images of `height` by `width` pixels.
    pub fn image_size(self, height: usize, width: usize) -> Self {
        self.with("image_size", vec![height, width])
    }

    /// For images of so many channels: 1 for grey, 3 for colour.
    pub fn input_channels(self, channels: usize) -> Self {
        self.with("input_channels", channels)
    }

    /// What is asked for that attribute.
    pub fn get(&self, name: &str) -> Option<&Json> {
        self.attributes.get(name)
    }

    /// What is asked for, by name.
    pub fn attributes(&self) -> &Map<String, Json> {
        &self.attributes
    }
}

impl From<Map<String, Json>> for ModelOptions {
    fn from(attributes: Map<String, Json>) -> Self {
        ModelOptions { attributes }
    }
}

/// An attribute's name and what it takes.
pub type Attribute = (&'static str, Takes);

/// What comes before the first stage: as published for ImageNet, or for images of about 32x32 pixels, a
/// convolution of stride 1 and no pooling.
pub(super) const STEM: Attribute = ("stem", Takes::Word(&["imagenet", "cifar"]));

/// The names of activations that [`Settings::activation`] reads, that of a network without one first.
pub(super) const fn activations([own, other]: [&'static str; 2]) -> [&'static str; 11] {
    [own, other, "elu", "silu", "gelu", "selu", "celu", "gelu_tanh", "mish", "softplus", "hardtanh"]
}

/// The attribute of the probability that the last residual block is dropped in training.
pub(super) const STOCHASTIC_DEPTH: &str = "stochastic_depth";

/// What an attribute takes, and its default.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Takes {
    /// True or false.
    Flag(bool),
    /// A whole number from 1 to 65536.
    Count(usize),
    /// A list of whole numbers from 1 to 65536.
    Counts(&'static [usize]),
    /// A number in [0, 1).
    Probability(f64),
    /// A number in (0, 1].
    Share(f64),
    /// A finite number.
    Number(f64),
    /// One of these words; the first is the default.
    Word(&'static [&'static str]),
}

impl Takes {
    /// The value when nothing is asked for.
    pub fn default_value(&self) -> Json {
        match *self {
            Takes::Flag(flag) => flag.into(),
            Takes::Count(count) => count.into(),
            Takes::Counts(counts) => counts.into(),
            Takes::Probability(number) | Takes::Share(number) | Takes::Number(number) => number.into(),
            Takes::Word(words) => words.first().copied().into(),
        }
    }

    /// The values it takes, in words.
    pub fn rule(&self) -> String {
        match self {
            Takes::Flag(_) => "true or false".to_owned(),
            Takes::Count(_) => format!("a whole number from 1 to {LARGEST}"),
            Takes::Counts(_) => format!("a list of whole numbers from 1 to {LARGEST}"),
            Takes::Probability(_) => "a number from 0 to less than 1".to_owned(),
            Takes::Share(_) => "a number above 0 and up to 1".to_owned(),
            Takes::Number(_) => "a finite number".to_owned(),
            Takes::Word(words) => format!("one of {}", words.join(", ")),
        }
    }

    fn allows(&self, value: &Json) -> bool {
        match self {
            Takes::Flag(_) => value.is_boolean(),
            Takes::Count(_) => count(value).is_some(),
            Takes::Counts(_) => counts(value).is_some(),
            Takes::Probability(_) => value.as_f64().is_some_and(|p| (0.0..1.0).contains(&p)),
            Takes::Share(_) => value.as_f64().is_some_and(|share| share > 0.0 && share <= 1.0),
            Takes::Number(_) => value.as_f64().is_some_and(|number| (number as f32).is_finite()),
            Takes::Word(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        }
    }
}

/// Sizes up to this keep every product of a few of them countable.
pub(super) const LARGEST: usize = 65_536;

/// Depths up to this are those of networks that somebody trains; DenseNet's deepest has 250 layers.
pub(super) const DEEPEST: usize = 1000;

/// Factors of width and depth between which a network is still one.
const MIN_FACTOR: f64 = 0.05;
const MAX_FACTOR: f64 = 16.0;

fn count(value: &Json) -> Option<usize> {
    value.as_u64().and_then(|count| usize::try_from(count).ok()).filter(|count| (1..=LARGEST).contains(count))
}

fn counts(value: &Json) -> Option<Vec<usize>> {
    let counts: Vec<usize> = value.as_array()?.iter().map(count).collect::<Option<_>>()?;
    (!counts.is_empty()).then_some(counts)
}

/// Height and width, from one number for both or from a list of two.
fn image_size(value: &Json) -> Option<[usize; 2]> {
    match count(value) {
        Some(size) => Some([size; 2]),
        None => counts(value)?.try_into().ok(),
    }
}

/// Channels of the first stage, to which those of the others are in the published proportion.
pub(super) const WIDTH: Attribute = ("width", Takes::Count(64));

/// The attributes a model is built with, each checked or at its default.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Logits for each image.
    pub num_classes: usize,
    pub(super) input_channels: Option<usize>,
    pub(super) image_size: Option<[usize; 2]>,
    values: Map<String, Json>,
}

impl Settings {
    /// Checks the options against what the model takes.
    pub(super) fn of(model: &Model, options: &ModelOptions) -> Result<Settings, ModelError> {
        let mut settings =
            Settings { num_classes: model.num_classes, input_channels: None, image_size: None, values: Map::new() };
        for &(name, takes) in model.attributes {
            settings.values.insert(name.to_owned(), takes.default_value());
        }
        for (name, value) in options.attributes() {
            let bad = |rule: String| ModelError::BadAttribute {
                model: model.name,
                attribute: name.clone(),
                value: value.to_string(),
                rule,
                takes: model.takes(),
            };
            let of_all = |takes: Takes| count(value).ok_or_else(|| bad(takes.rule()));
            match (name.as_str(), model.attributes.iter().find(|(known, _)| known == name)) {
                ("num_classes", _) => settings.num_classes = of_all(Takes::Count(0))?,
                ("input_channels", _) => settings.input_channels = Some(of_all(Takes::Count(0))?),
                ("image_size", _) => {
                    let size = image_size(value).ok_or_else(|| bad("one size, or [height, width]".to_owned()))?;
                    settings.image_size = Some(size);
                }
                (_, Some((_, takes))) if takes.allows(value) => {
                    settings.values.insert(name.clone(), value.clone());
                }
                (_, Some((_, takes))) => return Err(bad(takes.rule())),
                // A model without dropout does as it is told.
                ("dropout", None) if value.as_f64() == Some(0.0) => {}
                (_, None) => {
                    let known = COMMON.iter().copied().chain(model.attributes.iter().map(|(known, _)| *known));
                    let close = known.filter(|known| strsim::normalized_damerau_levenshtein(name, known) >= 0.6);
                    return Err(ModelError::UnknownAttribute {
                        model: model.name,
                        attribute: name.clone(),
                        close: close.collect(),
                        takes: model.takes(),
                    });
                }
            }
        }
        Ok(settings)
    }

    /// Channels, height and width: what is asked for, else the model's default.
    pub(super) fn input(&self, model: &Model) -> [usize; 3] {
        let [channels, height, width] = model.input;
        let [height, width] = self.image_size.unwrap_or([height, width]);
        [self.input_channels.unwrap_or(channels), height, width]
    }

    /// The attribute `name`, which is yes or no.
    ///
    /// # Errors
    /// As all that read one: when the model has no such attribute, or it is of another kind.
    pub fn flag(&self, name: &str) -> Result<bool, GraphError> {
        self.read(name, Json::as_bool)
    }

    /// The attribute `name`, a whole number of 1 or more.
    ///
    /// # Errors
    /// As [`Settings::flag`].
    pub fn count(&self, name: &str) -> Result<usize, GraphError> {
        self.read(name, count)
    }

    /// The attribute `name`, a list of whole numbers of 1 or more.
    ///
    /// # Errors
    /// As [`Settings::flag`].
    pub fn counts(&self, name: &str) -> Result<Vec<usize>, GraphError> {
        self.read(name, counts)
    }

    /// The number `name` of layers or blocks, each of which is built: at most `DEEPEST`.
    pub fn depth(&self, name: &str) -> Result<usize, GraphError> {
        let depth = self.count(name)?;
        match depth > DEEPEST {
            true => Err(GraphError::attribute(name, depth, format!("it is at most {DEEPEST}"))),
            false => Ok(depth),
        }
    }

    /// The attribute `name`, a number.
    ///
    /// # Errors
    /// As [`Settings::flag`].
    pub fn number(&self, name: &str) -> Result<f32, GraphError> {
        self.read(name, |value| value.as_f64().map(|number| number as f32))
    }

    /// The share `name`, in (0, 1].
    pub fn share(&self, name: &str) -> Result<f64, GraphError> {
        self.read(name, Json::as_f64)
    }

    /// The channels of the first stage, `WIDTH`; the widest stage has `times` as many.
    pub fn width(&self, times: usize) -> Result<usize, GraphError> {
        let (width, largest) = (self.count(WIDTH.0)?, LARGEST / times);
        match width > largest {
            true => Err(GraphError::attribute(WIDTH.0, width, format!("it is at most {largest}"))),
            false => Ok(width),
        }
    }

    /// The factor `name` that widths or depths are multiplied by.
    pub fn factor(&self, name: &str) -> Result<f64, GraphError> {
        let factor = self.read(name, Json::as_f64)?;
        match (MIN_FACTOR..=MAX_FACTOR).contains(&factor) {
            true => Ok(factor),
            false => Err(GraphError::attribute(name, factor, format!("it is from {MIN_FACTOR} to {MAX_FACTOR}"))),
        }
    }

    /// The attribute `name`, a word out of a few.
    ///
    /// # Errors
    /// As [`Settings::flag`].
    pub fn word(&self, name: &str) -> Result<String, GraphError> {
        self.read(name, |value| value.as_str().map(str::to_owned))
    }

    /// The probability with which elements are dropped.
    ///
    /// # Errors
    /// When the model has no dropout.
    pub fn dropout(&self) -> Result<f32, GraphError> {
        self.number("dropout")
    }

    /// The probability that residual block `block`, counted from 0, is dropped: in proportion to its depth
    /// (Huang et al. 2016, equation 4), from 0 up to the attribute `STOCHASTIC_DEPTH` at block `last`.
    pub fn stochastic_depth(&self, block: usize, last: usize) -> Result<f32, GraphError> {
        Ok(self.number(STOCHASTIC_DEPTH)? * (block as f32 / last.max(1) as f32))
    }

    /// Whether the network is asked for with the `STEM` for small images.
    pub fn has_small_stem(&self) -> Result<bool, GraphError> {
        Ok(self.word(STEM.0)? == "cifar")
    }

    /// The activation that the word `name` stands for; a leaky ReLU has the slope `negative_slope`.
    pub fn activation(&self, name: &str) -> Result<Activation, GraphError> {
        let word = self.word(name)?;
        match word.as_str() {
            "relu" => Ok(Activation::Relu),
            "leaky_relu" => Ok(Activation::LeakyRelu { negative_slope: self.number("negative_slope")? }),
            "elu" => Ok(Activation::Elu { alpha: 1.0 }),
            "sigmoid" => Ok(Activation::Sigmoid),
            "tanh" => Ok(Activation::Tanh),
            "silu" => Ok(Activation::Silu),
            "gelu" => Ok(Activation::Gelu),
            "selu" => Ok(Activation::Selu),
            "celu" => Ok(Activation::Celu { alpha: 1.0 }),
            "gelu_tanh" => Ok(Activation::GeluTanh),
            "mish" => Ok(Activation::Mish),
            "softplus" => Ok(Activation::Softplus { beta: 1.0, threshold: 20.0 }),
            "hardtanh" => Ok(Activation::Hardtanh { min: -1.0, max: 1.0 }),
            _ => Err(GraphError::attribute(name, word, "no activation has that name")),
        }
    }

    fn read<T>(&self, name: &str, read: impl Fn(&Json) -> Option<T>) -> Result<T, GraphError> {
        let value = self.values.get(name);
        let undeclared =
            || GraphError::attribute(name, value.unwrap_or(&Json::Null), "the model declares no such value");
        value.and_then(read).ok_or_else(undeclared)
    }
}

/// What every model takes.
const COMMON: [&str; 3] = ["num_classes", "image_size", "input_channels"];

impl Model {
    /// Every attribute that the model takes, with its default, in one line.
    pub fn takes(&self) -> String {
        let [channels, height, width] = self.input;
        let common = [
            format!("num_classes ({})", self.num_classes),
            format!("image_size ([{height},{width}])"),
            format!("input_channels ({channels})"),
        ];
        common.into_iter().chain(self.own_attributes()).collect::<Vec<_>>().join(", ")
    }

    /// The attributes that not every model takes: `name (default)`, or all words with the default first.
    pub fn own_attributes(&self) -> impl Iterator<Item = String> {
        self.attributes.iter().map(|(name, takes)| match takes {
            Takes::Word(words) => format!("{name} ({})", words.join(" | ")),
            _ => format!("{name} ({})", takes.default_value()),
        })
    }
}
