//! Weights and graphs on their way from and to other programs: PyTorch's state_dicts, as safetensors
//! or as `torch.save` writes them, and ONNX.
//!
//! [`WeightsFile`] reads any of the files, [`import`] makes a checkpoint of what it read, and
//! [`export_safetensors`] and [`onnx::export`] write one for others, [`fold`] one for a page in a browser.

mod definition;
mod error;
mod export;
mod fit;
mod folded;
mod import;
mod names;
#[cfg(feature = "onnx")]
pub mod onnx;
mod pickle;
mod pretrained;
mod state_dict;
mod torch;
mod weights;

pub use definition::{Definition, told_attributes};
pub use error::InteropError;
pub use export::export_safetensors;
pub use fit::{Misfit, fit, head_of, model_tensors};
pub use folded::{fold, read_folded};
pub use import::{Labels, import};
pub use pretrained::expected_images;
pub use state_dict::{StateDict, finite, read_state_dict};
pub use weights::{Weights, WeightsFile};
