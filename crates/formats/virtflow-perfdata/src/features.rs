//! What perf notes beside the records (tools/perf/util/header.c), of which a few features are read.

use virtflow_tracefs::ByteOrder;

use crate::bytes::{Bytes, until_nul};

/// Numbers of features.
pub(crate) mod number {
    pub(crate) const TRACING_DATA: u32 = 1;
    pub(crate) const HOSTNAME: u32 = 3;
    pub(crate) const OSRELEASE: u32 = 4;
    pub(crate) const VERSION: u32 = 5;
    pub(crate) const NRCPUS: u32 = 7;
    pub(crate) const DIR_FORMAT: u32 = 24;
    pub(crate) const CLOCK_DATA: u32 = 29;
}

/// The most bytes of a feature that is read.
pub(crate) const FEATURE_MAX: u64 = 1 << 16;

/// What perf noted beside the records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Features {
    /// The name of the host.
    pub hostname: String,
    /// The release of its kernel.
    pub release: String,
    /// The version of perf.
    pub version: String,
    /// How many processors it has, and how many of them were in use.
    pub processors: Option<(u32, u32)>,
    /// A clock's number, and a moment by that of the day and by that clock, in nanoseconds.
    pub clock: Option<(i32, u64, u64)>,
}

impl Features {
    /// Takes a feature; what is cut short is left out.
    pub(crate) fn take(&mut self, feature: u32, bytes: &[u8], order: ByteOrder) {
        let mut all = Bytes::new(bytes, order);
        match feature {
            number::HOSTNAME => text(&mut self.hostname, &mut all),
            number::OSRELEASE => text(&mut self.release, &mut all),
            number::VERSION => text(&mut self.version, &mut all),
            number::NRCPUS => self.processors = all.u32().zip(all.u32()),
            number::CLOCK_DATA => {
                // Behind the version of this.
                let clock = all.u32().and_then(|_| all.u32());
                let moments = clock.and_then(|_| all.u64().zip(all.u64()));
                self.clock = clock
                    .zip(moments)
                    .map(|(clock, (day, own))| (clock.cast_signed(), day, own));
            }
            _ => {}
        }
    }
}

fn text(into: &mut String, all: &mut Bytes<'_>) {
    let len = all.u32().unwrap_or(0);
    if let Some(bytes) = all.take(len.into()) {
        *into = String::from_utf8_lossy(until_nul(bytes)).into_owned();
    }
}
