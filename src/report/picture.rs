//! Curves as a picture: panels in rows of two in one SVG file, each with its legend below it, where no data are.

#[cfg(feature = "plots")]
mod draw;
#[cfg(all(test, feature = "plots"))]
mod tests;

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

/// A picture that could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the curves could not be drawn: {0}")]
pub struct PictureError(String);

/// The panels in rows of two, as the text of an SVG file; none in a build without the feature `plots`.
///
/// # Errors
/// When the drawing library refuses.
#[cfg(feature = "plots")]
pub fn picture(panels: &[Panel]) -> Result<Option<String>, PictureError> {
    let mut text = String::new();
    draw::draw(panels, &mut text).map_err(|reason| PictureError(reason.to_string()))?;
    Ok(Some(text))
}

/// The panels in rows of two, as the text of an SVG file; none in a build without the feature `plots`.
///
/// # Errors
/// When the drawing library refuses.
#[cfg(not(feature = "plots"))]
pub fn picture(_: &[Panel]) -> Result<Option<String>, PictureError> {
    Ok(None)
}
