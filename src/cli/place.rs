//! Where a command computes: the options of the commands that do.

use clap::Args;
use std::path::PathBuf;

/// `--device` alone.
#[derive(Args, Clone, Debug)]
pub(crate) struct DeviceOption {
    /// What computes: auto, gpu, a number, a part of a name, or cpu
    ///
    /// `auto` and `gpu` take a discrete GPU before an integrated one before a software adapter; numbers and names are
    /// those of `tilewright devices`; `cpu` is the reference in plain loops, slow, and the judge of all others.
    #[arg(long, global = true, default_value = "auto", value_name = "DEVICE", help_heading = "Device")]
    pub device: String,
}

/// The options of commands that run kernels.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Place {
    #[command(flatten)]
    pub device: DeviceOption,
    /// Run shaders with bounds checks, bounded loops and zeroed workgroup memory
    #[arg(long, global = true, help_heading = "Device")]
    pub checked: bool,
    /// Take kernels from a table that `tilewright tune` wrote on this device
    ///
    /// It has kernels of convolutions and linear layers, for the exact sizes that it names; all others stay with the
    /// written rule.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Device")]
    pub tuned: Option<PathBuf>,
}

impl Default for DeviceOption {
    fn default() -> Self {
        DeviceOption { device: "auto".to_owned() }
    }
}

impl From<DeviceOption> for Place {
    fn from(device: DeviceOption) -> Self {
        Place { device, ..Place::default() }
    }
}
