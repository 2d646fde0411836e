//! Changes to the colours of images: what each pixel becomes follows from itself, its neighbours or a count of all of them.

use crate::kernel::{Kernel, Launch, Operand, Shader, Unsupported, read, write};
use crate::tensor::HostTensor;

static TABLE: Shader = Shader::new("images/colour_table", &[read("x"), read("draws"), write("table")]);
static COLOUR: Shader = Shader::new("images/colour", &[read("x"), read("draws"), read("table"), write("y")]);

/// What becomes of the colours of an image of one or three channels, from 0 to 255, by an amount a. What would lie beyond 0 or
/// 255 is cut off. Of one channel, grey is the channel itself. Levels are pixels as whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// As it is.
    Same,
    /// a x.
    Brightness,
    /// a x + (1 - a) m, m the mean of the image's grey.
    Contrast,
    /// a x + (1 - a) grey of the pixel.
    Saturation,
    /// Its hue further by a, in turns of the circle.
    Hue,
    /// 0.2989 red + 0.587 green + 0.114 blue.
    Grey,
    /// 255 - x.
    Invert,
    /// The a highest of the eight bits of its level.
    Posterize,
    /// 255 - x from a on.
    Solarize,
    /// Least and greatest of each channel become 0 and 255.
    Autocontrast,
    /// Levels of each channel by the share of pixels that are darker, as Pillow equalizes a histogram.
    Equalize,
    /// a x + (1 - a) s, s the mean of the pixel five times and its eight neighbours; x at the edge.
    Sharpness,
}

/// Each with its name in the shaders, where its place is what a row says.
const ALL: [(Colour, &str); 12] = [
    (Colour::Same, "SAME"),
    (Colour::Brightness, "BRIGHTNESS"),
    (Colour::Contrast, "CONTRAST"),
    (Colour::Saturation, "SATURATION"),
    (Colour::Hue, "HUE"),
    (Colour::Grey, "GREY"),
    (Colour::Invert, "INVERT"),
    (Colour::Posterize, "POSTERIZE"),
    (Colour::Solarize, "SOLARIZE"),
    (Colour::Autocontrast, "AUTOCONTRAST"),
    (Colour::Equalize, "EQUALIZE"),
    (Colour::Sharpness, "SHARPNESS"),
];

const LEVELS: usize = 256;

impl Colour {
    /// The row of an image that is changed by this amount.
    pub fn row(self, amount: f64) -> [f32; 2] {
        [self as u8 as f32, amount as f32]
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Colour> {
        ALL.into_iter().map(|(colour, _)| colour)
    }

    fn of(row: &[f32]) -> Colour {
        ALL.get(row[0] as usize).map_or(Colour::Same, |&(colour, _)| colour)
    }
}

/// An image as the reference sees it.
struct Image<'a> {
    pixels: &'a [f32],
    channels: usize,
    height: usize,
    width: usize,
}

impl Image<'_> {
    fn plane(&self) -> usize {
        self.height * self.width
    }

    fn channel(&self, channel: usize) -> &[f32] {
        &self.pixels[channel * self.plane()..][..self.plane()]
    }

    fn rgb(&self, place: usize) -> [f64; 3] {
        [0, 1, 2].map(|channel| f64::from(self.pixels[channel * self.plane() + place]))
    }

    fn grey(&self, place: usize) -> f64 {
        if self.channels == 1 {
            return f64::from(self.pixels[place]);
        }
        let [r, g, b] = self.rgb(place);
        0.2989 * r + 0.587 * g + 0.114 * b
    }

    /// What channel `channel` becomes.
    fn changed(&self, channel: usize, colour: Colour, amount: f64) -> Vec<f64> {
        let plane = self.channel(channel);
        let each = |of: &dyn Fn(usize, f64) -> f64| {
            plane.iter().enumerate().map(|(place, &x)| of(place, f64::from(x))).collect::<Vec<_>>()
        };
        match colour {
            Colour::Same => each(&|_, x| x),
            Colour::Brightness => each(&|_, x| amount * x),
            Colour::Contrast => {
                let mean = (0..self.plane()).map(|place| self.grey(place)).sum::<f64>() / self.plane() as f64;
                each(&|_, x| amount * x + (1.0 - amount) * mean)
            }
            Colour::Saturation => each(&|place, x| amount * x + (1.0 - amount) * self.grey(place)),
            Colour::Hue if self.channels == 1 => each(&|_, x| x),
            Colour::Hue => each(&|place, _| turned(self.rgb(place), amount)[channel]),
            Colour::Grey => each(&|place, _| self.grey(place)),
            Colour::Invert => each(&|_, x| 255.0 - x),
            Colour::Posterize => {
                let dropped = 8 - (amount as u32).min(8);
                each(&|_, x| (level(x) >> dropped << dropped) as f64)
            }
            Colour::Solarize => each(&|_, x| if x >= amount { 255.0 - x } else { x }),
            Colour::Autocontrast => {
                let least = f64::from(plane.iter().copied().fold(f32::INFINITY, f32::min));
                let most = f64::from(plane.iter().copied().fold(f32::NEG_INFINITY, f32::max));
                each(&|_, x| if most > least { (x - least) * (255.0 / (most - least)) } else { x })
            }
            Colour::Equalize => {
                let table = equalized(plane);
                each(&|_, x| table[level(x)])
            }
            Colour::Sharpness => each(&|place, x| amount * x + (1.0 - amount) * self.smoothed(plane, place)),
        }
    }

    fn smoothed(&self, plane: &[f32], place: usize) -> f64 {
        let (row, column) = (place / self.width, place % self.width);
        if !(1..self.height - 1).contains(&row) || !(1..self.width - 1).contains(&column) {
            return f64::from(plane[place]);
        }
        let sum: f64 = (row - 1..=row + 1)
            .flat_map(|row| plane[row * self.width + column - 1..][..3].iter())
            .map(|&x| f64::from(x))
            .sum();
        (sum + 4.0 * f64::from(plane[place])) / 13.0
    }
}

