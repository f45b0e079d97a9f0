//! What a file of trace-cmd or perf tells of threads beside its events: names, and processes where it
//! tells them or QEMU's way of naming its threads does.

use crate::kernel::{KernelEvent, KernelRecord, NamespaceKind};
use crate::text::Comm;
use std::collections::{BTreeMap, BTreeSet};
use virtflow_base::{CpuId, Fill, Problems, RecordSource, Stamped, Tid, Timestamp};
use virtflow_tracedat::Guest;
use virtflow_tracefs::Threads;

/// Gives facts, all at the moment at which the trace begins.
pub(super) struct Facts {
    facts: std::vec::IntoIter<KernelRecord>,
    begin: Timestamp,
    cpu: CpuId,
}

impl Facts {
    pub(super) fn new(threads: &Threads, guests: &[Guest], begin: Timestamp, cpu: CpuId) -> Self {
        let mut processes: BTreeMap<i32, i32> = threads.processes().collect();
        if processes.is_empty() {
            processes = by_names(threads.names());
        }
        for guest in guests {
            group(guest, &mut processes);
        }
        let known = threads.names().map(|(tid, _)| tid);
        let mut tids: Vec<i32> = known.chain(processes.keys().copied()).collect();
        tids.sort_unstable();
        tids.dedup();
        let facts = tids.into_iter().map(|tid| {
            let event = KernelEvent::ThreadTold {
                tid: Tid(tid),
                pid: processes.get(&tid).copied().map(Tid),
                comm: threads.name(tid).map_or_else(Comm::default, Comm::new),
            };
            fact(cpu, event)
        });
        Self {
            facts: facts.collect::<Vec<_>>().into_iter(),
            begin,
            cpu,
        }
    }

    /// Only what is told of the `followed`, whose processes `process` tells, and that they are.
    pub(super) fn of_followed(
        self,
        followed: impl Iterator<Item = i32>,
        process: impl Fn(i32) -> Option<i32>,
    ) -> Self {
        let followed: BTreeSet<i32> = followed.collect();
        let about = |record: &KernelRecord| match record.event {
            KernelEvent::ThreadTold { tid, .. } => followed.contains(&tid.0),
            _ => true,
        };
        let told: Vec<_> = self.facts.filter(about).collect();
        let follow = followed.iter().map(|tid| KernelEvent::ThreadFollowed {
            tid: Tid(*tid),
            pid: process(*tid).map(Tid),
            parent: None,
        });
        let follow: Vec<_> = follow.map(|event| fact(self.cpu, event)).collect();
        Self {
            facts: [follow, told].concat().into_iter(),
            ..self
        }
    }

    /// Besides, in which pid namespaces those threads are that are told of.
    pub(super) fn in_namespaces(self, namespaces: impl Iterator<Item = (i32, u32)>) -> Self {
        let mut facts: Vec<_> = self.facts.collect();
        let told = facts.iter().filter_map(|record| match record.event {
            KernelEvent::ThreadTold { tid, .. } => Some(tid),
            _ => None,
        });
        let told: BTreeSet<Tid> = told.collect();
        let namespaces = namespaces.filter(|(tid, _)| told.contains(&Tid(*tid)));
        facts.extend(namespaces.map(|(tid, inum)| {
            let event = KernelEvent::StatedumpNamespace {
                tid: Tid(tid),
                kind: NamespaceKind::Pid,
                inum,
                level: None,
            };
            fact(self.cpu, event)
        }));
        Self {
            facts: facts.into_iter(),
            ..self
        }
    }
}

const fn fact(cpu: CpuId, event: KernelEvent) -> KernelRecord {
    KernelRecord {
        cpu,
        context: None,
        event,
    }
}

