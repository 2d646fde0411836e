//! A model's tensors by name, from any file that PyTorch users keep them in.

use super::{InteropError, torch};
use crate::tensor::Shape;
use crate::train::verify_checksums;
use half::{bf16, f16};
use safetensors::tensor::{Dtype, SafeTensors};
use std::collections::BTreeMap;
use std::path::Path;

/// Shape and elements of each tensor, under its state_dict name.
pub type StateDict = BTreeMap<String, (Shape, Vec<f32>)>;

/// How a file stores one element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    F16,
    Bf16,
    F32,
    F64,
}

impl Element {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Element::F16 | Element::Bf16 => 2,
            Element::F32 => 4,
            Element::F64 => 8,
        }
    }

    /// The elements that little-endian `bytes` hold; one that f32 does not have is rounded to the
    /// nearest.
    pub fn decode(self, bytes: &[u8]) -> Vec<f32> {
        fn each<const N: usize>(bytes: &[u8], decode: impl Fn([u8; N]) -> f32) -> Vec<f32> {
            bytes.as_chunks().0.iter().map(|&element| decode(element)).collect()
        }
        match self {
            Element::F16 => each(bytes, |bytes| f16::from_le_bytes(bytes).to_f32()),
            Element::Bf16 => each(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32()),
            Element::F32 => each(bytes, f32::from_le_bytes),
            Element::F64 => each(bytes, |bytes| f64::from_le_bytes(bytes) as f32),
        }
    }
}

/// Whether a name is that of a counter which PyTorch's batch norm keeps and nothing here reads.
pub(super) fn is_counter(name: &str) -> bool {
    name.rsplit('.').next() == Some("num_batches_tracked")
}

/// Whether a name in a checkpoint of tilewright is no part of the model.
fn is_training_state(name: &str) -> bool {
    ["optimizer.", "average.", "loss_scale"].iter().any(|prefix| name.starts_with(prefix))
}

/// Reads the tensors of a .safetensors file or of what `torch.save` wrote; the kind is seen from the
/// content. Of a checkpoint of this crate the optimizer's state is left out, of any file the counters
/// `num_batches_tracked`, and a prefix `module.` that all names have.
///
/// # Errors
/// When the file is missing, damaged or of another kind, or a tensor is not of f16, bf16, f32 or f64.
pub fn read_state_dict(path: &Path) -> Result<StateDict, InteropError> {
    let bytes = crate::regular_file::read(path).map_err(InteropError::file(path, "read"))?;
    let tensors = match &bytes[..bytes.len().min(4)] {
        [b'P', b'K', 3, 4] => torch::read(&bytes),
        [0x80, 1..=5, ..] => Err("it was written by PyTorch before 1.6; save it again with a later PyTorch".to_owned()),
        _ => safetensors(&bytes),
    };
    let mut tensors = tensors.map_err(|reason| InteropError::Format { path: path.to_owned(), reason })?;
    // What torch.nn.DataParallel puts before the names.
    if !tensors.is_empty() && tensors.keys().all(|name| name.starts_with("module.")) {
        tensors = tensors.into_iter().map(|(name, tensor)| (name["module.".len()..].to_owned(), tensor)).collect();
    }
    Ok(tensors)
}

fn safetensors(bytes: &[u8]) -> Result<StateDict, String> {
    let kinds = "it is neither a safetensors file nor one that torch.save wrote";
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|reason| format!("{kinds} ({reason})"))?;
    let file = SafeTensors::deserialize(bytes).map_err(|reason| reason.to_string())?;
    let is_checkpoint = header.metadata().as_ref().is_some_and(|metadata| metadata.contains_key("tilewright"));
    if is_checkpoint {
        verify_checksums(bytes).map_err(|what| format!("it is damaged: {what} is not what was written"))?;
    }
    let mut tensors = StateDict::new();
    for (name, view) in file.iter() {
        if is_counter(name) || is_checkpoint && is_training_state(name) {
            continue;
        }
        let element = match view.dtype() {
            Dtype::F16 => Element::F16,
            Dtype::BF16 => Element::Bf16,
            Dtype::F32 => Element::F32,
            Dtype::F64 => Element::F64,
            other => return Err(format!("`{name}` holds {other:?}, not F16, BF16, F32 or F64")),
        };
        tensors.insert(name.to_owned(), (view.shape().to_vec().into(), element.decode(view.data())));
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_type_gives_the_same_number() {
        let x = -1.5;
        assert_eq!(Element::F16.decode(&f16::from_f32(x).to_le_bytes()), [x]);
        assert_eq!(Element::Bf16.decode(&bf16::from_f32(x).to_le_bytes()), [x]);
        assert_eq!(Element::F32.decode(&x.to_le_bytes()), [x]);
        assert_eq!(Element::F64.decode(&f64::from(x).to_le_bytes()), [x]);
    }
}
