//! How settings are written in messages: as the options that they are here.

use std::sync::OnceLock;
use tilewright::setting::{Spelling, spell};

/// Settings that are attributes of a model, which `--set` takes.
const ATTRIBUTES: [&str; 3] = ["num_classes", "input_channels", "image_size"];

/// The command that `--resume` belongs to.
static COMMAND: OnceLock<&str> = OnceLock::new();

/// From now on, messages name options.
pub(super) fn spell_settings_as_options() {
    spell(Spelling { name: option, assignment: option_with_value });
}

/// From now on, what says how to go on names this command.
pub(super) fn resume_with(command: &'static str) {
    COMMAND.get_or_init(|| command);
}

fn option(setting: &str) -> String {
    if ATTRIBUTES.contains(&setting) { setting.to_owned() } else { format!("--{}", setting.replace('_', "-")) }
}

fn option_with_value(setting: &str, value: &str) -> String {
    match COMMAND.get() {
        Some(command) if setting == "resume" => format!("`tilewright {command} --resume {value}`"),
        _ => format!("`{} {value}`", option(setting)),
    }
}
