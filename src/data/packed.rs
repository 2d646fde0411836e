//! A batch on its way to a device, in bytes.

use super::{Batches, Mixture};
use crate::ops::UnpackImages;
use rayon::prelude::*;

/// Images of a batch in bytes, with their labels, and what is drawn for each.
#[derive(Clone, Debug, PartialEq)]
pub struct PackedBatch {
    /// `[rows, words]` of u32: four bytes a word, the first in the lowest bits; an image begins at a word of its own.
    pub words: Vec<u32>,
    /// `[rows]`.
    pub labels: Vec<u32>,
    /// `[rows, columns]` for each op of the [changes](super::Augmentations) that images are given.
    pub draws: Vec<Vec<f32>>,
    /// How they are mixed, where they are.
    pub mixture: Option<Mixture>,
    /// `[channels, 2]`: mean and deviation of each channel.
    pub normalization: Vec<f32>,
}

impl PackedBatch {
    /// Batch `batch_index` of a pass.
    pub(super) fn of(batches: &Batches<'_>, batch_index: usize) -> PackedBatch {
        let (dataset, indices) = (batches.dataset, batches.indices(batch_index));
        let first = batch_index.saturating_mul(batches.batch_size());
        let length = UnpackImages::words(dataset.image_len());
        let mut words = vec![0; indices.len() * length];
        words.par_chunks_exact_mut(length.max(1)).zip(indices).for_each(|(words, &index)| {
            for (word, bytes) in words.iter_mut().zip(dataset.image(index as usize).chunks(4)) {
                let mut all = [0; 4];
                all[..bytes.len()].copy_from_slice(bytes);
                *word = u32::from_le_bytes(all);
            }
        });
        let size = [dataset.height, dataset.width];
        let labels: Vec<u32> = indices.iter().map(|&index| dataset.labels[index as usize]).collect();
        let keys = [batches.seed, batches.epoch, batch_index as u64];
        let drawn = batches.columns.iter().enumerate().flat_map(|(place, columns)| {
            let mut draws: Vec<Vec<f32>> = columns.iter().map(|_| Vec::new()).collect();
            let mut row = vec![0.0; columns.iter().sum()];
            for (at, &index) in indices.iter().enumerate() {
                let drawn = if batches.repeats { first + at } else { index as usize };
                batches.augmentations.draw(place, [batches.seed, batches.epoch, drawn as u64], size, &mut row);
                let mut rest = &row[..];
                for (draws, &columns) in draws.iter_mut().zip(columns) {
                    let (own, after) = rest.split_at(columns);
                    draws.extend_from_slice(own);
                    rest = after;
                }
            }
            draws
        });
        PackedBatch {
            draws: drawn.collect(),
            mixture: batches.augmentations.draw_mixture(keys, size, &labels),
            labels,
            normalization: batches.normalization.numbers(),
            words,
        }
    }
}
