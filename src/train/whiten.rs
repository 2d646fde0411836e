//! Filters that whiten the training images: patches that went through them have directions alike in variance, and
//! independent (Page 2018, "How to train your ResNet"; Jordan 2024, airbench94).

use super::TrainError;
use crate::data::{DataError, Dataset, Normalization};
use crate::setting::BadSetting;
use crate::tensor::Shape;

/// Images that the patches are of: the first ones, as in airbench94.
const IMAGES: usize = 5000;

/// Added to each variance before its root is taken, so that directions of next to none do not become noise.
const EPS: f64 = 5e-4;

/// Rounds of rotations in which the eigenvectors of a matrix are found; a few are enough.
const MOST_SWEEPS: usize = 50;

/// The name and the values of the weight `[2 n, C, kh, kw]` of the convolution `layer`: for each of the n = C kh kw
/// directions v of a patch, by falling variance, v / sqrt(variance + eps), and after them the same with the other sign.
///
/// # Errors
/// When there is no such convolution of the images, or it has another number of filters.
pub(super) fn filters(
    layer: &str,
    tensors: &[(String, Shape)],
    train: &Dataset,
    normalization: &Normalization,
) -> Result<(String, Vec<f32>), TrainError> {
    let name = format!("{layer}.weight");
    let refused = |rule: String| TrainError::from(BadSetting::new("whiten", format!("`{layer}`"), rule));
    let Some((_, shape)) = tensors.iter().find(|(known, _)| *known == name) else {
        return Err(refused("a layer of the model, such as `whiten` of airbench94".to_owned()));
    };
    let &[count, channels, height, width] = &shape[..] else {
        return Err(refused(format!("a convolution; its weight is {shape}")));
    };
    let directions = channels * height * width;
    if channels != train.channels || count != 2 * directions || height > train.height || width > train.width {
        let rule =
            format!("a convolution of the images with two filters for each element of a patch; its weight is {shape}");
        return Err(refused(rule));
    }
    let (variances, vectors) = eigen(covariance(train, normalization, [height, width])?, directions);
    let mut order: Vec<usize> = (0..directions).collect();
    order.sort_by(|&a, &b| variances[b].total_cmp(&variances[a]));
    let mut filters = Vec::with_capacity(count * directions);
    for sign in [1.0, -1.0] {
        for &index in &order {
            let vector = (0..directions).map(|row| vectors[row * directions + index]);
            // The largest element decides the sign, of which a direction has none.
            let largest = vector.clone().max_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap_or(1.0);
            let scale = sign * largest.signum() / (variances[index].max(0.0) + EPS).sqrt();
            filters.extend(vector.map(|element| (element * scale) as f32));
        }
    }
    Ok((name, filters))
}

/// Mean of p p^T over all patches p of the first images, normalised, in the order [C, kh, kw].
fn covariance(train: &Dataset, normalization: &Normalization, [kh, kw]: [usize; 2]) -> Result<Vec<f64>, DataError> {
    let Dataset { channels, height, width, .. } = *train;
    let (area, size) = (height * width, channels * kh * kw);
    let mut sum = vec![0.0; size * size];
    let mut patch = vec![0.0; size];
    let images = train.len().min(IMAGES);
    for index in 0..images {
        let image = train.image(index)?;
        for (top, left) in (0..=height - kh).flat_map(|top| (0..=width - kw).map(move |left| (top, left))) {
            for (index, element) in patch.iter_mut().enumerate() {
                let (channel, y, x) = (index / (kh * kw), index / kw % kh, index % kw);
                let byte = image[channel * area + (top + y) * width + left + x];
                let [mean, std] = [&normalization.mean, &normalization.std].map(|of| f64::from(of[channel]));
                *element = (f64::from(byte) / 255.0 - mean) / std;
            }
            for (row, &a) in patch.iter().enumerate() {
                for (cell, &b) in sum[row * size..].iter_mut().zip(&patch) {
                    *cell += a * b;
                }
            }
        }
    }
    let patches = (images * (height - kh + 1) * (width - kw + 1)) as f64;
    Ok(sum.iter().map(|cell| cell / patches).collect())
}

