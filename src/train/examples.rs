//! A picture of what training sees: some images as they are, and what is made of them in the first epochs.

use super::feed::Feed;
use super::graphs::{Batch, image_graph};
use super::{Resolved, TrainError};
use crate::atomic_file::replace_file;
use crate::data::{Batches, Dataset, ImageSize, Normalization, Preprocessing};
use crate::recipe::TrainConfig;
use crate::session::{Device, Session};
use image::{ImageFormat, Rgb, RgbImage};
use std::io::{self, Cursor};
use std::path::Path;

/// Output of the graph of images, `[N, C, H, W]`: normalised.
pub(super) const CHANGED: &str = "changed";

/// Pixels between the pictures of a grid, and beside the images as they are.
const GAPS: [usize; 2] = [2, 8];

/// Pixels that a small image is drawn out to, and a large one is brought down to, on its longer side.
const SIDES: [usize; 2] = [72, 256];

/// Pixels of the images of a grid at most, of which every column is in memory: those of 8 images of 512x512.
const MOST_PIXELS: usize = 8 * 512 * 512;

/// A grid of images: each row has one, first as it is, then as it is seen in one epoch after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Examples {
    /// Rows: the first images of the first epoch, in their order.
    pub images: usize,
    /// Columns after the first: epochs.
    pub epochs: u64,
}

impl Default for Examples {
    fn default() -> Self {
        Examples { images: 8, epochs: 8 }
    }
}

impl Examples {
    /// Writes the grid to a PNG file. The images go through the ops of a training step on `device`. Where images are mixed,
    /// it is those of the grid that are mixed with each other. Gives the number of rows: there are no
    /// more than a batch has images, and fewer where these are large.
    ///
    /// # Errors
    /// When the images cannot be changed so, the device fails, or the file cannot be written.
    pub fn write(
        self,
        config: &TrainConfig,
        train: &Dataset,
        normalization: &Normalization,
        device: &Device,
        path: &Path,
    ) -> Result<usize, TrainError> {
        let fitting = MOST_PIXELS / (train.height * train.width).max(1);
        let rows = self.images.min(Resolved::of(config, train.len())?.batch).min(fitting).max(1);
        let first = Batches::new(train, rows, normalization)?
            .sampled(config.sampler, config.seed, 0)
            .augmented(&config.augmentations()?)?;
        let [channels, height, width] = config.trained_shape(train);
        let shape = [rows, channels, height, width];
        // Those that are kept larger than the model sees them are shown as small.
        let [kept, shown] =
            [(train.height, train.width), (height, width)].map(|(height, width)| ImageSize { height, width });
        let mut small = vec![0; channels * height * width];
        let mut as_they_are = Vec::with_capacity(rows * small.len());
        for &index in first.indices(0) {
            Preprocessing::default().apply(&train.image(index as usize)?, kept, &mut small, shown);
            as_they_are.extend(small.iter().map(|&byte| f32::from(byte)));
        }
        let mut columns: Vec<Vec<f32>> = vec![as_they_are];
        let graph = image_graph(config, Batch { shape, classes: train.classes.len() })?;
        let session = Session::new(device, config.seed);
        let [mut program] = session.prepare([&graph])?;
        let feed = Feed::of(&program)?;
        let mut batches = first;
        for epoch in 0..self.epochs {
            batches = batches.redrawn(config.seed, epoch);
            feed.write(&mut program, &batches.pack(0)?)?;
            program.run()?;
            let changed = program.read(program.output(CHANGED)?)?.wait()?;
            columns.push(with_their_colours(changed.f32(), normalization, height * width));
        }
        let grid = Grid { columns: &columns, shape };
        let mut bytes = Cursor::new(Vec::new());
        let encoded = grid.picture().write_to(&mut bytes, ImageFormat::Png).map_err(io::Error::other);
        encoded.and_then(|()| replace_file(path, bytes.get_ref())).map_err(|reason| TrainError::File {
            path: path.to_owned(),
            action: "written",
            reason,
        })?;
        Ok(rows)
    }
}

/// Pixels from 0 to 255 of normalised ones.
fn with_their_colours(images: &[f32], normalization: &Normalization, plane: usize) -> Vec<f32> {
    let numbers = normalization.mean.iter().zip(&normalization.std).cycle();
    let planes = images.chunks_exact(plane).zip(numbers);
    planes.flat_map(|(plane, (mean, std))| plane.iter().map(move |x| 255.0 * (x * std + mean))).collect()
}

/// Images `[N, C, H, W]` in columns.
struct Grid<'a> {
    columns: &'a [Vec<f32>],
    shape: [usize; 4],
}

impl Grid<'_> {
    /// Small images are drawn out by a whole factor, and of large ones every so many pixels are taken.
    fn picture(&self) -> RgbImage {
        let [rows, _, height, width] = self.shape;
        let longer = height.max(width);
        let (factor, stride) = ((SIDES[0] / longer).max(1), longer.div_ceil(SIDES[1]));
        let [cell_height, cell_width] = [height, width].map(|side| side.div_ceil(stride) * factor);
        let left = |column: usize| column * (cell_width + GAPS[0]) + if column > 0 { GAPS[1] } else { 0 };
        let size = [left(self.columns.len()) - GAPS[0], rows * (cell_height + GAPS[0]) - GAPS[0]];
        let mut picture = RgbImage::from_pixel(size[0] as u32, size[1] as u32, Rgb([255; 3]));
        for (column, images) in self.columns.iter().enumerate() {
            for row in 0..rows {
                for (i, j) in (0..cell_height).flat_map(|i| (0..cell_width).map(move |j| (i, j))) {
                    let [x, y] = [left(column) + j, row * (cell_height + GAPS[0]) + i];
                    let pixel = self.pixel(images, row, [i / factor * stride, j / factor * stride]);
                    picture.put_pixel(x as u32, y as u32, pixel);
                }
            }
        }
        picture
    }

    /// Red, green and blue; the first channel where there are not so many.
    fn pixel(&self, images: &[f32], image: usize, [i, j]: [usize; 2]) -> Rgb<u8> {
        let [_, channels, height, width] = self.shape;
        let at = |channel: usize| {
            let channel = if channels < 3 { 0 } else { channel };
            (images[((image * channels + channel) * height + i) * width + j] + 0.5).clamp(0.0, 255.0) as u8
        };
        Rgb([0, 1, 2].map(at))
    }
}
