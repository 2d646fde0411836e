//! The learning-rate range test (Smith 2017, section 3.3): some steps of training at a rate that grows from
//! step to step, until the loss diverges. The curve shows which rates the model learns at.

mod curve;

pub use curve::{RangeCurve, RangePoint, Suggestion};

use super::run_folder::{make_folder, write_picture, write_table};
use super::start::read_data;
use super::trial::{MOST_STEPS, RATES, Trial};
use super::{Reporter, TrainError};
use crate::activity::Stage;
use crate::optim::schedule::{LearningRate, Schedule};
use crate::recipe::TrainConfig;
use crate::report::{Across, Curve, Mark, Panel, Style};
use crate::session::Device;
use crate::setting::{BadSetting, Setting};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Learning rates to try, each the same factor above the one before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RangeTest {
    /// The first rate.
    pub from: f64,
    /// The last rate, where the loss does not end the test before.
    pub to: f64,
    /// How many rates are tried, one each step.
    pub steps: u64,
}

/// What a range test came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RangeOutcome {
    /// What was measured.
    pub curve: RangeCurve,
    /// What is read off it.
    pub suggestion: Suggestion,
    /// Where the table and the picture are.
    pub folder: PathBuf,
}

/// Fewer points make no curve.
const FEWEST_STEPS: u64 = 20;

impl Default for RangeTest {
    /// Every rate in use for any optimizer.
    fn default() -> Self {
        RangeTest { from: 1e-7, to: 10.0, steps: 100 }
    }
}

impl RangeTest {
    /// Checks rates and steps.
    ///
    /// # Errors
    /// The first that cannot be used, with what it must be.
    pub fn validate(&self) -> Result<(), TrainError> {
        let rates = [("from", self.from), ("to", self.to)];
        if let Some((what, rate)) = rates.into_iter().find(|(_, rate)| !RATES.contains(rate)) {
            let rule = format!("a number from {:e} to {:e}", RATES.start(), RATES.end());
            return Err(BadSetting::new(what, rate, rule).into());
        }
        if self.from >= self.to {
            let rule = format!("below {}, which is {}", Setting("to"), self.to);
            return Err(BadSetting::new("from", self.from.to_string(), rule).into());
        }
        if !(FEWEST_STEPS..=MOST_STEPS).contains(&self.steps) {
            let rule = format!("from {FEWEST_STEPS}, since fewer points make no curve, to {MOST_STEPS}");
            return Err(BadSetting::new("steps", self.steps.to_string(), rule).into());
        }
        Ok(())
    }

    /// from * (to / from)^(t / (steps - 1)) in step t.
    ///
    /// # Errors
    /// Never for a test that is [valid](RangeTest::validate).
    pub fn learning_rate(&self) -> Result<LearningRate, TrainError> {
        let gamma = (self.to / self.from).powf(1.0 / self.steps.saturating_sub(1) as f64);
        Ok(LearningRate::new(
            Schedule::from_attributes("exponential", &serde_json::json!({ "gamma": gamma }))?,
            self.from,
        )?)
    }

    /// Trains `config` at these rates, whatever rate and schedule it has, and leaves the curve as a table and
    /// as a picture in `folder`, or in the first free `runs/MODEL-lr-find-1`, `-2`, ...
    ///
    /// # Errors
    /// When settings, data, model and device do not go together, a file cannot be written, the loss does not fall, or
    /// `stop` turns true; in these last cases the files are there all the same.
    pub fn run(
        &self,
        config: &TrainConfig,
        device: &Device,
        folder: Option<&Path>,
        stop: &AtomicBool,
        reporter: &mut dyn Reporter,
    ) -> Result<RangeOutcome, TrainError> {
        self.validate()?;
        let learning_rate = self.learning_rate()?;
        let splits = read_data(config, device.activity())?;
        splits.notes.iter().for_each(|note| reporter.note(note));
        let mut trial = Trial::fitted(config, &splits, device)?;
        let resolved = trial.resolved();
        trial.notes().iter().for_each(|note| reporter.note(note));
        let folder = make_folder(folder, &format!("{}-lr-find", config.model))?;
        reporter.note(&format!(
            "{}, {}, at {} learning rates from {:e} to {:e} on {} (batches of {} images) with {}; folder {}",
            config.model,
            trial.parameters(),
            self.steps,
            self.from,
            self.to,
            splits.train.name,
            resolved.batch,
            device.name(),
            folder.display()
        ));
        reporter.begin("learning rates", 0, self.steps);
        let begin = Instant::now();
        let mut curve = RangeCurve::default();
        let submitting = trial.activity().enter(Stage::Training, self.steps);
        let mut is_stopped = false;
        for step in 0..self.steps {
            is_stopped = stop.load(Ordering::Relaxed);
            if is_stopped {
                break;
            }
            let lr = learning_rate.rate(step);
            let metrics = trial.step(step, lr)?;
            submitting.advance();
            if step == 0 && !metrics.loss().is_finite() {
                return Err(TrainError::NoFirstLoss { model: config.model.clone(), loss: metrics.loss() });
            }
            let goes_on = curve.push(lr, f64::from(metrics.loss()));
            let images = (step + 1) * resolved.batch as u64;
            let rate = images as f64 / begin.elapsed().as_secs_f64().max(1e-9);
            reporter.advance(step + 1, f64::from(metrics.loss()), f64::from(metrics.accuracy()), rate);
            if !goes_on {
                break;
            }
        }
        let suggestion = curve.suggestion();
        write_table(&folder.join("lr_find.csv"), curve.points())?;
        write_picture(&folder.join("lr_find.svg"), &[panel(&config.model, &curve, suggestion)])?;
        if is_stopped {
            let done = curve.points().len() as u64;
            return Err(TrainError::Interrupted { what: "learning rates", done, all: self.steps, folder });
        }
        match suggestion {
            Some(suggestion) => Ok(RangeOutcome { curve, suggestion, folder }),
            None => Err(TrainError::NoFall { from: self.from, to: self.to, folder }),
        }
    }
}

/// The losses, as far up as the picture stays readable, and what is suggested.
fn panel(model: &str, curve: &RangeCurve, suggestion: Option<Suggestion>) -> Panel {
    let top = curve.highest();
    let line = |label: &str, value: fn(&RangePoint) -> f64| {
        let points = curve.points().iter().filter(|point| value(point) <= top);
        Curve {
            label: label.to_owned(),
            points: points.map(|point| (point.lr, value(point))).collect(),
            style: Style::Line,
        }
    };
    let mut curves = vec![line("loss", |point| point.loss), line("smoothed", |point| point.smoothed)];
    let mut marks = Vec::new();
    if let Some(Suggestion { suggested, minimum, .. }) = suggestion {
        let at = |point: &&RangePoint| point.lr >= suggested;
        let dot = curve.points().iter().find(at).map(|point| (suggested, point.smoothed));
        curves.push(Curve { label: "suggested".to_owned(), points: dot.into_iter().collect(), style: Style::Dots });
        marks.push(Mark { label: format!("suggested: {suggested:.1e}; least loss at {minimum:.1e}"), x: suggested });
    }
    Panel {
        title: format!("{model}: loss over learning rates"),
        x_label: "learning rate".to_owned(),
        y_label: "loss".to_owned(),
        across: Across::Logarithmic,
        curves,
        marks,
        ..Panel::default()
    }
}
