//! What a trace says about itself.

use super::Field;

/// In which order the bytes of numbers lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// Least significant first.
    #[default]
    Little,
    /// Most significant first.
    Big,
}

/// In which language a trace describes itself; packets and events are the same bytes in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    /// CTF 1.8: TSDL.
    #[default]
    Ctf18,
    /// CTF 2: a JSON text sequence.
    Ctf2,
}

/// Which of LTTng's two event headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HeaderKind {
    /// 5 bits of id, 27 of time: for at most 31 classes that occur often.
    Compact,
    /// 16 bits of id, 32 of time: what LTTng takes for kernel channels.
    #[default]
    Large,
}

impl HeaderKind {
    /// How many low bits of the time the short form keeps.
    pub(crate) const fn time_bits(self) -> u32 {
        match self {
            Self::Compact => 27,
            Self::Large => 32,
        }
    }

    /// The id that announces the extended form; smaller ones fit the short form.
    pub(crate) const fn extended_id(self) -> u32 {
        match self {
            Self::Compact => 31,
            Self::Large => 65535,
        }
    }

    /// Bytes of the extended form.
    pub(crate) const fn extended_bytes(self) -> usize {
        match self {
            Self::Compact => 13,
            Self::Large => 14,
        }
    }
}

/// The clock that stamps events. A stamp of `c` cycles means
/// `offset_s + (offset + c) / freq` seconds since the Unix epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Its name, in CTF 1.8 a TSDL identifier.
    pub name: String,
    /// Its uuid, if it has one.
    pub uuid: Option<[u8; 16]>,
    /// What it is, for people.
    pub description: String,
    /// Cycles per second.
    pub freq: u64,
    /// Whole seconds from the epoch to the clock's zero; written only when not 0.
    pub offset_s: i64,
    /// Further cycles from the epoch to the clock's zero.
    pub offset: i64,
}

impl Clock {
    /// Its offset as seconds and fewer cycles than a second has, never less than 0.
    pub(super) fn whole_seconds(&self) -> (i64, i64) {
        let freq = i64::try_from(self.freq).unwrap_or(i64::MAX).max(1);
        let seconds = self.offset.div_euclid(freq);
        (
            self.offset_s.saturating_add(seconds),
            self.offset.rem_euclid(freq),
        )
    }
}

impl Default for Clock {
    /// LTTng's monotonic clock in nanoseconds, with no offset.
    fn default() -> Self {
        Self {
            name: "monotonic".into(),
            uuid: None,
            description: "Monotonic Clock".into(),
            freq: 1_000_000_000,
            offset_s: 0,
            offset: 0,
        }
    }
}

/// A value of the trace's environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvValue {
    /// Written in quotes.
    Text(String),
    /// Written bare.
    Integer(i64),
}

impl From<&str> for EnvValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// How streams are laid out; enough to write events when the metadata come from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamConfig {
    /// The trace's uuid, as in the metadata.
    pub uuid: [u8; 16],
    /// The trace's byte order, as in the metadata.
    pub byte_order: ByteOrder,
    /// The event header, as in the metadata.
    pub header: HeaderKind,
    /// The most bytes of a packet, padding included.
    pub packet_bytes_max: usize,
    /// Packets are padded to a multiple of this many bytes (LTTng: a page).
    pub packet_bytes_multiple: usize,
}

impl Default for StreamConfig {
    /// Little-endian, large header, packets of at most 1 MiB in pages of 4096 bytes.
    fn default() -> Self {
        Self {
            uuid: [0; 16],
            byte_order: ByteOrder::default(),
            header: HeaderKind::default(),
            packet_bytes_max: 1 << 20,
            packet_bytes_multiple: 4096,
        }
    }
}

/// What a trace made from nothing says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceConfig {
    /// The language of its metadata.
    pub format: Format,
    /// How its streams are laid out.
    pub stream: StreamConfig,
    /// The clock of all streams.
    pub clock: Clock,
    /// The environment, in order.
    pub env: Vec<(String, EnvValue)>,
    /// What precedes the fields of every event (LTTng's contexts: `_tid`, `_procname`, ...).
    pub event_context: Vec<Field>,
}

/// Which stream of a trace a file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamIdentity {
    /// The name of its file, and of its index file without `.idx`.
    pub file_name: String,
    /// The stream class: always 0 in traces made from nothing.
    pub stream_id: u32,
    /// Its number within the class.
    pub instance: u64,
    /// The processor it belongs to.
    pub cpu: u32,
}

impl StreamIdentity {
    /// The stream of `cpu` in LTTng's channel `channel`: `channel_cpu`.
    pub fn of_cpu(channel: &str, cpu: u32) -> Self {
        let file_name = format!("{channel}_{cpu}");
        Self {
            file_name,
            stream_id: 0,
            instance: u64::from(cpu),
            cpu,
        }
    }
}
