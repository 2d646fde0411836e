use super::draw::{COLOURS, TEXT_SIZE};
use super::*;
use plotters::style::RGBColor;

/// The picture's text.
fn svg(panels: &[Panel]) -> String {
    Picture::Panels(panels).svg().unwrap().unwrap()
}

fn panel(points: Vec<(f64, f64)>) -> Panel {
    Panel {
        title: "a < b".into(),
        x_label: "epoch".into(),
        y_label: "loss".into(),
        curves: vec![Curve { label: "training".into(), points, style: Style::DottedLine }],
        ..Panel::default()
    }
}

fn has_line(text: &str, wanted: &str) -> bool {
    text.lines().any(|line| line.trim() == wanted)
}

#[test]
fn each_finite_point_has_a_dot_and_what_is_not_finite_is_left_out() {
    let points = vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 0.5), (3.0, f64::INFINITY)];
    let text = svg(&[panel(points)]);
    assert_eq!(text.matches("<circle").count(), 2 + 1, "two dots and the legend's: {text}");
    assert!(text.contains("training") && text.contains("a &lt; b") && !text.contains("NaN"), "{text}");
}

#[test]
fn a_band_is_one_area_along_both_its_edges_and_counts_for_the_axes() {
    let edges = vec![(0.0, [1.0, 9.0]), (1.0, [2.0, f64::INFINITY]), (2.0, [3.0, 5.0])];
    let text = svg(&[Panel { bands: vec![Band { label: "losses".into(), edges }], ..panel(vec![(1.0, 4.0)]) }]);
    let around = text.split("points=\"").skip(1).map(|line| line.split('"').next().unwrap().trim());
    let around: Vec<&str> = around.filter(|points| points.split_whitespace().count() == 5).collect();
    let [legend, band] = around[..] else { panic!("the band and its sample go once around: {around:?}") };
    assert!(
        [legend, band].iter().any(|points| points.split(' ').next() == points.split(' ').next_back()),
        "{around:?}"
    );
    assert!(text.contains("losses") && has_line(&text, "8"), "{text}");
}

#[test]
fn dots_alone_have_no_line_between_them() {
    let mut dots = panel(vec![(0.0, 1.0), (1.0, 3.0), (0.5, 2.0)]);
    let joined = svg(std::slice::from_ref(&dots));
    dots.curves[0].style = Style::Dots;
    let text = svg(&[dots]);
    assert_eq!([&text, &joined].map(|text| text.matches("<circle").count()), [4, 4]);
    let [dots, joined] = [&text, &joined].map(|text| text.matches("<polyline").count());
    assert_eq!(dots + 2, joined, "a curve and its sample");
}

#[test]
fn a_logarithmic_scale_has_marks_at_powers_of_ten() {
    let points = vec![(1e-6, 1.0), (1e-4, 0.5), (1e-2, 2.0)];
    let text = svg(&[Panel { across: Across::Logarithmic, ..panel(points) }]);
    for mark in ["1e-5", "1e-4", "1e-3"] {
        assert!(has_line(&text, mark), "no {mark} in {text}");
    }
    let across = |circle: &str| circle.split('"').next().unwrap().parse::<f64>().unwrap();
    let x: Vec<f64> = text.split("<circle cx=\"").skip(1).take(3).map(across).collect();
    assert!((x[1] - (x[0] + x[2]) / 2.0).abs() <= 1.0, "a factor of 100 is as far each time: {x:?}");
}

#[test]
fn no_point_one_point_and_equal_points_are_drawn() {
    for points in
        [vec![], vec![(1.0, 2.0)], vec![(0.0, 3.0), (1.0, 3.0)], vec![(0.0, f64::NAN)], vec![(f64::MAX, f64::MIN)]]
    {
        let positive = panel(points.iter().map(|&(x, y)| (x + 1.0, y)).collect());
        for across in [Across::Logarithmic, Across::Whole, Across::Names(vec!["a".into(), "b".into()])] {
            let text = svg(&[panel(points.clone()), Panel { across, ..positive.clone() }]);
            assert!(text.ends_with("</svg>\n") && !text.contains("NaN") && !text.contains("inf"), "{text}");
        }
    }
}

#[test]
fn the_legend_is_below_all_data_and_the_axes_have_names() {
    let text = svg(&[panel(vec![(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)])]);
    let y = |element: &str| element.split("y=\"").nth(1).unwrap().split('"').next().unwrap().parse::<f64>().unwrap();
    let lowest = text.split("<circle ").skip(1).take(4).map(y).fold(0.0, f64::max);
    let label = text.split("<text ").find(|text| text.contains("training")).map(y).unwrap();
    assert!(label > lowest + f64::from(TEXT_SIZE), "{label} {lowest}");
    assert!(has_line(&text, "epoch") && has_line(&text, "loss"), "{text}");
}

#[test]
fn words_are_on_the_axis_at_their_dots() {
    let names = ["adam", "sgd"].map(str::to_owned).to_vec();
    let text = svg(&[Panel { across: Across::Names(names), ..panel(vec![(1.0, 5.0), (2.0, 6.0)]) }]);
    assert!(has_line(&text, "adam") && has_line(&text, "sgd") && !has_line(&text, "1.2"), "{text}");
}

#[test]
fn many_panels_stand_in_rows_and_many_curves_look_different() {
    let text = svg(&vec![panel(vec![(0.0, 1.0)]); 5]);
    assert!(text.starts_with("<svg width=\"1120\""), "{}", &text[..80]);
    let curve = |index| Curve { label: format!("{index}"), points: vec![(0.0, 1.0), (1.0, 2.0)], style: Style::Line };
    let text = svg(&[Panel { curves: (0..16).map(curve).collect(), ..Panel::default() }]);
    let colours = COLOURS.map(|RGBColor(r, g, b)| format!("stroke=\"#{r:02X}{g:02X}{b:02X}\""));
    for colour in colours {
        // Whole once with its sample; then in dashes.
        assert!(text.matches(&colour).count() > 2 + 2, "{colour}");
    }
}

#[test]
fn a_mark_is_told_in_the_legend_and_control_characters_do_not_break_the_file() {
    let marks = vec![Mark { label: "best: epoch 2\u{1b}[31m".into(), x: 2.0 }];
    let text = svg(&[Panel { marks, ..panel(vec![(1.0, 1.0), (2.0, 0.5)]) }]);
    assert!(text.contains("best: epoch 2\u{fffd}[31m") && !text.contains('\u{1b}'), "{text}");
}
