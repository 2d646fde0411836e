//! The only part that knows wgpu: devices, pipelines, memory, one submit a step, read-back.

mod adapter;
mod address_space;
mod device;
mod error;
mod failure;
mod matrix_units;
mod pipeline_cache;
mod pipelines;
mod program;
mod readback;
mod scopes;
mod store;
mod submitted;
mod timing;

pub use adapter::{Adapter, AdapterInfo, AdapterKind};
pub use address_space::address_space_warning;
#[cfg(blocking)]
pub use device::adapters;
pub use device::{DeviceOptions, DeviceSelector, Gpu};
pub use error::GpuError;
pub(crate) use program::Program;
pub(crate) use readback::Readback;
pub use store::OtherPack;
pub(crate) use store::Store;
pub use timing::KernelName;