/// Eigenvalues of a symmetric matrix, and its eigenvectors as the columns of another, by Jacobi's rotations.
fn eigen(mut matrix: Vec<f64>, size: usize) -> (Vec<f64>, Vec<f64>) {
    let mut vectors: Vec<f64> =
        (0..size * size).map(|index| if index / size == index % size { 1.0 } else { 0.0 }).collect();
    for _ in 0..MOST_SWEEPS {
        let off: f64 =
            (0..size * size).filter(|index| index / size != index % size).map(|index| matrix[index].powi(2)).sum();
        let all: f64 = matrix.iter().map(|cell| cell.powi(2)).sum();
        if off <= 1e-28 * all {
            break;
        }
        for p in 0..size {
            for q in p + 1..size {
                let apart = matrix[p * size + q];
                if apart == 0.0 {
                    continue;
                }
                let theta = (matrix[q * size + q] - matrix[p * size + p]) / (2.0 * apart);
                let tangent = if theta == 0.0 { 1.0 } else { theta.signum() / (theta.abs() + theta.hypot(1.0)) };
                let cosine = 1.0 / tangent.hypot(1.0);
                let sine = tangent * cosine;
                for row in 0..size {
                    rotate(&mut matrix, [row * size + p, row * size + q], [cosine, sine]);
                    rotate(&mut vectors, [row * size + p, row * size + q], [cosine, sine]);
                }
                for column in 0..size {
                    rotate(&mut matrix, [p * size + column, q * size + column], [cosine, sine]);
                }
            }
        }
    }
    ((0..size).map(|index| matrix[index * size + index]).collect(), vectors)
}

fn rotate(of: &mut [f64], [a, b]: [usize; 2], [cosine, sine]: [f64; 2]) {
    (of[a], of[b]) = (cosine * of[a] - sine * of[b], sine * of[a] + cosine * of[b]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SplitMix64;

    fn images() -> Dataset {
        let mut random = SplitMix64::new(7);
        let (channels, height, width, count) = (3, 8, 8, 40);
        // Neighbours are alike, as in photographs.
        let mut level = 128.0;
        let images: Vec<u8> = (0..count * channels * height * width)
            .map(|_| {
                level = 0.8 * level + 0.2 * 255.0 * random.uniform();
                level as u8
            })
            .collect();
        Dataset::new("noise", [channels, height, width], vec!["a".to_owned(), "b".to_owned()], images, vec![0; count])
            .unwrap()
    }

    #[test]
    fn patches_that_went_through_the_filters_are_white() {
        let train = images();
        let normalization = Normalization::of(&train);
        let tensors = [("conv.weight".to_owned(), Shape::from([24, 3, 2, 2]))];
        let (name, filters) = super::filters("conv", &tensors, &train, &normalization).unwrap();
        assert_eq!((name.as_str(), filters.len()), ("conv.weight", 24 * 12));
        let covariance = covariance(&train, &normalization, [2, 2]).unwrap();
        // W C W^T: 1 less the share of eps on the diagonal, else 0.
        for (i, j) in (0..12).flat_map(|i| (0..12).map(move |j| (i, j))) {
            let cell = |k: usize, l: usize| {
                f64::from(filters[i * 12 + k]) * covariance[k * 12 + l] * f64::from(filters[j * 12 + l])
            };
            let found: f64 = (0..12).flat_map(|k| (0..12).map(move |l| (k, l))).map(|(k, l)| cell(k, l)).sum();
            let wanted = if i == j { 1.0 } else { 0.0 };
            assert!((found - wanted).abs() < 0.02, "{i}, {j}: {found}");
        }
        let (half, other) = filters.split_at(144);
        assert!(half.iter().zip(other).all(|(one, two)| *one == -*two));
    }

    #[test]
    fn a_layer_that_cannot_whiten_is_refused() {
        let train = images();
        let normalization = Normalization::of(&train);
        let tensors =
            [("conv.weight".to_owned(), Shape::from([16, 3, 2, 2])), ("fc.weight".to_owned(), Shape::from([2, 4]))];
        for (layer, told) in [
            ("none", "must be a layer of the model"),
            ("conv", "two filters for each"),
            ("fc", "must be a convolution"),
        ] {
            let error = super::filters(layer, &tensors, &train, &normalization).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
