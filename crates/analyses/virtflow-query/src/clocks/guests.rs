//! Which machines are guests of which, and what that says of their clocks.
//!
//! Whatever a guest's processor does falls into a stay of its vCPU in guest mode. So a guest's trace
//! given together with its host's tells by itself whose guest it is, which processor is which vCPU,
//! and how its clock runs: [`virtflow_sync::search`] finds the shift for some seconds of both
//! recordings, and the whole of both is then read side by side, each entry being a message to
//! the guest and each exit one from it. Where there is more to go by, the search begins there: time
//! stamp counters and the offset that KVM wrote, or marks ([`super::marks`]). Nothing of that is
//! believed unless what the guest did falls into guest mode.

use super::Groups;
use super::guest_mode::{self, Stays};
use super::marks;
use crate::pipeline::{machines, threads};
use std::collections::BTreeMap;
use virtflow_base::{CpuId, Span, Tid, Timestamp};
use virtflow_events::{GuestClock, KernelReader, Merge, Recording};
use virtflow_sync::{Bounded, Fit, Fleet, Message, RATE_MAX_DIVISOR, narrow, search};

/// How much of both recordings is looked at first, and how much further than the stays in guest mode
/// what the guest did may be: its clock may run faster or slower, by parts per million mostly.
const SAMPLES_NS: [(i64, i64); 3] = [
    (1_000_000_000, 1_000),
    (5_000_000_000, 5_000),
    (1_000_000_000, 100_000),
];
/// Moments of the sample are this far apart.
const SAMPLE_APART_NS: i64 = 500_000;
/// The most moments of a processor that are tried on every vCPU, and on the best few.
const TRIED: [usize; 2] = [200, 4_000];
/// How many are the best few.
const FEW: usize = 4;
/// The most stays in guest mode that are looked at.
const STAYS_MAX: usize = 4_000_000;
/// How far apart clocks can be that both tell the time of day: a little, as long as both are kept by
/// somebody, or more.
const REACHES_NS: [i64; 2] = [3_000_000_000, 90_000_000_000];
/// How far apart the beginnings of two recordings of the same can be.
const BEGINNINGS_NS: i64 = 30_000_000_000;
/// How far around a shift that something else tells it is looked for.
const HINT_NS: i64 = 2_000_000;
/// What is fitted at once, in the full reading.
const WINDOW_NS: i64 = 250_000_000;
/// By how much clocks may run apart within that: by one part per million, or by 200.
const APART_NS: [i64; 2] = [250, 50_000];
/// How often two counters are compared at most.
const COUNTS_MAX: i64 = 10_000;
/// The most moments of a processor within that.
const WINDOW_MOMENTS: usize = 8_192;

/// What is known of those machines that are guests.
pub(super) type Guests = BTreeMap<usize, GuestClock>;

/// What tells where a guest's clock is to be looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hint {
    /// Nothing but when its vCPUs are in guest mode.
    GuestMode,
    /// Marks.
    Marks,
    /// Both machines' clocks are time stamp counters, and KVM wrote this offset.
    TscOffset(u64),
}

impl Hint {
    const fn as_str(self) -> &'static str {
        match self {
            Self::GuestMode => "guest-mode",
            Self::Marks => "marks",
            Self::TscOffset(_) => "tsc-offset",
        }
    }
}

/// Where a guest's clock is looked for: so much is to be added to it, more or less.
#[derive(Clone, Copy, Debug)]
struct Around {
    shift: i64,
    reach: i64,
    /// Whether something else tells that it is there.
    told: bool,
}

/// A guest's processors, and by how much its clock differs.
struct Found {
    /// The vCPU threads of its processors.
    vcpus: BTreeMap<CpuId, Tid>,
    fit: Fit,
}

