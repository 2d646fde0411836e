//! `tilewright lr-find`: the learning-rate range test.

use super::interrupt::on_interrupt;
use super::place::Place;
use super::settings::Settings;
use super::{CliError, Global};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;
use tilewright::path_text::lossy;
use tilewright::train::{RangeOutcome, RangePoint, RangeTest, Suggestion};

/// Find a learning rate: train for some steps at a rate that grows until the loss diverges
#[derive(Args)]
pub(super) struct LrFind {
    #[command(flatten)]
    settings: Settings,
    /// The first learning rate
    #[arg(long, value_name = "RATE", default_value_t = RangeTest::default().from, allow_negative_numbers = true)]
    from: f64,
    /// The last learning rate, unless the loss diverges before
    #[arg(long, value_name = "RATE", default_value_t = RangeTest::default().to, allow_negative_numbers = true)]
    to: f64,
    /// Steps, each at a rate the same factor above the one before
    #[arg(long, default_value_t = RangeTest::default().steps)]
    steps: u64,
    /// Folder for lr_find.csv and lr_find.svg [default: runs/MODEL-lr-find-1, or the next free number]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    pub place: Place,
}

impl LrFind {
    pub(super) fn run(&self, global: &Global) -> Result<(), CliError> {
        let test = RangeTest { from: self.from, to: self.to, steps: self.steps };
        test.validate()?;
        let mut config = self.settings.config()?;
        config.tuned = global.tuned.clone().or(config.tuned);
        config.validate()?;
        let device = global.training_device(config.tuned.as_deref(), config.precision)?;
        let stop = on_interrupt()?;
        let outcome = test.run(&config, &device, self.out.as_deref(), &stop, &mut global.reporter())?;
        let RangeOutcome { curve, suggestion, folder, .. } = outcome;
        let Suggestion { suggested, steepest, minimum } = suggestion;
        if curve.falls_at_its_end() {
            global.note(format_args!("the loss still falls at {:e}: a larger --to shows how far", self.to));
        }
        global.say(format_args!(
            "the loss falls fastest at a learning rate of {steepest:.1e} and is least at {minimum:.1e} ({})",
            folder.display()
        ));
        global.say(format_args!("suggested: --lr {suggested:.1e}"));
        let column = |value: fn(&RangePoint) -> f64| curve.points().iter().map(value).collect::<Vec<_>>();
        global.result(&json!({
            "suggested": suggested,
            "steepest": steepest,
            "minimum": minimum,
            "rates": column(|point| point.lr),
            "losses": column(|point| point.loss),
            "smoothed": column(|point| point.smoothed),
            "folder": lossy(&folder),
        }));
        Ok(())
    }
}
