//! Interrupts of the host, and the devices they are for.

use super::{Context, CpuIx, Current, IRQ_DEPTH_MAX, VFIO};
use crate::model::Model;
use crate::vocab::Cause;
use virtflow_base::{Sink, Timestamp};
use virtflow_events::KernelEvent as K;

impl<S: Sink> Model<S> {
    pub(crate) fn irq_enter(&mut self, t: Timestamp, c: CpuIx, event: &K) {
        let context = match *event {
            K::SoftirqEntry { vec } => Context::Softirq(vec),
            K::VectorEntry { .. } => Context::Vector,
            K::HrtimerExpireEntry { function, .. } => Context::Hrtimer(function),
            _ => Context::Irq,
        };
        let contexts = &mut self.cpus[c.0].contexts;
        if contexts.len() < IRQ_DEPTH_MAX {
            contexts.push(context);
        }
        let outermost = contexts.len() == 1;
        self.line_enter(t, c, event);
        if outermost {
            self.cpus[c.0].device = None;
            self.cpus[c.0].accepted = None;
            self.vcpu_stolen(t, c, context);
        }
        if let K::IrqEntry { name, .. } = event
            && name.as_bytes().starts_with(VFIO)
        {
            self.cpus[c.0].device = Some(Cause::Vfio);
        }
    }

    pub(crate) fn irq_leave(&mut self, t: Timestamp, c: CpuIx, event: &K) {
        let contexts = &mut self.cpus[c.0].contexts;
        let matches = |context: &Context| {
            matches!(
                (context, event),
                (Context::Irq, K::IrqExit { .. })
                    | (Context::Softirq(_), K::SoftirqExit { .. })
                    | (Context::Vector, K::VectorExit { .. })
                    | (Context::Hrtimer(_), K::HrtimerExpireExit { .. })
            )
        };
        // What was entered later and never left was cut off by a loss.
        if let Some(at) = contexts.iter().rposition(matches) {
            contexts.truncate(at);
        }
        let none = contexts.is_empty();
        self.line_leave(t, c, event);
        if none {
            self.cpus[c.0].device = None;
            self.cpus[c.0].accepted = None;
            self.vcpu_given_back(t, c);
        }
    }

    /// Notes what a device did, for the wake-ups that follow in the same context.
    pub(crate) fn device_event(&mut self, c: CpuIx, event: &K) {
        let cpu = &mut self.cpus[c.0];
        let in_irq = !cpu.contexts.is_empty();
        match event {
            K::BlockComplete(_) => {
                cpu.device = Some(Cause::Disk);
                cpu.served = None;
            }
            K::NetQueue(_) => cpu.device = Some(Cause::Net),
            K::NetXmit { .. } => cpu.device = None,
            K::NetReceive(_) | K::NetRx(_) | K::NapiPoll { .. } if in_irq => {
                cpu.device = Some(Cause::Net);
            }
            _ => {}
        }
        if let (Current::Thread(x), false) = (cpu.current, in_irq) {
            match event {
                K::BlockIssue(_) | K::BlockInsert(_) | K::BlockBioQueue(_) => {
                    self.works_for(x, Cause::Disk);
                }
                K::NetReceive(_) => {
                    self.works_for(x, Cause::Net);
                    // What the VMM passes on is what its guest sent; whom it reaches wakes up next.
                    let vm = self.threads[x.0].vm;
                    self.cpus[c.0].packet = vm.and_then(|vm| Some((vm, self.sender(vm)?)));
                }
                _ => {}
            }
        }
    }
}
