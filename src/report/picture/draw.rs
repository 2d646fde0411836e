//! How panels are drawn, with plotters over axes of our own.

mod axis;

use super::surface::{Area, Drawn, Pixel, Sheet};
use super::{Across, Band, Curve, Panel, Style};
use axis::{Axis, is_drawn};
use plotters::coord::ranged1d::Ranged;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::FontTransform;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::fmt::Display;

/// Width of a panel, and its height without the legend, in pixels.
pub(super) const PANEL: (i32, i32) = (560, 350);
/// Panels side by side.
const COLUMNS: usize = 2;
pub(super) const MARGIN: i32 = 12;
pub(super) const TITLE_SIZE: i32 = 18;
pub(super) const TEXT_SIZE: i32 = 14;
/// Height of a line of the legend.
pub(super) const LINE: i32 = 20;
/// Width of a sample in the legend.
const SAMPLE: i32 = 22;
/// Labels on an axis at most, or about.
const MOST_LABELS: usize = 8;
/// Names that are longer end in dots.
const LONGEST_NAME: usize = 28;
/// Between the lines that fill a band.
const HATCH: i32 = 7;

/// After Okabe and Ito 2008, which stay apart for the colour-blind: without their yellow, which is faint on white, but
/// with a wine red.
pub(super) const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(0, 0, 0),
    RGBColor(136, 34, 85),
];
/// Length of a dash and of the gap after it; they tell curves apart once the colours come again.
const DASHES: [Option<(i32, i32)>; 4] = [None, Some((8, 4)), Some((2, 3)), Some((12, 6))];
pub(super) const GREY: RGBColor = RGBColor(90, 90, 90);

/// Panels in rows of two.
pub(super) struct Frames<'a>(Vec<Frame<'a>>);

impl<'a> Frames<'a> {
    pub(super) fn of(panels: &'a [Panel]) -> Self {
        Frames(panels.iter().map(Frame::of).collect())
    }

    fn heights(&self) -> Vec<i32> {
        self.0.chunks(COLUMNS).map(|row| row.iter().map(Frame::height).max().unwrap_or(0)).collect()
    }
}

impl Sheet for Frames<'_> {
    fn size(&self) -> (i32, i32) {
        (PANEL.0 * self.0.len().clamp(1, COLUMNS) as i32, self.heights().iter().sum::<i32>().max(MARGIN))
    }

    fn draw(&self, root: &Area<'_>) -> Drawn {
        let mut top = 0;
        for (row, height) in self.0.chunks(COLUMNS).zip(self.heights()) {
            for (column, frame) in row.iter().enumerate() {
                frame.draw(root, (column as i32 * PANEL.0, top))?;
            }
            top += height;
        }
        Ok(())
    }
}

/// What stands below a panel: a sample and a label each.
struct Legend<'a> {
    /// Sample, label, and its place in pixels from the legend's corner.
    entries: Vec<(Sample, &'a str, Pixel)>,
    height: i32,
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
        let (mut entries, mut x, mut y) = (Vec::new(), 0, 0);
        for (sample, label) in bands.chain(curves).chain(marks) {
            let wide = SAMPLE + 24 + width(label);
            if x > 0 && x + wide > PANEL.0 - 2 * MARGIN {
                (x, y) = (0, y + LINE);
            }
            entries.push((sample, label, (x, y)));
            x += wide;
        }
        let height = if entries.is_empty() { 0 } else { y + LINE + MARGIN };
        Legend { entries, height }
    }

    fn draw(&self, root: &Area<'_>, (left, top): Pixel) -> Drawn {
        for &(sample, label, (x, y)) in &self.entries {
            let (x, middle) = (left + x, top + y + LINE / 2);
            let line = vec![(x, middle), (x + SAMPLE, middle)];
            match sample {
                Sample::Mark => draw_mark(root, line)?,
                Sample::Band(index) => {
                    let [upper, lower] = [-5, 5].map(|by| vec![(x, middle + by), (x + SAMPLE, middle + by)]);
                    draw_band(root, index, upper, lower)?;
                }
                Sample::Curve(index, Style::Bars) => {
                    let colour = COLOURS[index % COLOURS.len()];
                    root.draw(&Rectangle::new([(x + 4, middle - 5), (x + SAMPLE - 4, middle + 5)], colour.filled()))?;
                }
                Sample::Curve(index, style) => draw_curve(root, index, style, line, &[(x + SAMPLE / 2, middle)])?,
            }
            let style = font(TEXT_SIZE).pos(Pos::new(HPos::Left, VPos::Center));
            root.draw(&Text::new(clean(label), (x + SAMPLE + 6, middle), style))?;
        }
        Ok(())
    }
}

