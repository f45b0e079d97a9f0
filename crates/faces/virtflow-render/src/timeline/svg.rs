//! The picture as SVG.

use super::axis::{Axis, MARGIN, NAMES, plot_width};
use super::rows::Shown;
use super::{Timeline, curves, legend};
use crate::look::{Look, look};
use crate::paper::{FAINT, GRID, INK, Svg, cut};
use std::collections::{BTreeMap, BTreeSet};
use virtflow_query::store::Piece;

pub(super) const ROW: f64 = 20.0;
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

pub(crate) fn draw(picture: &Timeline<'_>) -> String {
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
    out.patterns(legend.iter().map(|(_, look)| look));
    title(picture, &mut out);
    for (t, name) in axis.marks() {
        let x = axis.x(t);
        out.line(x, HEAD - 8.0, x, bottom, GRID);
        // The last one may have no room for its name.
        if x + 7.0 * name.len() as f64 <= width {
            out.text(x + 3.0, HEAD - 12.0, 11.0, FAINT, "", &name);
        }
    }
    let rows = picture.rows.iter().zip(0_u32..);
    for (row, number) in rows {
        let top = HEAD + ROW * f64::from(number);
        let x = MARGIN + 14.0 * row.depth as f64;
        let weight = match row.shown {
            Shown::Heading => "bold",
            Shown::Lanes(_) | Shown::Curve(_) => "",
        };
        let name = cut(&row.label, NAME_MAX - 2 * row.depth.min(8));
        out.text(x, top + 14.0, 12.0, INK, weight, &name);
        match row.shown {
            Shown::Heading => {}
            Shown::Lanes(entity) => bars(picture, entity, &axis, top, &mut out),
            Shown::Curve(series) => curves::draw(picture, series, &axis, top, &mut out),
        }
    }
    out.line(NAMES, HEAD - 8.0, NAMES, bottom, "#9aa1ab");
    if picture.left_out > 0 {
        let more = format!("{} more rows", picture.left_out);
        out.text(MARGIN, bottom + 14.0, 11.0, FAINT, "", &more);
    }
    for ((name, look), number) in legend.iter().zip(0_usize..) {
        let x = MARGIN + LEGEND_ITEM * (number % columns) as f64;
        let y = bottom + 28.0 + LEGEND_ROW * (number / columns) as f64;
        let tall = 12.0 * look.height;
        out.bar(x, y + 12.0 - tall, 18.0, tall, look);
        out.text(x + 24.0, y + 11.0, 11.0, INK, "", &cut(name, 24));
    }
    out.end()
}

fn title(picture: &Timeline<'_>, out: &mut Svg) {
    let title = format!(
        "{}: {}",
        picture.request.title,
        picture.request.view.title()
    );
    out.title(MARGIN, &title, picture.begin, picture.end);
}

/// The bars of an entity; its lanes share the row.
fn bars(picture: &Timeline<'_>, entity: u32, axis: &Axis, top: f64, out: &mut Svg) {
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
    picture: &Timeline<'_>,
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
