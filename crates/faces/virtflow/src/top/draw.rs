//! The screen: a line about the window, the rows, what the chosen row did in full, the keys.

use super::app::{App, Mode, Shown};
use super::batch::clock;
use super::columns::{
    FIGURE_WIDTH, HEADINGS, figures, fit, fit_end, headings, line, per_cent, printable,
};
use crate::output::number;
use crate::report::words;
use clap::ValueEnum;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph};
use virtflow_query::{LiveRow, RowKind, StatePart};

/// How many lines the detail of a row has, its heading with them.
const DETAIL_LINES: u16 = 7;
/// The fewest lines of a screen with detail.
const DETAIL_FROM: u16 = 18;
/// A share of time without a processor from which it stands out, in per cent.
const MUCH: f64 = 10.0;

/// Draws everything; how many rows there was room for.
pub(super) fn draw(frame: &mut Frame<'_>, app: &mut App, colours: bool) -> usize {
    let area = frame.area();
    let detail = if app.detail && area.height >= DETAIL_FROM {
        DETAIL_LINES
    } else {
        0
    };
    let [top, head, body, below, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(detail),
        Constraint::Length(1),
    ])
    .areas(area);
    let page = usize::from(body.height).max(1);
    let paint = Paint { colours };
    frame.render_widget(Paragraph::new(about(app, paint)), top);
    let name_width = name_width(area.width);
    let heading = Style::new().add_modifier(Modifier::REVERSED);
    let text = fit(&headings(name_width), usize::from(area.width));
    frame.render_widget(Paragraph::new(Line::styled(text, heading)), head);
    rows(frame, app, body, name_width, paint);
    if detail > 0 {
        frame.render_widget(Paragraph::new(told(app, below.width, paint)), below);
    }
    frame.render_widget(Paragraph::new(keys(app, foot.width, paint)), foot);
    if app.mode == Mode::Help {
        help(frame, area);
    }
    page
}

/// Colours, where they are wanted.
#[derive(Clone, Copy)]
struct Paint {
    colours: bool,
}

