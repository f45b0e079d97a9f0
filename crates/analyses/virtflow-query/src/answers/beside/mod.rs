//! What the host's trace alone says of a guest's processes, beside what the guest's own trace says:
//! when they ran, and the critical path of each.
//!
//! Both are in one store: traces of a host and of a guest that were given together
//! ([`crate::ClockAlignment::guest`]).

mod pairs;

use super::critical::{CriticalPath, Grain, PathStep, critical_path};
use super::who::Who;
use crate::facts::Facts;
use pairs::Pairs;
use serde::Serialize;
use std::collections::BTreeMap;
use virtflow_history::{Store, StoreError};
use virtflow_model::{Cause, Kind, State};

/// A process that was there for a shorter time is left out, in nanoseconds.
const LIFE_LEAST_NS: i64 = 100_000_000;

/// A guest whose own trace is in the store beside its host's.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Its machine's number.
    pub machine: u32,
    /// The virtual machine that it is, by its host's trace.
    pub vm: u32,
    /// Its processors' lanes, each with the number of the vCPU that it is.
    cpus: Vec<(u32, i32)>,
}

/// What both say of the same process.
#[derive(Clone, Debug, Serialize)]
pub struct BesideProcess {
    /// What the guest calls it.
    pub name: String,
    /// Its number in the guest.
    pub pid: i32,
    /// What it is by the host's trace: an entity. `None` where that has no process that runs when it
    /// does.
    #[serde(skip)]
    pub process: Option<u32>,
    /// How long it ran by its guest's trace.
    pub ran_ns: i64,
    /// How long it ran by the host's trace alone.
    pub ours_ns: i64,
    /// How long both say so.
    pub both_ns: i64,
    /// How far the two critical paths agree; `None` where there is only one.
    pub path: Option<Agreement>,
}

/// How far two critical paths of the same work agree. The times add up to the whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// From, in nanoseconds since the Unix epoch.
    pub begin_ns: i64,
    /// To.
    pub end_ns: i64,
    /// The same worker, and what it did.
    pub same_ns: i64,
    /// Of that: its vCPU had no processor of the host, which the guest cannot see.
    pub hidden_ns: i64,
    /// The guest's path goes through a thread that the host does not tell apart (its kernel's), while
    /// ours says what was waited for.
    pub kernel_ns: i64,
    /// Ours says that it does not know.
    pub unknown_ns: i64,
    /// The guest's own says that it does not know.
    pub untold_ns: i64,
    /// What the guest says and what we say, where they differ.
    pub differences: Vec<Difference>,
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What the guest's path says.
    pub guest: String,
    /// What ours says.
    pub ours: String,
    /// For how long.
    pub ns: i64,
}

impl Agreement {
    /// How long it is.
    pub const fn whole_ns(&self) -> i64 {
        self.end_ns - self.begin_ns
    }

    /// For how long they differ.
    pub fn differ_ns(&self) -> i64 {
        self.differences.iter().map(|d| d.ns).sum()
    }
}

impl Guest {
    /// The guests of a store.
    pub fn all(store: &Store, facts: &[Facts]) -> Vec<Self> {
        let guests = (0..).zip(facts);
        guests
            .filter_map(|(machine, told)| {
                let of = told.clock.as_ref()?.guest.as_ref()?;
                let host = facts.iter().position(|other| other.name == of.host)?;
                let host = u32::try_from(host).ok()?;
                let mut vm = None;
                let mut cpus = Vec::new();
                for cpu in &of.vcpus {
                    let all = store.entities().iter();
                    let vcpu = all.clone().find(|e| {
                        e.machine == host && e.kind == Kind::Vcpu.code() && e.tid == Some(cpu.tid)
                    });
                    let key = format!("cpu:{}", cpu.cpu);
                    let mut all = all.filter(|e| e.machine == machine);
                    let lane = all.find(|e| e.kind == Kind::Cpu.code() && e.key == key);
                    if let (Some(vcpu), Some(lane)) = (vcpu, lane) {
                        vm = vm.or(vcpu.vm);
                        let number = i32::try_from(vcpu.vcpu?).ok()?;
                        cpus.push((lane.entity, number));
                    }
                }
                Some(Self {
                    machine,
                    vm: vm?,
                    cpus,
                })
            })
            .collect()
    }

