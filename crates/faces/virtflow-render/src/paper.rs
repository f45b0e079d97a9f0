//! Drawing on paper: SVG, element by element.

use crate::look::{Look, Pattern};
use std::collections::BTreeSet;
use std::fmt::Write;

/// Ink for what matters.
pub(crate) const INK: &str = "#1c2128";
/// Ink for what stands beside it.
pub(crate) const FAINT: &str = "#4a5160";
/// Lines that guide the eye.
pub(crate) const GRID: &str = "#dde1e6";

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

/// At most `most` characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most - 1).collect();
    short.push('…');
    short
}

/// A picture that is being drawn.
pub(crate) struct Svg(String);

impl Svg {
    /// Of this size, white.
    pub(crate) fn new(width: f64, height: f64) -> Self {
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

    /// What the bars of these looks are filled with.
    pub(crate) fn patterns<'a>(&mut self, looks: impl Iterator<Item = &'a Look>) {
        let kinds: BTreeSet<(Pattern, u32)> = looks
            .map(|look| (look.pattern, look.color))
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

    /// What the picture is of, and of what time.
    pub(crate) fn title(&mut self, x: f64, title: &str, begin: i64, end: i64) {
        self.text(x, 22.0, 15.0, INK, "bold", &cut(title, 100));
        let seconds = (end - begin) as f64 / 1e9;
        let range = format!("{begin} to {end} ns of the Unix epoch, {seconds:.9} s");
        self.text(x, 38.0, 11.0, FAINT, "", &range);
    }

    /// A bar as a state looks.
    pub(crate) fn bar(&mut self, x: f64, y: f64, wide: f64, tall: f64, look: &Look) {
        let color = look.color;
        let fill = match look.pattern {
            Pattern::Solid => format!("#{color:06x}"),
            pattern => format!("url(#{pattern:?}{color:06x})"),
        };
        self.push(format_args!(
            "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{wide:.2}\" height=\"{tall:.2}\" fill=\"{fill}\"/>"
        ));
    }

    /// A plain rectangle.
    pub(crate) fn area(&mut self, x: f64, y: f64, wide: f64, tall: f64, color: &str) {
        self.push(format_args!(
            "<rect x=\"{x:.2}\" y=\"{y:.2}\" width=\"{wide:.2}\" height=\"{tall:.2}\" fill=\"{color}\"/>"
        ));
    }

    /// A thin line.
    pub(crate) fn line(&mut self, x1: f64, y1: f64, x2: f64, y2: f64, color: &str) {
        self.push(format_args!(
            "<path d=\"M{x1:.2},{y1:.2} L{x2:.2},{y2:.2}\" stroke=\"{color}\"/>"
        ));
    }

    /// An upright arrow from one height to another.
    pub(crate) fn arrow(&mut self, x: f64, from: f64, to: f64, color: &str) {
        let back = if to > from { -6.0 } else { 6.0 };
        let neck = to + back;
        let (left, right) = (x - 3.0, x + 3.0);
        self.push(format_args!(
            "<path d=\"M{x:.2},{from:.2} L{x:.2},{neck:.2}\" stroke=\"{color}\"/>\
             <path d=\"M{x:.2},{to:.2} L{left:.2},{neck:.2} L{right:.2},{neck:.2} Z\" fill=\"{color}\"/>"
        ));
    }

    /// Text that ends at `x`.
    pub(crate) fn text_to(&mut self, x: f64, y: f64, size: f64, color: &str, text: &str) {
        let text = escaped(text);
        self.push(format_args!(
            "<text x=\"{x:.2}\" y=\"{y:.2}\" font-size=\"{size}\" fill=\"{color}\" text-anchor=\"end\">{text}</text>"
        ));
    }

    /// Text that begins at `x`.
    pub(crate) fn text(
        &mut self,
        x: f64,
        y: f64,
        size: f64,
        color: &str,
        weight: &str,
        text: &str,
    ) {
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

    /// The whole document.
    pub(crate) fn end(mut self) -> String {
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
