//! What was there when the recording began, and when it ended: threads, VMs, devices, processors.
//!
//! | module | |
//! |---|---|
//! | `out` | the events, and how they are written |
//! | `proc` | files of `/proc` |
//! | `threads` | threads, processes, namespaces, control groups |
//! | `vms` | VMs: which processes they are, what they were told, their vCPUs |
//! | `vmm` | command lines of VMMs |
//! | `roles` | what threads of VMMs do, by their names |
//! | `devices` | disks, network devices, interrupts |
//! | `host` | processors, KVM's parameters |
//! | `availability` | what of it this system tells, and why not |
//!
//! Events that LTTng's state dump has, too, have its names and fields
//! (instrumentation/events/lttng-statedump.h of lttng-modules).

mod availability;
mod devices;
mod host;
mod out;
mod proc;
mod roles;
mod threads;
mod vmm;
mod vms;

pub use availability::{Part, availability, is_of_the_host};
pub(crate) use out::{CLASSES, running_kind};
pub use threads::named_vms;

use crate::order::Order;
use crate::trace::now;
use out::{Class, Out};
use std::collections::BTreeSet;

/// When a dump is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// All of it is told as of the beginning.
    Start,
    /// Each thing is told as of when it was read.
    End,
    /// After the fact, for a beginning that is past: only of threads that were there then.
    Past,
}

/// Which dump is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct What {
    pub(crate) when: When,
    /// The arguments of processes are told, which may hold secrets.
    pub(crate) arguments: bool,
}

/// Writes the dump. Every now and then it lets `meanwhile` take what was recorded.
pub(crate) fn dump(order: &mut Order, what: What, meanwhile: &mut dyn FnMut(&mut Order)) {
    let began = now();
    let mut out = Out::new(order, what, meanwhile);
    out.event(Class::Start, |_| ());
    for part in availability() {
        out.event(Class::Part, |p| {
            p.string(part.name.as_bytes());
            p.u8(part.why_not.is_none().into());
            p.string(part.why_not.unwrap_or_default().as_bytes());
        });
    }
    let mut read = threads::Read::default();
    if availability::is_of_the_host() {
        let owners: BTreeSet<i32> = vms::of_debugfs().flat_map(|vm| vm.threads).collect();
        read = threads::write(&mut out, &owners);
        vms::write(&mut out, &read);
    }
    devices::write(&mut out);
    host::write(&mut out);
    out.event(Class::Summary, |p| {
        p.u64(now().saturating_sub(began));
        p.u32(read.processes).u32(read.threads);
        p.u32(read.vanished).u32(read.left_out);
    });
    out.event(Class::End, |_| ());
}
