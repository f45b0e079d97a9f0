//! What interrupt vectors mean, learnt per VM and APIC; no number is known beforehand.
//!
//! A vector is a device's where an MSI carried it, an IPI where a guest wrote it to the interrupt
//! command register, the timer's where a virtual processor accepts it for itself in its own thread
//! without having sent it. Guests give device vectors per processor, so the same number may be two
//! devices on two APICs; IPIs and the timer have one number in a guest. What a device is follows
//! from what the delivering thread was doing, and what the VMM did after a doorbell was written.

use crate::vocab::Cause;
use rustc_hash::FxHashMap;

/// The most interrupt lines, doorbells and device vectors of one VM that are kept apart
/// (`KVM_MAX_IRQ_ROUTES`).
const KEPT_MAX: usize = 4096;
/// How many vectors there are.
const VECTORS: usize = 256;
/// Where fewer than one vote in this many and one names a device, none is named.
const OTHER_SHARE: u32 = 2;
/// What at least one vote in this many names may be a line's class.
const NAMED_SHARE: u32 = 4;
/// A device is proved where at most one vote in this many does not name it.
const CLEAR_SHARE: u32 = 4;

/// Votes on what device an interrupt line, a vector or a doorbell belongs to.
#[derive(Clone, Copy, Debug, Default)]
struct Votes {
    disk: u32,
    net: u32,
    vfio: u32,
    other: u32,
    /// The interrupt line whose MSI carries the vector.
    line: Option<u32>,
}

impl Votes {
    fn vote(&mut self, class: Option<Cause>) {
        let votes = match class {
            Some(Cause::Disk) => &mut self.disk,
            Some(Cause::Net) => &mut self.net,
            Some(Cause::Vfio) => &mut self.vfio,
            _ => &mut self.other,
        };
        *votes = votes.saturating_add(1);
    }

    fn all(&self) -> u32 {
        let emulated = self.disk.saturating_add(self.net);
        emulated
            .saturating_add(self.vfio)
            .saturating_add(self.other)
    }

    fn most(&self) -> u32 {
        self.disk.max(self.net).max(self.vfio)
    }

    /// Whether hardly any vote speaks for anything but one device.
    fn is_clear(&self) -> bool {
        let all = self.all();
        (all - self.most()).saturating_mul(CLEAR_SHARE) <= all
    }

    /// The class of an interrupt line, among all of its VM: a thread that works for several devices
    /// is now and then taken for another one's, mostly for the busiest one's. So what counts is of
    /// which class this line has the largest share, among those that a good part of its votes name.
    fn class_among(&self, all: &Self) -> Option<Cause> {
        self.class()?;
        let shares = [
            (self.disk, all.disk, Cause::Disk),
            (self.net, all.net, Cause::Net),
            (self.vfio, all.vfio, Cause::Vfio),
        ];
        let named = shares
            .into_iter()
            .filter(|(own, ..)| own.saturating_mul(NAMED_SHARE) >= self.all());
        // own / all of the one against that of the other; where they are the same, the more votes.
        let largest = named.max_by(|a, b| {
            let left = u64::from(a.0) * u64::from(b.1);
            left.cmp(&(u64::from(b.0) * u64::from(a.1)))
                .then(a.0.cmp(&b.0))
        });
        largest.map(|(_, _, class)| class).or_else(|| self.class())
    }

    fn class(&self) -> Option<Cause> {
        let most = self.most();
        if most.saturating_mul(OTHER_SHARE) < self.other.max(1) {
            None
        } else if most == self.disk {
            Some(Cause::Disk)
        } else if most == self.net {
            Some(Cause::Net)
        } else {
            Some(Cause::Vfio)
        }
    }
}

/// What a guest uses a vector for itself.
#[derive(Clone, Copy, Debug, Default)]
struct Own {
    ipi: bool,
    timer: bool,
}

/// An MSI that a thread raised: which APIC takes it, its acceptance tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Msi {
    pub(crate) vector: u8,
    line: Option<u32>,
    class: Option<Cause>,
}

/// What a VM's vectors mean, as far as is learnt.
#[derive(Debug)]
pub(crate) struct Vectors {
    own: Box<[Own; VECTORS]>,
    /// Devices' vectors by APIC, and those of which no APIC was told.
    devices: FxHashMap<(u32, u8), Votes>,
    anywhere: FxHashMap<u8, Votes>,
    lines: FxHashMap<u32, Votes>,
    /// All of the lines' votes.
    all_lines: Votes,
    /// Guest-physical addresses and ports that the guest writes before a device answers.
    doorbells: FxHashMap<u64, Votes>,
    rung: Option<u64>,
}

impl Default for Vectors {
    fn default() -> Self {
        Self {
            own: Box::new([Own::default(); VECTORS]),
            devices: FxHashMap::default(),
            anywhere: FxHashMap::default(),
            lines: FxHashMap::default(),
            all_lines: Votes::default(),
            doorbells: FxHashMap::default(),
            rung: None,
        }
    }
}

fn kept<K: std::hash::Hash + Eq>(map: &mut FxHashMap<K, Votes>, key: K) -> Option<&mut Votes> {
    if map.len() >= KEPT_MAX && !map.contains_key(&key) {
        return None;
    }
    Some(map.entry(key).or_default())
}

impl Vectors {
    fn votes(&self, apic: u32, vector: u8) -> Option<&Votes> {
        let votes = self.devices.get(&(apic, vector));
        votes.or_else(|| self.anywhere.get(&vector))
    }

