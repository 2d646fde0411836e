//! Makes a checkpoint of a model's tensors.

use super::state_dict::shapes_of;
use super::{InteropError, StateDict, expected_images, fit, head_of, model_tensors};
use crate::checkpoint::{Checkpoint, Header};
use crate::data::{Normalization, Preprocessing, Source};
use crate::models::{Model, ModelOptions};
use crate::recipe::TrainConfig;
use crate::setting::BadSetting;
use std::collections::BTreeSet;
use std::path::Path;

/// What weights do not say of the images they are for.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Labels {
    /// The data they were trained on, if it is here.
    pub data: Option<Source>,
    /// Name of each class; numbers from 0 on by default.
    pub classes: Option<Vec<String>>,
    /// Mean and standard deviation that images are normalised by; by default what [`expected_images`] says.
    pub normalization: Option<Normalization>,
    /// What becomes of images of other sizes; by default what [`expected_images`] says.
    pub preprocessing: Option<Preprocessing>,
}

/// A checkpoint of `model` with `weights`, which were read from `path`. The number of classes is that
/// of the weights where the options say none.
///
/// # Errors
/// When the weights are not those of the model, or the labels do not suit it.
pub fn import(
    model: &Model,
    options: &ModelOptions,
    weights: StateDict,
    path: &Path,
    labels: Labels,
) -> Result<Checkpoint, InteropError> {
    let classes = match options.get("num_classes") {
        Some(_) => None,
        None => head_of(model, options)?.iter().find_map(|name| weights.get(name)?.0.first().copied()),
    };
    let options = match classes {
        Some(classes) => options.clone().num_classes(classes),
        None => options.clone(),
    };
    let built = model.graph(&options, 1, crate::nn::Mode::Eval)?;
    let classes = built.graph.shape(built.logits).last().copied().unwrap_or(1);
    let input = model.input(&options)?;
    fit(&model_tensors(model, &options)?, &shapes_of(&weights), &BTreeSet::new()).map_err(|misfit| {
        InteropError::Misfit { path: path.to_owned(), model: model.name.to_owned(), misfit: Box::new(misfit) }
    })?;

    let names = labels.classes.unwrap_or_else(|| (0..classes).map(|class| class.to_string()).collect());
    if names.len() != classes {
        let rule = format!("{classes}, as the weights tell so many classes apart");
        return Err(BadSetting::new("classes", format!("{} names", names.len()), rule).into());
    }
    let (normalization, preprocessing) = expected_images(model, &options, input, path);
    let normalization = labels.normalization.unwrap_or(normalization);
    let preprocessing = labels.preprocessing.unwrap_or(preprocessing);
    check_normalization(&normalization, input[0])?;

    let mut attributes = options.attributes().clone();
    attributes.remove("num_classes");
    let mut config = TrainConfig { model: model.name.to_owned(), attributes, ..TrainConfig::default() };
    let without_data = labels.data.is_none();
    config.data = labels.data.unwrap_or(config.data);
    let header = Header { without_data, preprocessing, ..Header::new(config, input, names, normalization) };
    Ok(Checkpoint { header, tensors: weights })
}

fn check_normalization(normalization: &Normalization, channels: usize) -> Result<(), InteropError> {
    let Normalization { mean, std } = normalization;
    for (what, values, rule) in [("mean", mean, "numbers"), ("std", std, "numbers above 0")] {
        let allowed = |value: &f32| value.is_finite() && (what == "mean" || *value > 0.0);
        if values.len() != channels || !values.iter().all(allowed) {
            let rule = format!("{channels} {rule}, one per channel");
            return Err(BadSetting::new(what, format!("{values:?}"), rule).into());
        }
    }
    Ok(())
}
