//! A window as rows.

use super::row::{Row, RowKind, TakenBy};
use super::window::{Known, Sum, Windows};
use crate::report::{label, works_for};
use rustc_hash::FxHashMap;
use serde::Serialize;
use virtflow_base::{Entity, EntityId, Interval, Timestamp, text};
use virtflow_model::{Kind, Yet};

/// The version of the lines of JSON.
pub const TOP_VERSION: u32 = 1;

/// What happened in a window.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// Events that were taken in it.
    pub events: u64,
    /// Events that were lost in it, as far as that is known by its end; at least, where nobody
    /// counted them.
    pub lost: u64,
    /// Events that the recorder missed though there was room, as counted since the window before;
    /// where that is not counted, nothing.
    pub missed: Option<u64>,
    /// Threads of the host that were seen neither to run nor to want to.
    pub quiet: usize,
    /// The host's processors, by number.
    pub cpus: Vec<Row>,
    /// VMs, by key, with what they hold.
    pub vms: Vec<Row>,
    /// What the VMs are called that were not asked for.
    pub others: Vec<String>,
    /// Threads of the host that did anything and are no virtual processors, by key.
    pub threads: Vec<Row>,
}

/// The first line of JSON.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct TopHeader {
    /// Always `virtflow-top`.
    pub format: &'static str,
    /// [`TOP_VERSION`].
    pub version: u32,
    /// The program that wrote it.
    pub virtflow: &'static str,
}

impl Default for TopHeader {
    fn default() -> Self {
        Self {
            format: "virtflow-top",
            version: TOP_VERSION,
            virtflow: env!("CARGO_PKG_VERSION"),
        }
    }
}

/// A line that begins a window.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WindowLine {
    /// When the window began, in nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// When it ended.
    pub end_ns: i64,
    /// Events that were taken in it.
    pub events: u64,
    /// Events that were lost in it, as far as that was known by its end; at least, where nobody
    /// counted them.
    pub lost: u64,
    /// Events that the recorder missed though there was room (its program was at work on that
    /// processor already), as counted since the window before, which is done every five seconds;
    /// null where a trace is replayed.
    pub missed: Option<u64>,
    /// Threads of the host that were seen neither to run nor to want to: they have no line.
    pub threads_quiet: usize,
}

/// A line of JSON: the first one, one that begins a window, or a row of that window.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum TopLine {
    /// The first one.
    Header(TopHeader),
    /// One that begins a window.
    Window(WindowLine),
    /// A row of that window.
    Row(Box<Row>),
}

impl View {
    /// How long it was, in nanoseconds.
    pub const fn nanos(&self) -> i64 {
        self.end.since(self.start)
    }

    /// The line that begins it.
    pub const fn line(&self) -> WindowLine {
        WindowLine {
            start_ns: self.start.as_nanos(),
            end_ns: self.end.as_nanos(),
            events: self.events,
            lost: self.lost,
            missed: self.missed,
            threads_quiet: self.quiet,
        }
    }

    /// Gives every row, what is listed under one after it, and how deep it stands.
    pub fn rows<'a>(&'a self, to: &mut impl FnMut(&'a Row, usize)) {
        fn give<'a>(rows: &'a [Row], depth: usize, to: &mut impl FnMut(&'a Row, usize)) {
            for row in rows {
                to(row, depth);
                give(&row.children, depth + 1, to);
            }
        }
        for rows in [&self.cpus, &self.vms, &self.threads] {
            give(rows, 0, to);
        }
    }
}

/// Who is who among those that take processors.
struct Takers<'a> {
    windows: &'a Windows,
    vcpu_by_tid: FxHashMap<(i32, i32), &'a Entity>,
    vm_by_pid: FxHashMap<i32, &'a Entity>,
}

impl<'a> Takers<'a> {
    fn new(windows: &'a Windows) -> Self {
        let mut takers = Self {
            windows,
            vcpu_by_tid: FxHashMap::default(),
            vm_by_pid: FxHashMap::default(),
        };
        for known in windows.entities() {
            let entity = &known.entity;
            match (known.kind, entity.pid, entity.tid) {
                (Kind::Vcpu, Some(pid), Some(tid)) => {
                    takers.vcpu_by_tid.insert((pid, tid), entity);
                }
                (Kind::Vm, Some(pid), _) => {
                    takers.vm_by_pid.insert(pid, entity);
                }
                _ => {}
            }
        }
        takers
    }

