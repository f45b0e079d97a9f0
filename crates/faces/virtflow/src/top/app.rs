//! What the screen shows and what keys do to it; knows no terminal.

use super::source::Frame;
use super::tree::{CPUS, THREADS, tree};
use super::wanted::Wanted;
use crate::args::{SortKey, TopArgs};
use clap::ValueEnum;
use std::collections::BTreeSet;
use virtflow_query::{LiveRow, View};

/// What is on the screen besides the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Rows,
    /// What is typed becomes the filter.
    Filter,
    Help,
}

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Quit,
    Freeze,
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    /// Open the row, or close it if it is open.
    Toggle,
    Open,
    Close,
    OpenAll,
    Sort,
    SortBack,
    Detail,
    /// Write the last while as a trace.
    Record,
    Filter,
    Help,
    Type(char),
    Erase,
    Accept,
    Cancel,
}

/// A row on the screen.
pub(super) struct Shown<'a> {
    pub(super) row: &'a LiveRow,
    pub(super) depth: usize,
    /// Whether what is listed under it is shown; `None` where there is nothing.
    pub(super) open: Option<bool>,
}

/// What the screen is about.
pub(super) struct App {
    pub(super) name: String,
    pub(super) mode: Mode,
    pub(super) sort: SortKey,
    pub(super) filter: String,
    pub(super) frozen: bool,
    pub(super) detail: bool,
    pub(super) ended: bool,
    /// What is to be said until the next key.
    pub(super) note: String,
    /// VMs that are wanted, as long as there was none.
    pub(super) wanted: Option<Wanted>,
    pub(super) lost: u64,
    pub(super) missed: u64,
    pub(super) own: f64,
    /// The latest window, and the one that is shown.
    latest: Option<View>,
    pub(super) view: Option<View>,
    rows: Vec<LiveRow>,
    open: BTreeSet<String>,
    /// The key of the row that is chosen.
    pub(super) chosen: String,
    /// The first row that is shown.
    pub(super) first: usize,
    pub(super) quit: bool,
}

impl App {
    pub(super) fn new(name: String, args: &TopArgs) -> Self {
        Self {
            name,
            mode: Mode::Rows,
            sort: args.sort,
            filter: args.filter.clone(),
            frozen: false,
            detail: true,
            ended: false,
            note: String::new(),
            wanted: Wanted::new(args.vm.as_ref()),
            lost: 0,
            missed: 0,
            own: 0.0,
            latest: None,
            view: None,
            rows: Vec::new(),
            open: [CPUS, THREADS].map(str::to_owned).into(),
            chosen: String::new(),
            first: 0,
            quit: false,
        }
    }

    /// A window has ended.
    pub(super) fn take(&mut self, frame: Frame) {
        (self.lost, self.missed, self.own) = (frame.lost, frame.missed, frame.own);
        Wanted::look(&mut self.wanted, &frame.view);
        if self.frozen {
            self.latest = Some(frame.view);
        } else {
            self.show(frame.view);
        }
    }

    fn show(&mut self, view: View) {
        self.latest = None;
        self.view = Some(view);
        self.arrange();
    }

    /// Sorts and filters what is shown anew.
    fn arrange(&mut self) {
        let view = self.view.clone().unwrap_or_default();
        self.rows = tree(view, self.sort, &self.filter);
        let shown = self.shown();
        if !shown.iter().any(|shown| shown.row.key == self.chosen) {
            self.chosen = shown
                .first()
                .map_or_else(String::new, |s| s.row.key.clone());
        }
    }