/// Finds out which machines are guests, and gives what that says of their clocks to the fleet.
pub(super) fn read(recording: &Recording, groups: &Groups, fleet: &mut Fleet) -> Guests {
    let mut guests = Guests::new();
    let hosts: Vec<usize> = machines(recording)
        .into_iter()
        .filter(|&machine| has_entries(recording, machine))
        .collect();
    if hosts.is_empty() {
        return guests;
    }
    let told = fleet.align(0);
    for guest in machines(recording) {
        // Who has guests itself is another host, unless nothing is known of it.
        let known = groups.clock_of[guest]
            .and_then(|clock| told.get(clock as usize))
            .is_some_and(|alignment| alignment.error_ns.is_some());
        if known && hosts.contains(&guest) && enters(recording, guest) {
            continue;
        }
        for &host in &hosts {
            if groups.clock_of[host] != groups.clock_of[guest]
                && let Some(pair) = Pair::new(recording, groups, host, guest)
                && let Some(clock) = pair.read(fleet)
            {
                guests.insert(guest, clock);
                break;
            }
        }
    }
    guests
}

/// Whether entries of guests can be in a machine's trace.
fn has_entries(recording: &Recording, machine: usize) -> bool {
    let names = recording.described(machine);
    let is = |kind: &str| {
        let mut names = names.iter();
        names.any(|name| virtflow_events::kind(name) == Some(kind))
    };
    is("kvm_x86_entry") && is("kvm_x86_exit")
}

/// Whether any are.
fn enters(recording: &Recording, machine: usize) -> bool {
    let always = Span::new(Timestamp::MIN, Timestamp::MAX);
    !guest_mode::stays(recording, machine, always, 1).is_empty()
}

/// A host and a machine that may be its guest.
#[derive(Clone, Copy)]
struct Pair<'a> {
    recording: &'a Recording,
    groups: &'a Groups,
    host: usize,
    guest: usize,
    /// From the first event to the end of what each recorded, on its own clock.
    host_span: Span,
    guest_span: Span,
}

impl<'a> Pair<'a> {
    fn new(
        recording: &'a Recording,
        groups: &'a Groups,
        host: usize,
        guest: usize,
    ) -> Option<Self> {
        let span = |machine, first: Option<Timestamp>| {
            let (_, end) = crate::bounds(&recording.coverage_as_told(machine))?;
            first.map(|first| Span::new(first, end))
        };
        let entries = guest_mode::entries(recording, host, threads());
        let all = guest_mode::all(recording, guest, threads());
        Some(Self {
            recording,
            groups,
            host,
            guest,
            host_span: span(host, guest_mode::first(entries))?,
            guest_span: span(guest, guest_mode::first(all))?,
        })
    }

    fn read(&self, fleet: &mut Fleet) -> Option<GuestClock> {
        let places = self.hints().into_iter().map(|(hint, shift)| {
            let (reach, told) = (HINT_NS, true);
            (hint, Around { shift, reach, told })
        });
        let reaches = REACHES_NS.map(|reach| {
            let (shift, told) = (0, false);
            (Hint::GuestMode, Around { shift, reach, told })
        });
        let beginnings = Around {
            shift: self.host_span.start.since(self.guest_span.start),
            reach: BEGINNINGS_NS,
            told: false,
        };
        let last = std::iter::once((Hint::GuestMode, beginnings));
        let mut places = places.chain(reaches).chain(last);
        let (hint, first) = places.find_map(|(hint, around)| Some((hint, self.find(around)?)))?;
        // Now that it is known when both were recorded: as it is at the beginning of that.
        let shift = first.fit.middle();
        let away = self.both(shift)?.nanos() / RATE_MAX_DIVISOR;
        let (reach, told) = (away.saturating_add(HINT_NS), true);
        let found = self.find(Around { shift, reach, told });
        let mut follower = Follower::new(*self, found.unwrap_or(first));
        follower.follow(fleet);
        if let Hint::TscOffset(offset) = hint {
            self.count(offset, fleet);
        }
        Some(GuestClock {
            host: self.host,
            how: hint.as_str(),
            vcpus: follower.vcpus.into_iter().collect(),
            moments: follower.moments,
            inside: follower.inside,
        })
    }

    /// Where something else tells the clock to be.
    fn hints(&self) -> Vec<(Hint, i64)> {
        let offsets = marks::tsc_offsets(self.recording, self.host, self.guest);
        let offsets = offsets
            .into_iter()
            .map(|(offset, shift)| (Hint::TscOffset(offset), shift));
        let marks = marks::marks(self.recording, self.host, self.guest);
        offsets
            .chain(marks.map(|shift| (Hint::Marks, shift)))
            .collect()
    }

