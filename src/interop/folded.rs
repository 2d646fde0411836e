//! A model as a page of its own reads it: batch norms folded into the layers before them, in f32 or f16, with what defines
//! the model in the metadata. Nothing of the run is in it, neither its settings nor its paths.

use super::export::{add_metadata, inference_graph, weights_of};
use super::state_dict::Element;
use super::{Definition, InteropError, StateDict};
use crate::checkpoint::{Checkpoint, Header};
use crate::recipe::{Precision, TrainConfig};
use crate::setting::BadSetting;
use half::f16;
use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::collections::BTreeSet;
use std::io;
use std::path::Path;

/// The entry of the metadata that tells such a file from weights under a model's own names.
const FOLDED: &str = "folded";

/// The bytes of a safetensors file with the model of `checkpoint`, which was read from `path`: no batch norm that can be part of
/// another layer, and weights in `precision`, to which they are rounded.
///
/// # Errors
/// When a tensor is missing, or f16 has no such number.
pub fn fold(checkpoint: &Checkpoint, path: &Path, precision: Precision) -> Result<Vec<u8>, InteropError> {
    let weights = folded_weights(checkpoint, path)?;
    if precision == Precision::F16 {
        weights.iter().try_for_each(|(name, (_, data))| fits_half(name, data))?;
    }
    let failed = |reason: SafeTensorError| InteropError::file(path, "folded")(io::Error::other(reason));
    let all: Vec<(&str, Vec<usize>, Vec<u8>)> =
        weights.iter().map(|(name, (shape, data))| (name.as_str(), shape.to_vec(), encoded(data, precision))).collect();
    let dtype = if precision == Precision::F16 { Dtype::F16 } else { Dtype::F32 };
    let views = all.iter().map(|(name, shape, data)| Ok((*name, TensorView::new(dtype, shape.clone(), data)?)));
    let views = views.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let mut bytes = safetensors::serialize(views, None).map_err(failed)?;
    let mut metadata = Definition::of(&checkpoint.header).entries();
    metadata.insert(FOLDED, "true".to_owned());
    add_metadata(&mut bytes, &metadata).map_err(InteropError::file(path, "folded"))?;
    Ok(bytes)
}

/// What the folded inference graph reads.
fn folded_weights(checkpoint: &Checkpoint, path: &Path) -> Result<StateDict, InteropError> {
    let mut weights = weights_of(checkpoint, path)?;
    let folded = inference_graph(checkpoint, 1)?.graph.fold_batch_norm();
    folded.apply(&mut weights);
    let tensors = folded.graph.tensors().iter().filter(|tensor| tensor.is_saved());
    let read: BTreeSet<&str> = tensors.map(|tensor| tensor.name.as_str()).collect();
    weights.retain(|name, _| read.contains(name.as_str()));
    Ok(weights)
}

/// The elements as the file has them.
fn encoded(data: &[f32], precision: Precision) -> Vec<u8> {
    match precision {
        Precision::F32 => data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Precision::F16 => data.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect(),
    }
}

fn fits_half(name: &str, data: &[f32]) -> Result<(), InteropError> {
    match data.iter().find(|&&x| !f16::from_f32(x).is_finite()) {
        None => Ok(()),
        Some(x) => {
            let rule = format!("f32, as `{name}` holds {x}, and f16 ends at {}", f16::MAX);
            Err(BadSetting::new("precision", "f16", rule).into())
        }
    }
}

/// The model in the bytes of what [`fold`] wrote, which errors name as `path`: as a checkpoint of the folded weights, which
/// [`Evaluator::of_folded`](crate::train::Evaluator::of_folded) takes.
///
/// # Errors
/// When they are damaged, or were written by something else.
pub fn read_folded(path: &Path, bytes: &[u8]) -> Result<Checkpoint, InteropError> {
    let format = |reason: String| InteropError::Format { path: path.to_owned(), reason };
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|reason| format(reason.to_string()))?;
    let metadata = metadata.metadata().clone().unwrap_or_default();
    let definition = match metadata.contains_key(FOLDED) {
        true => Definition::read(&metadata).map_err(format)?,
        false => None,
    };
    let other = || format("it is no model of a page: `tilewright export RUN PAGE/` writes one".to_owned());
    let definition = definition.ok_or_else(other)?;
    let file = SafeTensors::deserialize(bytes).map_err(|reason| format(reason.to_string()))?;
    let tensors = file.iter().map(|(name, view)| {
        let element = match view.dtype() {
            Dtype::F32 => Element::F32,
            Dtype::F16 => Element::F16,
            other => return Err(format(format!("`{name}` holds {other:?}, neither F32 nor F16"))),
        };
        Ok((name.to_owned(), (view.shape().to_vec().into(), element.decode(view.data()))))
    });
    let tensors = tensors.collect::<Result<StateDict, InteropError>>()?;
    let Definition { model, attributes, input, classes, normalization, preprocessing } = definition;
    let config = TrainConfig { model, attributes, ..TrainConfig::default() };
    let header = Header { preprocessing, without_data: true, ..Header::new(config, input, classes, normalization) };
    header.check().map_err(format)?;
    Ok(Checkpoint { header, tensors })
}
