//! What pictures are drawn on: an SVG file, or the pixels of a PNG file, twice as many each way.

use super::pixels::{Pixels, base64};
use plotters::coord::Shift;
use plotters::prelude::{BitMapBackend, DrawingArea, IntoDrawingArea, IntoFont, SVGBackend};
use plotters::style::{Color, FontStyle, FontTransform, ShapeStyle, TextStyle, register_font};
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind};
use std::fmt::Write as _;
use std::io;
use std::sync::Once;

pub(super) type Area<'a> = DrawingArea<Surface<'a>, Shift>;
pub(super) type Drawn = Result<(), Box<dyn std::error::Error>>;
pub(super) type Pixel = (i32, i32);

/// Something to draw, on white.
pub(super) trait Sheet {
    /// Width and height.
    fn size(&self) -> (i32, i32);

    /// Images that lie below what is drawn.
    fn images(&self) -> Vec<Placed> {
        Vec::new()
    }

    /// Draws it.
    ///
    /// # Errors
    /// When the drawing library refuses.
    fn draw(&self, root: &Area<'_>) -> Drawn;
}

/// An image, drawn out to a size.
pub(super) struct Placed {
    pub corner: Pixel,
    pub size: (i32, i32),
    pub pixels: Pixels,
}

/// The text of an SVG file.
pub(super) fn svg(sheet: &dyn Sheet) -> Result<String, Box<dyn std::error::Error>> {
    let (width, height) = sheet.size();
    let mut text = String::new();
    know_letters();
    {
        let root = Surface::Svg(SVGBackend::with_string(&mut text, (width as u32, height as u32))).into_drawing_area();
        root.fill(&plotters::style::WHITE)?;
        sheet.draw(&root)?;
        root.present()?;
    }
    let mut images = String::new();
    for Placed { corner: (x, y), size: (width, height), pixels } in sheet.images() {
        let data = base64(&pixels.png()?);
        writeln!(
            images,
            "<image x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" preserveAspectRatio=\"none\" \
             style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{data}\"/>"
        )?;
    }
    // The background comes first.
    let behind = text.find("/>").map_or(0, |end| end + 3);
    text.insert_str(behind.min(text.len()), &images);
    Ok(text)
}

/// The bytes of a PNG file.
pub(super) fn png(sheet: &dyn Sheet) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let (width, height) = sheet.size();
    let mut pixels = Pixels::white((DENSITY * width) as usize, (DENSITY * height) as usize);
    let size = (pixels.width as u32, pixels.height as u32);
    know_letters();
    for Placed { corner, size, pixels: image } in sheet.images() {
        let [x, y, width, height] = [corner.0, corner.1, size.0, size.1].map(|side| (DENSITY * side).max(0) as usize);
        pixels.blit((x, y), (width, height), &image);
    }
    let root = Surface::Bitmap(BitMapBackend::with_buffer(&mut pixels.rgb, size)).into_drawing_area();
    sheet.draw(&root)?;
    root.present()?;
    drop(root);
    Ok(pixels.png()?)
}

/// Pixels of a PNG file for each of the drawing, in width and in height.
const DENSITY: i32 = 2;

/// Letters of DejaVu Sans: Latin, Greek and signs.
static FONT: &[u8] = include_bytes!("font/sans.ttf");

fn know_letters() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Without it, text is an error of the drawing that follows.
        register_font("sans-serif", FontStyle::Normal, FONT).ok();
    });
}

/// One type for both, so that the code that draws is compiled once.
pub(super) enum Surface<'a> {
    Svg(SVGBackend<'a>),
    Bitmap(BitMapBackend<'a>),
}

type Done = Result<(), DrawingErrorKind<io::Error>>;

fn plain<E: std::error::Error + Send + Sync + 'static>(error: DrawingErrorKind<E>) -> DrawingErrorKind<io::Error> {
    DrawingErrorKind::DrawingError(io::Error::other(error.to_string()))
}

/// A place on the bitmap.
fn dense((x, y): BackendCoord) -> BackendCoord {
    (DENSITY * x, DENSITY * y)
}