    /// Gives what the two time stamp counters tell to the fleet: the same moment on both.
    fn count(&self, offset: u64, fleet: &mut Fleet) {
        let counter = |machine| marks::counter(self.recording, machine);
        let clocks = self.clocks();
        let (Some(of_host), Some(of_guest)) = (counter(self.host), counter(self.guest)) else {
            return;
        };
        let (Some((host, guest)), span) = (clocks, self.guest_span) else {
            return;
        };
        let every = (span.nanos() / COUNTS_MAX).max(WINDOW_NS);
        let mut time = span.start;
        while time <= span.end {
            if let Some(shown) = marks::tsc_time(of_host, of_guest, offset, time) {
                // Both are rounded to nanoseconds.
                fleet.message(&Message {
                    from: host,
                    sent: shown.plus(-2),
                    to: guest,
                    received: time,
                });
                fleet.message(&Message {
                    from: guest,
                    sent: time,
                    to: host,
                    received: shown.plus(2),
                });
            }
            time = time.plus(every);
        }
    }

    /// The numbers of the clocks of both.
    fn clocks(&self) -> Option<(u32, u32)> {
        let clock = |machine: usize| self.groups.clock_of.get(machine).copied().flatten();
        Some((clock(self.host)?, clock(self.guest)?))
    }

    /// When both were recorded, on the guest's clock, if `shift` is to be added to it.
    fn both(&self, shift: i64) -> Option<Span> {
        moved(self.host_span, shift.saturating_neg()).intersect(self.guest_span)
    }

    fn find(&self, around: Around) -> Option<Found> {
        let mut samples = SAMPLES_NS.into_iter();
        samples.find_map(|(nanos, apart)| self.find_in(around, nanos, apart))
    }

    fn find_in(&self, around: Around, nanos: i64, apart: i64) -> Option<Found> {
        let both = self.both(around.shift)?;
        let margin = around.reach.min(both.nanos() / 4);
        let start = both.start.plus(margin);
        let end = both.end.plus(-margin).min(start.plus(nanos));
        let sample = Span::new(start, end);
        let moments = guest_mode::moments(self.recording, self.guest, sample, SAMPLE_APART_NS);
        let (from, to) = (around.shift - around.reach, around.shift + around.reach);
        let host = Span::new(sample.start.plus(from), sample.end.plus(to));
        let mut stays = guest_mode::stays(self.recording, self.host, host, STAYS_MAX);
        stays.values_mut().for_each(|spans| widen(spans, apart));
        find(&moments, &stays, from, to, around.told)
    }
}

fn moved(span: Span, shift: i64) -> Span {
    Span::new(span.start.plus(shift), span.end.plus(shift))
}

/// Makes spans longer at both ends; those that meet become one.
fn widen(spans: &mut Vec<Span>, by: i64) {
    spans.sort_unstable_by_key(|span| span.start);
    for span in spans.iter_mut() {
        *span = Span::new(span.start.plus(-by), span.end.plus(by));
    }
    spans.dedup_by(|next, span| {
        let meet = next.start <= span.end;
        if meet {
            span.end = span.end.max(next.end);
        }
        meet
    });
}

/// Every so many of some, such that there are `most` at most.
fn thinned(moments: &[Timestamp], most: usize) -> Vec<Timestamp> {
    let step = moments.len().div_ceil(most).max(1);
    moments.iter().copied().step_by(step).collect()
}

