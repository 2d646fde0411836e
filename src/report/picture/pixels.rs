//! Images in memory, and as PNG files.

#[cfg(feature = "image")]
use image::{
    ExtendedColorType, ImageEncoder,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};

/// Red, green and blue of each pixel, from the upper left corner on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pixels {
    /// From left to right.
    pub width: usize,
    /// From top to bottom.
    pub height: usize,
    /// Three bytes for each pixel.
    pub rgb: Vec<u8>,
}

impl Pixels {
    /// White ones.
    pub fn white(width: usize, height: usize) -> Pixels {
        Pixels { width, height, rgb: vec![255; 3 * width * height] }
    }

    /// Of an image `[C, H, W]` of bytes: its first three channels, or the first for all where there are fewer.
    ///
    /// # Panics
    /// When there are fewer bytes.
    pub fn of_planes(planes: &[u8], [channels, height, width]: [usize; 3]) -> Pixels {
        let plane = height * width;
        let at = |channel: usize, place: usize| planes[if channels < 3 { 0 } else { channel } * plane + place];
        let rgb = (0..plane).flat_map(|place| [0, 1, 2].map(|channel| at(channel, place))).collect();
        Pixels { width, height, rgb }
    }

    /// The colour at a column and a row.
    pub fn at(&self, x: usize, y: usize) -> [u8; 3] {
        let first = 3 * (y * self.width + x);
        [self.rgb[first], self.rgb[first + 1], self.rgb[first + 2]]
    }

    /// Sets the colour at a column and a row.
    pub fn set(&mut self, x: usize, y: usize, colour: [u8; 3]) {
        let first = 3 * (y * self.width + x);
        self.rgb[first..first + 3].copy_from_slice(&colour);
    }

    /// Draws `image`, of that size here, with its upper left corner at a place; what lies beyond an edge is left out.
    pub fn blit(&mut self, (left, top): (usize, usize), (width, height): (usize, usize), image: &Pixels) {
        if image.rgb.is_empty() {
            return;
        }
        for y in top..(top + height).min(self.height) {
            for x in left..(left + width).min(self.width) {
                let colour = image.at((x - left) * image.width / width, (y - top) * image.height / height);
                self.set(x, y, colour);
            }
        }
    }

    /// With no side above `most`: every so many pixels are averaged.
    pub fn within(&self, most: usize) -> Pixels {
        let stride = self.width.max(self.height).div_ceil(most.max(1)).max(1);
        let [width, height] = [self.width, self.height].map(|side| side.div_ceil(stride));
        let mut small = Pixels::white(width, height);
        for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
            let columns = x * stride..((x + 1) * stride).min(self.width);
            let block: Vec<[u8; 3]> = (y * stride..((y + 1) * stride).min(self.height))
                .flat_map(|row| columns.clone().map(move |column| self.at(column, row)))
                .collect();
            let mean = |channel: usize| {
                let sum: usize = block.iter().map(|colour| usize::from(colour[channel])).sum();
                ((sum + block.len() / 2) / block.len().max(1)) as u8
            };
            small.set(x, y, [0, 1, 2].map(mean));
        }
        small
    }

    /// The bytes of a PNG file.
    ///
    /// # Errors
    /// When there are other bytes than width and height say.
    #[cfg(feature = "image")]
    pub fn png(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        // Drawings have long rows of one colour.
        PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::NoFilter)
            .write_image(&self.rgb, self.width as u32, self.height as u32, ExtendedColorType::Rgb8)
            .map_err(std::io::Error::other)?;
        Ok(bytes)
    }
}

/// Bytes as text (RFC 4648).
pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(all(test, feature = "image"))]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_its_specification() {
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")];
        pairs.iter().for_each(|(bytes, text)| assert_eq!(base64(bytes.as_bytes()), *text));
    }

    #[test]
    fn a_png_file_has_the_pixels_that_were_written() {
        let image = Pixels::of_planes(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [3, 2, 2]);
        assert_eq!(image.at(1, 0), [2, 6, 10]);
        let read = image::load_from_memory(&image.png().unwrap()).unwrap().to_rgb8();
        assert_eq!((read.dimensions(), read.as_raw()), ((2, 2), &image.rgb));
        assert_eq!(Pixels::of_planes(&[7, 9], [1, 1, 2]).rgb, [7, 7, 7, 9, 9, 9]);
    }

    #[test]
    fn a_large_image_is_averaged_and_a_small_one_drawn_out() {
        let wide = Pixels { width: 4, height: 1, rgb: [0, 10, 20, 40].iter().flat_map(|&grey| [grey; 3]).collect() };
        assert_eq!(wide.within(2).rgb, [5, 5, 5, 30, 30, 30]);
        assert_eq!(wide.within(4), wide);
        let mut canvas = Pixels::white(9, 2);
        canvas.blit((1, 0), (8, 2), &wide);
        assert_eq!([canvas.at(0, 0), canvas.at(2, 1), canvas.at(8, 1)], [[255; 3], [0; 3], [40; 3]]);
    }
}
