//! The options of settings that are a number or a flag, made from their rows.

use super::settings::{DATA, MODEL, TRAINING};
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, value_parser};
use std::sync::LazyLock;
use tilewright::recipe::{Kind, PLAIN, Plain, Row, Topic, TrainConfig};

/// What is given of the settings that are a number or a flag, but for epochs and rate, which a resumed run takes too.
pub(super) struct PlainOptions(Vec<(&'static Row, Plain)>);

impl PlainOptions {
    /// Sets what is given.
    pub(super) fn set(&self, config: &mut TrainConfig) {
        self.0.iter().for_each(|(row, value)| row.set(config, *value));
    }
}

/// What a setting does, with its default.
pub(super) fn about(name: &str) -> String {
    Row::find(name).map(told).unwrap_or_default()
}

fn told(row: &Row) -> String {
    match row.get(&TrainConfig::default()) {
        Some(default @ (Plain::Whole(1..) | Plain::Real(_))) if default != Plain::Real(0.0) => {
            format!("{} [default: the recipe's, else {default}]", row.about)
        }
        _ => row.about.to_owned(),
    }
}

fn option(row: &'static Row, long: &'static str) -> Arg {
    let heading = match row.topic {
        Topic::Data => DATA,
        Topic::Model => MODEL,
        Topic::Training => TRAINING,
    };
    let option = Arg::new(row.name).long(long).help(told(row)).help_heading(heading);
    let option = match row.more {
        "" => option,
        more => option.long_help(format!("{}\n\n{more}", told(row))),
    };
    match row.kind {
        Kind::Whole => option.value_name(row.unit).value_parser(value_parser!(u64)),
        Kind::Real => option.value_name(row.unit).value_parser(value_parser!(f64)).allow_negative_numbers(true),
        Kind::Flag => option.action(ArgAction::SetTrue),
    }
}

/// The options' names, in the order of the rows.
static LONGS: LazyLock<Vec<String>> = LazyLock::new(|| PLAIN.iter().map(|row| row.name.replace('_', "-")).collect());

/// The rows, with the options' names.
fn rows() -> impl Iterator<Item = (&'static Row, &'static String)> {
    PLAIN.iter().zip(LONGS.iter()).filter(|(row, _)| !["epochs", "lr"].contains(&row.name))
}

impl Args for PlainOptions {
    fn augment_args(command: Command) -> Command {
        rows().fold(command, |command, (row, long)| command.arg(option(row, long)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for PlainOptions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |(row, _): (&'static Row, _)| {
            let value = match row.kind {
                Kind::Whole => matches.get_one(row.name).copied().map(Plain::Whole),
                Kind::Real => matches.get_one(row.name).copied().map(Plain::Real),
                Kind::Flag => matches.get_flag(row.name).then_some(Plain::Flag(true)),
            };
            value.map(|value| (row, value))
        };
        Ok(PlainOptions(rows().filter_map(given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
