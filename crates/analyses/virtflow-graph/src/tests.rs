//! Lines a person can read, and any lines at all.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Lines in memory: by worker, in time order.
#[derive(Clone, Debug, Default)]
struct Made {
    lines: BTreeMap<char, Vec<Segment<char, char>>>,
    asked: u64,
    /// Who made whom.
    makers: BTreeMap<char, char>,
}

impl Lines for Made {
    type Worker = char;
    type What = char;
    type Error = ();

    fn before(&mut self, worker: char, t: i64) -> Result<Option<Segment<char, char>>, ()> {
        self.asked += 1;
        let line = self.lines.get(&worker).map_or(&[][..], Vec::as_slice);
        let at = line.partition_point(|s| s.begin < t);
        let last = at.checked_sub(1).and_then(|at| line.get(at));
        Ok(last.copied().filter(|s| s.end >= t))
    }

    fn born(&mut self, worker: char) -> Result<Option<(i64, char)>, ()> {
        let first = self.lines.get(&worker).and_then(|line| line.first());
        let maker = self.makers.get(&worker);
        Ok(first.zip(maker).map(|(first, maker)| (first.begin, *maker)))
    }

    fn last_end(&mut self, worker: char, t: i64) -> Result<Option<i64>, ()> {
        let line = self.lines.get(&worker).map_or(&[][..], Vec::as_slice);
        Ok(line.iter().map(|s| s.end).rfind(|end| *end <= t))
    }
}

/// `R10` runs until 10, `P12` is pre-empted until 12, `B20a` is blocked until `a` wakes it at 20,
/// `T30` waits for a timer until 30, `-40` nothing is known until 40; `C20v` waits until `v`, on
/// which it runs, goes on at 20; `D20d5a` waits until 20 for what `a` gave to `d` at 5.
fn lines(text: &[(char, &str)]) -> Made {
    let mut made = Made::default();
    for (worker, line) in text {
        let mut at = 0;
        for word in line.split_whitespace() {
            let what = word.chars().next().unwrap();
            let mut numbers = word.split(char::is_alphabetic).filter(|n| !n.is_empty());
            let end = numbers.next().unwrap().trim_start_matches('-');
            let end = end.parse().unwrap();
            let since = numbers.next().map(|n| n.parse().unwrap());
            let mut names = word.chars().skip(1).filter(char::is_ascii_lowercase);
            let ended_by = match (what, names.next()) {
                ('B', Some(waker)) => EndedBy::Worker(waker),
                ('C', Some(carrier)) => EndedBy::Carrier(carrier),
                ('D', Some(through)) => EndedBy::Transit(Transit {
                    through,
                    what: 'S',
                    since: since.unwrap(),
                    from: names.next(),
                }),
                _ => EndedBy::Nothing,
            };
            if what != '-' {
                made.lines.entry(*worker).or_default().push(Segment {
                    worker: *worker,
                    begin: at,
                    end,
                    what,
                    blocked: "BTCD".contains(what),
                    runs: what == 'R',
                    ended_by,
                });
            }
            at = end;
        }
    }
    made
}

/// `a:R0-10` and so on; `>` where it woke the next.
fn path(made: &mut Made, worker: char, begin: i64, end: i64) -> String {
    let path = critical_path(made, worker, begin, end).unwrap();
    let step = |s: &Step<char, char>| {
        let woke = s.woke.map_or_else(String::new, |w| format!(">{w}"));
        format!(
            "{}:{}{}-{}{woke}",
            s.worker,
            s.what.unwrap_or('?'),
            s.begin,
            s.end
        )
    };
    path.steps.iter().map(step).collect::<Vec<_>>().join(" ")
}

#[test]
fn one_worker_is_its_own_path() {
    let mut made = lines(&[('a', "R10 P12 R20 T30 R40")]);
    assert_eq!(
        path(&mut made, 'a', 5, 35),
        "a:R5-10 a:P10-12 a:R12-20 a:T20-30 a:R30-35"
    );
}

#[test]
fn a_wait_is_the_time_of_whoever_ended_it() {
    let mut made = lines(&[('a', "R10 B30b P32 R40"), ('b', "R15 P20 R50")]);
    assert_eq!(
        path(&mut made, 'a', 0, 40),
        "a:R0-10 b:R10-15 b:P15-20 b:R20-30>a a:P30-32 a:R32-40"
    );
}

#[test]
fn waits_in_waits_are_followed_no_further_back_than_they_began() {
    let mut made = lines(&[
        ('a', "R10 B50b R60"),
        ('b', "R20 B40c R70"),
        // What c did before 20 is not why a waited.
        ('c', "R5 T30 R80"),
    ]);
    assert_eq!(
        path(&mut made, 'a', 0, 60),
        "a:R0-10 b:R10-20 c:T20-30 c:R30-40>b b:R40-50>a a:R50-60"
    );
}

