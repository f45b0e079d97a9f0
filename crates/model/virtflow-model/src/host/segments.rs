//! TCP segments that leave the host and that come in, noted for whoever knows the other hosts.

use virtflow_base::{EntityId, Timestamp};

/// A segment was given to a network device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Queued {
    /// What names it.
    pub flow: u64,
    /// When.
    pub at: Timestamp,
    /// By which thread; none in an interrupt, where it is nobody's doing that runs there.
    pub by: Option<EntityId>,
}

/// A segment came in, and whoever waited was woken; no thread of this host had sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Woke {
    /// What names the segment.
    pub flow: u64,
    /// When it came in.
    pub received: Timestamp,
    /// Which thread was woken.
    pub woken: EntityId,
    /// When.
    pub at: Timestamp,
}

/// What was noted of a host's segments.
#[derive(Clone, Debug, Default)]
pub struct Segments {
    /// What was sent, in the order of time.
    pub queued: Vec<Queued>,
    /// Who was woken, in the order of time.
    pub woke: Vec<Woke>,
    /// When there was no room for the first one that was not noted.
    pub full_at: Option<Timestamp>,
    /// How many were not noted.
    pub unnoted: u64,
    room: usize,
}

impl Segments {
    /// Notes at most so many.
    pub(crate) fn with_room_for(room: usize) -> Self {
        Self {
            room,
            ..Self::default()
        }
    }

    pub(crate) fn queued(&mut self, queued: Queued) {
        if self.has_room(queued.at) {
            self.queued.push(queued);
        }
    }

    pub(crate) fn woke(&mut self, woke: Woke) {
        if self.has_room(woke.at) {
            self.woke.push(woke);
        }
    }

    fn has_room(&mut self, at: Timestamp) -> bool {
        let has = self.queued.len() + self.woke.len() < self.room;
        // Nobody wants any where there is no room at all.
        if !has && self.room > 0 {
            self.unnoted += 1;
            self.full_at.get_or_insert(at);
        }
        has
    }
}