/// A panel with its axes and its legend, ready to be drawn.
struct Frame<'a> {
    panel: &'a Panel,
    legend: Legend<'a>,
    x: Axis,
    y: Axis,
    /// Room for the labels of the y axis, and of the x axis.
    beside: i32,
    below: i32,
    /// Whether labels of the x axis, which would run into each other, stand upright.
    are_turned: bool,
}

impl<'a> Frame<'a> {
    fn of(panel: &'a Panel) -> Self {
        let bars = panel.curves.iter().filter(|curve| curve.style == Style::Bars);
        let bars = bars.flat_map(|curve| {
            let half = bar_width(curve) / 2.0;
            finite(curve).into_iter().flat_map(move |(x, _)| [(x - half, 0.0), (x + half, 0.0)])
        });
        let points =
            || panel.bands.iter().flat_map(outline).chain(panel.curves.iter().flat_map(finite)).chain(bars.clone());
        let xs = || points().map(|point| point.0).chain(panel.marks.iter().map(|mark| mark.x));
        let x = match &panel.across {
            Across::Linear => Axis::over(xs(), false, false, MOST_LABELS),
            Across::Whole => Axis::over(xs(), false, true, MOST_LABELS),
            Across::Logarithmic => Axis::over(xs().filter(|&x| x > 0.0), true, false, MOST_LABELS),
            Across::Names(names) => {
                Axis::of_names(&names.iter().map(|name| shortened(name, LONGEST_NAME)).collect::<Vec<_>>())
            }
        };
        let y = Axis::over(points().map(|point| point.1).filter(|&y| !panel.log_y || y > 0.0), panel.log_y, false, 7);
        let longest = |axis: &Axis| axis.ticks.iter().map(|(_, label)| width(label)).max().unwrap_or(0);
        let beside = longest(&y) + 2 * TEXT_SIZE + 6;
        let are_turned = (longest(&x) + 10) * x.ticks.len() as i32 > PANEL.0 - beside - 2 * MARGIN;
        let below = if are_turned { longest(&x).max(TEXT_SIZE) } else { TEXT_SIZE };
        Frame { panel, legend: Legend::of(panel), x, y, beside, below, are_turned }
    }

    /// Without the legend: labels that stand upright take nothing from the data.
    fn plot_height(&self) -> i32 {
        PANEL.1 + self.below - TEXT_SIZE
    }

    fn height(&self) -> i32 {
        self.plot_height() + self.legend.height
    }

    fn draw(&self, root: &Area<'_>, (left, top): Pixel) -> Drawn {
        let area = root.clone().shrink((left, top), (PANEL.0, self.plot_height()));
        draw_panel(self, root, &area)?;
        self.legend.draw(root, (left + MARGIN, top + self.plot_height()))
    }
}

