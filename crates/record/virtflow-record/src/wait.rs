//! Waiting until there is something to do: a ring fills up, somebody wants something, or it is time.

use crate::RecordError;
use crate::load::Ring;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fs::Timespec;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

/// The descriptor by which somebody wakes us.
const SOMEBODY: u64 = 1;
/// That of a ring.
const A_RING: u64 = 0;

pub(crate) struct Wait<'a> {
    epoll: OwnedFd,
    wake: Option<BorrowedFd<'a>>,
}

impl<'a> Wait<'a> {
    /// For rings, and for whoever writes to what `wake` reads.
    pub(crate) fn new(ring: &Ring, wake: Option<BorrowedFd<'a>>) -> Result<Self, RecordError> {
        let made = || {
            let epoll = epoll::create(CreateFlags::CLOEXEC)?;
            for fd in ring.fds() {
                // By edge: a ring is readable with the first record, and woken for it later.
                let what = EventFlags::IN | EventFlags::ET;
                epoll::add(&epoll, fd, EventData::new_u64(A_RING), what)?;
            }
            if let Some(fd) = wake {
                epoll::add(&epoll, fd, EventData::new_u64(SOMEBODY), EventFlags::IN)?;
            }
            Ok(epoll)
        };
        let epoll = made().map_err(|e: rustix::io::Errno| {
            RecordError::System("epoll".into(), std::io::Error::from(e))
        })?;
        Ok(Self { epoll, wake })
    }

    /// Waits, but not longer than this.
    pub(crate) fn wait(&self, longest: Duration) {
        let longest = Timespec::try_from(longest).ok();
        let mut events = [Event {
            flags: EventFlags::empty(),
            data: EventData::new_u64(A_RING),
        }; 8];
        // Where it fails, as when a signal comes, somebody looks once more than needed.
        let came = epoll::wait(&self.epoll, &mut events, longest.as_ref()).unwrap_or(0);
        let somebody = events.iter().take(came);
        if somebody.map(|of| of.data.u64()).any(|who| who == SOMEBODY)
            && let Some(fd) = self.wake
        {
            let mut read = [0; 64];
            while rustix::io::read(fd, &mut read).is_ok_and(|bytes| bytes == read.len()) {}
        }
    }
}
