//! Every check on every dialect.

use super::case::{Case, scenario};
use super::causes::{self, Confusion};
use super::compare::Tally;
use super::floors;
use super::processes::Scores;
use super::threads::{self, Threads};
use super::tiling;
use super::{host, nested, paths, processes};
use virtflow_synth::Scenario;

/// The seeds of every dialect.
const SEEDS: [u64; 2] = [1, 2];

/// What all seeds of one dialect came to.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) host: Tally,
    pub(crate) nested: Tally,
    pub(crate) processes: Scores,
    pub(crate) threads: Threads,
    pub(crate) halts: Confusion,
    pub(crate) waits: Confusion,
}

fn check(name: &str, change: fn(&mut Scenario)) {
    let mut measured = Measured::default();
    let mut wrong = Vec::new();
    for seed in SEEDS {
        let mut scenario = scenario(name.split(' ').next().unwrap_or_default(), seed);
        change(&mut scenario);
        let case = Case::new(format!("{name:?} seed {seed}"), &scenario);
        tiling::check(&case, &mut wrong);
        host::check(&case, &mut measured.host);
        paths::check(&case, &mut measured.host);
        nested::check(&case, &mut measured.nested);
        processes::check(&case, &mut measured.processes);
        threads::check(&case, &mut measured.threads);
        causes::halts(&case, &mut measured.halts);
        causes::process_waits(&case, &mut measured.waits);
    }
    floors::judge(name, &measured, &mut wrong);
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

macro_rules! dialects {
    ($($test:ident $words:literal $change:expr;)*) => {
        $(#[test]
        fn $test() {
            check($words, $change);
        })*
    };
}

dialects! {
    testbed "testbed" |_| ();
    vmx "vmx" |_| ();
    posted "posted" |_| ();
    pti "pti" |_| ();
    shadow "shadow" |_| ();
    no_probe "no-probe" |_| ();
    original_probe "original-probe" |_| ();
    stock "stock" |_| ();
    no_nested_events "no-nested-events" |_| ();
    contexts "contexts" |_| ();
    no_waking "no-waking" |_| ();
    original_no_nested "original-probe,no-nested-events" |_| ();
    posted_original "posted,original-probe" |_| ();
    stock_no_probe "stock,no-probe" |_| ();
    odd_clock "freq=2333333333,offset-s=-5,offset=-3" |_| ();
    ctf2 "ctf2" |_| ();
    ctf2_big_endian "ctf2,vmx,contexts,big-endian,compact,freq=2333333333" |s| s.vhost = true;
    losses "testbed losses" |s| (s.losses, s.packet_bytes_max) = (4, 16 << 10);
    ragged "testbed ragged" |s| s.ragged_ns = 40_000_000;
    vmx_posted "vmx,posted,old-names" |s| s.vhost = true;
    no_probe_no_nested "no-probe,no-nested-events" |_| ();
    vmx_original "vmx,original-probe,no-nested-events,pti,pcid" |_| ();
    two_vcpus "testbed vcpus" |s| (s.vcpus, s.cpus) = (2, 3);
    stacks "stacks threads" |s| s.threads = 1;
    original_threads "original-probe threads" |s| s.threads = 2;
    programs "testbed programs" |s| s.shells = 1;
    original_programs "original-probe programs" |s| s.shells = 1;
    pti_programs "vmx,pti,pcid programs" |s| s.shells = 1;
    hidden "testbed hidden" |s| s.hidden_switches = 0.3;
}
