//! Critical paths over hosts: each request of a client's thread against the truth's path of it.

use super::{clocks, fleet};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use virtflow_query::store::{EdgeRecord, EntityRecord, Making, Store, make};
use virtflow_query::{
    CriticalPath, EdgeKind, Facts, Grain, Kind, Options, PathStep, Progress, Recording, State,
    critical_path,
};

/// The part of each request's time that must be told as it was, in percent.
const AGREED_MIN: i64 = 99;
/// The same of all requests' time together, with nothing forgiven.
const AGREED_IN_ALL_MIN: f64 = 98.5;
/// What two clocks are off at most here: boundaries on different hosts move by so much.
const OFF_NS: i64 = 5_000;
/// How often the truth tells what clocks show.
const TOLD_EVERY_NS: i64 = 10_000_000;

/// A stretch of a path on the reference's clock: what was done, where, and by which thread; of a
/// segment on its way, whose it became.
#[derive(Clone, Debug, PartialEq)]
struct Leg {
    what: String,
    machine: String,
    tid: i32,
    begin: i64,
    end: i64,
}

impl Leg {
    fn is_of(&self, other: &Self) -> bool {
        (&self.what, &self.machine, self.tid) == (&other.what, &other.machine, other.tid)
    }
}

fn analysed(dir: &Path) -> (Store, Vec<Facts>) {
    let recording = Recording::open(&dir.join("traces")).unwrap();
    let path = dir.join("store");
    let options = Options::default();
    let made = make(&recording, &path, &options, &Progress::default(), |_| ()).unwrap();
    let Making::Done(_, facts) = made else {
        panic!("stopped");
    };
    (Store::open(&path).unwrap(), facts)
}

/// True times as the reference's clock shows them.
struct Reference {
    begin: i64,
    shown: Vec<i64>,
}

impl Reference {
    fn new(dir: &Path, facts: &[Facts]) -> Self {
        let reference = &facts[0].clock.as_ref().unwrap().reference;
        let text = std::fs::read_to_string(dir.join("truth/clocks.csv")).unwrap();
        let first = text.lines().nth(1).unwrap().split(',').nth(1).unwrap();
        Self {
            begin: first.parse().unwrap(),
            shown: clocks(dir).remove(reference).unwrap(),
        }
    }

    fn at(&self, truly: i64) -> i64 {
        let since = truly - self.begin;
        let step = usize::try_from(since / TOLD_EVERY_NS).unwrap();
        let step = step.min(self.shown.len() - 2);
        let left = since - i64::try_from(step).unwrap() * TOLD_EVERY_NS;
        // The rate is off by a hundred parts in a million at most: nothing of it is seen here.
        self.shown[step] + left * (self.shown[step + 1] - self.shown[step]) / TOLD_EVERY_NS
    }
}

/// The truth's path of each request.
fn truth(dir: &Path, reference: &Reference) -> BTreeMap<u32, Vec<Leg>> {
    let mut all: BTreeMap<u32, Vec<Leg>> = BTreeMap::new();
    let text = std::fs::read_to_string(dir.join("truth/paths.csv")).unwrap();
    for row in text.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        let time = |at: usize| reference.at(cells[at].parse().unwrap());
        all.entry(cells[0].parse().unwrap()).or_default().push(Leg {
            what: cells[4].to_owned(),
            machine: cells[1].to_owned(),
            tid: cells[2].parse().unwrap(),
            begin: time(5),
            end: time(6),
        });
    }
    for legs in all.values_mut() {
        for at in 0..legs.len() - 1 {
            if legs[at].what == "network" {
                let next = (legs[at + 1].machine.clone(), legs[at + 1].tid);
                (legs[at].machine, legs[at].tid) = next;
            }
        }
    }
    all
}

fn machine_of<'a>(store: &'a Store, entity: &EntityRecord) -> &'a str {
    &store.manifest().machines[entity.machine as usize].name
}

fn leg(store: &Store, path: &CriticalPath, step: &PathStep) -> Leg {
    let entities = store.entities();
    let worker = &entities[step.worker as usize];
    let done = step.what.map(|done| store.doing(done.doing));
    let state = done.and_then(|doing| State::from_code(doing.state));
    let (what, whose) = match (Kind::from_code(worker.kind).unwrap(), state) {
        (Kind::Device, Some(state)) => {
            let whose = path.waits[step.inside.unwrap()].worker;
            // A device is where whoever waits for it is.
            assert_eq!(entities[whose as usize].machine, worker.machine);
            let what = match state {
                State::Sleeping => "network",
                State::Uninterruptible => "disk",
                _ => state.as_str(),
            };
            (what, &entities[whose as usize])
        }
        (_, state) => (state.map_or("nobody knows", State::as_str), worker),
    };
    Leg {
        what: what.to_owned(),
        machine: machine_of(store, whose).to_owned(),
        tid: whose.tid.unwrap(),
        begin: step.begin,
        end: step.end,
    }
}

