//! `--precision`, for the commands that measure and check kernels.

use super::{CliError, Global};
use clap::{Args, ValueEnum};
use tilewright::gpu::Gpu;
use tilewright::kernel::Precision;

/// Heading of the help.
pub(super) const KERNELS: &str = "Kernels";

#[derive(Args)]
pub(super) struct PrecisionOption {
    /// How exact convolutions and linear layers are
    ///
    /// `f16` rounds their factors and adds in f32, on the device's matrix units. `check` runs what the device has of both
    /// when this is not said.
    #[arg(long, global = true, value_name = "f32|f16", hide_possible_values = true, help_heading = KERNELS)]
    pub precision: Option<Word>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Word {
    F32,
    F16,
}

impl Word {
    pub(super) fn precision(self) -> Precision {
        match self {
            Word::F32 => Precision::F32,
            Word::F16 => Precision::F16,
        }
    }
}

impl PrecisionOption {
    /// The GPU that was asked for, with kernels of this precision, f32 when none is said. It has its matrix
    /// units for f16, and where none is said for `all` variants.
    pub(super) fn gpu(&self, global: &Global, all: bool) -> Result<Gpu, CliError> {
        if self.precision == Some(Word::F16) && global.tuned.is_some() {
            return Err(CliError::usage("`--tuned` is for kernels in f32, but `--precision` says f16"));
        }
        let gpu = match self.precision {
            Some(Word::F16) => global.gpu_with_matrix_units()?,
            None if all => global.gpu_with_matrix_units()?,
            Some(Word::F32) | None => global.gpu()?,
        };
        Ok(gpu.with_precision(self.precision.map_or(Precision::F32, Word::precision))?)
    }
}
