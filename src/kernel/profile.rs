//! What a plan needs to know of a device.

use super::Choices;
use std::sync::Arc;

/// Which kind of variant suits a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DeviceClass {
    /// Thousands of threads, fast workgroup memory, coalesced loads.
    Gpu,
    /// A software adapter: few cores, vector registers, costly storage loads and barriers.
    Cpu,
}

/// A device's units for products of square matrices of f16 with sums in f32, each held by a subgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MatrixUnits {
    /// Rows and columns of a matrix: 8 or 16.
    pub edge: u32,
    /// Fewest invocations of a subgroup; the driver chooses between this and the most.
    pub smallest_subgroup: u32,
    /// Most invocations of a subgroup.
    pub largest_subgroup: u32,
    /// Computed in WGSL where there are no such units: to try a kernel, not to be fast.
    pub emulated: bool,
}

impl MatrixUnits {
    /// Units that every device with f16 has: one thread for each element of a matrix.
    pub const EMULATED: MatrixUnits =
        MatrixUnits { edge: 16, smallest_subgroup: 256, largest_subgroup: 256, emulated: true };
}

/// Steps after which reductions are split: well within [`DeviceProfile::max_loop_steps`] everywhere.
pub const MAX_LOOP_STEPS: usize = 32_768;

/// What llvmpipe runs: it ends the loops of an invocation after 65,535 steps, all loops together,
/// without a word, and the sum is wrong.
const SOFTWARE_LOOP_STEPS: usize = 65_535;

/// Limits and features of a device, as far as kernels are chosen by them.
///
/// ```
/// use tilewright::kernel::{DeviceClass, DeviceProfile};
///
/// let mut profile = DeviceProfile::webgpu_defaults(DeviceClass::Gpu);
/// profile.max_binding_bytes = 1 << 30;
/// assert_eq!(profile.max_invocations, 256);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeviceProfile {
    /// Which variants suit it.
    pub class: DeviceClass,
    /// Largest storage binding, in bytes.
    pub max_binding_bytes: u64,
    /// Offsets of storage bindings are multiples of this, in bytes.
    pub binding_alignment: u64,
    /// Storage buffers one shader may bind.
    pub max_storage_buffers: u32,
    /// Workgroups in one dimension of a dispatch.
    pub max_workgroups: u32,
    /// Invocations in one workgroup.
    pub max_invocations: u32,
    /// Workgroup memory in bytes.
    pub workgroup_memory: u32,
    /// Steps that the loops of one invocation may take, all loops together.
    pub max_loop_steps: usize,
    /// Texels in one dimension of a texture.
    pub max_texture_size: u32,
    /// Whether 8x8 sums are too many for the registers of a thread, as on Intel's GPUs.
    pub few_registers: bool,
    /// Only the plain variant of every kernel.
    pub plain_kernels: bool,
    /// Whether it has f16 in memory, and was opened with it.
    pub half: bool,
    /// Units for products of f16, where the device has them and was opened with them. Only layers that a graph stores in
    /// f16 run on them.
    pub matrix_units: Option<MatrixUnits>,
    /// Variants that were measured on this device for exact sizes: they come before the rule.
    pub tuned: Arc<Choices>,
}

impl DeviceProfile {
    /// WebGPU's default limits and no optional feature: what every device has.
    pub fn webgpu_defaults(class: DeviceClass) -> Self {
        DeviceProfile {
            class,
            max_binding_bytes: 128 << 20,
            binding_alignment: 256,
            max_storage_buffers: 8,
            max_workgroups: 65_535,
            max_invocations: 256,
            workgroup_memory: 16 << 10,
            max_loop_steps: DeviceProfile::loop_steps(class),
            max_texture_size: 8192,
            few_registers: false,
            plain_kernels: false,
            half: false,
            matrix_units: None,
            tuned: Arc::default(),
        }
    }

    /// How many steps the loops of one invocation may take on a device of that class.
    pub fn loop_steps(class: DeviceClass) -> usize {
        match class {
            DeviceClass::Gpu => usize::MAX,
            DeviceClass::Cpu => SOFTWARE_LOOP_STEPS,
        }
    }
}
