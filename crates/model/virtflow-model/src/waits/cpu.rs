//! What happened on a guest's processor: the announcements that ends of waits are judged by.

use super::is_device;
use super::ticks::Deadline;
use crate::guest::ProcIx;
use crate::vocab::Cause;
use std::collections::VecDeque;
use virtflow_base::Timestamp;

/// Events since something else ran that are kept; more of them say nothing new.
const TAIL_MAX: usize = 64;
/// Timers of processes that are remembered until they ring.
const SET_MAX: usize = 32;

/// What happened on a guest's processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Injected(Option<Cause>),
    /// The guest's timer, at a moment that is no tick's: somebody's own, and whose if it was seen to
    /// be set.
    OwnTimer(Option<ProcIx>),
    ArmedTimer,
}

/// What ended the tail of events before: nothing yet, a halt, or another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    Nothing,
    Halt,
    Process(ProcIx, Timestamp),
}

/// How a process was seen to be back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Changed,
    UserMode,
    Doorbell,
}

/// One guest processor's part in it.
#[derive(Debug)]
pub(crate) struct WaitCpu {
    pub(super) current: Option<ProcIx>,
    /// The earliest moment at which the current one can have come.
    pub(super) came: Timestamp,
    pub(super) last_entry: Timestamp,
    pub(super) last_exit: Timestamp,
    pub(super) idle: bool,
    pub(super) woken: Option<Timestamp>,
    pub(super) in_service: Option<u8>,
    pub(super) tail: VecDeque<(Timestamp, Event)>,
    pub(super) before: Before,
    pub(super) last_injected: Option<(Timestamp, Option<Cause>)>,
    pub(super) deadline: Deadline,
    /// Deadlines that processes set, and the one that the clock is armed for now.
    pub(super) set: VecDeque<(u64, ProcIx)>,
    pub(super) armed_for: u64,
    /// When it halted last.
    pub(super) halted_at: Timestamp,
    /// A timer interrupt came, whose handler will arm the clock.
    pub(super) in_timer: bool,
    /// The last exit was the end of that handler: whoever was interrupted can be pre-empted now.
    pub(super) ticked: bool,
    /// It was so before the last exit: if that was the switch itself, it is seen at the entry.
    pub(super) ticked_before: bool,
    /// The vector the next entry injects.
    pub(crate) injected_now: Option<u8>,
    /// Device requests under way, oldest first.
    pub(super) requests: VecDeque<ProcIx>,
}

/// What announced the end of a wait, and when.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Announced {
    pub(super) cause: Option<Cause>,
    /// A timer that is no tick.
    pub(super) own_timer: bool,
    pub(super) at: Option<Timestamp>,
}

impl Default for WaitCpu {
    fn default() -> Self {
        Self {
            current: None,
            came: Timestamp::MIN,
            last_entry: Timestamp::MIN,
            last_exit: Timestamp::MIN,
            idle: false,
            woken: None,
            in_service: None,
            tail: VecDeque::new(),
            before: Before::Nothing,
            last_injected: None,
            deadline: Deadline::default(),
            set: VecDeque::new(),
            armed_for: 0,
            halted_at: Timestamp::MIN,
            in_timer: false,
            ticked: false,
            ticked_before: false,
            injected_now: None,
            requests: VecDeque::new(),
        }
    }
}

impl WaitCpu {
    pub(crate) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Since when `p` may have been here, if it is.
    pub(crate) fn here_since(&self, p: ProcIx) -> Option<Timestamp> {
        (self.current == Some(p)).then_some(self.came)
    }

    /// Who is here, by the page table.
    pub(crate) const fn current(&self) -> Option<ProcIx> {
        self.current
    }

    /// Every process that something is noted of.
    pub(crate) fn processes(&self) -> impl Iterator<Item = ProcIx> {
        let before = match self.before {
            Before::Process(p, _) => Some(p),
            Before::Nothing | Before::Halt => None,
        };
        let timers = self.tail.iter().filter_map(|(_, event)| match event {
            Event::OwnTimer(whose) => *whose,
            Event::Injected(_) | Event::ArmedTimer => None,
        });
        let set = self.set.iter().map(|(_, p)| *p);
        let noted = timers.chain(set).chain(self.requests.iter().copied());
        noted.chain(self.current).chain(before)
    }

    /// `p` is over: nobody answers it.
    pub(crate) fn answers_no_more(&mut self, p: ProcIx) {
        self.requests.retain(|&other| other != p);
    }

    /// What `p` was thought to do here since it came was not its doing.
    pub(crate) fn ended(&mut self, p: ProcIx) {
        if self.current == Some(p) {
            self.current = None;
        }
    }

    /// The guest armed its clock. What is not a handler's doing is that of whoever has the
    /// processor: a timer of its own.
    pub(super) fn armed(&mut self, t: Timestamp, tsc: u64) {
        self.deadline.armed(t, tsc);
        self.armed_for = tsc;
        let handler = std::mem::take(&mut self.in_timer);
        self.ticked |= handler;
        if handler || self.idle || !self.deadline.is_own() {
            return;
        }
        if let Some(p) = self.current {
            if self.set.len() >= SET_MAX {
                self.set.pop_front();
            }
            self.set.push_back((tsc, p));
        }
    }

    /// Whose timer the clock was armed for, which has rung.
    pub(super) fn rang(&mut self) -> Option<ProcIx> {
        let at = self
            .set
            .iter()
            .position(|(tsc, _)| *tsc == self.armed_for)?;
        self.set.remove(at).map(|(_, p)| p)
    }

    /// The guest went to sleep: what it armed its clock for on the way is nobody's.
    pub(super) fn halted(&mut self) {
        if self
            .set
            .back()
            .is_some_and(|(tsc, _)| *tsc == self.armed_for)
        {
            self.set.pop_back();
        }
    }

    pub(super) fn push(&mut self, t: Timestamp, event: Event) {
        if self.tail.len() >= TAIL_MAX {
            self.tail.pop_front();
        }
        self.tail.push_back((t, event));
    }

    /// What the events up to `until` announce: a device whose interrupt made the guest leave idle
    /// (a clock write before the next interrupt), else the last interrupt.
    pub(super) fn announced(&self, p: ProcIx, until: Timestamp) -> Announced {
        let mut last = Announced::default();
        let mut device = None;
        for &(t, event) in &self.tail {
            if t > until {
                break;
            }
            match event {
                Event::Injected(cause) => {
                    last = Announced {
                        cause,
                        own_timer: false,
                        at: Some(t),
                    };
                    device = cause.filter(|c| is_device(*c)).map(|_| last);
                }
                // Another one's.
                Event::OwnTimer(Some(whose)) if whose != p => {}
                Event::OwnTimer(_) => {
                    last = Announced {
                        cause: Some(Cause::Timer),
                        own_timer: true,
                        at: Some(t),
                    };
                    device = None;
                }
                Event::ArmedTimer => {
                    if let Some(device) = device {
                        return device;
                    }
                }
            }
        }
        last
    }
}
