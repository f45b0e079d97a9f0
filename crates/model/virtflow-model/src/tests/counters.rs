//! What is counted of processors, disks and network devices.

use super::*;
use crate::vocab::Counter;
use virtflow_events::{BlockRequest, NetPacket, Text};

const DISK: u32 = 8 << 20 | 1;

const fn request(sector: u64, sectors: u32) -> BlockRequest {
    BlockRequest {
        dev: DISK,
        sector,
        sectors,
        tid: None,
    }
}

fn counted(losses: Vec<Loss>, end: i64, events: &[(i64, K)]) -> Collected {
    let options = Options {
        counters: true,
        ..Options::default()
    };
    run_with(losses, options, end, events)
}

/// The values of one counter of one entity.
fn values(found: &Collected, key: &str, counter: Counter) -> Vec<(i64, Option<i64>)> {
    let of = |id: virtflow_base::EntityId| found.entities[id.0 as usize].key == key;
    let some = found.samples.iter();
    some.filter(|s| of(s.entity) && s.counter == counter.code())
        .map(|s| (s.time.as_nanos(), s.value))
        .collect()
}

#[test]
fn a_disk_has_a_queue_latencies_and_bytes() {
    let events = [
        (10, K::BlockIssue(request(0, 8))),
        (20, K::BlockIssue(request(64, 16))),
        (30, K::BlockComplete(request(0, 8))),
        // Given back, and issued once more.
        (40, K::BlockRequeue(request(64, 16))),
        (50, K::BlockIssue(request(64, 16))),
        // Half of it, then the rest.
        (60, K::BlockComplete(request(64, 8))),
        (75, K::BlockComplete(request(72, 8))),
        // One that was issued before the recording began.
        (80, K::BlockComplete(request(900, 1))),
    ];
    let found = counted(Vec::new(), 100, &events);
    assert_eq!(
        values(&found, "disk:8:1", Counter::Queue),
        [
            (10, Some(1)),
            (20, Some(2)),
            (30, Some(1)),
            (40, Some(0)),
            (50, Some(1)),
            (75, Some(0)),
        ]
    );
    assert_eq!(
        values(&found, "disk:8:1", Counter::Latency),
        [(30, Some(20)), (75, Some(25))]
    );
    let bytes = values(&found, "disk:8:1", Counter::Transferred);
    assert_eq!(
        bytes.iter().filter_map(|v| v.1).sum::<i64>(),
        (8 + 16 + 1) * 512
    );
    let none = run_with(Vec::new(), Options::default(), 100, &events);
    assert!(none.samples.is_empty());
}

#[test]
fn requests_that_look_the_same_have_no_latency() {
    // Flushes have no sectors of their own.
    let events = [
        (10, K::BlockIssue(request(0, 0))),
        (20, K::BlockIssue(request(0, 0))),
        (30, K::BlockComplete(request(0, 0))),
        (50, K::BlockComplete(request(0, 0))),
        (60, K::BlockIssue(request(0, 0))),
        (65, K::BlockComplete(request(0, 0))),
    ];
    let found = counted(Vec::new(), 100, &events);
    assert_eq!(
        values(&found, "disk:8:1", Counter::Latency),
        [(65, Some(5))]
    );
    let queue = values(&found, "disk:8:1", Counter::Queue);
    assert_eq!(queue.last(), Some(&(65, Some(0))));
}

#[test]
fn a_disk_is_called_what_the_dump_says() {
    let options = Options {
        counters: true,
        ..Options::default()
    };
    let mut model = Model::new(&coverage(100, Vec::new()), options, Collected::default());
    model.know(&record(K::StatedumpBlockDevice {
        dev: DISK,
        name: Text::new(b"sda1"),
    }));
    model.event(at(5), &record(K::BlockComplete(request(0, 1))));
    let found = model.finish().0;
    let disk = found.entities.iter().find(|e| e.key == "disk:8:1").unwrap();
    assert_eq!(disk.label, b"sda1");
}