#[test]
fn a_wait_that_does_not_end_in_the_range_is_a_wait() {
    let mut made = lines(&[('a', "R10 B50b R60"), ('b', "R70")]);
    assert_eq!(path(&mut made, 'a', 0, 40), "a:R0-10 a:B10-40");
}

#[test]
fn what_nobody_knows_is_a_gap() {
    let mut made = lines(&[('a', "R10 -20 R30 B50b"), ('b', "-40 R60")]);
    assert_eq!(
        path(&mut made, 'a', 0, 50),
        "a:R0-10 a:?10-20 a:R20-30 b:?30-40 b:R40-50>a"
    );
    assert_eq!(path(&mut made, 'z', 3, 9), "z:?3-9");
}

#[test]
fn before_it_was_made_it_is_its_makers_time() {
    let mut made = lines(&[
        ('a', "R10 B60c R70"),
        ('b', "R15 P20 R40 T65"),
        ('c', "-30 B35b R60"),
    ]);
    made.makers.insert('c', 'b');
    assert_eq!(
        path(&mut made, 'a', 0, 70),
        "a:R0-10 b:R10-15 b:P15-20 b:R20-30>c b:R30-35>c c:R35-60>a a:R60-70"
    );
}

#[test]
fn whoever_does_not_run_wakes_nobody() {
    let mut made = lines(&[('a', "R10 B30b R40"), ('b', "R20 T35 R50")]);
    let path = critical_path(&mut made, 'a', 0, 40).unwrap();
    assert_eq!(path.against_causality, 1);
    assert_eq!(path.steps[1].what, Some('B'));
    // Nor does anybody wake itself.
    let mut made = lines(&[('a', "R10 B30a R40")]);
    let path = critical_path(&mut made, 'a', 0, 40).unwrap();
    assert_eq!((path.steps.len(), path.against_causality), (3, 1));
}

#[test]
fn who_runs_on_another_waits_for_what_that_waits_for() {
    // The process p waits from 10 on; another runs on v until 15, then v sleeps until b wakes it.
    let mut made = lines(&[
        ('p', "R10 C44v R60"),
        ('v', "R15 B30b P40 R60"),
        ('b', "R5 T25 R60"),
    ]);
    assert_eq!(
        path(&mut made, 'p', 0, 60),
        "p:R0-10 b:T10-25 b:R25-30>v v:P30-40 v:R40-44>p p:R44-60"
    );
    // A timer woke v: that is what p waited for, from the beginning on.
    let mut made = lines(&[('p', "R10 C44v R60"), ('v', "R15 T30 P40 R60")]);
    assert_eq!(
        path(&mut made, 'p', 0, 60),
        "p:R0-10 p:C10-30 v:P30-40 v:R40-44>p p:R44-60"
    );
    // Carried by one who is carried; and by one of whom nothing is known.
    let mut made = lines(&[
        ('p', "R10 C44v R60"),
        ('v', "R15 C42w R60"),
        ('w', "R12 B35b R60"),
        ('b', "R60"),
    ]);
    assert_eq!(
        path(&mut made, 'p', 0, 60),
        "p:R0-10 b:R10-35>w w:R35-42>v v:R42-44>p p:R44-60"
    );
    let mut made = lines(&[('p', "R10 C44v R60"), ('v', "R15")]);
    assert_eq!(path(&mut made, 'p', 0, 60), "p:R0-10 p:C10-44 p:R44-60");
}

#[test]
fn what_is_on_its_way_is_the_time_of_what_carries_it_and_then_of_who_sent_it() {
    let mut made = lines(&[('a', "R10 D50d30b R60"), ('b', "R20 P25 R60")]);
    assert_eq!(
        path(&mut made, 'a', 0, 60),
        "a:R0-10 b:R10-20 b:P20-25 b:R25-30>d d:S30-50>a a:R50-60"
    );
    // It had been sent before the wait; nobody knows by whom; by somebody who did not run.
    let mut made = lines(&[('a', "R10 D50d3b R60"), ('b', "R60")]);
    assert_eq!(path(&mut made, 'a', 0, 60), "a:R0-10 d:S10-50>a a:R50-60");
    let mut made = lines(&[('a', "R10 D50d30 R60")]);
    assert_eq!(
        path(&mut made, 'a', 0, 60),
        "a:R0-10 a:D10-30 d:S30-50>a a:R50-60"
    );
    let mut made = lines(&[('a', "R10 D50d30b R60"), ('b', "R20 T40 R60")]);
    let path = critical_path(&mut made, 'a', 0, 60).unwrap();
    assert_eq!((path.steps.len(), path.against_causality), (4, 1));
}

