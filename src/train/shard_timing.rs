//! How long a step takes whose batch members share, and how much of it is the exchange of their sums.

use super::runner::Runner;
use super::shards::{OfStep, Shards, Weight};
use super::sums::Sums;
use super::{Resolved, TrainError};
use crate::data::{Batches, Dataset, Normalization, PackedBatch, Splits};
use crate::models::{self, ModelOptions};
use crate::parallel::{Collective, block};
use crate::random::splitmix64;
use crate::recipe::TrainConfig;
use crate::session::Device;
use crate::setting::BadSetting;
use std::time::{Duration, Instant};

/// Of the steps that one member made with the others.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ShardTiming {
    /// Seconds of a step: half of them took less.
    pub median: f64,
    /// A quarter of them took less, a quarter more.
    pub quartiles: [f64; 2],
    /// The share of the time, from 0 to 1, in which sums were exchanged, the wait for slower members included.
    pub exchange: f64,
    /// The same, while the device had nothing to do.
    pub exposed: f64,
    /// Bytes that the member sends in a step, and receives.
    pub sent: u64,
}

/// Steps before those that count, and how many and how long these are.
const FIRST: u64 = 2;
const STEPS: [u64; 2] = [7, 200];
const LONG_ENOUGH: f64 = 2.0;

/// Makes steps of `config`'s batch in so many shards as it says, of random images of the model's own size or of `size`,
/// (height, width). All members of the group call it; the weights stay as they begin.
///
/// # Errors
/// When there are fewer shards than members or than two, the model does not take its attributes or the size, or a device or
/// another member fails.
pub fn time_shards(
    config: &TrainConfig,
    classes: usize,
    size: Option<(usize, usize)>,
    device: &Device,
    group: &dyn Collective,
) -> Result<ShardTiming, TrainError> {
    super::together::expect_shards(config.shard_count(), group.world().max(2))?;
    let [channels, height, width] =
        models::find(&config.model)?.input(&ModelOptions::from(config.attributes.clone()))?;
    let (height, width) = size.unwrap_or((height, width));
    let splits = Splits::new(
        noise([channels, height, width], classes, config.batch)?,
        noise([channels, height, width], classes, classes)?,
    );
    let resolved = Resolved::of(config, config.batch)?;
    let mut runner = Runner::new(config, &splits, resolved, device)?;
    let mut shards = Shards::new(&runner)?;
    let batches = Batches::new(&splits.train, resolved.part(), &Normalization::of(&splits.train))?;
    let batches = batches.augmented(&config.augmentations()?)?;
    let parts = resolved.parts as usize;
    let images = vec![resolved.part() as f64; parts];
    let weights = Weight::of_shards(&images, &images);
    let own = block(parts, group.rank(), group.world());
    let own: Vec<PackedBatch> = own.map(|shard| batches.pack(shard)).collect::<Result<_, _>>()?;
    let sums: usize = runner.sums.iter().map(|Sums { elements, .. }| elements).sum();
    let mut step = |shards: &mut Shards, step: u64| -> Result<f64, TrainError> {
        let begin = Instant::now();
        let mut next = own.iter().cloned().cycle();
        let of_step = OfStep { first: step * resolved.parts, parts, weights: &weights };
        shards.step(&mut runner, group, of_step, || next.next().ok_or_else(no_shard))?;
        let update = runner.attached.inputs(step, 0.0);
        runner.run_update(&update)?;
        Ok(begin.elapsed().as_secs_f64())
    };
    let mut one = 0.0;
    for first in 0..FIRST {
        one = step(&mut shards, first)?;
    }
    let [least, most] = STEPS;
    let wanted = ((LONG_ENOUGH / one) as u64).clamp(least, most);
    // As many on all members.
    let told = group.broadcast(&wanted.to_le_bytes())?;
    let steps = told.try_into().map_or(least, u64::from_le_bytes);
    (shards.exchanging, shards.exposed) = (Duration::ZERO, Duration::ZERO);
    let mut seconds: Vec<f64> =
        (FIRST..FIRST + steps).map(|number| step(&mut shards, number)).collect::<Result<_, _>>()?;
    let all: f64 = seconds.iter().sum();
    seconds.sort_by(f64::total_cmp);
    let at = |share: f64| seconds[(share * (seconds.len() - 1) as f64).round() as usize];
    let world = group.world() as u64;
    Ok(ShardTiming {
        median: at(0.5),
        quartiles: [at(0.25), at(0.75)],
        exchange: shards.exchanging.as_secs_f64() / all,
        exposed: shards.exposed.as_secs_f64() / all,
        sent: 2 * (world - 1) * 4 * sums as u64 / world,
    })
}

fn no_shard() -> TrainError {
    BadSetting::new("shards", 0, "at least one for each member").into()
}

/// Random images of each class in turn.
fn noise(shape: [usize; 3], classes: usize, count: usize) -> Result<Dataset, TrainError> {
    let bytes = (0..count * shape.iter().product::<usize>()).map(|at| splitmix64(at as u64 + 1) as u8).collect();
    let labels = (0..count).map(|image| (image % classes) as u32).collect();
    let names = (0..classes).map(|class| class.to_string()).collect();
    Ok(Dataset::new("noise", shape, names, bytes, labels)?)
}