    fn vcpu(&self, thread: &Entity) -> Option<&'a Entity> {
        let vcpu = self.vcpu_by_tid.get(&(thread.pid?, thread.tid?));
        vcpu.copied()
    }

    fn of(&self, sum: &Sum) -> Vec<TakenBy> {
        let mut all: Vec<TakenBy> = Vec::new();
        for &(_, by, total_ns) in sum.by() {
            let (group, label, key) = self.who(by);
            match all.iter_mut().find(|taken| taken.key == key) {
                Some(taken) => taken.total_ns = taken.total_ns.saturating_add(total_ns),
                None => all.push(TakenBy {
                    group,
                    label,
                    key,
                    total_ns,
                }),
            }
        }
        all
    }

    /// Whose it is, what it is called, its key.
    fn who(&self, by: Option<EntityId>) -> (String, String, String) {
        let Some(known) = by.and_then(|by| self.windows.entity(by)) else {
            let nobody = "no thread (idle), or unknown".to_owned();
            return (nobody.clone(), nobody, String::new());
        };
        let entity = &known.entity;
        let vm = |entity: &Entity| {
            let vm = entity.vm.and_then(|vm| self.windows.entity(vm));
            vm.map(|vm| text(&vm.entity.label)).unwrap_or_default()
        };
        if let (Kind::Thread, Some(vcpu)) = (known.kind, self.vcpu(entity)) {
            return (vm(vcpu), label(vcpu), vcpu.key.clone());
        }
        let own = label(entity);
        let group = match known.kind {
            Kind::Thread => {
                let of = works_for(&text(&entity.label), entity.pid);
                let vm = of.and_then(|pid| self.vm_by_pid.get(&pid));
                vm.map_or_else(|| own.clone(), |vm| text(&vm.label))
            }
            _ => vm(entity),
        };
        (group, own, entity.key.clone())
    }
}

/// The lanes of the guest's own that every virtual processor has besides those of processes.
fn own_lane(entity: &Entity) -> Option<RowKind> {
    match (entity.cr3, entity.key.rsplit_once('/')?.1) {
        (None, "kernel") => Some(RowKind::GuestKernel),
        (None, "idle") => Some(RowKind::GuestIdle),
        _ => None,
    }
}

impl Windows {
    /// Ends the window at `end`: `open` is what the model has not told yet, `vm` which VMs are
    /// wanted.
    pub(super) fn view(
        &mut self,
        end: Timestamp,
        open: &[(Interval, Yet)],
        vm: Option<&str>,
    ) -> View {
        self.add_open(open);
        let mut view = View {
            start: self.begins(),
            end,
            ..View::default()
        };
        let takers = Takers::new(self);
        let mut under: FxHashMap<EntityId, Vec<Row>> = FxHashMap::default();
        for known in self.entities() {
            self.sort_in(known, &takers, &mut view, &mut under);
        }
        let mut guests: Vec<&Known> = self
            .entities()
            .filter(|known| matches!(known.kind, Kind::Vm | Kind::NestedVm))
            .collect();
        // The innermost first: a nested VM is listed under the one around it.
        guests.sort_by_key(|known| {
            let depth = known.entity.key.matches('/').count();
            (std::cmp::Reverse(depth), &known.entity.key)
        });
        for known in guests {
            let Some(children) = under.remove(&known.entity.id) else {
                continue;
            };
            let row = self.guest(known, children);
            match (known.kind, known.entity.parent) {
                (Kind::NestedVm, Some(around)) => under.entry(around).or_default().push(row),
                _ if self.is_wanted(Some(known.entity.id), vm) => view.vms.push(row),
                (Kind::Vm, _) => view.others.push(label(&known.entity)),
                _ => {}
            }
        }
        view.others.sort();
        view.cpus.sort_by_key(|row| number_of(&row.key));
        view.vms.sort_by(|a, b| a.key.cmp(&b.key));
        view.threads.sort_by(|a, b| a.key.cmp(&b.key));
        self.next(end);
        view
    }