#[test]
fn a_step_knows_the_waits_it_lies_in() {
    let mut made = lines(&[
        ('a', "R10 B50b R60"),
        ('b', "R20 B40c R70"),
        ('c', "R5 T30 R80"),
    ]);
    let path = critical_path(&mut made, 'a', 0, 60).unwrap();
    let waits: Vec<_> = path
        .waits
        .iter()
        .map(|w| (w.worker, w.begin, w.end, w.ended_by, w.inside))
        .collect();
    assert_eq!(
        waits,
        [('a', 10, 50, 'b', None), ('b', 20, 40, 'c', Some(0))]
    );
    let depths: Vec<_> = path.steps.iter().map(|s| path.depth(s)).collect();
    assert_eq!(depths, [0, 1, 2, 2, 1, 0]);
}

#[test]
fn a_path_with_too_many_steps_is_cut_and_says_so() {
    let mut made = lines(&[('a', "R10 P12 R20 T30 R40")]);
    let path = crate::path::walk_back(&mut made, 'a', 0, 40, 2).unwrap();
    assert!(path.cut);
    let told: Vec<_> = path
        .steps
        .iter()
        .map(|s| (s.what, s.begin, s.end))
        .collect();
    assert_eq!(
        told,
        [(None, 0, 20), (Some('T'), 20, 30), (Some('R'), 30, 40)]
    );
    assert!(!critical_path(&mut made, 'a', 0, 40).unwrap().cut);
}

