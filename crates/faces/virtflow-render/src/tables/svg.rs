//! A table as SVG.

use super::{Answer, Cell};
use crate::legend::{ITEM, LETTERS, LINE};
use crate::look::Look;
use crate::paper::{FAINT, GRID, INK, Svg, cut};
use virtflow_base::{duration, number};

const MARGIN: f64 = 16.0;
const HEAD: f64 = 74.0;
const ROW: f64 = 20.0;
const SIZE: f64 = 11.5;
/// About how wide a letter of that size is.
const LETTER: f64 = 6.5;
const BAR: f64 = 13.0;

pub(super) fn draw(answer: &Answer) -> String {
    let table = &answer.drawn;
    let width = f64::from(answer.request.width);
    let room = width - 2.0 * MARGIN;
    let shown = table.rows.len().min(answer.request.rows);
    let left_out = table.rows.len() - shown;
    let across = (room / ITEM).max(1.0) as usize;
    let lines = table.legend.len().div_ceil(across);
    let bottom = HEAD + ROW * shown as f64;
    let height = bottom + 30.0 + LINE * lines as f64;
    let mut out = Svg::new(width, height);
    out.patterns(table.legend.iter().map(|(_, look)| look));
    let request = &answer.request;
    let title = format!("{}: {}", request.title, request.view.title());
    out.title(MARGIN, &title, answer.begin, answer.end);

    let columns = table.columns.iter().filter(|c| !c.title.is_empty());
    let whole: f64 = columns.map(|c| c.width).sum();
    let mut left = MARGIN;
    for (at, column) in table.columns.iter().enumerate() {
        if column.title.is_empty() {
            continue;
        }
        let wide = column.width / whole * room;
        let right = left + wide - 10.0;
        let is_number = table.rows.iter().take(1).any(|row| {
            matches!(
                row.get(at),
                Some(Cell::Duration(_) | Cell::Count(_) | Cell::Share(_))
            )
        });
        if is_number {
            out.text_to(right, HEAD - 10.0, SIZE, FAINT, column.title);
        } else {
            out.text(left, HEAD - 10.0, SIZE, FAINT, "", column.title);
        }
        for (number, row) in (0_u32..).zip(table.rows.iter().take(shown)) {
            let base = HEAD + ROW * f64::from(number) + 14.0;
            if let Some(cell) = row.get(at) {
                draw_cell(answer, cell, (left, right, base), &mut out);
            }
        }
        left += wide;
    }
    for number in 0..=shown {
        let y = HEAD + ROW * number as f64;
        out.line(MARGIN, y, width - MARGIN, y, GRID);
    }
    if left_out > 0 {
        let more = format!("{left_out} more rows");
        out.text(MARGIN, bottom + 14.0, 11.0, FAINT, "", &more);
    }
    legend(&table.legend, across, bottom + 26.0, &mut out);
    out.end()
}

fn draw_cell(answer: &Answer, cell: &Cell, (left, right, base): (f64, f64, f64), out: &mut Svg) {
    let letters = ((right - left) / LETTER).max(3.0) as usize;
    match cell {
        Cell::Text(text) => out.text(left, base, SIZE, INK, "", &cut(text, letters)),
        Cell::Time(ns) => {
            let since = ns.saturating_sub(answer.begin) as f64 / 1e9;
            out.text(left, base, SIZE, INK, "", &format!("{since:+.9} s"));
        }
        Cell::Duration(ns) => out.text_to(right, base, SIZE, INK, &duration(*ns)),
        Cell::Count(count) => out.text_to(right, base, SIZE, INK, &number(*count)),
        Cell::Share(share) => {
            out.text_to(right, base, SIZE, INK, &format!("{:.1} %", share * 100.0));
        }
        Cell::Bar(parts) => {
            let mut at = left;
            for (share, look) in parts {
                let wide = share * (right - left);
                if wide > 0.05 {
                    out.bar(at, base - BAR + 2.0, wide, BAR, look);
                }
                at += wide;
            }
        }
    }
}

fn legend(items: &[(String, Look)], across: usize, top: f64, out: &mut Svg) {
    for (number, (name, look)) in items.iter().enumerate() {
        let x = MARGIN + ITEM * (number % across) as f64;
        let y = top + LINE * (number / across) as f64;
        out.bar(x, y, 18.0, 11.0, look);
        out.text(x + 24.0, y + 10.0, 11.0, INK, "", &cut(name, LETTERS));
    }
}
