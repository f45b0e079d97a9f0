//! Which rows a view has, in which order.

use crate::View;
use virtflow_query::store::{EntityRecord, Series, Store};
use virtflow_query::{Counter, Kind};

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) label: String,
    pub(crate) depth: usize,
    pub(crate) shown: Shown,
}

/// What a row has beside its name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shown {
    /// Nothing: others stand below it.
    Heading,
    /// An entity's lanes.
    Lanes(u32),
    /// Values of a counter.
    Curve(Series),
}

pub(crate) fn rows(store: &Store, view: View, vm: Option<&str>, begin: i64, end: i64) -> Vec<Row> {
    let lists = Lists {
        all: store.entities(),
        begin,
        end,
    };
    let mut out = Vec::new();
    match view {
        View::Resources => {
            for cpu in lists.of_kind(Kind::Cpu, None) {
                out.push(lane(cpu, 0));
                let own = lists.of_kind(Kind::Interrupt, None);
                let own = own.filter(|e| e.parent == Some(cpu.entity));
                own.for_each(|interrupt| out.push(lane(interrupt, 1)));
                curves(store, cpu.entity, 1, &mut out);
            }
            for device in store.entities().iter().filter(|e| is(e, Kind::Device)) {
                heading(&device.label, 0, &mut out);
                curves(store, device.entity, 1, &mut out);
            }
            heading("host threads", 0, &mut out);
            lists
                .of_kind(Kind::Thread, None)
                .for_each(|t| out.push(lane(t, 1)));
        }
        _ => {
            let vms = lists.all.iter().filter(|e| is(e, Kind::Vm));
            for one in vms.filter(|e| vm.is_none_or(|wanted| named(e, wanted))) {
                lists.vm(one, view, 0, &mut out);
            }
        }
    }
    out
}

/// Whether this is how somebody would name a VM.
pub(crate) fn named(vm: &EntityRecord, wanted: &str) -> bool {
    let by_pid = wanted.parse().is_ok_and(|pid: i32| vm.pid == Some(pid));
    by_pid || vm.label.contains(wanted) || vm.key.contains(wanted)
}

pub(crate) const fn is(entity: &EntityRecord, kind: Kind) -> bool {
    entity.kind == kind.code()
}

fn heading(label: &str, depth: usize, out: &mut Vec<Row>) {
    out.push(Row {
        label: label.to_owned(),
        depth,
        shown: Shown::Heading,
    });
}

/// A row for each counter of an entity.
fn curves(store: &Store, entity: u32, depth: usize, out: &mut Vec<Row>) {
    for series in store.series().iter().filter(|s| s.entity == entity) {
        let name = Counter::from_code(series.counter).map_or("counter", Counter::as_str);
        out.push(Row {
            label: name.to_owned(),
            depth,
            shown: Shown::Curve(Series {
                entity,
                counter: series.counter,
            }),
        });
    }
}

fn lane(entity: &EntityRecord, depth: usize) -> Row {
    let number = |what: &str| {
        entity
            .vcpu
            .map_or_else(|| what.to_owned(), |v| format!("{what} {v}"))
    };
    let label = match Kind::from_code(entity.kind) {
        Some(Kind::Vcpu | Kind::NestedVcpu) => number("vCPU"),
        Some(Kind::Cpu) => format!("CPU {}", entity.key.trim_start_matches("cpu:")),
        Some(Kind::Thread) => match entity.tid {
            Some(tid) => format!("{}:{tid}", entity.label),
            None => entity.label.clone(),
        },
        _ if entity.label.is_empty() => entity.key.clone(),
        _ => entity.label.clone(),
    };
    Row {
        label,
        depth,
        shown: Shown::Lanes(entity.entity),
    }
}

struct Lists<'a> {
    all: &'a [EntityRecord],
    begin: i64,
    end: i64,
}

impl<'a> Lists<'a> {
    /// Lanes of one kind, of one VM if there is one, that have something in the range; those that
    /// have most of it first for threads and processes, else as they were met.
    fn of_kind(&self, kind: Kind, vm: Option<u32>) -> impl Iterator<Item = &'a EntityRecord> {
        let mut found: Vec<_> = self
            .all
            .iter()
            .filter(|e| is(e, kind) && e.intervals > 0 && (vm.is_none() || e.vm == vm))
            .filter(|e| e.begin_ns < self.end && e.end_ns > self.begin)
            .collect();
        match kind {
            Kind::Thread | Kind::Process => {
                found.sort_by_key(|e| (std::cmp::Reverse(e.intervals), e.entity));
            }
            Kind::Cpu => found.sort_by_key(|e| number_of(&e.key)),
            _ => found.sort_by_key(|e| (e.vcpu, e.entity)),
        }
        found.into_iter()
    }

    fn vm(&self, vm: &EntityRecord, view: View, depth: usize, out: &mut Vec<Row>) {
        let label = vm.label.rsplit('/').next().unwrap_or(&vm.label);
        let nested = if is(vm, Kind::NestedVm) {
            "nested VM "
        } else {
            ""
        };
        heading(&format!("{nested}{label}"), depth, out);
        let own = Some(vm.entity);
        let kind = match view {
            View::Processes => Kind::Process,
            _ if is(vm, Kind::NestedVm) => Kind::NestedVcpu,
            _ => Kind::Vcpu,
        };
        self.of_kind(kind, own)
            .for_each(|e| out.push(lane(e, depth + 1)));
        let inner = self
            .all
            .iter()
            .filter(|e| is(e, Kind::NestedVm) && e.parent == own);
        inner.for_each(|nested| self.vm(nested, view, depth + 1, out));
    }
}

fn number_of(key: &str) -> u32 {
    key.rsplit(':')
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(u32::MAX)
}
