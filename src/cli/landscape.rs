//! `tilewright landscape`: the spread of losses over learning rates, with and without batch norm.

use super::interrupt::on_interrupt;
use super::place::Place;
use super::settings::Settings;
use super::{CliError, Global};
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;
use tilewright::path_text::lossy;
use tilewright::report::Table;
use tilewright::train::{self, Form, LandscapeOutcome};

/// Show what batch norm does to the loss landscape: train with and without it
///
/// Each form is trained at several learning rates; runs differ in nothing else. The picture shows the band between the
/// least and the greatest loss at each step: where it is narrow, the loss depends little on how long the steps are.
#[derive(Args)]
#[command(mut_arg("model", |model| model.help("Name of the model, from `tilewright models` [default: cifar_cnn, on mnist]")))]
pub(super) struct Landscape {
    #[command(flatten)]
    settings: Settings,
    /// Learning rates
    #[arg(long, value_name = "RATE,RATE,...", value_delimiter = ',', allow_negative_numbers = true,
        default_values_t = train::Landscape::default().rates)]
    rates: Vec<f64>,
    /// Steps of each run
    #[arg(long, default_value_t = train::Landscape::default().steps)]
    steps: u64,
    /// Folder for landscape.csv and landscape.svg [default: runs/MODEL-landscape-1, or the next free number]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    pub place: Place,
}

impl Landscape {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let landscape = train::Landscape { rates: self.rates.clone(), steps: self.steps };
        landscape.validate()?;
        let mut config = self.settings.config_or("cifar_cnn")?;
        config.tuned = global.tuned.clone().or(config.tuned);
        config.validate()?;
        let device = global.training_device(config.tuned.as_deref(), config.precision)?;
        let stop = on_interrupt()?;
        let outcome = landscape.run(&config, &device, self.out.as_deref(), &stop, &mut global.reporter())?;
        let LandscapeOutcome { forms, folder, .. } = outcome;
        let mut table = Table::new(["batch norm", "rate", "steps", "first loss", "last loss"]);
        for form in &forms {
            for run in &form.runs {
                let loss = |loss: Option<&f64>| loss.map_or("not finite".to_owned(), |loss| format!("{loss:.4}"));
                table.row([
                    if form.batch_norm { "with" } else { "without" }.to_owned(),
                    format!("{:e}", run.rate),
                    run.losses.len().to_string(),
                    loss(run.losses.first()),
                    loss(run.losses.last()),
                ]);
            }
        }
        global.say(table.to_markdown());
        let width = |form: &Form| form.mean_width().map_or("nothing".to_owned(), |width| format!("{width:.4}"));
        global.say(format_args!(
            "the losses of a step span {} on average without batch norm, {} with it ({})",
            width(&forms[0]),
            width(&forms[1]),
            folder.display()
        ));
        global.result(&json!({ "forms": forms.each_ref().map(form_json), "folder": lossy(&folder) }));
        Ok(())
    }
}

fn form_json(form: &Form) -> Value {
    let runs: Vec<_> = form.runs.iter().map(|run| json!({ "rate": run.rate, "losses": run.losses })).collect();
    json!({
        "batch_norm": form.batch_norm,
        "model": form.model,
        "mean_width": form.mean_width(),
        "runs": runs,
    })
}
