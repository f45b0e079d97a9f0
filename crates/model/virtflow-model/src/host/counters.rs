//! What is counted of processors, disks and network devices, where somebody wants to see it.

use super::segments::Queued;
use super::{CpuIx, Current};
use crate::model::Model;
use crate::vocab::{Confidence, Counter, EdgeKind, Evidence, Kind};
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;
use virtflow_base::{CpuId, Edge, EntityId, Sample, Sink, Timestamp};
use virtflow_events::{BlockRequest, KernelEvent as K, NetPacket, Text};

/// Disks and network devices that are told apart.
const DEVICES_MAX: usize = 1 << 12;
/// Requests that are followed from their issue to their completion, of all disks together.
const REQUESTS_MAX: usize = 1 << 16;
/// TCP segments that are followed from their sender to whom they reach on the same host: most leave it.
const SEGMENTS_MAX: usize = 1 << 14;
/// Bytes of a sector, whatever the disk's own are (include/linux/blk_types.h `SECTOR_SIZE`).
const SECTOR_BYTES: i64 = 512;
/// Bits of a device number that are the minor's (include/linux/kdev_t.h `MINORBITS`).
const MINOR_BITS: u32 = 20;

/// What a device is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Name {
    Disk(u32),
    Net(Text<16>),
}

/// A request at a disk.
#[derive(Clone, Copy, Debug)]
struct Request {
    issued: Timestamp,
    /// Whose thread issued it, if it was not an interrupt.
    by: Option<EntityId>,
    sectors: u32,
    /// How many there are of the same disk and sector.
    same: u32,
    /// Whether there were others: which of them completes is not told.
    ambiguous: bool,
}

/// A request that a disk has completed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    pub(crate) disk: EntityId,
    /// When it was issued, and by whom, as far as is known.
    pub(crate) issued: Option<(Timestamp, Option<EntityId>)>,
}

/// A segment that has come in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub(crate) device: EntityId,
    pub(crate) at: Timestamp,
    pub(crate) flow: u64,
    /// Who of this host had sent it, and when.
    pub(crate) sent: Option<(EntityId, Timestamp)>,
}

#[derive(Debug)]
struct Device {
    entity: EntityId,
    /// Requests at it, of those that were followed.
    queue: i64,
}

/// The host's devices.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    by_name: FxHashMap<Name, usize>,
    all: Vec<Device>,
    /// What disks are called.
    called: FxHashMap<u32, Text<24>>,
    /// By disk and first sector.
    requests: FxHashMap<(u32, u64), Request>,
    /// Who sent which TCP segment, and when, until it comes in.
    segments: FxHashMap<u64, (EntityId, Timestamp)>,
    /// How many processors lose events at the moment: each may have told of any request.
    lossy: u32,
}

impl<S: Sink> Model<S> {
    /// A disk's name, by the tracer's dump.
    pub(crate) fn disk_is_called(&mut self, dev: u32, name: Text<24>) {
        if let Some(devices) = &mut self.devices
            && devices.called.len() < DEVICES_MAX
        {
            devices.called.insert(dev, name);
        }
    }

    /// A processor's frequency was set.
    pub(crate) fn frequency(&mut self, t: Timestamp, cpu: CpuId, khz: u32) {
        if self.devices.as_ref().is_none_or(|d| d.lossy > 0) {
            return;
        }
        let Some(c) = self.cpu(cpu) else { return };
        let khz = i64::from(khz);
        let cpu = &mut self.cpus[c.0];
        if cpu.khz != khz {
            cpu.khz = khz;
            let entity = cpu.entity;
            self.told(t, entity, Counter::Frequency, Some(khz));
        }
    }

    /// What a device did.
    pub(crate) fn count(&mut self, t: Timestamp, c: CpuIx, event: &K) {
        if self.devices.is_none() {
            return;
        }
        match *event {
            K::BlockIssue(request) => self.issued(t, c, request),
            K::BlockRequeue(request) => self.requeued(t, request),
            K::BlockComplete(request) => self.completed(t, c, request),
            K::NetQueue(packet) => self.sent(t, c, packet),
            K::NetReceive(packet) => {
                self.packet(t, packet.device, Counter::Received, packet.len);
                self.received(t, c, packet);
            }
            K::NetXmit {
                packet,
                taken: true,
            } => {
                self.packet(t, packet.device, Counter::Sent, packet.len);
            }
            _ => {}
        }
    }