    /// Whether an entity is one of its processes by the host's trace: not one that stands for what
    /// is left of a vCPU's time.
    fn has(&self, store: &Store, entity: u32) -> bool {
        let record = store.entities().get(entity as usize);
        record.is_some_and(|e| {
            e.kind == Kind::Process.code() && e.vm == Some(self.vm) && e.vcpu.is_none()
        })
    }

    /// When it was recorded by itself and by its host.
    pub fn span(&self, store: &Store) -> Option<(i64, i64)> {
        let all = store.entities();
        let lanes = self
            .cpus
            .iter()
            .filter_map(|(cpu, _)| all.get(*cpu as usize));
        let own = lanes.map(|e| (e.begin_ns, e.end_ns));
        let vcpus = all
            .iter()
            .filter(|e| e.kind == Kind::Vcpu.code() && e.vm == Some(self.vm) && e.intervals > 0);
        let spans = own.chain(vcpus.map(|e| (e.begin_ns, e.end_ns)));
        let both = spans.reduce(|a, b| (a.0.max(b.0), a.1.min(b.1)))?;
        (both.0 < both.1).then_some(both)
    }
}

/// What both traces say of those processes of a guest that ran most, `most` of them, or of all whose
/// name has `of` in it.
///
/// # Errors
/// Where the store cannot be read.
pub fn beside(
    store: &Store,
    guest: &Guest,
    (begin, end): (i64, i64),
    most: usize,
    of: Option<&str>,
) -> Result<Vec<BesideProcess>, StoreError> {
    let pairs = Pairs::new(store, guest, begin, end)?;
    let who = Who::new(store);
    let mut order: Vec<(i32, pairs::Ran)> = pairs.guests.iter().map(|(p, r)| (*p, *r)).collect();
    order.sort_by_key(|(pid, ran)| (std::cmp::Reverse(ran.ns), *pid));
    let named = order
        .into_iter()
        .map(|(pid, ran)| (pid, ran, who.own_name(ran.thread)))
        .filter(|(_, _, name)| of.is_none_or(|of| name.contains(of)));
    let compared = Compared {
        store,
        guest,
        pairs: &pairs,
    };
    let mut found = Vec::new();
    for (pid, ran, name) in named.take(most) {
        let process = pairs.process_of.get(&pid).copied();
        let path = match process {
            Some(process) => compared.paths(ran.thread, process, (begin, end))?,
            None => None,
        };
        found.push(BesideProcess {
            name,
            pid,
            process,
            ran_ns: ran.ns,
            ours_ns: process
                .and_then(|p| pairs.ours.get(&p).copied())
                .unwrap_or(0),
            both_ns: process.map_or(0, |p| pairs.both(p, pid)),
            path,
        });
    }
    Ok(found)
}

/// What somebody did, as far as both can tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Runs,
    /// It wants the guest's processor.
    Ready,
    Waits(Cause),
}

/// What a path says of a moment, in the guest's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said {
    /// Whose it was: a process by the host's trace.
    process: Option<u32>,
    does: Option<Does>,
    /// Its vCPU had no processor.
    hidden: bool,
}

const NOTHING: Said = Said {
    process: None,
    does: None,
    hidden: false,
};

/// Compares paths.
#[derive(Clone, Copy)]
struct Compared<'a> {
    store: &'a Store,
    guest: &'a Guest,
    pairs: &'a Pairs,
}

