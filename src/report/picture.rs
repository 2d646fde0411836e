//! Curves as a picture: panels in rows of two in one SVG file, each with its legend below it, where no data are.

mod axis;
mod svg;

use axis::{Axis, is_drawn};
use svg::{Anchor, Stroke, Svg, width};

/// Points of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    pub label: String,
    /// (x, y); a point that is not finite is left out.
    pub points: Vec<(f64, f64)>,
    pub style: Style,
}

/// How a curve is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    Line,
    /// A line with a dot at each point: for few points.
    DottedLine,
    /// Dots alone: for points of which none comes after another.
    Dots,
}

/// What lies between two curves.
#[derive(Clone, Debug, PartialEq)]
pub struct Band {
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
    pub label: String,
    pub x: f64,
}

/// Bands, and curves above them, over one pair of axes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Panel {
    pub title: String,
    pub x_label: String,
    pub y_label: String,
    pub across: Across,
    /// Whether y, above 0, is drawn to a logarithmic scale.
    pub log_y: bool,
    pub bands: Vec<Band>,
    pub curves: Vec<Curve>,
    pub marks: Vec<Mark>,
}

/// Width of a panel, and height of what is drawn in it, in pixels.
const PANEL: (f64, f64) = (560.0, 340.0);
/// Panels side by side.
const COLUMNS: usize = 2;

/// After Okabe and Ito 2008, which stay apart for the colour-blind: without their yellow, which is faint on white, but
/// with a wine red.
const COLOURS: [&str; 8] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000", "#882255"];
/// Tells curves apart once the colours come again.
const DASHES: [&str; 4] = ["", "7 4", "2 3", "9 3 2 3"];
const FRAME: Stroke = Stroke { colour: "#444444", width: 1.0, dashes: "" };
const GRID: Stroke = Stroke { colour: "#e4e4e4", width: 1.0, dashes: "" };
const MARK: Stroke = Stroke { colour: "#444444", width: 1.2, dashes: "5 3" };

const TITLE_SIZE: f64 = 16.0;
const TEXT_SIZE: f64 = 12.0;
/// Height of a line of the legend.
const LINE: f64 = 18.0;
/// Width of a sample in the legend.
const SAMPLE: f64 = 22.0;
const MARGIN: f64 = 14.0;
/// Names that are longer end in dots.
const LONGEST_NAME: usize = 28;
/// Between the lines that fill a band.
const HATCH: f64 = 7.0;

/// The panels in rows of two, as the text of an SVG file.
pub fn picture(panels: &[Panel]) -> String {
    let legends: Vec<Legend<'_>> = panels.iter().map(Legend::of).collect();
    let drawn: Vec<Frame<'_>> = panels.iter().zip(legends).map(|(panel, legend)| Frame::of(panel, legend)).collect();
    let height = |row: &[Frame<'_>]| row.iter().map(Frame::height).fold(0.0, f64::max);
    let whole: f64 = drawn.chunks(COLUMNS).map(height).sum();
    let columns = panels.len().clamp(1, COLUMNS) as f64;
    let mut svg = Svg::new((columns * PANEL.0) as u32, f64::max(whole, MARGIN).ceil() as u32);
    let mut top = 0.0;
    for row in drawn.chunks(COLUMNS) {
        for (column, frame) in row.iter().enumerate() {
            frame.draw(&mut svg, [column as f64 * PANEL.0, top]);
        }
        top += height(row);
    }
    svg.finish()
}

/// What stands below a panel: a sample and a label each.
struct Legend<'a> {
    /// Sample, label, and its place in pixels from the legend's corner.
    entries: Vec<(Sample, &'a str, [f64; 2])>,
    height: f64,
}

#[derive(Clone, Copy)]
enum Sample {
    Band(usize),
    Curve(usize, Style),
    Mark,
}

impl<'a> Legend<'a> {
    fn of(panel: &'a Panel) -> Self {
        let bands = panel.bands.iter().enumerate().map(|(index, band)| (Sample::Band(index), band.label.as_str()));
        let curves = panel.curves.iter().enumerate();
        let curves =
            curves.map(|(index, curve)| (Sample::Curve(panel.bands.len() + index, curve.style), curve.label.as_str()));
        let marks = panel.marks.iter().map(|mark| (Sample::Mark, mark.label.as_str()));
        let (mut entries, mut x, mut y) = (Vec::new(), 0.0, 0.0);
        for (sample, label) in bands.chain(curves).chain(marks) {
            let wide = SAMPLE + 6.0 + width(label, TEXT_SIZE) + 18.0;
            if x > 0.0 && x + wide > PANEL.0 - 2.0 * MARGIN {
                (x, y) = (0.0, y + LINE);
            }
            entries.push((sample, label, [x, y]));
            x += wide;
        }
        let height = if entries.is_empty() { 0.0 } else { y + LINE };
        Legend { entries, height }
    }
}

/// A panel with its axes, ready to be drawn.
struct Frame<'a> {
    panel: &'a Panel,
    legend: Legend<'a>,
    x: Axis,
    y: Axis,
    /// Left and right, top and bottom of the area that has the data, from the panel's corner.
    across: [f64; 2],
    down: [f64; 2],
    /// Whether the names on the axis stand aslant.
    is_aslant: bool,
    /// Room for the labels of the x axis.
    below: f64,
}

