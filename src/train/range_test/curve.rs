//! The curve of a range test: losses over learning rates, smoothed, and what they suggest.

use serde::Serialize;

/// Share of the past in the smoothed loss.
const SMOOTHING: f64 = 0.9;

/// A smoothed loss so many times the least ends the test.
const DIVERGED: f64 = 4.0;

/// Points on each side between which a slope is taken: one step's loss says more of its images than of the
/// learning rate.
const REACH: usize = 3;

/// A loss that falls by less than this share does not fall: it is the noise of the images.
const LEAST_FALL: f64 = 0.01;

/// One step of a range test.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RangePoint {
    /// Counted from 0.
    pub step: u64,
    /// Its learning rate.
    pub lr: f64,
    /// Mean loss of its batch, before the update.
    pub loss: f64,
    /// Exponential mean of the losses so far.
    pub smoothed: f64,
}

/// Learning rates read off a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suggestion {
    /// The smaller of `steepest` and a tenth of `minimum`.
    pub suggested: f64,
    /// Where the smoothed loss falls fastest, over the logarithm of the rate.
    pub steepest: f64,
    /// Where the smoothed loss is least: training is about to diverge there.
    pub minimum: f64,
}

/// The points of a range test, each at a larger learning rate than the one before.
#[derive(Clone, Debug, Default)]
pub struct RangeCurve {
    points: Vec<RangePoint>,
    /// Exponential mean that starts at 0, and so is too small by 1 - SMOOTHING^n.
    mean: f64,
}

impl RangeCurve {
    /// Takes in the loss of the next step. Says whether to go on: a loss that is not finite, which is not
    /// taken in, or whose mean has risen far above the least, ends the test.
    pub fn push(&mut self, lr: f64, loss: f64) -> bool {
        if !loss.is_finite() {
            return false;
        }
        let step = self.points.len() as u64;
        self.mean = SMOOTHING * self.mean + (1.0 - SMOOTHING) * loss;
        // Kingma and Ba 2015, section 3.
        let smoothed = self.mean / (1.0 - SMOOTHING.powf(step as f64 + 1.0));
        self.points.push(RangePoint { step, lr, loss, smoothed });
        smoothed <= self.highest()
    }

    /// In the order of their steps.
    pub fn points(&self) -> &[RangePoint] {
        &self.points
    }

    /// The point of the least smoothed loss.
    pub fn least(&self) -> Option<&RangePoint> {
        self.points.iter().min_by(|a, b| a.smoothed.total_cmp(&b.smoothed))
    }

    /// A loss above which the test ends, once it is the mean: so far up the curve says something.
    pub fn highest(&self) -> f64 {
        self.least().map_or(f64::INFINITY, |point| DIVERGED * point.smoothed)
    }

    /// Whether the loss still fell at the last rate, so that larger ones would show more.
    pub fn falls_at_its_end(&self) -> bool {
        self.least().is_some_and(|least| least.step as usize + REACH >= self.points.len())
    }

