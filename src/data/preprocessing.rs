//! How an image of any size becomes the one that a model takes.

use super::convert::image_channels;
use super::error::{DataError, ImageSize};
use super::resample::resample;
use crate::setting::{BadSetting, Setting};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// What becomes of an image before its bytes are normalised: torchvision's `Resize` and `CenterCrop`, or a stretch.
///
/// `resize` and the image that the model takes say together which share of the image is seen: of a shorter side of 256
/// pixels, a model for 224x224 sees the centre, 0.875 of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preprocessing {
    /// Pixels that the shorter side gets before the centre is cut out, the aspect kept. If there is none, the image is
    /// stretched to the size that the model takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<usize>,
    /// How pixels are found, when it is resized.
    pub interpolation: Interpolation,
}

/// How pixels between pixels are found; both are widened when an image shrinks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Interpolation {
    /// The triangle filter, as Pillow has it.
    #[default]
    Bilinear,
    /// Keys' cubic with a = -1/2, as Pillow has it.
    Bicubic,
}

/// What a user asks for instead of what the weights expect.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Asked {
    /// Pixels of the shorter side.
    pub resize: Option<usize>,
    /// The share of the shorter side that the model sees.
    pub crop_share: Option<f64>,
    /// How pixels are found.
    pub interpolation: Option<Interpolation>,
}

impl fmt::Display for Interpolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Interpolation::Bilinear => "bilinear",
            Interpolation::Bicubic => "bicubic",
        })
    }
}

impl FromStr for Interpolation {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        match text {
            "bilinear" => Ok(Interpolation::Bilinear),
            "bicubic" => Ok(Interpolation::Bicubic),
            _ => {
                let (value, expected) = (format!("`{text}`"), "bilinear or bicubic");
                Err(BadSetting::new("interpolation", value, expected).into())
            }
        }
    }
}

/// Longest side that is resized to.
const MAX_SIDE: usize = 65_535;

impl Preprocessing {
    /// For a model of images of (height, width) `size`, where this is for one of `trained`: the same share of an image
    /// is seen.
    #[must_use]
    pub fn scaled(self, trained: (usize, usize), size: (usize, usize)) -> Preprocessing {
        let [before, now] = [trained, size].map(|(height, width)| height.min(width).max(1) as f64);
        let scale = |resize: usize| ((resize as f64 * now / before).round() as usize).clamp(1, MAX_SIDE);
        Preprocessing { resize: self.resize.map(scale), ..self }
    }

    /// With what a user asks for, for a model of images of (height, width) `size`.
    ///
    /// # Errors
    /// When a value cannot be, or the two contradict each other.
    pub fn asked(
        self,
        Asked { resize, crop_share, interpolation }: Asked,
        size: (usize, usize),
    ) -> Result<Preprocessing, DataError> {
        let option = |name, value: String, expected: &str| Err(BadSetting::new(name, value, expected).into());
        if let Some(resize) = resize.filter(|resize| !(1..=MAX_SIDE).contains(resize)) {
            return option("resize", resize.to_string(), "1 to 65535 pixels");
        }
        if let Some(share) = crop_share.filter(|&share| !(share > 0.0 && share <= 1.0)) {
            return option("crop_share", share.to_string(), "a share above 0 and up to 1");
        }
        let crop = size.0.min(size.1);
        let of_share = crop_share.map(|share| ((crop as f64 / share).round() as usize).clamp(1, MAX_SIDE));
        if let (Some(resize), Some(of_share), Some(share)) = (resize, of_share, crop_share) {
            // A share with few digits is meant: 0.87 of 257 is 224 as well.
            let cut = (resize as f64 * share).round() as usize;
            if resize != of_share && cut != crop {
                let expected = format!(
                    "{of_share}, as the model takes {crop} pixels, or {} {:.4}",
                    Setting("crop_share"),
                    crop as f64 / resize as f64
                );
                let value = format!("{resize} with {} {share}", Setting("crop_share"));
                return Err(BadSetting::new("resize", value, expected).into());
            }
        }
        let interpolation = interpolation.unwrap_or(self.interpolation);
        Ok(Preprocessing { resize: resize.or(of_share).or(self.resize), interpolation })
    }

