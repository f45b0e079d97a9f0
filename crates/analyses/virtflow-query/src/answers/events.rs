//! The events of a trace from a moment on, some at a time.

use crate::event_json::{Numbers, event_json};
use crate::pipeline::threads;
use virtflow_base::Timestamp;
use virtflow_events::Recording;

/// Some events.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// JSON objects, as [`event_json`] makes them, with commas between.
    pub events: String,
    /// How many they are.
    pub count: usize,
    /// From when on there are more, and how many events at that very moment have been given.
    pub next: Option<(i64, usize)>,
}

/// At most `limit` events whose name `choose` takes, from `from` on; of the events at that very
/// moment `skip` are left out, which were given before. Ends early when `stopped` says so.
pub fn events(
    recording: &Recording,
    choose: impl Fn(&str) -> bool,
    (from, skip): (i64, usize),
    limit: usize,
    stopped: impl Fn() -> bool,
) -> Listed {
    crate::clocks::align(recording);
    let begin = Timestamp::from_nanos(from);
    let mut events = recording.events_from(choose, begin, threads());
    let mut listed = Listed::default();
    let mut json = Vec::new();
    let mut skip_left = skip;
    let mut given_at = (i64::MIN, 0);
    while let Some((_, run)) = events.next_run() {
        if stopped() {
            break;
        }
        for event in run {
            if event.time < begin {
                continue;
            }
            let now = event.time.as_nanos();
            if now != given_at.0 {
                given_at = (now, 0);
            }
            if now == from && skip_left > 0 {
                skip_left -= 1;
                given_at.1 += 1;
                continue;
            }
            if listed.count == limit {
                listed.next = Some(given_at);
                listed.events = text(json);
                return listed;
            }
            if listed.count > 0 {
                json.push(b',');
            }
            let machine = recording.traces().get(event.record.trace());
            let machine = machine.and_then(|trace| recording.machines().get(trace.machine));
            let machine = machine.map_or("", |m| m.name.as_str());
            event_json(event.time, &event.record, machine, Numbers::Safe, &mut json);
            listed.count += 1;
            given_at.1 += 1;
        }
    }
    listed.events = text(json);
    listed
}

fn text(json: Vec<u8>) -> String {
    String::from_utf8(json).unwrap_or_default()
}
