//! How parameters and buffers start, the same bits on every platform.

use crate::random::{SplitMix64, fnv1a64, splitmix64};

/// Distribution that the elements of a parameter start from.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Init {
    /// The same number everywhere.
    Constant(f32),
    /// Uniform in `[-bound, bound)`.
    Uniform {
        /// Largest magnitude.
        bound: f64,
    },
    /// Normal with mean 0.
    Normal {
        /// Standard deviation.
        std: f64,
    },
    /// Normal with mean 0, redrawn while outside of two standard deviations.
    TruncatedNormal {
        /// Standard deviation before the cut.
        std: f64,
    },
    /// Of a convolution's filters `[K, channels, kh, kw]`: the filter of each channel passes that channel on (1 at its
    /// centre, else 0), and those after them are uniform in `[-bound, bound)`.
    Dirac {
        /// Channels that a filter reads.
        channels: usize,
        /// (kh, kw).
        kernel: [usize; 2],
        /// Largest magnitude of the other filters.
        bound: f64,
    },
}

impl Init {
    /// Such as for a bias.
    pub const ZEROS: Init = Init::Constant(0.0);
    /// Such as for the weight of a norm.
    pub const ONES: Init = Init::Constant(1.0);

    /// LeCun et al. 1998: variance 1 / fan_in.
    pub fn lecun_normal(fan_in: usize) -> Init {
        Init::Normal { std: (1.0 / fan_in as f64).sqrt() }
    }

    /// Glorot and Bengio 2010: variance 2 / (fan_in + fan_out), uniform.
    pub fn xavier_uniform(fan_in: usize, fan_out: usize) -> Init {
        Init::Uniform { bound: (6.0 / (fan_in + fan_out) as f64).sqrt() }
    }

    /// Glorot and Bengio 2010: variance 2 / (fan_in + fan_out), normal.
    pub fn xavier_normal(fan_in: usize, fan_out: usize) -> Init {
        Init::Normal { std: (2.0 / (fan_in + fan_out) as f64).sqrt() }
    }

    /// He et al. 2015: variance 2 / fan, normal. `fan` is fan_in or fan_out.
    pub fn kaiming_normal(fan: usize) -> Init {
        Init::Normal { std: (2.0 / fan as f64).sqrt() }
    }

    /// He et al. 2015: variance 2 / fan, uniform.
    pub fn kaiming_uniform(fan: usize) -> Init {
        Init::Uniform { bound: (6.0 / fan as f64).sqrt() }
    }

    /// PyTorch's default for weights and biases of convolutions and linear layers:
    /// uniform within 1 / sqrt(fan_in).
    pub fn torch_default(fan_in: usize) -> Init {
        Init::Uniform { bound: 1.0 / (fan_in as f64).sqrt() }
    }

