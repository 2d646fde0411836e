//! The command line: one file a subcommand, no logic that a user of the library would miss.
//!
//! To add a subcommand, write a file with its arguments (`clap::Args`) and
//! `run(&self, &Global) -> Result<(), CliError>`, and name it in [`Command`]. One that computes flattens [`place::Place`].

#[cfg(unix)]
mod allocator;
mod augment;
mod bench;
mod bench_members;
mod check;
mod classes;
mod colour;
mod compare;
mod completions;
mod device_list;
mod devices;
mod docs;
mod duration;
mod embed;
mod error;
mod eval;
mod export;
mod global;
mod images;
mod import;
mod interrupt;
mod landscape;
mod lr_find;
mod man;
mod members;
mod models;
mod output;
mod overfit;
mod page;
mod place;
mod precision;
mod predict;
mod profile;
mod recipes;
mod report;
mod reporter;
mod rows;
mod settings;
mod shaders;
mod spelling;
mod step;
mod summary;
mod sweep;
mod terminal;
mod train;
mod tune;
mod verify;

#[cfg(unix)]
pub(crate) use allocator::OrEnd;
pub(crate) use error::CliError;
pub(crate) use global::Global;

use clap::{Parser, Subcommand};
use place::Place;
use reporter::JsonLines;
use serde_json::json;
use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;
use tilewright::printable::printable;

/// Trains convolutional networks on any GPU.
#[derive(Parser)]
#[command(name = "tilewright", version, max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Train(Box<train::Train>),
    LrFind(Box<lr_find::LrFind>),
    Sweep(Box<sweep::Sweep>),
    Landscape(Box<landscape::Landscape>),
    Eval(eval::Eval),
    Compare(compare::Compare),
    Report(report::Report),
    Predict(predict::Predict),
    Embed(embed::Embed),
    Augment(Box<augment::Augment>),
    Import(import::Import),
    Export(export::Export),
    Bench(bench::Bench),
    Profile(profile::Profile),
    Tune(tune::Tune),
    Check(check::Check),
    Models(models::Models),
    Recipes(recipes::Recipes),
    Summary(summary::Summary),
    Devices(devices::Devices),
    Verify(verify::Verify),
    Docs(docs::Docs),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    /// Where it computes, if it does.
    fn place(&self) -> Option<Place> {
        match self {
            Command::Train(command) => Some(&command.place),
            Command::LrFind(command) => Some(&command.place),
            Command::Sweep(command) => Some(&command.place),
            Command::Landscape(command) => Some(&command.place),
            Command::Eval(command) => Some(&command.place),
            Command::Predict(command) => Some(&command.place),
            Command::Embed(command) => Some(&command.place),
            Command::Augment(command) => Some(&command.place),
            Command::Bench(command) => Some(&command.place),
            Command::Profile(command) => Some(&command.place),
            Command::Check(command) => Some(&command.place),
            Command::Verify(command) => Some(&command.place),
            Command::Tune(command) => return Some(command.device.clone().into()),
            Command::Summary(command) => return Some(command.device.clone().into()),
            Command::Import(_) | Command::Export(_) | Command::Models(_) | Command::Recipes(_) => None,
            Command::Devices(_) | Command::Compare(_) | Command::Report(_) => None,
            Command::Docs(_) | Command::Completions(_) | Command::Man(_) => None,
        }
        .cloned()
    }

    fn run(&self, global: &Global) -> Result<(), CliError> {
        match self {
            Command::Train(command) => command.run(global),
            Command::LrFind(command) => command.run(global),
            Command::Sweep(command) => command.run(global),
            Command::Landscape(command) => command.run(global),
            Command::Eval(command) => command.run(global),
            Command::Compare(command) => command.run(global),
            Command::Report(command) => command.run(global),
            Command::Predict(command) => command.run(global),
            Command::Embed(command) => command.run(global),
            Command::Augment(command) => command.run(global),
            Command::Import(command) => command.run(global),
            Command::Export(command) => command.run(global),
            Command::Bench(command) => command.run(global),
            Command::Profile(command) => command.run(global),
            Command::Tune(command) => command.run(global),
            Command::Check(command) => command.run(global),
            Command::Models(command) => command.run(global),
            Command::Recipes(command) => command.run(global),
            Command::Summary(command) => command.run(global),
            Command::Devices(command) => command.run(global),
            Command::Verify(command) => command.run(global),
            Command::Docs(command) => command.run(global),
            Command::Completions(command) => command.run(global),
            Command::Man(command) => command.run(global),
        }
    }
}

/// Runs the command that the process was called with: 0 done, 1 failed, 2 wrong usage.
pub(crate) fn main() -> ExitCode {
    spelling::spell_settings_as_options();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return tell_usage(&error),
    };
    let mut global = cli.global.at(cli.command.place().unwrap_or_default());
    spelling::resume_with(if let Command::Sweep(_) = &cli.command { "sweep" } else { "train" });
    match &cli.command {
        Command::Train(command) if command.json_lines => global.write_json_lines(JsonLines::Epochs),
        Command::Sweep(command) if command.json_lines => global.write_json_lines(JsonLines::Trials),
        _ => {}
    }
    let status = match cli.command.run(&global) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.tell(&global),
    };
    match global.unwritten() {
        None => status,
        Some(reason) => tell_unwritten(&reason),
    }
}

/// Prints help, the version, or what is wrong with the arguments; the last as JSON too where they ask for it.
fn tell_usage(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    // What is wrong with an argument quotes it, and on a terminal as it is.
    let steers = |argument: OsString| matches!(printable(&argument.to_string_lossy()), Cow::Owned(_));
    let told = match error.use_stderr() && std::env::args_os().any(steers) {
        true => write!(io::stderr(), "{}", printable(&text)),
        false => error.print(),
    };
    if let Err(reason) = told
        && reason.kind() != io::ErrorKind::BrokenPipe
    {
        return tell_unwritten(&reason);
    }
    let wants_json = || {
        std::env::args_os()
            .take_while(|argument| argument != "--")
            .any(|argument| argument == "--json" || argument == "--json-lines")
    };
    if error.use_stderr() && wants_json() {
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        writeln!(io::stdout(), "{}", json!({ "error": message })).ok();
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// What was found is not where it was wanted: the command has failed.
fn tell_unwritten(reason: &io::Error) -> ExitCode {
    writeln!(io::stderr(), "error: standard output cannot be written: {reason}; its text is incomplete").ok();
    ExitCode::from(1)
}