    /// What the curve suggests; nothing where the loss does not fall, or only in the first few steps.
    pub fn suggestion(&self) -> Option<Suggestion> {
        let least = self.least()?;
        let falling = &self.points[..=least.step as usize];
        let highest = falling.iter().map(|point| point.smoothed).max_by(f64::total_cmp)?;
        if least.smoothed > (1.0 - LEAST_FALL) * highest {
            return None;
        }
        let slopes = falling.windows(2 * REACH + 1).map(|points| points[2 * REACH].smoothed - points[0].smoothed);
        let (index, _) = slopes.enumerate().min_by(|a, b| a.1.total_cmp(&b.1))?;
        let (steepest, minimum) = (falling[index + REACH].lr, least.lr);
        Some(Suggestion { suggested: steepest.min(minimum / 10.0), steepest, minimum })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The curve of losses over rates from 1e-6, eight to a decade, as far as the test goes.
    fn curve(losses: impl IntoIterator<Item = f64>) -> RangeCurve {
        let mut curve = RangeCurve::default();
        for (step, loss) in losses.into_iter().enumerate() {
            if !curve.push(rate(step), loss) {
                break;
            }
        }
        curve
    }

    fn rate(step: usize) -> f64 {
        1e-6 * 10f64.powf(step as f64 / 8.0)
    }

    /// 2.3 up to step 16, from there to 0.5 at step 32, and then up by half each step.
    fn textbook() -> impl Iterator<Item = f64> {
        (0..64i32).map(|step| match step {
            ..16 => 2.3,
            16..32 => 2.3 - 1.8 * f64::from(step - 16) / 16.0,
            _ => 0.5 * 1.5f64.powi(step - 32),
        })
    }

    #[test]
    fn the_smoothed_loss_is_the_weighted_mean_of_the_losses_so_far() {
        let losses = [3.0, 1.0, 2.0, 5.0];
        for (n, point) in curve(losses).points().iter().enumerate() {
            let weights: Vec<f64> = (0..=n).map(|step| SMOOTHING.powi((n - step) as i32)).collect();
            let sum: f64 = weights.iter().zip(losses).map(|(weight, loss)| weight * loss).sum();
            assert!((point.smoothed - sum / weights.iter().sum::<f64>()).abs() < 1e-12, "{point:?}");
            assert_eq!((point.step, point.lr, point.loss), (n as u64, rate(n), losses[n]));
        }
    }

    #[test]
    fn equal_losses_stay_as_they_are_and_suggest_nothing() {
        let curve = curve([2.5; 50]);
        assert_eq!(curve.points().len(), 50);
        assert!(curve.points().iter().all(|point| (point.smoothed - 2.5).abs() < 1e-12));
        assert_eq!(curve.suggestion(), None);
    }

    #[test]
    fn a_test_ends_where_the_smoothed_loss_is_four_times_its_least() {
        let curve = curve(textbook());
        let (last, before) = curve.points().split_last().unwrap();
        let least = curve.least().unwrap().smoothed;
        assert!(curve.points().len() < 50 && last.smoothed > 4.0 * least, "{last:?}");
        assert!(before.iter().all(|point| point.smoothed <= 4.0 * least));
    }

    #[test]
    fn a_loss_that_is_not_finite_ends_a_test_and_is_not_part_of_the_curve() {
        for bad in [f64::NAN, f64::INFINITY] {
            assert_eq!(curve([2.0, 1.0, bad, 1.0]).points().len(), 2);
        }
        assert!(curve([f64::NAN]).points().is_empty() && curve([f64::NAN]).suggestion().is_none());
    }

    #[test]
    fn the_textbook_curve_suggests_a_rate_on_its_slope() {
        let Suggestion { suggested, steepest, minimum } = curve(textbook()).suggestion().unwrap();
        assert!((rate(24)..rate(33)).contains(&steepest), "the mean lags behind the slope: {steepest:e}");
        assert!((rate(32)..rate(40)).contains(&minimum), "{minimum:e}");
        assert_eq!(suggested, steepest.min(minimum / 10.0));
        assert!((rate(16)..rate(32)).contains(&suggested), "{suggested:e}");
    }

    #[test]
    fn a_late_and_gentle_slope_before_the_least_loss_is_not_the_steepest() {
        // Down by 0.1 a step, and then by 0.01.
        let losses = (0..16).map(|_| 3.0).chain((0..12).map(|step| 3.0 - 0.1 * f64::from(step)));
        let losses = losses.chain((0..60).map(|step| 1.8 - 0.01 * f64::from(step)));
        let Suggestion { suggested, steepest, minimum } = curve(losses).suggestion().unwrap();
        assert_eq!(minimum, rate(87));
        assert!((rate(20)..rate(32)).contains(&steepest), "{steepest:e}");
        assert_eq!(suggested, steepest, "far below a tenth of the minimum");
    }

    #[test]
    fn a_curve_that_ends_on_its_slope_falls_at_its_end() {
        assert!(curve(textbook().take(30)).falls_at_its_end());
        assert!(!curve(textbook()).falls_at_its_end() && !RangeCurve::default().falls_at_its_end());
    }

    #[test]
    fn a_loss_that_only_rises_suggests_nothing() {
        assert_eq!(curve((0..30).map(|step| 2.0 + f64::from(step))).suggestion(), None);
        assert_eq!(curve([2.3, 900.0]).suggestion(), None);
    }

    #[test]
    fn one_lucky_step_is_not_the_steepest_slope() {
        let lucky = textbook().enumerate().map(|(step, loss)| if step == 8 { 1.9 } else { loss });
        let [plain, lucky] = [curve(textbook()), curve(lucky)].map(|curve| curve.suggestion().unwrap());
        assert_eq!(plain.steepest, lucky.steepest);
    }
}
