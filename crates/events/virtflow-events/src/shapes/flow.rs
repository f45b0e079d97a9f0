//! What names a TCP segment on the wire.
//!
//! LTTng parses the headers of a packet into its events (LTTng-modules instrumentation/events/net.h):
//! a variant by the network's protocol, in it another by the transport's. What changes on the way,
//! or would name a segment no better, is left out: time to live, checksums, the window.

use super::Fields;

macro_rules! headers {
    ($($network:literal)*) => {
        /// The slots of an event that tells a packet's headers.
        pub(super) const PACKET: &[&str] = &[
            "skbaddr",
            "len",
            "?name",
            $(
                concat!("?network_header.", $network, ".saddr"),
                concat!("?network_header.", $network, ".daddr"),
                concat!("?network_header.", $network, ".transport_header.tcp.source_port"),
                concat!("?network_header.", $network, ".transport_header.tcp.dest_port"),
                concat!("?network_header.", $network, ".transport_header.tcp.seq"),
                concat!("?network_header.", $network, ".transport_header.tcp.ack_seq"),
                concat!("?network_header.", $network, ".transport_header.tcp.flags"),
            )*
        ];
    };
}

headers! { "ipv4" "ipv6" }

/// The first slot of each network protocol's headers.
const HEADERS: [usize; 2] = [3, 10];

/// Of a segment's headers; 0 where the event tells no TCP header.
pub(super) fn of<V: Fields>(event: &V) -> u64 {
    let Some(first) = HEADERS.into_iter().find(|first| event.has(first + 2)) else {
        return 0;
    };
    let mut hash = Mix::default();
    for slot in [first, first + 1] {
        for part in event.bytes(slot).unwrap_or_default().chunks(8) {
            let mut word = [0; 8];
            word.iter_mut().zip(part).for_each(|(to, from)| *to = *from);
            hash.add(u64::from_be_bytes(word));
        }
    }
    let number = |slot: usize| event.u64(slot).unwrap_or(0);
    hash.add(number(first + 2) << 32 | number(first + 3) << 16 | number(first + 6));
    hash.add(number(first + 4) << 32 | number(first + 5));
    hash.finish()
}

/// A hash of a few words, the same on every machine and in every version.
#[derive(Default)]
struct Mix(u64);

impl Mix {
    /// The finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
    /// generators", 2014), chained.
    const fn add(&mut self, word: u64) {
        let mut z = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15) ^ word;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        self.0 = z ^ (z >> 31);
    }

    /// Never 0, which says that there is no segment.
    const fn finish(self) -> u64 {
        if self.0 == 0 { 1 } else { self.0 }
    }
}
