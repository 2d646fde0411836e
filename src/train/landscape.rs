//! How much a model's loss depends on the length of its steps, with and without batch norm (after Santurkar et
//! al. 2018, section 3.1): runs that differ in their learning rate alone, and the band that their losses span.

use super::run_folder::{make_folder, write_picture, write_table};
use super::start::read_data;
use super::trial::{MOST_STEPS, RATES, Trial};
use super::{Reporter, Resolved, TrainError};
use crate::activity::Stage;
use crate::models::{self, Model};
use crate::recipe::TrainConfig;
use crate::report::{Across, Band, Panel};
use crate::session::Device;
use crate::setting::BadSetting;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// Learning rates, each of which trains both forms of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Landscape {
    /// Each above 0.
    pub rates: Vec<f64>,
    /// Steps of each run.
    pub steps: u64,
}

/// What a landscape came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LandscapeOutcome {
    /// Without batch norm, and with it.
    pub forms: [Form; 2],
    /// Where tables and the picture are.
    pub folder: PathBuf,
}

/// A model's runs in one form.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    /// Whether the model has batch norms.
    pub batch_norm: bool,
    /// Name of the model in this form.
    pub model: String,
    /// One for each rate, in their order.
    pub runs: Vec<RateRun>,
}

/// A run at one learning rate.
#[derive(Clone, Debug, PartialEq)]
pub struct RateRun {
    /// Learning rate.
    pub rate: f64,
    /// Loss of each step; the run ends before its first loss that is not finite.
    pub losses: Vec<f64>,
}

#[derive(Serialize)]
struct Row {
    batch_norm: bool,
    lr: f64,
    step: u64,
    loss: f64,
}

/// Learning rates at most: each is a run of its own, with and without batch norm.
const MOST_RATES: usize = 100;

/// Points of a band at most; beyond, neighbours are averaged.
const MOST_POINTS: usize = 300;

impl Default for Landscape {
    fn default() -> Self {
        Landscape { rates: vec![1e-4, 5e-4, 1e-3, 2e-3], steps: 60 }
    }
}

impl Landscape {
    /// Checks rates and steps.
    ///
    /// # Errors
    /// The first that cannot be used, with what it must be.
    pub fn validate(&self) -> Result<(), TrainError> {
        let refuse = |name, value: String, rule: &str| Err(BadSetting::new(name, value, rule).into());
        if let Some(rate) = self.rates.iter().find(|rate| !RATES.contains(*rate)) {
            let rule = format!("numbers from {:e} to {:e}", RATES.start(), RATES.end());
            return refuse("rates", rate.to_string(), &rule);
        }
        let [least, greatest] = extremes(self.rates.iter().copied());
        if self.rates.len() < 2 || least == greatest {
            let rates: Vec<String> = self.rates.iter().map(f64::to_string).collect();
            return refuse("rates", rates.join(","), "at least two learning rates: one spans no band");
        }
        if self.rates.len() > MOST_RATES {
            return refuse("rates", format!("{} numbers", self.rates.len()), &format!("at most {MOST_RATES}"));
        }
        match (2..=MOST_STEPS).contains(&self.steps) {
            false => refuse("steps", self.steps.to_string(), &format!("from 2 to {MOST_STEPS}")),
            true => Ok(()),
        }
    }

