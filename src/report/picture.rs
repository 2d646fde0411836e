//! Curves as a picture: panels side by side in one SVG file.

use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;
use std::ops::Range;

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

/// Bands, and curves above them, over one pair of axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    pub title: String,
    pub x_label: String,
    /// Whether x, above 0, is drawn to a logarithmic scale.
    pub log_x: bool,
    pub bands: Vec<Band>,
    pub curves: Vec<Curve>,
}

/// A picture that could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the curves could not be drawn: {0}")]
pub struct PictureError(String);

/// Width and height of a panel in pixels.
const PANEL: (u32, u32) = (560, 380);

/// Blue, orange and black, which stay apart for the colour-blind.
const COLOURS: [RGBColor; 3] = [RGBColor(31, 119, 180), RGBColor(230, 120, 20), BLACK];

/// The panels from left to right, as the text of an SVG file.
///
/// # Errors
/// When the drawing library refuses.
pub fn picture(panels: &[Panel]) -> Result<String, PictureError> {
    let mut text = String::new();
    let failed = |reason: String| PictureError(reason);
    {
        let (width, height) = PANEL;
        let root = SVGBackend::with_string(&mut text, (width * panels.len().max(1) as u32, height)).into_drawing_area();
        root.fill(&WHITE).map_err(|reason| failed(reason.to_string()))?;
        for (panel, area) in panels.iter().zip(root.split_evenly((1, panels.len().max(1)))) {
            draw(panel, &area).map_err(|reason| failed(reason.to_string()))?;
        }
        root.present().map_err(|reason| failed(reason.to_string()))?;
    }
    Ok(text)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn draw(panel: &Panel, area: &Area<'_>) -> Result<(), Box<dyn std::error::Error>> {
    let points = || panel.bands.iter().flat_map(outline).chain(panel.curves.iter().flat_map(finite));
    let y = span(points().map(|point| point.1));
    match panel.log_x {
        false => draw_over(panel, area, span(points().map(|point| point.0)), y, None),
        true => {
            let exponents = span(points().map(|point| point.0.log10()));
            let x = 10f64.powf(exponents.start)..10f64.powf(exponents.end);
            draw_over(panel, area, x.log_scale(), y, Some(three_digits))
        }
    }
}

/// Draws over these axes, with `label` at the marks of x, where they have no label of their own.
fn draw_over<X>(
    panel: &Panel,
    area: &Area<'_>,
    x: X,
    y: Range<f64>,
    label: Option<fn(&f64) -> String>,
) -> Result<(), Box<dyn std::error::Error>>
where
    X: AsRangedCoord<Value = f64>,
    X::CoordDescType: ValueFormatter<f64>,
{
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(&panel.title, ("sans-serif", 18))
        .x_label_area_size(40)
        .y_label_area_size(52)
        .build_cartesian_2d(x, y)?;
    let mesh = &mut chart.configure_mesh();
    if let Some(label) = &label {
        mesh.x_label_formatter(label);
    }
    mesh.max_light_lines(0).x_desc(&panel.x_label).label_style(("sans-serif", 13)).draw()?;
    let mut colours = COLOURS.into_iter().cycle();
    for (band, colour) in panel.bands.iter().zip(&mut colours) {
        let fill = colour.mix(0.4).filled();
        chart
            .draw_series([Polygon::new(outline(band), fill)])?
            .label(&band.label)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 18, y + 5)], fill));
    }
    for (curve, colour) in panel.curves.iter().zip(&mut colours) {
        let points = finite(curve);
        if curve.style != Style::Line {
            chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
        }
        let joined = if curve.style == Style::Dots { Vec::new() } else { points };
        chart
            .draw_series(LineSeries::new(joined, colour.stroke_width(2)))?
            .label(&curve.label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    let labels = &mut chart.configure_series_labels();
    labels.border_style(BLACK.mix(0.3)).background_style(WHITE.mix(0.8)).label_font(("sans-serif", 13)).draw()?;
    Ok(())
}

/// x in scientific notation, where a power of ten may have come out as 9.999...e-6.
fn three_digits(x: &f64) -> String {
    let rounded: f64 = format!("{x:.2e}").parse().unwrap_or(*x);
    format!("{rounded:e}")
}

fn finite(curve: &Curve) -> Vec<(f64, f64)> {
    curve.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
}

/// Along the lower edge, and back along the upper one.
fn outline(band: &Band) -> Vec<(f64, f64)> {
    let edges: Vec<_> = band.edges.iter().filter(|(x, y)| x.is_finite() && y.iter().all(|y| y.is_finite())).collect();
    let lower = edges.iter().map(|(x, [lower, _])| (*x, *lower));
    let upper = edges.iter().map(|(x, [_, upper])| (*x, *upper));
    lower.chain(upper.rev()).collect()
}

/// From the least to the greatest value with a little room, never empty.
fn span(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (least, greatest) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, greatest), v| (least.min(v), greatest.max(v)));
    match greatest - least {
        width if width > 0.0 && width.is_finite() => least - 0.03 * width..greatest + 0.03 * width,
        0.0 => least - 0.5..greatest + 0.5,
        _ => 0.0..1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panel(points: Vec<(f64, f64)>) -> Panel {
        Panel {
            title: "a < b".into(),
            x_label: "epoch".into(),
            log_x: false,
            bands: Vec::new(),
            curves: vec![Curve { label: "training".into(), points, style: Style::DottedLine }],
        }
    }

    #[test]
    fn each_finite_point_has_a_dot_and_what_is_not_finite_is_left_out() {
        let points = vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 0.5), (3.0, f64::INFINITY)];
        let text = picture(&[panel(points)]).unwrap();
        assert_eq!(text.matches("<circle").count(), 2, "{text}");
        assert!(text.contains("training") && text.contains("a &lt; b") && !text.contains("NaN"), "{text}");
    }

    #[test]
    fn a_band_is_one_area_along_both_its_edges_and_counts_for_the_axes() {
        let edges = vec![(0.0, [1.0, 9.0]), (1.0, [2.0, f64::INFINITY]), (2.0, [3.0, 5.0])];
        let text = picture(&[Panel { bands: vec![Band { label: "losses".into(), edges }], ..panel(vec![(1.0, 4.0)]) }])
            .unwrap();
        let area = text.split("<polygon").nth(1).unwrap();
        let points = area.split("points=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(points.split_whitespace().count(), 4, "{points}");
        assert!(text.contains("losses") && text.lines().any(|line| line.trim() == "9.0"), "{text}");
    }

    #[test]
    fn dots_alone_have_no_line_between_them() {
        let mut dots = panel(vec![(0.0, 1.0), (1.0, 3.0), (0.5, 2.0)]);
        let joined = picture(std::slice::from_ref(&dots)).unwrap();
        dots.curves[0].style = Style::Dots;
        let text = picture(&[dots]).unwrap();
        assert_eq!([&text, &joined].map(|text| text.matches("<circle").count()), [3, 3]);
        let lines = |text: &str| text.matches("<polyline").count();
        assert_eq!(lines(&text) + 1, lines(&joined), "{text}");
    }

    #[test]
    fn a_logarithmic_scale_has_marks_at_powers_of_ten() {
        let points = vec![(1e-6, 1.0), (1e-4, 0.5), (1e-2, 2.0)];
        let text = picture(&[Panel { log_x: true, ..panel(points) }]).unwrap();
        for mark in ["1e-5", "1e-4", "1e-3"] {
            assert!(text.lines().any(|line| line.trim() == mark), "no {mark} in {text}");
        }
        let across = |circle: &str| circle.split('"').next().unwrap().parse::<f64>().unwrap();
        let x: Vec<f64> = text.split("<circle cx=\"").skip(1).map(across).collect();
        assert!((x[1] - (x[0] + x[2]) / 2.0).abs() <= 1.0, "a factor of 100 is as far each time: {x:?}");
    }

    #[test]
    fn no_point_one_point_and_equal_points_are_drawn() {
        for points in [vec![], vec![(1.0, 2.0)], vec![(0.0, 3.0), (1.0, 3.0)], vec![(0.0, f64::NAN)]] {
            let log_x = Panel { log_x: true, ..panel(points.iter().map(|&(x, y)| (x + 1.0, y)).collect()) };
            assert!(picture(&[panel(points), log_x]).unwrap().ends_with("</svg>\n"));
        }
    }
}
