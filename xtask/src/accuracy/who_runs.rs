//! Agreement 3: which process a vCPU runs.
//!
//! Instants are the multiples of 100 microseconds of the epoch at which our lane of the vCPU (for a
//! nested VM: of the nested vCPU) is in guest mode, inside the guest's window. The truth is who is on
//! that guest CPU by the guest's own log, and the CR3 that this one has then; ours is the lane of that
//! vCPU that runs: a process's or the kernel's in a `run-*` state, or the idle lane in state `idle` (it is
//! `off` when the guest does not idle). Two lanes that run at once are wrong whatever they say. A kernel
//! or idle lane where a process runs is wrong; no running lane is unknown. When the kernel runs or the
//! CPU idles, a kernel or idle lane (either) is right and naming a process is wrong.
//!
//! The log has an exec, and the switches after it, later than the processor has the new CR3. Instants
//! at which we name the CR3 that the same thread execs into later in the log are `exec-late`: neither
//! right nor wrong, and shown.

use super::case::{Case, Guest};
use super::exits::share_in;
use super::goals::{KERNEL_WRONG, NAMED_RIGHT, PROVED_WRONG, WHO_LEAST};
use super::guestlog::{Space, Who};
use super::ours::Row;
use super::report::{Agreement, Table, Verdict, percent, percent_text};
use super::span::{Ns, Spans, at};

const STEP: Ns = 100_000;

/// Counts of instants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Right and wrong, where we say proved.
    pub(crate) proved: [i64; 2],
    /// The same where we say likely.
    pub(crate) likely: [i64; 2],
    pub(crate) unknown: i64,
    /// Ours is the CR3 of an exec that the log has later.
    pub(crate) exec_late: i64,
    /// Kernel threads and idling: right, wrong, unknown.
    pub(crate) kernel: [i64; 3],
}

impl Tally {
    /// Instants at which a user process runs, those apart at which it is under exec.
    fn users(&self) -> i64 {
        self.named() + self.unknown
    }

    /// Those of them at which we name someone.
    fn named(&self) -> i64 {
        self.proved.iter().chain(&self.likely).sum()
    }

    fn right(&self) -> i64 {
        self.proved[0] + self.likely[0]
    }

    fn add(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.proved, other.proved),
            (&mut self.likely, other.likely),
        ] {
            sum.iter_mut()
                .zip(more)
                .for_each(|(sum, more)| *sum += more);
        }
        self.unknown += other.unknown;
        self.exec_late += other.exec_late;
        self.kernel
            .iter_mut()
            .zip(other.kernel)
            .for_each(|(sum, more)| *sum += more);
    }
}

/// What we say at an instant.
enum Said {
    Process(u64, bool),
    /// The kernel or idle lane.
    NoProcess(bool),
    Nothing,
    TwoAtOnce,
}

fn said(running: &[&Row]) -> Said {
    match running {
        [] => Said::Nothing,
        [row] => match row
            .cr3
            .filter(|_| !row.key.ends_with("/kernel") && !row.key.ends_with("/idle"))
        {
            Some(cr3) => Said::Process(cr3, row.proved),
            None => Said::NoProcess(row.proved),
        },
        _ => Said::TwoAtOnce,
    }
}

/// Compares at the instants inside `when`.
fn tally(case: &Case, guest: &Guest, cpu: u32, when: &Spans) -> Tally {
    let rows = case.running_rows(guest, cpu);
    let log = guest.log.cpus.get(&cpu).map_or(&[][..], Vec::as_slice);
    let (mut next, mut running) = (0, Vec::new());
    let mut out = Tally::default();
    let instants = when.as_slice().iter().flat_map(|span| {
        let first = span.start.div_euclid(STEP) * STEP;
        let first = if first < span.start {
            first + STEP
        } else {
            first
        };
        (first..span.end).step_by(100_000)
    });
    for instant in instants {
        while let Some(row) = rows.get(next).filter(|row| row.span.start <= instant) {
            running.push(*row);
            next += 1;
        }
        running.retain(|row| instant < row.span.end);
        match at(log, instant) {
            Some(Who::User(space)) => out.user(&guest.log.spaces[*space], instant, &said(&running)),
            Some(Who::Kernel | Who::Idle) => out.kernel(&said(&running)),
            None => {}
        }
    }
    out
}

impl Tally {
    fn user(&mut self, truth: &Space, instant: Ns, said: &Said) {
        match *said {
            Said::Process(cr3, _) if cr3 != truth.cr3 && truth.becomes(cr3, instant) => {
                self.exec_late += 1;
            }
            Said::Process(cr3, proved) => {
                let side = if proved {
                    &mut self.proved
                } else {
                    &mut self.likely
                };
                side[usize::from(cr3 != truth.cr3)] += 1;
            }
            Said::NoProcess(true) | Said::TwoAtOnce => self.proved[1] += 1,
            Said::NoProcess(false) => self.likely[1] += 1,
            Said::Nothing => self.unknown += 1,
        }
    }

    fn kernel(&mut self, said: &Said) {
        let index = match said {
            Said::NoProcess(_) => 0,
            Said::Process(..) | Said::TwoAtOnce => 1,
            Said::Nothing => 2,
        };
        self.kernel[index] += 1;
    }
}

/// All vCPUs of a guest.
pub(crate) fn guest_tally(case: &Case, guest: &Guest) -> Tally {
    let mut sum = Tally::default();
    for (&cpu, mode) in &guest.guest_mode {
        sum.add(&tally(case, guest, cpu, &mode.intersect(&guest.within)));
    }
    sum
}