fn draw_panel(frame: &Frame<'_>, root: &Area<'_>, area: &Area<'_>) -> Drawn {
    let &Frame { panel, ref x, ref y, beside, below, are_turned, .. } = frame;
    let mut chart = ChartBuilder::on(area)
        .margin(MARGIN)
        .caption(clean(&panel.title), font(TITLE_SIZE))
        .x_label_area_size(below + 2 * TEXT_SIZE)
        .y_label_area_size(beside)
        .build_cartesian_2d(x.clone(), y.clone())?;
    let x_label = |value: &f64| if are_turned { String::new() } else { clean(x.label_at(*value)) };
    chart
        .configure_mesh()
        .max_light_lines(0)
        .bold_line_style(BLACK.mix(0.12))
        .axis_style(GREY)
        .label_style(font(TEXT_SIZE))
        .axis_desc_style(font(TEXT_SIZE))
        .x_label_formatter(&x_label)
        .x_desc(clean(&panel.x_label))
        .y_desc(clean(&panel.y_label))
        .draw()?;
    let plane = chart.plotting_area();
    let pixel = |point: (f64, f64)| plane.map_coordinate(&point);
    let (across, down) = plane.get_pixel_range();
    let across = |value: f64| x.map(&value, (across.start, across.end));
    if are_turned {
        let style = font(TEXT_SIZE).transform(FontTransform::Rotate270).pos(Pos::new(HPos::Right, VPos::Center));
        for (value, label) in &x.ticks {
            root.draw(&Text::new(clean(label), (across(*value), down.end + 8), style.clone()))?;
        }
    }
    for (index, band) in panel.bands.iter().enumerate() {
        let edges: Vec<Pixel> = outline(band).into_iter().map(pixel).collect();
        let (lower, upper) = edges.split_at(edges.len() / 2);
        draw_band(root, index, lower.to_vec(), upper.iter().rev().copied().collect())?;
    }
    for mark in panel.marks.iter().filter(|mark| (0.0..=1.0).contains(&x.place(mark.x))) {
        draw_mark(root, vec![(across(mark.x), down.start), (across(mark.x), down.end)])?;
    }
    for (index, curve) in panel.curves.iter().enumerate() {
        if curve.style == Style::Bars {
            let colour = COLOURS[(panel.bands.len() + index) % COLOURS.len()];
            // A little apart.
            let half = 0.45 * bar_width(curve);
            for (at, height) in finite(curve).into_iter().filter(|(_, height)| *height != 0.0) {
                let corners = [pixel((at - half, height)), pixel((at + half, 0.0))];
                root.draw(&Rectangle::new(corners, colour.filled()))?;
            }
            continue;
        }
        let is_placed = |point: &(f64, f64)| x.place(point.0).is_finite() && y.place(point.1).is_finite();
        let points: Vec<Pixel> = finite(curve).into_iter().filter(is_placed).map(pixel).collect();
        draw_curve(root, panel.bands.len() + index, curve.style, points.clone(), &points)?;
    }
    Ok(())
}

/// A line in the look of curve `index`, and its dots.
fn draw_curve(root: &Area<'_>, index: usize, style: Style, line: Vec<Pixel>, dots: &[Pixel]) -> Drawn {
    let colour = COLOURS[index % COLOURS.len()];
    let again = index / COLOURS.len() % DASHES.len();
    if matches!(style, Style::Line | Style::DottedLine) && !line.is_empty() {
        draw_line(root, line, DASHES[again], colour.stroke_width(2))?;
    }
    for &dot in dots.iter().filter(|_| matches!(style, Style::DottedLine | Style::Dots)) {
        match again {
            0 => root.draw(&Circle::new(dot, 3, colour.filled()))?,
            1 => root.draw(&TriangleMarker::new(dot, 5, colour.filled()))?,
            2 => root.draw(&Cross::new(dot, 4, colour.stroke_width(2)))?,
            _ => root.draw(&Circle::new(dot, 4, colour.stroke_width(2)))?,
        }
    }
    Ok(())
}

