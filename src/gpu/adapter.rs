//! Adapters as others see them, in words of our own: no type of wgpu leaves this folder.

use super::matrix_units;
use crate::kernel::MatrixUnits;
use std::fmt;

/// What an adapter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdapterKind {
    /// A GPU with memory of its own.
    DiscreteGpu,
    /// A GPU as a virtual machine shows it.
    VirtualGpu,
    /// A GPU that shares the host's memory.
    IntegratedGpu,
    /// The driver does not say.
    Unknown,
    /// A driver that computes on the CPU, such as llvmpipe.
    Software,
}

impl AdapterKind {
    /// Whether its memory is the host's.
    pub fn shares_memory(self) -> bool {
        matches!(self, AdapterKind::IntegratedGpu | AdapterKind::Software)
    }
}

impl From<wgpu::DeviceType> for AdapterKind {
    fn from(kind: wgpu::DeviceType) -> Self {
        match kind {
            wgpu::DeviceType::DiscreteGpu => AdapterKind::DiscreteGpu,
            wgpu::DeviceType::IntegratedGpu => AdapterKind::IntegratedGpu,
            wgpu::DeviceType::VirtualGpu => AdapterKind::VirtualGpu,
            wgpu::DeviceType::Cpu => AdapterKind::Software,
            wgpu::DeviceType::Other => AdapterKind::Unknown,
        }
    }
}

impl fmt::Display for AdapterKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AdapterKind::DiscreteGpu => "discrete GPU",
            AdapterKind::IntegratedGpu => "integrated GPU",
            AdapterKind::VirtualGpu => "virtual GPU",
            AdapterKind::Software => "software adapter",
            AdapterKind::Unknown => "unknown kind",
        })
    }
}

/// An adapter's name and driver.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdapterInfo {
    /// As the driver gives it.
    pub name: String,
    /// GPU or software.
    pub kind: AdapterKind,
    /// `Vulkan`, `Metal` or `Dx12`.
    pub backend: String,
    /// The driver's name and version, as it gives them.
    pub driver: String,
}

impl AdapterInfo {
    pub(super) fn of(info: &wgpu::AdapterInfo) -> Self {
        AdapterInfo {
            name: info.name.clone(),
            kind: info.device_type.into(),
            backend: format!("{:?}", info.backend),
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        }
    }
}

impl fmt::Display for AdapterInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}, {}, driver {}", self.name, self.kind, self.backend, self.driver)
    }
}

/// One adapter of this machine: what it is, and what it offers.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Adapter {
    /// Its name and driver.
    pub info: AdapterInfo,
    /// Largest storage binding, in bytes.
    pub max_binding_bytes: u64,
    /// Largest buffer, in bytes.
    pub max_buffer_bytes: u64,
    /// Storage buffers that one shader may bind.
    pub max_storage_buffers: u32,
    /// Invocations in one workgroup.
    pub max_invocations: u32,
    /// Workgroup memory, in bytes.
    pub workgroup_memory: u32,
    /// Workgroups in one dimension of a dispatch.
    pub max_workgroups: u32,
    /// Fewest and most invocations of a subgroup.
    pub subgroup_size: [u32; 2],
    /// Whether kernels can be timed on the device.
    pub timestamps: bool,
    /// Whether compiled kernels can be kept for the next start.
    pub pipeline_cache: bool,
    /// Whether shaders can use f16.
    pub f16: bool,
    /// Whether shaders can use subgroups.
    pub subgroups: bool,
    /// Whether shaders can use cooperative matrices, of whatever type.
    pub cooperative_matrices: bool,
    /// Units for products of f16 with sums in f32, or what is missing for them.
    pub matrix_units: Result<MatrixUnits, Vec<&'static str>>,
}

impl Adapter {
    pub(super) fn of(adapter: &wgpu::Adapter) -> Self {
        let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
        Adapter {
            info: AdapterInfo::of(&info),
            max_binding_bytes: limits.max_storage_buffer_binding_size,
            max_buffer_bytes: limits.max_buffer_size,
            max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
            max_invocations: limits.max_compute_invocations_per_workgroup,
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            max_workgroups: limits.max_compute_workgroups_per_dimension,
            subgroup_size: [info.subgroup_min_size, info.subgroup_max_size],
            timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
            pipeline_cache: features.contains(wgpu::Features::PIPELINE_CACHE),
            f16: features.contains(wgpu::Features::SHADER_F16),
            subgroups: features.contains(wgpu::Features::SUBGROUP),
            cooperative_matrices: features.contains(wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX),
            matrix_units: matrix_units::of(adapter),
        }
    }
}
