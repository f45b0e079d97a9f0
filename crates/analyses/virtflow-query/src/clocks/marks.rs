//! What tells where a guest's clock is to be looked for: time stamp counters, and marks.

use std::collections::{BTreeMap, BTreeSet};
use virtflow_base::Timestamp;
use virtflow_events::{ClockInfo, KernelEvent, Recording, Scope, Value};

/// A guest's event that carries a text of its own: LTTng's, from what is written to
/// `/proc/lttng-logger`.
const LOGGER: &str = "lttng_logger";
/// So many marks tell something.
const MARKS_MIN: usize = 3;

/// The offset that was given, or those that KVM gave to time stamp counters, each with the shift that it means for the times
/// of a guest's clock; none unless both clocks are such counters.
///
/// A guest reads the host's counter plus its offset (arch/x86/kvm/x86.c `kvm_read_l1_tsc`).
pub(super) fn tsc_offsets(recording: &Recording, host: usize, guest: usize) -> Vec<(u64, i64)> {
    let (Some(of_host), Some(of_guest)) = (counter(recording, host), counter(recording, guest))
    else {
        return Vec::new();
    };
    let begin = crate::bounds(&recording.coverage_as_told(guest));
    let Some((begin, _)) = begin else {
        return Vec::new();
    };
    let written = match recording.tsc_offset(guest) {
        Some(given) => BTreeSet::from([given]),
        None => offsets_written(recording, host),
    };
    let written = written.into_iter();
    let shifts = written.filter_map(|offset| {
        let shown = tsc_time(of_host, of_guest, offset, begin)?;
        Some((offset, shown.since(begin)))
    });
    shifts.collect()
}

/// The time of the host's counter at a time of its guest's.
pub(super) fn tsc_time(
    host: &ClockInfo,
    guest: &ClockInfo,
    offset: u64,
    time: Timestamp,
) -> Option<Timestamp> {
    let second = 1_000_000_000_i128;
    let since = i128::from(time.as_nanos()) - guest.offset_ns;
    let cycles = since * i128::from(guest.frequency) / second;
    // Counters are of 64 bits and offsets wrap.
    let cycles = (cycles as u64).wrapping_sub(offset);
    let frequency = i128::from(host.frequency.max(1));
    let nanos = host.offset_ns + i128::from(cycles) * second / frequency;
    i64::try_from(nanos).ok().map(Timestamp::from_nanos)
}

/// The clock of a machine that shows its processors' time stamp counter.
pub(super) fn counter(recording: &Recording, machine: usize) -> Option<&ClockInfo> {
    let traces = recording.traces().iter();
    let mut clocks = traces
        .filter(|trace| trace.machine == machine && trace.domain != "ust")
        .flat_map(|trace| &trace.clocks);
    clocks.find(|clock| clock.name.to_ascii_lowercase().contains("tsc"))
}

fn offsets_written(recording: &Recording, host: usize) -> BTreeSet<u64> {
    let kind = |kind: &str| kind == "kvm_x86_write_tsc_offset";
    let mut events = recording.kernel_events_as_told(host, kind, crate::pipeline::threads());
    let mut written = BTreeSet::new();
    while let Some((_, run)) = events.next_run() {
        let offsets = run.iter().filter_map(|event| match event.record.event {
            KernelEvent::KvmWriteTscOffset { next, .. } => Some(next),
            _ => None,
        });
        written.extend(offsets);
    }
    written
}

/// The shift that marks tell, if there are any: a guest wrote a text that ends with a number to its
/// own trace, and made a hypercall with that number as first argument right after.
pub(super) fn marks(recording: &Recording, host: usize, guest: usize) -> Option<i64> {
    let described = recording.described(guest);
    if !described.contains(&LOGGER) {
        return None;
    }
    let written = written(recording, guest);
    let called = called(recording, host, &written);
    // What the clocks differ by at each mark, and a little: it was written before the call.
    let shifts: Vec<i64> = written
        .iter()
        .filter_map(|(number, time)| Some(called.get(number)?.as_ref()?.since((*time)?)))
        .collect();
    if shifts.len() < MARKS_MIN {
        return None;
    }
    shifts.first().copied()
}

/// The numbers that a guest wrote, and when; those that it wrote twice have no time.
fn written(recording: &Recording, guest: usize) -> BTreeMap<u64, Option<Timestamp>> {
    let mut written = BTreeMap::new();
    let mut events = recording.events(|name| name == LOGGER, crate::pipeline::threads());
    while let Some((_, run)) = events.next_run() {
        for event in run {
            let trace = recording.traces().get(event.record.trace());
            if trace.is_some_and(|trace| trace.machine == guest)
                && let Some(number) = number(&event.record)
            {
                once(&mut written, number, event.time);
            }
        }
    }
    written
}

/// Keeps the time of what happens once.
fn once(times: &mut BTreeMap<u64, Option<Timestamp>>, number: u64, time: Timestamp) {
    let seen = times.contains_key(&number);
    times.insert(number, (!seen).then_some(time));
}

/// When hypercalls with such first arguments were made.
fn called(
    recording: &Recording,
    host: usize,
    numbers: &BTreeMap<u64, Option<Timestamp>>,
) -> BTreeMap<u64, Option<Timestamp>> {
    let kind = |kind: &str| kind == "kvm_x86_hypercall";
    let mut events = recording.kernel_events_as_told(host, kind, crate::pipeline::threads());
    let mut called = BTreeMap::new();
    while let Some((_, run)) = events.next_run() {
        for event in run {
            if let KernelEvent::KvmHypercall { a0, .. } = event.record.event
                && numbers.contains_key(&a0)
            {
                once(&mut called, a0, event.time);
            }
        }
    }
    called
}

/// The number at the end of a logged text.
fn number(event: &virtflow_events::AnyEvent) -> Option<u64> {
    let fields = event.value(Scope::Payload).ok()??;
    number_at_end(fields.get("msg").and_then(Value::as_bytes)?)
}

fn number_at_end(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii_end();
    let letters = text.iter().rposition(|byte| !byte.is_ascii_digit());
    let digits = letters.map_or(text, |last| &text[last + 1..]);
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_ends_with_its_number() {
        assert_eq!(number_at_end(b"vfsync 12\n"), Some(12));
        assert_eq!(number_at_end(b"7"), Some(7));
        assert_eq!(number_at_end(b"7 and more"), None);
        assert_eq!(number_at_end(b""), None);
        assert_eq!(number_at_end(b"99999999999999999999999"), None);
    }

    #[test]
    fn a_counter_is_read_back_through_its_offset() {
        let clock = |frequency, offset_ns| ClockInfo {
            name: "x86-tsc".to_owned(),
            frequency,
            uuid: None,
            offset_ns,
        };
        let (host, guest) = (clock(2_000_000_000, 1_000), clock(2_000_000_000, 500));
        // The guest's counter began 3,000 cycles after the host's: its offset is -3,000.
        let offset = 0_u64.wrapping_sub(3_000);
        let time = Timestamp::from_nanos(500 + 2_000);
        let shown = tsc_time(&host, &guest, offset, time).unwrap();
        assert_eq!(shown.as_nanos(), 1_000 + (4_000 + 3_000) / 2);
    }
}
