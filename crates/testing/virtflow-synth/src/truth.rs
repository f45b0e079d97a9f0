//! The truth: what every lane did and who caused what, as CSV.
//!
//! `intervals.csv`: `machine,start_ns,end_ns,kind,key,label,vm_key,vcpu,tid,pid,cr3,state,level,`
//! `cause,by_key,confidence,evidence`. Times are nanoseconds since the Unix epoch, as a reader
//! computes them from the trace's stamps (rounded down), half-open; a lane is what shares `kind`,
//! `key` and `vcpu`; the intervals of a lane tile the whole trace. Rows come in the order in which
//! they end. `confidence` is always `proved` and `evidence` always `synth`: this is the truth.
//!
//! | kind | key | states |
//! |---|---|---|
//! | `cpu` | `cpu:<n>` | running (by the thread), idle |
//! | `thread` | `thread:<tid>@<start>` | running, runnable (woken), preempted (by), sleeping (cause, woken by) |
//! | `vcpu` | `vm:<pid>@<start>/vcpu:<n>` | guest (level 1 or 2), hypervisor (exit class), vmm, halted (cause, woken by), runnable, preempted (by), irq-stolen (irq or softirq), blocked-on-host |
//! | `nested-vcpu` | `vm:.../L2:<cr3>/vcpu:<vmcb12>` | guest, l0-handling, l1-handling, halted, preempted-l0 (by), preempted-l1 (by) |
//! | `process` | `vm:.../cr3:<hex>#0`, `.../vcpu:<n>/kernel`, `.../vcpu:<n>/idle` | run-user, run-kernel, run-hypervisor, preempted-on-host (by), ready-in-guest, waiting (cause, woken by) |
//!
//! `<start>` is the begin of the trace: everything existed before it. CR3s are canonical (the
//! kernel's half of a pair, no PCID), in hexadecimal without `0x` in keys, with it in the column.
//!
//! When a state begins, to the event:
//! - a guest's time begins at the entry event and ends at the exit event, or, on SVM, at the host
//!   interrupt before it; irq-stolen ends at the last event of the interrupt and its softirqs;
//! - halted and sleeping end at `sched_waking`, runnable and preempted at `sched_switch`;
//! - a nested guest is halted from the event of its HLT exit until its hypervisor (in L1's timer
//!   interrupt, so at no event) wakes it;
//! - l0-handling of a reflected exit ends at the entry to L1, l1-handling at L1's exit to run L2;
//! - a guest's context switches happen between an entry and an exit: no event is there;
//! - while a nested guest runs, the lane of its hypervisor's process is in run-kernel at level 2;
//! - kernel and idle lanes wait with cause idle while they do not run; the idle lane is in
//!   waiting, too, while its vCPU is halted.
//!
//! `edges.csv`: `machine,from_ns,from_key,to_ns,to_key,kind,confidence,evidence`. `wake-up`: from
//! the waker to the woken (host threads at `sched_waking`, or processes inside a guest).
//! `injection`: from who made the LAPIC accept the vector, then, to the vCPU at its entry. `disk`:
//! from the process at its request's exit to itself when the interrupt handler wakes it. `packet`:
//! from the sending process at its request's exit to the receiving one when it is woken.

mod lane;
mod writer;

pub(crate) use lane::{Lane, NOBODY, Status};
pub(crate) use writer::Truth;