impl Paint {
    fn warning(self) -> Style {
        self.of(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn of(self, colour: Color) -> Style {
        if self.colours {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }
}

fn name_width(width: u16) -> usize {
    let figures = HEADINGS.len() * FIGURE_WIDTH + 1;
    usize::from(width).saturating_sub(figures).max(8)
}

/// The first line: whose, when, how much, and what it costs.
fn about(app: &App, paint: Paint) -> Line<'_> {
    let mut spans = vec![Span::styled(
        format!(
            "virtflow top  {}",
            fit(&app.name, app.name.len().min(16)).trim_end()
        ),
        Style::new().add_modifier(Modifier::BOLD),
    )];
    let Some(view) = &app.view else {
        spans.push(Span::raw("  waiting for the first window"));
        return Line::from(spans);
    };
    let seconds = view.nanos() as f64 / 1e9;
    let rate = (view.events as f64 / seconds.max(1e-9)) as u64;
    let at = clock(view.end.as_nanos());
    let at = at.get(11..19).unwrap_or(&at).to_owned();
    spans.push(Span::raw(format!("  {at}  {} events/s", number(rate))));
    let lost = format!("  {} lost", number(app.lost));
    let style = if app.lost > 0 {
        paint.warning()
    } else {
        Style::new()
    };
    spans.push(Span::styled(lost, style));
    if app.missed > 0 {
        let missed = format!("  {} missed", number(app.missed));
        spans.push(Span::styled(missed, paint.warning()));
    }
    spans.push(Span::raw(format!("  own CPU {:.1} %", 100.0 * app.own)));
    if app.frozen {
        let style = paint.of(Color::Yellow).add_modifier(Modifier::REVERSED);
        spans.push(Span::styled("  FROZEN ", style));
    } else if app.ended {
        spans.push(Span::styled("  ENDED", paint.of(Color::Yellow)));
    }
    Line::from(spans)
}

fn rows(frame: &mut Frame<'_>, app: &mut App, area: Rect, name_width: usize, paint: Paint) {
    let window = app.view.as_ref().map_or(0, virtflow_query::View::nanos);
    let page = usize::from(area.height).max(1);
    let shown = app.shown();
    let at = app.chosen(&shown).map_or(0, |(at, _)| at);
    let last_first = shown.len().saturating_sub(page);
    let first = app
        .first
        .min(at)
        .max((at + 1).saturating_sub(page))
        .min(last_first.max(at.min(last_first)));
    let lines: Vec<_> = shown
        .iter()
        .enumerate()
        .skip(first)
        .take(page)
        .map(|(number, shown)| row(shown, number == at, window, name_width, paint))
        .collect();
    app.first = first;
    frame.render_widget(Paragraph::new(lines), area);
}

fn row(
    shown: &Shown<'_>,
    chosen: bool,
    window: i64,
    name_width: usize,
    paint: Paint,
) -> Line<'static> {
    let row = shown.row;
    let mark = match shown.open {
        Some(true) => "- ",
        Some(false) => "+ ",
        None => "  ",
    };
    let name = format!("{mark}{}", row.label);
    let text = line(&name, shown.depth, name_width, &figures(row, window));
    let of = row.of_ns(window);
    let no_cpu = 100.0 * row.shares.no_cpu_ns as f64 / of.max(1) as f64;
    let style = match row.kind {
        _ if chosen => Style::new().add_modifier(Modifier::REVERSED),
        _ if no_cpu >= MUCH => paint.warning(),
        RowKind::Vm | RowKind::NestedVm => paint.of(Color::Cyan),
        RowKind::Cpu | RowKind::Thread if shown.depth == 0 => paint.of(Color::Cyan),
        _ => Style::new(),
    };
    Line::styled(text, style)
}

/// How a text is made as wide as there is room.
type Fit = fn(&str, usize) -> String;

/// What the chosen row did in full: where its time went, who had the processor, why it left guest
/// code.
fn told(app: &App, width: u16, paint: Paint) -> Vec<Line<'static>> {
    let width = usize::from(width);
    let shown = app.shown();
    let Some((_, row)) = app.chosen(&shown) else {
        return Vec::new();
    };
    let window = app.view.as_ref().map_or(0, virtflow_query::View::nanos);
    let of = row.of_ns(window);
    let rule = format!("-- {} ", printable(&row.label));
    let rule = fit(&format!("{rule}{}", "-".repeat(width)), width).replace('~', "-");
    let lines = usize::from(DETAIL_LINES - 1);
    let states = column("where the time went", states(row, of), lines);
    let taken = row.taken_by.iter().map(|taken| {
        let whose = if taken.group == taken.label {
            taken.label.clone()
        } else {
            format!("{} {}", taken.group, taken.label)
        };
        (whose, per_cent(taken.total_ns, of))
    });
    let taken = column("who had the CPU", taken.collect(), lines);
    let seconds = window.max(1) as f64 / 1e9;
    let exits = row.exit_reasons.iter().map(|exit| {
        let rate = format!("{:.0}", exit.count as f64 / seconds);
        (exit.reason.clone(), rate)
    });
    let exits = column("exits/s", exits.collect(), lines);
    let mut all = vec![Line::styled(rule, paint.faint())];
    let widths = [width * 40 / 100, width * 35 / 100, width * 25 / 100];
    for at in 0..lines {
        let cell_of = |column: &[(String, String)], width: usize, fit: Fit| {
            let (name, figure) = column.get(at).cloned().unwrap_or_default();
            let room = width.saturating_sub(FIGURE_WIDTH + 2);
            format!("{}{figure:>FIGURE_WIDTH$}  ", fit(&name, room))
        };
        let cell = |column: &[(String, String)], width| cell_of(column, width, fit);
        let text = [
            cell(&states, widths[0]),
            cell_of(&taken, widths[1], fit_end),
            cell(&exits, widths[2]),
        ];
        let style = if at == 0 { paint.faint() } else { Style::new() };
        all.push(Line::styled(text.concat(), style));
    }
    all
}