/// Edges in full colour, and lines between them that stand elsewhere in each band: where two meet, both are seen.
fn draw_band(root: &Area<'_>, index: usize, lower: Vec<Pixel>, upper: Vec<Pixel>) -> Drawn {
    let (Some(first), Some(last)) = (lower.first(), lower.last()) else { return Ok(()) };
    let colour = COLOURS[index % COLOURS.len()];
    let dashes = DASHES[index / 2 % DASHES.len()];
    let first = first.0 + HATCH / 2 * (index % 2) as i32;
    for x in (first..=last.0).step_by(HATCH as usize) {
        if let (Some(from), Some(to)) = (height_at(&lower, x), height_at(&upper, x)) {
            draw_line(root, vec![(x, from), (x, to)], dashes, colour.stroke_width(1))?;
        }
    }
    // Once around, so that a band is one shape.
    let around = lower.iter().chain(upper.iter().rev()).chain(lower.first()).copied().collect();
    draw_line(root, around, None, colour.stroke_width(2))
}

fn draw_mark(root: &Area<'_>, line: Vec<Pixel>) -> Drawn {
    draw_line(root, line, Some((5, 3)), GREY.stroke_width(1))
}

fn draw_line(root: &Area<'_>, line: Vec<Pixel>, dashes: Option<(i32, i32)>, style: ShapeStyle) -> Drawn {
    match dashes {
        None => root.draw(&PathElement::new(line, style))?,
        Some((dash, gap)) => root.draw(&DashedPathElement::new(line, dash, gap, style))?,
    }
    Ok(())
}

pub(super) fn font(size: i32) -> TextStyle<'static> {
    ("sans-serif", size).into_text_style(&(PANEL.0 as u32, PANEL.1 as u32)).color(&BLACK)
}

fn finite(curve: &Curve) -> Vec<(f64, f64)> {
    curve.points.iter().copied().filter(|(x, y)| is_drawn(*x) && is_drawn(*y)).collect()
}

/// The least distance of two bars.
fn bar_width(curve: &Curve) -> f64 {
    let mut xs: Vec<f64> = finite(curve).into_iter().map(|point| point.0).collect();
    xs.sort_by(f64::total_cmp);
    let apart = xs.windows(2).map(|pair| pair[1] - pair[0]).filter(|&apart| apart > 0.0);
    let least = apart.fold(f64::INFINITY, f64::min);
    if least.is_finite() { least } else { 1.0 }
}

/// Along the lower edge, and back along the upper one.
fn outline(band: &Band) -> Vec<(f64, f64)> {
    let edges: Vec<_> = band.edges.iter().filter(|(x, y)| is_drawn(*x) && y.iter().all(|y| is_drawn(*y))).collect();
    let lower = edges.iter().map(|(x, [lower, _])| (*x, *lower));
    let upper = edges.iter().map(|(x, [_, upper])| (*x, *upper));
    lower.chain(upper.rev()).collect()
}

/// The height at `x` of a line from left to right.
fn height_at(line: &[Pixel], x: i32) -> Option<i32> {
    let after = line.partition_point(|point| point.0 < x);
    let [right, left] = [line.get(after)?, line.get(after.saturating_sub(1))?];
    let share = if right.0 > left.0 { f64::from(x - left.0) / f64::from(right.0 - left.0) } else { 0.0 };
    Some(left.1 + (share * f64::from(right.1 - left.1)).round() as i32)
}

/// At most so many letters of a name.
pub(super) fn shortened(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.to_owned();
    }
    let kept: String = name.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// About how wide a line of text is, in pixels.
pub(super) fn width(text: &str) -> i32 {
    (0.5 * f64::from(TEXT_SIZE) * text.chars().count() as f64) as i32
}

/// Text as XML may have it, which knows no control characters.
pub(super) fn clean(text: impl Display) -> String {
    let is_known = |letter: char| !letter.is_control() && !matches!(letter, '\u{fffe}' | '\u{ffff}');
    text.to_string().chars().map(|letter| if is_known(letter) { letter } else { '\u{fffd}' }).collect()
}
