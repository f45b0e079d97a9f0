//! The report: what every VM, virtual processor, nested VM and guest process did.
//!
//! All figures are integers: nanoseconds (`_ns`) or counts. The JSON form has its schema in
//! `docs/schema/report-1.json`; fields may be added to it, none removed or changed in meaning
//! without a new version.

mod exits;
mod guest;
mod host;
mod lane;
mod loss;
mod names;
mod takers;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::{assert_valid, shipped};
mod vm;
mod waits;
mod words;

pub use exits::ExitReport;
pub use guest::{GuestReport, GuestThreadReport, ProcessReport};
pub(crate) use names::{label, works_for};
pub(crate) use words::{word_of_cause, word_of_confidence, word_of_state};

pub use host::{ContainerReport, CpuReport, HostReport, ThreadReport};
pub use lane::{Budget, StateTime};
pub use loss::{LossReport, StreamReport};
pub use takers::{Taker, TakerKind};
pub use vm::{NestedVcpuReport, NestedVmReport, VcpuReport, VmReport};
pub use waits::{Durations, Wait, Waits};

use crate::apart::Apart;
use crate::budgets::Budgets;
use crate::clocks::ClockAlignment;
use crate::facts::Facts;
use crate::needed::Missing;
use crate::pipeline::{Progress, analyze};
use crate::source::{ProblemsReport, SourceReport};
use names::Names;
use serde::{Deserialize, Serialize};
use virtflow_base::{Entity, Span, text};
use virtflow_events::Recording;
use virtflow_model::{Counts, Kind, Options};

/// The version of the JSON form.
pub const REPORT_VERSION: u32 = 1;

/// What to report on.
#[derive(Clone, Debug)]
pub struct Request {
    /// Only this stretch of time.
    pub range: Span,
    /// Only VMs whose label or key contains this, or whose VMM has this number.
    pub vm: Option<String>,
    /// Turn what is only likely into unknown.
    pub proved_only: bool,
}

/// The whole report.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// Always `virtflow-report`.
    pub format: &'static str,
    /// [`REPORT_VERSION`].
    pub version: u32,
    /// The program that wrote it.
    pub virtflow: &'static str,
    /// Whether what is only likely was turned into unknown.
    pub proved_only: bool,
    /// One report per machine that was recorded.
    pub machines: Vec<MachineReport>,
}

impl Report {
    /// Of these machines.
    pub const fn new(proved_only: bool, machines: Vec<MachineReport>) -> Self {
        let virtflow = env!("CARGO_PKG_VERSION");
        Self {
            format: "virtflow-report",
            version: REPORT_VERSION,
            virtflow,
            proved_only,
            machines,
        }
    }

    /// Whether nothing was lost, broken or left out.
    pub fn is_complete(&self) -> bool {
        self.machines.iter().all(|machine| {
            let whole = machine.streams.iter().all(StreamReport::is_whole);
            whole && machine.problems.total == 0 && !machine.stopped
        })
    }
}

/// What one machine did.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MachineReport {
    /// Its host name.
    pub name: String,
    /// Its kernel's release.
    pub kernel: String,
    /// How its clock is known beside those of other machines; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock: Option<ClockAlignment>,
    /// The traces that were read.
    pub traces: Vec<SourceReport>,
    /// The earliest moment that any stream covers.
    pub begin_ns: Option<i64>,
    /// The latest one.
    pub end_ns: Option<i64>,
    /// The stretch that was analysed: what was asked for within what was recorded.
    pub analysed_begin_ns: Option<i64>,
    /// Its end.
    pub analysed_end_ns: Option<i64>,
    /// From when on the state of anything is known: the first event, where none stands at the
    /// beginning of the streams.
    pub states_begin_ns: Option<i64>,
    /// Until when.
    pub states_end_ns: Option<i64>,
    /// Events that the analysis makes use of; `virtflow info` counts all.
    pub events_used: u64,
    /// What its streams cover, and what they lost.
    pub streams: Vec<StreamReport>,
    /// Its VMs, in the order in which they were met.
    pub vms: Vec<VmReport>,
    /// The labels of VMs that were left out because another one was asked for.
    pub vms_left_out: Vec<String>,
    /// The host itself.
    pub host: HostReport,
    /// Events that the trace lacks, and what their absence hides.
    pub missing: Vec<Missing>,
    /// What contradicted itself on the way.
    pub checks: Checks,
    /// What was wrong with the input.
    pub problems: ProblemsReport,
    /// Whether it was stopped before the end.
    pub stopped: bool,
}

