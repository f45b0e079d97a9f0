//! Agreement 4: the CPU time of each guest process.
//!
//! The truth: a process's time on its guest's CPUs by the log, while the vCPU is in guest mode (by our
//! lanes), in the guest's window. Ours: `run-user` and `run-kernel`, and what of `run-hypervisor` lies
//! in guest mode (a nested guest of that process). Each of our keys goes to the true process with its
//! CR3 in whose life most of it lies, so that two processes under one key count as an error; a key with
//! a CR3 that no process has is compared with nothing.

use super::case::{Case, Guest};
use super::goals::{TIME_ERROR, TIME_SHARE};
use super::guestlog::{SpaceId, Who};
use super::report::{Agreement, Table, Verdict, ms, percent, percent_text};
use super::span::{Ns, Spans};
use std::collections::{BTreeMap, HashMap};

/// A process's time: true in guest mode, true in all, ours.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Times {
    pub(crate) name: String,
    pub(crate) truth: Ns,
    pub(crate) truth_all: Ns,
    pub(crate) ours: Ns,
}

impl Times {
    fn error(&self) -> f64 {
        percent(
            (self.truth - self.ours).abs(),
            self.truth.max(self.ours).max(1),
        )
    }
}

/// All processes of a guest with more than the least share of its time, and that whole time.
pub(crate) fn guest_times(case: &Case, guest: &Guest) -> (Vec<Times>, Ns) {
    let mut times: BTreeMap<SpaceId, Times> = BTreeMap::new();
    let mut total = 0;
    for (cpu, mode) in &guest.guest_mode {
        let mode = mode.intersect(&guest.within);
        total += mode.total();
        for (span, who) in guest.log.cpus.get(cpu).map_or(&[][..], Vec::as_slice) {
            let Who::User(space) = who else { continue };
            let entry = times.entry(*space).or_default();
            entry.truth += mode.overlap(*span);
            entry.truth_all += guest.within.overlap(*span);
        }
    }
    for (&space, entry) in &mut times {
        let space = &guest.log.spaces[space];
        entry.name = format!("{} {} 0x{:x}", space.comm, space.pid, space.cr3);
    }
    let mut strangers = Vec::new();
    for ((key, cr3), spans) in our_spans(case, guest) {
        let ours = spans.iter().map(|span| span.len()).sum();
        let share = |id: &SpaceId| -> Ns {
            let life = guest.log.spaces[*id].life;
            spans
                .iter()
                .filter_map(|span| span.meet(life))
                .map(super::span::Span::len)
                .sum()
        };
        let same_cr3 = (0..guest.log.spaces.len()).filter(|&id| guest.log.spaces[id].cr3 == cr3);
        match same_cr3.max_by_key(share) {
            Some(id) => times.entry(id).or_default().ours += ours,
            None => strangers.push(Times {
                name: format!("(no process) {}", tail(key)),
                ours,
                ..Times::default()
            }),
        }
    }
    let mut all: Vec<Times> = times.into_values().chain(strangers).collect();
    all.retain(|times| percent(times.truth.max(times.ours), total.max(1)) > TIME_SHARE);
    all.sort_by_key(|times| -times.truth.max(times.ours));
    (all, total)
}

fn tail(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

/// Our guest time of each key.
fn our_spans<'a>(
    case: &'a Case,
    guest: &'a Guest,
) -> HashMap<(&'a str, u64), Vec<super::span::Span>> {
    let all_modes: Vec<_> = guest
        .guest_mode
        .values()
        .flat_map(|mode| mode.as_slice())
        .copied()
        .collect();
    let any_mode = Spans::new(all_modes);
    let mut out: HashMap<(&str, u64), Vec<_>> = HashMap::new();
    for row in case.process_rows(guest).filter(|row| row.runs()) {
        let Some(cr3) = row.cr3 else { continue };
        let pieces = out.entry((&*row.key, cr3)).or_default();
        let inside = guest.within.cut(row.span);
        if &*row.state == "run-hypervisor" {
            let mode = row
                .vcpu
                .and_then(|vcpu| guest.guest_mode.get(&vcpu))
                .unwrap_or(&any_mode);
            pieces.extend(inside.flat_map(|piece| mode.cut(piece).collect::<Vec<_>>()));
        } else {
            pieces.extend(inside);
        }
    }
    out
}

pub(crate) fn agree(case: &Case) -> Agreement {
    let goal = format!(
        "each process with over {TIME_SHARE} % of its guest's time is off by less than {TIME_ERROR} %"
    );
    let mut out = Agreement::new(4, "process CPU time", goal);
    let headers = vec![
        "VM",
        "process pid CR3",
        "log ms",
        "log, on CPU",
        "ours ms",
        "error",
    ];
    let mut table = Table {
        title: String::new(),
        headers,
        rows: Vec::new(),
    };
    let (mut worst, mut sum, mut n, mut over) = (0.0_f64, 0.0, 0_u32, 0);
    for guest in &case.guests {
        let (times, _) = guest_times(case, guest);
        for times in times {
            let error = times.error();
            worst = worst.max(error);
            sum += error;
            n += 1;
            over += i64::from(error >= TIME_ERROR);
            let numbers = [
                ms(times.truth),
                ms(times.truth_all),
                ms(times.ours),
                format!("{error:.2}%"),
            ];
            table.rows.push(
                [guest.name.clone(), times.name]
                    .into_iter()
                    .chain(numbers)
                    .collect(),
            );
        }
    }
    if n > 0 {
        out.verdict = Verdict::of(over == 0);
        out.score = format!(
            "{n} processes, error mean {:.2} %, worst {worst:.2} %",
            sum / f64::from(n)
        );
        out.figures.extend([
            ("mean_error_percent".to_owned(), sum / f64::from(n)),
            ("worst_error_percent".to_owned(), worst),
        ]);
        out.notes.push(format!(
            "{} of them are within the goal; \"log, on CPU\" also counts",
            percent_text(i64::from(n) - over, n.into())
        ));
        out.notes
            .push("time that the guest thinks it had while its vCPU was not in guest mode".into());
    }
    out.tables.push(table);
    out
}
