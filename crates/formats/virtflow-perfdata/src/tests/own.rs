//! What perf tells in records of its own.

use super::*;
use crate::writer::{CONTEXT_SWITCH, INHERIT};
use crate::{Bound, Described, EventFormat};

/// Name, time and fields of what perf told itself.
fn own(trace: &Arc<Trace>) -> Vec<(String, i64, Vec<i128>)> {
    struct Fields(Arc<Described>);
    impl Extract for Fields {
        type Out = (String, i64, Vec<i128>);

        fn extract(&mut self, event: &EventView<'_>) -> Option<Self::Out> {
            let format = &self.0.formats.all()[event.class];
            let (record, mut out) = (event.to_owned(), Vec::new());
            format.visit(record.bytes(), self.0.order, &mut |_, value| {
                if let FieldValue::Int { value, .. } = value {
                    out.push(value);
                }
            });
            Some((format.name().to_owned(), event.time.as_nanos(), out))
        }
    }
    let wanted = |format: &EventFormat| format.system() == "perf";
    let bound = Bound::new(trace.all_formats(), |format| {
        wanted(format).then(Wanted::default)
    });
    let fields = Fields(Arc::clone(trace.described()));
    let mut reader = trace.reader(Arc::new(bound), fields, Timestamp::MIN);
    let mut batch = Vec::new();
    while reader.fill(&mut batch, 9) == Fill::More {}
    batch.into_iter().map(|stamped| stamped.record).collect()
}

#[test]
fn what_perf_tells_itself_is_an_event_that_is_not_listed() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let mut file = usual(order);
        file.recorded[0].flags = INHERIT;
        let before = At {
            time: 0,
            ..at(0, 0, 0)
        };
        let inodes = [1, 2, 3, 4_026_531_836];
        let records = [
            file.thread_map(&[33]),
            file.namespaces(before, (30, 33), inodes),
            file.switch(at(0, 160, 1), true, true),
            file.switch(at(0, 155, 0), false, false),
            file.fork(at(0, 156, 0), (50, 50)),
            file.namespaces(at(0, 157, 0), (50, 50), [1, 2, 3, 9]),
            // Could not be looked up, and is of another kind.
            file.namespaces(at(0, 158, 0), (50, 50), [1, 2, 3, 0]),
            file.exit(at(0, 159, 1)),
        ];
        file.records.extend(records.concat());
        let trace = open(&file.file()).unwrap();
        let event = |name: &str, time, fields: &[i128]| {
            (format!("PERF_RECORD_{name}"), time, fields.to_vec())
        };
        let expected = [
            event("SWITCH", 155, &[33, 0, 0]),
            event("FORK", 156, &[50, 50, 33]),
            event("NAMESPACES", 157, &[50, 9]),
            event("EXIT", 159, &[33, 30]),
            event("SWITCH", 160, &[33, 1, 1]),
        ];
        assert_eq!(own(&trace), expected);
        let namespaces: Vec<_> = trace.namespaces().collect();
        assert_eq!(namespaces, [(33, 4_026_531_836)]);
        assert_eq!(numbers(&trace), [1, 2, 3, 4, 5, 6]);
        assert_eq!(trace.formats().len(), 2);
        // Of a recording of all, tracepoints tell the rest.
        let map = file.thread_map(&[33]);
        let at = file.records.windows(map.len()).position(|some| some == map);
        let at = at.unwrap();
        file.records.drain(at..at + map.len());
        let trace = open(&file.file()).unwrap();
        assert_eq!(own(&trace), [event("NAMESPACES", 157, &[50, 9])]);
    }
}

#[test]
fn in_a_container_perf_numbers_threads_otherwise_and_what_it_tells_of_them_is_left_out() {
    let mut file = usual(ByteOrder::Little);
    file.recorded[0].flags = CONTEXT_SWITCH;
    let elsewhere = At {
        thread: (3, 4),
        ..at(0, 200, 0)
    };
    let raw = |file: &FileWriter| {
        let mut raw = Vec::new();
        file.put(TICK, 2, &mut raw);
        file.put(0, 2, &mut raw);
        file.put(33, 4, &mut raw);
        file.put(7, 4, &mut raw);
        raw
    };
    let records = [
        file.thread_map(&[4]),
        file.sample(elsewhere, &raw(&file)),
        file.switch(elsewhere, false, false),
    ];
    file.records.extend(records.concat());
    let trace = open(&file.file()).unwrap();
    assert_eq!(own(&trace), []);
    assert!(!trace.tells_switches());
}
