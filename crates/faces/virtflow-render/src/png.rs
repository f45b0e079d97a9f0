//! The picture as PNG.

use crate::RenderError;
use resvg::{tiny_skia, usvg};
use std::sync::Arc;

/// For text, so that a picture is the same on every machine.
static FONT: &[u8] = include_bytes!("../font/DejaVuSans-subset.ttf");
/// Pixels in all: 400 megabytes.
const PIXELS_MAX: f32 = 1e8;

pub(crate) fn draw(svg: &str, scale: f32) -> Result<Vec<u8>, RenderError> {
    let failed = |e: String| RenderError::Picture(e);
    let mut options = usvg::Options::default();
    let fonts = Arc::make_mut(&mut options.fontdb);
    fonts.load_font_data(FONT.to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    let tree = usvg::Tree::from_str(svg, &options).map_err(|e| failed(e.to_string()))?;
    let size = tree.size();
    let (width, height) = (size.width() * scale, size.height() * scale);
    if width * height > PIXELS_MAX {
        return Err(failed(format!(
            "{width:.0} by {height:.0} pixels are too many"
        )));
    }
    let mut pixels = tiny_skia::Pixmap::new(width.ceil() as u32, height.ceil() as u32)
        .ok_or_else(|| failed("it has no size".to_owned()))?;
    let transform = tiny_skia::Transform::from_scale(scale, scale);
    resvg::render(&tree, transform, &mut pixels.as_mut());
    pixels.encode_png().map_err(|e| failed(e.to_string()))
}
