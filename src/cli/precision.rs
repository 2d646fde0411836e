//! `--precision`, for the commands that measure and check kernels.

use super::{CliError, Global};
use clap::Args;
use tilewright::check::Variant;
use tilewright::gpu::Gpu;
use tilewright::recipe::Precision;

/// Heading of the help.
pub(super) const KERNELS: &str = "Kernels";

#[derive(Args)]
pub(super) struct PrecisionOption {
    /// What features and their gradients are stored in
    ///
    /// `f16` adds in f32, and multiplies on the device's matrix units where it has them. `check` runs what the device has
    /// of both when this is not said.
    #[arg(long, global = true, value_name = "f32|f16", help_heading = KERNELS)]
    pub precision: Option<Precision>,
}

impl PrecisionOption {
    /// f32 when none is said.
    pub(super) fn precision(&self) -> Precision {
        self.precision.unwrap_or_default()
    }

    /// The GPU that was asked for. It has its matrix units for f16, and where no precision is said for `all` variants.
    pub(super) fn gpu(&self, global: &Global, all: bool) -> Result<Gpu, CliError> {
        if self.precision == Some(Precision::F16) && global.tuned.is_some() {
            return Err(CliError::usage("`--tuned` is for kernels in f32, but `--precision` says f16"));
        }
        match self.precision {
            Some(Precision::F16) => {
                let gpu = global.gpu_with_matrix_units()?;
                gpu.expect_half()?;
                Ok(gpu)
            }
            None if all => global.gpu_with_matrix_units(),
            _ => global.gpu(),
        }
    }

    /// Those of the device's variants that have this precision: all, when none is said.
    pub(super) fn variants(&self, gpu: &Gpu) -> Vec<Variant> {
        let is_meant = |variant: &Variant| match self.precision {
            Some(Precision::F16) => variant.is_half(),
            Some(_) => !variant.is_half(),
            None => true,
        };
        Variant::on(gpu.profile()).into_iter().filter(is_meant).collect()
    }
}
