//! The model zoo: one file per architecture, under the names and shapes of its paper and the
//! parameter names of torchvision's state_dict.
//!
//! ```
//! use tilewright::models::{self, ModelOptions};
//!
//! let model = models::find("resnet18_cifar")?;
//! let built = model.graph(&ModelOptions::new().num_classes(100), 128, tilewright::nn::Mode::Train)?;
//! assert_eq!(built.graph.shape(built.logits)[..], [128, 100]);
//! # Ok::<(), models::ModelError>(())
//! ```

mod airbench;
mod alexnet;
mod cifar_cnn;
mod convnext;
mod densenet;
mod efficientnet;
mod error;
mod googlenet;
mod inverted_residual;
mod lenet;
mod mnist;
mod mobilenet_v2;
mod mobilenet_v3;
mod nin;
mod options;
mod resnet;
mod sequential;
mod shufflenet_v2;
mod squeezenet;
mod vgg;
mod vit;

pub use error::ModelError;
pub(crate) use error::did_you_mean;
pub use options::{Attribute, ModelOptions, Settings, Takes};

use crate::graph::{Graph, GraphError, Value};
use crate::nn::{Mode, Scope};
use crate::registry::Registry;
use crate::tensor::{Shape, TensorSpec};

/// An architecture that can be built by name.
///
/// ```
/// use tilewright::models;
///
/// let model = models::find("resnet18")?;
/// assert_eq!((model.input, model.num_classes), ([3, 224, 224], 1000));
/// let close = models::find("resnet19").unwrap_err();
/// assert!(close.to_string().contains("resnet18"), "{close}");
/// # Ok::<(), models::ModelError>(())
/// ```
#[derive(Debug)]
pub struct Model {
    /// By which it is found, such as `resnet18_cifar`.
    pub name: &'static str,
    /// The paper, and what is special about this variant.
    pub source: &'static str,
    /// Channels, height and width of an image, where the options say no other.
    pub input: [usize; 3],
    /// Classes, where the options say no other.
    pub num_classes: usize,
    /// What [`ModelOptions`] may set besides `num_classes`, `image_size` and `input_channels`.
    pub attributes: &'static [Attribute],
    /// The figure: from images to logits.
    wiring: Wiring,
}

/// A model in a graph of its own.
#[derive(Debug)]
pub struct Built {
    /// Forward only.
    pub graph: Graph,
    /// The input `x`, `[N, C, H, W]`.
    pub x: Value,
    /// The output `logits`, `[N, num_classes]`.
    pub logits: Value,
}

/// The families, in the order they are listed.
const FAMILIES: &[&[Model]] = &[
    lenet::MODELS,
    mnist::MODELS,
    cifar_cnn::MODELS,
    airbench::MODELS,
    alexnet::MODELS,
    vgg::MODELS,
    nin::MODELS,
    googlenet::MODELS,
    resnet::MODELS,
    densenet::MODELS,
    squeezenet::MODELS,
    mobilenet_v2::MODELS,
    mobilenet_v3::MODELS,
    shufflenet_v2::MODELS,
    efficientnet::MODELS,
    vit::MODELS,
    convnext::MODELS,
];

/// Models that this program brings itself.
static OWN: Registry<&'static Model> = Registry::new();

/// Every model, those of this program last.
pub fn all() -> impl Iterator<Item = &'static Model> {
    FAMILIES.iter().copied().flatten().chain(OWN.things())
}

/// Gives this program a model of its own: it is then [found](find) by its name, and is trained, evaluated, resumed,
/// imported, exported and summarised as those of the zoo.
///
/// # Errors
/// When there is another model of that name.
pub fn register(model: Model) -> Result<&'static Model, ModelError> {
    if let Some(known) = all().find(|known| known.name == model.name) {
        return Err(ModelError::NameTaken { name: known.name });
    }
    let model: &'static Model = Box::leak(Box::new(model));
    OWN.register(model.name, model);
    Ok(model)
}

/// The model of that name.
///
/// # Errors
/// When there is none; the error names those whose names are close.
pub fn find(name: &str) -> Result<&'static Model, ModelError> {
    all().find(|model| model.name == name).ok_or_else(|| {
        let mut close: Vec<(f64, &str)> = all()
            .map(|model| (strsim::normalized_damerau_levenshtein(name, model.name), model.name))
            .filter(|(likeness, _)| *likeness >= 0.6)
            .collect();
        close.sort_by(|a, b| b.0.total_cmp(&a.0));
        let close = close.into_iter().take(3).map(|(_, name)| name).collect();
        ModelError::UnknownModel { name: name.to_owned(), close }
    })
}

/// From images `[N, C, H, W]` to logits `[N, num_classes]`, with the attributes that were asked for.
pub type Wiring = fn(&mut Scope, Value, &Settings) -> Result<Value, GraphError>;

