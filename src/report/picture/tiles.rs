//! Images in a grid, with a few words below each.

use super::pixels::Pixels;

/// An image, and what stands below it.
#[derive(Clone, Debug, PartialEq)]
pub struct Tile {
    /// Drawn out to the size of a tile, with its own proportions.
    pub pixels: Pixels,
    /// Lines.
    pub caption: Vec<String>,
}

/// Images in rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Tiles {
    /// Above them.
    pub title: String,
    /// In their order.
    pub tiles: Vec<Tile>,
    /// The longer side of an image in the picture.
    pub side: u32,
    /// Images in a row.
    pub columns: usize,
}

#[cfg(feature = "plots")]
pub(super) use drawing::Grid;

#[cfg(feature = "plots")]
mod drawing {
    use super::super::draw::{LINE, MARGIN, TEXT_SIZE, TITLE_SIZE, clean, font, shortened, width};
    use super::super::surface::{Area, Drawn, Pixel, Placed, Sheet};
    use super::{Tile, Tiles};
    use plotters::prelude::Text;
    use plotters::style::text_anchor::{HPos, Pos, VPos};

    /// Tiles, to be drawn.
    pub(in super::super) struct Grid<'a>(pub &'a Tiles);

    /// Between tiles.
    const GAP: i32 = 6;
    /// The widest line of the title, for pictures of few tiles.
    const LEAST_WIDTH: i32 = 320;

    impl Grid<'_> {
        fn columns(&self) -> usize {
            self.0.tiles.len().min(self.0.columns).max(1)
        }

        /// Of a tile with its caption.
        fn cell(&self) -> (i32, i32) {
            let lines = self.0.tiles.iter().map(|tile| tile.caption.len()).max().unwrap_or(0) as i32;
            let under = if lines > 0 { lines * LINE * 4 / 5 + 10 } else { 0 };
            (self.0.side as i32 + GAP, self.0.side as i32 + GAP + under)
        }

        fn corner(&self, index: usize) -> Pixel {
            let (width, height) = self.cell();
            let (row, column) = (index / self.columns(), index % self.columns());
            (MARGIN + column as i32 * width, self.head() + row as i32 * height)
        }

        fn title(&self) -> Vec<String> {
            wrapped(&self.0.title, self.size().0 - 2 * MARGIN)
        }

        fn head(&self) -> i32 {
            MARGIN + self.title().len() as i32 * (LINE + 2) + GAP
        }
    }

    /// Lines of words, each within so many pixels of large letters.
    fn wrapped(text: &str, wide: i32) -> Vec<String> {
        let fits = |line: &str| width(line) * TITLE_SIZE / TEXT_SIZE <= wide;
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            match lines.last_mut() {
                Some(line) if fits(&format!("{line} {word}")) => *line += &format!(" {word}"),
                _ => lines.push(word.to_owned()),
            }
        }
        lines
    }

    impl Sheet for Grid<'_> {
        fn size(&self) -> (i32, i32) {
            let (width, height) = self.cell();
            let rows = self.0.tiles.len().div_ceil(self.columns()) as i32;
            let wide = (2 * MARGIN + self.columns() as i32 * width - GAP).max(LEAST_WIDTH);
            let head = MARGIN + wrapped(&self.0.title, wide - 2 * MARGIN).len() as i32 * (LINE + 2) + GAP;
            (wide, head + rows * height + MARGIN - GAP)
        }

        fn images(&self) -> Vec<Placed> {
            let side = self.0.side as i32;
            let place = |(index, tile): (usize, &Tile)| {
                let (x, y) = self.corner(index);
                let longer = tile.pixels.width.max(tile.pixels.height).max(1) as i32;
                let size = [tile.pixels.width, tile.pixels.height].map(|length| length as i32 * side / longer);
                let [width, height] = size.map(|length| length.max(1));
                let corner = (x + (side - width) / 2, y + (side - height) / 2);
                Placed { corner, size: (width, height), pixels: tile.pixels.clone() }
            };
            self.0.tiles.iter().enumerate().map(place).collect()
        }

        fn draw(&self, root: &Area<'_>) -> Drawn {
            let style = font(TITLE_SIZE).pos(Pos::new(HPos::Left, VPos::Center));
            for (line, text) in self.title().iter().enumerate() {
                let middle = MARGIN + line as i32 * (LINE + 2) + LINE / 2;
                root.draw(&Text::new(clean(text), (MARGIN, middle), style.clone()))?;
            }
            let style = font(TEXT_SIZE).pos(Pos::new(HPos::Center, VPos::Center));
            let letters = (self.0.side as usize / (TEXT_SIZE as usize / 2)).max(4);
            for (index, tile) in self.0.tiles.iter().enumerate() {
                let (x, y) = self.corner(index);
                for (line, text) in tile.caption.iter().enumerate() {
                    let middle = y + self.0.side as i32 + line as i32 * LINE * 4 / 5 + LINE / 2;
                    let centre = x + self.0.side as i32 / 2;
                    root.draw(&Text::new(clean(shortened(text, letters)), (centre, middle), style.clone()))?;
                }
            }
            Ok(())
        }
    }
}
