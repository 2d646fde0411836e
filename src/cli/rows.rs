//! The options of settings, made from their rows.

use super::CliError;
use super::settings::{DATA, MODEL, TRAINING};
use clap::builder::{OsStringValueParser, StringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueHint, value_parser};
use std::marker::PhantomData;
use std::sync::LazyLock;
use tilewright::data::{Asked, Preprocessing};
use tilewright::path_text;
use tilewright::recipe::{Kind, ROWS, Row, SettingValue, Topic, TrainConfig};
use tilewright::train::Changes;

/// Which of the rows a command takes together.
pub(super) trait Part {
    fn has(row: &Row) -> bool;
}

/// How long, and at which rate: what a resumed run takes too.
pub(super) struct OfPace;
/// What a run keeps.
pub(super) struct OfRun;
/// How images become those of a model: `eval` and `predict` take it too.
pub(super) struct OfImages;
/// All others, and [`OfImages`]: what every command that trains takes.
pub(super) struct OfTraining;

impl Part for OfPace {
    fn has(row: &Row) -> bool {
        ["epochs", "lr", "schedule", "patience", "min_delta"].contains(&row.name)
    }
}

impl Part for OfRun {
    fn has(row: &Row) -> bool {
        row.topic == Topic::Run
    }
}

impl Part for OfImages {
    fn has(row: &Row) -> bool {
        ["resize", "crop_share", "interpolation"].contains(&row.name)
    }
}

impl Part for OfTraining {
    fn has(row: &Row) -> bool {
        !OfPace::has(row) && !OfRun::has(row)
    }
}

/// What is given of a part of the settings.
pub(super) struct Given<P> {
    values: Vec<(&'static Row, SettingValue)>,
    part: PhantomData<P>,
}

pub(super) type ImageOptions = Given<OfImages>;

impl<P> Given<P> {
    /// Sets what is given; adds to lists.
    ///
    /// # Errors
    /// Never for what the options have read.
    pub(super) fn set(&self, config: &mut TrainConfig) -> Result<(), CliError> {
        self.values.iter().try_for_each(|(row, value)| row.set(config, value)).map_err(CliError::usage)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.values.iter().any(|(row, _)| row.name == name)
    }
}

impl Given<OfPace> {
    /// What a run that is gone on with takes of these options.
    pub(super) fn changes(&self, kept: &Given<OfRun>) -> Result<Changes, CliError> {
        let mut config = TrainConfig::default();
        self.set(&mut config)?;
        kept.set(&mut config)?;
        let mut changes = Changes::default();
        changes.epochs = self.has("epochs").then_some(config.epochs);
        changes.lr = self.has("lr").then_some(config.lr);
        changes.schedule = self.has("schedule").then_some(config.schedule);
        changes.patience = config.patience;
        changes.min_delta = self.has("min_delta").then_some(config.min_delta);
        changes.checkpoint_every = kept.has("checkpoint_every").then_some(config.checkpoint_every);
        Ok(changes)
    }
}

impl Given<OfImages> {
    /// What these options ask for.
    pub(super) fn asked(&self) -> Result<Asked, CliError> {
        let mut config = TrainConfig::default();
        self.set(&mut config)?;
        let TrainConfig { resize, crop_share, interpolation, .. } = config;
        Ok(Asked { resize, crop_share, interpolation })
    }

    /// What a checkpoint for the images `[C, H, W]` says, with what these options ask for.
    ///
    /// # Errors
    /// When they cannot be, or contradict each other.
    pub(super) fn over(&self, own: Preprocessing, [_, height, width]: [usize; 3]) -> Result<Preprocessing, CliError> {
        Ok(own.asked(self.asked()?, (height, width))?)
    }
}

/// What a setting does, and what holds where it is not given.
fn told(row: &Row) -> String {
    let otherwise = match (row.otherwise, row.get(&TrainConfig::default())) {
        ("", Some(SettingValue::Whole(0) | SettingValue::Flag(_)) | None) => None,
        ("", Some(SettingValue::Real(0.0))) => None,
        // Of an optimizer or a schedule the name is enough.
        ("", Some(SettingValue::Text(text))) => text.split(':').next().map(|name| format!("the recipe's, else {name}")),
        ("", Some(default)) => Some(format!("the recipe's, else {default}")),
        (otherwise, _) => Some(spelled(otherwise)),
    };
    let again = if row.kind == Kind::List && !has_commas(row) { "; may be given again" } else { "" };
    let otherwise = otherwise.map_or_else(String::new, |otherwise| format!(" [default: {otherwise}]"));
    format!("{}{again}{otherwise}", spelled(row.about))
}

/// Whether the items of a list stand between commas, which those of others may contain.
fn has_commas(row: &Row) -> bool {
    row.unit.contains(",...")
}

fn spelled(text: &str) -> String {
    Row::spelled(text, |name| format!("--{}", name.replace('_', "-")))
}

fn option(row: &'static Row, long: &'static str) -> Arg {
    let heading = match row.topic {
        Topic::Data => DATA,
        Topic::Model => MODEL,
        Topic::Training => TRAINING,
        Topic::Run => "Run",
    };
    let listed = row.listed.map(|listed| listed());
    let more: Vec<String> = [spelled(row.more)].into_iter().filter(|more| !more.is_empty()).chain(listed).collect();
    let option = Arg::new(row.name).long(long).help(told(row)).help_heading(heading);
    let option = match more.is_empty() {
        true => option,
        false => option.long_help(format!("{}\n\n{}", told(row), more.join(" "))),
    };
    let text = OsStringValueParser::new().try_map(|text| row.read(&path_text::to_text(text)));
    let real = StringValueParser::new().try_map(|text| text.parse().map(SettingValue::Real));
    match row.kind {
        Kind::Whole => option.value_name(row.unit).value_parser(value_parser!(u64).map(SettingValue::Whole)),
        Kind::Real => option.value_name(row.unit).value_parser(real).allow_negative_numbers(true),
        Kind::Flag => option.action(ArgAction::SetTrue),
        Kind::Text => option.value_name(row.unit).value_parser(text),
        Kind::Path => option.value_name(row.unit).value_parser(text).value_hint(ValueHint::AnyPath),
        Kind::List => {
            let option = option.value_name(row.unit).value_parser(text).action(ArgAction::Append);
            if has_commas(row) { option.value_delimiter(',') } else { option }
        }
    }
}

/// The options' names, in the order of the rows.
static LONGS: LazyLock<Vec<String>> = LazyLock::new(|| ROWS.iter().map(|row| row.name.replace('_', "-")).collect());

/// The rows of a part, with the options' names.
fn rows<P: Part>() -> impl Iterator<Item = (&'static Row, &'static String)> {
    ROWS.iter().zip(LONGS.iter()).filter(|(row, _)| P::has(row))
}

impl<P: Part> Args for Given<P> {
    fn augment_args(command: Command) -> Command {
        rows::<P>().fold(command, |command, (row, long)| command.arg(option(row, long)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<P: Part> FromArgMatches for Given<P> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut values = Vec::new();
        for (row, _) in rows::<P>() {
            match row.kind {
                Kind::Flag if matches.get_flag(row.name) => values.push((row, SettingValue::Flag(true))),
                Kind::Flag => {}
                _ => values.extend(matches.get_many(row.name).into_iter().flatten().cloned().map(|value| (row, value))),
            }
        }
        Ok(Given { values, part: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
