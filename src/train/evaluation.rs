//! What predictions are worth: loss, ranks and confusion of classes.

use crate::checkpoint::number_or_null;
use crate::report::{Confused, most_confused};
use serde::{Deserialize, Serialize};

/// What an evaluation found; shares from 0 to 1.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evaluation {
    /// Mean cross-entropy, in nats.
    #[serde(deserialize_with = "number_or_null")]
    pub loss: f64,
    /// Images whose likeliest class is the true one.
    pub top1: f64,
    /// Images whose true class is among the five likeliest.
    pub top5: f64,
    /// Number of images.
    pub images: usize,
    /// Images by [true class][predicted class].
    pub confusion: Vec<Vec<usize>>,
    /// Expected calibration error (Guo et al. 2017): how far the probability of the predicted class is from the share of
    /// such predictions that are right, over 15 bins of that probability, each by its images.
    #[serde(deserialize_with = "number_or_null")]
    pub calibration_error: f64,
    /// These bins, from low to high probabilities; those without images are left out.
    pub calibration: Vec<CalibrationBin>,
    /// The wrong predictions of the highest probability, that with the highest first.
    pub most_wrong: Vec<WrongImage>,
}

/// Predictions of about the same probability.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// How many.
    pub images: usize,
    /// The mean probability of the predicted class, from 0 to 1.
    #[serde(deserialize_with = "number_or_null")]
    pub probability: f64,
    /// The share of them that are right, from 0 to 1.
    pub accuracy: f64,
}

/// An image that is taken for another class than its own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct WrongImage {
    /// Its place among the images.
    pub index: usize,
    /// What it shows.
    pub truth: usize,
    /// What it is taken for.
    pub predicted: usize,
    /// How likely it is said to be that, from 0 to 1.
    #[serde(deserialize_with = "number_or_null")]
    pub probability: f64,
}

/// How well a class is told from the others; shares from 0 to 1, and 0 where they are of nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ClassScore {
    /// Of the images that are taken for the class, those that are of it.
    pub precision: f64,
    /// Of the images of the class, those that are taken for it.
    pub recall: f64,
    /// The harmonic mean of the two.
    pub f1: f64,
    /// Images of the class.
    pub support: usize,
}

impl Evaluation {
    /// How well each class is told, in the order of the classes.
    pub fn class_scores(&self) -> Vec<ClassScore> {
        let share = |part: usize, of: usize| part as f64 / of.max(1) as f64;
        let score = |(class, row): (usize, &Vec<usize>)| {
            let (right, support) = (row[class], row.iter().sum::<usize>());
            let predicted = self.confusion.iter().map(|row| row[class]).sum::<usize>();
            ClassScore {
                precision: share(right, predicted),
                recall: share(right, support),
                f1: share(2 * right, predicted + support),
                support,
            }
        };
        self.confusion.iter().enumerate().map(score).collect()
    }

    /// The mean, over the classes that have images, of the share of a class's images that are told rightly. Guessing the
    /// largest class is worth no more than 1 / classes.
    pub fn balanced_accuracy(&self) -> f64 {
        let images = |row: &Vec<usize>| row.iter().sum::<usize>();
        let recalls = self.confusion.iter().enumerate().filter(|(_, row)| images(row) > 0);
        let recalls: Vec<f64> = recalls.map(|(class, row)| row[class] as f64 / images(row) as f64).collect();
        recalls.iter().sum::<f64>() / recalls.len().max(1) as f64
    }

    /// The pairs of classes that are confused most often, at most `most`.
    pub fn most_confused(&self, most: usize) -> Vec<Confused> {
        most_confused(&self.confusion, most)
    }

    /// The class that every image is taken for, where they are of several.
    pub fn only_prediction(&self) -> Option<usize> {
        let is_predicted = |class: &usize| self.confusion.iter().any(|row| row[*class] > 0);
        let mut predicted = (0..self.confusion.len()).filter(is_predicted);
        let several = self.confusion.iter().filter(|row| row.iter().any(|&images| images > 0)).count() > 1;
        predicted.next().filter(|_| several && predicted.next().is_none())
    }

    /// Of log-probabilities `[images, classes]`, held against `labels`, `[images]`.
    ///
    /// # Panics
    /// When a label is not below `classes`.
    pub fn of(log_probabilities: &[f64], labels: &[u32], classes: usize) -> Evaluation {
        let mut tally = Tally::new(classes);
        tally.add(log_probabilities, labels);
        tally.finish()
    }
}

