//! A confusion as two matrices of colours, counts and shares of a class, and below them the pairs of classes that are
//! confused most often.

use super::confusion::{Confusion, most_confused};
use super::draw::{GREY, LINE, MARGIN, PANEL, TEXT_SIZE, TITLE_SIZE, clean, font, shortened, width};
use super::pixels::Pixels;
use super::shades::{ink_on, shade};
use super::surface::{Area, Drawn, Pixel, Placed, Sheet};
use plotters::prelude::{PathElement, Rectangle, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontTransform, TextStyle};

/// Side of a matrix at most, in pixels.
const SIDE: i32 = 400;
/// Above it: the title, and a line of what the cells are.
const HEAD: i32 = 3 * LINE;
/// The scale beside it: its width, and what its labels take.
const SCALE: (i32, i32) = (14, 44);
/// Letters of a class's name beside a matrix, and in the list of pairs.
const LETTERS: [usize; 2] = [12, 20];
/// Between labels.
const APART: i32 = 15;
/// Pairs of classes that are listed, in two columns.
const PAIRS: usize = 12;
/// Cells of so many pixels have their number.
const NUMBERED: i32 = 26;

/// A confusion, to be drawn.
pub(super) struct Matrices<'a> {
    confusion: &'a Confusion<'a>,
    names: Vec<String>,
    /// Classes that share a cell, in either direction.
    block: usize,
    /// Cells in a row, and pixels of one.
    cells: usize,
    cell: i32,
    /// Every so many cells have a label.
    step: usize,
    /// Whether labels of the predicted classes stand upright.
    are_turned: bool,
    /// Widest label.
    beside: i32,
    pairs: Vec<String>,
    /// The largest count, and the images of each class.
    most: f64,
    of_class: Vec<usize>,
}

/// What the colour of a cell stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Counts,
    Shares,
}

impl<'a> Matrices<'a> {
    pub(super) fn of(confusion: &'a Confusion<'a>) -> Self {
        let classes = confusion.classes.len().max(1);
        let names: Vec<String> = confusion.classes.iter().map(|name| shortened(name, LETTERS[0])).collect();
        let beside = names.iter().map(|name| width(name)).max().unwrap_or(0);
        let most = SIDE.min(PANEL.0 - (MARGIN + LINE + beside + 8) - (16 + SCALE.0 + SCALE.1));
        let block = classes.div_ceil(most as usize);
        let cells = classes.div_ceil(block);
        let cell = (most / cells as i32).max(1);
        let steps = [1, 2, 5].into_iter().flat_map(|digit| [1, 10, 100, 1000].map(|power| digit * power));
        let step = steps.filter(|&step| step as i32 * cell >= APART).min().unwrap_or(cells);
        let are_turned = beside + 8 > step as i32 * cell;
        let name = |class: usize| shortened(&confusion.classes[class], LETTERS[1]);
        let pairs = most_confused(confusion.counts, PAIRS).into_iter().map(|pair| {
            let images = if pair.images == 1 { "image" } else { "images" };
            format!(
                "{} taken for {}: {} {images}, {:.1} % of the class",
                name(pair.truth),
                name(pair.predicted),
                pair.images,
                100.0 * pair.share
            )
        });
        let pairs = pairs.collect();
        let most = confusion.counts.iter().flatten().max().copied().unwrap_or(0).max(1) as f64;
        let of_class = confusion.counts.iter().map(|row| row.iter().sum::<usize>().max(1)).collect();
        Matrices { confusion, names, block, cells, cell, step, are_turned, beside, pairs, most, of_class }
    }

    fn side(&self) -> i32 {
        self.cell * self.cells as i32
    }

    /// Below a matrix: its labels and what they are.
    fn foot(&self) -> i32 {
        self.labels_below() + 2 * LINE
    }

    /// What the labels of the predicted classes take.
    fn labels_below(&self) -> i32 {
        if self.are_turned { self.beside + 12 } else { LINE + 2 }
    }

    fn corner(&self, shown: Shown) -> Pixel {
        let left = if shown == Shown::Counts { 0 } else { PANEL.0 };
        (left + MARGIN + LINE + self.beside + 8, HEAD)
    }