/// A heading, and as many cells as there is room for; the last says how many more there are.
fn column(heading: &str, cells: Vec<(String, String)>, lines: usize) -> Vec<(String, String)> {
    let room = lines.saturating_sub(1);
    let more = cells.len().saturating_sub(room);
    let mut all = vec![(heading.to_owned(), String::new())];
    let kept = if more > 0 {
        room.saturating_sub(1)
    } else {
        room
    };
    all.extend(cells.into_iter().take(kept));
    if more > 0 {
        all.push((format!("{} more", more + 1), String::new()));
    }
    all
}

/// The states of a row with their causes, longest first.
fn states(row: &LiveRow, of: i64) -> Vec<(String, String)> {
    let mut all: Vec<(String, i64)> = Vec::new();
    for part in &row.states {
        let name = state(part);
        match all.iter_mut().find(|(own, _)| *own == name) {
            Some((_, sum)) => *sum = sum.saturating_add(part.total_ns),
            None => all.push((name, part.total_ns)),
        }
    }
    all.sort_by_key(|(_, ns)| std::cmp::Reverse(*ns));
    let shares = all.into_iter();
    shares.map(|(name, ns)| (name, per_cent(ns, of))).collect()
}

/// A state and why, in words.
fn state(part: &StatePart) -> String {
    use virtflow_query::{Cause, Yet};
    match part.pending {
        Yet::Pending => "not decided yet".to_owned(),
        Yet::WhyPending => format!("{}: not ended yet", part.state.as_str()),
        Yet::Known if part.cause == Cause::None => part.state.as_str().to_owned(),
        Yet::Known => format!("{}: {}", part.state.as_str(), words::cause(part.cause)),
    }
}

/// The last line.
fn keys(app: &App, width: u16, paint: Paint) -> Line<'static> {
    if app.mode == Mode::Filter {
        let text = format!(
            "filter: {}_   Enter keeps it, Esc removes it",
            printable(&app.filter)
        );
        return Line::from(text);
    }
    if !app.note.is_empty() {
        return Line::styled(printable(&app.note), paint.of(Color::Yellow));
    }
    if let (Some(wanted), Some(_)) = (&app.wanted, &app.view) {
        let text = fit(&wanted.complaint(), usize::from(width));
        return Line::styled(text, paint.of(Color::Yellow));
    }
    let sort = app.sort.to_possible_value();
    let sort = sort.map_or_else(String::new, |value| value.get_name().to_owned());
    let mut text = format!("q quit  Space freeze  Enter open  s sort:{sort}  / filter");
    if !app.filter.is_empty() {
        text += &format!(": {}", printable(&app.filter));
    }
    text += "  d detail  ? help";
    Line::styled(text, paint.faint())
}

const HELP: &str = "\
\x20Shares are per cent of the window's time: of a
 VM the time of all its vCPUs, of a process or
 thread that of one CPU.

 RUN    guest code; else: on a CPU
 KVM    a hypervisor worked for it
 VMM    the VMM's own code
 IDLE   halted; a CPU: nothing to run
 WAIT   asleep: in the host or in the guest
 NOCPU  wanted to run, somebody else ran
 UNKN   no event tells, or events were lost
 PEND   not decided yet: what comes next tells

 q quit   Space freeze   Up Down PgUp PgDn move
 Enter open or close     Left Right likewise
 * all    s S sort       / filter   d detail
 r record the last 30 s as a trace here";

fn help(frame: &mut Frame<'_>, area: Rect) {
    let lines: Vec<_> = HELP.lines().collect();
    let height = (lines.len() as u16 + 2).min(area.height);
    let width = 52.min(area.width);
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    frame.render_widget(Clear, place);
    let block = Block::bordered().title(" virtflow top ");
    frame.render_widget(Paragraph::new(HELP).block(block), place);
}
