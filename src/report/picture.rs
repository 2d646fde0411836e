//! Pictures as SVG and PNG files: panels of curves in rows of two, each with its legend below it, where no data are; the
//! matrix of a confusion; tiles of images.

pub(super) mod confusion;
#[cfg(feature = "plots")]
mod draw;
#[cfg(feature = "plots")]
mod matrix;
pub(super) mod pixels;
pub(super) mod shades;
#[cfg(feature = "plots")]
mod surface;
#[cfg(all(test, feature = "plots"))]
mod tests;
mod tiles;

use confusion::Confusion;
pub use tiles::{Tile, Tiles};

/// Points of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// As the legend has it.
    pub label: String,
    /// (x, y); a point that is not finite is left out.
    pub points: Vec<(f64, f64)>,
    /// How it is drawn.
    pub style: Style,
}

/// How a curve is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// From point to point.
    Line,
    /// A line with a dot at each point: for few points.
    DottedLine,
    /// Dots alone: for points of which none comes after another.
    Dots,
    /// A bar from 0 to each point.
    Bars,
}

/// What lies between two curves.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
    /// As the legend has it.
    pub label: String,
    /// (x, [lower y, upper y]); one that is not finite is left out.
    pub edges: Vec<(f64, [f64; 2])>,
}

/// What x is.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Across {
    /// A number.
    #[default]
    Linear,
    /// A whole number, such as an epoch.
    Whole,
    /// A number above 0, drawn to a logarithmic scale.
    Logarithmic,
    /// One of these names, the first at 1.
    Names(Vec<String>),
}

/// A place on the x axis that stands out, such as the best epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// What stands beside it.
    pub label: String,
    /// Where it is.
    pub x: f64,
}

/// Bands, and curves above them, over one pair of axes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panel {
    /// Above the panel.
    pub title: String,
    /// Below the x axis.
    pub x_label: String,
    /// Beside the y axis.
    pub y_label: String,
    /// What x is.
    pub across: Across,
    /// Whether y, above 0, is drawn to a logarithmic scale.
    pub log_y: bool,
    /// Drawn first.
    pub bands: Vec<Band>,
    /// Drawn above them.
    pub curves: Vec<Curve>,
    /// Vertical lines.
    pub marks: Vec<Mark>,
}

/// What can be drawn.
#[derive(Clone, Debug)]
pub enum Picture<'a> {
    /// In rows of two.
    Panels(&'a [Panel]),
    /// As counts and as shares.
    Confusion(Confusion<'a>),
    /// In a grid.
    Tiles(&'a Tiles),
}

/// A picture that could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the picture could not be drawn: {0}")]
pub struct PictureError(String);

impl Picture<'_> {
    /// The text of an SVG file; none in a build without the feature `plots`.
    ///
    /// # Errors
    /// When the drawing library refuses.
    pub fn svg(&self) -> Result<Option<String>, PictureError> {
        #[cfg(feature = "plots")]
        return surface::svg(&*self.sheet()).map(Some).map_err(|reason| PictureError(reason.to_string()));
        #[cfg(not(feature = "plots"))]
        Ok(None)
    }

    /// The bytes of a PNG file, with two pixels for each unit of the SVG file each way; none in a build without the feature
    /// `plots`. Letters beyond Latin and Greek are boxes.
    ///
    /// # Errors
    /// When the drawing library refuses.
    pub fn png(&self) -> Result<Option<Vec<u8>>, PictureError> {
        #[cfg(feature = "plots")]
        return surface::png(&*self.sheet()).map(Some).map_err(|reason| PictureError(reason.to_string()));
        #[cfg(not(feature = "plots"))]
        Ok(None)
    }

    #[cfg(feature = "plots")]
    fn sheet(&self) -> Box<dyn surface::Sheet + '_> {
        match self {
            Picture::Panels(panels) => Box::new(draw::Frames::of(panels)),
            Picture::Confusion(confusion) => Box::new(matrix::Matrices::of(confusion)),
            Picture::Tiles(tiles) => Box::new(tiles::Grid(tiles)),
        }
    }
}
