//! `--shaders`, for the commands that check and measure kernels.

use super::CliError;
use super::precision::KERNELS;
use clap::Args;
use std::path::PathBuf;
use tilewright::gpu::Gpu;
use tilewright::shader::Sources;

#[derive(Args)]
pub(super) struct ShadersOption {
    /// Take shaders from DIR, where it has them, in place of those in the program
    ///
    /// To try a change without a build. `check` runs them with bounds checks, the other commands without: check first.
    #[arg(long, global = true, value_name = "DIR", help_heading = KERNELS)]
    shaders: Option<PathBuf>,
}

impl ShadersOption {
    /// The option, where it is given.
    pub(super) fn given(&self) -> Option<&'static str> {
        self.shaders.as_ref().map(|_| "--shaders")
    }

    /// The device with these shaders, run checked.
    pub(super) fn checked(&self, gpu: Gpu) -> Result<Gpu, CliError> {
        Ok(match self.sources()? {
            Some(sources) => gpu.with_shaders(sources),
            None => gpu,
        })
    }

    /// The device with these shaders, run as it was opened.
    pub(super) fn measured(&self, gpu: Gpu) -> Result<Gpu, CliError> {
        Ok(match self.sources()? {
            // SAFETY: whoever names a folder of shaders answers for them, as for the program itself; the option's
            // text says that they run unchecked, and which command tries them with all checks on.
            Some(sources) => unsafe { gpu.with_trusted_shaders(sources) },
            None => gpu,
        })
    }

    fn sources(&self) -> Result<Option<Sources>, CliError> {
        let Some(folder) = &self.shaders else { return Ok(None) };
        let unreadable = |reason| CliError::usage(format!("the shaders in `{}`: {reason}", folder.display()));
        Sources::with_folder(folder).map(Some).map_err(unreadable)
    }
}
