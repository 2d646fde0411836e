//! The largest part of a batch that the device has room for, where nobody said how large a part is.

use super::runner::Runner;
use super::{Resolved, TrainError};
use crate::data::Splits;
use crate::gpu::GpuError;
use crate::plan::PlanError;
use crate::recipe::TrainConfig;
use crate::session::{Device, SessionError};
use crate::setting::Setting;

/// What runs a configuration, and in how many parts.
pub(super) struct Fitted {
    pub runner: Runner,
    pub resolved: Resolved,
    /// What a person should know of the parts.
    pub note: Option<String>,
}

/// What runs `config` on `device`. A batch that does not fit is taken in parts: `config` then says of how many images, as
/// if that had been asked for. Most plans are refused before anything is allocated for them.
///
/// # Errors
/// When the model does not take such images, or the device cannot run it with any part.
pub(super) fn fitted(config: &mut TrainConfig, splits: &Splits, device: &Device) -> Result<Fitted, TrainError> {
    let whole = Resolved::of_data(config, &splits.train)?;
    let refused = match Runner::new(config, splits, whole, device) {
        Ok(runner) => return Ok(Fitted { runner, resolved: whole, note: None }),
        Err(refused) if config.micro_batch.is_none() && config.shard_count() == 1 && may_fit_in_parts(&refused) => {
            refused
        }
        Err(refused) => return Err(refused),
    };
    for part in (1..whole.batch).rev().filter(|&part| whole.batch.is_multiple_of(part)) {
        let in_parts = TrainConfig { micro_batch: Some(part), ..config.clone() };
        let resolved = Resolved::of_data(&in_parts, &splits.train)?;
        match Runner::new(&in_parts, splits, resolved, device) {
            Ok(runner) => {
                *config = in_parts;
                let note = format!(
                    "a batch of {} images does not fit into the device's memory: it is taken in {} parts, as with {}; batch \
                     normalisation sees one part at a time{}",
                    whole.batch,
                    resolved.parts,
                    Setting("micro_batch").to(part),
                    if config.recompute { String::new() } else { format!("; more fit with {}", Setting("recompute")) }
                );
                return Ok(Fitted { runner, resolved, note: Some(note) });
            }
            Err(reason) if may_fit_in_parts(&reason) => {}
            // As batch norm has none of a single value.
            Err(_) => break,
        }
    }
    Err(refused)
}

/// Whether fewer images at a time may do.
fn may_fit_in_parts(error: &TrainError) -> bool {
    match error {
        TrainError::Session(SessionError::Gpu(GpuError::Plan(PlanError::TensorTooLarge { .. }))) => true,
        TrainError::Session(error) => error.is_too_large(),
        _ => false,
    }
}
