//! `tilewright recipes`: the recipes that are part of the program.

use super::{CliError, Global};
use clap::Args;
use serde_json::{Value, json};
use tilewright::recipe::{About, Recipe, TrainConfig};
use tilewright::report::Table;

/// List the recipes that `train --recipe NAME` takes: where each is from, and the accuracy there and here
///
/// With a name, show the recipe as a file, to be changed and given back as `train --recipe FILE`.
#[derive(Args)]
pub(super) struct Recipes {
    /// Name of a recipe, or of a variant as `RECIPE:VARIANT`
    name: Option<String>,
}

impl Recipes {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        match &self.name {
            Some(name) => show(name, global),
            None => list(global),
        }
    }
}

fn list(global: &Global) -> Result<(), CliError> {
    let mut table = Table::new(["recipe", "what", "accuracy there", "accuracy here"]);
    let mut entries = Vec::new();
    for recipe in Recipe::all() {
        let (about, config) = (recipe.about()?, recipe.config()?);
        table.row([recipe.name, &about.about, &about.published, short(&about.measured)]);
        for (name, variant) in &about.variant {
            table.row([&format!("{}:{name}", recipe.name), "", &variant.published, ""]);
        }
        entries.push(entry(recipe, &about, &config));
    }
    global.say(table.to_markdown().trim_end());
    global.say("`tilewright recipes NAME` shows one: its settings, its source, and how it differs from it");
    global.result(&json!({ "recipes": entries }));
    Ok(())
}

/// What was measured, without the command.
fn short(measured: &str) -> &str {
    measured.split([',', ';']).next().unwrap_or_default()
}

fn show(name: &str, global: &Global) -> Result<(), CliError> {
    let config = Recipe::named(name)?;
    let recipe = Recipe::find(name.split(':').next().unwrap_or_default())?;
    let text = match name == recipe.name {
        true => recipe.text.to_owned(),
        false => config.to_toml().map_err(CliError::failed)?,
    };
    global.say(text.trim_end());
    let mut result = entry(recipe, &recipe.about()?, &config);
    result["name"] = name.into();
    result["text"] = text.into();
    global.result(&result);
    Ok(())
}

fn entry(recipe: &Recipe, about: &About, config: &TrainConfig) -> Value {
    json!({
        "name": recipe.name,
        "model": config.model,
        "about": about.about,
        "source": about.source,
        "published": about.published,
        "measured": about.measured,
        "differs": about.differs,
        "variants": about.variant.iter().map(|(name, variant)| json!({ "name": name, "published": variant.published })).collect::<Vec<_>>(),
        "settings": config,
    })
}