    /// Whether a VM, or what is nested in it, is wanted.
    pub(super) fn is_wanted(&self, vm: Option<EntityId>, wanted: Option<&str>) -> bool {
        let Some(wanted) = wanted else { return true };
        let around = |id: &EntityId| self.entity(*id)?.entity.parent;
        let all = std::iter::successors(vm, around).filter_map(|id| self.entity(id));
        let outermost = all.filter(|known| known.kind == Kind::Vm).last();
        outermost.is_some_and(|known| {
            let entity = &known.entity;
            text(&entity.label).contains(wanted)
                || entity.key.contains(wanted)
                || entity.pid.is_some_and(|pid| pid.to_string() == wanted)
        })
    }

    /// Makes a row of what a lane did, and puts it where it belongs.
    fn sort_in(
        &self,
        known: &Known,
        takers: &Takers<'_>,
        view: &mut View,
        under: &mut FxHashMap<EntityId, Vec<Row>>,
    ) {
        if known.sum.lanes() == 0 {
            return;
        }
        let entity = &known.entity;
        let kind = match known.kind {
            Kind::Cpu => RowKind::Cpu,
            Kind::Thread => RowKind::Thread,
            Kind::Vcpu => RowKind::Vcpu,
            Kind::NestedVcpu => RowKind::NestedVcpu,
            Kind::Process => own_lane(entity).unwrap_or(RowKind::Process),
            Kind::GuestThread => RowKind::GuestThread,
            _ => return,
        };
        let parent = match known.kind {
            Kind::Vcpu | Kind::NestedVcpu | Kind::Process => entity.vm,
            Kind::GuestThread => entity.parent,
            _ => None,
        };
        let parent_key = parent
            .and_then(|parent| self.entity(parent))
            .map_or("", |parent| &parent.entity.key);
        let mut row = Row::new(kind, &entity.key, label(entity), parent_key);
        (row.tid, row.pid) = (entity.tid, entity.pid);
        row.fill(&known.sum);
        row.taken_by = takers.of(&known.sum);
        row.sort();
        match (kind, parent) {
            (RowKind::Cpu, _) => {
                row.label = format!("CPU {}", number_of(&row.key));
                view.cpus.push(row);
            }
            (RowKind::Thread, _) if takers.vcpu(entity).is_some() => {}
            (RowKind::Thread, _) if row.shares.run_ns + row.shares.no_cpu_ns == 0 => {
                view.quiet += 1
            }
            (RowKind::Thread, _) => view.threads.push(row),
            (_, Some(parent)) => under.entry(parent).or_default().push(row),
            (_, None) => {}
        }
    }

    /// A VM: the sum of its virtual processors, and what is in it.
    fn guest(&self, known: &Known, children: Vec<Row>) -> Row {
        let entity = &known.entity;
        let (kind, around) = match known.kind {
            Kind::NestedVm => {
                let around = entity.parent.and_then(|around| self.entity(around));
                (RowKind::NestedVm, around.map_or("", |a| &a.entity.key))
            }
            _ => (RowKind::Vm, ""),
        };
        let name = text(&entity.label);
        let name = match name.rsplit_once('/') {
            Some((_, own)) if kind == RowKind::NestedVm => own.to_owned(),
            _ => name,
        };
        let mut row = Row::new(kind, &entity.key, name, around);
        row.pid = entity.pid;
        let mut own: Vec<Row> = Vec::new();
        for child in children {
            match child.kind {
                RowKind::Vcpu | RowKind::NestedVcpu => {
                    row.merge(&child);
                    row.children.push(child);
                }
                RowKind::GuestKernel | RowKind::GuestIdle => {
                    match own.iter_mut().find(|lane| lane.kind == child.kind) {
                        Some(lane) => lane.merge(&child),
                        None => own.push(guests_own(&entity.key, child)),
                    }
                }
                _ => row.children.push(child),
            }
        }
        row.children.append(&mut own);
        row.children
            .sort_by(|a, b| (a.kind, &a.key).cmp(&(b.kind, &b.key)));
        row
    }
}

/// The lanes of a guest's own on all its virtual processors.
fn guests_own(guest: &str, lane: Row) -> Row {
    let (name, label) = match lane.kind {
        RowKind::GuestIdle => ("idle", "guest idle"),
        _ => ("kernel", "guest kernel"),
    };
    Row {
        key: format!("{guest}/{name}"),
        label: label.to_owned(),
        tid: None,
        ..lane
    }
}

/// The number of a processor, by its key.
fn number_of(key: &str) -> u32 {
    let number = key
        .rsplit_once(':')
        .and_then(|(_, number)| number.parse().ok());
    number.unwrap_or(u32::MAX)
}