    /// The largest of the classes that share a cell: images, or the share of the true class.
    fn value(&self, shown: Shown, (row, column): (usize, usize)) -> f64 {
        let classes = self.confusion.counts.len();
        let within = |cell: usize| cell * self.block..((cell + 1) * self.block).min(classes);
        let of_row = |truth: usize| {
            let counts = &self.confusion.counts[truth];
            let most = counts[within(column)].iter().max().copied().unwrap_or(0) as f64;
            match shown {
                Shown::Counts => most,
                Shown::Shares => most / self.of_class[truth] as f64,
            }
        };
        within(row).map(of_row).fold(0.0, f64::max)
    }

    fn most(&self, shown: Shown) -> f64 {
        if shown == Shown::Counts { self.most } else { 1.0 }
    }

    /// Where a value lies on the scale of colours. A few are told from none: counts by their logarithm, shares by their root.
    fn place(&self, shown: Shown, value: f64) -> f64 {
        match shown {
            Shown::Counts => value.ln_1p() / self.most(shown).ln_1p(),
            Shown::Shares => value.sqrt(),
        }
    }

    /// Values of the scale with their labels, so far apart that these do not touch.
    fn ticks(&self, shown: Shown) -> Vec<(f64, String)> {
        let most = self.most(shown);
        let values: Vec<f64> = match shown {
            Shown::Shares => vec![1.0, 0.5, 0.25, 0.1, 0.01, 0.0],
            Shown::Counts => {
                let powers = (0..12).rev().map(|power| 10f64.powi(power)).filter(|&power| power < most);
                [most].into_iter().chain(powers).chain([0.0]).collect()
            }
        };
        let height = |value: f64| self.place(shown, value) * f64::from(self.side());
        let mut ticks: Vec<(f64, String)> = Vec::new();
        for value in values {
            let label = match shown {
                Shown::Shares => format!("{}", (100.0 * value).round()),
                Shown::Counts => value.to_string(),
            };
            if ticks.last().is_none_or(|(last, _)| height(*last) - height(value) >= f64::from(APART)) {
                ticks.push((value, label));
            }
        }
        ticks
    }

    fn draw_matrix(&self, root: &Area<'_>, shown: Shown) -> Drawn {
        let (left, top) = self.corner(shown);
        let side = self.side();
        let middle = left + side / 2;
        let label = |h, v| font(TEXT_SIZE).pos(Pos::new(h, v));
        let cells = match shown {
            Shown::Counts => "images".to_owned(),
            Shown::Shares => "share of the true class, %".to_owned(),
        };
        let cells = match self.block {
            1 => cells,
            block => format!("{cells}; a cell shows the largest of {block} x {block} classes"),
        };
        let say =
            |text: &str, place: Pixel, style: TextStyle<'static>| root.draw(&Text::new(clean(text), place, style));
        say(&cells, (middle, HEAD - LINE), label(HPos::Center, VPos::Center))?;
        let numbered = match (self.block, self.step) {
            (1, 1) => String::new(),
            (block, step) => format!(", every {}th is named", block * step).replace("2th", "2nd"),
        };
        let below = top + side + self.labels_below() + LINE / 2;
        say(&format!("predicted class{numbered}"), (middle, below), label(HPos::Center, VPos::Center))?;
        let turned = font(TEXT_SIZE).transform(FontTransform::Rotate270);
        let beside = (left - self.beside - LINE, top + side / 2);
        say("true class", beside, turned.clone().pos(Pos::new(HPos::Center, VPos::Center)))?;
        for cell in (0..self.cells).step_by(self.step) {
            let name = &self.names[cell * self.block];
            let at = cell as i32 * self.cell + self.cell / 2;
            say(name, (left - 8, top + at), label(HPos::Right, VPos::Center))?;
            match self.are_turned {
                true => {
                    say(name, (left + at, top + side + 8), turned.clone().pos(Pos::new(HPos::Right, VPos::Center)))?
                }
                false => say(name, (left + at, top + side + LINE / 2 + 4), label(HPos::Center, VPos::Center))?,
            }
            for tick in [
                vec![(left - 4, top + at), (left, top + at)],
                vec![(left + at, top + side), (left + at, top + side + 4)],
            ] {
                root.draw(&PathElement::new(tick, GREY.stroke_width(1)))?;
            }
        }
        root.draw(&Rectangle::new([(left, top), (left + side, top + side)], GREY.stroke_width(1)))?;
        if self.block == 1 && self.cell >= NUMBERED {
            self.draw_numbers(root, shown)?;
        }
        let scale = left + side + 16;
        root.draw(&Rectangle::new([(scale, top), (scale + SCALE.0, top + side)], GREY.stroke_width(1)))?;
        for (value, text) in self.ticks(shown) {
            let y = top + side - (self.place(shown, value) * f64::from(side)).round() as i32;
            root.draw(&PathElement::new(vec![(scale + SCALE.0, y), (scale + SCALE.0 + 4, y)], GREY.stroke_width(1)))?;
            say(&text, (scale + SCALE.0 + 7, y), label(HPos::Left, VPos::Center))?;
        }
        Ok(())
    }