    /// Trains the model of `config` without and with batch norm at each rate, whatever rate and schedule it has,
    /// and leaves the losses as a table and as a picture in `folder`, or in the first free
    /// `runs/MODEL-landscape-1`, `-2`, ...
    ///
    /// # Errors
    /// When the model has only one form, settings, data, model and device do not go together, a file cannot be
    /// written, or `stop` turns true; in that last case the files have what was measured before.
    pub fn run(
        &self,
        config: &TrainConfig,
        device: &Device,
        folder: Option<&Path>,
        stop: &AtomicBool,
        reporter: &mut dyn Reporter,
    ) -> Result<LandscapeOutcome, TrainError> {
        self.validate()?;
        let [without, with] = forms(config)?;
        let splits = read_data(&without, device.activity())?;
        splits.notes.iter().for_each(|note| reporter.note(note));
        let resolved = Resolved::of_data(&with, &splits.train)?;
        let folder = make_folder(folder, &format!("{}-landscape", config.model))?;
        reporter.note(&format!(
            "{} without and with batch norm, {} steps at each of {} learning rates, on {} (batches of {} images) with \
             {}; folder {}",
            config.model,
            self.steps,
            self.rates.len(),
            splits.train.name,
            resolved.batch,
            device.name(),
            folder.display()
        ));
        let mut form = |batch_norm, config: &TrainConfig| -> Result<Form, TrainError> {
            // The run that is interrupted counts as far as it came.
            let rates = self.rates.iter().take_while(|_| !stop.load(Ordering::Relaxed));
            let runs = rates.map(|&rate| {
                let title = format!("{} batch norm, rate {rate:e}", if batch_norm { "with" } else { "without" });
                reporter.begin(&title, 0, self.steps);
                let trial = Trial::new(config, &splits, resolved, device)?;
                // Of a form, all rates begin alike.
                if rate == self.rates[0] {
                    trial.notes().iter().for_each(|note| reporter.note(note));
                }
                Ok(RateRun { rate, losses: self.losses(trial, rate, resolved, stop, reporter)? })
            });
            Ok(Form { batch_norm, model: config.model.clone(), runs: runs.collect::<Result<_, TrainError>>()? })
        };
        let forms = [form(false, &without)?, form(true, &with)?];
        write_table(&folder.join("landscape.csv"), forms.iter().flat_map(Form::rows))?;
        write_picture(&folder.join("landscape.svg"), &[panel(config, &forms)])?;
        match stop.load(Ordering::Relaxed) {
            false => Ok(LandscapeOutcome { forms, folder }),
            true => {
                let done = forms.iter().map(|form| form.runs.len() as u64).sum();
                let all = 2 * self.rates.len() as u64;
                Err(TrainError::Interrupted { what: "runs", done, all, folder })
            }
        }
    }

    fn losses(
        &self,
        mut trial: Trial<'_>,
        rate: f64,
        resolved: Resolved,
        stop: &AtomicBool,
        reporter: &mut dyn Reporter,
    ) -> Result<Vec<f64>, TrainError> {
        let begin = Instant::now();
        let submitting = trial.activity().enter(Stage::Training, self.steps);
        let mut losses = Vec::new();
        for step in 0..self.steps {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let metrics = trial.step(step, rate)?;
            submitting.advance();
            if !metrics.loss().is_finite() {
                break;
            }
            losses.push(f64::from(metrics.loss()));
            let images = (step + 1) * resolved.batch as u64;
            let speed = images as f64 / begin.elapsed().as_secs_f64().max(1e-9);
            reporter.advance(step + 1, f64::from(metrics.loss()), f64::from(metrics.accuracy()), speed);
        }
        Ok(losses)
    }
}

impl Form {
    /// The least and the greatest loss of each step, of the runs that got so far; steps that fewer than two
    /// reached have none.
    pub fn band(&self) -> Vec<[f64; 2]> {
        let steps = self.runs.iter().map(|run| run.losses.len()).max().unwrap_or(0);
        let at = |step: usize| self.runs.iter().filter_map(move |run| run.losses.get(step).copied());
        (0..steps).take_while(|&step| at(step).count() > 1).map(|step| extremes(at(step))).collect()
    }

    /// The band's mean width: how far apart the losses of a step are.
    pub fn mean_width(&self) -> Option<f64> {
        let band = self.band();
        let sum: f64 = band.iter().map(|[least, greatest]| greatest - least).sum();
        (!band.is_empty()).then(|| sum / band.len() as f64)
    }

    fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        self.runs.iter().flat_map(|run| {
            let batch_norm = self.batch_norm;
            (0..).zip(&run.losses).map(move |(step, &loss)| Row { batch_norm, lr: run.rate, step, loss })
        })
    }
}

/// The configuration without and with batch norm: by the model's attribute, or by its twin of another name.
fn forms(config: &TrainConfig) -> Result<[TrainConfig; 2], TrainError> {
    let model = models::find(&config.model)?;
    if let Some(attribute) = model.batch_norm_flag() {
        return Ok([false, true].map(|batch_norm| {
            let mut config = config.clone();
            config.attributes.insert(attribute.to_owned(), batch_norm.into());
            config
        }));
    }
    match model.batch_norm_twins() {
        Some(twins) => Ok(twins.map(|twin| TrainConfig { model: twin.name.to_owned(), ..config.clone() })),
        None => {
            let has_both = |model: &&Model| model.batch_norm_flag().is_some() || model.batch_norm_twins().is_some();
            let known = models::all().filter(has_both);
            Err(TrainError::OneForm { model: config.model.clone(), known: known.map(|model| model.name).collect() })
        }
    }
}