#[test]
fn packets_that_the_driver_did_not_take_were_not_sent() {
    let packet = |len| NetPacket {
        skb: 1,
        len,
        flow: 0,
        device: Text::new(b"eth\xff"),
    };
    let sent = |len, taken| K::NetXmit {
        packet: packet(len),
        taken,
    };
    let events = [
        (10, K::NetQueue(packet(99))),
        (11, sent(99, false)),
        (12, sent(99, true)),
        (13, K::NetReceive(packet(60))),
    ];
    let found = counted(Vec::new(), 100, &events);
    let key = "net:eth\\xff";
    assert_eq!(values(&found, key, Counter::Sent), [(12, Some(99))]);
    assert_eq!(values(&found, key, Counter::Received), [(13, Some(60))]);
}

#[test]
fn after_a_loss_what_held_is_not_known() {
    let loss = Loss {
        span: Span::new(at(40), at(60)),
        kind: LossKind::Events(3),
    };
    let frequency = |khz| K::CpuFrequency { cpu: CpuId(0), khz };
    let events = [
        (10, frequency(2_000_000)),
        (15, frequency(2_000_000)),
        (20, frequency(1_000_000)),
        (30, K::BlockIssue(request(0, 8))),
        (70, frequency(1_000_000)),
        (80, K::BlockComplete(request(0, 8))),
        (85, K::BlockIssue(request(0, 8))),
    ];
    let found = counted(vec![loss], 100, &events);
    assert_eq!(
        values(&found, "cpu:0", Counter::Frequency),
        [
            (10, Some(2_000_000)),
            (20, Some(1_000_000)),
            (40, None),
            (70, Some(1_000_000)),
        ]
    );
    assert_eq!(
        values(&found, "disk:8:1", Counter::Queue),
        [(30, Some(1)), (40, None), (85, Some(1))]
    );
    assert_eq!(values(&found, "disk:8:1", Counter::Latency), []);
}

#[test]
fn segments_are_noted_with_their_threads_and_no_more_than_there_is_room_for() {
    let packet = |flow| NetPacket {
        skb: 1,
        len: 60,
        flow,
        device: Text::new(b"eth0"),
    };
    let softirq = K::SoftirqEntry { vec: 3 };
    let events = [
        (10, switch(Tid(0), 0, Tid(70))),
        (20, K::NetQueue(packet(7))),
        (25, K::NetQueue(packet(0))),
        (30, switch(Tid(70), 1, Tid(0))),
        (40, softirq),
        // Sent again, by nobody; then an answer, and one to what a thread of the same host sent.
        (42, K::NetQueue(packet(7))),
        (50, K::NetReceive(packet(8))),
        (55, waking(Tid(70))),
        (60, K::SoftirqExit { vec: 3 }),
        (70, switch(Tid(0), 0, Tid(70))),
        (75, K::NetQueue(packet(9))),
        (80, switch(Tid(70), 1, Tid(0))),
        (81, softirq),
        (85, K::NetReceive(packet(9))),
        (86, waking(Tid(70))),
    ];
    let noted = |segments| {
        let options = Options {
            counters: true,
            segments,
            ..Options::default()
        };
        let mut model = Model::new(&coverage(100, Vec::new()), options, Collected::default());
        for (t, event) in &events {
            model.event(at(*t), &record(*event));
        }
        let segments = model.take_segments();
        let entities = model.finish().0.entities;
        let thread = |id: virtflow_base::EntityId| entities[id.0 as usize].tid;
        let queued = segments.queued.iter();
        let queued: Vec<_> = queued
            .map(|one| (one.flow, one.at.as_nanos(), one.by.and_then(thread)))
            .collect();
        let woke = segments.woke.iter().map(|one| {
            let (received, woken) = (one.received.as_nanos(), one.at.as_nanos());
            (one.flow, received, woken, thread(one.woken))
        });
        let full_at = segments.full_at.map(Timestamp::as_nanos);
        (queued, woke.collect::<Vec<_>>(), segments.unnoted, full_at)
    };
    let queued = vec![(7, 20, Some(70)), (7, 42, None), (9, 75, Some(70))];
    let woke = vec![(8, 50, 55, Some(70))];
    assert_eq!(noted(100), (queued.clone(), woke, 0, None));
    assert_eq!(noted(2), (queued[..2].to_vec(), vec![], 2, Some(55)));
    assert_eq!(noted(0), (vec![], vec![], 0, None));
}
