//! Where a packed batch goes into a program of a training graph.

use super::TrainError;
use crate::data::PackedBatch;
use crate::session::{Input, Program};

/// Input of all graphs: bytes `[N, words]` of u32, or of an evaluation graph normalised images `[N, C, H, W]`.
pub(super) const IMAGES: &str = "images";
/// Input of graphs that take bytes, `[C, 2]`: mean and deviation of each channel.
pub(super) const NORMALIZATION: &str = "normalization";
/// Input of the training graph, `[5]`, where images are mixed: how.
pub(super) const MIXTURE: &str = "augment.mixture";
/// Input of the training graph, `[N]` of u32; of mixed images the label with the larger share.
pub(super) const LABELS: &str = "labels";
/// Input of the training graph, `[N]` of u32, where images are mixed.
pub(super) const OTHER_LABELS: &str = "other_labels";
/// Inputs of the training graph, `[1]` each, where images are mixed: the shares of labels and of other labels.
pub(super) const SHARES: [&str; 2] = ["share", "other_share"];

/// Input of the training graph for op `place` of the augmentations, `[N, columns]`.
pub(super) fn draws(place: usize) -> String {
    format!("augment.{place}")
}

/// Where the images of a graph that takes bytes go in.
pub(super) struct Feed {
    words: Input,
    normalization: Input,
    draws: Vec<Input>,
    mixture: Option<Input>,
}

/// Where their labels go in.
pub(super) struct Targets {
    labels: Input,
    /// Other labels, and the shares of both.
    others: Option<(Input, [Input; 2])>,
}

impl Feed {
    /// # Errors
    /// When the program is none of a graph that takes bytes.
    pub(super) fn of(program: &Program) -> Result<Feed, TrainError> {
        Ok(Feed {
            words: program.input(IMAGES)?,
            normalization: program.input(NORMALIZATION)?,
            draws: (0..).map_while(|place| program.input(&draws(place)).ok()).collect(),
            mixture: program.input(MIXTURE).ok(),
        })
    }

    /// # Errors
    /// When the batch has another size.
    pub(super) fn write(&self, program: &mut Program, batch: &PackedBatch) -> Result<(), TrainError> {
        program.write(self.words, &batch.words)?;
        program.write(self.normalization, &batch.normalization)?;
        for (&input, draws) in self.draws.iter().zip(&batch.draws) {
            program.write(input, draws)?;
        }
        if let (Some(input), Some(mixture)) = (self.mixture, &batch.mixture) {
            program.write(input, &mixture.numbers)?;
        }
        Ok(())
    }
}

impl Targets {
    /// # Errors
    /// When the program is none of a training graph.
    pub(super) fn of(program: &Program) -> Result<Targets, TrainError> {
        let others = match program.input(OTHER_LABELS) {
            Ok(others) => Some((others, [program.input(SHARES[0])?, program.input(SHARES[1])?])),
            Err(_) => None,
        };
        Ok(Targets { labels: program.input(LABELS)?, others })
    }

    /// # Errors
    /// When the batch has another size.
    pub(super) fn write(&self, program: &mut Program, batch: &PackedBatch) -> Result<(), TrainError> {
        let Some((others, shares)) = self.others else { return Ok(program.write(self.labels, &batch.labels)?) };
        let Some(mixture) = &batch.mixture else { unreachable!("batches are mixed where the graph mixes them") };
        program.write(self.labels, &mixture.labels)?;
        program.write(others, &mixture.others)?;
        for (input, share) in shares.into_iter().zip(mixture.shares) {
            program.write(input, &[share])?;
        }
        Ok(())
    }
}
