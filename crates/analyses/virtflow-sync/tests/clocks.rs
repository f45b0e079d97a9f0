//! Clocks that are skewed, drift, and change how they drift, against what is made of their messages.

use proptest::prelude::*;
use virtflow_base::{Span, Timestamp};
use virtflow_sync::{Alignment, Fleet, Message, State};

/// 2026, as nanoseconds since the epoch: what stamps look like.
const EPOCH: f64 = 1.8e18;
const SECOND: f64 = 1e9;

/// A clock: ahead by `offset` nanoseconds at the beginning, faster by `rate`, and that changes by
/// `swing` and back within `period` seconds.
#[derive(Clone, Copy, Debug)]
struct Clock {
    offset: i64,
    rate: f64,
    swing: f64,
    period: f64,
}

impl Clock {
    /// What it shows `t` nanoseconds after the beginning of true time.
    fn shows(&self, t: i64) -> i64 {
        let turn = std::f64::consts::TAU / (self.period * SECOND);
        let swung = self.swing * (1.0 - (turn * t as f64).cos()) / turn;
        EPOCH as i64 + self.offset + t + (self.rate * t as f64 + swung).round() as i64
    }
}

fn clock() -> impl Strategy<Value = Clock> {
    let parts = (-5e9..5e9, -2e-5..2e-5, 0.0..1.0, 60.0..3_600.0);
    parts.prop_map(
        |(offset, rate, share, period): (f64, f64, f64, f64)| Clock {
            offset: offset as i64,
            rate,
            // Two clocks together change within what is believed of them.
            swing: share * 2.4e-8 * period / std::f64::consts::TAU,
            period,
        },
    )
}

#[derive(Clone, Debug)]
struct World {
    clocks: Vec<Clock>,
    nanos: i64,
    messages: Vec<Message>,
}

/// Delays have a least part, different each way, and a random one; both may be tiny, so that the
/// clocks' wander is what matters.
fn world(machines: usize, seconds: std::ops::Range<i64>) -> impl Strategy<Value = World> {
    let clocks = proptest::collection::vec(clock(), machines);
    let message = (0.0..1.0, 0..machines, 1..machines, 0.0..1.0);
    let messages = proptest::collection::vec(message, 300..1_500);
    let least = proptest::collection::vec(0.0..1.0, machines);
    let scale = (20.0_f64.ln()..100_000.0_f64.ln()).prop_map(f64::exp);
    (clocks, seconds, least, scale, messages).prop_map(
        move |(clocks, seconds, least, scale, raw): (Vec<Clock>, i64, Vec<f64>, f64, Vec<_>)| {
            let nanos = seconds * SECOND as i64;
            let mut all: Vec<(i64, Message)> = raw
                .into_iter()
                .map(|(when, from, other, luck): (f64, usize, usize, f64)| {
                    let to = (from + other) % machines;
                    let sent = (when * nanos as f64) as i64;
                    let waits = least[from] - (1.0 - luck).ln();
                    let received = sent + (waits * scale) as i64;
                    let message = Message {
                        from: from as u32,
                        sent: Timestamp::from_nanos(clocks[from].shows(sent)),
                        to: to as u32,
                        received: Timestamp::from_nanos(clocks[to].shows(received)),
                    };
                    (sent, message)
                })
                .collect();
            all.sort_by_key(|(sent, _)| *sent);
            let messages = all.into_iter().map(|(_, message)| message).collect();
            World {
                clocks,
                nanos,
                messages,
            }
        },
    )
}

impl World {
    fn fleet(&self) -> Fleet {
        // Messages of the very end arrive a little later.
        let end = self.nanos + SECOND as i64;
        let span = |clock: &Clock| {
            let at = |t| Timestamp::from_nanos(clock.shows(t));
            Span::new(at(0), at(end))
        };
        Fleet::new(self.clocks.iter().map(span).collect())
    }

    fn aligned(&self, messages: usize) -> Vec<Alignment> {
        let mut fleet = self.fleet();
        let some = self.messages.iter().take(messages);
        some.for_each(|message| fleet.message(message));
        fleet.align(0)
    }