impl<'a> Frame<'a> {
    fn of(panel: &'a Panel, legend: Legend<'a>) -> Self {
        let points = || panel.bands.iter().flat_map(outline).chain(panel.curves.iter().flat_map(finite));
        let ys = points().map(|point| point.1).filter(|&y| !panel.log_y || y > 0.0);
        let y = Axis::over(ys, panel.log_y, false, 7);
        let widest = y.ticks.iter().map(|(_, label)| width(label, TEXT_SIZE)).fold(0.0, f64::max);
        let across = [MARGIN + TEXT_SIZE + 12.0 + widest, PANEL.0 - MARGIN - 8.0];
        let wide = across[1] - across[0];
        let xs = || points().map(|point| point.0).chain(panel.marks.iter().map(|mark| mark.x));
        let most = 8;
        let x = match &panel.across {
            Across::Linear => Axis::over(xs(), false, false, most),
            Across::Whole => Axis::over(xs(), false, true, most),
            Across::Logarithmic => Axis::over(xs().filter(|&x| x > 0.0), true, false, most),
            Across::Names(names) => Axis::of_names(&names.iter().map(|name| shortened(name)).collect::<Vec<_>>()),
        };
        let longest = x.ticks.iter().map(|(_, label)| width(label, TEXT_SIZE)).fold(0.0, f64::max);
        let is_aslant = (longest + 10.0) * x.ticks.len() as f64 > wide;
        let below = if is_aslant { 0.5 * longest + 2.0 * TEXT_SIZE } else { 1.6 * TEXT_SIZE };
        let down = [MARGIN + TITLE_SIZE + 12.0, MARGIN + TITLE_SIZE + 12.0 + PANEL.1 - 90.0];
        Frame { panel, legend, x, y, across, down, is_aslant, below }
    }

    fn height(&self) -> f64 {
        self.down[1] + self.below + 1.8 * TEXT_SIZE + self.legend.height + MARGIN
    }

    fn draw(&self, svg: &mut Svg, corner: [f64; 2]) {
        let at = |x: f64, y: f64| [corner[0] + x, corner[1] + y];
        self.draw_axes(svg, corner);
        for (index, band) in self.panel.bands.iter().enumerate() {
            self.draw_band(svg, corner, index, band);
        }
        for mark in self.panel.marks.iter().filter(|mark| (0.0..=1.0).contains(&self.x.place(mark.x))) {
            let x = self.across(mark.x);
            svg.line(at(x, self.down[0]), at(x, self.down[1]), MARK);
        }
        for (index, curve) in self.panel.curves.iter().enumerate() {
            let index = self.panel.bands.len() + index;
            let is_placed = |(x, y): &(f64, f64)| self.x.place(*x).is_finite() && self.y.place(*y).is_finite();
            let placed = finite(curve).into_iter().filter(is_placed);
            let points: Vec<[f64; 2]> = placed.map(|point| self.point(corner, point)).collect();
            if curve.style != Style::Dots && !points.is_empty() {
                svg.polyline(&points, stroke(index));
            }
            if curve.style != Style::Line {
                points.iter().for_each(|&point| dot(svg, point, index));
            }
        }
        self.draw_legend(svg, at(MARGIN, self.down[1] + self.below + 1.8 * TEXT_SIZE));
    }

