//! From one image size or number of channels to another, plane by plane.

use rayon::prelude::*;

use super::error::{DataError, ImageSize};
use super::{Dataset, Preprocessing, allocate};

/// Every image with `want` channels; see [`image_channels`].
///
/// # Errors
/// A pair of channel counts that is neither equal nor 1 and 3.
pub(crate) fn channels(dataset: Dataset, want: usize) -> Result<Dataset, DataError> {
    match (dataset.channels, want) {
        (have, want) if have == want => Ok(dataset),
        (have @ 1, 3) | (have @ 3, 1) => {
            let images = dataset.images.chunks_exact(dataset.image_len());
            let images = images.flat_map(|image| image_channels(image, have, want)).collect();
            Ok(Dataset { images, channels: want, ..dataset })
        }
        (have, want) => {
            let remedy = "Ask the model for as many as there are, with input_channels.";
            Err(DataError::Channels { name: dataset.name, have, want, remedy })
        }
    }
}

/// One image from grey to colour (the plane three times) or from colour to grey (the luma of Rec.
/// 601, as PIL and torchvision weigh it); unchanged when `have` is `want`.
pub(crate) fn image_channels(image: &[u8], have: usize, want: usize) -> Vec<u8> {
    let plane = image.len() / have;
    let luma = |at| {
        let [r, g, b] = [0, 1, 2].map(|channel| u32::from(image[channel * plane + at]));
        ((299 * r + 587 * g + 114 * b + 500) / 1000) as u8
    };
    match (have, want) {
        (1, 3) => image.repeat(3),
        (3, 1) => (0..plane).map(luma).collect(),
        _ => image.to_vec(),
    }
}

/// Every image in `size`, as `preprocessing` makes it so.
///
/// # Errors
/// When the result does not fit into memory.
pub(crate) fn resize(dataset: Dataset, size: ImageSize, preprocessing: Preprocessing) -> Result<Dataset, DataError> {
    let from = ImageSize { height: dataset.height, width: dataset.width };
    if from == size && preprocessing.resize.is_none() {
        return Ok(dataset);
    }
    let image_len = dataset.channels * size.height * size.width;
    let mut images = allocate(dataset.len() as u128 * image_len as u128, &dataset.name)?;
    images
        .par_chunks_exact_mut(image_len)
        .zip(dataset.images.par_chunks_exact(dataset.image_len()))
        .for_each(|(to, image)| preprocessing.apply(image, from, to, size));
    Ok(Dataset { images, height: size.height, width: size.width, ..dataset })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(channels: usize, images: Vec<u8>) -> Dataset {
        let labels = vec![0; images.len() / (channels * 4)];
        let classes = vec!["only".to_owned()];
        Dataset { name: "here".into(), channels, height: 2, width: 2, classes, images, labels }
    }

    #[test]
    fn grey_becomes_three_equal_planes_and_goes_back_unchanged() {
        let one = dataset(1, vec![0, 80, 160, 255, 1, 2, 3, 4]);
        let three = channels(one.clone(), 3).unwrap();
        assert_eq!(three.image(1), [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]);
        assert_eq!(channels(three, 1).unwrap(), one);
    }

    #[test]
    fn colour_becomes_its_rec_601_luma() {
        let colour = dataset(3, vec![255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255]);
        assert_eq!(channels(colour, 1).unwrap().images, [76, 150, 29, 255]);
    }

    #[test]
    fn two_channels_are_refused() {
        let error = channels(dataset(2, vec![0; 8]), 3).unwrap_err();
        assert!(error.to_string().contains("have 2 channels, but 3 are wanted"), "{error}");
    }

    #[test]
    fn halving_an_image_averages_and_keeps_planes_apart() {
        let two = dataset(2, vec![0, 0, 100, 100, 200, 200, 200, 200]);
        let one = resize(two, ImageSize { height: 1, width: 1 }, Preprocessing::default()).unwrap();
        assert_eq!((one.height, one.width, one.images), (1, 1, vec![50, 200]));
    }
}
