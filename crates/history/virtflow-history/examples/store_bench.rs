//! How quickly a large store answers: `cargo xtask bench --store 100M` runs this in release mode.
//!
//! The store is made of lanes of three tempers, as traces have them: a tenth of the entities are
//! busy (virtual processors: nine tenths of all intervals), half are now and then, the rest nearly
//! always sleep. Then pictures of 100 rows and 2,000 pixels are asked for at every zoom, of rows
//! that follow one another (as on a screen) and of any rows, and budgets of any range. Cold is
//! after the system's page cache was emptied (as root) and with the store opened anew.

use std::path::{Path, PathBuf};
use std::time::Instant;
use virtflow_base::{Entity, EntityId, Interval, Sink, Span, Timestamp};
use virtflow_history::{MachineEntry, Store, Vocabulary, Writer, size};

const PIXELS: u32 = 2000;
const ROWS: usize = 100;
const SECONDS: i64 = 600;

/// A generator of numbers that is the same everywhere: xorshift.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: u64| {
        let given = arguments.next();
        given.map_or(default, |text| text.parse().expect("a number"))
    };
    let (intervals, entities, rounds) = (number(10_000_000), number(5_000), number(40));
    let path = PathBuf::from(arguments.next().expect("where the store goes"));
    if !path.exists() {
        make(&path, intervals, u32::try_from(entities).expect("entities"));
    }
    let bytes = size(&path).expect("its size");
    say(&format!(
        "  {:.1} bytes per interval, {:.1} MB",
        bytes as f64 / intervals as f64,
        bytes as f64 / 1e6
    ));
    let begun = Instant::now();
    let mut store = Store::open(&path).expect("the store");
    say(&format!(
        "  opened in {:.1} ms",
        begun.elapsed().as_secs_f64() * 1e3
    ));
    let mut numbers = Numbers(7);
    let all = u32::try_from(store.entities().len()).expect("entities");
    let (begin, end) = store.span().expect("a span");
    say("  zoom              rows       n   median    p99   max ms   pieces   cold p99");
    let zooms = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536];
    for zoom in zooms {
        for near in [true, false] {
            let length = (end - begin) / zoom;
            let ask = |store: &Store, numbers: &mut Numbers| {
                let from = begin + numbers.below((end - begin - length + 1) as u64) as i64;
                let first = numbers.below(u64::from(all) - ROWS as u64) as u32;
                let rows: Vec<u32> = if near {
                    (first..).take(ROWS).collect()
                } else {
                    (0..ROWS)
                        .map(|_| numbers.below(u64::from(all)) as u32)
                        .collect()
                };
                let begun = Instant::now();
                let view = store
                    .viewport(&rows, from, from + length, PIXELS)
                    .expect("a picture");
                (begun.elapsed().as_secs_f64() * 1e3, view.pieces.len())
            };
            let warm: Vec<_> = (0..rounds).map(|_| ask(&store, &mut numbers)).collect();
            let mut cold = Vec::new();
            for _ in 0..5 {
                if !empty_cache() {
                    break;
                }
                store = Store::open(&path).expect("the store");
                cold.push(ask(&store, &mut numbers).0);
            }
            let (median, p99, max) = spread(warm.iter().map(|w| w.0).collect());
            let pieces = warm.iter().map(|w| w.1).max().unwrap_or(0);
            let cold = if cold.is_empty() {
                "-".to_owned()
            } else {
                format!("{:.1}", spread(cold).2)
            };
            say(&format!(
                "  1/{zoom:<12} {:>8} {rounds:>7} {median:>8.1} {p99:>6.1} {max:>8.1} {pieces:>8} {cold:>10}",
                if near { "adjacent" } else { "any" }
            ));
        }
    }
    let budget = |rows: usize, numbers: &mut Numbers| {
        let times = (0..rounds).map(|_| {
            let a = begin + numbers.below((end - begin) as u64) as i64;
            let b = begin + numbers.below((end - begin) as u64) as i64;
            let first = numbers.below(u64::from(all) - rows as u64 + 1) as u32;
            let entities: Vec<u32> = (first..).take(rows).collect();
            let begun = Instant::now();
            let costs = store
                .budget(&entities, a.min(b), a.max(b) + 1)
                .expect("a budget");
            assert!(!costs.is_empty());
            begun.elapsed().as_secs_f64() * 1e3
        });
        spread(times.collect())
    };
    for rows in [1, ROWS, all as usize] {
        let (median, p99, max) = budget(rows, &mut numbers);
        say(&format!(
            "  budget of {rows} entities, any range: median {median:.1}, p99 {p99:.1}, max {max:.1} ms"
        ));
    }
}

