//! Finds an adapter, opens it with the limits and features that the kernels use, and watches it.

use super::GpuError;
use super::adapter::{Adapter, AdapterInfo, AdapterKind};
use super::address_space;
use super::failure::{Failure, Failures};
use super::matrix_units;
use super::pipelines::Pipelines;
use super::scopes::Scopes;
use crate::activity::Activity;
use crate::kernel::{Choices, DeviceClass, DeviceProfile, MatrixUnits};
use crate::shader::Sources;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Which adapter to take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceSelector {
    /// A discrete GPU before an integrated one before a software adapter.
    Auto,
    /// Number in the list of `tilewright devices`.
    Index(usize),
    /// Part of the adapter's name, in any case.
    Name(String),
}

impl FromStr for DeviceSelector {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match (text, text.parse()) {
            ("auto" | "gpu", _) => DeviceSelector::Auto,
            (_, Ok(index)) => DeviceSelector::Index(index),
            _ => DeviceSelector::Name(text.to_owned()),
        })
    }
}

impl fmt::Display for DeviceSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DeviceSelector::Auto => f.write_str("auto"),
            DeviceSelector::Index(index) => write!(f, "{index}"),
            DeviceSelector::Name(name) => f.write_str(name),
        }
    }
}

/// PCI's number of the vendor whose threads have few registers.
const INTEL: u32 = 0x8086;

/// How a device is opened.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct DeviceOptions {
    /// Shaders with bounds checks, loop bounds and zeroed workgroup memory.
    pub checked: bool,
    /// Nothing beyond WebGPU's default limits, and no optional feature.
    pub default_limits: bool,
    /// Only the plain variant of every kernel.
    pub plain_kernels: bool,
    /// With matrix units, where the adapter has them, for what is stored in f16.
    pub matrix_units: bool,
}

impl DeviceOptions {
    /// With bounds checks in shaders, or without.
    #[must_use]
    pub fn checked(mut self, checked: bool) -> DeviceOptions {
        self.checked = checked;
        self
    }

    /// With no more than every device has, or with all that this one has.
    #[must_use]
    pub fn default_limits(mut self, default_limits: bool) -> DeviceOptions {
        self.default_limits = default_limits;
        self
    }

    /// With the plain variant of every kernel, or with what the rules choose.
    #[must_use]
    pub fn plain_kernels(mut self, plain_kernels: bool) -> DeviceOptions {
        self.plain_kernels = plain_kernels;
        self
    }

    /// With matrix units where they are there, or without.
    #[must_use]
    pub fn matrix_units(mut self, matrix_units: bool) -> DeviceOptions {
        self.matrix_units = matrix_units;
        self
    }
}

/// An open device. Cloning shares it.
#[derive(Clone)]
pub struct Gpu {
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) pipelines: Arc<Pipelines>,
    pub(super) activity: Activity,
    info: Arc<AdapterInfo>,
    adapter: Arc<Adapter>,
    profile: Arc<DeviceProfile>,
    /// Why the profile has no matrix units.
    missing: Arc<[&'static str]>,
    failures: Arc<Failures>,
    pub(super) scopes: Arc<Scopes>,
}

fn instance() -> wgpu::Instance {
    // wgpu's own variables may select a backend.
    wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env())
}

#[cfg(not(target_family = "wasm"))]
async fn sorted_adapters() -> Vec<wgpu::Adapter> {
    let backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    let mut adapters = instance().enumerate_adapters(backends).await;
    adapters.sort_by_key(|adapter| AdapterKind::from(adapter.get_info().device_type));
    adapters
}

/// A browser shows one adapter, and chooses it by this wish.
#[cfg(target_family = "wasm")]
async fn sorted_adapters() -> Vec<wgpu::Adapter> {
    let power_preference = wgpu::PowerPreference::HighPerformance;
    let options = wgpu::RequestAdapterOptions { power_preference, ..Default::default() };
    instance().request_adapter(&options).await.into_iter().collect()
}

/// All adapters, the one that `auto` takes first.
#[cfg(blocking)]
pub fn adapters() -> Vec<Adapter> {
    pollster::block_on(sorted_adapters()).iter().map(Adapter::of).collect()
}

impl Gpu {
    /// Opens the adapter that `selector` names.
    ///
    /// # Errors
    /// When there is no such adapter, it does not open, or a limit of the address space leaves no room for a driver.
    #[cfg(blocking)]
    pub fn open(selector: &DeviceSelector, options: DeviceOptions) -> Result<Gpu, GpuError> {
        pollster::block_on(Gpu::open_async(selector, options))
    }

