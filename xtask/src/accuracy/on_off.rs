//! Agreement 1: when each vCPU's thread is on a CPU, waits for one, or sleeps.
//!
//! Every nanosecond of the common coverage outside loss windows at which the raw events had told the
//! thread's state is compared with the class of our `vcpu` lane of that thread at that nanosecond.

use super::case::{Case, HostVcpu};
use super::ours::{Kind, Row};
use super::report::{Agreement, Table, Verdict, ms, ns};
use super::span::{Ns, Span, Timeline, clip, overlay};
use super::threads::State;

/// The three classes of the definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    On,
    Waits,
    Sleeps,
    Unknown,
}

/// The class of a state of a vCPU lane.
pub(crate) fn class(state: &str) -> Class {
    match state {
        "guest" | "hypervisor" | "vmm" | "halt-poll" | "irq-stolen" => Class::On,
        "preempted" | "runnable" | "throttled" => Class::Waits,
        "halted" | "blocked-on-host" => Class::Sleeps,
        _ => Class::Unknown,
    }
}

fn same(raw: State, ours: Class) -> bool {
    match raw {
        State::Running => ours == Class::On,
        State::Waiting => ours == Class::Waits,
        State::Sleeping => ours == Class::Sleeps,
        State::Settling => matches!(ours, Class::Waits | Class::Sleeps),
    }
}

/// Our vCPU lane of a thread, in time order.
pub(crate) fn lane<'a>(case: &'a Case, vcpu: &HostVcpu) -> Timeline<&'a Row> {
    let rows = case
        .ours
        .of_kind(Kind::Vcpu)
        .filter(|row| row.tid == Some(vcpu.tid));
    rows.map(|row| (row.span, row)).collect()
}

#[derive(Default)]
struct Sums {
    raw: [Ns; 3],
    ours: [Ns; 3],
    differs: Ns,
    unknown: Ns,
    first: Vec<String>,
}

fn compare(case: &Case, vcpu: &HostVcpu, sure: bool) -> Sums {
    let raw = case
        .replay
        .threads
        .get(&vcpu.tid)
        .map_or(&[][..], Vec::as_slice);
    let raw: Vec<_> = raw
        .iter()
        .filter(|(_, known)| known.sure == sure)
        .copied()
        .collect();
    let mut sums = Sums::default();
    overlay(
        &clip(&raw, &case.within),
        &lane(case, vcpu),
        |span, known, row| {
            let ours = row.map_or(Class::Unknown, |row| class(&row.state));
            let len = span.len();
            match known.state {
                State::Running => sums.raw[0] += len,
                State::Waiting => sums.raw[1] += len,
                State::Sleeping | State::Settling => sums.raw[2] += len,
            }
            match ours {
                Class::On => sums.ours[0] += len,
                Class::Waits => sums.ours[1] += len,
                Class::Sleeps => sums.ours[2] += len,
                Class::Unknown => sums.unknown += len,
            }
            if !same(known.state, ours) {
                sums.differs += len;
                if sums.first.len() < 2 {
                    sums.first.push(place(
                        case,
                        vcpu,
                        span,
                        &format!("raw {:?}, ours {ours:?}", known.state),
                    ));
                }
            }
        },
    );
    sums
}

/// Where to look: seconds since the start of the common coverage.
#[expect(clippy::cast_precision_loss, reason = "for reading")]
pub(crate) fn place(case: &Case, vcpu: &HostVcpu, span: Span, what: &str) -> String {
    let at = (span.start - case.coverage.start) as f64 / 1e9;
    format!(
        "{} at {} (+{at:.6} s) for {}: {what}",
        vcpu.name,
        span.start,
        ns(span.len())
    )
}

pub(crate) fn agree(case: &Case) -> Agreement {
    let goal = "exact: not one nanosecond differs from the raw sched events".to_owned();
    let mut out = Agreement::new(1, "vCPU on and off the host CPU", goal);
    let headers = vec![
        "ms",
        "on raw",
        "ours",
        "waits raw",
        "ours",
        "sleeps raw",
        "ours",
        "differs",
    ];
    let mut table = Table {
        title: String::new(),
        headers,
        rows: Vec::new(),
    };
    let (mut differs, mut compared, mut inferred) = (0, 0, 0);
    for vcpu in &case.vcpus {
        let sums = compare(case, vcpu, true);
        let pairs = sums
            .raw
            .iter()
            .zip(&sums.ours)
            .flat_map(|(raw, ours)| [ms(*raw), ms(*ours)]);
        table.rows.push(
            std::iter::once(vcpu.name.clone())
                .chain(pairs)
                .chain([ns(sums.differs)])
                .collect(),
        );
        differs += sums.differs;
        compared += sums.raw.iter().sum::<Ns>();
        inferred += compare(case, vcpu, false).differs;
        out.notes.extend(sums.first);
        out.notes.extend(bound(case, vcpu));
    }
    out.notes.extend(inside_loss(case));
    if inferred > 0 {
        let text = "before the first event that names a thread (only inferred, not counted)";
        out.notes
            .push(format!("{text}: {} ms differ or are unknown", ms(inferred)));
    }
    if compared > 0 {
        out.verdict = Verdict::of(differs == 0);
        out.score = format!("{} of {} ms differ", ns(differs), ms(compared));
    }
    out.figure("differs_ns", differs);
    out.figure("compared_ns", compared);
    out.tables.push(table);
    out
}

/// The kernel's own run and run-queue-wait times, over a slightly wider window, bound ours.
fn bound(case: &Case, vcpu: &HostVcpu) -> Option<String> {
    let stat = case
        .truth
        .vcpu_thread_schedstat
        .iter()
        .find(|stat| stat.tid == vcpu.tid)?;
    let time = |wanted: Class| -> Ns {
        let rows = lane(case, vcpu);
        rows.iter()
            .filter(|(_, row)| class(&row.state) == wanted)
            .map(|(span, _)| span.len())
            .sum()
    };
    let (on, waits) = (time(Class::On), time(Class::Waits));
    let over = |name: &str, ours: Ns, kernel: Ns| {
        (ours > kernel).then(|| {
            format!(
                "{}: our {name} {} ms exceeds schedstat's {} ms",
                vcpu.name,
                ms(ours),
                ms(kernel)
            )
        })
    };
    over("on-CPU time", on, stat.run_ns)
        .or_else(|| over("waiting time", waits, stat.runqueue_wait_ns))
}

/// Inside loss windows everything uncertain must be unknown: how much is not.
fn inside_loss(case: &Case) -> Option<String> {
    if case.lost_ours.total() + case.lost_raw.total() == 0 {
        return None;
    }
    let windows =
        super::span::Spans::new([case.lost_ours.as_slice(), case.lost_raw.as_slice()].concat());
    let (mut told, mut all) = (0, 0);
    for vcpu in &case.vcpus {
        for (span, row) in lane(case, vcpu) {
            let inside = windows.overlap(span);
            all += inside;
            told += if class(&row.state) == Class::Unknown {
                0
            } else {
                inside
            };
        }
    }
    Some(format!(
        "inside loss windows: of {} ms of vCPU lanes {} ms are not unknown",
        ms(all),
        ms(told)
    ))
}
