//! The picture as SVG.

use super::axis::{Axis, BAR, MARGIN, NAMES, ROW, plot_width};
use super::rows::Shown;
use super::{Timeline, curves};
use crate::legend::{self, Legend};
use crate::look::{Look, look};
use crate::paper::{FAINT, INK, Svg, cut};
use std::collections::{BTreeMap, BTreeSet};
use virtflow_query::store::Piece;

const HEAD: f64 = 62.0;
/// A bar narrower than this is drawn so wide: nothing disappears.
const BAR_MIN: f64 = 0.6;
/// States lower than this are those of doing nothing.
const QUIET: f64 = 0.2;
/// Names longer than this are cut.
const NAME_MAX: usize = 36;

pub(crate) fn draw(picture: &Timeline<'_>) -> String {
    let plot = f64::from(plot_width(picture.request.width));
    let width = NAMES + plot + MARGIN;
    let occurs = picture.pieces.iter().map(|piece| {
        let (state, cause, level) = picture.words(piece.doing);
        let look = look(&state, &cause, level);
        (legend::name(&state, &cause, level), look, piece.ns)
    });
    let legend = Legend::new(occurs, MARGIN, width);
    let bottom = HEAD + ROW * picture.rows.len() as f64;
    let height = bottom + 34.0 + legend.height();
    let axis = Axis {
        begin: picture.begin,
        end: picture.end,
        width: plot,
    };
    let mut out = Svg::new(width, height);
    out.patterns(legend.looks());
    title(picture, &mut out);
    axis.draw(HEAD, bottom, width, &mut out);
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
    legend.draw(bottom + 28.0, &mut out);
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
        let (state, cause, level) = picture.words(piece.doing);
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
