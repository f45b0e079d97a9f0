//! Clocks: from counted cycles to nanoseconds since the Unix epoch (CTF 1.8 section 8, CTF 2
//! section 5.7).

use virtflow_base::Timestamp;

use crate::metadata::Identity;

const SECOND: i128 = 1_000_000_000;

/// What a clock counts from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClockOrigin {
    /// The Unix epoch, 1970-01-01T00:00:00Z.
    UnixEpoch,
    /// A moment that nobody told.
    #[default]
    Unknown,
    /// A moment with a name: clocks from the same one can be compared.
    Custom(Identity),
}

/// A clock of a trace.
#[derive(Clone, Debug)]
pub struct Clock {
    name: String,
    identity: Identity,
    origin: ClockOrigin,
    accuracy: Option<u64>,
    uuid: Option<[u8; 16]>,
    description: String,
    freq: u64,
    precision: Option<u64>,
    offset_s: i64,
    offset: i64,
    absolute: bool,
    /// Nanoseconds of cycle 0, for clocks of 1 GHz.
    nanos_base: Option<i64>,
}

impl Clock {
    pub(crate) fn new(raw: &crate::tsdl::raw::RawClock) -> Self {
        Self {
            identity: Identity::default(),
            origin: ClockOrigin::UnixEpoch,
            accuracy: None,
            name: raw.name.clone(),
            uuid: raw.uuid,
            description: raw.description.clone(),
            freq: raw.freq.max(1),
            precision: Some(raw.precision),
            offset_s: raw.offset_s,
            offset: raw.offset,
            absolute: raw.absolute,
            nanos_base: nanos_base(raw.freq, raw.offset_s, raw.offset),
        }
    }

    /// A clock of CTF 2. Its uuid is its unique id, if that is one.
    pub(crate) fn described(by: Described) -> Self {
        let name = by.identity.name.as_deref().unwrap_or(&by.id).to_owned();
        Self {
            name,
            uuid: by.identity.uid.as_deref().and_then(parse_uuid),
            identity: by.identity,
            absolute: by.origin == ClockOrigin::UnixEpoch,
            origin: by.origin,
            accuracy: by.accuracy,
            description: by.description,
            freq: by.freq.max(1),
            precision: by.precision,
            offset_s: by.offset_s,
            offset: by.offset,
            nanos_base: nanos_base(by.freq, by.offset_s, by.offset),
        }
    }

