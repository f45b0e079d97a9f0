//! Several hosts that never were, each traced on a clock of its own, and the truth about what they
//! asked of each other.
//!
//! A client asks a server, whose worker computes, asks a store, whose worker reads from its disk
//! and answers; the server computes again and answers the client. Beside that there is traffic
//! between all hosts, and threads that burn processor time and pre-empt others now and then.
//!
//! | path | what |
//! |---|---|
//! | `traces/<host>/kernel/` | the host's CTF trace, as LTTng's kernel tracer writes it |
//! | `truth/clocks.csv` | `machine,true_ns,clock_ns`: what each clock shows, every 10 ms |
//! | `truth/requests.csv` | `request,machine,tid,begin_ns,end_ns`: from when to when a client's thread was at it |
//! | `truth/paths.csv` | `request,machine,tid,comm,what,from_ns,to_ns`: the critical path of each request, tiling it |
//!
//! Times of the truth are true: nanoseconds since the Unix epoch on a clock that none of the hosts
//! has. Of a path, `what` is
//! - `running`: the thread runs (interrupts of its processor included). One that asks runs until it
//!   sleeps, one that answers until `net_dev_queue`;
//! - `network`: from there until the softirq of the receiving host wakes who waits
//!   (`sched_waking`); machine and thread are the sender's;
//! - `disk`: the thread sleeps until its block request's completion wakes it;
//! - `runnable`: from `sched_waking` to `sched_switch`; `preempted`: from one `sched_switch` to the
//!   next.

mod clock;
mod host;
mod net;
mod program;
#[cfg(test)]
mod tests;
mod truth;

use crate::SynthError;
use crate::sim::chance::Chance;
use host::{Action, Host, Ns};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::Path;
use truth::Requests;

/// True time when it all begins, in nanoseconds since the Unix epoch.
const BEGIN_NS: i64 = 1_795_377_968_000_000_000;

/// Hosts and what they do.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetScenario {
    /// All chance comes from here.
    pub seed: u64,
    /// How long it goes on, in seconds of true time.
    pub seconds: f64,
    /// How many hosts: `client`, `server`, `store`, and others that only chat.
    pub hosts: u32,
    /// Threads of the client; each has its worker on the server and on the store.
    pub clients: u32,
    /// Threads of each host that burn processor time.
    pub hogs: u32,
    /// How far apart clocks are at most, in seconds.
    pub apart_s: f64,
    /// By how much a clock's rate is off at most, in parts per million.
    pub drift_ppm: f64,
    /// By how much a clock's rate changes within a minute at most, in parts per million.
    pub wander_ppm: f64,
}

impl Default for FleetScenario {
    fn default() -> Self {
        Self {
            seed: 1,
            seconds: 10.0,
            hosts: 3,
            clients: 2,
            hogs: 1,
            apart_s: 20.0,
            drift_ppm: 50.0,
            wander_ppm: 0.7,
        }
    }
}

impl FleetScenario {
    fn check(&self) -> Result<(), SynthError> {
        let wrong = |why| Err(SynthError::Scenario(why));
        if !(3..=64).contains(&self.hosts) {
            return wrong("there are 3 to 64 hosts");
        }
        if !(1..=100).contains(&self.clients) || self.hogs > 100 {
            return wrong("there are 1 to 100 clients and at most 100 hogs");
        }
        if !self.seconds.is_finite() || self.seconds <= 0.0 || self.seconds > 1e5 {
            return wrong("it lasts more than 0 and at most a hundred thousand seconds");
        }
        let rates = [self.drift_ppm, self.wander_ppm, self.apart_s];
        if rates.iter().any(|rate| !(0.0..=500.0).contains(rate)) {
            return wrong("clocks are at most 500 s apart and off by at most 500 ppm");
        }
        Ok(())
    }
}

/// What was generated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FleetSummary {
    /// Events in all traces.
    pub events: u64,
    /// Bytes of their streams.
    pub bytes: u64,
    /// Requests that were answered.
    pub requests: u64,
}

/// Writes the traces of `scenario`'s hosts to `out_dir/traces` and the truth to `out_dir/truth`.
///
/// # Errors
/// When the scenario cannot be simulated or the files cannot be written.
pub fn generate_fleet(
    scenario: &FleetScenario,
    out_dir: impl AsRef<Path>,
) -> Result<FleetSummary, SynthError> {
    scenario.check()?;
    let out_dir = out_dir.as_ref();
    let mut fleet = Fleet::build(scenario, out_dir)?;
    fleet.run();
    fleet.finish(&out_dir.join("truth"))
}

/// All hosts, and what is still to happen.
struct Fleet {
    chance: Chance,
    hosts: Vec<Host>,
    requests: Requests,
    queue: BinaryHeap<Reverse<(Ns, u64, usize, Action)>>,
    pushed: u64,
    end: Ns,
}

impl Fleet {
    fn run(&mut self) {
        while let Some(Reverse((time, _, host, action))) = self.queue.pop() {
            if time >= self.end {
                break;
            }
            self.act(time, host, action);
        }
    }

    /// Has `action` happen on `host` at `time`.
    fn push(&mut self, time: Ns, host: usize, action: Action) {
        self.pushed += 1;
        self.queue.push(Reverse((time, self.pushed, host, action)));
    }

    fn finish(self, truth: &Path) -> Result<FleetSummary, SynthError> {
        let written = std::fs::create_dir_all(truth)
            .and_then(|()| clock::write(truth, &self.hosts, self.end));
        written.map_err(|source| SynthError::Truth {
            path: truth.to_owned(),
            source,
        })?;
        let mut summary = FleetSummary {
            requests: self.requests.write(truth, &self.hosts)?,
            ..FleetSummary::default()
        };
        for host in self.hosts {
            summary.events += host.out.events;
            let end = host.clock.local(self.end.max(host.latest()));
            summary.bytes += host.out.finish(end)?.bytes;
        }
        Ok(summary)
    }
}
