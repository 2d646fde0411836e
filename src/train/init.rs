//! Weights that a run starts from, and which of them it leaves as they are.

use super::graphs::options;
use super::{Batch, TrainConfig, TrainError, load_checkpoint};
use crate::data::Normalization;
use crate::engine::Engine;
use crate::graph::Graph;
use crate::interop::{InteropError, fit, head_of, read_state_dict};
use crate::models;
use crate::tensor::{HostTensor, Shape};
use std::collections::BTreeSet;

/// The tensors that start fresh: with `--head`, those that the number of classes shapes.
pub(super) fn fresh(config: &TrainConfig, batch: Batch) -> Result<BTreeSet<String>, TrainError> {
    match config.head {
        None => Ok(BTreeSet::new()),
        Some(_) => Ok(head_of(models::find(&config.model)?, &options(config, batch))?),
    }
}

/// Checks that `--head` is the data's number of classes, and that each `--freeze` means a parameter
/// but something is left to train.
///
/// # Errors
/// The first setting that cannot be used.
pub(super) fn check(config: &TrainConfig, graph: &Graph, batch: Batch) -> Result<(), TrainError> {
    if let Some(head) = config.head.filter(|&head| head != batch.classes) {
        let rule = format!("{}, the number of classes in {}", batch.classes, config.data);
        return Err(TrainError::Setting { what: "--head", value: head.to_string(), rule });
    }
    let names = || graph.parameters().map(|value| graph.tensor(value).name.as_str());
    if let Some(pattern) =
        config.freeze.iter().find(|pattern| !names().any(|name| crate::graph::is_meant(pattern, name)))
    {
        let rule = format!("a layer or parameter of {}, such as `{}`", config.model, names().next().unwrap_or("fc"));
        return Err(TrainError::Setting { what: "--freeze", value: format!("`{pattern}`"), rule });
    }
    match config.freeze.is_empty() || graph.trainable().next().is_some() {
        true => Ok(()),
        false => {
            let rule = "such that a parameter is left to train; --head CLASSES leaves the last layer".to_owned();
            Err(TrainError::Setting { what: "--freeze", value: config.freeze.join(", "), rule })
        }
    }
}

/// Sets parameters and running statistics to those of `--init`, except the fresh ones. Gives the
/// normalisation that they were trained with, where the file says it.
///
/// # Errors
/// When the file cannot be read, or does not suit the model.
pub(super) fn initialise(
    engine: &mut Engine,
    config: &TrainConfig,
    tensors: &[(String, Shape)],
    batch: Batch,
) -> Result<Option<Normalization>, TrainError> {
    let Some(path) = &config.init else { return Ok(None) };
    let held = read_state_dict(path)?;
    let fresh = fresh(config, batch)?;
    if let Err(misfit) = fit(tensors, &held, &fresh) {
        let head = head_of(models::find(&config.model)?, &options(config, batch))?;
        let only_head = misfit.missing.is_empty()
            && misfit.unexpected.is_empty()
            && misfit.misshaped.iter().all(|(name, ..)| head.contains(name));
        let error = InteropError::Misfit { path: path.clone(), model: config.model.clone(), misfit: Box::new(misfit) };
        return Err(match only_head {
            true => TrainError::OtherHead { reason: error, classes: batch.classes },
            false => error.into(),
        });
    }
    for (name, _) in tensors.iter().filter(|(name, _)| !fresh.contains(name)) {
        if let Some((_, data)) = held.get(name) {
            engine.set_state(name, &HostTensor::F32(data.clone()))?;
        }
    }
    // What PyTorch wrote has no header.
    let normalization = load_checkpoint(path).ok().map(|checkpoint| checkpoint.header.normalization);
    Ok(normalization.filter(|normalization| normalization.mean.len() == batch.shape[1]))
}
