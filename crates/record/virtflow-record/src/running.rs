//! Who runs on each processor, by its records: a switch that no record tells of is told where the next
//! one shows it.
//!
//! Not every kernel passes `sched_switch` at each switch, and of a processor's first thread there is
//! none; a record has the thread that made it.

use crate::dump::running_kind;
use crate::events::{dump_kind, kind_of};
use crate::order::Record;

/// Where the next thread stands in the fields of a `sched_switch`.
const NEXT_TID: std::ops::Range<usize> = 48..52;

/// Which records say what of who runs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kinds {
    switch: u16,
    exec: u16,
    dump: u16,
    running: u16,
}

impl Kinds {
    pub(crate) fn new() -> Self {
        Self {
            switch: kind_of("sched_switch"),
            exec: kind_of("sched_process_exec"),
            dump: dump_kind(),
            running: running_kind(),
        }
    }
}

/// The thread that runs on a processor, if that is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Running(Option<i32>);

/// Whom a record shows to run: the fields of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shown {
    kind: u16,
    fields: [u8; 8],
}

impl Shown {
    /// It as a record, of the time and processor of another.
    pub(crate) const fn before<'a>(&'a self, record: &Record<'_>) -> Record<'a> {
        Record {
            time: record.time,
            kind: self.kind,
            cpu: record.cpu,
            tid: record.tid,
            pid: record.pid,
            fields: &self.fields,
        }
    }
}

impl Running {
    /// What has to be told before a record of the processor, each of which has to be shown in turn.
    pub(crate) fn shown(&mut self, kinds: &Kinds, record: &Record<'_>) -> Option<Shown> {
        if record.loss().is_some() {
            self.0 = None;
            return None;
        }
        if record.kind >= kinds.dump {
            return None;
        }
        let before = self.0.replace(record.tid);
        if record.kind == kinds.switch {
            // It tells itself who ran.
            let next = record.fields.get(NEXT_TID);
            let next = next.and_then(|tid| tid.try_into().ok());
            self.0 = next.map(i32::from_le_bytes);
            return None;
        }
        // A thread that is not its process's first takes that one's number in exec.
        if before == Some(record.tid) || record.kind == kinds.exec {
            return None;
        }
        let mut fields = [0; 8];
        fields[..4].copy_from_slice(&record.tid.to_le_bytes());
        fields[4..].copy_from_slice(&record.pid.to_le_bytes());
        Some(Shown {
            kind: kinds.running,
            fields,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: u16 = 5;

    fn record(kind: u16, tid: i32, fields: &[u8]) -> Record<'_> {
        Record {
            time: 1,
            kind,
            cpu: 0,
            tid,
            pid: 1,
            fields,
        }
    }

    #[test]
    fn who_runs_is_told_where_no_switch_was() {
        let kinds = Kinds::new();
        let mut running = Running::default();
        let mut to_7 = [0; 56];
        to_7[NEXT_TID].copy_from_slice(&7_i32.to_le_bytes());
        let mut tells = |kind, tid, fields: &[u8]| {
            let shown = running.shown(&kinds, &record(kind, tid, fields));
            shown.map(|shown| {
                shown.fields[..4]
                    .try_into()
                    .map(i32::from_le_bytes)
                    .unwrap()
            })
        };
        assert_eq!(tells(OTHER, 3, &[]), Some(3), "the first");
        assert_eq!(tells(OTHER, 3, &[]), None);
        assert_eq!(tells(kinds.switch, 3, &to_7), None);
        assert_eq!(tells(kinds.dump, 0, &[]), None, "the dump is nobody's");
        assert_eq!(tells(OTHER, 7, &[]), None);
        assert_eq!(tells(OTHER, 9, &[]), Some(9), "7 had left");
        assert_eq!(tells(kinds.switch, 8, &to_7), None, "a switch tells it");
        assert_eq!(tells(kinds.exec, 6, &[]), None, "7 is now 6");
        assert_eq!(tells(OTHER, 6, &[]), None);
        assert_eq!(tells(u16::MAX, 6, &[0; 24]), None, "a loss");
        assert_eq!(tells(OTHER, 6, &[]), Some(6), "who knows what was lost");
    }

    #[test]
    fn the_next_thread_is_where_a_switch_has_it() {
        let fields = crate::events::fields_of("sched_switch");
        let before = fields.split_once(" i32:next_tid").map(|(before, _)| before);
        let sizes = before.unwrap().split(' ').map(|field| match &field[..3] {
            "tex" => 16,
            "i64" => 8,
            _ => 4,
        });
        assert_eq!(sizes.sum::<usize>(), NEXT_TID.start);
    }
}
