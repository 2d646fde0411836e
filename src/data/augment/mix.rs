//! Mixup (Zhang et al. 2018) and CutMix (Yun et al. 2019), as torchvision's `MixUp` and `CutMix` draw them: a batch is mixed
//! with itself, moved on by one image.

use super::{Change, Form, Stage};
use crate::attribute::{Attribute, Listing, Range, Takes, Values};
use crate::ops::MixImages;
use crate::random::SplitMix64;

const P: Attribute = Attribute::new("p", Takes::Number(1.0, Range::UpToOne), "probability that a batch is mixed");
const ABOUT_ALPHA: &str = "the share of an image is drawn from Beta(alpha, alpha)";

static OF_MIXUP: [Attribute; 2] = [Attribute::new("alpha", Takes::Number(0.2, Range::Positive), ABOUT_ALPHA), P];
static OF_CUTMIX: [Attribute; 2] = [Attribute::new("alpha", Takes::Number(1.0, Range::Positive), ABOUT_ALPHA), P];

pub(super) static MIXUP: Form = Form {
    listing: Listing::new(
        "mixup",
        &OF_MIXUP,
        "each image of a batch is blended with the one before it, and so are labels",
    ),
    stage: Stage::Batch,
    read: |values| Ok(Change::Batch(Mix::of(values, false))),
};

pub(super) static CUTMIX: Form = Form {
    listing: Listing::new(
        "cutmix",
        &OF_CUTMIX,
        "a box of each image of a batch is that of the one before it, and labels are blended by area; with `mixup`, one \
         of both is drawn for each batch",
    ),
    stage: Stage::Batch,
    read: |values| Ok(Change::Batch(Mix::of(values, true))),
};

/// How a batch is mixed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mix {
    is_cut: bool,
    alpha: f64,
    p: f64,
}

/// What is drawn for a batch whose images are mixed, each with the one before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixture {
    /// What [`MixImages`] takes.
    pub numbers: [f32; MixImages::NUMBERS],
    /// `[rows]`: the label with the larger share in each image.
    pub labels: Vec<u32>,
    /// `[rows]`: the label with the smaller share.
    pub others: Vec<u32>,
    /// The shares of `labels` and of `others`, which add up to 1.
    pub shares: [f32; 2],
}

impl Mix {
    fn of(values: &Values, is_cut: bool) -> Mix {
        Mix { is_cut, alpha: values.number("alpha"), p: values.number("p") }
    }

    /// For a batch of images of `size` (height, width).
    pub(super) fn draw(&self, random: &mut SplitMix64, size: [usize; 2], labels: &[u32]) -> Mixture {
        let is_mixed = random.uniform() < self.p;
        let share = beta(random, self.alpha);
        let [height, width] = size.map(|side| side as f64);
        let (share, numbers) = match (is_mixed, self.is_cut) {
            (false, _) => (1.0, [0.0; MixImages::NUMBERS]),
            (true, false) => (share, [0.0, 0.0, height, width, share]),
            (true, true) => {
                // Half a box whose area is what is left of the image, about a random pixel.
                let reach = 0.5 * (1.0 - share).sqrt();
                let sides = size.map(|side| {
                    let (center, half) = (random.below(side), (reach * side as f64) as usize);
                    [center.saturating_sub(half) as f64, (center + half).min(side) as f64]
                });
                let [[top, bottom], [left, right]] = sides;
                let area = (bottom - top) * (right - left);
                (1.0 - area / (height * width), [top, left, bottom - top, right - left, 0.0])
            }
        };
        let mut before = labels.to_vec();
        before.rotate_right(1.min(labels.len()));
        let [larger, other] = [share.max(1.0 - share), share.min(1.0 - share)];
        let (labels, others) = if share >= 0.5 { (labels.to_vec(), before) } else { (before, labels.to_vec()) };
        let numbers = numbers.map(|number| number as f32);
        Mixture { numbers, labels, others, shares: [larger as f32, other as f32] }
    }
}

/// Beta(alpha, alpha): the share of one of two equal gamma variates in their sum. By logarithms, since those of a small alpha
/// are too small for a float.
fn beta(random: &mut SplitMix64, alpha: f64) -> f64 {
    let [one, other] = [(); 2].map(|()| log_gamma_variate(random, alpha));
    1.0 / (1.0 + (other - one).exp())
}

/// The logarithm of a gamma variate of this shape (Marsaglia and Tsang 2000).
fn log_gamma_variate(random: &mut SplitMix64, shape: f64) -> f64 {
    // One of shape + 1 times u^(1 / shape) has that shape.
    let boost = (1.0 - random.uniform()).ln() / shape;
    let d = shape + 2.0 / 3.0;
    loop {
        let x = random.normal();
        let v = (1.0 + x / (9.0 * d).sqrt()).powi(3);
        let u = 1.0 - random.uniform();
        if v > 0.0 && u.ln() < 0.5 * x * x + d - d * v + d * v.ln() {
            return (d * v).ln() + boost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(mix: Mix, count: u64) -> Vec<Mixture> {
        (0..count).map(|key| mix.draw(&mut SplitMix64::keyed(&[3, key]), [8, 12], &[0, 1, 2])).collect()
    }

    #[test]
    fn shares_are_those_of_a_beta_distribution() {
        for (alpha, variance) in [(0.01, 0.25 / 1.02), (0.2, 0.25 / 1.4), (1.0, 1.0 / 12.0), (4.0, 0.25 / 9.0)] {
            let mut random = SplitMix64::new(5);
            let shares: Vec<f64> = (0..20_000).map(|_| beta(&mut random, alpha)).collect();
            let mean = shares.iter().sum::<f64>() / 20_000.0;
            let found = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / 20_000.0;
            assert!((mean - 0.5).abs() < 0.012 && (found / variance - 1.0).abs() < 0.03, "{alpha}: {mean}, {found}");
        }
    }

    #[test]
    fn labels_have_the_shares_of_their_pixels_and_the_larger_one_comes_first() {
        for is_cut in [false, true] {
            for mixture in drawn(Mix { is_cut, alpha: 1.0, p: 1.0 }, 300) {
                let [top, left, height, width, share] = mixture.numbers;
                assert!(top >= 0.0 && left >= 0.0 && top + height <= 8.0 && left + width <= 12.0, "{mixture:?}");
                let own = 1.0 - (1.0 - share) * height * width / 96.0;
                let (labels, others) = ([0, 1, 2], [2, 0, 1]);
                let expected = if own >= 0.5 { (labels, others) } else { (others, labels) };
                assert_eq!((&mixture.labels[..], &mixture.others[..]), (&expected.0[..], &expected.1[..]));
                assert!((mixture.shares[0] - own.max(1.0 - own)).abs() < 1e-6, "{mixture:?}");
                assert!((mixture.shares[0] + mixture.shares[1] - 1.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_batch_is_left_alone_as_often_as_p_says() {
        let all = drawn(Mix { is_cut: true, alpha: 1.0, p: 0.25 }, 1000);
        let whole = all.iter().filter(|mixture| mixture.numbers == [0.0; 5] && mixture.shares == [1.0, 0.0]).count();
        assert!((700..800).contains(&whole), "{whole}");
    }
}
