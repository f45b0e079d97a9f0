//! What the raw `sched_*` and `kvm_*` events say of the vCPU threads: the independent few lines.
//!
//! A thread is running from the `sched_switch` that brings it to the one that takes it away; then it
//! waits for a CPU if it left with `prev_state` 0 or 256, else it sleeps until `sched_waking`. Where a
//! waking reaches a thread that is just going to sleep, events cannot tell sleeping from waiting until
//! `sched_wakeup`: that moment is [`State::Settling`] and either answer is right. The CPU for which a
//! thread waits is that of its last switch, the target of its waking or wake-up, or where it migrated.
//!
//! Before the first event that names a thread (at the start, and after events were lost) its state is
//! *inferred* from that event; exactness is asked only where events had already told the state.

use super::raw::{Event, Raw, What};
use super::span::{Ns, Span, Timeline};
use std::collections::HashMap;

/// What a thread does, as the scheduler sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Running,
    Waiting,
    Sleeping,
    /// On the way to sleep while being woken: sleeping or waiting.
    Settling,
}

/// A state, the CPU that it is about, and whether events before it had told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) state: State,
    pub(crate) cpu: u32,
    pub(crate) sure: bool,
}

/// A `kvm_exit`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exit {
    pub(crate) at: Ns,
    /// The thread, if it is known which one ran there.
    pub(crate) tid: Option<i64>,
    pub(crate) vcpu: i64,
    pub(crate) reason: u32,
}

/// All that the raw events say here.
#[derive(Debug, Default)]
pub(crate) struct Replay {
    /// The states of the vCPU threads.
    pub(crate) threads: HashMap<i64, Timeline<Known>>,
    /// Which thread (0 = idle) held each CPU, from the switch that brought it.
    pub(crate) occupants: HashMap<u32, Timeline<i64>>,
    /// When a thread was in guest mode, and whether a nested guest ran.
    pub(crate) guest: HashMap<i64, Timeline<bool>>,
    pub(crate) exits: Vec<Exit>,
}

#[derive(Clone, Copy)]
struct Thread {
    since: Ns,
    known: Option<(State, u32)>,
    /// Woken while still running, and not yet told to be awake.
    woken: bool,
    gone: bool,
}

struct Sweep {
    out: Replay,
    threads: HashMap<i64, Thread>,
    /// Per CPU: since when, and which thread if known.
    current: HashMap<u32, (Ns, Option<i64>)>,
    /// Per CPU: an entry not yet followed by an exit.
    entered: HashMap<u32, (Ns, bool)>,
}

/// Replays the events for the threads `tids`; events before `coverage` count, ends are clipped by others.
pub(crate) fn replay(raw: &Raw, tids: &[i64], coverage: Span) -> Replay {
    let thread = Thread {
        since: coverage.start,
        known: None,
        woken: false,
        gone: false,
    };
    let mut sweep = Sweep {
        out: Replay::default(),
        threads: tids.iter().map(|&tid| (tid, thread)).collect(),
        current: raw
            .seen
            .iter()
            .map(|(&cpu, seen)| (cpu, (seen.start, None)))
            .collect(),
        entered: HashMap::new(),
    };
    let mut resets: Vec<(Ns, u32)> = raw
        .lost
        .iter()
        .flat_map(|(cpu, span, _)| [(span.start, *cpu), (span.end, *cpu)])
        .collect();
    resets.sort_unstable();
    let mut resets = resets.into_iter().peekable();
    for event in &raw.events {
        while let Some((at, cpu)) = resets.next_if(|(at, _)| *at <= event.at) {
            sweep.reset(at, cpu);
        }
        sweep.event(event);
    }
    sweep.finish(coverage.end)
}

impl Sweep {
    fn event(&mut self, event: &Event) {
        let Event { at, cpu, what } = *event;
        match what {
            What::Switch { prev, state, next } => self.switch(at, cpu, (prev, state, next)),
            What::Waking { tid, target } => self.waking(at, tid, target),
            What::Wakeup { tid, target } => self.wakeup(at, tid, target),
            What::WakeupNew { tid, target } => self.set(tid, at, State::Waiting, target, None),
            What::Migrate { tid, target } => self.migrate(at, tid, target),
            What::Entry => {
                self.entered.insert(cpu, (at, false));
            }
            What::EnterGuest { nested } => {
                if let Some(entered) = self.entered.get_mut(&cpu) {
                    entered.1 = nested;
                }
            }
            What::Exit { reason, vcpu } => self.exit(at, cpu, reason, vcpu),
        }
    }

