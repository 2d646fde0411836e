//! What every command has: how it talks, and where it computes.

use super::CliError;
use super::colour::ERROR;
use super::place::{DeviceOption, Place};
use super::reporter::{JsonLines, LineReporter};
use super::terminal::TerminalReporter;
use clap::Args;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tilewright::activity::Activity;
use tilewright::gpu::{DeviceOptions, DeviceSelector, Gpu, address_space_warning};
use tilewright::printable::printable;
use tilewright::recipe::Precision;
use tilewright::session::Device;
use tilewright::tuned::TunedTable;

#[derive(Args)]
pub(crate) struct Global {
    /// End standard output with one JSON object; what is meant for people goes to standard error
    #[arg(long, global = true, help_heading = "Output")]
    pub json: bool,
    /// Say only what came of it, and what is wrong
    #[arg(long, short, global = true, help_heading = "Output")]
    pub quiet: bool,
    #[arg(skip)]
    json_lines: JsonLines,
    /// Of a command that computes, its own options.
    #[arg(skip)]
    pub device: String,
    #[arg(skip)]
    pub checked: bool,
    #[arg(skip)]
    pub tuned: Option<PathBuf>,
    /// What the command is at, for whoever tells of it.
    #[arg(skip)]
    pub activity: Activity,
    #[arg(skip)]
    lines: OnceLock<TerminalReporter>,
    /// Why a line did not reach standard output, the first time it happened.
    #[arg(skip)]
    unwritten: OnceLock<io::Error>,
}

impl Global {
    /// The same for a command that computes at `place`.
    pub(crate) fn at(self, place: Place) -> Global {
        let Place { device: DeviceOption { device }, checked, tuned } = place;
        Global { device, checked, tuned, ..self }
    }

    /// The same for a process that another one speaks for.
    #[cfg(feature = "mpi")]
    pub(crate) fn silent(&self) -> Global {
        Global {
            json: false,
            quiet: true,
            json_lines: JsonLines::default(),
            device: self.device.clone(),
            checked: self.checked,
            tuned: self.tuned.clone(),
            activity: Activity::default(),
            lines: OnceLock::new(),
            unwritten: OnceLock::new(),
        }
    }

    /// Writes lines of JSON as well, before that of the result.
    pub(crate) fn write_json_lines(&mut self, json_lines: JsonLines) {
        self.json_lines = json_lines;
        self.json = true;
    }

    /// Tells how the command goes on, until it is dropped.
    pub(crate) fn reporter(&self) -> LineReporter {
        let people = (!self.quiet).then(|| TerminalReporter::watching(self.activity.clone()));
        LineReporter { people, json_lines: self.json_lines }
    }

    /// Writes a line for people: to standard output, or with `--json` to standard error.
    pub(crate) fn say(&self, line: impl Display) {
        match self.json {
            true => self.note(line),
            false => self.write(printable(&line.to_string())),
        }
    }

    /// Writes a line to standard output. Who closed the pipe does not want to read on, and the command's result stands
    /// all the same; any other failure is told when the command ends.
    fn write(&self, line: impl Display) {
        let written = writeln!(io::stdout(), "{line}");
        if let Some(reason) = written.err().filter(|reason| reason.kind() != io::ErrorKind::BrokenPipe) {
            self.unwritten.set(reason).ok();
        }
    }

    /// Why standard output is incomplete, if it is.
    pub(crate) fn unwritten(&self) -> Option<io::Error> {
        let last = io::stdout().flush().err().filter(|reason| reason.kind() != io::ErrorKind::BrokenPipe);
        let first = self.unwritten.get().map(|reason| io::Error::new(reason.kind(), reason.to_string()));
        first.or(last)
    }

    /// Writes a line that is not part of the result to standard error, unless `--quiet` wants none.
    pub(crate) fn note(&self, line: impl Display) {
        if !self.quiet {
            self.warn(line);
        }
    }

    /// As [`Global::warn`], after the word `error`.
    pub(crate) fn error(&self, message: &str) {
        writeln!(io::stderr(), "{} {}", ERROR.paint("error:"), printable(message)).ok();
    }