impl Compared<'_> {
    /// The path of a thread by the guest's trace, and of its process by the host's.
    fn paths(
        self,
        thread: u32,
        process: u32,
        (begin, end): (i64, i64),
    ) -> Result<Option<Agreement>, StoreError> {
        let all = self.store.entities();
        let lives = [thread, process].map(|e| all.get(e as usize).map(|e| (e.begin_ns, e.end_ns)));
        let lives = lives.into_iter().flatten();
        let (begin, end) = lives.fold((begin, end), |(a, b), (c, d)| (a.max(c), b.min(d)));
        if end.saturating_sub(begin) < LIFE_LEAST_NS {
            return Ok(None);
        }
        let own = critical_path(self.store, thread, begin, end, Grain::Thread)?;
        let ours = critical_path(self.store, process, begin, end, Grain::Process)?;
        let mut sums = Sums::default();
        let mut at = ours.steps.iter().peekable();
        for step in &own.steps {
            let said = self.by_guest(&own, step);
            while let Some(other) = at.peek() {
                let ns = other.end.min(step.end) - other.begin.max(step.begin);
                if ns > 0 {
                    let ours = self.by_host(&ours, other);
                    sums.add(said, ours, ns);
                }
                if other.end > step.end {
                    break;
                }
                at.next();
            }
        }
        Ok(Some(sums.finish(begin, end)))
    }

    fn kind(&self, entity: u32) -> Option<Kind> {
        let record = self.store.entities().get(entity as usize)?;
        Kind::from_code(record.kind)
    }

    /// The process by the host's trace that one of the guest's threads is of.
    fn process_of(&self, thread: u32) -> Option<u32> {
        let record = self.store.entities().get(thread as usize)?;
        let pid = record.pid.or(record.tid)?;
        self.pairs.process_of.get(&pid).copied()
    }

    /// The innermost wait around a step whose worker is taken, and what that waited for.
    fn wait_around<T>(
        &self,
        path: &CriticalPath,
        step: &PathStep,
        take: impl Fn(u32) -> Option<T>,
    ) -> Option<(T, Option<Does>)> {
        let mut at = step.inside;
        while let Some(wait) = at.and_then(|at| path.waits.get(at)) {
            if let Some(taken) = take(wait.worker) {
                return Some((taken, waits(self.store.doing(wait.what.doing).cause)));
            }
            at = wait.inside;
        }
        None
    }

    fn by_guest(&self, path: &CriticalPath, step: &PathStep) -> Said {
        let own = |thread: u32| {
            let record = self.store.entities().get(thread as usize)?;
            let is = record.machine == self.guest.machine && record.kind == Kind::Thread.code();
            is.then(|| self.process_of(thread))
        };
        if let Some(process) = own(step.worker) {
            let doing = step.what.map(|done| self.store.doing(done.doing));
            let state = doing.and_then(|doing| State::from_code(doing.state));
            let does = match state {
                Some(State::Runnable | State::Preempted) => Some(Does::Ready),
                Some(state) if state.is_run() => Some(Does::Runs),
                Some(state) if state.is_wait() => doing.and_then(|doing| waits(doing.cause)),
                _ => None,
            };
            return Said {
                process,
                does,
                hidden: false,
            };
        }
        let around = self.wait_around(path, step, own);
        around.map_or(NOTHING, |(process, does)| Said {
            process,
            does,
            hidden: false,
        })
    }

    fn by_host(&self, path: &CriticalPath, step: &PathStep) -> Said {
        let own = |entity: u32| match self.kind(entity) {
            Some(Kind::GuestThread) => {
                let record = self.store.entities().get(entity as usize)?;
                record.parent.filter(|&p| self.guest.has(self.store, p))
            }
            _ => Some(entity).filter(|&e| self.guest.has(self.store, e)),
        };
        if let Some(process) = own(step.worker) {
            let doing = step.what.map(|done| self.store.doing(done.doing));
            let state = doing.and_then(|doing| State::from_code(doing.state));
            let hidden = matches!(
                state,
                Some(
                    State::PreemptedOnHost
                        | State::PreemptedL0
                        | State::PreemptedL1
                        | State::PreemptedL2
                )
            );
            let does = match state {
                Some(State::ReadyInGuest) => Some(Does::Ready),
                Some(state) if state.is_run() || hidden => Some(Does::Runs),
                Some(State::Waiting) => doing.and_then(|doing| waits(doing.cause)),
                _ => None,
            };
            return Said {
                process: Some(process),
                does,
                hidden,
            };
        }
        let around = self.wait_around(path, step, own);
        around.map_or(NOTHING, |(process, does)| Said {
            process: Some(process),
            does,
            hidden: false,
        })
    }
}

/// For how long both say the same.
#[derive(Default)]
struct Sums {
    sums: Agreement,
    differences: BTreeMap<(String, String), i64>,
}

