//! What a person should know of a run before its first step, and after it.

use crate::checkpoint::Header;
use crate::optim::LossFunction;
use crate::optim::schedule::Schedule;
use crate::recipe::TrainConfig;

/// Classes whose weights are told.
const MOST_WEIGHTS: usize = 12;

/// How often each class counts, where they do not count alike.
pub(super) fn weights_note(header: &Header, weights: Option<&[f32]>) -> Option<String> {
    let (asked, weights) = (header.config.class_weights.as_ref()?, weights?);
    let told = header.classes.iter().zip(weights).map(|(class, weight)| format!("{class} {weight:.4}"));
    let more = (weights.len() > MOST_WEIGHTS).then(|| format!("and {} more", weights.len() - MOST_WEIGHTS));
    let told: Vec<String> = told.take(MOST_WEIGHTS).chain(more).collect();
    Some(format!("the loss weighs each class (`{asked}`): {}", told.join(", ")))
}

/// What a person may not expect of a schedule in a run of so many steps.
pub(super) fn schedule_notes(schedule: &Schedule, total: u64) -> Vec<String> {
    let turn = schedule.turn().filter(|&turn| turn < total).map(|turn| {
        format!(
            "the schedule `{schedule}` is periodic: the learning rate rises again from step {turn} of {total}; without \
             T_max it ends with the run"
        )
    });
    let warmup = Some(schedule.warmup()).filter(|&warmup| warmup >= total).map(|warmup| {
        format!("the run of {total} steps ends within the {warmup} steps of warm-up of the schedule `{schedule}`")
    });
    turn.into_iter().chain(warmup).collect()
}

/// What the loss of the first step says of how the run starts, where it is far from that of guessing among all classes.
/// `heads` is how often the loss of a classifier counts, those of auxiliary ones added.
pub(super) fn first_loss(config: &TrainConfig, classes: usize, heads: f64, loss: f32) -> Option<String> {
    let is_told = matches!(config.loss, LossFunction::CrossEntropy | LossFunction::Nll);
    if !is_told || config.init.is_some() || !loss.is_finite() {
        return None;
    }
    let (loss, guessing) = (f64::from(loss), heads * (classes as f64).ln());
    let why = match loss {
        high if high > guessing + guessing.max(1.0) => {
            "the weights start too large, or the images are not normalised as they should be"
        }
        low if low < 0.5 * guessing => {
            "the labels show before anything is learned: one class has nearly all images, or the network starts with weights"
        }
        _ => return None,
    };
    Some(format!("the first loss is {loss:.3}, and guessing among {classes} classes costs {guessing:.3}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_loss_far_from_guessing_is_told_in_words() {
        let config = TrainConfig::default();
        let told = |heads, loss| first_loss(&config, 10, heads, loss);
        assert_eq!([told(1.0, 2.3), told(1.0, 3.5), told(1.6, 3.7)], [None, None, None]);
        assert_eq!(
            told(1.0, 23.0).unwrap(),
            "the first loss is 23.000, and guessing among 10 classes costs 2.303: the weights start too large, or the \
             images are not normalised as they should be"
        );
        assert!(told(1.0, 0.2).unwrap().contains("before anything is learned"));
        let other = TrainConfig { loss: LossFunction::Mse, ..TrainConfig::default() };
        assert_eq!(first_loss(&other, 10, 1.0, 23.0), None, "guessing costs something else");
    }
}
