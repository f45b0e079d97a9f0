//! What is written can be read back, whatever the chunks, and every answer is that of a naive
//! search over the intervals.

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the message")]

use proptest::prelude::*;
use std::collections::BTreeMap;
use virtflow_base::{Edge, Entity, EntityId, Exit, Interval, Sample, Sink, Span, Timestamp};
use virtflow_history::{
    Direction, FORMAT_VERSION, Lane, MANIFEST, MachineEntry, Piece, Series, Store, StoreError,
    Summary, Vocabulary, Writer,
};

fn vocabulary() -> Vocabulary {
    let words = |some: &[&str]| (0_u8..).zip(some.iter().map(ToString::to_string)).collect();
    Vocabulary {
        kinds: words(&["cpu", "thread"]),
        states: words(&["unknown", "running", "idle", "waiting"]),
        causes: words(&["", "timer"]),
        confidences: words(&["proved", "likely"]),
        evidences: words(&["", "switch", "wake"]),
        edges: words(&["wake-up"]),
        counters: words(&["level", "bytes"]),
    }
}

fn entity(id: u32) -> Entity {
    Entity {
        id: EntityId(id),
        kind: u8::from(id > 0),
        key: format!("thread:{id}"),
        label: vec![b'<', 0xff, b'0' + (id % 10) as u8],
        parent: (id > 0).then_some(EntityId(0)),
        vm: None,
        vcpu: None,
        tid: Some(7),
        pid: None,
        cr3: (id == 1).then_some(0x1000),
    }
}

fn machine(number: u32) -> MachineEntry {
    MachineEntry {
        number,
        name: format!("host{number}"),
        begin_ns: 0,
        end_ns: 1 << 40,
    }
}

const fn span(start: i64, end: i64) -> Span {
    Span::new(Timestamp::from_nanos(start), Timestamp::from_nanos(end))
}

fn interval(entity: u32, vcpu: Option<u32>, start: i64, end: i64, code: u8) -> Interval {
    Interval {
        entity: EntityId(entity),
        span: span(start, end),
        state: code % 4,
        level: code % 3,
        cause: code % 2,
        confidence: code % 2,
        evidence: code % 3,
        vcpu,
        by: (code == 5).then_some(EntityId(0)),
    }
}

struct Made {
    _directory: tempfile::TempDir,
    store: Store,
    all: Vec<Piece>,
}

fn sorted(mut pieces: Vec<Piece>) -> Vec<Piece> {
    pieces.sort_unstable_by_key(|p| (p.lane, p.start));
    pieces
}

/// Writes intervals (each lane's in order, lanes as they come) and opens the store.
fn make(entities: u32, intervals: &[Interval], chunk: usize) -> Made {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let mut writer = Writer::create(&path, "test", "virtflow test", vocabulary())
        .unwrap()
        .keeping_by(&[0])
        .with_chunks_of(chunk);
    writer.machine(machine(0));
    (0..entities).for_each(|id| writer.entity(&entity(id)));
    intervals.iter().for_each(|i| writer.interval(i));
    let written = writer.finish().unwrap();
    assert_eq!(written.intervals, intervals.len() as u64);
    let store = Store::open(&path).unwrap();
    let mut all = Vec::new();
    store.all_intervals(|piece| all.push(*piece)).unwrap();
    assert_eq!(all.len(), intervals.len());
    let all = sorted(all);
    Made {
        _directory: directory,
        store,
        all,
    }
}

/// What an interval became, as its own words.
fn same(store: &Store, piece: &Piece, interval: &Interval) -> bool {
    let doing = store.doing(piece.doing);
    (doing.state, doing.cause, doing.level) == (interval.state, interval.cause, interval.level)
        && (doing.confidence, doing.evidence) == (interval.confidence, interval.evidence)
        && (piece.start, piece.end)
            == (interval.span.start.as_nanos(), interval.span.end.as_nanos())
        && piece.lane.entity == interval.entity.0
        && piece.lane.vcpu == interval.vcpu.map_or(-1, |v| i32::try_from(v).unwrap())
        && piece.by == interval.by.map_or(-1, |b| i32::try_from(b.0).unwrap())
}

