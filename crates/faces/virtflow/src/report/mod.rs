//! `virtflow report`.

mod budget;
mod guest;
mod host;
pub(crate) mod trace;
mod vm;
pub(crate) mod words;

use crate::args::{Format, ReportArgs, UsageError};
use crate::page::Page;
use crate::progress::Bar;
use crate::table::Tone;
use crate::{Finish, cache, output, rows};
use virtflow_query::{MachineReport, Report, Request};

pub(crate) fn run(args: &ReportArgs) -> anyhow::Result<Finish> {
    let cache = if args.no_cache { None } else { cache::here() };
    let options = rows::options(args.proved_only);
    let input = args.input.traces.input(&options, cache.as_ref())?;
    let bar = Bar::new(input.bytes());
    let mut machines = Vec::new();
    for (at, facts) in input.machines().iter().enumerate() {
        let request = Request {
            range: rows::span(&args.input, facts)?,
            vm: args.vm.clone(),
            proved_only: args.proved_only,
        };
        machines.push(input.report(at, &request, &bar.progress)?);
    }
    drop(bar);
    let report = Report::new(args.proved_only, machines);
    if let Some(wanted) = &args.vm {
        check_vm(&report, wanted)?;
    }
    match args.format {
        Format::Json => output::json(&report)?,
        Format::Text => text(&report, args).print()?,
    }
    Ok(if report.is_complete() {
        Finish::Complete
    } else {
        Finish::Incomplete
    })
}

/// A VM that is not there is a slip.
fn check_vm(report: &Report, wanted: &str) -> Result<(), UsageError> {
    if report
        .machines
        .iter()
        .any(|machine| !machine.vms.is_empty())
    {
        return Ok(());
    }
    let there: Vec<_> = report
        .machines
        .iter()
        .flat_map(|m| m.vms_left_out.iter().map(String::as_str))
        .collect();
    let there = if there.is_empty() {
        "the trace has no VM".to_owned()
    } else {
        there.join(", ")
    };
    Err(UsageError(format!(
        "--vm {wanted}: no VM's label or key contains this, and no VMM has this pid; there are: {there}"
    )))
}

fn text(report: &Report, args: &ReportArgs) -> Page {
    let mut page = Page::default();
    let times = trace::Times::new(args.input.local);
    page.line(
        Tone::Strong,
        &format!("virtflow report {}", args.input.traces),
    );
    if report.proved_only {
        page.line(
            Tone::Plain,
            "Only what is proved; what is merely likely is counted as unknown.",
        );
    }
    if report.machines.is_empty() {
        page.line(
            Tone::Warning,
            "The recording has no kernel trace: there is nothing to report on.",
        );
    }
    let machines = report.machines.iter();
    let clocks: Vec<_> = machines
        .map(|m| (m.name.as_str(), m.clock.as_ref()))
        .collect();
    trace::clocks(&mut page, &clocks);
    for machine in &report.machines {
        if report.machines.len() > 1 {
            page.gap();
            page.line(Tone::Strong, &format!("MACHINE {}", machine.name));
        }
        of_machine(&mut page, machine, &times, args.top);
    }
    page
}

fn of_machine(page: &mut Page, machine: &MachineReport, times: &trace::Times, top: usize) {
    trace::losses(
        page,
        &machine.streams,
        machine.begin_ns,
        &machine.problems,
        machine.checks.switches_contradicted,
    );
    trace::trace(page, machine, times);
    if !machine.vms.is_empty() {
        vm::summary(page, &machine.vms);
    } else if machine.vms_left_out.is_empty() && !machine.checks.kvm_unrecorded {
        page.heading(Tone::Strong, "VIRTUAL MACHINES: none");
        page.paragraph(
            Tone::Plain,
            "Events of KVM's were to be recorded, and there was none of a vCPU.",
        );
    }
    host::cpus(page, &machine.host);
    for one in &machine.vms {
        vm::detail(page, one, top);
    }
    host::threads(page, machine, top);
    trace::missing(page, &machine.missing);
    trace::checks(page, &machine.checks);
    trace::problems(page, &machine.problems, top);
}