    /// Some processor's tracer begins to lose events: what holds until the next value may not.
    pub(crate) fn counters_unknown(&mut self, t: Timestamp) {
        let Some(devices) = &mut self.devices else {
            return;
        };
        devices.lossy += 1;
        devices.requests.clear();
        let queues: Vec<_> = devices
            .all
            .iter_mut()
            .filter(|device| device.queue >= 0)
            .map(|device| {
                device.queue = -1;
                device.entity
            })
            .collect();
        for entity in queues {
            self.told(t, entity, Counter::Queue, None);
        }
        let set: Vec<_> = self
            .cpus
            .iter_mut()
            .filter(|cpu| cpu.khz >= 0)
            .map(|cpu| {
                cpu.khz = -1;
                cpu.entity
            })
            .collect();
        for entity in set {
            self.told(t, entity, Counter::Frequency, None);
        }
    }

    /// Some processor's tracer loses nothing more.
    pub(crate) const fn counters_known(&mut self) {
        if let Some(devices) = &mut self.devices {
            devices.lossy = devices.lossy.saturating_sub(1);
        }
    }

    fn told(&mut self, time: Timestamp, entity: EntityId, counter: Counter, value: Option<i64>) {
        self.sink.sample(&Sample {
            entity,
            time,
            counter: counter.code(),
            value,
        });
    }

    fn packet(&mut self, t: Timestamp, name: Text<16>, counter: Counter, len: u32) {
        if let Some(device) = self.device(Name::Net(name)) {
            let entity = device.entity;
            self.told(t, entity, counter, Some(i64::from(len)));
        }
    }

    /// A thread gives a segment to a network device: whoever gets it may be on this host, too.
    fn sent(&mut self, t: Timestamp, c: CpuIx, packet: NetPacket) {
        if packet.flow == 0 {
            return;
        }
        let cpu = &self.cpus[c.0];
        let by = match cpu.current {
            Current::Thread(x) if cpu.contexts.is_empty() => Some(self.threads[x.0].entity.id),
            _ => None,
        };
        self.segments.queued(Queued {
            flow: packet.flow,
            at: t,
            by,
        });
        let Some(from) = by else { return };
        let Some(device) = self.device(Name::Net(packet.device)).map(|d| d.entity) else {
            return;
        };
        if let Some(devices) = &mut self.devices {
            if devices.segments.len() >= SEGMENTS_MAX {
                devices.segments.clear();
            }
            devices.segments.insert(packet.flow, (from, t));
        }
        self.packet_edge((from, t), (device, t));
    }

    /// A segment comes in, in an interrupt: it may be what somebody waits for.
    fn received(&mut self, t: Timestamp, c: CpuIx, packet: NetPacket) {
        if packet.flow == 0 || self.cpus[c.0].contexts.is_empty() {
            return;
        }
        let Some(device) = self.device(Name::Net(packet.device)).map(|d| d.entity) else {
            return;
        };
        let segments = self.devices.as_mut().map(|d| &mut d.segments);
        let sent = segments.and_then(|segments| segments.remove(&packet.flow));
        self.cpus[c.0].arrived = Some(Arrived {
            device,
            at: t,
            flow: packet.flow,
            sent,
        });
    }

    /// Edge of a packet.
    pub(crate) fn packet_edge(
        &mut self,
        (from, from_time): (EntityId, Timestamp),
        (to, to_time): (EntityId, Timestamp),
    ) {
        self.sink.edge(&Edge {
            from,
            from_time,
            to,
            to_time,
            kind: EdgeKind::Packet.code(),
            confidence: Confidence::Likely.code(),
            evidence: Evidence::Segment.code(),
        });
    }

