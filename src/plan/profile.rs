//! What a plan needs to know of a device.

/// Which kind of variant suits a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeviceClass {
    /// Thousands of threads, fast workgroup memory, coalesced loads.
    Gpu,
    /// A software adapter: few cores, vector registers, costly storage loads and barriers.
    Cpu,
}

/// Steps after which reductions are split: well within [`DeviceProfile::max_loop_steps`] everywhere.
pub const MAX_LOOP_STEPS: usize = 32_768;

/// What llvmpipe runs: it ends the loops of an invocation after 65,535 steps, all loops together,
/// without a word, and the sum is wrong.
const SOFTWARE_LOOP_STEPS: usize = 65_535;

/// Limits and features of a device, as far as kernels are chosen by them.
#[derive(Clone, Debug)]
pub struct DeviceProfile {
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
    /// Only the plain variant of every kernel.
    pub plain_kernels: bool,
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
            plain_kernels: false,
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