/// The time of ours for which the truth says the same, or did so at most `off` before or after.
fn agreed(ours: &[Leg], truth: &[Leg], off: i64) -> i64 {
    let mut sum = 0;
    for leg in ours {
        // Up to where it is settled.
        let mut at = leg.begin;
        for same in truth.iter().filter(|same| same.is_of(leg)) {
            let (begin, end) = (at.max(same.begin - off), leg.end.min(same.end + off));
            sum += (end - begin).max(0);
            at = at.max(end);
        }
    }
    sum
}

#[test]
fn whoever_sent_a_segment_woke_who_waited_for_it() {
    let dir = tempfile::tempdir().unwrap();
    fleet(1, 4, 2.0, dir.path());
    let (store, facts) = analysed(dir.path());
    let entities = store.entities();
    let at = |entity: u32| &entities[entity as usize];
    let called = |entity: u32| {
        let label = &at(entity).label;
        label.split(':').next().unwrap_or(label).to_owned()
    };
    let mut edges = Vec::new();
    let all = |edge: EdgeRecord| {
        if at(edge.from).machine != at(edge.to).machine {
            edges.push(edge);
        }
        true
    };
    store.edges(None, i64::MIN, i64::MAX, all).unwrap();
    for edge in &edges {
        assert_eq!(edge.kind, EdgeKind::Packet.code());
        assert!(edge.from_ns < edge.to_ns);
        // Who talks with whom.
        let pair = [called(edge.from), called(edge.to)];
        let tids = [at(edge.from).tid.unwrap(), at(edge.to).tid.unwrap()];
        let known = match [pair[0].as_str(), pair[1].as_str()] {
            ["client" | "store", "server"] | ["server", "client" | "store"] => {
                (tids[0] - tids[1]) % 100 == 0
            }
            ["chat", "sink"] => true,
            _ => false,
        };
        assert!(known, "{pair:?} {edge:?}");
    }
    // Each segment of each request has its edge, at both ends as far from it as clocks are.
    let legs = truth(dir.path(), &Reference::new(dir.path(), &facts));
    let mut count = 0;
    for leg in legs.values().flatten().filter(|leg| leg.what == "network") {
        let near = |edge: &&EdgeRecord| {
            let to = at(edge.to);
            let off = (edge.from_ns - leg.begin)
                .abs()
                .max((edge.to_ns - leg.end).abs());
            off < OFF_NS
                && (machine_of(&store, to), to.tid) == (leg.machine.as_str(), Some(leg.tid))
        };
        assert_eq!(edges.iter().filter(near).count(), 1, "{leg:?}");
        count += 1;
    }
    println!("{} edges, {count} of them of requests", edges.len());
    assert!(count > 2_000 && edges.len() > count + 1_000, "{count}");
}

#[test]
fn paths_cross_hosts_as_the_truth_says() {
    let (mut requests, mut all_ns, mut agreed_ns, mut worst) = (0_u64, 0, 0, 100.0_f64);
    for seed in 1..=6 {
        let dir = tempfile::tempdir().unwrap();
        fleet(seed, 3, 2.0, dir.path());
        let (store, facts) = analysed(dir.path());
        let truth = truth(dir.path(), &Reference::new(dir.path(), &facts));
        let threads = store.entities().iter();
        let threads: HashMap<(&str, i32), u32> = threads
            .filter(|e| e.kind == Kind::Thread.code())
            .map(|e| ((machine_of(&store, e), e.tid.unwrap()), e.entity))
            .collect();
        for (request, legs) in &truth {
            let (first, last) = (&legs[0], &legs[legs.len() - 1]);
            let (begin, end) = (first.begin, last.end);
            let worker = threads[&(first.machine.as_str(), first.tid)];
            let path = critical_path(&store, worker, begin, end, Grain::Thread).unwrap();
            assert_eq!((path.against_causality, path.too_deep), (0, 0));
            let ours: Vec<Leg> = path.steps.iter().map(|s| leg(&store, &path, s)).collect();
            let hosts: BTreeSet<&str> = ours.iter().map(|leg| leg.machine.as_str()).collect();
            let told = || format!("seed {seed}, request {request}: {ours:#?}\n{legs:#?}");
            assert_eq!(hosts.len(), 3, "{}", told());
            let same = agreed(&ours, legs, OFF_NS);
            assert!(same * 100 >= (end - begin) * AGREED_MIN, "{}", told());
            requests += 1;
            all_ns += end - begin;
            agreed_ns += agreed(&ours, legs, 0);
            worst = worst.min(same as f64 * 100.0 / (end - begin) as f64);
        }
    }
    assert!(requests > 4_000, "{requests}");
    let mean = agreed_ns as f64 * 100.0 / all_ns as f64;
    println!(
        "{requests} requests: {mean:.2} % of their time as it was, and but for the clocks {worst:.2} % of the worst"
    );
    assert!(mean > AGREED_IN_ALL_MIN, "{mean}");
}
