//! What defines a network beside its weights, and how it travels in the metadata of a file.

use crate::checkpoint::Header;
use crate::data::{Normalization, Preprocessing};
use crate::models::{self, Model, ModelOptions};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};

/// A model, how it is built, and what its images and classes are.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// Name of the model.
    pub model: String,
    /// Every attribute that the model has of its own.
    pub attributes: Map<String, Value>,
    /// [C, H, W] of the images.
    pub input: [usize; 3],
    /// Their names, in the order of the logits.
    pub classes: Vec<String>,
    /// What pixels are normalised by.
    pub normalization: Normalization,
    /// What becomes of images of another size.
    pub preprocessing: Preprocessing,
}

/// What says that the other entries are those of a [`Definition`].
const PRODUCER: &str = "producer";
/// The entry that a checkpoint has, its whole header.
const CHECKPOINT: &str = "tilewright";

impl Definition {
    /// That of a checkpoint.
    pub fn of(header: &Header) -> Definition {
        let asked = &header.config.attributes;
        let attributes = match models::find(&header.config.model) {
            // With the defaults too: those of a later version may be others.
            Ok(model) => model.own_values(asked),
            Err(_) => asked.clone(),
        };
        Definition {
            model: header.config.model.clone(),
            attributes,
            input: header.input,
            classes: header.classes.clone(),
            normalization: header.normalization.clone(),
            preprocessing: header.preprocessing,
        }
    }

    /// The entries of a file's metadata: each a JSON value.
    pub fn entries(&self) -> BTreeMap<&'static str, String> {
        let [channels, height, width] = self.input;
        let Normalization { mean, std } = &self.normalization;
        let values = [
            (PRODUCER, json!(concat!("tilewright ", env!("CARGO_PKG_VERSION")))),
            ("model", json!(self.model)),
            ("attributes", json!(self.attributes)),
            ("input_channels", json!(channels)),
            ("image_size", json!([height, width])),
            ("classes", json!(self.classes)),
            ("mean", json!(mean)),
            ("std", json!(std)),
            ("preprocessing", json!(self.preprocessing)),
        ];
        values.into_iter().map(|(key, value)| (key, value.to_string())).collect()
    }

    /// What a safetensors file says of itself, if this crate wrote it.
    ///
    /// # Errors
    /// When it says what cannot be.
    pub fn read(metadata: &HashMap<String, String>) -> Result<Option<Definition>, String> {
        if let Some(header) = metadata.get(CHECKPOINT) {
            let header: Header = serde_json::from_str(header).map_err(|reason| format!("its header: {reason}"))?;
            header.check()?;
            return Ok(Some(Definition::of(&header)));
        }
        if metadata.get(PRODUCER).is_none_or(|producer| !producer.contains("tilewright")) {
            return Ok(None);
        }
        let [height, width] = entry(metadata, "image_size")?;
        let definition = Definition {
            model: entry(metadata, "model")?,
            attributes: entry(metadata, "attributes")?,
            input: [entry(metadata, "input_channels")?, height, width],
            classes: entry(metadata, "classes")?,
            normalization: Normalization { mean: entry(metadata, "mean")?, std: entry(metadata, "std")? },
            preprocessing: entry(metadata, "preprocessing")?,
        };
        crate::checkpoint::check_images(definition.input, &definition.classes, &definition.normalization)?;
        Ok(Some(definition))
    }

    /// The options of the model, with those that are `asked` for before these. The number of classes is left to the
    /// weights.
    pub fn options(&self, asked: &Map<String, Value>) -> ModelOptions {
        let [channels, height, width] = self.input;
        let mut attributes = self.attributes.clone();
        attributes.remove("num_classes");
        let own = ModelOptions::from(attributes).input_channels(channels).image_size(height, width);
        asked.iter().fold(own, |options, (name, value)| options.with(name, value.clone()))
    }
}

fn entry<T: DeserializeOwned>(metadata: &HashMap<String, String>, key: &str) -> Result<T, String> {
    let text = metadata.get(key).ok_or_else(|| format!("its metadata lack `{key}`"))?;
    serde_json::from_str(text).map_err(|reason| format!("its metadata's `{key}`: {reason}"))
}

/// The attributes of a model in one line, such as `activation=sigmoid, pool=average`; those of every model left out.
pub fn told_attributes(model: &Model, options: &ModelOptions) -> String {
    let values = model.own_values(options.attributes());
    let told: Vec<String> = values
        .iter()
        .filter(|(name, _)| model.attributes.iter().any(|(own, _)| own == name))
        .map(|(name, value)| match value {
            Value::String(word) => format!("{name}={word}"),
            value => format!("{name}={value}"),
        })
        .collect();
    if told.is_empty() { "no attributes of its own".to_owned() } else { told.join(", ") }
}
