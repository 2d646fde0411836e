//! Curves as a picture: panels side by side in one SVG file.

use plotters::prelude::*;
use std::ops::Range;

/// One line, or one point each where it is marked.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    pub label: &'static str,
    /// (x, y); a point that is not finite is left out.
    pub points: Vec<(f64, f64)>,
    /// Whether each point has a dot: for curves of few points.
    pub marked: bool,
}

/// Curves over one pair of axes.
#[derive(Clone, Debug, PartialEq)]
pub struct Panel {
    pub title: String,
    pub x_label: &'static str,
    pub curves: Vec<Curve>,
}

/// A picture that could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the curves could not be drawn: {0}")]
pub struct PictureError(String);

/// Width and height of a panel in pixels.
const PANEL: (u32, u32) = (560, 380);

/// Blue and orange, which stay apart for the colour-blind.
const COLOURS: [RGBColor; 2] = [RGBColor(31, 119, 180), RGBColor(230, 120, 20)];

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
    let curves: Vec<(&Curve, Vec<(f64, f64)>)> = panel.curves.iter().map(|curve| (curve, finite(curve))).collect();
    let all = || curves.iter().flat_map(|(_, points)| points);
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .caption(&panel.title, ("sans-serif", 18))
        .x_label_area_size(40)
        .y_label_area_size(52)
        .build_cartesian_2d(span(all().map(|point| point.0)), span(all().map(|point| point.1)))?;
    chart.configure_mesh().max_light_lines(0).x_desc(panel.x_label).label_style(("sans-serif", 13)).draw()?;
    for ((curve, points), colour) in curves.into_iter().zip(COLOURS.into_iter().cycle()) {
        if curve.marked {
            chart.draw_series(points.iter().map(|&point| Circle::new(point, 3, colour.filled())))?;
        }
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(curve.label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    let labels = &mut chart.configure_series_labels();
    labels.border_style(BLACK.mix(0.3)).background_style(WHITE.mix(0.8)).label_font(("sans-serif", 13)).draw()?;
    Ok(())
}

fn finite(curve: &Curve) -> Vec<(f64, f64)> {
    curve.points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect()
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
            x_label: "epoch",
            curves: vec![Curve { label: "training", points, marked: true }],
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
    fn no_point_one_point_and_equal_points_are_drawn() {
        for points in [vec![], vec![(1.0, 2.0)], vec![(0.0, 3.0), (1.0, 3.0)], vec![(0.0, f64::NAN)]] {
            assert!(picture(&[panel(points.clone()), panel(points)]).unwrap().ends_with("</svg>\n"));
        }
    }
}
