//! Files that are not as they should be.

use super::*;
use proptest::prelude::*;

#[test]
fn what_is_no_file_of_perf_is_refused() {
    assert!(matches!(open(b"PERFFILE\0\0"), Err(Error::Version1 { .. })));
    assert!(matches!(open(b"PERF"), Err(Error::NoPerfData { .. })));
    assert!(matches!(open(b"PERFILE2"), Err(Error::Head { .. })));
    let mut file = usual(ByteOrder::Little);
    file.recorded = file.recorded.split_off(2);
    assert!(matches!(
        open(&file.file()),
        Err(Error::NoTracepoints { .. })
    ));
    assert!(matches!(
        open(&file.stream()),
        Err(Error::NoTracepoints { .. })
    ));
}

#[test]
fn a_file_that_perf_could_not_finish_says_how_to_do_better() {
    let file = usual(ByteOrder::Little);
    let mut bytes = file.file();
    bytes[48..56].fill(0);
    let error = open(&bytes).unwrap_err().to_string();
    assert!(error.contains("perf record -o -"), "{error}");
    // A stream is read as far as it goes.
    let mut stream = file.stream();
    stream.truncate(stream.len() - 10);
    let trace = open(&stream).unwrap();
    assert_eq!(numbers(&trace), [1, 2, 3, 4, 5]);
    assert_eq!(told(trace.problems())[0], "a record cut short");
    let cut = trace.coverage().iter().map(|stream| stream.losses.len());
    assert_eq!(cut.collect::<Vec<_>>(), [1, 2], "from its last event on");
}

#[test]
fn numbers_that_overlap_come_to_an_end() {
    let mut file = usual(ByteOrder::Little);
    // Each has the same million of numbers: what lies behind all else.
    let recorded = file.recorded[0].clone();
    file.recorded = vec![recorded; 4_000];
    let mut bytes = file.file();
    let at = bytes.len() as u64;
    bytes.resize(bytes.len() + (7 << 20), 0);
    let attrs_at = u64::from_le_bytes(bytes[24..32].try_into().unwrap()) as usize;
    for number in 0..4_000 {
        let section = attrs_at + 144 * number + 128;
        bytes[section..section + 8].copy_from_slice(&at.to_le_bytes());
        bytes[section + 8..section + 16].copy_from_slice(&(7_u64 << 20).to_le_bytes());
    }
    let error = open(&bytes).unwrap_err().to_string();
    assert!(error.contains("more attributes or numbers"), "{error}");
}

/// Reads all there is, whatever it is.
fn exercise(bytes: &[u8]) -> Option<usize> {
    let trace = open(bytes).ok()?;
    let counted: u64 = trace.count().by_class.iter().sum();
    let bound = Arc::new(trace.bind(|_| Some(Wanted::default())));
    let mut reader = trace.reader_that_holds(bound, Keep, Timestamp::MIN, 1000);
    let mut batch = Vec::new();
    while reader.fill(&mut batch, 100) == Fill::More {}
    assert_eq!(counted, batch.len() as u64);
    for stream in trace.coverage() {
        let Some(span) = stream.span else { continue };
        for loss in &stream.losses {
            assert!(span.start <= loss.span.start && loss.span.end <= span.end);
        }
    }
    Some(batch.len())
}

fn files() -> Vec<Vec<u8>> {
    let file = usual(ByteOrder::Little);
    let mut packed = file.clone();
    let pieces: Vec<Vec<u8>> = rounds(&file).chunks(2).map(<[_]>::concat).collect();
    packed.records = packed.packed(&pieces).unwrap();
    vec![
        file.file(),
        file.stream(),
        usual(ByteOrder::Big).stream(),
        packed.file(),
        packed.stream(),
    ]
}

#[test]
fn cut_at_every_byte() {
    for bytes in files() {
        assert_eq!(exercise(&bytes), Some(6));
        for len in 0..bytes.len() {
            let found = exercise(&bytes[..len]);
            assert!(found.is_none_or(|events| events <= 6), "{len}");
        }
    }
}

#[test]
fn hostile_lengths() {
    for bytes in files() {
        for at in (0..bytes.len() - 8).step_by(4) {
            for value in [0_u64, 1, 0xffff, u64::from(u32::MAX), u64::MAX, 1 << 40] {
                let mut bytes = bytes.clone();
                bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
                exercise(&bytes);
            }
        }
    }
}

proptest! {
    #[test]
    fn bytes_turned_over(
        which in 0_usize..5,
        turns in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = files().swap_remove(which);
        for (at, value) in turns {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        exercise(&bytes);
    }
}