/// What the analysis found to be inconsistent.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Checks {
    /// Context switches away from a thread that was not thought to run: events that were lost
    /// unnoticed.
    pub switches_contradicted: u64,
    /// Events of processors with impossible numbers, left out.
    pub impossible_cpus: u64,
    /// Entries whose vCPU number is not one: LTTng's mis-declared field, not believed.
    pub misdeclared_vcpu_ids: u64,
    /// vCPUs of which no entry into the guest and no exit is told: the guest is not told from the
    /// hypervisor.
    #[serde(default)]
    pub unentered_vcpus: u64,
    /// vCPUs that are known by what their threads are called, or by what a state dump says that they
    /// are: no event tells of them as vCPUs.
    #[serde(default)]
    pub named_vcpus: u64,
    /// Whether no event of KVM's that tells of vCPUs was recorded: there may be VMs that are not seen.
    #[serde(default)]
    pub kvm_unrecorded: bool,
    /// Waits on whose cause the injected vector and the waker agree.
    pub causes_agreed: u64,
    /// Waits on whose cause they do not.
    pub causes_disagreed: u64,
}

impl Checks {
    pub(crate) const fn new(counts: &Counts, kvm_unrecorded: bool) -> Self {
        Self {
            switches_contradicted: counts.contradictions,
            impossible_cpus: counts.impossible_cpus,
            misdeclared_vcpu_ids: counts.misdeclared_vcpu_ids,
            unentered_vcpus: counts.unentered_vcpus,
            named_vcpus: counts.named_vcpus,
            kvm_unrecorded,
            causes_agreed: counts.causes_agreed,
            causes_disagreed: counts.causes_disagreed,
        }
    }
}

/// Reports on one machine of a recording.
pub fn report(
    recording: &Recording,
    machine: usize,
    request: &Request,
    progress: &Progress,
) -> MachineReport {
    let options = Options {
        proved_only: request.proved_only,
        ..Options::default()
    };
    let (budgets, outcome) = analyze(
        recording,
        machine,
        &options,
        Apart::new(Budgets::new(request.range)),
        progress,
    );
    let budgets = budgets.finish();
    let facts = Facts::new(recording, machine, &outcome);
    of_budgets(&budgets, &facts, request)
}

/// What the sums and what the recording tells of itself come to.
pub(crate) fn of_budgets(budgets: &Budgets, facts: &Facts, request: &Request) -> MachineReport {
    let names = Names::new(budgets);
    let analysed = facts.span().and_then(|span| span.intersect(request.range));
    let wanted = |vm: &&Entity| request.wants(&text(&vm.label), &vm.key, vm.pid);
    let (chosen, left_out): (Vec<_>, Vec<_>) = names.of(Kind::Vm).partition(wanted);
    let any_vm = !chosen.is_empty() || !left_out.is_empty();
    MachineReport {
        name: facts.name.clone(),
        kernel: facts.kernel.clone(),
        clock: facts.clock.clone(),
        traces: facts.traces.clone(),
        begin_ns: facts.begin_ns,
        end_ns: facts.end_ns,
        analysed_begin_ns: analysed.map(|a| a.start.as_nanos()),
        analysed_end_ns: analysed.map(|a| a.end.as_nanos()),
        states_begin_ns: budgets.covered().map(|c| c.start.as_nanos()),
        states_end_ns: budgets.covered().map(|c| c.end.as_nanos()),
        events_used: facts.events_used,
        streams: facts.streams.clone(),
        vms: chosen
            .into_iter()
            .map(|vm| VmReport::new(&names, vm))
            .collect(),
        vms_left_out: left_out.into_iter().map(|vm| text(&vm.label)).collect(),
        host: HostReport::new(&names),
        missing: facts.missing(any_vm),
        checks: facts.checks.clone(),
        problems: facts.problems.clone(),
        stopped: facts.stopped,
    }
}

impl Request {
    fn wants(&self, label: &str, key: &str, pid: Option<i32>) -> bool {
        self.vm.as_deref().is_none_or(|wanted| {
            let by_pid = wanted.parse().is_ok_and(|number: i32| pid == Some(number));
            by_pid || label.contains(wanted) || key.contains(wanted)
        })
    }
}