/// Lanes with intervals of many lengths, each lane told now and then, as a model does that learns
/// late.
fn lanes() -> impl Strategy<Value = (u32, Vec<Interval>)> {
    let one = (1_i64..5000, 0_u8..6, 0_i64..3);
    let lane = prop::collection::vec(one, 1..300);
    (prop::collection::vec(lane, 1..6), any::<u64>()).prop_map(|(lanes, seed)| {
        let entities = u32::try_from(lanes.len()).unwrap();
        let mut queues: Vec<Vec<Interval>> = lanes
            .into_iter()
            .zip(0_u32..)
            .map(|(lane, id)| {
                // Two lanes of one entity, now and then.
                let (entity, vcpu) = if id % 3 == 2 {
                    (id - 1, Some(1))
                } else {
                    (id, None)
                };
                let mut at = i64::from(id) * 100;
                let rows = lane.into_iter().map(|(ns, code, gap)| {
                    let scale = if code == 3 { 40 } else { 1 };
                    let row = interval(entity, vcpu, at, at + ns * scale, code);
                    at += ns * scale + (gap / 2) * 500;
                    row
                });
                let mut rows: Vec<_> = rows.collect();
                rows.reverse();
                rows
            })
            .collect();
        let mut state = seed | 1;
        let mut all = Vec::new();
        while queues.iter().any(|q| !q.is_empty()) {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let at = (state >> 33) as usize % queues.len();
            let many = (state >> 50) as usize % 20;
            for _ in 0..many {
                all.extend(queues[at].pop());
            }
        }
        (entities, all)
    })
}

fn naive_sums(
    store: &Store,
    all: &[Piece],
    wanted: &[u32],
    begin: i64,
    end: i64,
) -> BTreeMap<(Lane, u8, u8), i64> {
    let mut sums = BTreeMap::new();
    for piece in all.iter().filter(|p| wanted.contains(&p.lane.entity)) {
        let ns = piece.end.min(end) - piece.start.max(begin);
        if ns > 0 {
            let doing = store.doing(piece.doing);
            *sums
                .entry((piece.lane, doing.state, doing.cause))
                .or_default() += ns;
        }
    }
    sums
}

