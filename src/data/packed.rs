//! A batch on its way to a device, in bytes.

use super::Batches;
use crate::ops::UnpackImages;
use rayon::prelude::*;

/// Images of a batch in bytes, with their labels, and what is drawn for each.
#[derive(Clone, Debug, PartialEq)]
pub struct PackedBatch {
    /// `[rows, words]` of u32: four bytes a word, the first in the lowest bits; an image begins at a word of its own.
    pub words: Vec<u32>,
    /// `[rows]`.
    pub labels: Vec<u32>,
    /// `[rows, columns]` for each [change](super::Augmentations) that images are given.
    pub draws: Vec<Vec<f32>>,
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
        let draws = batches.columns.iter().enumerate().map(|(place, &columns)| {
            let mut all = vec![0.0; indices.len() * columns];
            for (at, (row, &index)) in all.chunks_exact_mut(columns).zip(indices).enumerate() {
                let drawn = if batches.repeats { first + at } else { index as usize };
                batches.augmentations.draw(place, [batches.seed, batches.epoch, drawn as u64], size, row);
            }
            all
        });
        PackedBatch {
            labels: indices.iter().map(|&index| dataset.labels[index as usize]).collect(),
            draws: draws.collect(),
            normalization: batches.normalization.numbers(),
            words,
        }
    }
}