    fn issued(&mut self, t: Timestamp, c: CpuIx, request: BlockRequest) {
        // In an interrupt it is nobody's doing that runs there.
        let cpu = &self.cpus[c.0];
        let by = match cpu.current {
            Current::Thread(x) if cpu.contexts.is_empty() => Some(self.threads[x.0].entity.id),
            _ => None,
        };
        let Some(devices) = self.devices.as_mut().filter(|d| d.lossy == 0) else {
            return;
        };
        let room = devices.requests.len() < REQUESTS_MAX;
        match devices.requests.entry((request.dev, request.sector)) {
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                known.same = known.same.saturating_add(1);
                known.ambiguous = true;
            }
            Entry::Vacant(place) if room => {
                place.insert(Request {
                    issued: t,
                    by,
                    sectors: request.sectors,
                    same: 1,
                    ambiguous: false,
                });
            }
            Entry::Vacant(_) => return,
        }
        self.queue(t, request.dev, 1);
    }

    fn requeued(&mut self, t: Timestamp, request: BlockRequest) {
        if self.take(&request).is_some() {
            self.queue(t, request.dev, -1);
        }
    }

    fn completed(&mut self, t: Timestamp, c: CpuIx, request: BlockRequest) {
        let taken = self.take(&request);
        let whole = taken
            .is_none_or(|of| of.ambiguous || request.sectors == 0 || of.sectors <= request.sectors);
        if let (Some(of), false) = (taken, whole)
            && let Some(devices) = &mut self.devices
        {
            // The rest of it is still there, under the number of its own first sector.
            let rest = request.sector.wrapping_add(u64::from(request.sectors));
            let left = Request {
                sectors: of.sectors - request.sectors,
                ..of
            };
            devices.requests.insert((request.dev, rest), left);
        }
        let Some(entity) = self.device(Name::Disk(request.dev)).map(|d| d.entity) else {
            return;
        };
        self.cpus[c.0].served = Some(Served {
            disk: entity,
            issued: taken
                .filter(|of| !of.ambiguous)
                .map(|of| (of.issued, of.by)),
        });
        let bytes = i64::from(request.sectors) * SECTOR_BYTES;
        self.told(t, entity, Counter::Transferred, Some(bytes));
        if let (Some(of), true) = (taken, whole) {
            if !of.ambiguous {
                let waited = t.as_nanos().saturating_sub(of.issued.as_nanos());
                self.told(t, entity, Counter::Latency, Some(waited));
            }
            self.queue(t, request.dev, -1);
        }
    }

    /// Takes a request out, or one of those that look the same.
    fn take(&mut self, request: &BlockRequest) -> Option<Request> {
        let devices = self.devices.as_mut()?;
        let Entry::Occupied(mut known) = devices.requests.entry((request.dev, request.sector))
        else {
            return None;
        };
        let found = *known.get();
        if found.same > 1 {
            known.get_mut().same -= 1;
        } else {
            known.remove();
        }
        Some(found)
    }

    fn queue(&mut self, t: Timestamp, dev: u32, by: i64) {
        if let Some(device) = self.device(Name::Disk(dev)) {
            device.queue = device.queue.max(0).saturating_add(by).max(0);
            let (entity, queue) = (device.entity, device.queue);
            self.told(t, entity, Counter::Queue, Some(queue));
        }
    }

    /// The device of this name, announced when it is first seen.
    fn device(&mut self, name: Name) -> Option<&mut Device> {
        let devices = self.devices.as_ref()?;
        if let Some(&at) = devices.by_name.get(&name) {
            return self.devices.as_mut()?.all.get_mut(at);
        }
        if devices.all.len() >= DEVICES_MAX {
            return None;
        }
        let (key, label) = match name {
            Name::Disk(dev) => {
                let number = format!("{}:{}", dev >> MINOR_BITS, dev & ((1 << MINOR_BITS) - 1));
                let called = devices
                    .called
                    .get(&dev)
                    .map(|name| name.as_bytes().to_vec());
                let label = called.unwrap_or_else(|| number.clone().into_bytes());
                (format!("disk:{number}"), label)
            }
            Name::Net(name) => {
                let escaped = name.as_bytes().escape_ascii();
                (format!("net:{escaped}"), name.as_bytes().to_vec())
            }
        };
        let mut entity = self.new_entity(Kind::Device, key);
        entity.label = label;
        self.sink.entity(&entity);
        let devices = self.devices.as_mut()?;
        devices.by_name.insert(name, devices.all.len());
        devices.all.push(Device {
            entity: entity.id,
            queue: -1,
        });
        devices.all.last_mut()
    }
}