fn thick<S: BackendStyle>(style: &S) -> ShapeStyle {
    let BackendColor { alpha, rgb: (r, g, b) } = style.color();
    ShapeStyle {
        color: plotters::style::RGBColor(r, g, b).mix(alpha),
        filled: false,
        stroke_width: DENSITY as u32 * style.stroke_width(),
    }
}

impl DrawingBackend for Surface<'_> {
    type ErrorType = io::Error;

    fn get_size(&self) -> (u32, u32) {
        match self {
            Surface::Svg(svg) => svg.get_size(),
            Surface::Bitmap(bitmap) => {
                let (width, height) = bitmap.get_size();
                (width / DENSITY as u32, height / DENSITY as u32)
            }
        }
    }

    fn ensure_prepared(&mut self) -> Done {
        match self {
            Surface::Svg(svg) => svg.ensure_prepared().map_err(plain),
            Surface::Bitmap(bitmap) => bitmap.ensure_prepared().map_err(plain),
        }
    }

    fn present(&mut self) -> Done {
        match self {
            Surface::Svg(svg) => svg.present().map_err(plain),
            Surface::Bitmap(bitmap) => bitmap.present().map_err(plain),
        }
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Done {
        match self {
            Surface::Svg(svg) => svg.draw_pixel(point, color).map_err(plain),
            Surface::Bitmap(bitmap) => bitmap.draw_pixel(dense(point), color).map_err(plain),
        }
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Done {
        match self {
            Surface::Svg(svg) => svg.draw_line(from, to, style).map_err(plain),
            Surface::Bitmap(bitmap) => bitmap.draw_path([dense(from), dense(to)], &thick(style)).map_err(plain),
        }
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Done {
        match self {
            Surface::Svg(svg) => svg.draw_rect(upper_left, bottom_right, style, fill).map_err(plain),
            Surface::Bitmap(bitmap) => {
                bitmap.draw_rect(dense(upper_left), dense(bottom_right), &thick(style), fill).map_err(plain)
            }
        }
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Done {
        match self {
            Surface::Svg(svg) => svg.draw_path(path, style).map_err(plain),
            Surface::Bitmap(bitmap) => {
                bitmap.draw_path(path.into_iter().map(dense).collect::<Vec<_>>(), &thick(style)).map_err(plain)
            }
        }
    }

    fn draw_circle<S: BackendStyle>(&mut self, center: BackendCoord, radius: u32, style: &S, fill: bool) -> Done {
        match self {
            Surface::Svg(svg) => svg.draw_circle(center, radius, style, fill).map_err(plain),
            Surface::Bitmap(bitmap) => {
                bitmap.draw_circle(dense(center), DENSITY as u32 * radius, &thick(style), fill).map_err(plain)
            }
        }
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, vert: I, style: &S) -> Done {
        match self {
            Surface::Svg(svg) => svg.fill_polygon(vert, style).map_err(plain),
            Surface::Bitmap(bitmap) => {
                bitmap.fill_polygon(vert.into_iter().map(dense).collect::<Vec<_>>(), &thick(style)).map_err(plain)
            }
        }
    }

    fn draw_text<T: BackendTextStyle>(&mut self, text: &str, style: &T, pos: BackendCoord) -> Done {
        match self {
            Surface::Svg(svg) => svg.draw_text(text, style, pos).map_err(plain),
            Surface::Bitmap(bitmap) => {
                let font = (style.family(), style.size() * f64::from(DENSITY)).into_font().transform(style.transform());
                let mut large = TextStyle::from(font).pos(style.anchor());
                large.color = style.color();
                // Letters are drawn a little above where their box is thought to be.
                let (x, y) = dense(pos);
                let lower = (0.1 * style.size() * f64::from(DENSITY)) as i32;
                let pos = match style.transform() {
                    FontTransform::Rotate270 => (x + lower, y),
                    _ => (x, y + lower),
                };
                bitmap.draw_text(text, &large, pos).map_err(plain)
            }
        }
    }
}
