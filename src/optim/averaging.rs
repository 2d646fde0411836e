//! Averages of the weights by name, and the share that each step's weights have in one.

use super::{Attribute, Listing, Range, Takes, Values};
use crate::attribute::excerpt;
use crate::setting::as_text;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// An average of the weights w over the steps of a run, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the formula of each says what its attributes are")]
pub enum Averaging {
    /// e = d e + (1 - d) w after each step, where d is `decay`, or with a warm-up min(decay, (1 + t) / (10 + t)) in
    /// step t.
    Ema { decay: f64, warmup: bool },
    /// The plain mean of w after step `start` and every `every` steps from there on; w itself before.
    Swa { start: u64, every: u64 },
    /// After every `every` steps, and after the last of `steps`, e = d e + (1 - d) w and then w = e, where d is
    /// `decay` (t / steps)^`power` after t steps; after the last, e stays where it is no such step.
    Lookahead { every: u64, decay: f64, power: f64, steps: u64 },
}

impl Averaging {
    /// Share of the new weights in the average after step `step`, from 0 to 1.
    pub fn share(&self, step: u64) -> f64 {
        match *self {
            Averaging::Ema { decay, warmup: false } => 1.0 - decay,
            Averaging::Ema { decay, warmup: true } => {
                let t = step as f64;
                1.0 - decay.min((1.0 + t) / (10.0 + t))
            }
            Averaging::Swa { start, every } => match step.checked_sub(start) {
                None => 1.0,
                Some(since) if since.is_multiple_of(every.max(1)) => 1.0 / (since / every.max(1) + 1) as f64,
                Some(_) => 0.0,
            },
            Averaging::Lookahead { every, decay, power, steps } => {
                let done = step + 1;
                match done.is_multiple_of(every.max(1)) {
                    true => 1.0 - decay * (done as f64 / steps.max(1) as f64).min(1.0).powf(power),
                    false => 0.0,
                }
            }
        }
    }

    /// Whether the weights become the average after step `step`; none where they never do.
    pub fn takes_back(&self, step: u64) -> Option<bool> {
        match *self {
            Averaging::Lookahead { every, steps, .. } => {
                Some((step + 1).is_multiple_of(every.max(1)) || step + 1 >= steps)
            }
            Averaging::Ema { .. } | Averaging::Swa { .. } => None,
        }
    }
}

/// The average that a run keeps, by name and with its attributes: `ema:decay=0.999` or `swa:start=0.75`.
///
/// ```
/// use tilewright::optim::{Averaging, RunAverage};
///
/// let average: RunAverage = "swa:start=0.75".parse()?;
/// // From the last step of epoch 3 of 4 on, of 100 steps each, counted from 0.
/// assert_eq!(average.resolve(100, 400), Averaging::Swa { start: 299, every: 100 });
/// # Ok::<(), tilewright::optim::AverageError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[expect(missing_docs, reason = "the formula of each says what its attributes are")]
pub enum RunAverage {
    /// [`Averaging::Ema`], and with `statistics` that of batch norms' running statistics as well.
    Ema { decay: f64, warmup: bool, statistics: bool },
    /// The plain mean of the weights after each epoch from this share of the run on (Izmailov et al. 2018), as
    /// `torch.optim.swa_utils` has it.
    Swa { start: f64 },
    /// [`Averaging::Lookahead`] (Zhang et al. 2019), over the steps of the run.
    Lookahead { every: u64, decay: f64, power: f64 },
}

/// An average that is not known, or does not take such attributes.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum AverageError {
    #[error("there is no average `{name}`; known are ema, swa and lookahead")]
    Unknown { name: String },
    #[error("`{text}` is not an average: {reason}; write it like `ema:decay=0.999` or `swa:start=0.75`")]
    Syntax { text: String, reason: String },
}

