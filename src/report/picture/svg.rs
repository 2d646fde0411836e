//! The few elements of SVG that a picture needs.

use std::fmt::Write as _;

/// How text stands to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// A line's colour, width and dashes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    pub colour: &'static str,
    pub width: f64,
    /// As SVG has them; empty for none.
    pub dashes: &'static str,
}

/// An SVG file as it grows.
pub struct Svg(String);

impl Svg {
    /// An empty white page of so many pixels.
    pub fn new(width: u32, height: u32) -> Self {
        let mut svg = Svg(String::new());
        svg.put(format_args!(
            "<svg width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             xmlns=\"http://www.w3.org/2000/svg\" font-family=\"sans-serif\">"
        ));
        svg.rectangle([0.0, 0.0], [f64::from(width), f64::from(height)], "white", 1.0);
        svg
    }

    pub fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }

    pub fn rectangle(&mut self, [x, y]: [f64; 2], [width, height]: [f64; 2], fill: &str, opacity: f64) {
        self.put(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{fill}\" \
             fill-opacity=\"{opacity}\"/>"
        ));
    }

    pub fn line(&mut self, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2], stroke: Stroke) {
        self.put(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"{}/>",
            attributes(stroke)
        ));
    }

    pub fn polyline(&mut self, points: &[[f64; 2]], stroke: Stroke) {
        self.put(format_args!("<polyline points=\"{}\" fill=\"none\"{}/>", list(points), attributes(stroke)));
    }

    pub fn polygon(&mut self, points: &[[f64; 2]], fill: &str, stroke: Stroke) {
        self.put(format_args!("<polygon points=\"{}\" fill=\"{fill}\"{}/>", list(points), attributes(stroke)));
    }

    /// A dot on a point; a white rim keeps it apart from those below it.
    pub fn circle(&mut self, [x, y]: [f64; 2], radius: f64, fill: &str) {
        self.put(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{fill}\" stroke=\"white\" stroke-width=\"0.6\"/>"
        ));
    }

    /// A closed outline through points around `at`.
    pub fn mark(&mut self, at: [f64; 2], outline: &[[f64; 2]], fill: &str) {
        let points = outline.iter().map(|[x, y]| format!("{:.1} {:.1}", at[0] + x, at[1] + y));
        let path = points.collect::<Vec<_>>().join(" L");
        self.put(format_args!("<path d=\"M{path} Z\" fill=\"{fill}\" stroke=\"white\" stroke-width=\"0.6\"/>"));
    }

    /// A line of text, turned by so many degrees around its point.
    pub fn text(&mut self, [x, y]: [f64; 2], size: f64, anchor: Anchor, turn: f64, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let turn = if turn == 0.0 { String::new() } else { format!(" transform=\"rotate({turn} {x:.1} {y:.1})\"") };
        self.put(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\"{turn}>\n{}\n</text>",
            escaped(text)
        ));
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        // A String takes all that is written to it.
        writeln!(self.0, "{element}").ok();
    }
}

fn attributes(Stroke { colour, width, dashes }: Stroke) -> String {
    let dashes = if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
    format!(" stroke=\"{colour}\" stroke-width=\"{width}\"{dashes}")
}

fn list(points: &[[f64; 2]]) -> String {
    points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect::<Vec<_>>().join(" ")
}

/// Text as XML has it, which knows no control characters at all.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            letter if letter.is_control() || matches!(letter, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// About how wide a line of text is.
pub fn width(text: &str, size: f64) -> f64 {
    0.58 * size * text.chars().count() as f64
}