    fn draw_axes(&self, svg: &mut Svg, corner: [f64; 2]) {
        let at = |x: f64, y: f64| [corner[0] + x, corner[1] + y];
        let ([left, right], [top, bottom]) = (self.across, self.down);
        let middle = (left + right) / 2.0;
        svg.text(at(PANEL.0 / 2.0, MARGIN + TITLE_SIZE), TITLE_SIZE, Anchor::Middle, 0.0, &self.panel.title);
        for (value, label) in &self.y.ticks {
            let y = self.down(*value);
            svg.line(at(left, y), at(right, y), GRID);
            svg.text(at(left - 6.0, y + 4.0), TEXT_SIZE, Anchor::End, 0.0, label);
        }
        for (value, label) in &self.x.ticks {
            let x = self.across(*value);
            svg.line(at(x, top), at(x, bottom), GRID);
            match self.is_aslant {
                true => svg.text(at(x + 4.0, bottom + TEXT_SIZE + 2.0), TEXT_SIZE, Anchor::End, -35.0, label),
                false => svg.text(at(x, bottom + TEXT_SIZE + 4.0), TEXT_SIZE, Anchor::Middle, 0.0, label),
            }
        }
        svg.line(at(left, bottom), at(right, bottom), FRAME);
        svg.line(at(left, top), at(left, bottom), FRAME);
        let below = bottom + self.below + TEXT_SIZE;
        svg.text(at(middle, below), TEXT_SIZE, Anchor::Middle, 0.0, &self.panel.x_label);
        let beside = at(MARGIN + 0.5 * TEXT_SIZE, (top + bottom) / 2.0);
        svg.text(beside, TEXT_SIZE, Anchor::Middle, -90.0, &self.panel.y_label);
    }

    /// Edges in full colour, and lines between them that lean another way in each band: where two meet, both are seen.
    fn draw_band(&self, svg: &mut Svg, corner: [f64; 2], index: usize, band: &Band) {
        let edges: Vec<[f64; 2]> = outline(band).into_iter().map(|point| self.point(corner, point)).collect();
        let Some(half) = Some(edges.len() / 2).filter(|&half| half > 0) else { return };
        let stroke = stroke(index);
        svg.polygon(&edges, "none", Stroke { width: 1.5, ..stroke });
        let lower = &edges[..half];
        let upper: Vec<[f64; 2]> = edges[half..].iter().rev().copied().collect();
        let (first, last) = (lower[0][0], lower[half - 1][0]);
        let lines = ((last - first) / HATCH) as usize;
        for line in 0..=lines {
            // Bands take turns, so that no line lies on another's.
            let x = first + (line as f64 + 0.5 * (index % 2) as f64) * HATCH;
            let (Some(from), Some(to)) = (height_at(lower, x), height_at(&upper, x)) else { continue };
            svg.line([x, from], [x, to], Stroke { width: 1.0, dashes: DASHES[(index / 2) % DASHES.len()], ..stroke });
        }
    }