static EMA: [Attribute; 3] = [
    Attribute::new("decay", Takes::Number(0.999, Range::UpToOne), "share of the average that stays in each step"),
    Attribute::new("warmup", Takes::Flag(true), "less of it stays in the first steps"),
    Attribute::new(
        "statistics",
        Takes::Flag(true),
        "running statistics of batch norms are averaged too, as in timm and torchvision's script; else they are those of the \
         last step, as in torch_ema",
    ),
];
static SWA: [Attribute; 1] =
    [Attribute::new("start", Takes::Number(0.75, Range::BelowOne), "share of the run before the mean begins")];
static LOOKAHEAD: [Attribute; 3] = [
    Attribute::new("every", Takes::Count(5, [1, u64::MAX]), "steps after which the weights go back to the average"),
    Attribute::new("decay", Takes::Number(0.5, Range::UpToOne), "share of the average that stays"),
    Attribute::new(
        "power",
        Takes::Number(0.0, Range::NotNegative),
        "how that share grows over the run: times (t / T)^power",
    ),
];

impl RunAverage {
    /// The averages of this crate.
    pub const FORMS: [Listing; 3] = [
        Listing::new(
            "ema",
            &EMA,
            "e = d e + (1 - d) w after each step, from the first weights on; d is decay, or while it warms up \
             min(decay, (1 + t) / (10 + t)) in step t = 0, 1, ...",
        ),
        Listing::new(
            "swa",
            &SWA,
            "mean of w after each epoch from start on, and w itself before (Izmailov et al. 2018); batch norm's running \
             statistics are then those of a pass over the training images",
        ),
        Listing::new(
            "lookahead",
            &LOOKAHEAD,
            "after every so many steps, and the last of T, e = d e + (1 - d) w and then w = e, where d is decay (t / T)^power \
             after t steps (Zhang et al. 2019, whose slow step is 1 - decay; growing: Jordan 2024)",
        ),
    ];

    /// The average over the steps of a run.
    pub fn resolve(&self, steps_per_epoch: u64, total_steps: u64) -> Averaging {
        match *self {
            RunAverage::Ema { decay, warmup, .. } => Averaging::Ema { decay, warmup },
            RunAverage::Swa { .. } => {
                let first = self.first_epoch(total_steps / steps_per_epoch.max(1)).unwrap_or(1);
                Averaging::Swa { start: (first * steps_per_epoch).saturating_sub(1), every: steps_per_epoch }
            }
            RunAverage::Lookahead { every, decay, power } => {
                Averaging::Lookahead { every, decay, power, steps: total_steps }
            }
        }
    }

    /// The first epoch, counted from 1, after which the weights are in the mean, where it is one of epochs.
    pub fn first_epoch(&self, epochs: u64) -> Option<u64> {
        match *self {
            RunAverage::Ema { .. } | RunAverage::Lookahead { .. } => None,
            // A share such as 0.55 of 100 epochs is 55 of them, though its product is a little more.
            RunAverage::Swa { start } => Some(((start * epochs as f64 - 1e-9).ceil() as u64).max(1)),
        }
    }
}

impl fmt::Display for RunAverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunAverage::Ema { decay, warmup, statistics } => {
                write!(f, "ema:decay={decay},warmup={warmup},statistics={statistics}")
            }
            RunAverage::Swa { start } => write!(f, "swa:start={start}"),
            RunAverage::Lookahead { every, decay, power } => {
                write!(f, "lookahead:every={every},decay={decay},power={power}")
            }
        }
    }
}

impl FromStr for RunAverage {
    type Err = AverageError;

    fn from_str(text: &str) -> Result<Self, AverageError> {
        let syntax = |reason: String| AverageError::Syntax { text: excerpt(text), reason };
        let (name, list) = text.split_once(':').unwrap_or((text, ""));
        let read = |attributes: &'static [Attribute]| Values::read(attributes, list).map_err(syntax);
        match name.trim() {
            "ema" => read(&EMA).map(|of| RunAverage::Ema {
                decay: of.number("decay"),
                warmup: of.flag("warmup"),
                statistics: of.flag("statistics"),
            }),
            "swa" => read(&SWA).map(|of| RunAverage::Swa { start: of.number("start") }),
            "lookahead" => read(&LOOKAHEAD).map(|of| RunAverage::Lookahead {
                every: of.count("every"),
                decay: of.number("decay"),
                power: of.number("power"),
            }),
            name => Err(AverageError::Unknown { name: excerpt(name) }),
        }
    }
}