impl Sums {
    fn finish(mut self, begin: i64, end: i64) -> Agreement {
        (self.sums.begin_ns, self.sums.end_ns) = (begin, end);
        let differences = self.differences.into_iter();
        self.sums.differences = differences
            .map(|((guest, ours), ns)| Difference { guest, ours, ns })
            .collect();
        let differences = &mut self.sums.differences;
        differences.sort_by(|a, b| b.ns.cmp(&a.ns).then_with(|| a.guest.cmp(&b.guest)));
        self.sums
    }

    fn add(&mut self, guest: Said, ours: Said, ns: i64) {
        let Some(truly) = guest.does else {
            self.sums.untold_ns += ns;
            return;
        };
        let Some(does) = ours.does else {
            self.sums.unknown_ns += ns;
            return;
        };
        if guest.process.is_some() && guest.process == ours.process && truly == does {
            self.sums.same_ns += ns;
            self.sums.hidden_ns += if ours.hidden { ns } else { 0 };
            return;
        }
        if guest.process.is_none() && matches!(does, Does::Waits(_)) {
            self.sums.kernel_ns += ns;
            return;
        }
        let whose = if guest.process.is_some() {
            ""
        } else {
            "a kernel thread: "
        };
        let other = if guest.process == ours.process {
            ""
        } else {
            "another process: "
        };
        let key = (
            format!("{whose}{}", words(truly)),
            format!("{other}{}", words(does)),
        );
        *self.differences.entry(key).or_default() += ns;
    }
}

/// A wait whose cause is known.
fn waits(cause: u8) -> Option<Does> {
    let unknown = [
        Cause::None,
        Cause::Lost,
        Cause::NotRecorded,
        Cause::NoEvidence,
        Cause::Ambiguous,
    ];
    let cause = Cause::from_code(cause).filter(|cause| !unknown.contains(cause));
    cause.map(Does::Waits)
}

fn words(does: Does) -> String {
    match does {
        Does::Runs => "runs".to_owned(),
        Does::Ready => "ready".to_owned(),
        Does::Waits(cause) => format!("waits: {}", cause.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(process: Option<u32>, does: Option<Does>) -> Said {
        Said {
            process,
            does,
            hidden: false,
        }
    }

    #[test]
    fn every_moment_is_counted_once() {
        let mut compared = Sums::default();
        let (runs, disk) = (Some(Does::Runs), waits(Cause::Disk.code()));
        let hidden = Said {
            hidden: true,
            ..said(Some(1), runs)
        };
        compared.add(said(Some(1), runs), hidden, 1);
        compared.add(said(Some(1), runs), said(Some(1), runs), 2);
        compared.add(said(None, runs), said(Some(1), disk), 4);
        compared.add(said(Some(1), runs), said(Some(1), None), 8);
        compared.add(said(Some(1), None), said(Some(1), disk), 16);
        compared.add(said(Some(1), runs), said(Some(2), disk), 32);
        compared.add(said(None, runs), said(Some(1), runs), 64);
        let sums = compared.finish(0, 127);
        assert_eq!((sums.same_ns, sums.hidden_ns, sums.kernel_ns), (3, 1, 4));
        assert_eq!(
            (sums.unknown_ns, sums.untold_ns, sums.differ_ns()),
            (8, 16, 96)
        );
        let difference = |guest: &str, ours: &str, ns| Difference {
            guest: guest.to_owned(),
            ours: ours.to_owned(),
            ns,
        };
        assert_eq!(
            sums.differences,
            [
                difference("a kernel thread: runs", "another process: runs", 64),
                difference("runs", "another process: waits: disk", 32),
            ]
        );
        let parts = [
            sums.same_ns,
            sums.kernel_ns,
            sums.unknown_ns,
            sums.untold_ns,
        ];
        assert_eq!(
            parts.iter().sum::<i64>() + sums.differ_ns(),
            sums.whole_ns()
        );
    }

    #[test]
    fn a_wait_without_a_known_cause_is_not_known() {
        assert_eq!(waits(Cause::None.code()), None);
        assert_eq!(waits(Cause::Ambiguous.code()), None);
        assert_eq!(waits(Cause::Net.code()), Some(Does::Waits(Cause::Net)));
        assert_eq!(waits(255), None);
    }
}