    /// Writes a line that everyone must see to standard error.
    pub(crate) fn warn(&self, line: impl Display) {
        writeln!(io::stderr(), "{}", printable(&line.to_string())).ok();
    }

    /// With `--json`, writes the command's result as the last line of standard output.
    pub(crate) fn result(&self, value: &serde_json::Value) {
        if self.json {
            self.write(value);
        }
    }

    /// Whether the CPU reference is asked for.
    pub(crate) fn on_reference(&self) -> bool {
        is_reference(&self.device)
    }

    /// The device that was asked for; says which it is.
    pub(crate) fn device(&self) -> Result<Device, CliError> {
        if self.on_reference() {
            refuse_table(self.tuned.as_deref())?;
            self.note("device: CPU reference");
            return Ok(Device::reference());
        }
        Ok(self.gpu()?.into())
    }

    /// The device that was asked for, to train on in that precision, with the kernels of the table `tuned`.
    pub(crate) fn training_device(&self, tuned: Option<&Path>, precision: Precision) -> Result<Device, CliError> {
        self.training_device_named(&self.device, tuned, precision)
    }

    /// As [`Global::training_device`], for the device of that name.
    pub(crate) fn training_device_named(
        &self,
        device: &str,
        tuned: Option<&Path>,
        precision: Precision,
    ) -> Result<Device, CliError> {
        let options = DeviceOptions::default().checked(self.checked).matrix_units(precision == Precision::F16);
        let device = if is_reference(device) {
            refuse_table(tuned)?;
            Device::reference()
        } else {
            with_table(self.open_gpu(device, options)?, tuned)?.into()
        };
        Ok(device.with_activity(self.activity.clone()))
    }

    /// The GPU that was asked for; says which it is. Refuses `--device cpu`.
    pub(crate) fn gpu(&self) -> Result<Gpu, CliError> {
        self.open(DeviceOptions::default().checked(self.checked))
    }

    /// As [`Global::gpu`], with the device's matrix units, if it has any.
    pub(crate) fn gpu_with_matrix_units(&self) -> Result<Gpu, CliError> {
        self.open(DeviceOptions::default().checked(self.checked).matrix_units(true))
    }

    fn open(&self, options: DeviceOptions) -> Result<Gpu, CliError> {
        if self.on_reference() {
            return Err(CliError::usage("this command runs kernels, which `--device cpu` does not have"));
        }
        let gpu = self.open_gpu(&self.device, options)?.with_activity(self.activity.clone());
        if !self.quiet {
            self.lines.get_or_init(|| TerminalReporter::in_lines(self.activity.clone()));
        }
        self.note(format_args!("device: {}", gpu.info()));
        with_table(gpu, self.tuned.as_deref())
    }

    /// What the lines that tell how a command on a GPU goes on begin with from now on.
    pub(crate) fn at_work_on(&self, title: &str) {
        if let Some(lines) = self.lines.get() {
            lines.entitle(title);
        }
    }

    fn open_gpu(&self, device: &str, options: DeviceOptions) -> Result<Gpu, CliError> {
        if let Some(warning) = address_space_warning() {
            self.note(format_args!("note: {warning}"));
        }
        let gpu = Gpu::open(&selector(device), options)?;
        if let Some(note) = gpu.note() {
            self.note(format_args!("note: {note}"));
        }
        Ok(gpu)
    }
}

fn is_reference(device: &str) -> bool {
    device.eq_ignore_ascii_case("cpu")
}

fn selector(device: &str) -> DeviceSelector {
    match device.to_lowercase().parse() {
        Ok(selector) => selector,
        Err(never) => match never {},
    }
}

fn with_table(gpu: Gpu, table: Option<&Path>) -> Result<Gpu, CliError> {
    match table {
        None => Ok(gpu),
        Some(path) => Ok(TunedTable::read(path)?.apply(&gpu)?),
    }
}

fn refuse_table(table: Option<&Path>) -> Result<(), CliError> {
    match table {
        None => Ok(()),
        Some(_) => Err(CliError::usage("a table of kernels is for a GPU, but `--device cpu` has none: leave it out")),
    }
}
