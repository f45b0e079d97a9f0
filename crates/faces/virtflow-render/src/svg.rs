//! The picture as SVG.

use crate::Picture;
use crate::axis::{Axis, MARGIN, NAMES, plot_width};
use crate::legend;
use crate::look::{Look, Pattern, look};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use virtflow_query::store::Piece;

const ROW: f64 = 20.0;
const BAR: f64 = 15.0;
const HEAD: f64 = 62.0;
const LEGEND_ROW: f64 = 18.0;
const LEGEND_ITEM: f64 = 190.0;
/// A bar narrower than this is drawn so wide: nothing disappears.
const BAR_MIN: f64 = 0.6;
/// States lower than this are those of doing nothing.
const QUIET: f64 = 0.2;
/// Names longer than this are cut.
const NAME_MAX: usize = 36;

/// Text of a trace, harmless in XML.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML 1.0 has no place for them.
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most - 1).collect();
    short.push('…');
    short
}

pub(crate) fn draw(picture: &Picture<'_>) -> String {
    let legend = legend::of(picture);
    let plot = f64::from(plot_width(picture.request.width));
    let width = NAMES + plot + MARGIN;
    let columns = ((width - 2.0 * MARGIN) / LEGEND_ITEM).max(1.0) as usize;
    let bottom = HEAD + ROW * picture.rows.len() as f64;
    let lines = legend.len().div_ceil(columns);
    let height = bottom + 34.0 + LEGEND_ROW * lines as f64;
    let axis = Axis {
        begin: picture.begin,
        end: picture.end,
        width: plot,
    };
    let mut out = Svg::new(width, height);
    out.patterns(&legend);
    title(picture, &mut out);
    for (t, name) in axis.marks() {
        let x = axis.x(t);
        out.line(x, HEAD - 8.0, x, bottom, "#dde1e6");
        // The last one may have no room for its name.
        if x + 7.0 * name.len() as f64 <= width {
            out.text(x + 3.0, HEAD - 12.0, 11.0, "#4a5160", "", &name);
        }
    }
    let rows = picture.rows.iter().zip(0_u32..);
    for (row, number) in rows {
        let top = HEAD + ROW * f64::from(number);
        let x = MARGIN + 14.0 * row.depth as f64;
        let weight = if row.entity.is_none() { "bold" } else { "" };
        let name = cut(&row.label, NAME_MAX - 2 * row.depth.min(8));
        out.text(x, top + 14.0, 12.0, "#1c2128", weight, &name);
        if let Some(entity) = row.entity {
            bars(picture, entity, &axis, top, &mut out);
        }
    }
    out.line(NAMES, HEAD - 8.0, NAMES, bottom, "#9aa1ab");
    if picture.left_out > 0 {
        let more = format!("{} more rows", picture.left_out);
        out.text(MARGIN, bottom + 14.0, 11.0, "#4a5160", "", &more);
    }
    for ((name, look), number) in legend.iter().zip(0_usize..) {
        let x = MARGIN + LEGEND_ITEM * (number % columns) as f64;
        let y = bottom + 28.0 + LEGEND_ROW * (number / columns) as f64;
        let tall = 12.0 * look.height;
        out.bar(x, y + 12.0 - tall, 18.0, tall, look);
        out.text(x + 24.0, y + 11.0, 11.0, "#1c2128", "", &cut(name, 24));
    }
    out.end()
}

fn title(picture: &Picture<'_>, out: &mut Svg) {
    let title = format!(
        "{}: {}",
        picture.request.title,
        picture.request.view.title()
    );
    out.text(MARGIN, 22.0, 15.0, "#1c2128", "bold", &cut(&title, 100));
    let seconds = (picture.end - picture.begin) as f64 / 1e9;
    let range = format!(
        "{} to {} ns of the Unix epoch, {seconds:.9} s",
        picture.begin, picture.end
    );
    out.text(MARGIN, 38.0, 11.0, "#4a5160", "", &range);
}

/// The bars of an entity; its lanes share the row.
fn bars(picture: &Picture<'_>, entity: u32, axis: &Axis, top: f64, out: &mut Svg) {
    let from = picture.pieces.partition_point(|p| p.lane.entity < entity);
    let to = picture.pieces.partition_point(|p| p.lane.entity <= entity);
    let own = &picture.pieces[from..to];
    let lanes: BTreeSet<_> = own.iter().map(|p| p.lane).collect();
    let room = BAR / lanes.len().max(1) as f64;
    for (lane, number) in lanes.iter().zip(0_u32..) {
        let bottom = top + 2.0 + room * f64::from(number + 1);
        let pieces: Vec<&Piece> = own.iter().filter(|p| p.lane == *lane).collect();
        for bucket in pieces
            .chunk_by(|a, b| !a.exact && (a.start, a.end, a.exact) == (b.start, b.end, b.exact))
        {
            stack(picture, bucket, axis, bottom, room, out);
        }
    }
}