    /// Ends what was known of a thread and begins anew; `before` is what an unknown past must have been.
    fn set(&mut self, tid: i64, at: Ns, state: State, cpu: u32, before: Option<State>) {
        let Some(thread) = self.threads.get_mut(&tid) else {
            return;
        };
        let past = match thread.known {
            Some((state, cpu)) => Some(Known {
                state,
                cpu,
                sure: true,
            }),
            None => before.filter(|_| !thread.gone).map(|state| Known {
                state,
                cpu,
                sure: false,
            }),
        };
        if let Some(past) = past.filter(|_| thread.since < at) {
            self.out
                .threads
                .entry(tid)
                .or_default()
                .push((Span::new(thread.since, at), past));
        }
        *thread = Thread {
            since: at.max(thread.since),
            known: Some((state, cpu)),
            woken: false,
            gone: false,
        };
    }

    fn switch(&mut self, at: Ns, cpu: u32, (prev, state, next): (i64, u64, i64)) {
        let before = self.current.insert(cpu, (at, Some(next)));
        if let Some((since, Some(held))) = before {
            let span = Span::new(since, at);
            self.out
                .occupants
                .entry(cpu)
                .or_default()
                .push((span, held));
        }
        let woken = self.threads.get(&prev).is_some_and(|thread| thread.woken);
        let left = match state {
            0 | 256 => State::Waiting,
            _ if woken => State::Settling,
            _ => State::Sleeping,
        };
        self.set(prev, at, left, cpu, Some(State::Running));
        let dead = state != 256 && state & 0xb0 != 0; // EXIT_DEAD, EXIT_ZOMBIE, TASK_DEAD
        if let Some(thread) = self.threads.get_mut(&prev).filter(|_| dead) {
            (thread.known, thread.gone) = (None, true);
        }
        self.set(next, at, State::Running, cpu, Some(State::Waiting));
    }

    fn waking(&mut self, at: Ns, tid: i64, target: u32) {
        let Some(thread) = self.threads.get_mut(&tid) else {
            return;
        };
        match thread.known {
            Some((State::Running, _)) => thread.woken = true,
            Some((State::Sleeping, _)) | None => {
                self.set(tid, at, State::Waiting, target, Some(State::Sleeping))
            }
            Some((State::Waiting | State::Settling, _)) => {}
        }
    }

    fn wakeup(&mut self, at: Ns, tid: i64, target: u32) {
        let Some(thread) = self.threads.get_mut(&tid) else {
            return;
        };
        match thread.known {
            Some((State::Running, _)) => thread.woken = false,
            Some((State::Waiting, cpu)) if cpu == target => {}
            _ => self.set(tid, at, State::Waiting, target, None),
        }
    }

    fn migrate(&mut self, at: Ns, tid: i64, target: u32) {
        if let Some((state @ (State::Waiting | State::Settling), _)) =
            self.threads.get(&tid).and_then(|thread| thread.known)
        {
            self.set(tid, at, state, target, None);
        }
    }

    fn exit(&mut self, at: Ns, cpu: u32, reason: u32, vcpu: i64) {
        let tid = self.current.get(&cpu).and_then(|current| current.1);
        self.out.exits.push(Exit {
            at,
            tid,
            vcpu,
            reason,
        });
        if let (Some((since, nested)), Some(tid)) = (self.entered.remove(&cpu), tid) {
            self.out
                .guest
                .entry(tid)
                .or_default()
                .push((Span::new(since, at), nested));
        }
    }