/// A model for 224x224 images of 1000 classes.
const fn imagenet(name: &'static str, source: &'static str, attributes: &'static [Attribute], wiring: Wiring) -> Model {
    Model { name, source, input: [3, 224, 224], num_classes: 1000, attributes, wiring }
}

/// A model for 32x32 images of 10 classes.
const fn cifar(name: &'static str, source: &'static str, attributes: &'static [Attribute], wiring: Wiring) -> Model {
    Model { name, source, input: [3, 32, 32], num_classes: 10, attributes, wiring }
}

impl Model {
    /// A model of a program's own, for images of (channels, height, width) `input`, where nothing else is asked for.
    /// [`register`] makes it known.
    pub const fn new(name: &'static str, input: [usize; 3], num_classes: usize, wiring: Wiring) -> Model {
        Model { name, source: "a model of this program", input, num_classes, attributes: &[], wiring }
    }

    /// The same model, with attributes of its own, which the wiring gets through [`Settings`].
    #[must_use]
    pub const fn with_attributes(self, attributes: &'static [Attribute]) -> Model {
        Model { attributes, ..self }
    }

    /// Adds the model to `net`: images x `[N, C, H, W]` to logits `[N, num_classes]`.
    ///
    /// # Errors
    /// When the model does not have an attribute or cannot take its value, or cannot take such images.
    pub fn build(&self, net: &mut Scope, x: Value, options: &ModelOptions) -> Result<Value, ModelError> {
        let settings = Settings::of(self, options)?;
        let shape = net.shape(x).clone();
        let images = shape.nchw().ok_or_else(|| ModelError::NotImages { model: self.name, shape: shape.clone() })?;
        let [_, channels, height, width] = images;
        let other = settings.input_channels.is_some_and(|asked| asked != channels)
            || settings.image_size.is_some_and(|asked| asked != [height, width]);
        if other {
            return Err(ModelError::OtherImages { model: self.name, shape, asked: settings.input(self) });
        }
        (self.wiring)(net, x, &settings).map_err(|reason| self.cannot_build(shape, reason))
    }

    /// The model in a graph of its own, with the input `x` and the output `logits`.
    ///
    /// # Errors
    /// As [`Model::build`].
    pub fn graph(&self, options: &ModelOptions, batch: usize, mode: Mode) -> Result<Built, ModelError> {
        let [channels, height, width] = self.input(options)?;
        let mut graph = Graph::new();
        let spec = TensorSpec::f32([batch, channels, height, width]);
        let shape = spec.shape.clone();
        let x = graph.input("x", spec).map_err(|reason| self.cannot_build(shape, reason))?;
        let logits = self.build(&mut Scope::new(&mut graph, mode), x, options)?;
        graph.output("logits", logits);
        Ok(Built { graph, x, logits })
    }

    /// Channels, height and width of the images the options ask for.
    ///
    /// # Errors
    /// When the model does not have an attribute, or cannot take its value.
    pub fn input(&self, options: &ModelOptions) -> Result<[usize; 3], ModelError> {
        Ok(Settings::of(self, options)?.input(self))
    }

    /// The attribute that takes the model's batch norms away, if it has one.
    pub fn batch_norm_flag(&self) -> Option<&'static str> {
        let flag = |(name, takes): &Attribute| {
            matches!(takes, Takes::Flag(_))
                .then_some(*name)
                .filter(|name| ["batch_norm", "use_batchnorm"].contains(name))
        };
        self.attributes.iter().find_map(flag)
    }

    /// Every attribute of the model's own, as `asked` has it or at its default.
    pub fn own_values(
        &self,
        asked: &serde_json::Map<String, serde_json::Value>,
    ) -> serde_json::Map<String, serde_json::Value> {
        let value = |&(name, takes): &Attribute| {
            let value = asked.get(name).cloned().unwrap_or_else(|| takes.default_value());
            (name.to_owned(), value)
        };
        self.attributes.iter().map(value).collect()
    }

    /// Whether a tensor is of a part that only training needs, and that the model may be built without.
    pub fn is_optional(&self, tensor: &str) -> bool {
        let has_auxiliaries = self.attributes.iter().any(|(name, _)| *name == "aux_logits");
        has_auxiliaries && ["aux1.", "aux2."].iter().any(|part| tensor.starts_with(part))
    }

    /// This model without and with batch norms, where both are models of their own: `NAME` and `NAME_bn`.
    pub fn batch_norm_twins(&self) -> Option<[&'static Model; 2]> {
        let plain = self.name.strip_suffix("_bn").unwrap_or(self.name);
        let named = |name: &str| all().find(|model| model.name == name);
        Some([named(plain)?, named(&format!("{plain}_bn"))?])
    }

    fn cannot_build(&self, shape: Shape, reason: GraphError) -> ModelError {
        ModelError::Build { model: self.name, shape, reason: Box::new(reason) }
    }
}
