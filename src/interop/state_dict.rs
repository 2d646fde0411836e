//! A model's tensors by name, from any file that PyTorch users keep them in.

use super::{InteropError, WeightsFile};
use crate::tensor::Shape;
use half::{bf16, f16};
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
    pub(super) fn size(self) -> usize {
        match self {
            Element::F16 | Element::Bf16 => 2,
            Element::F32 => 4,
            Element::F64 => 8,
        }
    }

    /// The elements that little-endian `bytes` hold; one that f32 does not have is rounded to the
    /// nearest.
    pub(super) fn decode(self, bytes: &[u8]) -> Vec<f32> {
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

/// Whether a name is that of a counter which PyTorch keeps and nothing here reads.
pub(super) fn is_counter(name: &str) -> bool {
    matches!(name.rsplit('.').next(), Some("num_batches_tracked" | "n_averaged"))
}

/// Whether a name in a checkpoint of tilewright is no part of the model.
pub(super) fn is_training_state(name: &str) -> bool {
    ["optimizer.", "average.", "loss_scale"].iter().any(|prefix| name.starts_with(prefix))
}

/// Reads the tensors of a .safetensors file or of what `torch.save` wrote, without a model that says which are wanted:
/// all of floating-point numbers, of the outermost dict that has any. See [`WeightsFile`] for those of a model.
///
/// # Errors
/// When the file is missing, damaged or of another kind, or a tensor cannot be read.
pub fn read_state_dict(path: &Path) -> Result<StateDict, InteropError> {
    WeightsFile::open(path)?.all()
}

/// The shape of each tensor.
pub(super) fn shapes_of(tensors: &StateDict) -> BTreeMap<String, Shape> {
    tensors.iter().map(|(name, (shape, _))| (name.clone(), shape.clone())).collect()
}

/// Checks that all numbers are finite.
///
/// # Errors
/// The first tensor with one that is not, and where.
pub fn finite(tensors: &StateDict) -> Result<(), String> {
    for (name, (_, data)) in tensors {
        if let Some(at) = data.iter().position(|x| !x.is_finite()) {
            let count = data.iter().filter(|x| !x.is_finite()).count();
            return Err(format!(
                "`{name}` holds {} at element {at}, and {count} of its {} numbers are not finite; a network cannot \
                 compute with them, so take weights from before they arose",
                data[at],
                data.len()
            ));
        }
    }
    Ok(())
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
