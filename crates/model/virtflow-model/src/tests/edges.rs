//! Who caused what.

use super::*;
use crate::vocab::EdgeKind;
use virtflow_events::{BlockRequest, Text};

/// Edges of a kind, by the ends of keys.
fn edges(found: &Collected, kind: EdgeKind) -> Vec<(String, i64, String, i64)> {
    let key = |id: virtflow_base::EntityId| {
        let key = &found.entities[id.0 as usize].key;
        key.split('@').next().unwrap_or(key).to_owned() + key.rsplit_once('/').map_or("", |k| k.1)
    };
    let ours = found.edges.iter().filter(|e| e.kind == kind.code());
    ours.map(|e| {
        (
            key(e.from),
            e.from_time.as_nanos(),
            key(e.to),
            e.to_time.as_nanos(),
        )
    })
    .collect()
}

#[test]
fn whoever_had_the_processor_stole_it() {
    let found = run(60, &preempted());
    assert_eq!(
        edges(&found, EdgeKind::Steal),
        [("thread:200".to_owned(), 25, "vm:100vcpu:0".to_owned(), 40)]
    );
}

/// A VM whose disk register is known after its VMM's worker answered for the disk: its process asks
/// once more at 200, waits, and is answered.
#[test]
fn a_disk_answers_who_asked_it() {
    const WORKER: Tid = Tid(102);
    let disk = |sector, tid| BlockRequest {
        dev: 7,
        sector,
        sectors: 8,
        tid: Some(tid),
    };
    let bell = K::KvmMmio {
        kind: 2,
        len: 4,
        gpa: 0xfeb0_2e50,
    };
    let mut events = vec![
        (0, process(WORKER, QEMU)),
        (0, switch(Tid(0), 0, VCPU)),
        (10, ENTRY),
        (11, enter(CR3_A)),
        (20, exit(INTR)),
        (21, left(CR3_A, 3)),
        (30, ENTRY),
        (31, enter(CR3_A)),
    ];
    for begin in [100, 1100, 2100] {
        events.extend([
            // The process rings and halts the processor.
            (begin, exit(NPF)),
            (begin + 1, left(CR3_A, 0)),
            (begin + 2, bell),
            (begin + 10, ENTRY),
            (begin + 11, enter(CR3_A)),
            (begin + 20, exit(HLT)),
            (begin + 21, left(CR3_A, 0)),
            (begin + 30, switch(VCPU, 1, WORKER)),
            // A worker asks the host's disk, which answers it; it tells the guest.
            (begin + 40, K::BlockIssue(disk(8, WORKER))),
            (begin + 50, switch(WORKER, 2, Tid(0))),
            (
                begin + 60,
                K::IrqEntry {
                    irq: 9,
                    name: Text::new(b"nvme0q1"),
                },
            ),
            (begin + 61, K::BlockComplete(disk(8, WORKER))),
            (begin + 62, waking(WORKER)),
            (begin + 63, K::IrqExit { irq: 9 }),
            (begin + 70, switch(Tid(0), 0, WORKER)),
            (begin + 80, K::KvmSetIrq { gsi: 23, level: 1 }),
            (
                begin + 81,
                K::KvmMsiSetIrq {
                    address: 0xfee0_0000,
                    data: 36,
                },
            ),
            (begin + 82, accept(36)),
            (begin + 83, waking(VCPU)),
            (begin + 90, switch(WORKER, 1, VCPU)),
            (
                begin + 95,
                K::KvmInjVirq {
                    vector: 36,
                    reinjected: None,
                },
            ),
            (begin + 100, ENTRY),
            (begin + 101, enter(CR3_A)),
            (
                begin + 110,
                K::KvmEoi {
                    apic_id: 0,
                    vector: 36,
                },
            ),
            (begin + 120, exit(INTR)),
            (begin + 121, left(CR3_A, 3)),
            (begin + 130, ENTRY),
            (begin + 131, enter(CR3_A)),
        ]);
    }
    let found = run(3500, &events);
    let answers = edges(&found, EdgeKind::Disk);
    let last = answers.last().cloned();
    let process = format!("vm:100cr3:{CR3_A:x}#0");
    assert_eq!(last, Some((process.clone(), 2102, process, 2220)));
}
