//! Images without a download: a pattern of the class plus noise. Learnable, and the same on every
//! machine, since only integers are involved.

use super::error::DataError;
use super::source::{Kind, MAX_EXTENT};
use super::{Dataset, LoadOptions, Pixels, Splits};
use crate::random::SplitMix64;
use std::fmt;
use std::sync::Arc;

/// How many training images there are when the source does not say.
const DEFAULT_COUNT: usize = 1000;

/// Cells of a pattern from side to side.
const CELLS: usize = 4;

/// The shape of a synthetic data set. The test set is a fifth of `count`, at least one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Synthetic {
    channels: usize,
    height: usize,
    width: usize,
    classes: usize,
    /// Training images.
    count: usize,
}

/// `synthetic:CxHxW:CLASSES[:COUNT]`.
pub(super) struct Patterns;

impl Kind for Patterns {
    fn word(&self) -> &'static str {
        "synthetic"
    }

    fn form(&self) -> (&'static str, &'static str) {
        (
            "synthetic:CxHxW:CLASSES[:COUNT]",
            "patterns under noise, to try a model without data: COUNT training images, 1,000 where it is not given",
        )
    }

    fn rest(&self, given: Option<&str>) -> Result<Option<String>, String> {
        parse(given.unwrap_or_default()).map(|shape| Some(shape.to_string()))
    }

    fn is_folder(&self) -> bool {
        false
    }

    fn has_class_names(&self) -> bool {
        false
    }

    fn load(&self, rest: &str, name: &str, options: &LoadOptions) -> Result<Splits, DataError> {
        parse(rest).map_err(|problem| DataError::Syntax { given: name.to_owned(), problem })?.load(name, options)
    }
}

impl fmt::Display for Synthetic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Synthetic { channels, height, width, classes, count } = self;
        write!(f, "{channels}x{height}x{width}:{classes}")?;
        if *count == DEFAULT_COUNT { Ok(()) } else { write!(f, ":{count}") }
    }
}

/// The shape that a text has.
fn parse(text: &str) -> Result<Synthetic, String> {
    let number = |what: &str, text: &str, most: usize| match text.parse() {
        Ok(number) if (1..=most).contains(&number) => Ok(number),
        _ => Err(format!("{what} is '{text}', but must be a whole number of 1 to {most}")),
    };
    let form = || "synthetic needs a shape and classes, as in synthetic:3x32x32:10".to_owned();
    let (shape, classes, count) = match text.split(':').collect::<Vec<_>>()[..] {
        [shape, classes] => (shape, classes, None),
        [shape, classes, count] => (shape, classes, Some(count)),
        _ => return Err(form()),
    };
    let [channels, height, width] = shape.split('x').collect::<Vec<_>>()[..] else {
        return Err(form());
    };
    Ok(Synthetic {
        channels: number("C", channels, MAX_EXTENT)?,
        height: number("H", height, MAX_EXTENT)?,
        width: number("W", width, MAX_EXTENT)?,
        classes: number("CLASSES", classes, MAX_EXTENT)?,
        count: count.map_or(Ok(DEFAULT_COUNT), |count| number("COUNT", count, 1 << 31))?,
    })
}

impl Synthetic {
    /// # Errors
    /// When the images do not fit into memory.
    fn load(self, name: &str, options: &LoadOptions) -> Result<Splits, DataError> {
        let Self { channels, height, width, count, .. } = self;
        let counts = [count, (count / 5).max(1)];
        let bytes =
            |count: usize| [count, channels, height, width].iter().fold(1, |n: u64, &by| n.saturating_mul(by as u64));
        let [train, test] = options.room().held(counts.map(bytes));
        Ok(Splits::new(
            self.dataset(format!("{name} (train)"), 0, counts[0], train)?,
            self.dataset(format!("{name} (test)"), 1, counts[1], test)?,
        ))
    }

    /// The splits have the same patterns and different noise. Classes take turns.
    fn dataset(self, name: String, split: u64, count: usize, is_held: bool) -> Result<Dataset, DataError> {
        let Self { channels, height, width, classes, .. } = self;
        let draw = move |index: usize, image: &mut [u8]| {
            self.draw(split, index, image);
            Ok(())
        };
        let (images, _) = Pixels::read_all(Arc::new(draw), &name, count, [channels, height, width], is_held)?;
        let labels = (0..count).map(|index| (index % classes) as u32).collect();
        let classes = (0..classes).map(|class| class.to_string()).collect();
        Ok(Dataset { name, channels, height, width, classes, images, labels })
    }

    fn draw(&self, split: u64, index: usize, image: &mut [u8]) {
        let Self { height, width, classes, .. } = *self;
        let mut noise = SplitMix64::keyed(&[split, index as u64]);
        for (channel, plane) in image.chunks_exact_mut(height * width).enumerate() {
            let cells = pattern(index % classes, channel);
            for (at, value) in plane.iter_mut().enumerate() {
                let (y, x) = (at / width, at % width);
                let cell = cells[y * CELLS / height][x * CELLS / width];
                // 64..=191 minus 64 plus 0..=127 stays within a byte.
                *value = cell - 64 + noise.below(128) as u8;
            }
        }
    }
}

/// One value a cell, 64 to 191, drawn from the class and the channel alone.
fn pattern(class: usize, channel: usize) -> [[u8; CELLS]; CELLS] {
    let mut random = SplitMix64::keyed(&[class as u64, channel as u64, CELLS as u64]);
    std::array::from_fn(|_| std::array::from_fn(|_| 64 + random.below(128) as u8))
}
