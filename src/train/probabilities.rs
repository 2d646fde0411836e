//! Probabilities of classes from logits, and their mean over models and views. Logarithms throughout: a
//! probability that is too small for a number still has a finite loss.

/// Probabilities of a row of logits.
pub fn softmax(logits: &[f32]) -> Vec<f64> {
    log_softmax(logits).map(f64::exp).collect()
}

/// z - log(sum over e^z): the log-probabilities of a row of logits.
fn log_softmax(logits: &[f32]) -> impl Iterator<Item = f64> {
    let largest = logits.iter().fold(f64::NEG_INFINITY, |largest, &z| largest.max(f64::from(z)));
    let sum: f64 = logits.iter().map(|&z| (f64::from(z) - largest).exp()).sum();
    logits.iter().map(move |&z| f64::from(z) - largest - sum.ln())
}

/// Log-probabilities `[images, classes]` of logits of that shape.
pub fn log_probabilities(logits: &[f32], classes: usize) -> Vec<f64> {
    logits.chunks_exact(classes).flat_map(log_softmax).collect()
}

/// The mean of probabilities over models or views, p = 1/M sum over m of p_m, each of the same weight (Hansen
/// and Salamon 1990; of networks that differ in their seed, Lakshminarayanan et al. 2017).
///
/// log p = logsumexp over m of log p_m, less log M, and so -log p is at most the mean of the -log p_m.
#[derive(Clone, Debug)]
pub struct MeanProbabilities {
    /// Log of the sum of what was added, `[images, classes]`.
    log_sums: Vec<f64>,
    terms: usize,
}

impl MeanProbabilities {
    /// A mean over nothing yet, of this many images.
    pub fn new(images: usize, classes: usize) -> MeanProbabilities {
        MeanProbabilities { log_sums: vec![f64::NEG_INFINITY; images * classes], terms: 0 }
    }

    /// Adds the log-probabilities `[images, classes]` of a model or a view.
    ///
    /// # Panics
    /// When they are of another number of images or classes.
    pub fn add(&mut self, log_probabilities: &[f64]) {
        assert_eq!(log_probabilities.len(), self.log_sums.len(), "as many images and classes as the mean has");
        for (sum, &term) in self.log_sums.iter_mut().zip(log_probabilities) {
            *sum = log_add(*sum, term);
        }
        self.terms += 1;
    }

    /// Log of the mean of what was added, `[images, classes]`; of nothing, log 0.
    pub fn log_probabilities(self) -> Vec<f64> {
        let log_terms = (self.terms.max(1) as f64).ln();
        self.log_sums.into_iter().map(|sum| sum - log_terms).collect()
    }
}

/// log(e^a + e^b).
fn log_add(a: f64, b: f64) -> f64 {
    // Both may be log 0, whose difference is not a number.
    if a == f64::NEG_INFINITY {
        return b;
    }
    a.max(b) + (-(a - b).abs()).exp().ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Evaluation;

    fn mean(terms: &[&[f32]], classes: usize) -> Vec<f64> {
        let mut mean = MeanProbabilities::new(terms[0].len() / classes, classes);
        terms.iter().for_each(|logits| mean.add(&log_probabilities(logits, classes)));
        mean.log_probabilities()
    }

    fn assert_close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-12 * b.abs().max(1.0), "{found:?} is not {expected:?}");
        }
    }

    #[test]
    fn a_class_without_any_chance_has_a_finite_loss() {
        assert_eq!(log_probabilities(&[0.0, 1000.0, 0.0, 0.0], 2), [-1000.0, 0.0, -2f64.ln(), -2f64.ln()]);
        assert_eq!(softmax(&[0.0, 1000.0]), [0.0, 1.0]);
    }

    #[test]
    fn two_members_give_the_mean_of_their_probabilities() {
        // e^0 : e^(ln 3) is 1/4 : 3/4, and 1 : 1 is 1/2 : 1/2; the mean is 3/8 : 5/8. The second image is sure.
        let ln3 = 3f32.ln();
        let p = mean(&[&[0.0, ln3, 7.0, -800.0], &[5.0, 5.0, 0.0, 0.0]], 2);
        assert!((p[0].exp() - 0.375).abs() < 1e-7 && (p[1].exp() - 0.625).abs() < 1e-7, "{p:?}");
        assert_close(&p[2..], &[0.75f64.ln(), 0.25f64.ln()]);
        let found = Evaluation::of(&p, &[1, 0], 2);
        assert!((found.loss + (0.625f64.ln() + 0.75f64.ln()) / 2.0).abs() < 1e-7, "{found:?}");
        assert_eq!(found.confusion, [[1, 0], [0, 1]]);
    }

    #[test]
    fn members_that_give_a_class_no_chance_have_a_mean_without_underflow() {
        // 1/3 (e^-1000 + e^-1000 + e^-2000): the last is nothing beside the others.
        let p = mean(&[&[0.0, 1000.0], &[0.0, 1000.0], &[0.0, 2000.0]], 2);
        assert_close(&p, &[-1000.0 + (2.0f64 / 3.0).ln(), 0.0]);
    }

    #[test]
    fn a_mean_of_means_over_as_many_views_is_the_mean_over_all() {
        let views: [&[f32]; 4] = [&[0.3, 1.0, -2.0], &[0.1, 0.2, 0.3], &[4.0, 0.0, 1.0], &[-1.0, -1.0, 3.0]];
        let mut members = MeanProbabilities::new(1, 3);
        members.add(&mean(&views[..2], 3));
        members.add(&mean(&views[2..], 3));
        let members = members.log_probabilities();
        assert_close(&members, &mean(&views, 3));
        assert!((members.iter().map(|p| p.exp()).sum::<f64>() - 1.0).abs() < 1e-14);
    }

    #[test]
    fn the_loss_of_an_ensemble_is_at_most_the_mean_of_its_members_losses() {
        // Logits of 3 members for 50 images of 4 classes, from a small generator.
        let mut state = 1u32;
        let mut logit = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 1e6 - 8.0
        };
        let members: Vec<Vec<f32>> = (0..3).map(|_| (0..200).map(|_| logit()).collect()).collect();
        let labels: Vec<u32> = (0..50).map(|image| image % 4).collect();
        let loss = |p: &[f64]| Evaluation::of(p, &labels, 4).loss;
        let whole = loss(&mean(&members.iter().map(Vec::as_slice).collect::<Vec<_>>(), 4));
        let own: f64 = members.iter().map(|logits| loss(&log_probabilities(logits, 4))).sum::<f64>() / 3.0;
        assert!(whole < own, "{whole} and {own}");
        // Members that agree have nothing to gain.
        let same = loss(&mean(&[&members[0], &members[0]], 4));
        assert!((same - loss(&log_probabilities(&members[0], 4))).abs() < 1e-12);
    }

    #[test]
    fn a_member_whose_logits_are_no_numbers_leaves_none_to_the_mean() {
        assert!(mean(&[&[1.0, 2.0], &[f32::NAN, 2.0]], 2).iter().all(|p| p.is_nan()));
        assert!(mean(&[&[f32::NAN, 2.0], &[1.0, 2.0]], 2).iter().all(|p| p.is_nan()));
    }
}
