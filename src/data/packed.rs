//! A batch on its way to a device, in bytes.

use super::augment::Given;
use super::{Batches, DataError, IGNORED_LABEL, Mixture, Normalization, View};
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
    /// The bytes of images of `image_len` bytes each, which have no label.
    pub(crate) fn of_bytes(images: &[u8], image_len: usize, normalization: &Normalization) -> PackedBatch {
        let length = UnpackImages::words(image_len);
        let mut words = Vec::with_capacity(images.len() / 4 + 1);
        for image in images.chunks(image_len.max(1)) {
            let end = words.len() + length;
            words.extend(image.chunks(4).map(|bytes| {
                let mut all = [0; 4];
                all[..bytes.len()].copy_from_slice(bytes);
                u32::from_le_bytes(all)
            }));
            words.resize(end, 0);
        }
        let labels = vec![IGNORED_LABEL; words.len() / length.max(1)];
        PackedBatch { words, labels, draws: Vec::new(), mixture: None, normalization: normalization.numbers() }
    }

    /// Its images of the `shape` (channels, height, width), each seen as `view` has it, and as they are otherwise.
    pub(crate) fn seen(&self, view: View, [channels, height, width]: [usize; 3]) -> PackedBatch {
        let mut seen = self.clone();
        let length = UnpackImages::words(channels * height * width);
        if view != View::default() {
            let images = seen.words.par_chunks_exact_mut(length.max(1)).zip(self.words.par_chunks_exact(length.max(1)));
            images.for_each(|(to, from)| {
                let bytes: Vec<u8> = from.iter().flat_map(|word| word.to_le_bytes()).collect();
                let to: &mut [u8] = bytemuck::cast_slice_mut(to);
                let plane = (height * width).max(1);
                for (from, to) in bytes.chunks_exact(plane).zip(to.chunks_exact_mut(plane)).take(channels) {
                    view.write(from, to, [height, width]);
                }
            });
            seen.words.iter_mut().for_each(|word| *word = u32::from_le(*word));
        }
        seen
    }

    /// Batch `batch_index` of a pass.
    ///
    /// # Errors
    /// When an image cannot be read.
    pub(super) fn of(batches: &Batches<'_>, batch_index: usize) -> Result<PackedBatch, DataError> {
        let (dataset, indices) = (batches.dataset, batches.indices(batch_index));
        let first = batch_index.saturating_mul(batches.batch_size());
        let length = UnpackImages::words(dataset.image_len());
        let mut words = vec![0; indices.len() * length];
        words.par_chunks_exact_mut(length.max(1)).zip(indices).try_for_each(|(words, &index)| {
            let bytes = &mut bytemuck::cast_slice_mut(words)[..dataset.image_len()];
            dataset.read_image(index as usize, bytes)?;
            words.iter_mut().for_each(|word| *word = u32::from_le(*word));
            Ok::<(), DataError>(())
        })?;
        // Batches are mixed after all else.
        let size = batches.given.last().map_or([dataset.height, dataset.width], |last| last.size);
        let labels: Vec<u32> = indices.iter().map(|&index| dataset.labels[index as usize]).collect();
        let keys = [batches.seed, batches.epoch, batch_index as u64];
        let drawn = batches.given.iter().enumerate().flat_map(|(place, Given { size, columns })| {
            let mut draws: Vec<Vec<f32>> = columns.iter().map(|_| Vec::new()).collect();
            let mut row = vec![0.0; columns.iter().sum()];
            for (at, &index) in indices.iter().enumerate() {
                let drawn = if batches.repeats { first + at } else { index as usize };
                batches.augmentations.draw(place, [batches.seed, batches.epoch, drawn as u64], *size, &mut row);
                let mut rest = &row[..];
                for (draws, &columns) in draws.iter_mut().zip(columns) {
                    let (own, after) = rest.split_at(columns);
                    draws.extend_from_slice(own);
                    rest = after;
                }
            }
            draws
        });
        Ok(PackedBatch {
            draws: drawn.collect(),
            mixture: batches.augmentations.draw_mixture(keys, size, &labels),
            labels,
            normalization: batches.normalization.numbers(),
            words,
        })
    }
}