/// The whole number of a pixel.
fn level(x: f64) -> usize {
    (x + 0.5).floor().clamp(0.0, 255.0) as usize
}

/// What each level becomes.
fn equalized(plane: &[f32]) -> Vec<f64> {
    let mut counts = [0; LEVELS];
    plane.iter().for_each(|&x| counts[level(f64::from(x))] += 1);
    let of_highest = counts.iter().rev().find(|&&count| count > 0).copied().unwrap_or_default();
    let step = (plane.len() - of_highest) / 255;
    if step == 0 {
        return (0..LEVELS).map(|level| level as f64).collect();
    }
    let below = counts.iter().scan(0, |sum, count| {
        let below = *sum;
        *sum += count;
        Some(below)
    });
    // The first level has nothing below it, also by half a step.
    below
        .enumerate()
        .map(|(level, below)| if level == 0 { 0 } else { (below + step / 2) / step }.min(255) as f64)
        .collect()
}

/// Red, green and blue with another hue, by way of hue, saturation and value.
fn turned(rgb: [f64; 3], turn: f64) -> [f64; 3] {
    let most = rgb.into_iter().fold(f64::NEG_INFINITY, f64::max);
    let span = most - rgb.into_iter().fold(f64::INFINITY, f64::min);
    if span == 0.0 {
        return rgb;
    }
    let [r, g, b] = rgb.map(|x| (most - x) / span);
    let hue = match rgb {
        [red, ..] if red == most => b - g,
        [_, green, _] if green == most => 2.0 + r - b,
        _ => 4.0 + g - r,
    };
    let hue = (hue / 6.0 + 1.0 + turn).rem_euclid(1.0) * 6.0;
    // Each channel is at its greatest for a third of the circle, and falls away from it to both sides.
    [0.0, 4.0, 2.0].map(|shift| {
        let distance = ((hue + shift) % 6.0 - 3.0).abs() - 1.0;
        most - span * (1.0 - distance.clamp(0.0, 1.0))
    })
}

/// The images of a batch, as their rows say.
pub(super) fn reference([channels, height, width]: [usize; 3], inputs: &[&HostTensor], outputs: &mut [HostTensor]) {
    let length = channels * height * width;
    let images = inputs[0].f32().chunks_exact(length).zip(outputs[0].f32_mut().chunks_exact_mut(length));
    for ((pixels, changed), row) in images.zip(inputs[1].f32().chunks_exact(2)) {
        let (image, colour) = (Image { pixels, channels, height, width }, Colour::of(row));
        for (channel, y) in changed.chunks_exact_mut(height * width).enumerate() {
            let values = image.changed(channel, colour, f64::from(row[1]));
            let cut = |value: f64| if colour == Colour::Same { value } else { value.clamp(0.0, 255.0) };
            y.iter_mut().zip(values).for_each(|(y, value)| *y = cut(value) as f32);
        }
    }
}

/// A table of what an image's change needs to know of all its pixels, and the change.
pub(super) fn launch([n, channels, height, width]: [usize; 4], launch: &mut Launch<'_>) -> Result<(), Unsupported> {
    let table = launch.scratch(n * channels * LEVELS);
    let kernel = |shader| {
        let places = ALL.iter().enumerate().map(|(place, &(_, name))| (name, place));
        Kernel::new(shader)
            .constants(places)
            .constants([("CHANNELS", channels), ("PLANE", height * width)])
            .condition("coloured", channels == 3)
    };
    /// Invocations that count an image's pixels together.
    const TOGETHER: u32 = 64;
    launch.expect_loop((height * width).div_ceil(TOGETHER as usize).max(LEVELS))?;
    let operands = [("x", Operand::input(0)), ("draws", Operand::input(1)), ("table", table)];
    launch.linear_by(TOGETHER, kernel(&TABLE), n * TOGETHER as usize, operands);
    let operands = [operands[0], operands[1], operands[2], ("y", Operand::output(0))];
    let kernel = kernel(&COLOUR).constants([("WIDTH", width), ("HEIGHT", height)]);
    launch.linear(kernel, launch.output(0).elements(), operands);
    Ok(())
}
