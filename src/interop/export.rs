//! Writes a checkpoint's tensors so that PyTorch's `load_state_dict` takes them as they are.

use super::state_dict::shapes_of;
use super::{Definition, InteropError, StateDict, finite, fit, model_tensors};
use crate::atomic_file::replace_file;
use crate::checkpoint::Checkpoint;
use crate::models::{self, Model, ModelError, ModelOptions};
use safetensors::tensor::{Dtype, TensorView};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

/// The model a checkpoint is of, and its options.
pub(super) fn model_of(checkpoint: &Checkpoint) -> Result<(&'static Model, ModelOptions), ModelError> {
    let header = &checkpoint.header;
    let [channels, height, width] = header.input;
    let options = ModelOptions::from(header.config.attributes.clone())
        .num_classes(header.classes.len())
        .input_channels(channels)
        .image_size(height, width);
    Ok((models::find(&header.config.model)?, options))
}

/// The inference graph of a checkpoint's model.
pub(super) fn inference_graph(checkpoint: &Checkpoint, batch: usize) -> Result<models::Built, ModelError> {
    let (model, options) = model_of(checkpoint)?;
    model.graph(&options, batch, crate::nn::Mode::Eval)
}

/// The tensors of a checkpoint that are its model's.
///
/// # Errors
/// When one is missing, or of another shape.
pub(super) fn weights_of(checkpoint: &Checkpoint, path: &Path) -> Result<StateDict, InteropError> {
    let (model, options) = model_of(checkpoint)?;
    let wanted = model_tensors(model, &options)?;
    let names: BTreeSet<&String> = wanted.iter().map(|(name, _)| name).collect();
    let held = checkpoint.tensors.iter().filter(|(name, _)| names.contains(name));
    let weights: StateDict = held.map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
    fit(&wanted, &shapes_of(&weights), &BTreeSet::new()).map_err(|misfit| InteropError::Misfit {
        path: path.to_owned(),
        model: model.name.to_owned(),
        misfit: Box::new(misfit),
    })?;
    finite(&weights).map_err(|reason| InteropError::NotFinite { path: path.to_owned(), reason })?;
    Ok(weights)
}

/// Writes the model's parameters and running statistics of `checkpoint`, which was read from `path`,
/// as safetensors under torchvision's names. Each batch norm gets the counter
/// `num_batches_tracked`, the steps of training, which `load_state_dict(strict=True)` asks for. What defines the network
/// is in the file's metadata, from which [`WeightsFile`](super::WeightsFile) reads it.
///
/// # Errors
/// When a tensor is missing, or the file cannot be written.
pub fn export_safetensors(checkpoint: &Checkpoint, path: &Path, out: &Path) -> Result<(), InteropError> {
    let weights = weights_of(checkpoint, path)?;
    let steps = checkpoint.header.progress.step.to_le_bytes();
    let counters: Vec<String> = weights
        .keys()
        .filter_map(|name| name.strip_suffix("running_mean"))
        .map(|layer| format!("{layer}num_batches_tracked"))
        .collect();
    let failed = |reason: safetensors::SafeTensorError| InteropError::file(out, "written")(io::Error::other(reason));
    let floats = weights.iter().map(|(name, (shape, data))| {
        Ok((name, TensorView::new(Dtype::F32, shape.to_vec(), bytemuck::cast_slice(data))?))
    });
    let counts = counters.iter().map(|name| Ok((name, TensorView::new(Dtype::I64, Vec::new(), &steps)?)));
    let views = floats.chain(counts).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut bytes = safetensors::serialize(views, None).map_err(failed)?;
    let mut metadata = Definition::of(&checkpoint.header).entries();
    metadata.insert("format", "pt".to_owned());
    add_metadata(&mut bytes, &metadata).map_err(InteropError::file(out, "written"))?;
    replace_file(out, &bytes).map_err(InteropError::file(out, "written"))
}

/// Adds metadata to the header of a safetensors file, in the order of the keys: the crate that serialises it would write
/// them in another order each time.
pub(super) fn add_metadata(file: &mut Vec<u8>, metadata: &BTreeMap<&str, String>) -> io::Result<()> {
    let length = file.first_chunk().map(|length| u64::from_le_bytes(*length)).unwrap_or_default();
    let end = 8 + usize::try_from(length).map_err(io::Error::other)?;
    let header = file.get(8..end).ok_or_else(|| io::Error::other("a header is cut off"))?;
    let mut header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(header)?;
    header.shift_insert(0, "__metadata__".to_owned(), serde_json::to_value(metadata)?);
    let mut header = serde_json::to_vec(&header)?;
    // The tensors begin at a multiple of eight bytes.
    header.resize(header.len().next_multiple_of(8), b' ');
    let length = (header.len() as u64).to_le_bytes();
    file.splice(..end, length.into_iter().chain(header));
    Ok(())
}
