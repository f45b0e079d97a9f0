//! Each interrupt of each processor as a lane of its own, where somebody wants to see them.

use super::CpuIx;
use crate::lane::{Lane, Status};
use crate::model::Model;
use crate::vocab::{Cause, Evidence, Kind, State};
use virtflow_base::{Sink, Timestamp};
use virtflow_events::KernelEvent as K;

/// Interrupts of one processor that are told apart. x86 has 256 vectors; the numbers of device
/// interrupts are the kernel's own and few per processor.
const LINES_MAX: usize = 512;
/// What soft interrupts are called, by number (include/linux/interrupt.h).
const SOFTIRQS: [&str; 10] = [
    "HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU",
];

/// What an interrupt is known by on its processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Irq(i32),
    Vector(u32),
    Softirq(u32),
}

impl Number {
    const fn of(event: &K) -> Option<Self> {
        match *event {
            K::IrqEntry { irq, .. } | K::IrqExit { irq } => Some(Self::Irq(irq)),
            K::VectorEntry { vector } | K::VectorExit { vector } => Some(Self::Vector(vector)),
            K::SoftirqEntry { vec } | K::SoftirqExit { vec } => Some(Self::Softirq(vec)),
            _ => None,
        }
    }

    fn key(self) -> String {
        match self {
            Self::Irq(irq) => format!("irq:{irq}"),
            Self::Vector(vector) => format!("vector:{vector}"),
            Self::Softirq(vec) => format!("softirq:{vec}"),
        }
    }

    fn label(self, event: &K) -> String {
        match (self, event) {
            (Self::Irq(irq), K::IrqEntry { name, .. }) if !name.as_bytes().is_empty() => {
                format!("IRQ {irq} {}", String::from_utf8_lossy(name.as_bytes()))
            }
            (Self::Irq(irq), _) => format!("IRQ {irq}"),
            (Self::Vector(vector), _) => format!("vector {vector}"),
            (Self::Softirq(vec), _) => match SOFTIRQS.get(vec as usize) {
                Some(name) => format!("softirq {name}"),
                None => format!("softirq {vec}"),
            },
        }
    }
}

/// An interrupt of a processor.
#[derive(Debug)]
pub(crate) struct Line {
    number: Number,
    lane: Lane,
}

impl<S: Sink> Model<S> {
    /// An interrupt's handler begins.
    pub(crate) fn line_enter(&mut self, t: Timestamp, c: CpuIx, event: &K) {
        let Some(number) = Number::of(event).filter(|_| self.interrupts) else {
            return;
        };
        let cause = match number {
            Number::Softirq(_) => Cause::Softirq,
            _ => Cause::Irq,
        };
        let status = Status::new(State::Running, Evidence::IrqEntry).because(cause);
        let lines = &mut self.cpus[c.0].lines;
        if let Some(line) = lines.iter_mut().find(|line| line.number == number) {
            line.lane.to(t, status, &mut self.sink);
            return;
        }
        if lines.len() >= LINES_MAX {
            return;
        }
        let key = format!("cpu:{}/{}", self.cpus[c.0].number, number.key());
        let mut entity = self.new_entity(Kind::Interrupt, key);
        entity.label = number.label(event).into_bytes();
        entity.parent = Some(self.cpus[c.0].entity);
        self.sink.entity(&entity);
        let lane = Lane::new(entity.id, None, t, status);
        self.cpus[c.0].lines.push(Line { number, lane });
    }

    /// An interrupt's handler ends; with the outermost one all have ended.
    pub(crate) fn line_leave(&mut self, t: Timestamp, c: CpuIx, event: &K) {
        let all = self.cpus[c.0].contexts.is_empty();
        let number = Number::of(event);
        let off = Status::new(State::Off, Evidence::IrqEntry);
        for line in &mut self.cpus[c.0].lines {
            if all || Some(line.number) == number {
                line.lane.to(t, off, &mut self.sink);
            }
        }
    }

    /// What the interrupts of a processor do is not known from `t` on.
    pub(crate) fn lines_unknown(&mut self, t: Timestamp, c: CpuIx, cause: Cause, by: Evidence) {
        for line in &mut self.cpus[c.0].lines {
            line.lane.to(t, Status::unknown(cause, by), &mut self.sink);
        }
    }

    pub(crate) fn finish_lines(&mut self, end: Timestamp) {
        for cpu in &mut self.cpus {
            for line in std::mem::take(&mut cpu.lines) {
                line.lane.finish(end, &mut self.sink);
            }
        }
    }
}
