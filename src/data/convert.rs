//! From one image size or number of channels to another, plane by plane.

use super::error::{DataError, ImageSize, all_or_damaged};
use super::{Dataset, LoadOptions, Pixels, Preprocessing, ReadImages};
use std::sync::Arc;

/// Every image with the channels and the size that `options` ask for, in memory or made anew whenever it is needed.
///
/// # Errors
/// A pair of channel counts that is neither equal nor 1 and 3; images that cannot be read, or do not fit into memory.
pub(super) fn converted(dataset: Dataset, options: &LoadOptions, is_held: bool) -> Result<Dataset, DataError> {
    let (from, to) = (dataset.shape(), options.shape(dataset.shape()));
    if from[0] != to[0] && ![[1, 3], [3, 1]].contains(&[from[0], to[0]]) {
        let remedy = "Ask the model for as many as there are, with input_channels.";
        return Err(DataError::Channels { name: dataset.name, have: from[0], want: to[0], remedy });
    }
    let is_cut = options.size.is_some() && options.preprocessing.resize.is_some();
    if from == to && !is_cut {
        return Ok(dataset);
    }
    let (name, labels) = (dataset.name.clone(), dataset.labels.clone());
    let classes = dataset.classes.clone();
    let converted = Converted { dataset, to, preprocessing: options.preprocessing };
    let (images, read) = Pixels::read_all(Arc::new(converted), &name, labels.len(), to, is_held)?;
    all_or_damaged(read)?;
    let [channels, height, width] = to;
    Ok(Dataset { name, channels, height, width, classes, images, labels })
}

/// Images in another shape.
struct Converted {
    dataset: Dataset,
    to: [usize; 3],
    preprocessing: Preprocessing,
}

impl ReadImages for Converted {
    fn read(&self, index: usize, out: &mut [u8]) -> Result<(), DataError> {
        let ([have, from_height, from_width], [want, height, width]) = (self.dataset.shape(), self.to);
        let image = image_channels(&self.dataset.image(index)?, have, want);
        let from = ImageSize { height: from_height, width: from_width };
        self.preprocessing.apply(&image, from, out, ImageSize { height, width });
        Ok(())
    }

    fn name(&self, index: usize) -> String {
        format!("image {index} of {}", self.dataset.name)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(channels: usize, images: Vec<u8>) -> Dataset {
        let labels = vec![0; images.len() / (channels * 4)];
        let classes = vec!["only".to_owned()];
        Dataset { name: "here".into(), channels, height: 2, width: 2, classes, images: images.into(), labels }
    }

    fn channels(dataset: Dataset, want: usize) -> Result<Dataset, DataError> {
        converted(dataset, &LoadOptions::default().channels(want), true)
    }

    #[test]
    fn grey_becomes_three_equal_planes_and_goes_back_unchanged() {
        let one = dataset(1, vec![0, 80, 160, 255, 1, 2, 3, 4]);
        let three = channels(one.clone(), 3).unwrap();
        assert_eq!(three.image(1).unwrap()[..], [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]);
        assert_eq!(channels(three, 1).unwrap(), one);
    }

    #[test]
    fn colour_becomes_its_rec_601_luma() {
        let colour = dataset(3, vec![255, 0, 0, 255, 0, 255, 0, 255, 0, 0, 255, 255]);
        assert_eq!(channels(colour, 1).unwrap().images.held().unwrap(), [76, 150, 29, 255]);
    }

    #[test]
    fn two_channels_are_refused() {
        let error = channels(dataset(2, vec![0; 8]), 3).unwrap_err();
        assert!(error.to_string().contains("have 2 channels, but 3 are wanted"), "{error}");
    }

    #[test]
    fn halving_an_image_averages_and_keeps_planes_apart() {
        let two = dataset(2, vec![0, 0, 100, 100, 200, 200, 200, 200]);
        let halved = |is_held| converted(two.clone(), &LoadOptions::default().size(1, 1), is_held).unwrap();
        let one = halved(true);
        assert_eq!((one.height, one.width, one.images.held()), (1, 1, Some(&[50, 200][..])));
        let streamed = halved(false);
        assert_eq!((streamed.images.held(), streamed.image(0).unwrap()), (None, one.image(0).unwrap()));
    }
}
