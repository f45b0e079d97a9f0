//! What the hosts' threads do.

use super::host::{MS, Ns, US};

/// One step of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A request begins.
    Begin,
    /// Computes for about so long.
    Compute(Ns),
    /// Sends a segment on one of its connections, and waits for what comes of it.
    Ask(usize),
    /// Sends a segment that answers.
    Answer(usize),
    /// Sends a segment to somebody.
    Chat,
    /// Waits for a segment.
    Receive,
    /// Reads from the disk.
    Read,
    /// Sleeps for about so long; a request that it was at is done.
    Sleep(Ns),
}

/// What a thread is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Client,
    Server,
    Store,
    /// Sends to other hosts, and takes what they send.
    Chat,
    Sink,
    Hog,
}

impl Role {
    /// Its steps, over and over.
    pub(super) const fn program(self) -> &'static [Step] {
        use Step::{Answer, Ask, Begin, Chat, Compute, Read, Receive, Sleep};
        match self {
            Self::Client => &[
                Sleep(3 * MS),
                Begin,
                Compute(120 * US),
                Ask(0),
                Receive,
                Compute(60 * US),
            ],
            Self::Server => &[
                Receive,
                Compute(200 * US),
                Ask(1),
                Receive,
                Compute(100 * US),
                Answer(0),
            ],
            Self::Store => &[Receive, Compute(50 * US), Read, Compute(80 * US), Answer(0)],
            Self::Chat => &[Sleep(2 * MS), Compute(10 * US), Chat],
            Self::Sink => &[Receive, Compute(5 * US)],
            Self::Hog => &[Sleep(8 * MS), Compute(3 * MS)],
        }
    }

    pub(super) const fn comm(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Store => "store",
            Self::Chat => "chat",
            Self::Sink => "sink",
            Self::Hog => "hog",
        }
    }
}