    fn draw_numbers(&self, root: &Area<'_>, shown: Shown) -> Drawn {
        let (left, top) = self.corner(shown);
        for (row, column) in (0..self.cells).flat_map(|row| (0..self.cells).map(move |column| (row, column))) {
            let value = self.value(shown, (row, column));
            if value == 0.0 {
                continue;
            }
            let text = match shown {
                Shown::Counts => value.to_string(),
                Shown::Shares if value < 0.0995 => format!("{:.1}", 100.0 * value),
                Shown::Shares => format!("{:.0}", 100.0 * value),
            };
            // As large as the cell allows.
            let size = (TEXT_SIZE * (self.cell - 4) / width(&text).max(1)).min(TEXT_SIZE);
            if size < 9 {
                continue;
            }
            let ink = ink_on(shade(self.place(shown, value)));
            let style = font(size).color(&ink).pos(Pos::new(HPos::Center, VPos::Center));
            let half = self.cell / 2;
            let place = (left + column as i32 * self.cell + half, top + row as i32 * self.cell + half);
            root.draw(&Text::new(text, place, style))?;
        }
        Ok(())
    }
}

impl Sheet for Matrices<'_> {
    fn size(&self) -> (i32, i32) {
        let lines = self.pairs.len().div_ceil(2) as i32;
        let list = if lines > 0 { (lines + 2) * LINE } else { 0 };
        (2 * PANEL.0, HEAD + self.side() + self.foot() + list)
    }

    fn images(&self) -> Vec<Placed> {
        let mut images = Vec::new();
        for shown in [Shown::Counts, Shown::Shares] {
            let (left, top) = self.corner(shown);
            let side = self.side();
            let mut cells = Pixels::white(self.cells, self.cells);
            for (row, column) in (0..self.cells).flat_map(|row| (0..self.cells).map(move |column| (row, column))) {
                cells.set(column, row, shade(self.place(shown, self.value(shown, (row, column)))));
            }
            images.push(Placed { corner: (left, top), size: (side, side), pixels: cells });
            let mut scale = Pixels::white(1, side as usize);
            // Its end is that of nothing.
            for y in 0..side - LINE / 4 {
                scale.set(0, y as usize, shade(1.0 - f64::from(y) / f64::from(side)));
            }
            images.push(Placed { corner: (left + side + 16, top), size: (SCALE.0, side), pixels: scale });
        }
        images
    }

    fn draw(&self, root: &Area<'_>) -> Drawn {
        let centre = Pos::new(HPos::Center, VPos::Center);
        root.draw(&Text::new(clean(self.confusion.title), (PANEL.0, LINE), font(TITLE_SIZE).pos(centre)))?;
        self.draw_matrix(root, Shown::Counts)?;
        self.draw_matrix(root, Shown::Shares)?;
        let left = Pos::new(HPos::Left, VPos::Center);
        let top = HEAD + self.side() + self.foot() + LINE / 2;
        if !self.pairs.is_empty() {
            let title = "Most often confused";
            root.draw(&Text::new(title, (MARGIN + LINE, top), font(TEXT_SIZE + 2).pos(left)))?;
        }
        let lines = self.pairs.len().div_ceil(2).max(1);
        for (index, pair) in self.pairs.iter().enumerate() {
            let (column, line) = (index / lines, index % lines);
            let place = (MARGIN + LINE + column as i32 * PANEL.0, top + (line as i32 + 1) * LINE + 4);
            root.draw(&Text::new(clean(pair), place, font(TEXT_SIZE).pos(left)))?;
        }
        Ok(())
    }
}