/// An evaluation as it grows, batch by batch.
#[derive(Clone)]
pub(super) struct Tally {
    classes: usize,
    loss: f64,
    top1: usize,
    top5: usize,
    images: usize,
    confusion: Vec<Vec<usize>>,
    /// By the probability of the predicted class.
    bins: [Bin; BINS],
    /// That with the highest probability first.
    most_wrong: Vec<WrongImage>,
}

/// Predictions of about the same probability.
#[derive(Clone, Copy, Default)]
struct Bin {
    images: usize,
    right: usize,
    /// The sum of their probabilities.
    probability: f64,
}

pub(super) const BINS: usize = 15;

/// Wrong predictions that are kept.
const MOST_WRONG: usize = 25;

impl Tally {
    pub(super) fn new(classes: usize) -> Tally {
        let (confusion, bins) = (vec![vec![0; classes]; classes], [Bin::default(); BINS]);
        Tally { classes, loss: 0.0, top1: 0, top5: 0, images: 0, confusion, bins, most_wrong: Vec::new() }
    }

    /// Counts images, by their log-probabilities `[images, classes]` and labels.
    pub(super) fn add(&mut self, log_probabilities: &[f64], labels: &[u32]) {
        for (row, &label) in log_probabilities.chunks_exact(self.classes).zip(labels) {
            let label = label as usize;
            let rank = rank(row, label);
            self.loss -= row[label];
            self.top1 += usize::from(rank < 1);
            self.top5 += usize::from(rank < 5);
            self.images += 1;
            let predicted = predicted(row);
            self.confusion[label][predicted] += 1;
            let probability = row[predicted].exp();
            // A bin has its upper end.
            let bin = &mut self.bins[((probability * BINS as f64).ceil() as usize).clamp(1, BINS) - 1];
            bin.images += 1;
            bin.right += usize::from(predicted == label);
            bin.probability += probability;
            if predicted != label {
                self.keep(WrongImage { index: self.images - 1, truth: label, predicted, probability });
            }
        }
    }

    fn keep(&mut self, wrong: WrongImage) {
        let place = self.most_wrong.partition_point(|kept| kept.probability >= wrong.probability);
        if place < MOST_WRONG {
            self.most_wrong.insert(place, wrong);
            self.most_wrong.truncate(MOST_WRONG);
        }
    }

    pub(super) fn finish(self) -> Evaluation {
        let share = |sum: f64| sum / self.images.max(1) as f64;
        let bins = self.bins.iter().filter(|bin| bin.images > 0).map(|bin| CalibrationBin {
            images: bin.images,
            probability: bin.probability / bin.images as f64,
            accuracy: bin.right as f64 / bin.images as f64,
        });
        Evaluation {
            calibration: bins.collect(),
            most_wrong: self.most_wrong,
            loss: share(self.loss),
            top1: share(self.top1 as f64),
            top5: share(self.top5 as f64),
            images: self.images,
            confusion: self.confusion,
            calibration_error: share(self.bins.iter().map(|bin| (bin.right as f64 - bin.probability).abs()).sum()),
        }
    }
}

/// Number of classes before `label`: those of a higher probability, and of those with the same the first.
fn rank(row: &[f64], label: usize) -> usize {
    let own = row[label];
    // A prediction that is not a number is never right.
    if !own.is_finite() {
        return row.len().max(5);
    }
    let before = |(class, p): (usize, &f64)| *p > own || (*p == own && class < label);
    row.iter().enumerate().filter(|&(class, p)| before((class, p))).count()
}