    fn draw_legend(&self, svg: &mut Svg, [left, top]: [f64; 2]) {
        for (sample, label, [x, y]) in &self.legend.entries {
            let (x, middle) = (left + x, top + y + LINE / 2.0);
            let line = [[x, middle], [x + SAMPLE, middle]];
            match *sample {
                Sample::Mark => svg.line(line[0], line[1], MARK),
                Sample::Band(index) => {
                    let edge = Stroke { width: 1.5, ..stroke(index) };
                    for y in [middle - 5.0, middle + 5.0] {
                        svg.line([x, y], [x + SAMPLE, y], edge);
                    }
                    for step in 0..4 {
                        let x = x + f64::from(step) * HATCH;
                        svg.line([x, middle - 5.0], [x, middle + 5.0], Stroke { width: 1.0, ..edge });
                    }
                }
                Sample::Curve(index, style) => {
                    if style != Style::Dots {
                        svg.polyline(&line, stroke(index));
                    }
                    if style != Style::Line {
                        // No circle: those are the points.
                        let shape = shape(index).unwrap_or(&DISC);
                        svg.mark([x + SAMPLE / 2.0, middle], shape, COLOURS[index % COLOURS.len()]);
                    }
                }
            }
            svg.text([x + SAMPLE + 6.0, middle + 4.0], TEXT_SIZE, Anchor::Start, 0.0, label);
        }
    }

    fn across(&self, x: f64) -> f64 {
        self.across[0] + self.x.place(x) * (self.across[1] - self.across[0])
    }

    fn down(&self, y: f64) -> f64 {
        self.down[1] - self.y.place(y) * (self.down[1] - self.down[0])
    }

    fn point(&self, corner: [f64; 2], (x, y): (f64, f64)) -> [f64; 2] {
        [corner[0] + self.across(x), corner[1] + self.down(y)]
    }
}

fn stroke(index: usize) -> Stroke {
    Stroke { colour: COLOURS[index % COLOURS.len()], width: 2.0, dashes: DASHES[index / COLOURS.len() % DASHES.len()] }
}

const DISC: [[f64; 2]; 8] =
    [[3.5, 0.0], [2.5, 2.5], [0.0, 3.5], [-2.5, 2.5], [-3.5, 0.0], [-2.5, -2.5], [0.0, -3.5], [2.5, -2.5]];
const SQUARE: [[f64; 2]; 4] = [[-3.2, -3.2], [3.2, -3.2], [3.2, 3.2], [-3.2, 3.2]];
const TRIANGLE: [[f64; 2]; 3] = [[0.0, -4.2], [3.8, 3.2], [-3.8, 3.2]];
const DIAMOND: [[f64; 2]; 4] = [[0.0, -4.6], [4.6, 0.0], [0.0, 4.6], [-4.6, 0.0]];

/// The outline of a curve's dots; the first ones have circles.
fn shape(index: usize) -> Option<&'static [[f64; 2]]> {
    match index / COLOURS.len() % 4 {
        0 => None,
        1 => Some(&SQUARE),
        2 => Some(&TRIANGLE),
        _ => Some(&DIAMOND),
    }
}

fn dot(svg: &mut Svg, at: [f64; 2], index: usize) {
    let colour = COLOURS[index % COLOURS.len()];
    match shape(index) {
        None => svg.circle(at, 3.5, colour),
        Some(shape) => svg.mark(at, shape, colour),
    }
}

fn finite(curve: &Curve) -> Vec<(f64, f64)> {
    curve.points.iter().copied().filter(|(x, y)| is_drawn(*x) && is_drawn(*y)).collect()
}

/// Along the lower edge, and back along the upper one.
fn outline(band: &Band) -> Vec<(f64, f64)> {
    let edges: Vec<_> = band.edges.iter().filter(|(x, y)| is_drawn(*x) && y.iter().all(|y| is_drawn(*y))).collect();
    let lower = edges.iter().map(|(x, [lower, _])| (*x, *lower));
    let upper = edges.iter().map(|(x, [_, upper])| (*x, *upper));
    lower.chain(upper.rev()).collect()
}

/// The height at `x` of a line from left to right.
fn height_at(line: &[[f64; 2]], x: f64) -> Option<f64> {
    let after = line.partition_point(|point| point[0] < x);
    let [right, left] = [line.get(after)?, line.get(after.saturating_sub(1))?];
    let share = if right[0] > left[0] { (x - left[0]) / (right[0] - left[0]) } else { 0.0 };
    Some(left[1] + share * (right[1] - left[1]))
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= LONGEST_NAME {
        return name.to_owned();
    }
    let kept: String = name.chars().take(LONGEST_NAME - 1).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests;
