//! `tilewright train --overfit`: whether a network learns a few images by heart.

use super::interrupt::on_interrupt;
use super::{CliError, Global};
use serde_json::json;
use tilewright::recipe::TrainConfig;
use tilewright::session::Device;
use tilewright::train::{Overfit, OverfitOutcome};

/// Trains on a few images and says whether they were learned; status 1 where they were not.
pub(super) fn overfit(
    overfit: Overfit,
    config: &TrainConfig,
    device: &Device,
    global: &Global,
) -> Result<(), CliError> {
    let stop = on_interrupt()?;
    let outcome = overfit.run(config, device, &stop, &mut global.reporter())?;
    let OverfitOutcome { learned, images, steps, first_loss, loss, threshold, accuracy, .. } = outcome;
    global.say(match learned {
        true => format!(
            "passed: {images} images are learned by heart in {steps} steps, with a loss of {loss:.4} that was \
             {first_loss:.4}: images, labels, network, loss and optimizer work together"
        ),
        false => format!(
            "failed: {images} images are not learned by heart in {steps} steps: the loss is {loss:.4}, was {first_loss:.4}, \
             and should be at most {threshold:.4}, and {:.0} of the images are told rightly. {}",
            accuracy * images as f64,
            remedy(&outcome, config)
        ),
    });
    global.result(&json!({
        "learned": learned,
        "images": images,
        "steps": steps,
        "first_loss": first_loss,
        "loss": loss,
        "threshold": threshold,
        "accuracy": accuracy,
    }));
    if learned { Ok(()) } else { Err(CliError::Judged) }
}

/// What to look at first.
fn remedy(outcome: &OverfitOutcome, config: &TrainConfig) -> String {
    let lr = config.lr;
    if !config.freeze.is_empty() {
        return format!("Layers are frozen (--freeze {}): train all of them first.", config.freeze.join(" --freeze "));
    }
    match outcome.loss {
        loss if !loss.is_finite() || loss > outcome.first_loss => format!("It grows: try an --lr smaller than {lr}."),
        loss if loss < 0.5 * outcome.first_loss => {
            format!("It falls: give it more --epochs, or try another --lr than {lr}, which `lr-find` looks for.")
        }
        _ => format!(
            "It hardly falls: try an --lr larger than {lr}, which `lr-find` looks for, and look at the labels and at what \
             the images are normalised by."
        ),
    }
}
