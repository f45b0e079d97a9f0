//! The columns of `virtflow top`, for text and for the screen.

use super::tree::THREADS;
use crate::args::SortKey;
use std::cmp::Reverse;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
use virtflow_query::{LiveRow, RowKind};

/// The columns after the name.
pub(super) const HEADINGS: [&str; 9] = [
    "RUN", "KVM", "VMM", "IDLE", "WAIT", "NOCPU", "UNKN", "PEND", "EXIT/s",
];
/// How wide a figure is, with the space before it.
pub(super) const FIGURE_WIDTH: usize = 6;
/// How wide names are in text.
pub(super) const NAME_WIDTH: usize = 80 - HEADINGS.len() * FIGURE_WIDTH - 1;

/// The figures of a row, in the order of [`HEADINGS`].
pub(super) fn figures(row: &LiveRow, window_ns: i64) -> [String; 9] {
    let shares = &row.shares;
    let of = row.of_ns(window_ns);
    let share = |ns| per_cent(ns, of);
    // Of those that did anything: it says nothing.
    let wait = if row.key == THREADS {
        "-".to_owned()
    } else {
        share(shares.wait_ns)
    };
    [
        share(shares.run_ns),
        share(shares.hypervisor_ns),
        share(shares.vmm_ns),
        share(idle_ns(row)),
        wait,
        share(shares.no_cpu_ns),
        share(shares.unknown_ns),
        share(shares.pending_ns),
        rate(row.exits, window_ns, has_exits(row.kind)),
    ]
}

/// Halted, or with nothing to run.
const fn idle_ns(row: &LiveRow) -> i64 {
    row.shares.halted_ns.saturating_add(row.shares.idle_ns)
}

const fn has_exits(kind: RowKind) -> bool {
    matches!(
        kind,
        RowKind::Vm | RowKind::Vcpu | RowKind::NestedVm | RowKind::NestedVcpu
    )
}

/// Per cent in five columns at the most.
pub(super) fn per_cent(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return "-".to_owned();
    }
    match 100.0 * part as f64 / whole as f64 {
        0.0 => "0".to_owned(),
        p if p < 0.05 => "<0.1".to_owned(),
        p if p < 999.95 => format!("{p:.1}"),
        p => format!("{p:.0}"),
    }
}

/// So many a second.
fn rate(count: u64, window_ns: i64, is_told: bool) -> String {
    if !is_told || window_ns <= 0 {
        return "-".to_owned();
    }
    match count as f64 * 1e9 / window_ns as f64 {
        r if r < 99_999.5 => format!("{r:.0}"),
        r if r < 999_500.0 => format!("{:.0}k", r / 1e3),
        r => format!("{:.1}M", r / 1e6),
    }
}

/// A row of text: the name, indented, in so many columns, and the figures.
pub(super) fn line(name: &str, depth: usize, width: usize, figures: &[String]) -> String {
    let indented = format!("{}{name}", "  ".repeat(depth));
    let mut line = fit(&indented, width);
    for (figure, heading) in figures.iter().zip(HEADINGS) {
        // The last heading is a column wider than its figures need to be.
        let wide = FIGURE_WIDTH + usize::from(heading.len() >= FIGURE_WIDTH);
        line += &format!("{figure:>wide$}");
    }
    line
}

/// The line of headings.
pub(super) fn headings(width: usize) -> String {
    line("NAME", 0, width, &HEADINGS.map(str::to_owned))
}

/// A text in exactly so many columns: cut, with a mark, or padded.
pub(super) fn fit(text: &str, width: usize) -> String {
    let text = printable(text);
    let own = text.width();
    if own <= width {
        return text + &" ".repeat(width - own);
    }
    let mut kept = String::new();
    let mut room = width.saturating_sub(1);
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if wide > room {
            break;
        }
        room -= wide;
        kept.push(c);
    }
    kept + "~" + &" ".repeat(room)
}

/// The same, cut at the front: of names that begin alike the ends tell them apart.
pub(super) fn fit_end(text: &str, width: usize) -> String {
    let turned = |text: &str| text.chars().rev().collect::<String>();
    let text = printable(text);
    if text.width() <= width {
        return fit(&text, width);
    }
    turned(&fit(&turned(&text), width))
}

/// Names come from traces: what would move the cursor is shown as a mark.
pub(super) fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { '?' } else { c };
    text.chars().map(shown).collect()
}

/// Sorts rows that stand beside each other, and what is listed under each.
pub(super) fn sort(rows: &mut [LiveRow], by: SortKey) {
    rows.sort_by(|a, b| {
        // Things of one kind stay together.
        a.kind.cmp(&b.kind).then_with(|| {
            let natural = natural(a).cmp(&natural(b));
            match by {
                // Processors stay where they are.
                _ if matches!(a.kind, RowKind::Cpu | RowKind::Vcpu | RowKind::NestedVcpu) => {
                    natural
                }
                SortKey::Name => natural,
                _ => Reverse(figure(a, by))
                    .cmp(&Reverse(figure(b, by)))
                    .then(natural),
            }
        })
    });
    for row in rows {
        sort(&mut row.children, by);
    }
}

/// By label, numbers as numbers.
fn natural(row: &LiveRow) -> (String, u64, &str) {
    let digits = row.label.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = row.label[digits.len()..].parse().unwrap_or(0);
    (digits.to_lowercase(), number, &row.key)
}

const fn figure(row: &LiveRow, by: SortKey) -> i64 {
    let shares = &row.shares;
    match by {
        SortKey::Run => shares.run_ns,
        SortKey::Kvm => shares.hypervisor_ns,
        SortKey::Vmm => shares.vmm_ns,
        SortKey::Idle => idle_ns(row),
        SortKey::Wait => shares.wait_ns,
        SortKey::Nocpu => shares.no_cpu_ns,
        SortKey::Unknown => shares.unknown_ns.saturating_add(shares.pending_ns),
        SortKey::Exits => row.exits.cast_signed(),
        SortKey::Name => 0,
    }
}

/// Whether a row, or anything listed under it, has `text` in its name or key.
pub(super) fn matches(row: &LiveRow, text: &str) -> bool {
    let is_in = |of: &str| of.to_lowercase().contains(text);
    is_in(&row.label) || is_in(&row.key) || row.children.iter().any(|child| matches(child, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_five_columns() {
        assert_eq!(per_cent(1, 10_000), "<0.1");
        assert_eq!(per_cent(1, 3), "33.3");
        assert_eq!(per_cent(300, 3), "10000");
        assert_eq!(per_cent(0, 3), "0");
        assert_eq!(per_cent(0, 0), "-");
        assert_eq!(rate(1_234_567, 1_000_000_000, true), "1.2M");
        assert_eq!(rate(123_456, 1_000_000_000, true), "123k");
        assert_eq!(rate(50, 500_000_000, true), "100");
        assert_eq!(rate(50, 500_000_000, false), "-");
    }

    #[test]
    fn a_line_has_eighty_columns_whatever_the_name() {
        for name in [
            "a",
            "a name that is much longer than its column",
            "\u{6f22}\u{5b57}\x1b[2J",
        ] {
            let figures = ["100.0"; 9].map(str::to_owned);
            let line = line(name, 1, NAME_WIDTH, &figures);
            assert_eq!(line.width(), 80, "{line}");
            assert!(!line.contains('\x1b'));
        }
        assert_eq!(headings(NAME_WIDTH).width(), 80);
    }
}
