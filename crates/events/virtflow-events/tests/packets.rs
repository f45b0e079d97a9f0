//! Packets of a real recording are told apart by what names them on the wire.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use virtflow_events::{KernelEvent, NetPacket, Recording};

/// Two VMs on one bridge: what comes out of one's tap is queued to the other's. Each segment that
/// the bridge takes up is queued on the other tap at the same moment or later, but for those that
/// were on their way when the recording ended.
#[test]
fn each_segment_that_the_bridge_receives_is_found_queued() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../fixtures");
    let recording = Recording::open(&fixtures.join("two-vms-network")).unwrap();
    let mut received: Vec<(u64, NetPacket)> = Vec::new();
    let mut queued: HashMap<(u64, Vec<u8>), u64> = HashMap::new();
    let (mut place, mut others) = (0, 0);
    let mut events = recording.kernel_events(0, |kind| kind.starts_with("net_"), 1);
    while let Some((_, run)) = events.next_run() {
        for event in run {
            place += 1;
            match event.record.event {
                KernelEvent::NetReceive(packet) if packet.flow != 0 => {
                    received.push((place, packet));
                }
                KernelEvent::NetQueue(packet) if packet.flow != 0 => {
                    let device = packet.device.as_bytes().to_vec();
                    queued.insert((packet.flow, device), place);
                }
                KernelEvent::NetReceive(_) | KernelEvent::NetQueue(_) => others += 1,
                _ => {}
            }
        }
    }
    let other = |device: &[u8]| match device {
        b"tap1" => b"tap2".to_vec(),
        _ => b"tap1".to_vec(),
    };
    let mut found = 0;
    for (place, packet) in &received {
        let key = (packet.flow, other(packet.device.as_bytes()));
        if queued.get(&key).is_some_and(|queued| queued >= place) {
            found += 1;
        }
    }
    assert!(received.len() >= 10, "{}", received.len());
    assert!(found + 2 >= received.len(), "{found}");
    // Addresses that ARP asks for have no TCP header.
    assert!(others > 0);
    // Segments differ, and so do their hashes.
    let flows: HashSet<u64> = queued.keys().map(|(flow, _)| *flow).collect();
    assert!(flows.len() * 2 > received.len(), "{}", flows.len());
}
