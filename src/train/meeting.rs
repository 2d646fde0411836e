//! What a batch norm has of a whole batch, of what all its shards have: the same on every member, however many there are.
//!
//! All shards' numbers are few. Every member gets all of them, and adds up in the order of the shards, in f64.

use super::TrainError;
use super::shards::Weight;
use crate::parallel::{Collective, ParallelError};
use crate::passes::SyncPoint;

/// Numbers of a channel in the coefficients of a backward pass, of which the last two are sums over the batch's elements.
const COEFFICIENTS: usize = 6;
const SUMS: usize = 2;

/// What the whole batch has at a point.
pub(super) struct Whole {
    /// For each of this member's shards: the values of each input that is taken in place of its own.
    pub taken: Vec<Vec<Vec<f32>>>,
    /// Mean and unbiased variance, for the running statistics.
    pub running: Option<[Vec<f32>; 2]>,
}

/// Meets the other members at a point, where the shards of this one, the first of which is `first`, have `own`.
///
/// # Errors
/// When another member fails.
pub(super) fn meet(
    group: &dyn Collective,
    point: &SyncPoint,
    own: Vec<Vec<f32>>,
    first: usize,
    weights: &[Weight],
) -> Result<Whole, TrainError> {
    let channels = point.channels;
    let sent: Vec<f32> = match point.running {
        Some(_) => own.concat(),
        None => own
            .iter()
            .flat_map(|own| own.chunks_exact(COEFFICIENTS).flat_map(|own| &own[COEFFICIENTS - SUMS..]))
            .copied()
            .collect(),
    };
    let mut all: Vec<f32> = Vec::with_capacity(SUMS * channels * weights.len());
    for (rank, bytes) in group.all_gather(bytemuck::cast_slice(&sent))?.iter().enumerate() {
        let given: Vec<f32> = bytemuck::pod_collect_to_vec(bytes);
        if !given.len().is_multiple_of(SUMS * channels) {
            let reason = format!("{} numbers of {channels} channels", given.len());
            return Err(ParallelError::Unreadable { rank, world: group.world(), reason }.into());
        }
        all.extend(given);
    }
    let shards: Vec<&[f32]> = all.chunks_exact(SUMS * channels).collect();
    if shards.len() != weights.len() {
        let reason = format!("{} shards, not {}", shards.len(), weights.len());
        return Err(ParallelError::Unreadable { rank: group.rank(), world: group.world(), reason }.into());
    }
    match &point.running {
        Some(running) => {
            let [mean, variance, unbiased] = statistics(&shards, channels, running.elements, weights);
            let taken = vec![vec![mean.clone(), variance]; own.len()];
            Ok(Whole { taken, running: Some([mean, unbiased]) })
        }
        None => {
            let sums = sums(&shards, channels);
            let taken = own.into_iter().zip(&weights[first.min(weights.len())..]);
            let taken = taken.map(|(own, weight)| vec![coefficients(own, &sums, weight.images / images(weights))]);
            Ok(Whole { taken: taken.collect(), running: None })
        }
    }
}

fn images(weights: &[Weight]) -> f64 {
    weights.iter().map(|weight| weight.images).sum()
}

/// Mean, biased and unbiased variance of each channel of a batch, of mean and biased variance of each shard (Chan, Golub and
/// LeVeque 1979). An image has so many `elements` of a channel.
fn statistics(shards: &[&[f32]], channels: usize, elements: usize, weights: &[Weight]) -> [Vec<f32>; 3] {
    let all = images(weights);
    let count = elements as f64 * all;
    let mut statistics = [Vec::new(), Vec::new(), Vec::new()];
    for channel in 0..channels {
        let parts = || {
            shards.iter().zip(weights).map(|(shard, weight)| {
                [weight.images / all, f64::from(shard[channel]), f64::from(shard[channels + channel])]
            })
        };
        let mean: f64 = parts().map(|[share, mean, _]| share * mean).sum();
        let variance: f64 =
            parts().map(|[share, own, variance]| share * (variance + (own - mean) * (own - mean))).sum();
        let unbiased = variance * count / (count - 1.0);
        statistics.iter_mut().zip([mean, variance, unbiased]).for_each(|(all, value)| all.push(value as f32));
    }
    statistics
}

/// The sums of the backward pass of each channel over all shards.
fn sums(shards: &[&[f32]], channels: usize) -> Vec<f64> {
    (0..SUMS * channels).map(|at| shards.iter().map(|shard| f64::from(shard[at])).sum()).collect()
}

/// A shard's coefficients with those sums. Its gradient divides them by its own elements, which have the `share` in those of
/// the batch.
fn coefficients(mut own: Vec<f32>, sums: &[f64], share: f64) -> Vec<f32> {
    for (own, sums) in own.chunks_exact_mut(COEFFICIENTS).zip(sums.chunks_exact(SUMS)) {
        let places = own[COEFFICIENTS - SUMS..].iter_mut();
        places.zip(sums).for_each(|(own, sum)| *own = (sum * share) as f32);
    }
    own
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statistics_of_shards_of_several_sizes_are_those_of_their_images_together() {
        // Images 1, 2 and 6 of one element: two in the first shard, one in the second.
        let weights = Weight::of_shards(&[2.0, 1.0], &[2.0, 1.0]);
        let [mean, variance, unbiased] = statistics(&[&[1.5, 0.25], &[6.0, 0.0]], 1, 1, &weights);
        assert_eq!((mean[0], variance[0], unbiased[0]), (3.0, 14.0 / 3.0, 7.0));
    }

    #[test]
    fn sums_of_the_batch_are_divided_such_that_a_shards_elements_make_them_means() {
        let sums = sums(&[&[1.0, 10.0], &[2.0, 20.0]], 1);
        assert_eq!(coefficients(vec![7.0, 8.0, 9.0, 6.0, 0.0, 0.0], &sums, 0.5), [7.0, 8.0, 9.0, 6.0, 1.5, 15.0]);
    }
}
