//! Files as trace-cmd writes them.

use super::*;
use virtflow_base::{CpuId, Loss, LossKind, Span};

fn span(start: i64, end: i64) -> Span {
    Span::new(Timestamp::from_nanos(start), Timestamp::from_nanos(end))
}

fn is_whole(trace: &Arc<Trace>) {
    assert!(trace.problems().is_empty(), "{:?}", trace.problems());
    let (ticks, problems) = read(trace);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(ticks.len(), 12 + 9 + 21 + 1);
    assert_eq!(
        ticks[..5].iter().map(|t| t.1).collect::<Vec<_>>(),
        [1010, 1020, 1030, 1040, 2010]
    );
    assert_eq!(ticks.last(), Some(&(3, 5_010, 70)));
    let counts = trace.count(2);
    let counts: Vec<_> = counts.iter().map(|counts| counts.by_class[0]).collect();
    assert_eq!(counts, [12, 9, 21, 1]);
}

#[test]
fn both_versions_in_both_orders_and_words_of_both_lengths() {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        for long in [4, 8] {
            let shape = Shape {
                order,
                long,
                page_size: 512,
            };
            for pack in [Pack::None, Pack::Zlib, Pack::Zstd] {
                let file = file(shape, pack);
                let seven = open(&file.version_7().unwrap()).unwrap();
                assert_eq!((seven.version(), seven.order()), (7, order));
                is_whole(&seven);
                let six = open(&file.version_6()).unwrap();
                assert_eq!(six.version(), 6);
                is_whole(&six);
                assert_eq!(read(&six).0, read(&seven).0);
            }
        }
    }
}

#[test]
fn what_is_told_beside_the_events() {
    let trace = open(&file(SHAPE, Pack::Zstd).version_7().unwrap()).unwrap();
    assert_eq!(trace.options().uname, "Linux vfhost 6.1.0 x86_64");
    assert_eq!(trace.threads().name(143), Some(&b"CPU 0/KVM"[..]));
    let buffers: Vec<_> = trace
        .buffers()
        .iter()
        .map(|b| (b.name(), b.clock().name()))
        .collect();
    assert_eq!(buffers, [("", "mono"), ("calls", "mono")]);
    let streams: Vec<_> = trace
        .streams()
        .iter()
        .map(|s| (s.buffer(), s.cpu()))
        .collect();
    let (first, second) = (CpuId(0), CpuId(1));
    assert_eq!(streams, [(0, first), (0, second), (1, first), (1, second)]);
    let format = &trace.formats()[0];
    assert_eq!((format.system(), format.name()), ("timer", "tick"));
}

#[test]
fn streams_cover_what_their_buffer_does_and_losses_fall_between_pages() {
    for pack in [Pack::None, Pack::Zstd] {
        let trace = open(&file(SHAPE, pack).version_7().unwrap()).unwrap();
        let coverage: Vec<_> = trace
            .streams()
            .iter()
            .map(|s| s.coverage().clone())
            .collect();
        let spans: Vec<_> = coverage.iter().map(|c| c.span.unwrap()).collect();
        // The page's own time is that of its first event.
        assert_eq!(spans[..2], [span(1_000, 3_041); 2]);
        assert_eq!(spans[2..], [span(1_100, 5_011); 2]);
        let lost = Loss {
            span: span(1_540, 2_500),
            kind: LossKind::Events(3),
        };
        assert_eq!(coverage[1].losses, [lost]);
        assert!(coverage[0].losses.is_empty());
    }
}

#[test]
fn reading_begins_near_where_one_wants_it_to() {
    let mut file = file(SHAPE, Pack::Zstd);
    let ticks: Vec<_> = (0..5).map(|n| tick(SHAPE, 10, n)).collect();
    let pages = (0..100).map(|page| SHAPE.page(1_000 * page, &ticks, None));
    file.buffers[0].cpus = vec![pages.collect()];
    let trace = open(&file.version_7().unwrap()).unwrap();
    let all = read(&trace).0;
    let from = Timestamp::from_nanos(75_555);
    let later = read_from(&trace, from).0;
    assert!(later.len() < all.len() / 2);
    let is_later = |tick: &&(usize, i64, i128)| tick.1 >= from.as_nanos();
    assert!(
        all.iter()
            .filter(is_later)
            .eq(later.iter().filter(is_later))
    );
}

#[test]
fn what_the_kernel_counted_beyond_what_pages_tell_is_told() {
    let mut file = file(SHAPE, Pack::None);
    file.options.push((2, b"CPU: 1\noverrun: 3\n\0".to_vec()));
    file.options
        .push((2, b"CPU: 0\noverrun: 5\ndropped events: 2\n\0".to_vec()));
    let trace = open(&file.version_7().unwrap()).unwrap();
    let problems = trace.problems();
    assert_eq!(problems.total(), 1);
    assert!(
        problems.kept()[0]
            .what
            .contains("counted 7 lost events of processor 0")
    );
}

#[test]
fn a_clock_that_counts_no_nanoseconds_is_told() {
    let mut file = file(SHAPE, Pack::None);
    file.clock = "x86-tsc".to_owned();
    let trace = open(&file.version_6()).unwrap();
    assert!(trace.problems().kept()[0].what.contains("`x86-tsc`"));
}

#[test]
fn latency_files_and_other_versions_are_refused_clearly() {
    let six = file(SHAPE, Pack::None).version_6();
    let find = |word: &[u8]| six.windows(word.len()).position(|w| w == word).unwrap();
    let mut latency = six.clone();
    let at = find(b"flyrecord\0");
    latency[at..at + 10].copy_from_slice(b"latency  \0");
    let error = open(&latency).unwrap_err().to_string();
    assert!(error.contains("latency tracer and no events"), "{error}");
    let mut eight = six.clone();
    eight[10] = b'8';
    let error = open(&eight).unwrap_err().to_string();
    assert!(error.contains("version 8"), "{error}");
    let error = open(b"\x17\x08\x44tracin").unwrap_err();
    assert!(matches!(error, crate::Error::NoTraceDat { .. }));
    let seven = file(SHAPE, Pack::Zstd).version_7().unwrap();
    let seven: Vec<u8> = String::from_utf8_lossy(&seven[..26])
        .replace("zstd", "lzma")
        .into();
    let error = open(&seven).unwrap_err().to_string();
    assert!(error.contains("packed with `lzma`"), "{error}");
}

#[test]
fn files_are_known_by_their_first_bytes() {
    let good = on_disk(&file(SHAPE, Pack::None).version_6());
    assert!(crate::is_trace_dat(good.path()));
    assert!(!crate::is_trace_dat(on_disk(b"/* CTF 1.8 */").path()));
    assert!(!crate::is_trace_dat(std::path::Path::new("/nothing/here")));
}