    /// The bytes `[C, H, W]` that a model for `to` takes, of an image that was decoded elsewhere: bytes `[C, H, W]` of the shape
    /// `from`. Grey becomes colour and colour grey, as image files do.
    ///
    /// # Errors
    /// When one of them has channels that neither grey nor colour has, or the bytes are not those of the shape.
    pub fn image(self, image: &[u8], from: [usize; 3], to: [usize; 3]) -> Result<Vec<u8>, DataError> {
        let wrong = |have, want, remedy| DataError::Channels { name: "the image".to_owned(), have, want, remedy };
        if let Some(&want) = [from[0], to[0]].iter().find(|channels| ![1, 3].contains(channels)) {
            return Err(wrong(from[0], want, "Images are grey, of one channel, or colour, of three."));
        }
        if image.is_empty() || image.len() != from.iter().product::<usize>() {
            let expected = format!("the bytes of {} channels, {} rows and {} columns", from[0], from[1], from[2]);
            return Err(BadSetting::new("image", format!("{} bytes", image.len()), expected).into());
        }
        let [channels, height, width] = to;
        let mut out = vec![0; channels * height * width];
        let [from_size, size] = [from, to].map(|[_, height, width]| ImageSize { height, width });
        self.apply(&image_channels(image, from[0], channels), from_size, &mut out, size);
        Ok(out)
    }

    /// Writes the image that a model takes. `image` and `out` are `[channels, height, width]` of their sizes; where the
    /// resized image is smaller than the one to cut out, it is centred on black.
    pub(crate) fn apply(self, image: &[u8], from: ImageSize, out: &mut [u8], to: ImageSize) {
        let resized = self.resized(from, to);
        if resized == from && from == to {
            return out.copy_from_slice(image);
        }
        let rows = Cut::of(resized.height, to.height);
        let columns = Cut::of(resized.width, to.width);
        let planes = image.chunks_exact(from.height * from.width);
        for (plane, out) in planes.zip(out.chunks_exact_mut(to.height * to.width)) {
            let part = resample(
                plane,
                (from.height, from.width),
                (resized.height, resized.width),
                (rows.taken.clone(), columns.taken.clone()),
                self.interpolation,
            );
            out.fill(0);
            let lines = out.chunks_exact_mut(to.width).skip(rows.before);
            for (line, part) in lines.zip(part.chunks_exact(columns.taken.len().max(1))) {
                line[columns.before..][..part.len()].copy_from_slice(part);
            }
        }
    }

    /// The size that an image is resampled to, before the centre of the size `to` is cut out.
    fn resized(self, from: ImageSize, to: ImageSize) -> ImageSize {
        let Some(short) = self.resize else { return to };
        // The longer side is rounded down, as torchvision does.
        let long = |own: usize, other: usize| (short as u128 * own as u128 / other.max(1) as u128).max(1) as usize;
        match from.height <= from.width {
            true => ImageSize { height: short, width: long(from.width, from.height) },
            false => ImageSize { height: long(from.height, from.width), width: short },
        }
    }
}

/// What is taken of a line to get one of another length around the same centre.
struct Cut {
    /// Black pixels before it.
    before: usize,
    taken: Range<usize>,
}

impl Cut {
    fn of(have: usize, want: usize) -> Cut {
        if have <= want {
            return Cut { before: (want - have) / 2, taken: 0..have };
        }
        let twice = have - want;
        // Half of an odd number is rounded to the even neighbour, as Python does.
        let half = twice / 2;
        let first = if twice % 2 == 1 && half % 2 == 1 { half + 1 } else { half };
        Cut { before: 0, taken: first..first + want }
    }
}

