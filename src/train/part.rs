//! One run of a step, or of a part or shard of it, with what goes in and comes out.

use super::TrainError;
use super::feed::{Feed, Targets};
use super::graphs::{LOSS_SHARE, METRICS};
use super::sums::Sums;
use crate::nn::STEP_NUMBERS;
use crate::optim::{Attached, PART_SHARE};
use crate::passes::SyncPoint;
#[cfg(blocking)]
use crate::session::Pending;
use crate::session::{Input, Output, Program};

/// A step or a part of one.
pub(super) struct Part {
    pub program: Program,
    pub images: Feed,
    pub targets: Targets,
    pub numbers: Input,
    pub metrics: Output,
    pub then: Then,
    /// Of a shard: what it gives for each of the sums.
    sums: Vec<Vec<Output>>,
    /// Of a shard: where it waits for the others.
    points: Vec<Point>,
}

/// What a part takes besides its images.
pub(super) enum Then {
    /// What [`Attached::inputs`] gives: it is a whole step.
    Update(Vec<Input>),
    /// The share that its images have in those of the step so far.
    Share(Input),
    /// Nothing, or the share of its loss in that of the batch, as a shard.
    Shard(Option<Input>),
}

/// Where a shard gives something of its own, and takes what the batch has.
struct Point {
    given: Vec<Output>,
    taken: Vec<Input>,
}

impl Part {
    /// `attached` is the update, where it is part of the program; `sums` and `points` are those of a shard.
    pub(super) fn new(
        program: Program,
        attached: Option<&Attached>,
        sums: &[Sums],
        points: &[SyncPoint],
    ) -> Result<Part, TrainError> {
        let outputs = |names: &[String]| names.iter().map(|name| program.output(name)).collect::<Result<Vec<_>, _>>();
        let inputs = |names: &[String]| names.iter().map(|name| program.input(name)).collect::<Result<Vec<_>, _>>();
        let sum = |sums: &Sums| outputs(&sums.outputs);
        let point = |point: &SyncPoint| {
            Ok::<_, TrainError>(Point { given: outputs(&point.given)?, taken: inputs(&point.taken)? })
        };
        Ok(Part {
            images: Feed::of(&program)?,
            targets: Targets::of(&program)?,
            numbers: program.input(STEP_NUMBERS)?,
            metrics: program.output(METRICS)?,
            then: match attached {
                Some(attached) => Then::Update(update_inputs(&program, attached)?),
                None if sums.is_empty() => Then::Share(program.input(PART_SHARE)?),
                None => Then::Shard(program.input(LOSS_SHARE).ok()),
            },
            sums: sums.iter().map(sum).collect::<Result<_, _>>()?,
            points: points.iter().map(point).collect::<Result<_, _>>()?,
            program,
        })
    }

    /// Lets the device run on to what the shard gives at a point, and reads that.
    ///
    /// # Errors
    /// When the device fails.
    #[cfg(blocking)]
    pub(super) fn run_to_point(&mut self, place: usize) -> Result<Pending, TrainError> {
        let given = &self.points[place].given;
        self.program.run_to(given)?;
        Ok(self.program.read_all(given)?)
    }

    /// Gives the shard what the batch has at a point.
    ///
    /// # Errors
    /// When the size is another.
    #[cfg(blocking)]
    pub(super) fn take_at_point(&mut self, place: usize, values: &[Vec<f32>]) -> Result<(), TrainError> {
        for (&input, values) in self.points[place].taken.iter().zip(values) {
            self.program.write(input, values)?;
        }
        Ok(())
    }

    /// Lets the device run on to what the shard gives for some of the sums, and reads that, with the first sums the metrics
    /// of the last runs after it.
    ///
    /// # Errors
    /// When the device fails.
    #[cfg(blocking)]
    pub(super) fn run_to_sums(&mut self, place: usize) -> Result<Pending, TrainError> {
        let metrics = (place == 0).then_some(self.metrics);
        let outputs: Vec<Output> = self.sums[place].iter().copied().chain(metrics).collect();
        self.program.run_to(&outputs)?;
        Ok(self.program.read_all(&outputs)?)
    }
}

/// The inputs of an update, in the order of [`Attached::inputs`].
pub(super) fn update_inputs(program: &Program, attached: &Attached) -> Result<Vec<Input>, TrainError> {
    attached.inputs(0, 0.0).iter().map(|(name, _)| Ok(program.input(name)?)).collect()
}