    /// Events of `cpu` are lost from or up to `at`: only who runs on another CPU is still known.
    fn reset(&mut self, at: Ns, cpu: u32) {
        if let Some((since, Some(tid))) = self.current.insert(cpu, (at, None)) {
            self.out
                .occupants
                .entry(cpu)
                .or_default()
                .push((Span::new(since, at), tid));
        }
        self.entered.remove(&cpu);
        let tids: Vec<i64> = self.threads.keys().copied().collect();
        for tid in tids {
            let elsewhere =
                |thread: &Thread| matches!(thread.known, Some((State::Running, on)) if on != cpu);
            if self.threads.get(&tid).is_some_and(elsewhere) {
                continue;
            }
            self.set(tid, at, State::Sleeping, cpu, None);
            if let Some(thread) = self.threads.get_mut(&tid) {
                thread.known = None;
            }
        }
    }

    fn finish(mut self, end: Ns) -> Replay {
        let tids: Vec<i64> = self
            .threads
            .iter()
            .filter(|(_, thread)| thread.known.is_some())
            .map(|(&tid, _)| tid)
            .collect();
        for tid in tids {
            self.set(tid, end, State::Sleeping, 0, None);
        }
        for (cpu, (since, tid)) in std::mem::take(&mut self.current) {
            if let Some(tid) = tid.filter(|_| since < end) {
                self.out
                    .occupants
                    .entry(cpu)
                    .or_default()
                    .push((Span::new(since, end), tid));
            }
        }
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(events: &[(Ns, u32, What)]) -> Raw {
        let events = events
            .iter()
            .map(|&(at, cpu, what)| Event { at, cpu, what })
            .collect();
        Raw {
            events,
            seen: [(0, Span::new(0, 100))].into(),
            lost: Vec::new(),
        }
    }

    fn states(raw: &Raw) -> Vec<(Ns, Ns, State, bool)> {
        let replay = replay(raw, &[7], Span::new(0, 100));
        replay.threads[&7]
            .iter()
            .map(|(span, known)| (span.start, span.end, known.state, known.sure))
            .collect()
    }

    #[test]
    fn a_thread_runs_waits_and_sleeps() {
        let events = [
            (
                10,
                0,
                What::Switch {
                    prev: 7,
                    state: 0,
                    next: 8,
                },
            ),
            (
                20,
                0,
                What::Switch {
                    prev: 8,
                    state: 1,
                    next: 7,
                },
            ),
            (25, 1, What::Waking { tid: 7, target: 0 }),
            (26, 1, What::Wakeup { tid: 7, target: 0 }),
            (
                30,
                0,
                What::Switch {
                    prev: 7,
                    state: 1,
                    next: 0,
                },
            ),
            (50, 0, What::Waking { tid: 7, target: 0 }),
            (
                60,
                0,
                What::Switch {
                    prev: 0,
                    state: 0,
                    next: 7,
                },
            ),
            (65, 0, What::Waking { tid: 7, target: 0 }),
            (
                70,
                0,
                What::Switch {
                    prev: 7,
                    state: 1,
                    next: 0,
                },
            ),
            (75, 0, What::Wakeup { tid: 7, target: 0 }),
        ];
        use State::{Running, Settling, Sleeping, Waiting};
        let expected = [
            (0, 10, Running, false),
            (10, 20, Waiting, true),
            (20, 30, Running, true),
            (30, 50, Sleeping, true),
            (50, 60, Waiting, true),
            (60, 70, Running, true),
            (70, 75, Settling, true),
            (75, 100, Waiting, true),
        ];
        assert_eq!(states(&raw(&events)), expected);
    }

    #[test]
    fn lost_events_make_it_unknown() {
        let events = [
            (
                10,
                0,
                What::Switch {
                    prev: 0,
                    state: 0,
                    next: 7,
                },
            ),
            (
                50,
                0,
                What::Switch {
                    prev: 7,
                    state: 1,
                    next: 0,
                },
            ),
        ];
        let mut raw = raw(&events);
        raw.lost.push((0, Span::new(20, 30), 5));
        use State::{Running, Sleeping, Waiting};
        let expected = [
            (0, 10, Waiting, false),
            (10, 20, Running, true),
            (30, 50, Running, false),
            (50, 100, Sleeping, true),
        ];
        assert_eq!(states(&raw), expected);
    }
}