fn make(path: &Path, intervals: u64, entities: u32) {
    let begun = Instant::now();
    let words = |some: &[&str]| (0..).zip(some.iter().map(ToString::to_string)).collect();
    let vocabulary = Vocabulary {
        kinds: words(&["lane"]),
        states: words(&[
            "guest",
            "hypervisor",
            "halted",
            "preempted",
            "runnable",
            "vmm",
            "stolen",
            "unknown",
        ]),
        causes: words(&["", "timer", "disk", "net"]),
        confidences: words(&["proved", "likely"]),
        evidences: words(&["", "switch", "exit"]),
        edges: words(&["wake-up"]),
        counters: words(&["level", "bytes"]),
    };
    let mut writer = Writer::create(path, "bench", "store bench", vocabulary).expect("a store");
    writer.machine(MachineEntry {
        number: 0,
        name: "bench".into(),
        begin_ns: 0,
        end_ns: SECONDS * 1_000_000_000,
    });
    for id in 0..entities {
        writer.entity(&Entity {
            id: EntityId(id),
            kind: 0,
            key: format!("lane:{id}"),
            label: format!("lane {id}").into_bytes(),
            parent: None,
            vm: None,
            vcpu: None,
            tid: None,
            pid: None,
            cr3: None,
        });
    }
    // Mean lengths such that there are as many intervals as asked for.
    let total = SECONDS as f64 * 1e9;
    let share = |id: u32| match id % 10 {
        0 => 0.9 / (f64::from(entities) / 10.0),
        1..=5 => 0.09 / (f64::from(entities) / 2.0),
        _ => 0.01 / (f64::from(entities) * 0.4),
    };
    let mut numbers = Numbers(1);
    let mut ends = std::collections::BinaryHeap::new();
    let mut starts = vec![0_i64; entities as usize];
    for id in 0..entities {
        ends.push(std::cmp::Reverse((1 + numbers.below(1000) as i64, id)));
    }
    for _ in 0..intervals {
        let Some(std::cmp::Reverse((end, id))) = ends.pop() else {
            break;
        };
        let start = starts[id as usize];
        let what = numbers.next();
        // A few things most of the time, others now and then: about five in a bucket, as the
        // shared traces have.
        let (state, cause) = match what % 64 {
            0..28 => (0, 0),
            28..56 => (1, 1 + (what >> 6 & 1) as u8),
            56..60 => (2, 1),
            60..62 => (3, 0),
            62 => (4, 0),
            _ => (5 + (what >> 7) as u8 % 3, 0),
        };
        writer.interval(&Interval {
            entity: EntityId(id),
            span: Span::new(Timestamp::from_nanos(start), Timestamp::from_nanos(end)),
            state,
            level: u8::from(state == 0),
            cause,
            confidence: u8::from(state == 2 && what >> 12 & 7 == 0),
            evidence: state % 3,
            vcpu: None,
            by: (state == 3).then(|| EntityId((what >> 10) as u32 % entities)),
        });
        starts[id as usize] = end;
        let mean = (total / (intervals as f64 * share(id))).max(2.0);
        ends.push(std::cmp::Reverse((
            end + 1 + numbers.below((mean * 2.0) as u64) as i64,
            id,
        )));
    }
    let written = writer.finish().expect("the store");
    let seconds = begun.elapsed().as_secs_f64();
    say(&format!(
        "  written: {} intervals in {seconds:.1} s, {:.0} ns each",
        written.intervals,
        seconds * 1e9 / written.intervals as f64
    ));
}

/// Empties the page cache; says whether it may.
fn empty_cache() -> bool {
    std::fs::write("/proc/sys/vm/drop_caches", "1").is_ok()
}

fn spread(mut times: Vec<f64>) -> (f64, f64, f64) {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
    (at(0.5), at(0.99), at(1.0))
}

#[expect(clippy::print_stdout, reason = "the report")]
fn say(text: &str) {
    println!("{text}");
}