    /// A clock of 1 GHz from the epoch on, for traces whose time stamps name none.
    pub(crate) fn implied() -> Self {
        Self {
            identity: Identity::default(),
            origin: ClockOrigin::Unknown,
            accuracy: None,
            name: "default".into(),
            uuid: None,
            description: String::new(),
            freq: SECOND as u64,
            precision: None,
            offset_s: 0,
            offset: 0,
            absolute: false,
            nanos_base: Some(0),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its identity; clocks of the same uuid are the same clock.
    pub const fn uuid(&self) -> Option<[u8; 16]> {
        self.uuid
    }

    /// What it is.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Cycles per second.
    pub const fn freq(&self) -> u64 {
        self.freq
    }

    /// Its random error in cycles, if that is known.
    pub const fn precision(&self) -> Option<u64> {
        self.precision
    }

    /// Its systematic error in cycles, if that is known.
    pub const fn accuracy(&self) -> Option<u64> {
        self.accuracy
    }

    /// What it counts from.
    pub const fn origin(&self) -> &ClockOrigin {
        &self.origin
    }

    /// What it is called in CTF 2: clocks of the same identity are the same clock.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Seconds from the epoch to cycle 0, to which [`Self::offset`] is added.
    pub const fn offset_s(&self) -> i64 {
        self.offset_s
    }

    /// Cycles from the epoch to cycle 0, to which [`Self::offset_s`] is added.
    pub const fn offset(&self) -> i64 {
        self.offset
    }

    /// Whether it is correlated with a global clock.
    pub const fn is_absolute(&self) -> bool {
        self.absolute
    }

    /// The moment of `cycles`, rounded down to a nanosecond; saturates at the ends of time.
    #[inline]
    pub fn time(&self, cycles: u64) -> Timestamp {
        match self.nanos_base {
            Some(base) => Timestamp::from_nanos(base.saturating_add_unsigned(cycles)),
            None => self.time_exactly(cycles),
        }
    }

    fn time_exactly(&self, cycles: u64) -> Timestamp {
        let cycles = i128::from(self.offset) + i128::from(cycles);
        let nanos = i128::from(self.offset_s) * SECOND
            + (cycles * SECOND).div_euclid(i128::from(self.freq));
        let saturated = if nanos < 0 { i64::MIN } else { i64::MAX };
        Timestamp::from_nanos(i64::try_from(nanos).unwrap_or(saturated))
    }
}

/// What CTF 2 says of a clock.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) id: Box<str>,
    pub(crate) identity: Identity,
    pub(crate) origin: ClockOrigin,
    pub(crate) freq: u64,
    pub(crate) precision: Option<u64>,
    pub(crate) accuracy: Option<u64>,
    pub(crate) offset_s: i64,
    pub(crate) offset: i64,
    pub(crate) description: String,
}

/// Nanoseconds of cycle 0, for clocks of 1 GHz.
fn nanos_base(freq: u64, offset_s: i64, offset: i64) -> Option<i64> {
    let base = i128::from(offset_s) * SECOND + i128::from(offset);
    (freq == SECOND as u64)
        .then(|| i64::try_from(base).ok())
        .flatten()
}

/// A uuid in its usual form: 32 hexadecimal digits in groups.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<usize> = text.split('-').map(str::len).collect();
    if groups != [8, 4, 4, 4, 12] {
        return None;
    }
    let digits: Vec<u8> = text
        .bytes()
        .filter(|&byte| byte != b'-')
        .map(|byte| char::from(byte).to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    let mut uuid = [0; 16];
    for (byte, pair) in uuid.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Some(uuid)
}

/// A clock's value after reading `bits` low bits `value` of it: the next moment not before `old`
/// at which the clock ends in them (CTF 1.8 section 8). 64 bits replace the value.
#[inline]
pub(crate) const fn advance(old: u64, value: u64, bits: u32) -> u64 {
    if bits >= 64 {
        return value;
    }
    let mask = (1_u64 << bits) - 1;
    let value = value & mask;
    let new = (old & !mask) | value;
    if value < old & mask {
        new.wrapping_add(mask + 1)
    } else {
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(freq: u64, offset_s: i64, offset: i64) -> Clock {
        let mut clock = Clock::implied();
        (clock.freq, clock.offset_s, clock.offset) = (freq, offset_s, offset);
        clock.nanos_base = (freq == SECOND as u64).then(|| offset_s * SECOND as i64 + offset);
        clock
    }

    #[test]
    fn cycles_are_rounded_down_exactly() {
        assert_eq!(clock(1_000_000_000, 2, 3).time(4).as_nanos(), 2_000_000_007);
        assert_eq!(clock(3, 0, 0).time(1).as_nanos(), 333_333_333);
        assert_eq!(clock(3, 0, -2).time(1).as_nanos(), -333_333_334);
        let days = 2_700_000_000 * 86_400 * 3000;
        assert_eq!(
            clock(2_700_000_000, 1, 0).time(days + 27).as_nanos() - 1_000_000_000,
            86_400 * 3000 * 1_000_000_000 + 10
        );
    }

    #[test]
    fn the_ends_of_time_hold() {
        assert_eq!(clock(1, 0, 0).time(u64::MAX), Timestamp::MAX);
        assert_eq!(clock(1_000_000_000, 0, 0).time(u64::MAX), Timestamp::MAX);
        assert_eq!(clock(1, i64::MIN, 0).time(0), Timestamp::MIN);
        assert_eq!(
            clock(u64::MAX, i64::MAX, i64::MAX).time(u64::MAX),
            Timestamp::MAX
        );
    }

    #[test]
    fn low_bits_wrap_forwards() {
        assert_eq!(advance(0x0fff_fff0, 0x7ff_fff1, 27), 0x0fff_fff1);
        assert_eq!(advance(0x0fff_fff0, 3, 27), 0x1000_0003);
        assert_eq!(advance(5, 5, 27), 5);
        assert_eq!(advance(u64::MAX, 0, 1), 0);
        assert_eq!(advance(9, 4, 64), 4);
        assert_eq!(advance(0x1_ffff_ffff, 0, 32), 0x2_0000_0000);
    }
}
