//! How a command ends when it does not succeed.

use super::{Global, interrupt};
use serde_json::json;
use std::process::ExitCode;
use tilewright::data::DataError;
use tilewright::gpu::GpuError;
use tilewright::interop::InteropError;
use tilewright::models::ModelError;
use tilewright::optim::schedule::ScheduleError;
use tilewright::recipe::RecipeError;
use tilewright::setting::BadSetting;
use tilewright::train::TrainError;
use tilewright::train::sweep::SweepError;
use tilewright::tuned::TableError;

/// A command that did not succeed, and what the user is told.
#[derive(Debug)]
pub(crate) enum CliError {
    /// It failed: exit status 1.
    Failed(String),
    /// The arguments do not go together or name what is not there: exit status 2.
    Usage(String),
    /// A signal stopped it: exit status 130 for Ctrl-C, else that of the signal, as a shell has it.
    Stopped(String),
    /// It ran to its end, and its own output says what is wrong: exit status 1.
    Judged,
}

impl CliError {
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        CliError::Failed(message.into())
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        CliError::Usage(message.into())
    }

    /// Tells the user, and gives the exit status.
    pub(crate) fn tell(&self, global: &Global) -> ExitCode {
        let (message, status) = match self {
            CliError::Judged => return ExitCode::from(1),
            CliError::Failed(message) => (message, 1),
            CliError::Usage(message) => (message, 2),
            CliError::Stopped(message) => (message, interrupt::status()),
        };
        match self {
            CliError::Stopped(_) => global.warn(message),
            _ => global.error(message),
        }
        global.result(&json!({ "error": message }));
        ExitCode::from(status)
    }

    /// The exit status.
    #[cfg(feature = "mpi")]
    pub(crate) fn status(&self) -> u8 {
        match self {
            CliError::Judged | CliError::Failed(_) => 1,
            CliError::Usage(_) => 2,
            CliError::Stopped(_) => interrupt::status(),
        }
    }

    /// Whether somebody wanted it to end.
    #[cfg(feature = "mpi")]
    pub(crate) fn is_wanted(&self) -> bool {
        matches!(self, CliError::Stopped(_))
    }
}

/// Every error of the library is told in full, with what it came from.
impl<E: std::error::Error + 'static> From<E> for CliError {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            // A transparent error has its source's text already.
            let text = cause.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            source = cause.source();
        }
        let whole: &dyn std::error::Error = &error;
        if let Some(GpuError::NoSuchAdapter { .. } | GpuError::NoHalf { .. }) = whole.downcast_ref::<GpuError>() {
            return CliError::Usage(message);
        }
        if let Some(TrainError::Stopped { .. } | TrainError::Interrupted { .. } | TrainError::Cancelled { .. }) =
            whole.downcast_ref::<TrainError>()
        {
            return CliError::Stopped(message);
        }
        if let Some(SweepError::Stopped { .. }) = whole.downcast_ref::<SweepError>() {
            return CliError::Stopped(message);
        }
        let is_usage = match whole.downcast_ref::<TrainError>() {
            Some(error) => error.is_usage(),
            None => {
                whole.is::<ModelError>()
                    || whole.is::<BadSetting>()
                    || whole.downcast_ref::<RecipeError>().is_some_and(RecipeError::is_usage)
                    || whole.is::<ScheduleError>()
                    || whole.is::<TableError>()
                    || whole.downcast_ref::<SweepError>().is_some_and(SweepError::is_usage)
                    || whole.downcast_ref::<InteropError>().is_some_and(InteropError::is_usage)
                    || whole.downcast_ref::<DataError>().is_some_and(DataError::is_usage)
            }
        };
        if is_usage { CliError::Usage(message) } else { CliError::Failed(message) }
    }
}
