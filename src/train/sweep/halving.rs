//! Successive halving (Jamieson and Talwalkar 2016; with rungs for all trials at once, as in Li et al. 2018): all
//! trials train for a few epochs, the best go on to some times as many, and so on.

use super::table::{Status, TrialResult};

/// Where trials are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Epochs that a trial has trained there.
    pub epochs: u64,
    /// Trials that go on from there.
    pub keep: usize,
}

/// The rungs before the last epoch: with `eta` to the power of s as the largest that neither the trials nor the epochs
/// are fewer than, rung i of s is at `epochs / eta^(s - i)` and keeps `trials / eta^(i + 1)`, both rounded down. None
/// where either is fewer than `eta`.
pub(super) fn rungs(epochs: u64, trials: usize, eta: u64) -> Vec<Rung> {
    let least = epochs.min(trials as u64);
    let powers = std::iter::successors(Some(eta), |power| power.checked_mul(eta));
    let powers: Vec<u64> = powers.take_while(|&power| power <= least).collect();
    let epochs = powers.iter().rev().map(|power| epochs / power);
    let keep = powers.iter().map(|power| trials / *power as usize);
    epochs.zip(keep).map(|(epochs, keep)| Rung { epochs, keep }).collect()
}

/// Halts the trials that wait at a rung and are not among those that go on, and gives the number of trials that have
/// ended there. A second call halts no more: places are counted with the trials that have gone on already.
pub(super) fn halt(results: &mut [TrialResult], rung: Rung) -> usize {
    let is_beyond = |result: &&TrialResult| match result.status {
        // One that failed after the rung had been let go on.
        Status::Failed => result.epochs >= rung.epochs,
        Status::Waiting | Status::Done => result.epochs > rung.epochs,
        Status::Halted => false,
    };
    let places = rung.keep.saturating_sub(results.iter().filter(is_beyond).count());
    let is_here = |result: &&TrialResult| result.status == Status::Waiting && result.epochs == rung.epochs;
    let mut here: Vec<&TrialResult> = results.iter().filter(is_here).collect();
    here.sort_by(|a, b| a.compare(b));
    let halted: Vec<usize> = here.iter().skip(places).map(|result| result.number).collect();
    for result in results.iter_mut().filter(|result| halted.contains(&result.number)) {
        result.status = Status::Halted;
    }
    results.iter().filter(|result| result.status == Status::Halted && result.epochs == rung.epochs).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_are_powers_apart_and_end_below_the_last_epoch() {
        let of = |epochs, trials, eta| -> Vec<(u64, usize)> {
            rungs(epochs, trials, eta).iter().map(|rung| (rung.epochs, rung.keep)).collect()
        };
        assert_eq!(of(9, 9, 3), [(1, 3), (3, 1)]);
        assert_eq!(of(9, 20, 3), [(1, 6), (3, 2)]);
        assert_eq!(of(81, 9, 3), [(9, 3), (27, 1)]);
        assert_eq!(of(6, 20, 3), [(2, 6)]);
        assert_eq!(of(8, 8, 2), [(1, 4), (2, 2), (4, 1)]);
        assert_eq!(of(2, 9, 3), []);
        assert_eq!(of(9, 2, 3), []);
    }

    /// Results at these epochs and accuracies.
    fn results(rows: &[(u64, f64, Status)]) -> Vec<TrialResult> {
        let result = |(index, &(epochs, accuracy, status)): (usize, &(u64, f64, Status))| TrialResult {
            epochs,
            test_accuracy: Some(accuracy),
            test_loss: Some(1.0),
            status,
            ..TrialResult::new(index + 1)
        };
        rows.iter().enumerate().map(result).collect()
    }

    fn statuses(results: &[TrialResult]) -> Vec<Status> {
        results.iter().map(|result| result.status).collect()
    }

    #[test]
    fn the_best_go_on_and_of_equals_the_first() {
        use Status::{Failed, Halted, Waiting};
        let mut held = results(&[(1, 0.5, Waiting), (1, 0.7, Waiting), (1, 0.5, Waiting), (0, 0.9, Failed)]);
        assert_eq!(halt(&mut held, Rung { epochs: 1, keep: 2 }), 1);
        assert_eq!(statuses(&held), [Waiting, Waiting, Halted, Failed]);
    }

    #[test]
    fn who_has_gone_on_keeps_its_place_when_the_rung_is_judged_again() {
        use Status::{Failed, Halted, Waiting};
        // The first two went on; the second failed at once. The third is one place too many.
        let rows = [(3, 0.1, Waiting), (1, 0.2, Failed), (1, 0.9, Waiting), (1, 0.8, Halted)];
        let mut held = results(&rows);
        assert_eq!(halt(&mut held, Rung { epochs: 1, keep: 2 }), 2);
        assert_eq!(statuses(&held), [Waiting, Failed, Halted, Halted]);
        let once = held.clone();
        halt(&mut held, Rung { epochs: 1, keep: 2 });
        assert_eq!(held, once);
    }
}