/// Writes values of counters among intervals, which end chunks, and opens the store.
fn count(values: &[(u32, u8, i64, Option<i64>)], chunk: usize) -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let mut writer = Writer::create(&path, "test", "virtflow test", vocabulary())
        .unwrap()
        .holding(&[0])
        .with_chunks_of(chunk);
    writer.machine(machine(0));
    (0..3).for_each(|id| writer.entity(&entity(id)));
    let mut at = -1;
    for &(entity, counter, time, value) in values {
        if time > at {
            writer.interval(&interval(2, None, at, time, 1));
            at = time;
        }
        writer.sample(&Sample {
            entity: EntityId(entity),
            time: Timestamp::from_nanos(time),
            counter,
            value,
        });
    }
    writer.finish().unwrap();
    let store = Store::open(&path).unwrap();
    (directory, store)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn curves_are_those_of_a_naive_search(
        steps in prop::collection::vec((0_u32..2, 0_u8..2, 0_i64..900, -1_i64..50), 1..600),
        chunk in 20_usize..300,
        ranges in prop::collection::vec((0.0_f64..1.0, 0.0_f64..1.0, 1_u32..100), 8),
    ) {
        let mut at = 0;
        let values: Vec<_> = steps.iter().map(|&(entity, counter, step, value)| {
            at += step;
            // Only what holds can cease to be known.
            let value = if counter == 1 { Some(value.max(0)) } else { Some(value).filter(|v| *v >= 0) };
            (entity, counter, at, value)
        }).collect();
        let (_directory, store) = count(&values, chunk);
        let known: u64 = store.series().iter().map(|s| s.values).sum();
        prop_assert_eq!(known, values.iter().filter(|v| v.3.is_some()).count() as u64);
        let mut all = Vec::new();
        store.samples(i64::MIN, i64::MAX, |series, time, value| {
            all.push((series.entity, series.counter, time, value));
        }).unwrap();
        let by_series = |mut rows: Vec<(u32, u8, i64, Option<i64>)>| {
            rows.sort_by_key(|row| (row.0, row.1, row.2));
            rows
        };
        prop_assert_eq!(by_series(all), by_series(values.clone()));
        for (a, b, pixels) in ranges {
            let place = |share: f64| (at as f64 * share) as i64;
            let (begin, end) = (place(a.min(b)), place(a.max(b)) + 1);
            let curves = store.curves(&[0, 1], begin, end, pixels).unwrap();
            let bucket = curves.bucket_ns;
            prop_assert!(bucket <= ((end - begin) / i64::from(pixels)).max(1));
            for (entity, counter) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                let series = Series { entity, counter };
                let own = || values.iter().filter(|v| (v.0, v.1) == (entity, counter));
                let told: Vec<Summary> =
                    curves.points.iter().filter(|p| p.0 == series).map(|p| p.1).collect();
                // What holds at the beginning comes first.
                let before = own().rfind(|v| v.2 < begin && counter == 0);
                let points = if let Some(before) = before {
                    prop_assert_eq!((told[0].start, told[0].last), (before.2, before.3.unwrap_or(-1)));
                    &told[1..]
                } else {
                    &told[..]
                };
                let single = points.len() <= 2 * pixels as usize
                    && own().filter(|v| v.2 >= begin && v.2 < end).map(|v| v.2)
                        .eq(points.iter().map(|p| p.start));
                let width = if single { 0 } else { bucket };
                for point in points {
                    let inside = || own().filter(|v| {
                        if width == 0 { v.2 == point.start }
                        else { v.2 >= point.start && v.2 < point.start + width }
                    });
                    if width == 0 {
                        prop_assert!(inside().any(|v| v.3.unwrap_or(-1) == point.last));
                        continue;
                    }
                    let known: Vec<i64> = inside().filter_map(|v| v.3).collect();
                    prop_assert_eq!(point.count, known.len() as u64);
                    prop_assert_eq!(point.sum, known.iter().sum::<i64>());
                    prop_assert_eq!(point.least, known.iter().min().copied().unwrap_or(-1));
                    prop_assert_eq!(point.greatest, known.iter().max().copied().unwrap_or(-1));
                    prop_assert_eq!(point.last, inside().next_back().unwrap().3.unwrap_or(-1));
                }
                if width > 0 {
                    let first = begin.div_euclid(width) * width;
                    let until = ((end - 1).div_euclid(width) + 1) * width;
                    let count = own().filter(|v| v.2 >= first && v.2 < until && v.3.is_some()).count();
                    prop_assert_eq!(points.iter().map(|p| p.count).sum::<u64>(), count as u64);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn answers_are_those_of_a_naive_search(
        (entities, intervals) in lanes(),
        chunk in 20_usize..400,
        ranges in prop::collection::vec((0.0_f64..1.0, 0.0_f64..1.0, 1_u32..200), 8),
    ) {
        let Made { _directory, store, all } = make(entities, &intervals, chunk);
        for interval in &intervals {
            prop_assert!(all.iter().any(|piece| same(&store, piece, interval)));
        }
        let (first, last) = store.span().unwrap();
        prop_assert_eq!(first, all.iter().map(|p| p.start).min().unwrap());
        let at = |share: f64| first + ((last - first) as f64 * share) as i64;
        let wanted: Vec<u32> = (0..entities).filter(|e| e % 2 == 0 || entities < 3).collect();
        for (a, b, pixels) in ranges {
            let (begin, end) = (at(a.min(b)), at(a.max(b)) + 1);
            let overlaps = |p: &&Piece| p.start < end && p.end > begin && wanted.contains(&p.lane.entity);
            let naive: Vec<_> = all.iter().filter(overlaps).copied().collect();
            prop_assert_eq!(&store.intervals(&wanted, begin, end).unwrap(), &naive);

            let expected = naive_sums(&store, &all, &wanted, begin, end);
            let mut sums = BTreeMap::new();
            for cost in store.budget(&wanted, begin, end).unwrap() {
                let doing = store.doing(cost.doing);
                *sums.entry((cost.lane, doing.state, doing.cause)).or_default() += cost.ns;
            }
            sums.retain(|_, ns| *ns > 0);
            prop_assert_eq!(&sums, &expected);

            // A picture has, in whole buckets, the time of the intervals.
            let view = store.viewport(&wanted, begin, end, pixels).unwrap();
            let bucket = view.bucket_ns.max(1);
            let (wide_begin, wide_end) = (begin.div_euclid(bucket) * bucket, (end - 1).div_euclid(bucket) * bucket + bucket);
            let wide = naive_sums(&store, &all, &wanted, wide_begin, wide_end);
            let mut drawn: BTreeMap<(Lane, u8, u8), i64> = BTreeMap::new();
            for piece in &view.pieces {
                let doing = store.doing(piece.doing);
                let within = if piece.exact || piece.ns > bucket {
                    piece.start.saturating_add(piece.ns).min(wide_end) - piece.start.max(wide_begin)
                } else {
                    piece.ns
                };
                *drawn.entry((piece.lane, doing.state, doing.cause)).or_default() += within.max(0);
                prop_assert!(piece.exact || piece.by == -1 || piece.lane.entity == 0);
            }
            // Of the first entity it is told at any scale who ran.
            let by = |pieces: &[Piece], wide: bool| {
                let mut sums: BTreeMap<i32, i64> = BTreeMap::new();
                for piece in pieces.iter().filter(|p| p.lane.entity == 0) {
                    let ns = if wide { piece.ns } else { piece.end.min(end) - piece.start.max(begin) };
                    *sums.entry(piece.by).or_default() += ns.max(0);
                }
                sums
            };
            let shown = by(&view.pieces, true);
            for (who, ns) in by(&naive, false) {
                prop_assert!(shown.get(&who).is_some_and(|s| *s >= ns), "{}: {} of {:?}", who, ns, shown);
            }
            // Every state in the range is in the picture, and none more than it was.
            for (key, ns) in &expected {
                prop_assert!(drawn.get(key).is_some_and(|d| d >= ns), "{:?}: {} of {:?}", key, ns, drawn.get(key));
            }
            for (key, ns) in &drawn {
                prop_assert!(wide.get(key).is_some_and(|w| w >= ns) || *ns == 0, "{:?}: {} of {:?}", key, ns, wide.get(key));
            }

            // The state at a moment, and the changes before and after it.
            let t = at(a);
            let here: Vec<_> = all.iter().filter(|p| p.start <= t && t < p.end).copied().collect();
            prop_assert_eq!(&store.state_at(t).unwrap(), &here);
            for entity in 0..entities.min(2) {
                let lane = Lane { entity, vcpu: -1 };
                let own: Vec<_> = all.iter().filter(|p| p.lane == lane).copied().collect();
                let next = own.iter().find(|p| p.start > t).copied();
                prop_assert_eq!(store.change(lane, t, Direction::Forth).unwrap(), next);
                let until = own.iter().find(|p| p.start <= t && t < p.end).map_or(t, |p| p.start);
                let previous = own.iter().rfind(|p| p.end <= until).copied();
                prop_assert_eq!(store.change(lane, t, Direction::Back).unwrap(), previous);
            }
        }
    }
}

#[test]
fn edges_and_exits_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let mut writer = Writer::create(&path, "test", "virtflow test", vocabulary()).unwrap();
    writer.machine(machine(0));
    (0..3).for_each(|id| writer.entity(&entity(id)));
    writer.machine(machine(1));
    (0..2).for_each(|id| writer.entity(&entity(id)));
    let at = Timestamp::from_nanos;
    for (from, to, t) in [(0, 1, 10), (1, 0, 20), (0, 1, 30)] {
        writer.edge(&Edge {
            from: EntityId(from),
            from_time: at(t),
            to: EntityId(to),
            to_time: at(t + 5),
            kind: 0,
            confidence: 1,
            evidence: 2,
        });
    }
    writer.exit(&Exit {
        vcpu: EntityId(1),
        nested: None,
        span: span(5, 9),
        entered_again: true,
        reason: 0x7b,
        isa: 2,
        class: 1,
        kernel_ns: 3,
        vmm_ns: 1,
        off_cpu_ns: 0,
        reflected: true,
    });
    let written = writer.finish().unwrap();
    assert_eq!((written.entities, written.edges, written.exits), (5, 3, 1));
    let store = Store::open(&path).unwrap();
    // The second machine's entities follow those of the first.
    assert_eq!(store.entities()[4].parent, Some(3));
    assert_eq!(store.entities()[4].machine, 1);
    assert_eq!(store.entities()[4].label, "<\\xFF1");
    assert_eq!(store.entities()[4].cr3, "0x1000");
    let mut edges = Vec::new();
    store
        .edges(Some(&[3]), 15, 100, |edge| {
            edges.push((edge.from, edge.to, edge.to_ns));
            true
        })
        .unwrap();
    edges.sort_unstable();
    assert_eq!(edges, [(3, 4, 15), (3, 4, 35), (4, 3, 25)]);
    let back = store.follow(4, 34, Direction::Back).unwrap().unwrap();
    assert_eq!((back.to_ns, back.confidence, back.evidence), (15, 1, 2));
    let forth = store.follow(3, 11, Direction::Forth).unwrap().unwrap();
    assert_eq!(forth.from_ns, 30);
    let mut exits = Vec::new();
    store
        .exits(Some(&[4]), 0, 100, |exit| exits.push(*exit))
        .unwrap();
    assert_eq!(exits.len(), 1);
    assert_eq!(
        (exits[0].reason, exits[0].class, exits[0].reflected),
        (0x7b, 1, true)
    );
    store
        .exits(Some(&[3]), 0, 100, |_| panic!("not its exit"))
        .unwrap();
}

#[test]
fn what_is_not_finished_does_not_look_finished() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let mut writer = Writer::create(&path, "test", "virtflow test", vocabulary())
        .unwrap()
        .with_chunks_of(10);
    writer.machine(machine(0));
    writer.entity(&entity(0));
    for at in 0..25 {
        writer.interval(&interval(0, None, at * 10, at * 10 + 10, 1));
    }
    let growing = writer.growing().to_owned();
    assert!(!path.exists());
    assert!(matches!(
        Store::open(&growing),
        Err(StoreError::Unfinished { .. })
    ));
    let store = Store::open_growing(&growing).unwrap();
    assert_eq!(store.manifest().progress.complete_to_ns, Some(200));
    assert_eq!(
        store
            .here(
                Lane {
                    entity: 0,
                    vcpu: -1
                },
                95
            )
            .unwrap()
            .unwrap()
            .start,
        90
    );
    drop(writer);
    assert!(!path.exists() && !growing.exists());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn an_answer_ends_when_nobody_waits_for_it() {
    let Made {
        _directory, store, ..
    } = make(1, &[interval(0, None, 0, 10, 1)], 10);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let asked = store.stopped_by(stop.clone());
    assert_eq!(asked.state_at(5).unwrap().len(), 1);
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    assert!(matches!(asked.state_at(5), Err(StoreError::Stopped)));
    assert!(matches!(
        asked.budget(&[0], 0, 10),
        Err(StoreError::Stopped)
    ));
    assert_eq!(
        store.state_at(5).unwrap().len(),
        1,
        "others are not stopped"
    );
}

#[test]
fn nothing_but_a_store_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let write = || -> Result<_, StoreError> {
        let mut writer = Writer::create(&path, "test", "virtflow test", vocabulary())?;
        writer.machine(machine(0));
        writer.entity(&entity(0));
        writer.finish()
    };
    write().unwrap();
    write().unwrap();
    assert!(Store::open(&path).unwrap().is_complete());
    std::fs::remove_dir_all(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("thesis.tex"), "mine").unwrap();
    assert!(matches!(write(), Err(StoreError::InTheWay { .. })));
    assert!(path.join("thesis.tex").exists());
}

