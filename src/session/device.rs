//! Where graphs run: kernels on a GPU, or the reference functions on the CPU.

use crate::activity::Activity;
use crate::gpu::{DeviceOptions, DeviceSelector, Gpu, GpuError};
use crate::kernel::Choices;

/// A GPU, or the CPU reference. Cloning shares it.
///
/// ```
/// use tilewright::gpu::DeviceOptions;
/// use tilewright::session::Device;
///
/// // `auto`, an index or a part of a name for a GPU.
/// let device = Device::open("cpu", DeviceOptions::default())?;
/// assert_eq!(device.name(), "CPU reference");
/// # Ok::<(), tilewright::gpu::GpuError>(())
/// ```
#[derive(Clone)]
pub struct Device {
    gpu: Option<Gpu>,
    activity: Activity,
}

impl Device {
    /// Opens the device of that name: `cpu` is the reference, anything else a [`DeviceSelector`], such as `auto`, an
    /// index or a part of a GPU's name.
    ///
    /// # Errors
    /// When there is no such device, or it does not open.
    #[cfg(blocking)]
    pub fn open(name: &str, options: DeviceOptions) -> Result<Device, GpuError> {
        pollster::block_on(Device::open_async(name, options))
    }

    /// As [`Device::open`], where nothing may wait.
    ///
    /// # Errors
    /// As [`Device::open`].
    pub async fn open_async(name: &str, options: DeviceOptions) -> Result<Device, GpuError> {
        match name.parse::<DeviceSelector>() {
            Ok(selector) if name != "cpu" => Ok(Gpu::open_async(&selector, options).await?.into()),
            _ => Ok(Device::reference()),
        }
    }

    /// The plain loops that all kernels are judged by.
    pub fn reference() -> Device {
        Device { gpu: None, activity: Activity::default() }
    }

    /// The same device, whose work is told to `activity`: it says which kernels are compiled and which steps submitted.
    #[must_use]
    pub fn with_activity(&self, activity: Activity) -> Device {
        Device { gpu: self.gpu.as_ref().map(|gpu| gpu.with_activity(activity.clone())), activity }
    }

    /// What the device, and who uses it, are at.
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// The GPU, where it is one.
    pub fn gpu(&self) -> Option<&Gpu> {
        self.gpu.as_ref()
    }

    /// The device's name.
    pub fn name(&self) -> String {
        self.gpu.as_ref().map_or("CPU reference".to_owned(), |gpu| gpu.info().name.clone())
    }

    /// Whether all that was given to it has run.
    pub fn is_idle(&self) -> bool {
        self.gpu.as_ref().is_none_or(Gpu::is_idle)
    }

    /// Variants of kernels that come before the rule's, where a table has been applied to the device.
    pub fn tuned_kernels(&self) -> Choices {
        self.gpu.as_ref().map(|gpu| Choices::clone(&gpu.profile().tuned)).unwrap_or_default()
    }
}

impl From<Gpu> for Device {
    fn from(gpu: Gpu) -> Self {
        let activity = gpu.activity().clone();
        Device { gpu: Some(gpu), activity }
    }
}
