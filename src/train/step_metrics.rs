//! Metrics of steps, put together from the runs that the device records.

use super::Resolved;
use super::graphs::HISTORY;

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StepMetrics {
    pub step: u64,
    /// Over the step's images.
    pub loss_sum: f64,
    pub correct: f64,
    pub images: f64,
}

impl StepMetrics {
    /// Mean loss; exact for a step of one run, since the product of two f32 fits into f64.
    pub(super) fn loss(&self) -> f32 {
        (self.loss_sum / self.images.max(1.0)) as f32
    }

    /// From 0 to 1.
    pub(super) fn accuracy(&self) -> f32 {
        self.correct as f32 / self.images.max(1.0) as f32
    }
}

/// What run `run` has left in the device's ring of rows: loss, correct and images.
pub(super) fn row_of(run: u64, history: &[f32]) -> [f32; 3] {
    let row = (run % HISTORY as u64) as usize * 3;
    std::array::from_fn(|column| history[row + column])
}

/// Adds up the runs of a step.
#[derive(Clone, Debug)]
pub(super) struct StepSums {
    resolved: Resolved,
    /// Loss, correct and images of the runs of a step that is not complete.
    sums: [f64; 3],
}

impl StepSums {
    pub(super) fn new(resolved: Resolved) -> Self {
        StepSums { resolved, sums: [0.0; 3] }
    }

    /// Takes in run `run` from the device's ring of rows; gives its step once that is complete.
    pub(super) fn add(&mut self, run: u64, history: &[f32]) -> Option<StepMetrics> {
        self.add_row(run, row_of(run, history))
    }

    /// As [`StepSums::add`], with the run's own row.
    pub(super) fn add_row(&mut self, run: u64, row: [f32; 3]) -> Option<StepMetrics> {
        let [loss, correct, images] = row.map(f64::from);
        let part = [loss * images, correct, images];
        self.sums = std::array::from_fn(|i| self.sums[i] + part[i]);
        let step = run / self.resolved.parts;
        if run + 1 < self.resolved.runs(step).end {
            return None;
        }
        let [loss_sum, correct, images] = std::mem::take(&mut self.sums);
        Some(StepMetrics { step, loss_sum, correct, images })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ring whose row `row` has this loss, and one correct of two images.
    fn ring(row: usize, loss: f32) -> Vec<f32> {
        let mut history = vec![f32::NAN; HISTORY * 3];
        history[row * 3..row * 3 + 3].copy_from_slice(&[loss, 1.0, 2.0]);
        history
    }

    fn sums(parts: u64) -> StepSums {
        let batch = parts as usize * 2;
        StepSums::new(Resolved { batch, parts, rest: 0, left_out: 0, steps_per_epoch: 100, total_steps: 100 })
    }

    #[test]
    fn a_step_is_the_mean_of_its_runs() {
        let mut step_sums = sums(2);
        assert_eq!(step_sums.add(14, &ring(14, 1.0)), None);
        let step = step_sums.add(15, &ring(15, 2.0)).unwrap();
        assert_eq!((step.step, step.loss(), step.accuracy(), step.images), (7, 1.5, 0.5, 4.0));
        assert_eq!(step_sums.add(16, &ring(0, 3.0)), None, "the ring begins anew, and so does the sum");
        assert_eq!(step_sums.add(17, &ring(1, 3.0)).unwrap().loss(), 3.0);
    }

    #[test]
    fn a_run_whose_loss_is_not_finite_makes_that_of_its_step_so_and_of_no_other() {
        let mut step_sums = sums(2);
        assert_eq!(step_sums.add(0, &ring(0, f32::INFINITY)), None);
        assert!(step_sums.add(1, &ring(1, 1.0)).unwrap().loss().is_infinite());
        assert_eq!(step_sums.add(2, &ring(2, 3.0)), None);
        assert_eq!(step_sums.add(3, &ring(3, 3.0)).unwrap().loss(), 3.0);
    }
}
