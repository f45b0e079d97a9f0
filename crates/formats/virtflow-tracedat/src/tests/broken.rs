//! Files that are not what they say.

use super::*;
use proptest::prelude::*;
use virtflow_base::{LossKind, ProblemKind};

/// Opens and reads whatever there is; how many ticks there were.
fn survives(bytes: &[u8]) -> Option<usize> {
    let trace = open(bytes).ok()?;
    let (ticks, _) = read(&trace);
    let counted: u64 = trace.count(1).iter().flat_map(|c| &c.by_class).sum();
    // Records may be too short for the field that `read` looks at.
    assert!(ticks.len() as u64 <= counted);
    Some(ticks.len())
}

#[test]
fn cut_at_every_byte() {
    for pack in [Pack::None, Pack::Zstd] {
        let seven = file(SHAPE, pack).version_7().unwrap();
        (0..seven.len()).for_each(|len| {
            survives(&seven[..len]);
        });
    }
    let six = file(SHAPE, Pack::None).version_6();
    let counts: Vec<_> = (0..six.len()).map(|len| survives(&six[..len])).collect();
    let counts: Vec<_> = counts.into_iter().flatten().collect();
    assert!(counts.is_sorted(), "a longer file has no fewer events");
    assert_eq!(counts.last(), Some(&42), "the last page was cut");
}

#[test]
fn a_cut_is_told_as_a_loss_with_its_place() {
    let six = file(SHAPE, Pack::None).version_6();
    // Without the second page of processor 0 of the second buffer and all of processor 1.
    let trace = open(&six[..six.len() - 500]).unwrap();
    let problems = trace.problems();
    assert_eq!(problems.total(), 2, "{problems:?}");
    assert_eq!(problems.kept()[0].kind, ProblemKind::Truncated);
    let losses = &trace.streams()[2].coverage().losses;
    assert_eq!(losses.len(), 1);
    assert_eq!(losses[0].kind, LossKind::Unreadable);
}

#[test]
fn bytes_turned_over() {
    for bytes in [
        file(SHAPE, Pack::None).version_6(),
        file(SHAPE, Pack::None).version_7().unwrap(),
        file(SHAPE, Pack::Zstd).version_7().unwrap(),
    ] {
        for at in 0..bytes.len() {
            for value in [bytes[at] ^ 0xff, 0x80, bytes[at].wrapping_add(1)] {
                let mut bytes = bytes.clone();
                bytes[at] = value;
                survives(&bytes);
            }
        }
    }
}

#[test]
fn after_a_broken_page_the_next_one_is_read() {
    let mut file = file(SHAPE, Pack::Zstd);
    let pages = &mut file.buffers[0].cpus[0];
    // More in use than there is; an entry that cannot be; an event that is not described.
    pages[0][8..12].copy_from_slice(&5_000_u32.to_le_bytes());
    pages[1][16..20].copy_from_slice(&28_u32.to_le_bytes());
    pages[1][8] = 8;
    pages[2][20] = 9;
    let trace = open(&file.version_7().unwrap()).unwrap();
    let (ticks, problems) = read(&trace);
    let kinds: Vec<_> = problems.kept().iter().map(|p| p.kind).collect();
    use ProblemKind::{Corrupt, Undescribed};
    assert_eq!(kinds, [Corrupt, Corrupt, Undescribed]);
    assert!(problems.kept().iter().all(|p| p.place.offset.is_some()));
    assert_eq!(ticks[0].2, 9, "the second of the third page");
    let losses = &trace.streams()[0].coverage().losses;
    assert_eq!(losses.len(), 1, "the page whose head is wrong");
    assert_eq!(losses[0].span.end.as_nanos(), 2_000);
}

#[test]
fn streams_that_overlap_are_left_out() {
    let file = file(SHAPE, Pack::None);
    let mut bytes = file.version_7().unwrap();
    let at = bytes.windows(7).position(|w| w == b"\0\0mono\0").unwrap() + 7 + 8 + 4;
    let whole = (bytes.len() as u64 - 700).to_le_bytes();
    // Each processor of the first buffer has all of the file.
    for cpu in 0..2 {
        let entry = at + 20 * cpu;
        bytes[entry..entry + 8].copy_from_slice(&700_u64.to_le_bytes());
        bytes[entry + 8..entry + 16].copy_from_slice(&whole);
    }
    let trace = open(&bytes).unwrap();
    let problems = trace.problems().kept();
    assert!(
        problems.iter().any(|p| p.kind == ProblemKind::TooLarge),
        "{problems:?}"
    );
    let sum: u64 = trace.streams().iter().map(crate::Stream::bytes).sum();
    assert!(sum <= bytes.len() as u64);
}

#[test]
fn hostile_lengths() {
    let six = file(SHAPE, Pack::None).version_6();
    let seven = file(SHAPE, Pack::Zstd).version_7().unwrap();
    for bytes in [six, seven] {
        for at in 0..bytes.len() - 8 {
            let mut bytes = bytes.clone();
            bytes[at..at + 8].copy_from_slice(&(1_u64 << 40).to_le_bytes());
            survives(&bytes);
        }
    }
}

#[test]
fn options_in_a_circle_come_to_an_end() {
    let mut bytes = file(SHAPE, Pack::None).version_7().unwrap();
    let first = 10 + 2 + 1 + 1 + 4 + 5 + 2;
    let place = bytes[first..first + 8].to_vec();
    let end = bytes.len();
    bytes[end - 8..].copy_from_slice(&place);
    let error = open(&bytes).unwrap_err().to_string();
    assert!(error.contains("in a circle"), "{error}");
}

#[test]
fn a_file_that_shrinks_while_it_is_read() {
    for pack in [Pack::None, Pack::Zstd] {
        let on_disk = on_disk(&file(SHAPE, pack).version_7().unwrap());
        let trace = Arc::new(Trace::open(on_disk.path()).unwrap());
        on_disk.as_file().set_len(100).unwrap();
        let (ticks, problems) = read(&trace);
        assert!(ticks.is_empty());
        assert_eq!(problems.total(), 4, "one of each stream: {problems:?}");
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(tail in prop::collection::vec(any::<u8>(), 0..400), seven: bool) {
        let mut bytes = b"\x17\x08\x44tracing".to_vec();
        bytes.extend_from_slice(if seven { b"7\0" } else { b"6\0" });
        bytes.extend_from_slice(&tail);
        survives(&bytes);
    }
}