#[test]
fn other_versions_and_broken_files_are_told() {
    let Made {
        _directory, store, ..
    } = make(1, &[interval(0, None, 0, 10, 1)], 10);
    let path = store.path().to_owned();
    let manifest = path.join(MANIFEST);
    let text = std::fs::read_to_string(&manifest).unwrap();
    let version = format!("\"version\": {FORMAT_VERSION}");
    assert!(text.contains(&version));
    std::fs::write(&manifest, text.replace(&version, "\"version\": 77")).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert!(
        matches!(error, StoreError::Version { found: 77, .. }),
        "{error}"
    );
    std::fs::write(&manifest, "{").unwrap();
    assert!(matches!(
        Store::open(&path),
        Err(StoreError::Manifest { .. })
    ));
    std::fs::write(&manifest, &text).unwrap();
    // Each file cut short or turned over: an error, or what is there; never a panic.
    for name in [
        "entities.parquet",
        "doings.parquet",
        "intervals/000000.parquet",
        "lod/000000.parquet",
    ] {
        let file = path.join(name);
        let whole = std::fs::read(&file).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&file, &whole[..cut]).unwrap();
            read_everything(&path);
            let mut turned = whole.clone();
            turned[cut] ^= 0xff;
            std::fs::write(&file, &turned).unwrap();
            read_everything(&path);
        }
        std::fs::write(&file, &whole).unwrap();
    }
    assert!(Store::open(&path).is_ok());
}

fn read_everything(path: &std::path::Path) {
    if let Ok(store) = Store::open(path) {
        let _ = store.viewport(&[0], 0, 100, 1);
        let _ = store.budget(&[0], 0, 100);
        let _ = store.state_at(5);
    }
}

#[test]
fn nothing_is_left_of_an_error_while_writing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let mut writer = Writer::create(&path, "test", "virtflow test", vocabulary())
        .unwrap()
        .with_chunks_of(10);
    writer.machine(machine(0));
    writer.entity(&entity(0));
    let failed = writer.failed();
    std::fs::remove_dir_all(writer.growing().join("lod")).unwrap();
    for at in 0..25 {
        writer.interval(&interval(0, None, at * 10, at * 10 + 10, 1));
    }
    assert!(failed.load(std::sync::atomic::Ordering::Relaxed));
    let error = writer.finish().unwrap_err();
    assert!(error.to_string().contains("lod"), "{error}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