/// The vCPU threads and the shift by which what a guest did falls into guest mode, if it can be no
/// other.
fn find(
    moments: &BTreeMap<CpuId, Vec<Timestamp>>,
    stays: &BTreeMap<Tid, Vec<Span>>,
    from: i64,
    to: i64,
    told: bool,
) -> Option<Found> {
    let (&cpu, busiest) = moments.iter().max_by_key(|(_, moments)| moments.len())?;
    let tried = |tids: Vec<Tid>, most: usize| {
        let moments = thinned(busiest, most);
        let mut fits: Vec<(Fit, Tid)> = tids
            .into_iter()
            .filter_map(|tid| {
                let spans = stays.get(&tid)?;
                let moments = &moments;
                Some((search(Bounded { spans, moments }, from, to)?, tid))
            })
            .collect();
        fits.sort_by_key(|(fit, tid)| (std::cmp::Reverse(fit.inside), *tid));
        fits
    };
    let few = tried(stays.keys().copied().collect(), TRIED[0]);
    let few = few.into_iter().take(FEW).map(|(_, tid)| tid);
    let best = tried(few.collect(), TRIED[1]);
    let &(mut fit, tid) = best.first()?;
    // Another thread is another answer.
    let other = best.get(1).map_or(0, |(fit, _)| fit.inside);
    fit.elsewhere = fit.elsewhere.max(other);
    if !(fit.is_certain() || told && fit.fits() && fit.moments >= 20) {
        return None;
    }
    let mut vcpus = BTreeMap::from([(cpu, tid)]);
    let near = |spans, moments| {
        let bounded = Bounded { spans, moments };
        narrow(&[bounded], fit.low - HINT_NS, fit.high + HINT_NS)
    };
    for (cpu, moments) in moments.iter().filter(|(of, _)| **of != cpu) {
        let free = stays.iter().filter(|(tid, _)| {
            let mut taken = vcpus.values();
            !taken.any(|of| of == *tid)
        });
        let best = free
            .filter_map(|(tid, spans)| Some((near(spans, moments)?, *tid)))
            .max_by_key(|(fit, tid)| (fit.inside, std::cmp::Reverse(*tid)));
        if let Some((fit, tid)) = best
            && fit.fits()
        {
            vcpus.insert(*cpu, tid);
        }
    }
    Some(Found { vcpus, fit })
}

/// Reads a host and its guest side by side.
struct Follower<'a> {
    pair: Pair<'a>,
    vcpus: BTreeMap<CpuId, Tid>,
    /// The least and the most that may have to be added to the guest's clock.
    low: i64,
    high: i64,
    stays: Stays,
    /// How far the host was read.
    reached: Timestamp,
    /// Each vCPU thread's stays that may still matter.
    kept: BTreeMap<Tid, Vec<Span>>,
    moments: u64,
    inside: u64,
}

impl<'a> Follower<'a> {
    fn new(pair: Pair<'a>, found: Found) -> Self {
        let kept = found.vcpus.values().map(|tid| (*tid, Vec::new()));
        Self {
            pair,
            low: found.fit.low,
            high: found.fit.high,
            stays: Stays::default(),
            reached: Timestamp::MIN,
            kept: kept.collect(),
            vcpus: found.vcpus,
            moments: 0,
            inside: 0,
        }
    }

    fn follow(&mut self, fleet: &mut Fleet) {
        let recording = self.pair.recording;
        let share = (threads() / 2).max(1);
        let mut host = guest_mode::entries(recording, self.pair.host, share);
        let mut guest = guest_mode::all(recording, self.pair.guest, share);
        let Some(both) = self.pair.both(i64::midpoint(self.low, self.high)) else {
            return;
        };
        let (mut begun, mut fitted) = (both.start, both.start);
        let mut moments: BTreeMap<CpuId, Vec<Timestamp>> = BTreeMap::new();
        let mut early: Vec<(CpuId, Timestamp)> = Vec::new();
        while begun <= both.end {
            let end = begun.plus(WINDOW_NS);
            let slack = end.since(fitted) / RATE_MAX_DIVISOR + 1;
            fitted = end;
            (self.low, self.high) = (self.low - slack, self.high + slack);
            self.host_until(&mut host, end.plus(self.high));
            moments.values_mut().for_each(Vec::clear);
            let mut take = |cpu: CpuId, time: Timestamp| {
                let of = moments.entry(cpu).or_default();
                if time >= begun && of.len() < WINDOW_MOMENTS {
                    of.push(time);
                }
            };
            let later = early.iter().filter(|(_, time)| *time >= end);
            let later: Vec<_> = later.copied().collect();
            let now = early.drain(..).filter(|(_, time)| *time < end);
            now.for_each(|(cpu, time)| take(cpu, time));
            early = later;
            while early.is_empty()
                && let Some((_, run)) = guest.next_run()
            {
                for event in run {
                    let (cpu, time) = (event.record.cpu, event.time);
                    if time < end {
                        take(cpu, time);
                    } else {
                        early.push((cpu, time));
                    }
                }
            }
            // What has not ended goes on for longer than is looked at.
            for (tid, since) in self.stays.open() {
                if let Some(kept) = self.kept.get_mut(&tid) {
                    kept.push(Span::new(since, Timestamp::MAX));
                }
            }
            self.window(&moments, fleet);
            let over = end.plus(self.low);
            for spans in self.kept.values_mut() {
                spans.retain(|span| span.end >= over && span.end < Timestamp::MAX);
            }
            // Where nothing happened, nothing is learnt.
            begun = match early.first() {
                Some((_, time)) => end.max(time.plus(-WINDOW_NS)),
                None => break,
            };
        }
    }