as_text!(RunAverage, AverageError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back_as_it_is_written() {
        for form in RunAverage::FORMS {
            let average: RunAverage = form.text().parse().unwrap();
            assert_eq!(average.to_string(), form.text());
        }
        assert_eq!("ema".parse(), Ok(RunAverage::Ema { decay: 0.999, warmup: true, statistics: true }));
        assert_eq!(
            "ema:warmup=false,decay=1,statistics=false".parse(),
            Ok(RunAverage::Ema { decay: 1.0, warmup: false, statistics: false })
        );
        assert_eq!("swa:start=0".parse(), Ok(RunAverage::Swa { start: 0.0 }));
    }

    #[test]
    fn what_is_no_average_is_told_with_its_value_and_the_rule() {
        let told = |text: &str| text.parse::<RunAverage>().unwrap_err().to_string();
        assert!(told("polyak").contains("no average `polyak`; known are ema, swa and lookahead"), "{}", told("polyak"));
        for decay in ["1.1", "-0.1", "nan", "inf", "true"] {
            assert!(told(&format!("ema:decay={decay}")).contains("must be a number from 0 to 1"), "{decay}");
        }
        for start in ["1", "-0.5", "nan", "half"] {
            assert!(
                told(&format!("swa:start={start}")).contains("must be a number of at least 0 and below 1"),
                "{start}"
            );
        }
        assert!(told("ema:warmup=2").contains("warmup is 2, but must be true or false"));
        assert!(told("swa:decay=0.9").contains("no attribute `decay`"));
    }

    #[test]
    fn the_decay_warms_up_and_then_stays() {
        let ema = Averaging::Ema { decay: 0.5, warmup: true };
        let shares = [0, 1, 8, 100].map(|step| ema.share(step));
        assert_eq!(shares, [1.0 - 1.0 / 10.0, 1.0 - 2.0 / 11.0, 0.5, 0.5]);
        assert_eq!(Averaging::Ema { decay: 0.75, warmup: false }.share(0), 0.25);
    }

    #[test]
    fn the_mean_takes_the_weights_of_the_last_epochs_alike() {
        // 4 epochs of 3 steps, the mean from half of them on: after epochs 2, 3 and 4.
        let swa = RunAverage::Swa { start: 0.5 }.resolve(3, 12);
        let shares: Vec<f64> = (0..12).map(|step| swa.share(step)).collect();
        assert_eq!(shares, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.5, 0.0, 0.0, 1.0 / 3.0]);
        let first = |start, epochs| RunAverage::Swa { start }.first_epoch(epochs);
        assert_eq!([first(0.0, 5), first(0.75, 4), first(0.55, 100), first(0.99, 3)], [1, 3, 55, 3].map(Some));
    }

    #[test]
    fn lookahead_goes_back_to_the_average_every_few_steps_and_at_the_end() {
        let average: RunAverage = "lookahead:every=2,decay=0.8,power=1".parse().unwrap();
        let lookahead = average.resolve(5, 5);
        let steps: Vec<(f64, Option<bool>)> =
            (0..5).map(|step| (lookahead.share(step), lookahead.takes_back(step))).collect();
        let [early, late] = [1.0 - 0.8 * 0.4, 1.0 - 0.8 * 0.8];
        let (stays, back) = (Some(false), Some(true));
        assert_eq!(steps, [(0.0, stays), (early, back), (0.0, stays), (late, back), (0.0, back)]);
        assert_eq!(Averaging::Ema { decay: 0.9, warmup: false }.takes_back(4), None);
    }
}
