//! Agreement 7: who held the CPU while a vCPU waited for it.
//!
//! Over the time in which the raw events say (surely, outside loss) that the vCPU's thread waits and
//! that a switch had brought a thread to the CPU for which it waits: that thread, nanosecond by
//! nanosecond, against the `by_key` of our row. No key and the idle thread are the same: nobody held
//! the CPU (the vCPU's thread was on its way to it).

use super::case::{Case, HostVcpu};
use super::on_off::{lane, place};
use super::ours::Name;
use super::report::{Agreement, Table, Verdict, ms, ns, percent_text};
use super::span::{Ns, Timeline, clip, overlay};
use super::threads::State;
use std::collections::{BTreeMap, HashMap};

/// The thread in a key `thread:<tid>@<start>`, or of another lane with a thread.
fn tid_of(key: &str, tids: &HashMap<Name, i64>) -> i64 {
    let by_text = || key.strip_prefix("thread:")?.split('@').next()?.parse().ok();
    match key {
        "" => 0,
        _ => tids.get(key).copied().or_else(by_text).unwrap_or(-1),
    }
}

/// Who held the CPU for which the thread surely waited.
fn raw_culprits(case: &Case, vcpu: &HostVcpu) -> Timeline<i64> {
    let states = case
        .replay
        .threads
        .get(&vcpu.tid)
        .map_or(&[][..], Vec::as_slice);
    let waits = |known: &super::threads::Known| known.sure && known.state == State::Waiting;
    let waits: Vec<_> = states
        .iter()
        .filter(|(_, known)| waits(known))
        .copied()
        .collect();
    let mut out = Vec::new();
    for (span, known) in clip(&waits, &case.within) {
        let occupants = case
            .replay
            .occupants
            .get(&known.cpu)
            .map_or(&[][..], Vec::as_slice);
        let first = occupants.partition_point(|(held, _)| held.end <= span.start);
        overlay(&[(span, ())], &occupants[first..], |piece, (), tid| {
            out.extend(tid.map(|&tid| (piece, tid)));
        });
    }
    out
}

pub(crate) fn agree(case: &Case) -> Agreement {
    let goal =
        "exact: each vCPU's waiting time has the same culprits as in the raw events".to_owned();
    let mut out = Agreement::new(7, "culprits", goal);
    let tids = case.ours.tids();
    let headers = vec![
        "vCPU",
        "waits ms",
        "culprit",
        "raw ms",
        "ours ms",
        "raw share",
        "ours share",
    ];
    let mut table = Table {
        title: "the three largest of each vCPU".into(),
        headers,
        rows: Vec::new(),
    };
    let (mut differs, mut compared) = (0, 0);
    for vcpu in &case.vcpus {
        let (mut raw_sums, mut our_sums) = (BTreeMap::<i64, Ns>::new(), BTreeMap::<i64, Ns>::new());
        let (mut total, mut told) = (0, 0);
        overlay(
            &raw_culprits(case, vcpu),
            &lane(case, vcpu),
            |span, &raw, row| {
                let waits = row
                    .filter(|row| super::on_off::class(&row.state) == super::on_off::Class::Waits);
                let ours = waits.map(|row| tid_of(&row.by, &tids));
                *raw_sums.entry(raw).or_default() += span.len();
                if let Some(ours) = ours {
                    *our_sums.entry(ours).or_default() += span.len();
                }
                total += span.len();
                if ours != Some(raw) {
                    differs += span.len();
                    told += 1;
                    if told <= 2 {
                        out.notes.push(place(
                            case,
                            vcpu,
                            span,
                            &format!("raw thread {raw}, ours {ours:?}"),
                        ));
                    }
                }
            },
        );
        compared += total;
        table
            .rows
            .extend(largest(vcpu, total, &raw_sums, &our_sums));
    }
    if compared > 0 {
        out.verdict = Verdict::of(differs == 0);
        out.score = format!(
            "{} of {} ms have another culprit",
            ns(differs),
            ms(compared)
        );
    }
    out.figure("differs_ns", differs);
    out.figure("compared_ns", compared);
    out.tables.push(table);
    out
}

fn largest(
    vcpu: &HostVcpu,
    total: Ns,
    raw: &BTreeMap<i64, Ns>,
    ours: &BTreeMap<i64, Ns>,
) -> Vec<Vec<String>> {
    let mut order: Vec<(&i64, &Ns)> = raw.iter().collect();
    order.sort_by_key(|(_, time)| -**time);
    let row = |(index, (tid, time)): (usize, (&i64, &Ns))| {
        let our_time = ours.get(tid).copied().unwrap_or(0);
        let (name, waits) = if index == 0 {
            (vcpu.name.clone(), ms(total))
        } else {
            Default::default()
        };
        let culprit = if *tid == 0 {
            "nobody".to_owned()
        } else {
            format!("thread {tid}")
        };
        let shares = [percent_text(*time, total), percent_text(our_time, total)];
        [name, waits, culprit, ms(*time), ms(our_time)]
            .into_iter()
            .chain(shares)
            .collect()
    };
    order.into_iter().take(3).enumerate().map(row).collect()
}