    /// `elements` values for the tensor `name` under `seed`: a tensor's values do not depend on the
    /// other tensors of the model.
    pub fn values(&self, name: &str, seed: u64, elements: usize) -> Vec<f32> {
        let mut rng = SplitMix64::new(fnv1a64(name.as_bytes()) ^ splitmix64(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)));
        match *self {
            Init::Constant(value) => vec![value; elements],
            Init::Uniform { bound } => (0..elements).map(|_| ((2.0 * rng.uniform() - 1.0) * bound) as f32).collect(),
            Init::Normal { std } => (0..elements).map(|_| (rng.normal() * std) as f32).collect(),
            Init::TruncatedNormal { std } => (0..elements)
                .map(|_| {
                    let mut draw = rng.normal();
                    while draw.abs() > 2.0 {
                        draw = rng.normal();
                    }
                    (draw * std) as f32
                })
                .collect(),
            Init::Dirac { channels, kernel: [height, width], bound } => {
                let (area, centre) = (height * width, height / 2 * width + width / 2);
                let value = |index: usize| {
                    let (filter, channel, place) = (index / (channels * area), index / area % channels, index % area);
                    let drawn = ((2.0 * rng.uniform() - 1.0) * bound) as f32;
                    match filter < channels {
                        true => f32::from(u8::from(channel == filter && place == centre)),
                        false => drawn,
                    }
                };
                (0..elements).map(value).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dirac_filters_pass_their_channels_on_and_the_others_are_drawn() {
        // As torch.nn.init.dirac_ fills weight[:2] of a weight [3, 2, 3, 3].
        let values = Init::Dirac { channels: 2, kernel: [3, 3], bound: 0.5 }.values("conv.weight", 1, 3 * 2 * 9);
        let ones: Vec<usize> = (0..36).filter(|&index| values[index] != 0.0).collect();
        assert_eq!((ones, values[4], values[31]), (vec![4, 2 * 9 + 9 + 4], 1.0, 1.0));
        assert!(values[36..].iter().all(|value| *value != 0.0 && value.abs() <= 0.5), "{values:?}");
    }

    /// Mean, standard deviation and largest magnitude of many values.
    fn statistics(init: Init) -> [f64; 3] {
        let values = init.values("layer.weight", 3, 200_000);
        let count = values.len() as f64;
        let mean = values.iter().map(|&x| f64::from(x)).sum::<f64>() / count;
        let variance = values.iter().map(|&x| (f64::from(x) - mean).powi(2)).sum::<f64>() / count;
        [mean, variance.sqrt(), values.iter().fold(0.0, |largest, &x| f64::max(largest, f64::from(x).abs()))]
    }

    #[test]
    fn every_named_init_has_its_papers_variance() {
        let (fan_in, fan_out) = (144, 288);
        let both = (fan_in + fan_out) as f64;
        for (name, init, variance) in [
            ("lecun_normal", Init::lecun_normal(fan_in), 1.0 / 144.0),
            ("xavier_normal", Init::xavier_normal(fan_in, fan_out), 2.0 / both),
            ("xavier_uniform", Init::xavier_uniform(fan_in, fan_out), 2.0 / both),
            ("kaiming_normal", Init::kaiming_normal(fan_in), 2.0 / 144.0),
            ("kaiming_uniform", Init::kaiming_uniform(fan_in), 2.0 / 144.0),
            // torch.nn.Conv2d.reset_parameters: kaiming_uniform with a = sqrt(5).
            ("torch_default", Init::torch_default(fan_in), 2.0 / ((1.0 + 5.0) * 144.0)),
            ("normal", Init::Normal { std: 0.02 }, 0.02 * 0.02),
            // A standard normal that is cut at two deviations has the variance 0.774.
            ("truncated_normal", Init::TruncatedNormal { std: 0.02 }, 0.773_741 * 0.02 * 0.02),
        ] {
            let [mean, std, _] = statistics(init);
            let want: f64 = variance;
            // The relative error of a deviation of n samples is about 1 / sqrt(2 n), here 0.0016.
            assert!((std / want.sqrt() - 1.0).abs() < 0.008, "{name}: {std}, not {}", want.sqrt());
            assert!(mean.abs() < 0.012 * want.sqrt(), "{name}: mean {mean}");
        }
    }

    #[test]
    fn uniform_and_truncated_values_stay_within_their_bounds() {
        for (init, bound) in [
            (Init::torch_default(100), 0.1),
            (Init::kaiming_uniform(600), 0.1),
            (Init::xavier_uniform(200, 400), 0.1),
            (Init::TruncatedNormal { std: 0.05 }, 0.1),
        ] {
            let [_, _, largest] = statistics(init);
            assert!(largest <= bound + 1e-7 && largest > 0.999 * bound, "{init:?}: {largest}");
        }
    }

    #[test]
    fn a_tensor_starts_the_same_whatever_else_the_model_has() {
        let values = |name: &str, seed| Init::Normal { std: 1.0 }.values(name, seed, 4);
        assert_eq!(values("a.weight", 1), values("a.weight", 1));
        assert_ne!(values("a.weight", 1), values("b.weight", 1));
        assert_ne!(values("a.weight", 1), values("a.weight", 2));
    }
}
