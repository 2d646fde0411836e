//! Images without a download: a pattern of the class plus noise. Learnable, and the same on every
//! machine, since only integers are involved.

use rayon::prelude::*;

use super::error::DataError;
use super::{Dataset, Splits, allocate};
use crate::random::SplitMix64;

/// How many training images there are when the source does not say.
pub(super) const DEFAULT_COUNT: usize = 1000;

/// Cells of a pattern from side to side.
const CELLS: usize = 4;

/// The shape of a synthetic data set. The test set is a fifth of `count`, at least one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synthetic {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub classes: usize,
    /// Training images.
    pub count: usize,
}

impl Synthetic {
    /// # Errors
    /// When the images do not fit into memory.
    pub(crate) fn load(&self, name: &str) -> Result<Splits, DataError> {
        let train = self.dataset(format!("{name} (train)"), 0, self.count)?;
        Ok(Splits::new(train, self.dataset(format!("{name} (test)"), 1, (self.count / 5).max(1))?))
    }

    /// The splits have the same patterns and different noise. Classes take turns.
    fn dataset(&self, name: String, split: u64, count: usize) -> Result<Dataset, DataError> {
        let Self { channels, height, width, classes, .. } = *self;
        let factors = [count, channels, height, width].map(|factor| factor as u128);
        let bytes = factors.iter().try_fold(1_u128, |product, &factor| product.checked_mul(factor));
        let mut images = allocate(bytes.unwrap_or(u128::MAX), &name)?;
        images.par_chunks_exact_mut(channels * height * width).enumerate().for_each(|(index, image)| {
            let mut noise = SplitMix64::keyed(&[split, index as u64]);
            for (channel, plane) in image.chunks_exact_mut(height * width).enumerate() {
                let cells = pattern(index % classes, channel);
                for (at, value) in plane.iter_mut().enumerate() {
                    let (y, x) = (at / width, at % width);
                    let cell = cells[y * CELLS / height][x * CELLS / width];
                    // 64..=191 minus 64 plus 0..=127 stays within a byte.
                    *value = cell - 64 + noise.below(128) as u8;
                }
            }
        });
        let labels = (0..count).map(|index| (index % classes) as u32).collect();
        let classes = (0..classes).map(|class| class.to_string()).collect();
        Ok(Dataset { name, channels, height, width, classes, images, labels })
    }
}

/// One value a cell, 64 to 191, drawn from the class and the channel alone.
fn pattern(class: usize, channel: usize) -> [[u8; CELLS]; CELLS] {
    let mut random = SplitMix64::keyed(&[class as u64, channel as u64, CELLS as u64]);
    std::array::from_fn(|_| std::array::from_fn(|_| 64 + random.below(128) as u8))
}