/// The threads of one guest are of one process: that of any of them that is known, else the first
/// one's number stands for it.
fn group(guest: &Guest, processes: &mut BTreeMap<i32, i32>) {
    let mut tids = guest.vcpus.iter().map(|(_, tid)| *tid);
    let known = tids.clone().find_map(|tid| processes.get(&tid).copied());
    if let Some(process) = known.or_else(|| tids.next()) {
        for (_, tid) in &guest.vcpus {
            processes.entry(*tid).or_insert(process);
        }
    }
}

/// Processes as QEMU names its threads (`-name debug-threads=on`, as libvirt has it): `CPU 0/KVM`,
/// `CPU 1/KVM` and so on are made one after the other, by a process whose first thread was there
/// before and is still called after the program.
fn by_names<'n>(names: impl Iterator<Item = (i32, &'n [u8])>) -> BTreeMap<i32, i32> {
    let mut processes = BTreeMap::new();
    let mut program = None;
    // The process of the last virtual processor and its number.
    let mut last: Option<(i32, u32)> = None;
    for (tid, name) in names {
        if name.starts_with(b"qemu") {
            program = Some(tid);
        }
        let Some(number) = vcpu_number(name) else {
            continue;
        };
        let process = match last {
            _ if number == 0 => program.take().unwrap_or(tid),
            Some((process, before)) if number == before + 1 => process,
            _ => {
                last = None;
                continue;
            }
        };
        processes.insert(process, process);
        processes.insert(tid, process);
        last = Some((process, number));
    }
    processes
}

/// Of a virtual processor's thread of QEMU its number.
fn vcpu_number(name: &[u8]) -> Option<u32> {
    let number = name.strip_prefix(b"CPU ")?.strip_suffix(b"/KVM")?;
    std::str::from_utf8(number).ok()?.parse().ok()
}

impl RecordSource for Facts {
    type Record = KernelRecord;

    fn fill(&mut self, batch: &mut Vec<Stamped<KernelRecord>>, max: usize) -> Fill {
        let time = self.begin;
        let some = self.facts.by_ref().take(max);
        batch.extend(some.map(|record| Stamped { time, record }));
        if self.facts.len() == 0 {
            Fill::End
        } else {
            Fill::More
        }
    }

    fn take_problems(&mut self) -> Problems {
        Problems::default()
    }

    fn bytes_read(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(names: &[(i32, &str)]) -> Vec<(i32, i32)> {
        let names = names.iter().map(|(tid, name)| (*tid, name.as_bytes()));
        by_names(names).into_iter().collect()
    }

    #[test]
    fn threads_of_qemu_are_told_by_their_names() {
        let two = [
            (100, "qemu-system-x86"),
            (101, "call_rcu"),
            (103, "CPU 0/KVM"),
            (104, "CPU 1/KVM"),
            (105, "worker"),
            (200, "qemu-system-x86"),
            (203, "CPU 0/KVM"),
        ];
        let expected = [(100, 100), (103, 100), (104, 100), (200, 200), (203, 200)];
        assert_eq!(told(&two), expected);
        // Without the first thread's name the first processor stands for the process.
        assert_eq!(
            told(&[(7, "CPU 0/KVM"), (8, "CPU 1/KVM")]),
            [(7, 7), (8, 7)]
        );
        // A number that does not follow is of nobody knows which.
        assert_eq!(told(&[(7, "CPU 0/KVM"), (9, "CPU 2/KVM")]), [(7, 7)]);
        assert_eq!(told(&[(7, "CPU 1/KVM"), (8, "CPU x/KVM")]), []);
    }

    #[test]
    fn guests_of_the_file_are_one_process_each() {
        let mut processes = BTreeMap::from([(11, 5)]);
        let guest = |vcpus: &[i32]| Guest {
            vcpus: vcpus.iter().map(|tid| (0, *tid)).collect(),
            ..Guest::default()
        };
        group(&guest(&[10, 11]), &mut processes);
        group(&guest(&[20, 21]), &mut processes);
        let all: Vec<_> = processes.into_iter().collect();
        assert_eq!(all, [(10, 5), (11, 5), (20, 20), (21, 20)]);
    }
}
