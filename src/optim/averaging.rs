//! Averages of the weights by name, and the share that each step's weights have in one.

use super::{Attribute, Listing, Range, Takes, Values};
use crate::attribute::excerpt;
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
/// assert_eq!(average.resolve(100, 4), Averaging::Swa { start: 299, every: 100 });
/// # Ok::<(), tilewright::optim::AverageError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[expect(missing_docs, reason = "the formula of each says what its attributes are")]
pub enum RunAverage {
    /// [`Averaging::Ema`].
    Ema { decay: f64, warmup: bool },
    /// The plain mean of the weights after each epoch from this share of the run on (Izmailov et al. 2018), as
    /// `torch.optim.swa_utils` has it.
    Swa { start: f64 },
}

/// An average that is not known, or does not take such attributes.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
#[expect(missing_docs, reason = "the messages say what each is")]
pub enum AverageError {
    #[error("there is no average `{name}`; known are ema and swa")]
    Unknown { name: String },
    #[error("`{text}` is not an average: {reason}; write it like `ema:decay=0.999` or `swa:start=0.75`")]
    Syntax { text: String, reason: String },
}

static EMA: [Attribute; 2] = [
    Attribute::new("decay", Takes::Number(0.999, Range::UpToOne), "share of the average that stays in each step"),
    Attribute::new("warmup", Takes::Flag(true), "less of it stays in the first steps"),
];
static SWA: [Attribute; 1] =
    [Attribute::new("start", Takes::Number(0.75, Range::BelowOne), "share of the run before the mean begins")];

impl RunAverage {
    /// The averages of this crate.
    pub const FORMS: [Listing; 2] = [
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
    ];

    /// The average over the steps of a run of so many epochs.
    pub fn resolve(&self, steps_per_epoch: u64, epochs: u64) -> Averaging {
        match *self {
            RunAverage::Ema { decay, warmup } => Averaging::Ema { decay, warmup },
            RunAverage::Swa { .. } => {
                let first = self.first_epoch(epochs).unwrap_or(1);
                Averaging::Swa { start: (first * steps_per_epoch).saturating_sub(1), every: steps_per_epoch }
            }
        }
    }

    /// The first epoch, counted from 1, after which the weights are in the mean, where it is one of epochs.
    pub fn first_epoch(&self, epochs: u64) -> Option<u64> {
        match *self {
            RunAverage::Ema { .. } => None,
            // A share such as 0.55 of 100 epochs is 55 of them, though its product is a little more.
            RunAverage::Swa { start } => Some(((start * epochs as f64 - 1e-9).ceil() as u64).max(1)),
        }
    }
}

impl fmt::Display for RunAverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunAverage::Ema { decay, warmup } => write!(f, "ema:decay={decay},warmup={warmup}"),
            RunAverage::Swa { start } => write!(f, "swa:start={start}"),
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
            "ema" => read(&EMA).map(|of| RunAverage::Ema { decay: of.number("decay"), warmup: of.flag("warmup") }),
            "swa" => read(&SWA).map(|of| RunAverage::Swa { start: of.number("start") }),
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
        assert_eq!("ema".parse(), Ok(RunAverage::Ema { decay: 0.999, warmup: true }));
        assert_eq!("ema:warmup=false,decay=1".parse(), Ok(RunAverage::Ema { decay: 1.0, warmup: false }));
        assert_eq!("swa:start=0".parse(), Ok(RunAverage::Swa { start: 0.0 }));
    }

    #[test]
    fn what_is_no_average_is_told_with_its_value_and_the_rule() {
        let told = |text: &str| text.parse::<RunAverage>().unwrap_err().to_string();
        assert!(told("polyak").contains("no average `polyak`; known are ema and swa"), "{}", told("polyak"));
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
        let swa = RunAverage::Swa { start: 0.5 }.resolve(3, 4);
        let shares: Vec<f64> = (0..12).map(|step| swa.share(step)).collect();
        assert_eq!(shares, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.5, 0.0, 0.0, 1.0 / 3.0]);
        let first = |start, epochs| RunAverage::Swa { start }.first_epoch(epochs);
        assert_eq!([first(0.0, 5), first(0.75, 4), first(0.55, 100), first(0.99, 3)], [1, 3, 55, 3].map(Some));
    }
}