    /// Reads the host's entries up to a time.
    fn host_until(&mut self, host: &mut Merge<KernelReader>, until: Timestamp) {
        while self.reached < until
            && let Some((_, run)) = host.next_run()
        {
            for event in run {
                if let Some((tid, span)) = self.stays.event(event)
                    && let Some(kept) = self.kept.get_mut(&tid)
                {
                    kept.push(span);
                }
            }
            self.reached = run.last().map_or(self.reached, |event| event.time);
        }
    }

    /// Fits what the guest did in a short time, and takes each entry before it for a message to the
    /// guest and each exit after it for one to the host.
    fn window(&mut self, moments: &BTreeMap<CpuId, Vec<Timestamp>>, fleet: &mut Fleet) {
        let number: usize = self.cpus(moments).map(|(_, moments)| moments.len()).sum();
        self.moments += number as u64;
        let mut fits = APART_NS.into_iter().filter_map(|apart| {
            let wide: Vec<Vec<Span>> = self
                .cpus(moments)
                .map(|(spans, _)| {
                    let mut spans = spans.to_vec();
                    widen(&mut spans, apart);
                    spans
                })
                .collect();
            let all = wide.iter().zip(self.cpus(moments));
            let all: Vec<_> = all
                .map(|(spans, (_, moments))| Bounded { spans, moments })
                .collect();
            let fit = narrow(&all, self.low, self.high)?;
            fit.fits().then_some((fit, apart))
        });
        let Some((fit, apart)) = fits.next() else {
            return;
        };
        drop(fits);
        self.inside += fit.inside as u64;
        (self.low, self.high) = (fit.low, fit.high);
        let Some((host, guest)) = self.pair.clocks() else {
            return;
        };
        let within = (fit.low - apart, fit.high + apart);
        for (spans, moments) in self.cpus(moments) {
            for (span, first, last) in bounds(spans, moments, within) {
                fleet.message(&Message {
                    from: host,
                    sent: span.start,
                    to: guest,
                    received: first,
                });
                if span.end < Timestamp::MAX {
                    fleet.message(&Message {
                        from: guest,
                        sent: last,
                        to: host,
                        received: span.end,
                    });
                }
            }
        }
    }

    /// What is kept of each of the guest's processors' vCPUs, and what happened on it.
    fn cpus<'b>(
        &'b self,
        moments: &'b BTreeMap<CpuId, Vec<Timestamp>>,
    ) -> impl Iterator<Item = (&'b [Span], &'b [Timestamp])> {
        self.vcpus.iter().map(|(cpu, tid)| {
            let spans = self.kept.get(tid).map_or(&[][..], Vec::as_slice);
            (spans, moments.get(cpu).map_or(&[][..], Vec::as_slice))
        })
    }
}

/// Each stay with the first and the last of the moments that can be in no other, by any shift
/// between two.
fn bounds(
    spans: &[Span],
    moments: &[Timestamp],
    (low, high): (i64, i64),
) -> Vec<(Span, Timestamp, Timestamp)> {
    let mut found: Vec<(Span, Timestamp, Timestamp)> = Vec::new();
    for &moment in moments {
        let (from, to) = (moment.plus(low), moment.plus(high));
        let begin = spans.partition_point(|span| span.end < from);
        let mut near = spans.get(begin..).unwrap_or_default().iter();
        let near = (near.next(), near.next());
        let (Some(span), next) = near else { break };
        if span.start > to || next.is_some_and(|next| next.start <= to) {
            continue;
        }
        match found.last_mut() {
            Some((of, _, last)) if of == span => *last = moment,
            _ => found.push((*span, moment, moment)),
        }
    }
    found
}
