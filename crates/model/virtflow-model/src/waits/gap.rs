//! Waits of processes, and what the earlier ones say of the next.

use crate::guest::GcpuIx;
use crate::vocab::{Cause, Confidence, EdgeKind, Evidence};
use virtflow_base::{EntityId, Timestamp};

/// A process that was pre-empted this often, and left otherwise not once in so many times, does
/// not wait at all.
const TAKEN_MIN: u32 = 8;
const LEFT_SHARE: u32 = 16;
/// Waits after idle that make a process a sleeper.
const SLEEPER_AFTER_IDLE: u32 = 2;
/// Waits of any kind after which one timer wait after idle is enough.
const SLEEPER_HISTORY: u32 = 3;
/// A sleeper's waits end by its own timers, as far as can be seen, at least once in this many.
const OWN_SHARE: u32 = 8;
/// Contested waits that say whether timers end them, if fewer than one in `SILENT_SHARE` of them
/// ended without any interrupt.
const CONTESTED_MIN: u32 = 24;
const SILENT_SHARE: u32 = 10;
/// Waits after which a process that is no sleeper by then is taken for none.
const KNOWN_AFTER: u32 = 32;

/// Who ended a wait, by what, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source {
    pub(crate) kind: EdgeKind,
    pub(crate) from: EntityId,
    pub(crate) at: Timestamp,
}

/// A wait of a process: from when it was last there to when it was back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gap {
    /// On which processor of its guest it had been.
    pub(crate) lane: GcpuIx,
    pub(crate) off: Timestamp,
    pub(crate) on: Timestamp,
    pub(crate) cause: Cause,
    pub(crate) confidence: Confidence,
    pub(crate) evidence: Evidence,
    /// What ended it: who did what, and when.
    pub(crate) by: Option<Source>,
    /// It waited for nothing but the processor, which this one had taken.
    pub(crate) preempted: Option<EntityId>,
    /// Since when it wanted the processor, and who had it, where its end was announced.
    pub(crate) ready: Option<(Timestamp, EntityId)>,
    /// Whether the process's other waits decide between a timer and `waker`, and whether no
    /// interrupt at all announced its end.
    pub(super) open: Option<Silent>,
}

/// A wait under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct OpenGap {
    pub(super) lane: GcpuIx,
    pub(super) off: Timestamp,
    /// The device request that was under way when it began, and since when.
    pub(super) request: Option<(Timestamp, Cause)>,
    /// When the device answered, and when something ran or halted after it.
    pub(super) answered: Option<Timestamp>,
    pub(super) after_answer: Option<Timestamp>,
    /// It lost the processor to this one, and wants it.
    pub(super) preempted: Option<EntityId>,
}

/// What a process's waits were so far, and those that are under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct LaneWaits {
    /// The processors on which it runs, and its waits on the others: one each for every thread.
    pub(super) running: Vec<GcpuIx>,
    pub(super) open: Vec<OpenGap>,
    /// The device request it has under way.
    pub(super) request: Option<(Timestamp, Cause)>,
    pub(super) by_task: u32,
    pub(super) by_device: u32,
    /// Waits at whose end a timer rang that was no tick.
    pub(super) own_timers: u32,
    pub(super) after_idle_timer: u32,
    pub(super) after_idle_other: u32,
    /// When its own timer rang last.
    pub(super) rang: Option<Timestamp>,
    /// How often it lost a processor right after a tick, and otherwise.
    pub(super) taken: u32,
    pub(super) left: u32,
    /// Waits so far, and those that ended while another process had the processor.
    pub(super) waits: u32,
    pub(super) contested: u32,
}

impl Source {
    pub(super) const fn wake_up((from, at): (EntityId, Timestamp)) -> Self {
        Self {
            kind: EdgeKind::WakeUp,
            from,
            at,
        }
    }
}

/// Whether no interrupt announced the end of a wait.
type Silent = bool;

impl Gap {
    /// Who woke it, or has its processor; nobody where a device answered its own request.
    pub(crate) fn taken_by(&self) -> Option<EntityId> {
        let woken = self.by.filter(|by| by.kind != EdgeKind::Disk);
        self.preempted.or(woken.map(|by| by.from))
    }

    /// The gap as the process's waits so far explain it.
    pub(crate) const fn decided(mut self, waits: &LaneWaits) -> Self {
        let Some(silent) = self.open else { return self };
        let no_history = waits.after_idle_timer + waits.after_idle_other == 0;
        let task = !waits.sleeper() && (silent || waits.by_task > 0 || no_history);
        if task {
            self.cause = Cause::Task;
            self.evidence = Evidence::AfterProcess;
            self.ready = None;
        } else {
            self.cause = Cause::Timer;
            self.evidence = Evidence::VectorThenRun;
            self.by = None;
        }
        self
    }
}

impl LaneWaits {
    pub(crate) fn forget(&mut self, g: GcpuIx) {
        self.running.retain(|&on| on != g);
        self.open.retain(|gap| gap.lane != g);
        self.request = None;
    }

    /// Whether enough is known of its waits to tell sleepers from those that wait for others.
    pub(crate) const fn is_known(&self) -> bool {
        self.sleeper() || self.waits >= KNOWN_AFTER
    }

    /// Whether it hardly ever gives a processor up but when it is taken: it does not wait.
    pub(super) const fn never_waits(&self) -> bool {
        self.taken >= TAKEN_MIN && self.left * LEFT_SHARE < self.taken
    }

    /// Whether timers end its waits: it came back by one straight after idle, or there was hardly
    /// ever no timer where another process could have woken it without one.
    pub(super) const fn sleeper(&self) -> bool {
        let never_silent =
            self.contested >= CONTESTED_MIN && self.by_task * SILENT_SHARE < self.contested;
        let mostly_timers =
            self.own_timers >= SLEEPER_AFTER_IDLE && self.own_timers * OWN_SHARE >= self.waits;
        never_silent
            || mostly_timers
            || self.after_idle_timer >= SLEEPER_AFTER_IDLE
            || (self.after_idle_timer > 0
                && self.after_idle_timer + self.by_device + self.after_idle_other
                    >= SLEEPER_HISTORY)
    }
}
