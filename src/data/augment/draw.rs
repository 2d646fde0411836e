//! What is drawn for an image.

use crate::random::SplitMix64;

/// Where the numbers of an image come from.
pub(super) struct Draw {
    /// Another for each seed, epoch, image and place in the list.
    pub random: SplitMix64,
    /// Height and width.
    pub size: [usize; 2],
    /// The same in every epoch.
    pub of_image: SplitMix64,
    pub epoch: u64,
}

impl Draw {
    /// Uniform in the range.
    pub(super) fn within(&mut self, [low, high]: [f64; 2]) -> f64 {
        low + (high - low) * self.random.uniform()
    }

    /// One of the whole numbers from `low` to `high`, both included.
    pub(super) fn whole(&mut self, low: i64, high: i64) -> f32 {
        (low + self.random.below((high - low + 1).max(1) as usize) as i64) as f32
    }

    pub(super) fn is_likely(&mut self, p: f64) -> bool {
        self.random.uniform() < p
    }

    /// Height and width of a box with a share of the image's area in `scale`, and a ratio of width to height in `ratio`,
    /// both drawn anew up to ten times, as torchvision does, until `fits` is satisfied.
    pub(super) fn sides(
        &mut self,
        scale: [f64; 2],
        ratio: [f64; 2],
        fits: impl Fn([usize; 2]) -> bool,
    ) -> Option<[usize; 2]> {
        let area = (self.size[0] * self.size[1]) as f64;
        (0..10).find_map(|_| {
            let area = area * self.within(scale);
            let ratio = self.within(ratio.map(f64::ln)).exp();
            let sides = [(area / ratio).sqrt(), (area * ratio).sqrt()].map(|side| side.round() as usize);
            Some(sides).filter(|&sides| fits(sides))
        })
    }
}