    /// What a vector announces to an APIC; `None` while nothing was learnt about it.
    pub(crate) fn class(&self, apic: u32, vector: u8) -> Option<Cause> {
        let own = self.own[usize::from(vector)];
        if let Some(votes) = self.votes(apic, vector) {
            let line = votes.line.and_then(|line| self.lines.get(&line));
            let class = line
                .and_then(|line| line.class_among(&self.all_lines))
                .or_else(|| votes.class());
            return class.or(Some(Cause::Console));
        }
        match own {
            Own { ipi: true, .. } => Some(Cause::Task),
            Own { timer: true, .. } => Some(Cause::Timer),
            _ => None,
        }
    }

    /// Whether what [`Self::class`] says of a vector is beyond doubt.
    pub(crate) fn is_clear(&self, apic: u32, vector: u8) -> bool {
        let Some(votes) = self.votes(apic, vector) else {
            return true;
        };
        let line = votes.line.and_then(|line| self.lines.get(&line));
        line.unwrap_or(votes).is_clear()
    }

    /// The guest sent the vector from one of its processors to another.
    pub(crate) fn is_ipi(&mut self, vector: u8) {
        self.own[usize::from(vector)].ipi = true;
    }

    /// The guest's own timer uses the vector.
    pub(crate) fn is_timer(&mut self, vector: u8) {
        self.own[usize::from(vector)].timer = true;
    }

    /// A thread that works for a device of this class raised an MSI with this vector, on behalf of
    /// the interrupt line it raised just before.
    pub(crate) fn raised(&mut self, vector: u8, line: Option<u32>, class: Option<Cause>) -> Msi {
        if let Some(line) = line
            && let Some(votes) = kept(&mut self.lines, line)
        {
            votes.vote(class);
            self.all_lines.vote(class);
        }
        if let Some(votes) = kept(&mut self.anywhere, vector) {
            votes.vote(class);
            votes.line = line.or(votes.line);
        }
        self.answered(class);
        Msi {
            vector,
            line,
            class,
        }
    }

    /// The APIC that an MSI went to.
    pub(crate) fn accepted(&mut self, apic: u32, msi: Msi) {
        if let Some(votes) = kept(&mut self.devices, (apic, msi.vector)) {
            votes.vote(msi.class);
            votes.line = msi.line.or(votes.line);
        }
    }

    /// A thread of the VMM that works for a device of this class delivered a vector without an MSI
    /// event.
    pub(crate) fn delivered(&mut self, apic: u32, vector: u8, class: Cause) {
        if let Some(votes) = kept(&mut self.devices, (apic, vector)) {
            votes.vote(Some(class));
        }
    }

    /// Whether a device of the host was given to the VM and interrupts this APIC.
    pub(crate) fn is_assigned(&self, apic: u32) -> bool {
        let mut all = self.devices.iter();
        all.any(|((on, _), votes)| *on == apic && votes.class() == Some(Cause::Vfio))
    }

    /// The guest wrote to an address: what device listens there, if that is known.
    pub(crate) fn rung(&mut self, address: u64) -> Option<Cause> {
        self.rung = Some(address);
        self.doorbells.get(&address).and_then(Votes::class)
    }

    /// The VMM worked for a device of this class, or the device answered: it was the last one that
    /// was called.
    pub(crate) fn answered(&mut self, class: Option<Cause>) {
        let Some(address) = self.rung.take() else {
            return;
        };
        if class.is_some()
            && let Some(votes) = kept(&mut self.doorbells, address)
        {
            votes.vote(class);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_device_of_which_it_has_the_largest_share() {
        let mut vectors = Vectors::default();
        // A thread that works for a busy network device is taken for that one's with the disk, too.
        for (vector, line, class, times) in [
            (36, 24, Cause::Net, 90),
            (36, 24, Cause::Disk, 4),
            (37, 25, Cause::Net, 11),
            (37, 25, Cause::Disk, 9),
        ] {
            for _ in 0..times {
                let msi = vectors.raised(vector, Some(line), Some(class));
                vectors.accepted(0, msi);
            }
        }
        assert_eq!(vectors.class(0, 36), Some(Cause::Net));
        assert_eq!(vectors.class(0, 37), Some(Cause::Disk));
    }

    #[test]
    fn a_vector_may_be_two_devices_on_two_processors() {
        let mut vectors = Vectors::default();
        assert_eq!(vectors.class(0, 36), None);
        for (apic, line, class) in [(0, 24, Cause::Disk), (1, 25, Cause::Net)] {
            let msi = vectors.raised(36, Some(line), Some(class));
            vectors.accepted(apic, msi);
            assert_eq!(vectors.class(apic, 36), Some(class));
        }
        assert_eq!(vectors.class(0, 36), Some(Cause::Disk));
    }

    #[test]
    fn what_nobody_worked_for_is_a_slow_device() {
        let mut vectors = Vectors::default();
        let msi = vectors.raised(40, None, None);
        vectors.accepted(0, msi);
        assert_eq!(vectors.class(0, 40), Some(Cause::Console));
        assert!(!vectors.is_clear(0, 40));
    }

    #[test]
    fn a_doorbell_is_what_the_vmm_works_for_after_it() {
        let mut vectors = Vectors::default();
        assert_eq!(vectors.rung(0xfeb0_2c50), None);
        vectors.answered(Some(Cause::Disk));
        vectors.answered(Some(Cause::Net));
        assert_eq!(vectors.rung(0xfeb0_2c50), Some(Cause::Disk));
    }
}
