//! Which classes are taken for which.

use serde::Serialize;

/// How many images of each class are taken for each, to be drawn.
#[derive(Clone, Copy, Debug)]
pub struct Confusion<'a> {
    /// Above it.
    pub title: &'a str,
    /// Their names.
    pub classes: &'a [String],
    /// Images by [true class][predicted class].
    pub counts: &'a [Vec<usize>],
}

/// A class that is taken for another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Confused {
    /// What the images show.
    pub truth: usize,
    /// What they are taken for.
    pub predicted: usize,
    /// How many.
    pub images: usize,
    /// Of all images of the class, from 0 to 1.
    pub share: f64,
}

/// The pairs of classes of which the most images are taken for each other, at most `most`; of equal ones that with the
/// greater share comes first.
pub fn most_confused(counts: &[Vec<usize>], most: usize) -> Vec<Confused> {
    let mut pairs = Vec::new();
    for (truth, row) in counts.iter().enumerate() {
        let all = row.iter().sum::<usize>().max(1) as f64;
        let wrong = row.iter().enumerate().filter(|&(predicted, &images)| predicted != truth && images > 0);
        pairs.extend(wrong.map(|(predicted, &images)| Confused {
            truth,
            predicted,
            images,
            share: images as f64 / all,
        }));
    }
    pairs.sort_by(|a, b| b.images.cmp(&a.images).then(b.share.total_cmp(&a.share)));
    pairs.truncate(most);
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pairs_with_the_most_images_come_first_and_what_is_right_is_no_pair() {
        let counts = [vec![90, 0, 7], vec![3, 20, 0], vec![0, 3, 60]];
        let told: Vec<_> = most_confused(&counts, 5).iter().map(|p| (p.truth, p.predicted, p.images)).collect();
        assert_eq!(told, [(0, 2, 7), (1, 0, 3), (2, 1, 3)]);
        assert_eq!(most_confused(&counts, 1)[0].share, 7.0 / 97.0);
        assert!(most_confused(&[vec![4, 0], vec![0, 0]], 5).is_empty());
    }
}
