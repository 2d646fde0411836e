//! Times of kernels beside what the device can reach, as a row of a table for people.

use super::{Peak, Timing};
use crate::graph::Cost;

/// What stands over the cells of [`Measured::cells`].
pub const COLUMNS: [&str; 7] = ["kernel", "variant", "ms", "spread", "GFLOP/s", "GB/s", "share of peak"];

/// A graph that was timed.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// Sizes and pass.
    pub name: String,
    /// Which kernels it ran.
    pub variant: &'static str,
    /// How long it took.
    pub timing: Timing,
    /// Its work.
    pub cost: Cost,
}

impl Measured {
    /// Billions of floating point operations a second.
    pub fn gflops(&self) -> f64 {
        self.cost.flops as f64 / self.timing.median / 1e9
    }

    /// Billions of bytes a second, as if each were read or written once.
    pub fn gbs(&self) -> f64 {
        self.cost.bytes as f64 / self.timing.median / 1e9
    }

    /// The shortest time that the device could take, by the one that it took.
    pub fn share(&self, peak: &Peak) -> f64 {
        peak.bound(&self.cost) / self.timing.median
    }

    /// Under [`COLUMNS`].
    pub fn cells(&self, peak: &Peak) -> [String; 7] {
        [
            self.name.clone(),
            self.variant.to_owned(),
            format!("{:.3}", 1e3 * self.timing.median),
            self.timing.spread(),
            format!("{:.1}", self.gflops()),
            format!("{:.2}", self.gbs()),
            format!("{:.0} %", 100.0 * self.share(peak)),
        ]
    }
}

impl Timing {
    /// How far the quartiles are from the median, such as `-1/+2 %`.
    pub fn spread(&self) -> String {
        let share = |time: f64| 100.0 * (time / self.median - 1.0);
        format!("{:+.0}/{:+.0} %", share(self.quartiles[0]), share(self.quartiles[1]))
    }
}