impl fmt::Display for Preprocessing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interpolation = self.interpolation;
        match self.resize {
            None => write!(f, "stretched ({interpolation})"),
            Some(resize) => write!(f, "resized to a shorter side of {resize} ({interpolation}), the centre cut out"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The picture of tests/data/preprocessing.py.
    fn picture(height: usize, width: usize) -> Vec<u8> {
        let pixel = |c: usize, y: usize, x: usize| {
            ((37 * x + 101 * y + 53 * c + 3 * (x * y % 97) + 200 * ((x / 3 + y / 4) % 2)) % 256) as u8
        };
        let places = (0..3).flat_map(|c| (0..height).flat_map(move |y| (0..width).map(move |x| (c, y, x))));
        places.map(|(c, y, x)| pixel(c, y, x)).collect()
    }

    #[test]
    fn resize_and_crop_are_those_of_pillow_and_torchvision() {
        let cases = include_str!("../../tests/data/preprocessing.txt");
        for case in cases.lines() {
            let fields: Vec<&str> = case.split(' ').collect();
            let [height, width, short, crop] = [0, 1, 2, 3].map(|field: usize| fields[field].parse().unwrap());
            let interpolation = match fields[4] {
                "bicubic" => Interpolation::Bicubic,
                _ => Interpolation::Bilinear,
            };
            let hex = fields[5].as_bytes().as_chunks::<2>().0;
            let digit = |digit: u8| (digit as char).to_digit(16).unwrap() as u8;
            let expected: Vec<u8> = hex.iter().map(|&[high, low]| 16 * digit(high) + digit(low)).collect();
            let mut found = vec![7; 3 * crop * crop];
            let size = ImageSize { height: crop, width: crop };
            let preprocessing = Preprocessing { resize: Some(short), interpolation };
            preprocessing.apply(&picture(height, width), ImageSize { height, width }, &mut found, size);
            assert_eq!(found, expected, "{height}x{width} to {short}, cut to {crop}, {interpolation:?}");
        }
        assert_eq!(cases.lines().count(), 9);
    }

    #[test]
    fn what_is_asked_for_comes_before_what_the_weights_expect() {
        let own = Preprocessing { resize: Some(256), interpolation: Interpolation::Bicubic };
        let asked = |resize, crop_share| {
            let asked = Asked { resize, crop_share, interpolation: Some(Interpolation::Bilinear) };
            own.asked(asked, (224, 224)).map(|found| found.resize)
        };
        assert_eq!(asked(None, None).unwrap(), Some(256));
        assert_eq!(asked(Some(232), None).unwrap(), Some(232));
        assert_eq!(asked(None, Some(1.0)).unwrap(), Some(224));
        assert_eq!(asked(Some(256), Some(0.875)).unwrap(), Some(256));
        for (resize, share) in [(Some(0), None), (None, Some(0.0)), (None, Some(1.5)), (None, Some(f64::NAN))] {
            assert!(asked(resize, share).unwrap_err().is_usage());
        }
        let error = asked(Some(256), Some(0.5)).unwrap_err().to_string();
        assert!(error.contains("must be 448, as the model takes 224 pixels, or `crop_share` 0.8750"), "{error}");
        assert_eq!(own.scaled((224, 224), (112, 112)).resize, Some(128));
        assert_eq!(Preprocessing::default().scaled((224, 224), (112, 112)).resize, None);
    }

    #[test]
    fn a_picture_of_any_aspect_takes_no_more_than_its_part() {
        let (from, to) = (ImageSize { height: 1, width: 60_000 }, ImageSize { height: 8, width: 8 });
        let mut out = vec![7; 64];
        let preprocessing = Preprocessing { resize: Some(60_000), ..Preprocessing::default() };
        preprocessing.apply(&vec![200; 60_000], from, &mut out, to);
        assert_eq!(out, [200; 64]);
    }
}