    /// As [`Gpu::open`], where nothing may wait.
    ///
    /// # Errors
    /// As [`Gpu::open`].
    pub async fn open_async(selector: &DeviceSelector, options: DeviceOptions) -> Result<Gpu, GpuError> {
        address_space::require()?;
        let mut adapters = sorted_adapters().await;
        if adapters.is_empty() {
            return Err(GpuError::NoAdapter);
        }
        let names: Vec<String> = adapters.iter().map(|adapter| adapter.get_info().name).collect();
        let chosen = match selector {
            DeviceSelector::Auto => Some(0),
            DeviceSelector::Index(index) => (*index < adapters.len()).then_some(*index),
            DeviceSelector::Name(part) => {
                let part = part.to_lowercase();
                names.iter().position(|name| name.to_lowercase().contains(&part))
            }
        };
        let chosen = chosen.ok_or_else(|| GpuError::NoSuchAdapter {
            wanted: selector.to_string(),
            found: names.iter().enumerate().map(|(i, name)| format!("{i} ({name})")).collect::<Vec<_>>().join(", "),
        })?;
        let adapter = adapters.swap_remove(chosen);
        Gpu::open_adapter(&adapter, options).await
    }

    async fn open_adapter(adapter: &wgpu::Adapter, options: DeviceOptions) -> Result<Gpu, GpuError> {
        let info = adapter.get_info();
        let matrix_units = match options.matrix_units && !options.default_limits {
            true => matrix_units::of(adapter),
            false => Err(vec!["matrix units that it was opened with"]),
        };
        let (limits, features) = match options.default_limits {
            true => (wgpu::Limits::default(), wgpu::Features::empty()),
            false => {
                let mut useful =
                    wgpu::Features::PIPELINE_CACHE | wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SHADER_F16;
                if matrix_units.is_ok() {
                    useful |= matrix_units::features();
                }
                (adapter.limits(), adapter.features() & useful)
            }
        };
        let experimental_features = match features.intersects(wgpu::Features::all_experimental_mask()) {
            // SAFETY: matrices are loaded from and stored to workgroup memory within its bounds, in control
            // flow that is the same in the whole workgroup; `check` holds the kernels against the reference.
            true => unsafe { wgpu::ExperimentalFeatures::enabled() },
            false => wgpu::ExperimentalFeatures::disabled(),
        };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("tilewright"),
            required_features: features,
            required_limits: limits.clone(),
            experimental_features,
            ..Default::default()
        };
        let (device, queue) = adapter
            .request_device(&descriptor)
            .await
            .map_err(|reason| GpuError::Open { adapter: info.name.clone(), reason: reason.to_string() })?;