    fn at(&self, machine: usize, t: i64) -> Timestamp {
        Timestamp::from_nanos(self.clocks[machine].shows(t))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_truth_lies_inside_the_error(world in world(3, 5..4_000)) {
        let all = world.aligned(usize::MAX);
        for (machine, alignment) in all.iter().enumerate() {
            prop_assert!(alignment.error_ns.is_some(), "{:?}", alignment.state);
            for step in 0..=500 {
                let t = world.nanos * step / 500;
                let here = world.at(machine, t);
                let off = alignment.map.at(here).since(world.at(0, t)).abs();
                let error = alignment.map.error_at(here);
                prop_assert!(off <= error, "machine {machine} at {t}: {off} > {error}");
                prop_assert!(error <= alignment.error_ns.unwrap());
            }
        }
    }

    #[test]
    fn no_message_arrives_before_it_was_sent(world in world(4, 5..20_000)) {
        let all = world.aligned(usize::MAX);
        for message in &world.messages {
            let sent = all[message.from as usize].map.at(message.sent);
            let received = all[message.to as usize].map.at(message.received);
            // What was matched between two clocks that are aligned to each other by others need
            // not have told anything; the tree's own links have.
            let tree = |a: u32, b: u32| all[a as usize].by == Some(b);
            if tree(message.from, message.to) || tree(message.to, message.from) {
                prop_assert!(sent <= received, "{message:?}: {sent} {received}");
            }
        }
    }

    #[test]
    fn time_never_runs_backwards(world in world(2, 5..100)) {
        let map = &world.aligned(usize::MAX)[1].map;
        for message in &world.messages {
            let time = if message.from == 1 { message.sent } else { message.received };
            for near in -3..3 {
                let (a, b) = (time.plus(near), time.plus(near + 1));
                prop_assert!(map.at(a) <= map.at(b));
                prop_assert!(map.at(b).since(map.at(a)) <= 2);
            }
        }
    }

    #[test]
    fn more_messages_never_widen_the_error(world in world(2, 5..100)) {
        let (few, many) = (world.aligned(world.messages.len() / 2), world.aligned(usize::MAX));
        prop_assume!(few[1].error_ns.is_some());
        // At the ends of stretches of a second the map is midway between its bounds.
        for second in 0..world.nanos / SECOND as i64 {
            let at = world.at(1, 0).plus(second * SECOND as i64);
            let (before, after) = (few[1].map.error_at(at), many[1].map.error_at(at));
            prop_assert!(after <= before + 3, "second {second}: {before} {after}");
        }
    }

    #[test]
    fn one_direction_is_no_alignment(world in world(2, 5..50)) {
        let mut fleet = world.fleet();
        let there = world.messages.iter().filter(|m| m.from == 0);
        there.for_each(|message| fleet.message(message));
        let all = fleet.align(0);
        prop_assert_eq!(all[1].state, State::OneDirection);
        prop_assert!(all[1].map.is_identity() && all[1].error_ns.is_none());
    }

    #[test]
    fn nonsense_is_bounded_and_does_not_panic(
        messages in proptest::collection::vec(
            (0..4_u32, any::<i64>(), 0..4_u32, any::<i64>()), 0..200),
        spans in proptest::collection::vec((any::<i64>(), any::<i64>()), 0..4),
        time in any::<i64>(),
    ) {
        let at = Timestamp::from_nanos;
        let spans = spans.into_iter().map(|(a, b)| Span::new(at(a), at(b)));
        let mut fleet = Fleet::new(spans.collect());
        for (from, sent, to, received) in messages {
            fleet.message(&Message { from, sent: at(sent), to, received: at(received) });
        }
        for alignment in fleet.align(1) {
            let _ = alignment.map.at(at(time));
            prop_assert!(alignment.map.error_at(at(time)) >= 0);
        }
    }
}

/// A steady pair of clocks with good messages is known to within the least delay.
#[test]
fn good_messages_make_an_accurate_clock() {
    let clocks = [(0, 0.0), (3_000_000_000, 1e-5)];
    let clocks = clocks.map(|(offset, rate)| Clock {
        offset,
        rate,
        swing: 0.0,
        period: 100.0,
    });
    let mut world = World {
        clocks: clocks.to_vec(),
        nanos: 10 * SECOND as i64,
        messages: Vec::new(),
    };
    for n in 0..10_000_i64 {
        let (from, to) = ((n % 2) as usize, (1 - n % 2) as usize);
        let sent = n * 1_000_000;
        let received = sent + 10_000 + (n * 7919 % 50_000);
        world.messages.push(Message {
            from: from as u32,
            sent: world.at(from, sent),
            to: to as u32,
            received: world.at(to, received),
        });
    }
    let all = world.aligned(usize::MAX);
    assert_eq!(all[0].state, State::Reference);
    assert_eq!((all[1].state, all[1].by), (State::Accurate, Some(0)));
    assert_eq!((all[1].sent, all[1].received), (5_000, 5_000));
    let error = all[1].error_ns.unwrap();
    assert!((10_000..14_000).contains(&error), "{error}");
}

/// A message that arrives before it was sent, as no clock explains, spoils one second, not all.
#[test]
fn a_wrong_message_is_left_out_and_many_are_told() {
    let lying = |every: i64| {
        let at = |t: i64| Timestamp::from_nanos(EPOCH as i64 + t);
        let second = SECOND as i64;
        let mut fleet = Fleet::new(vec![Span::new(at(0), at(60 * second)); 2]);
        for n in 0..6_000_i64 {
            let sent = n * second / 100;
            let lies = n % every == every / 2;
            let received = if lies {
                sent - second / 5
            } else {
                sent + 20_000
            };
            let (from, to) = ((n % 2) as u32, (1 - n % 2) as u32);
            let (sent, received) = (at(sent), at(received));
            fleet.message(&Message {
                from,
                sent,
                to,
                received,
            });
        }
        let all = fleet.align(0);
        (all[1].state, all[1].map.at(at(0)).since(at(0)).abs())
    };
    let (state, off) = lying(6_000);
    assert_eq!(state, State::Approximate);
    assert!(off < 20_000, "{off}");
    assert_eq!(lying(100), (State::Contradictory, 0));
}