/// The parts of one bucket, one above the other by their share; one interval is a bucket of its own.
fn stack(
    picture: &Picture<'_>,
    bucket: &[&Piece],
    axis: &Axis,
    bottom: f64,
    room: f64,
    out: &mut Svg,
) {
    let Some(first) = bucket.first() else { return };
    let (left, right) = (axis.x(first.start), axis.x(first.end));
    let wide = (right - left).max(BAR_MIN);
    let mut sums: BTreeMap<usize, (f64, Look)> = BTreeMap::new();
    let whole: i64 = bucket.iter().map(|p| p.ns).sum();
    for (piece, number) in bucket.iter().zip(0_usize..) {
        let (state, cause, level) = legend::words(picture, piece.doing);
        let share = piece.ns as f64 / whole.max(1) as f64;
        sums.insert(number, (share, look(&state, &cause, level)));
    }
    let mut at = bottom;
    for (share, look) in sums.values() {
        // Alone, a state has its own height; among others, its share, and less where it is one of
        // doing nothing.
        let tall = match (bucket.len(), look.height < QUIET) {
            (1, _) => room * look.height,
            (_, true) => room * share * look.height,
            (_, false) => (room * share).max(BAR_MIN),
        };
        out.bar(left, at - tall, wide, tall, look);
        at -= tall;
    }
}

struct Svg(String);

impl Svg {
    fn new(width: f64, height: f64) -> Self {
        Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"DejaVu Sans, sans-serif\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
        ))
    }

    fn push(&mut self, arguments: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.0.write_fmt(arguments);
        self.0.push('\n');
    }

    fn patterns(&mut self, legend: &[(String, Look)]) {
        let kinds: BTreeSet<(Pattern, u32)> = legend
            .iter()
            .map(|(_, look)| (look.pattern, look.color))
            .filter(|(pattern, _)| *pattern != Pattern::Solid)
            .collect();
        self.0.push_str("<defs>\n");
        for (pattern, color) in kinds {
            let lines = match pattern {
                Pattern::Falling => "M-1,-1 L7,7 M-1,5 L1,7 M5,-1 L7,1",
                Pattern::Rising => "M-1,7 L7,-1 M-1,1 L1,-1 M5,7 L7,5",
                Pattern::Upright => "M3,-1 L3,7",
                Pattern::Level => "M-1,3 L7,3",
                Pattern::Cross => "M-1,-1 L7,7 M-1,7 L7,-1",
                Pattern::Dots | Pattern::Solid => "M1,3 L2.4,3 M4,0.8 L5.4,0.8",
            };
            self.push(format_args!(
                "<pattern id=\"{pattern:?}{color:06x}\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
                 <rect width=\"6\" height=\"6\" fill=\"#{color:06x}\" fill-opacity=\"0.55\"/>\
                 <path d=\"{lines}\" stroke=\"#{color:06x}\" stroke-width=\"1.6\"/></pattern>"
            ));
        }
        self.0.push_str("</defs>\n");
    }

    fn bar(&mut self, x: f64, y: f64, wide: f64, tall: f64, look: &Look) {
        let color = look.color;
        let fill = match look.pattern {
            Pattern::Solid => format!("#{color:06x}"),
            pattern => format!("url(#{pattern:?}{color:06x})"),
        };
        self.push(format_args!(
            "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{wide:.2}\" height=\"{tall:.2}\" fill=\"{fill}\"/>"
        ));
    }

    fn line(&mut self, x1: f64, y1: f64, x2: f64, y2: f64, color: &str) {
        self.push(format_args!(
            "<path d=\"M{x1:.2},{y1:.2} L{x2:.2},{y2:.2}\" stroke=\"{color}\"/>"
        ));
    }

    fn text(&mut self, x: f64, y: f64, size: f64, color: &str, weight: &str, text: &str) {
        let weight = if weight.is_empty() {
            String::new()
        } else {
            format!(" font-weight=\"{weight}\"")
        };
        let text = escaped(text);
        self.push(format_args!(
            "<text x=\"{x:.2}\" y=\"{y:.2}\" font-size=\"{size}\" fill=\"{color}\"{weight}>{text}</text>"
        ));
    }

    fn end(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_never_markup() {
        let text = escaped("<script>\"&\u{1}");
        assert_eq!(text, "&lt;script&gt;&quot;&amp;\u{fffd}");
        assert_eq!(cut("abcdef", 4), "abc…");
    }
}
