//! Connections and their segments.

use super::host::Ns;
use virtflow_ctf::writer::Payload;

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Socket {
    pub(super) local: (u8, u16),
    pub(super) peer: (u8, u16),
    /// The thread at the other end: host and thread.
    pub(super) to: (usize, usize),
    /// The next byte sent, and the next one expected.
    pub(super) seq: u32,
    pub(super) ack: u32,
}

/// A segment on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Segment {
    from: (u8, u16),
    to: (u8, u16),
    seq: u32,
    ack: u32,
    bytes: u16,
    /// Which one it is of its sender's.
    id: u16,
    pub(super) sender: (usize, usize),
    pub(super) thread: usize,
    /// The receiving socket.
    pub(super) request: Option<usize>,
}

/// Headers of Ethernet, IPv4 and TCP with time stamps.
const HEADERS: u16 = 14 + 20 + 32;
/// PSH and ACK (RFC 9293, 3.1).
const FLAGS: u16 = 0x18;

impl Socket {
    /// Sends so many bytes.
    pub(super) fn send(
        &mut self,
        bytes: u16,
        id: u16,
        sender: (usize, usize),
        request: Option<usize>,
    ) -> Segment {
        let segment = Segment {
            from: self.local,
            to: self.peer,
            seq: self.seq,
            ack: self.ack,
            bytes,
            id,
            sender,
            thread: self.to.1,
            request,
        };
        self.seq = self.seq.wrapping_add(u32::from(bytes));
        segment
    }

    /// Takes what was sent at the other end, if it is this connection's.
    pub(super) fn receive(&mut self, segment: &Segment) {
        if (segment.to, segment.from) == (self.local, self.peer) {
            self.ack = segment.seq.wrapping_add(u32::from(segment.bytes));
        }
    }
}

impl Segment {
    /// The length of its packet.
    pub(super) const fn len(&self) -> u32 {
        (HEADERS + self.bytes) as u32
    }

    /// How long the wire needs for it, at a gigabit per second.
    pub(super) const fn wire(&self) -> Ns {
        self.len() as Ns * 8
    }

    /// Writes what LTTng tells of a packet.
    pub(super) fn write(&self, p: &mut Payload, skb: u64, device: &str) {
        let total = HEADERS - 14 + self.bytes;
        let address = |host: u8| [10, 20, 0, host + 1];
        p.u64(skb).u32(self.len()).string(device.as_bytes());
        // IPv4 without options, not to be fragmented, 64 hops to live, TCP.
        p.u8(1).raw(&[0x45, 0]).raw(&total.to_be_bytes());
        p.raw(&self.id.to_be_bytes()).raw(&[0x40, 0, 64, 6, 0, 0]);
        p.raw(&address(self.from.0)).raw(&address(self.to.0));
        p.u8(1).raw(&self.from.1.to_be_bytes());
        p.raw(&self.to.1.to_be_bytes());
        p.raw(&self.seq.to_be_bytes()).raw(&self.ack.to_be_bytes());
        // The header has eight words of four bytes.
        p.raw(&(8 << 12 | FLAGS).to_be_bytes());
        p.raw(&[0x0f, 0xaf, 0, 0, 0, 0]);
    }
}
