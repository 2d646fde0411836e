//! Tables, for terminals and Markdown alike, pictures of what runs find, TensorBoard events, and the generated
//! pages of the documentation.

mod pages;
mod picture;
mod published;
#[cfg(feature = "tensorboard")]
mod tensorboard;
#[cfg(not(feature = "tensorboard"))]
#[path = "no_tensorboard.rs"]
mod tensorboard;

pub use pages::Page;
pub(crate) use pages::thousands;
pub use picture::confusion::{Confused, Confusion, most_confused};
pub use picture::pixels::{Pixels, base64};
pub use picture::shades::viridis;
pub use picture::{Across, Band, Curve, Mark, Panel, Picture, PictureError, Style, Tile, Tiles};
pub use published::{Published, published};
pub use tensorboard::EventFile;

/// The value of a setting, for TensorBoard.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say what each is")]
pub enum HyperValue {
    Number(f64),
    Text(String),
    Flag(bool),
}

/// Rows of cells under a heading, aligned when written.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column titles.
    pub fn new<T: Into<String>>(titles: impl IntoIterator<Item = T>) -> Self {
        Table { rows: vec![titles.into_iter().map(Into::into).collect()] }
    }

    /// Adds a row, with a cell for each column.
    pub fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// As Markdown: the first column to the left, numbers to the right.
    pub fn to_markdown(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cell = |row: &Vec<String>| row.get(column).map_or(0, |cell| cell.chars().count());
            self.rows.iter().map(cell).max().unwrap_or(0).max(3)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (index, row) in self.rows.iter().enumerate() {
            text.push('|');
            for (column, &width) in widths.iter().enumerate() {
                let cell = row.get(column).map_or("", String::as_str);
                let padding = " ".repeat(width - cell.chars().count());
                let cell = if column == 0 { format!(" {cell}{padding} |") } else { format!(" {padding}{cell} |") };
                text.push_str(&cell);
            }
            text.push('\n');
            if index == 0 {
                text.push('|');
                for (column, &width) in widths.iter().enumerate() {
                    let rule = "-".repeat(width);
                    text.push_str(&if column == 0 { format!(" {rule} |") } else { format!(" {}: |", &rule[1..]) });
                }
                text.push('\n');
            }
        }
        text
    }
}