    /// The rows that are not hidden in closed ones.
    pub(super) fn shown(&self) -> Vec<Shown<'_>> {
        let mut all = Vec::new();
        self.list(&self.rows, 0, &mut all);
        all
    }

    fn list<'a>(&'a self, rows: &'a [LiveRow], depth: usize, all: &mut Vec<Shown<'a>>) {
        for row in rows {
            let open = (!row.children.is_empty()).then(|| self.is_open(row));
            all.push(Shown { row, depth, open });
            if open == Some(true) {
                self.list(&row.children, depth + 1, all);
            }
        }
    }

    /// With a filter, what it lets through is shown.
    fn is_open(&self, row: &LiveRow) -> bool {
        self.open.contains(&row.key) || !self.filter.is_empty()
    }

    /// The row that is chosen, and its place.
    pub(super) fn chosen<'a>(&self, shown: &'a [Shown<'a>]) -> Option<(usize, &'a LiveRow)> {
        let at = shown.iter().position(|s| s.row.key == self.chosen)?;
        Some((at, shown[at].row))
    }

    /// Does what somebody wants; `page` rows are on the screen.
    pub(super) fn act(&mut self, action: Action, page: usize) {
        match action {
            Action::Quit => self.quit = true,
            Action::Freeze => {
                self.frozen = !self.frozen;
                if let Some(view) = self.latest.take().filter(|_| !self.frozen) {
                    self.show(view);
                }
            }
            Action::Up => self.go(|at, _| at.saturating_sub(1)),
            Action::Down => self.go(|at, _| at + 1),
            Action::PageUp => self.go(|at, _| at.saturating_sub(page)),
            Action::PageDown => self.go(|at, _| at + page),
            Action::Top => self.go(|_, _| 0),
            Action::Bottom => self.go(|_, count| count),
            Action::Toggle | Action::Open | Action::Close => self.turn(action),
            Action::OpenAll => self.open_all(),
            Action::Sort => self.sort_by(1),
            Action::SortBack => self.sort_by(SortKey::value_variants().len() - 1),
            Action::Detail => self.detail = !self.detail,
            // What the terminal does, as it knows the source.
            Action::Record => {}
            Action::Filter => self.mode = Mode::Filter,
            Action::Help => self.mode = Mode::Help,
            Action::Type(c) => self.refilter(|filter| filter.push(c)),
            Action::Erase => self.refilter(|filter| {
                filter.pop();
            }),
            Action::Accept => self.mode = Mode::Rows,
            Action::Cancel => {
                if self.mode == Mode::Filter {
                    self.refilter(String::clear);
                }
                self.mode = Mode::Rows;
            }
        }
    }

    fn go(&mut self, to: impl FnOnce(usize, usize) -> usize) {
        let shown = self.shown();
        let at = self.chosen(&shown).map_or(0, |(at, _)| at);
        let last = shown.len().saturating_sub(1);
        let key = shown.get(to(at, last).min(last)).map(|s| s.row.key.clone());
        self.chosen = key.unwrap_or_default();
    }

    fn turn(&mut self, action: Action) {
        let shown = self.shown();
        let Some((at, row)) = self.chosen(&shown) else {
            return;
        };
        let (key, depth) = (row.key.clone(), shown[at].depth);
        let is_open = shown[at].open == Some(true);
        // Closing what is closed goes to what it stands under.
        let around = shown[..at].iter().rev().find(|s| s.depth < depth);
        let around = around.map(|s| s.row.key.clone());
        match action {
            Action::Close if !is_open => self.chosen = around.unwrap_or(key),
            Action::Open => {
                self.open.insert(key);
            }
            _ if is_open => {
                self.open.remove(&key);
            }
            _ => {
                self.open.insert(key);
            }
        }
    }

    /// Opens every row, or where all are open closes them.
    fn open_all(&mut self) {
        fn keys(rows: &[LiveRow], all: &mut BTreeSet<String>) {
            for row in rows.iter().filter(|row| !row.children.is_empty()) {
                all.insert(row.key.clone());
                keys(&row.children, all);
            }
        }
        let mut all = BTreeSet::new();
        keys(&self.rows, &mut all);
        if all.is_subset(&self.open) {
            self.open.clear();
        } else {
            self.open.append(&mut all);
        }
        self.go(|at, _| at);
    }

    fn sort_by(&mut self, further: usize) {
        let all = SortKey::value_variants();
        let at = all.iter().position(|key| *key == self.sort).unwrap_or(0);
        self.sort = all[(at + further) % all.len()];
        self.arrange();
    }

    fn refilter(&mut self, change: impl FnOnce(&mut String)) {
        change(&mut self.filter);
        self.arrange();
    }
}