#[test]
fn a_path_has_sums() {
    let mut made = lines(&[('a', "R10 B30b R40"), ('b', "R15 P20 R50")]);
    let path = critical_path(&mut made, 'a', 0, 40).unwrap();
    let sums = sums(&path, |what| *what);
    let told: Vec<_> = sums
        .iter()
        .map(|s| {
            (
                s.worker,
                s.what,
                s.ns,
                s.steps,
                s.longest_ns,
                s.longest_begin,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ('a', Some('R'), 20, 2, 10, 0),
            ('b', Some('R'), 15, 2, 10, 20),
            ('b', Some('P'), 5, 1, 5, 15),
        ]
    );
}

#[test]
fn a_path_is_a_tree_of_waits() {
    let mut made = lines(&[
        ('a', "R10 B50b R60 B80b R90"),
        ('b', "R20 B40c R90"),
        ('c', "R5 T30 R80"),
    ]);
    let path = critical_path(&mut made, 'a', 0, 90).unwrap();
    let tree = tree(&path, |what| *what, |what| *what);
    let told: Vec<_> = tree
        .iter()
        .map(|n| (n.depth, n.branch, n.ns, n.times, n.parent))
        .collect();
    assert_eq!(
        told,
        [
            (0, Branch::Wait('b', 'B'), 60, 2, None),
            (1, Branch::Step('b', Some('R')), 40, 3, Some(0)),
            (1, Branch::Wait('c', 'B'), 20, 1, Some(0)),
            (2, Branch::Step('c', Some('R')), 10, 1, Some(2)),
            (2, Branch::Step('c', Some('T')), 10, 1, Some(2)),
            (0, Branch::Step('a', Some('R')), 30, 3, None),
        ]
    );
    assert_eq!((tree[0].longest_ns, tree[0].longest_begin), (40, 10));
}

/// The line of a group: at each moment that of the member that does most, of two that wait of the
/// one that goes on first.
fn group(made: &Made) -> Vec<Segment<char, char>> {
    let all = || made.lines.values().flatten();
    let mut cuts: Vec<i64> = all().flat_map(|s| [s.begin, s.end]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut line: Vec<Segment<char, char>> = Vec::new();
    for pair in cuts.windows(2) {
        let here = all().filter(|s| s.begin <= pair[0] && s.end >= pair[1]);
        let Some(best) = here.min_by_key(|s| (!s.runs, s.blocked, s.end, s.worker)) else {
            continue;
        };
        let ended_by = match best.ended_by {
            by if best.end == pair[1] => by,
            _ => EndedBy::Nothing,
        };
        match line.last_mut() {
            Some(last)
                if last.end == pair[0] && best.begin < pair[0] && last.worker == best.worker =>
            {
                (last.end, last.ended_by) = (pair[1], ended_by);
            }
            _ => line.push(Segment {
                begin: pair[0],
                end: pair[1],
                ended_by,
                ..*best
            }),
        }
    }
    line
}

#[test]
fn a_group_waits_while_all_of_it_waits_for_what_the_first_to_go_on_waited_for() {
    let mut made = lines(&[
        ('a', "R10 B30b R40 T90 R95"),
        ('b', "T20 R35 B60c P65 R80"),
        ('c', "R100"),
    ]);
    let mut both = made.clone();
    both.lines.remove(&'c');
    made.lines.insert('G', group(&both));
    assert_eq!(
        path(&mut made, 'G', 0, 95),
        "a:R0-10 b:T10-20 b:R20-35 a:R35-40 c:R40-60>b b:P60-65 b:R65-80 a:T80-90 a:R90-95"
    );
    // What a member alone waits for is what it would be without the group.
    assert_eq!(
        path(&mut made, 'a', 0, 40),
        "a:R0-10 b:T10-20 b:R20-30>a a:R30-40"
    );
}

/// Any lines: segments of any kind, with any wakers; `G` is all of them as one.
fn any_lines() -> impl Strategy<Value = Made> {
    let segment = (1_i64..40, 0_usize..8, 0_u8..4);
    let line = prop::collection::vec(segment, 1..60);
    prop::collection::vec(line, 1..5).prop_map(|workers| {
        let count = u8::try_from(workers.len()).unwrap();
        let name = |at: u8| char::from(b'a' + at % count);
        let mut made = Made::default();
        // Each but the first was made by the next, and the last by the first: in a ring.
        for at in 0..count {
            made.makers.insert(name(at), name(at + 1));
        }
        for (worker, line) in (0_u8..).zip(workers) {
            let mut at = 0;
            for (length, kind, by) in line {
                let what = ['R', 'R', 'P', 'B', 'T', '-', 'C', 'D'][kind];
                let ended_by = match what {
                    'B' => EndedBy::Worker(name(by)),
                    'C' => EndedBy::Carrier(name(by)),
                    'D' => EndedBy::Transit(Transit {
                        through: 'z',
                        what: 'S',
                        since: at + length - 2 * i64::from(by),
                        from: Some(name(by + 1)).filter(|_| length % 2 == 0),
                    }),
                    _ => EndedBy::Nothing,
                };
                if what != '-' {
                    made.lines.entry(name(worker)).or_default().push(Segment {
                        worker: name(worker),
                        begin: at,
                        end: at + length,
                        what,
                        blocked: "BTCD".contains(what),
                        runs: what == 'R',
                        ended_by,
                    });
                }
                at += length;
            }
        }
        made.lines.insert('G', group(&made));
        made
    })
}

proptest! {
    #[test]
    fn steps_tile_the_range(
        mut made in any_lines(),
        of in prop::sample::select(vec!['a', 'G']),
        begin in 0_i64..500,
        length in 1_i64..800,
    ) {
        let end = begin + length;
        let segments: usize = made.lines.values().map(Vec::len).sum();
        let path = critical_path(&mut made, of, begin, end).unwrap();
        let mut at = begin;
        for step in &path.steps {
            prop_assert_eq!(step.begin, at, "no gap, no overlap");
            prop_assert!(step.end > step.begin);
            at = step.end;
            if of == 'G' && step.what != Some('R') {
                // A group waits, or is nowhere, only while none of it runs.
                let runs = |s: &Segment<char, char>| s.runs && s.begin < step.end && s.end > step.begin;
                let outside = step.inside.is_none();
                prop_assert!(!outside || !made.lines.values().flatten().any(runs));
            }
            if let Some(woke) = step.woke {
                // It ran when it woke somebody, or made it, or carried it or something for it.
                let carried = made.lines.get(&woke).is_some_and(|line| {
                    line.iter().any(|s| s.ended_by == EndedBy::Carrier(step.worker))
                });
                let made_it = made.makers.get(&woke) == Some(&step.worker);
                prop_assert!("RS".contains(step.what.unwrap_or('?')) || made_it || carried);
                prop_assert!(woke != step.worker);
            }
        }
        prop_assert_eq!(at, end);
        for (at, wait) in path.waits.iter().enumerate() {
            let inside = |w: &Wait<char, char>| w.begin <= wait.begin && wait.end <= w.end;
            prop_assert!(wait.inside.is_none_or(|w| w < at && inside(&path.waits[w])));
        }
        for step in &path.steps {
            let inside = |w: &Wait<char, char>| w.begin <= step.begin && step.end <= w.end;
            prop_assert!(step.inside.is_none_or(|w| inside(&path.waits[w])));
        }
        // Whatever is in a tree is in the parts of it.
        let tree = tree(&path, |what| *what, |what| *what);
        for (at, node) in tree.iter().enumerate() {
            let parts = tree.iter().filter(|n| n.parent == Some(at));
            let parts: i64 = parts.map(|n| n.ns).sum();
            prop_assert!(matches!(node.branch, Branch::Step(..)) || parts == node.ns);
        }
        let top = tree.iter().filter(|n| n.parent.is_none());
        prop_assert_eq!(top.map(|n| n.ns).sum::<i64>(), length);
        prop_assert_eq!(path.steps.iter().map(|s| s.end - s.begin).sum::<i64>(), length);
        // Each segment is asked for a few times by each wait around it at most.
        prop_assert!(made.asked <= 8 * (segments as u64 + 4) * (segments as u64 + 4));
    }
}