fn judge(sum: &Tally) -> bool {
    let none_or = |part: i64, whole: i64| {
        if whole == 0 {
            0.0
        } else {
            percent(part, whole)
        }
    };
    none_or(sum.proved[1], sum.proved[0] + sum.proved[1]) < PROVED_WRONG
        && sum.right() > 0
        && percent(sum.right(), sum.named()) >= NAMED_RIGHT
        && none_or(sum.kernel[1], sum.kernel.iter().sum()) < KERNEL_WRONG
}

pub(crate) fn agree(case: &Case) -> Agreement {
    let goal = format!(
        "in every VM under {PROVED_WRONG} % of proved wrong, at least {NAMED_RIGHT} % of named (proved or likely) right, under {KERNEL_WRONG} % of kernel and idle named as a process"
    );
    let mut out = Agreement::new(3, "who runs when", goal);
    let headers = vec![
        "VM (level)",
        "n",
        "proved",
        "right",
        "likely",
        "right",
        "unknown",
        "of named",
        "of all",
        "exec",
    ];
    let mut users = Table {
        title: "a user process runs (exec: left out, the log has the exec late)".into(),
        headers,
        rows: Vec::new(),
    };
    let headers = vec!["VM (level)", "instants", "right", "wrong", "unknown"];
    let mut kernel = Table {
        title: "a kernel thread runs, or the guest idles".into(),
        headers,
        rows: Vec::new(),
    };
    let (mut good, mut all) = (true, Tally::default());
    for guest in &case.guests {
        let sum = guest_tally(case, guest);
        let log_has_time = guest.within.total() > 0;
        good &= sum.users() < WHO_LEAST || judge(&sum);
        // A VM that ran and that we do not show at all.
        good &= guest.vm_key.is_some() || !log_has_time;
        let name = format!("{} ({})", guest.name, guest.level);
        users.rows.push(user_row(name.clone(), &sum));
        kernel.rows.push(kernel_row(name, &sum));
        all.add(&sum);
        out.notes.extend(notes(case, guest));
    }
    if all.users() > 0 || case.guests.iter().any(|guest| guest.within.total() > 0) {
        out.verdict = Verdict::of(good && all.users() > 0);
        let proved = percent_text(all.proved[0], all.proved[0] + all.proved[1]);
        out.score = format!(
            "right of proved {proved}, of named {}, of all {}",
            percent_text(all.right(), all.named()),
            percent_text(all.right(), all.users())
        );
    }
    for (name, value) in [
        ("proved_right", all.proved[0]),
        ("proved_wrong", all.proved[1]),
    ] {
        out.figure(name, value);
    }
    for (name, value) in [
        ("likely_right", all.likely[0]),
        ("likely_wrong", all.likely[1]),
        ("unknown", all.unknown),
        ("exec_late", all.exec_late),
    ] {
        out.figure(name, value);
    }
    for (name, value) in ["kernel_right", "kernel_wrong", "kernel_unknown"]
        .into_iter()
        .zip(all.kernel)
    {
        out.figure(name, value);
    }
    out.tables.extend([users, kernel]);
    out
}

fn user_row(name: String, sum: &Tally) -> Vec<String> {
    let n = sum.users();
    let sides = [sum.proved, sum.likely].into_iter().flat_map(|side| {
        let said = side[0] + side[1];
        [percent_text(said, n), percent_text(side[0], said)]
    });
    let rest = [
        percent_text(sum.unknown, n),
        percent_text(sum.right(), sum.named()),
        percent_text(sum.right(), n),
        sum.exec_late.to_string(),
    ];
    [name, n.to_string()]
        .into_iter()
        .chain(sides)
        .chain(rest)
        .collect()
}

fn kernel_row(name: String, sum: &Tally) -> Vec<String> {
    let n = sum.kernel.iter().sum::<i64>();
    [name, n.to_string()]
        .into_iter()
        .chain(sum.kernel.iter().map(|&part| percent_text(part, n)))
        .collect()
}

/// The cross-check of guest mode with the raw entries and exits, and what we say inside loss windows.
fn notes(case: &Case, guest: &Guest) -> Vec<String> {
    let mut out = Vec::new();
    if guest.vm_key.is_none() {
        out.push(format!("{}: virtflow shows no such VM", guest.name));
        return out;
    }
    let mut mode = (0, 0);
    let mut loss = Tally::default();
    let lost = Spans::new([case.lost_ours.as_slice(), case.lost_raw.as_slice()].concat());
    let lost = guest
        .log
        .alive
        .map(|alive| lost.intersect(&Spans::one(alive)))
        .unwrap_or_default();
    for (cpu, ours) in &guest.guest_mode {
        if let Some(raw) = guest.raw_guest_mode.get(cpu) {
            let (inside, all) = share_in(raw, ours.intersect(&guest.within).as_slice());
            mode = (mode.0 + inside, mode.1 + all);
        }
        loss.add(&tally(case, guest, *cpu, &lost));
    }
    if mode.0 != mode.1 {
        let share = percent_text(mode.0, mode.1);
        out.push(format!(
            "{}: {share} of our guest mode lies between raw entries and exits",
            guest.name
        ));
    }
    if lost.total() > 0 {
        let wrong = loss.proved[1] + loss.likely[1] + loss.kernel[1];
        let named = loss.named() + loss.exec_late + loss.kernel[0] + loss.kernel[1];
        let all = loss.users() + loss.exec_late + loss.kernel.iter().sum::<i64>();
        out.push(format!(
            "{}: inside loss windows we name someone at {named} of {all} instants, {wrong} wrong",
            guest.name
        ));
    }
    out
}
