//! Weights and graphs on their way from and to other programs: PyTorch's state_dicts, as safetensors
//! or as `torch.save` writes them, and ONNX.
//!
//! [`read_state_dict`] reads any of the files, [`import`] makes a checkpoint of what it read, and
//! [`export_safetensors`] and [`onnx::export`] write one for others.

mod error;
mod export;
mod fit;
mod import;
pub mod onnx;
mod pickle;
mod state_dict;
mod torch;

pub use error::InteropError;
pub use export::export_safetensors;
pub use fit::{Misfit, fit, head_of, model_tensors};
pub use import::{Labels, import};
pub use state_dict::{StateDict, read_state_dict};