/// The first class of the highest probability.
fn predicted(row: &[f64]) -> usize {
    (1..row.len()).fold(0, |best, class| if row[class] > row[best] { class } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_ranks_and_confusion_are_those_counted_by_hand() {
        let p = [0.5, 0.3, 0.2, 0.2, 0.2, 0.6].map(f64::ln);
        let found = Evaluation::of(&p, &[1, 2], 3);
        assert!((found.loss + (0.3f64.ln() + 0.6f64.ln()) / 2.0).abs() < 1e-15, "{found:?}");
        assert_eq!((found.top1, found.top5, found.images), (0.5, 1.0, 2));
        assert_eq!(found.confusion, [[0, 0, 0], [1, 0, 0], [0, 0, 1]]);
    }

    #[test]
    fn precision_recall_and_f1_are_those_counted_by_hand() {
        let confusion = vec![vec![3, 1, 0], vec![2, 4, 0], vec![0, 0, 0]];
        let scores = Evaluation { confusion, ..Evaluation::default() }.class_scores();
        let told = |of: ClassScore| (of.precision, of.recall, of.f1, of.support);
        assert_eq!(told(scores[0]), (0.6, 0.75, 6.0 / 9.0, 4));
        assert_eq!(told(scores[1]), (0.8, 4.0 / 6.0, 8.0 / 11.0, 6));
        assert_eq!(told(scores[2]), (0.0, 0.0, 0.0, 0), "no image, and none taken for it");
    }

    #[test]
    fn the_calibration_error_is_that_counted_by_hand() {
        // Two predictions of 0.9, one of them right; two of 0.6, both right: |1 - 1.8| + |2 - 1.2|, over 4 images.
        let p = [0.9, 0.1, 0.9, 0.1, 0.6, 0.4, 0.4, 0.6].map(f64::ln);
        let found = Evaluation::of(&p, &[0, 1, 0, 1], 2);
        assert!((found.calibration_error - 0.4).abs() < 1e-12, "{found:?}");
        let told: Vec<_> = found.calibration.iter().map(|bin| (bin.images, bin.accuracy)).collect();
        assert_eq!(told, [(2, 1.0), (2, 0.5)]);
        assert!((found.calibration[1].probability - 0.9).abs() < 1e-12, "{found:?}");
        let sure = Evaluation::of(&[0.0, f64::NEG_INFINITY], &[0], 2);
        assert_eq!(sure.calibration_error, 0.0);
    }

    #[test]
    fn the_surest_of_the_wrong_predictions_are_kept_with_their_places() {
        // Image i says class 1 with a probability of 0.5 + i / 100; every other one is of class 0.
        let p: Vec<f64> = (0..40).flat_map(|i| [0.5 - f64::from(i) / 100.0, 0.5 + f64::from(i) / 100.0]).collect();
        let p: Vec<f64> = p.iter().map(|p| p.ln()).collect();
        let labels: Vec<u32> = (0..40).map(|i| i % 2).collect();
        let found = Evaluation::of(&p, &labels, 2).most_wrong;
        let places: Vec<usize> = found.iter().map(|wrong| wrong.index).collect();
        assert_eq!(places, (1..20).rev().map(|half| 2 * half).collect::<Vec<_>>(), "image 0 is right by being first");
        assert!((found[0].probability - 0.88).abs() < 1e-12 && (found[0].truth, found[0].predicted) == (0, 1));
        let many = Evaluation::of(&p.repeat(2), &[labels.clone(), labels].concat(), 2).most_wrong;
        assert_eq!((many.len(), many[0].index, many[1].index), (MOST_WRONG, 38, 78));
    }

    #[test]
    fn balanced_accuracy_gives_every_class_with_images_the_same_weight() {
        let of = |confusion: [[usize; 3]; 3]| Evaluation {
            confusion: confusion.map(|row| row.to_vec()).to_vec(),
            ..Evaluation::default()
        };
        let collapsed = of([[90, 0, 0], [10, 0, 0], [0, 0, 0]]);
        assert_eq!((collapsed.balanced_accuracy(), collapsed.only_prediction()), (0.5, Some(0)));
        let apart = of([[60, 30, 0], [5, 5, 0], [0, 0, 4]]);
        assert!((apart.balanced_accuracy() - (2.0 / 3.0 + 0.5 + 1.0) / 3.0).abs() < 1e-15);
        assert_eq!(apart.only_prediction(), None);
        assert_eq!((Evaluation::default().balanced_accuracy(), Evaluation::default().only_prediction()), (0.0, None));
    }

    #[test]
    fn of_equal_classes_the_first_comes_first_and_a_sixth_is_not_among_five() {
        let even = [-(7f64.ln()); 7];
        let top = |label| {
            let found = Evaluation::of(&even, &[label], 7);
            (found.top1, found.top5)
        };
        assert_eq!([top(0), top(1), top(4), top(5)], [(1.0, 1.0), (0.0, 1.0), (0.0, 1.0), (0.0, 0.0)]);
    }

    #[test]
    fn a_prediction_that_is_no_number_is_never_right() {
        for wrong in [f64::NAN, f64::NEG_INFINITY] {
            let found = Evaluation::of(&[wrong, wrong], &[0], 2);
            assert_eq!((found.top1, found.top5), (0.0, 0.0));
            assert!(!found.loss.is_finite());
            // JSON has no such numbers.
            let text = serde_json::to_string(&found).unwrap();
            let read: Evaluation = serde_json::from_str(&text).unwrap();
            assert!(read.loss.is_nan() && read.confusion == found.confusion, "{text}");
        }
    }
}