        let failures = Arc::<Failures>::default();
        let watch = Arc::clone(&failures);
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            watch.note(match error {
                wgpu::Error::OutOfMemory { .. } => Failure::OutOfMemory,
                other => Failure::Refused(other.to_string()),
            });
        }));
        let watch = Arc::clone(&failures);
        device.set_device_lost_callback(move |reason, message| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                watch.note(Failure::of_loss(message));
            }
        });

        let class = match info.device_type {
            wgpu::DeviceType::Cpu => DeviceClass::Cpu,
            _ => DeviceClass::Gpu,
        };
        let profile = DeviceProfile {
            class,
            max_loop_steps: DeviceProfile::loop_steps(class),
            max_binding_bytes: limits.max_storage_buffer_binding_size,
            binding_alignment: u64::from(limits.min_storage_buffer_offset_alignment),
            max_storage_buffers: limits.max_storage_buffers_per_shader_stage,
            max_workgroups: limits.max_compute_workgroups_per_dimension,
            max_invocations: limits.max_compute_invocations_per_workgroup,
            workgroup_memory: limits.max_compute_workgroup_storage_size,
            max_texture_size: limits.max_texture_dimension_2d,
            few_registers: info.vendor == INTEL,
            plain_kernels: options.plain_kernels,
            half: features.contains(wgpu::Features::SHADER_F16),
            matrix_units: matrix_units.as_ref().ok().copied(),
            tuned: Arc::default(),
        };
        let missing = matrix_units.err().unwrap_or_default().into();
        let pipelines = Arc::new(Pipelines::new(&device, &info, options.checked, Sources::default()));
        let (activity, info, profile) = (Activity::default(), Arc::new(AdapterInfo::of(&info)), Arc::new(profile));
        let (own, scopes) = (Adapter::of(adapter), Arc::default());
        Ok(Gpu { device, queue, pipelines, activity, info, profile, missing, failures, scopes, adapter: Arc::new(own) })
    }

    /// The same device, taken for one of another class: its kernels run here too, only slower. It follows
    /// that class's rule, whatever table it had.
    pub fn with_class(&self, class: DeviceClass) -> Gpu {
        let profile = DeviceProfile { class, tuned: Arc::default(), ..(*self.profile).clone() };
        Gpu { profile: Arc::new(profile), ..self.clone() }
    }

    /// The same device, with these kernels for the shapes that the table has. Nothing is checked here:
    /// [`crate::tuned::TunedTable::apply`] does.
    pub(crate) fn with_kernels(&self, tuned: Arc<Choices>) -> Gpu {
        let profile = DeviceProfile { tuned, ..(*self.profile).clone() };
        Gpu { profile: Arc::new(profile), ..self.clone() }
    }

    /// The same device, as if its threads had few registers.
    pub fn with_few_registers(&self) -> Gpu {
        let profile = DeviceProfile { few_registers: true, ..(*self.profile).clone() };
        Gpu { profile: Arc::new(profile), ..self.clone() }
    }

    /// The same device, with only the plain variant of every kernel.
    pub fn with_plain_kernels(&self) -> Gpu {
        let profile = DeviceProfile { plain_kernels: true, ..(*self.profile).clone() };
        Gpu { profile: Arc::new(profile), ..self.clone() }
    }

    /// The same device, as if it had no matrix units.
    pub fn without_matrix_units(&self) -> Gpu {
        let profile = DeviceProfile { matrix_units: None, ..(*self.profile).clone() };
        Gpu { profile: Arc::new(profile), ..self.clone() }
    }

    /// The same device, with [`MatrixUnits::EMULATED`] in place of its own, if it has any.
    ///
    /// # Errors
    /// When the device has no f16, or was opened with [`DeviceOptions::default_limits`].
    pub fn with_emulated_matrix_units(&self) -> Result<Gpu, GpuError> {
        if !self.profile.half {
            return Err(self.no_half());
        }
        let profile = DeviceProfile { matrix_units: Some(MatrixUnits::EMULATED), ..(*self.profile).clone() };
        Ok(Gpu { profile: Arc::new(profile), ..self.clone() })
    }

    /// What the device lacks, or was opened without, for kernels on matrix units.
    pub fn missing_for_matrix_units(&self) -> &[&'static str] {
        &self.missing
    }

    /// Refuses a device without f16.
    ///
    /// # Errors
    /// When it has none, or was opened with [`DeviceOptions::default_limits`].
    pub fn expect_half(&self) -> Result<(), GpuError> {
        if self.profile.half { Ok(()) } else { Err(self.no_half()) }
    }

    fn no_half(&self) -> GpuError {
        GpuError::NoHalf { adapter: self.info.name.clone() }
    }

    /// The same device, as if it could bind no more than `bytes` at a time.
    pub fn with_binding_limit(&self, bytes: u64) -> Gpu {
        let max_binding_bytes = self.profile.max_binding_bytes.min(bytes);
        let profile = DeviceProfile { max_binding_bytes, ..(*self.profile).clone() };
        Gpu { profile: Arc::new(profile), ..self.clone() }
    }

    /// Whether its kernels run with bounds checks.
    pub fn is_checked(&self) -> bool {
        self.pipelines.are_checked()
    }

    /// The same device, with kernels from `sources`. They run checked, however the device was opened:
    /// no test has shown that they stay within their tensors.
    pub fn with_shaders(&self, sources: Sources) -> Gpu {
        self.with_pipelines(true, sources)
    }

    /// As [`Gpu::with_shaders`], but checked only if the device was opened so: to measure a changed shader.
    ///
    /// # Safety
    /// The kernels must stay within their tensors, and their loops must end.
    pub unsafe fn with_trusted_shaders(&self, sources: Sources) -> Gpu {
        self.with_pipelines(self.pipelines.are_checked(), sources)
    }

    fn with_pipelines(&self, checked: bool, sources: Sources) -> Gpu {
        let pipelines = Pipelines::new(&self.device, &self.device.adapter_info(), checked, sources);
        Gpu { pipelines: Arc::new(pipelines), ..self.clone() }
    }

    /// The same device, whose work is told to `activity`.
    #[must_use]
    pub fn with_activity(&self, activity: Activity) -> Gpu {
        Gpu { activity, ..self.clone() }
    }

    /// What the device's user is at.
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// What people should know of how it was opened, if anything.
    pub fn note(&self) -> Option<&str> {
        self.pipelines.note.as_deref()
    }

    /// Name, kind and driver of the adapter.
    pub fn info(&self) -> &AdapterInfo {
        &self.info
    }

    /// What the adapter offers, whatever it was opened with.
    pub fn adapter(&self) -> &Adapter {
        &self.adapter
    }

    /// What plans for this device are made by: its limits, its class, and what it was opened with.
    pub fn profile(&self) -> &DeviceProfile {
        &self.profile
    }

    /// Waits until the device has said whether it refuses anything that was asked of it.
    ///
    /// # Errors
    /// The first refusal.
    pub(crate) async fn settle(&self) -> Result<(), GpuError> {
        self.scopes.settle().await?;
        self.check()
    }

    /// The first failure that the device reported, if any. A device that had no memory, and was not lost, is as good as
    /// before to whoever asks it for less.
    pub(super) fn check(&self) -> Result<(), GpuError> {
        self.failures.first()
    }

    /// Runs `create`, and gives the error if the device had no memory for it.
    pub(super) fn allocate<T>(&self, what: &str, create: impl FnOnce() -> T) -> Result<T, GpuError> {
        let what = what.to_owned();
        let refused = |_| GpuError::OutOfMemory { what };
        self.scopes.within(&self.device, wgpu::ErrorFilter::OutOfMemory, refused, create)
    }
}