fn extremes(values: impl Iterator<Item = f64>) -> [f64; 2] {
    values.fold([f64::INFINITY, f64::NEG_INFINITY], |[least, greatest], value| [least.min(value), greatest.max(value)])
}

/// A band that spans more is drawn to a logarithmic scale, where the narrow one is still seen.
const WIDE: f64 = 100.0;

fn panel(config: &TrainConfig, forms: &[Form; 2]) -> Panel {
    let bands = forms.iter().map(|form| {
        let band = form.band();
        let size = band.len().div_ceil(MOST_POINTS).max(1);
        let edges = band.chunks(size).enumerate().map(|(chunk, steps)| {
            let mean = |edge: usize| steps.iter().map(|step| step[edge]).sum::<f64>() / steps.len() as f64;
            ((chunk * size) as f64 + (steps.len() - 1) as f64 / 2.0, [mean(0), mean(1)])
        });
        let label = if form.batch_norm { "with batch norm" } else { "without batch norm" };
        Band { label: label.to_owned(), edges: edges.collect() }
    });
    let [least, greatest] = extremes(forms.iter().flat_map(Form::band).flatten());
    let title = format!("{}: losses of all learning rates", config.model);
    Panel {
        title,
        x_label: "step".to_owned(),
        y_label: "loss, from the least to the greatest".to_owned(),
        across: Across::Whole,
        log_y: least > 0.0 && greatest > WIDE * least,
        bands: bands.collect(),
        ..Panel::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(losses: &[&[f64]]) -> Form {
        let run = |losses: &&[f64]| RateRun { rate: 0.1, losses: losses.to_vec() };
        Form { batch_norm: true, model: "m".to_owned(), runs: losses.iter().map(run).collect() }
    }

    #[test]
    fn a_band_spans_the_runs_that_go_on_and_ends_with_the_last_but_one() {
        let form = form(&[&[3.0, 2.0, 1.0, 0.5], &[4.0, 1.0], &[3.5, 1.5, 7.0]]);
        assert_eq!(form.band(), [[3.0, 4.0], [1.0, 2.0], [1.0, 7.0]]);
        assert_eq!(form.mean_width(), Some(8.0 / 3.0));
        assert_eq!(form.rows().count(), 9);
    }

    #[test]
    fn runs_without_a_finite_loss_span_nothing() {
        assert_eq!(form(&[&[], &[1.0]]).band(), [[0.0; 2]; 0]);
        assert_eq!(form(&[&[], &[]]).mean_width(), None);
    }

    #[test]
    fn the_picture_averages_neighbouring_steps_and_keeps_the_last() {
        let falls: Vec<f64> = (0..1000).map(|step| 1000.0 - step as f64).collect();
        let flat = vec![0.0; 1000];
        let forms = [form(&[&falls, &flat]), form(&[])];
        let [band, none] = &panel(&TrainConfig::default(), &forms).bands[..] else { panic!("two bands") };
        assert_eq!((band.edges.len(), band.edges[0]), (250, (1.5, [0.0, 998.5])));
        assert_eq!(band.edges[249].0, 997.5);
        assert!(none.edges.is_empty());
    }

    #[test]
    fn both_forms_come_from_a_flag_or_from_twins_and_other_models_are_refused() {
        let forms_of = |model: &str| forms(&TrainConfig { model: model.to_owned(), ..TrainConfig::default() });
        for (model, flag) in [("cifar_cnn", "use_batchnorm"), ("vgg_a_cifar", "batch_norm")] {
            let [without, with] = forms_of(model).unwrap();
            assert_eq!((&without.attributes[flag], &with.attributes[flag]), (&false.into(), &true.into()));
        }
        for model in ["vgg11", "vgg11_bn"] {
            let [without, with] = forms_of(model).unwrap();
            assert_eq!((without.model.as_str(), with.model.as_str()), ("vgg11", "vgg11_bn"));
        }
        let refused = forms_of("lenet5").unwrap_err().to_string();
        assert!(
            refused.contains("`lenet5`") && refused.contains("cifar_cnn, ") && refused.contains("vgg19"),
            "{refused}"
        );
    }
}
