//! What was recorded, what was lost, what is missing: the first and the last words of a report.

use crate::output::{duration, duration_cell, number, share, size};
use crate::page::Page;
use crate::table::{Table, Tone};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use virtflow_query::{
    Checks, ClockAlignment, GuestOf, MachineReport, Missing, ProblemReport, ProblemsReport,
    SourceReport, StreamReport,
};

/// A stream that begins or ends this much of the recording apart from the others is worth a word.
const RAGGED_SHARE: i64 = 100;

/// How times of the day are shown.
pub(crate) struct Times {
    zone: TimeZone,
    name: &'static str,
}

impl Times {
    pub(crate) fn new(local: bool) -> Self {
        let (zone, name) = if local {
            (TimeZone::system(), "local time")
        } else {
            (TimeZone::UTC, "UTC")
        };
        Self { zone, name }
    }

    fn show(&self, ns: i64, format: &str) -> String {
        let at = Timestamp::from_nanosecond(ns.into()).unwrap_or_default();
        at.to_zoned(self.zone.clone()).strftime(format).to_string()
    }

    /// Date and time from `begin` to `end`, and how long that is.
    pub(crate) fn span(&self, begin: i64, end: i64) -> String {
        let (from, to) = (
            self.show(begin, "%Y-%m-%d %H:%M:%S.%3f"),
            self.show(end, "%H:%M:%S.%3f"),
        );
        format!("{from} to {to} {} ({})", self.name, duration(end - begin))
    }
}

/// Lost events, first of all; and how many switches say that some are missing of which nothing tells.
pub(crate) fn losses(
    page: &mut Page,
    streams: &[StreamReport],
    begin: Option<i64>,
    problems: &ProblemsReport,
    contradicted: u64,
) {
    let begin = begin.unwrap_or_default();
    let lost: Vec<_> = streams.iter().filter(|s| !s.is_whole()).collect();
    let at_no_time: Vec<_> = problems.lost().collect();
    if lost.is_empty() && !at_no_time.is_empty() {
        page.heading(Tone::Warning, "LOST EVENTS: nobody knows when");
        of_no_time(page, &at_no_time);
        return;
    }
    if lost.is_empty() {
        let none = "No stream of the recording says that it lost an event or a packet";
        if contradicted == 0 {
            page.heading(Tone::Strong, "LOST EVENTS: none");
            page.paragraph(Tone::Plain, &format!("{none}."));
        } else {
            page.heading(Tone::Strong, "LOST EVENTS: none told");
            let but = format!(
                "{none}, but {} context switches contradict who was thought to run: events are missing. \
                 What was between is unknown (no evidence).",
                number(contradicted)
            );
            page.paragraph(Tone::Warning, &but);
        }
        return;
    }
    let events: u64 = lost.iter().map(|s| s.events_lost).sum();
    let unknown = lost.iter().any(|s| s.packets_lost > 0 || s.unreadable > 0);
    let how_many = match (events, unknown) {
        (0, _) => "an unknown number".to_owned(),
        (n, true) => format!("{}, and an unknown number more", number(n)),
        (n, false) => number(n),
    };
    let others = if at_no_time.is_empty() {
        ""
    } else {
        ", and others, nobody knows when"
    };
    page.heading(Tone::Warning, &format!("LOST EVENTS: {how_many}{others}"));
    of_no_time(page, &at_no_time);
    let headings = [
        "CPU",
        "events",
        "packets",
        "unreadable",
        "gaps",
        "time",
        "share",
        "from",
        "to",
    ];
    let mut table = Table::new(1, headings);
    for stream in &lost {
        let at = |ns: Option<i64>| {
            ns.map_or_else(
                || "-".to_owned(),
                |ns| format!("+{}", duration_cell(ns - begin)),
            )
        };
        table.row(
            Tone::Warning,
            [
                stream
                    .cpu
                    .map_or_else(|| "-".to_owned(), |cpu| cpu.to_string()),
                number(stream.events_lost),
                number(stream.packets_lost),
                number(stream.unreadable),
                stream.losses.len().to_string(),
                duration_cell(stream.lost_ns),
                share(stream.lost_ns, stream.covered_ns),
                at(stream.losses.iter().map(|l| l.begin_ns).min()),
                at(stream.losses.iter().map(|l| l.end_ns).max()),
            ],
        );
    }
    page.table(&table);
    page.paragraph(
        Tone::Plain,
        "Gaps: stretches in which something was lost; time and share: how much of what the CPU's stream covers \
         they are; from the first to the last one, counted from the beginning of the trace. What cannot be known \
         because of them is shown as unknown (events were lost).",
    );
}

/// What was lost on a processor and at a time that nobody knows.
fn of_no_time(page: &mut Page, lost: &[&ProblemReport]) {
    for one in lost {
        page.paragraph(Tone::Warning, &format!("{}: {}.", one.file, one.what));
    }
    if !lost.is_empty() {
        page.paragraph(
            Tone::Plain,
            "What these events would have told may be wrong or unknown anywhere in the trace.",
        );
    }
}

/// How the clocks of several machines were made one; nothing where there is one machine.
pub(crate) fn clocks(page: &mut Page, machines: &[(&str, Option<&ClockAlignment>)]) {
    let known: Vec<_> = machines
        .iter()
        .filter_map(|(name, clock)| Some((*name, (*clock)?)))
        .collect();
    let Some((_, first)) = known.first() else {
        return;
    };
    let lost: Vec<_> = known
        .iter()
        .filter(|(_, clock)| !clock.is_known())
        .collect();
    if lost.is_empty() {
        page.heading(Tone::Strong, "CLOCKS: aligned");
    } else {
        page.heading(
            Tone::Warning,
            &format!(
                "CLOCKS: {} of {} are not aligned",
                lost.len(),
                known.len() - 1
            ),
        );
    }
    let mut table = Table::new(
        1,
        [
            "machine",
            "ahead by",
            "drift",
            "wrong by at most",
            "messages out",
            "in",
        ],
    );
    let cell = |ns: Option<i64>| ns.map_or_else(|| "-".to_owned(), signed_duration);
    for (name, clock) in &known {
        let tone = if clock.is_known() {
            Tone::Plain
        } else {
            Tone::Warning
        };
        let drift = clock.drift_ppm.map(|ppm| format!("{ppm:+.3} ppm"));
        table.row(
            tone,
            [
                (*name).to_owned(),
                cell(clock.ahead_ns),
                drift.unwrap_or_else(|| "-".to_owned()),
                cell(clock.error_ns),
                number(clock.sent),
                number(clock.received),
            ],
        );
    }
    page.table(&table);
    for (name, clock) in &known {
        if let Some(of) = &clock.guest {
            guest(page, name, of);
        }
    }
    for (name, clock) in &lost {
        let why = match clock.state.as_str() {
            "one-direction" => "messages go one way only, which bounds its clock from one side",
            "contradictory" => "messages contradict one another: some arrive before they were sent",
            _ => {
                "no TCP segment was seen both there and on a machine whose clock is known, and what it did \
                 fits the stays in guest mode of no vCPU there, or of several"
            }
        };
        page.paragraph(
            Tone::Warning,
            &format!(
                "{name}: {why}. Its times are shown as they are and cannot be compared with the others'."
            ),
        );
    }
    if lost.len() + 1 < known.len() {
        page.paragraph(
            Tone::Plain,
            &format!(
                "All times are shown on the clock of {}. Ahead by: in the middle of the recording, before it was \
                 moved; messages: TCP segments whose queueing and receipt were both recorded{}.",
                first.reference,
                if known.iter().any(|(_, clock)| clock.guest.is_some()) {
                    "; of a guest, entries before what it did and exits after it"
                } else {
                    ""
                }
            ),
        );
    }
}

/// Whose guest a machine is, and what shows it.
fn guest(page: &mut Page, name: &str, guest: &GuestOf) {
    let cpus = guest
        .vcpus
        .iter()
        .map(|vcpu| format!("CPU {} is thread {}", vcpu.cpu, vcpu.tid));
    let cpus: Vec<_> = cpus.collect();
    let tone = if guest.inside == guest.events {
        Tone::Plain
    } else {
        Tone::Warning
    };
    page.paragraph(
        tone,
        &format!(
            "{name} is a guest of {}: its {}. Of {} of its events, {} happened while their vCPU was in guest mode.",
            guest.host,
            cpus.join(", "),
            number(guest.events),
            number(guest.inside),
        ),
    );
}

/// A duration with its sign.
fn signed_duration(ns: i64) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    format!("{sign}{}", duration_cell(ns.saturating_abs()))
}

pub(super) fn trace(page: &mut Page, machine: &MachineReport, times: &Times) {
    page.heading(Tone::Strong, "THE TRACE");
    let kernel = if machine.kernel.is_empty() {
        "kernel not told"
    } else {
        &machine.kernel
    };
    page.fact(
        "machine",
        &format!(
            "{}, Linux {kernel}, {} CPUs",
            machine.name,
            machine.host.cpus.len()
        ),
    );
    if let (Some(begin), Some(end)) = (machine.begin_ns, machine.end_ns) {
        page.fact("recorded", &times.span(begin, end));
        ragged(page, &machine.streams, begin, end);
        if let Some(from) = machine.states_begin_ns
            && from - machine.analysed_begin_ns.unwrap_or(begin) > (end - begin) / RAGGED_SHARE
        {
            page.fact(
                "",
                &format!(
                    "no event before +{}: times below count from there",
                    duration(from - begin)
                ),
            );
        }
        match (machine.analysed_begin_ns, machine.analysed_end_ns) {
            (Some(from), Some(to)) if (from, to) == (begin, end) => {
                page.fact("analysed", "all of it")
            }
            (Some(from), Some(to)) => {
                let from_to = format!(
                    "from +{} to +{}",
                    duration(from - begin),
                    duration(to - begin)
                );
                page.fact(
                    "analysed",
                    &format!(
                        "{from_to} ({}), read from the beginning",
                        duration(to - from)
                    ),
                );
            }
            _ => page.fact(
                "analysed",
                "nothing: the range lies outside of what was recorded",
            ),
        }
    }
    page.fact(
        "events",
        &format!(
            "{} used; `virtflow info` counts all",
            number(machine.events_used)
        ),
    );
    sources(page, &machine.traces);
}

/// Streams that cover less than the others.
pub(crate) fn ragged(page: &mut Page, streams: &[StreamReport], begin: i64, end: i64) {
    let much = (end - begin) / RAGGED_SHARE;
    for stream in streams {
        let (Some(from), Some(to)) = (stream.begin_ns, stream.end_ns) else {
            continue;
        };
        if from - begin > much || end - to > much {
            let cpu = stream
                .cpu
                .map_or_else(|| "a stream".to_owned(), |cpu| format!("CPU {cpu}"));
            let (from, to) = (duration(from - begin), duration(to - begin));
            page.fact(
                "",
                &format!("{cpu} was recorded only from +{from} to +{to}"),
            );
        }
    }
}

pub(crate) fn sources(page: &mut Page, traces: &[SourceReport]) {
    for trace in traces {
        let text = format!(
            "{} ({}, {}, {}, {} streams, {})",
            trace.path,
            trace.format,
            if trace.tracer.is_empty() {
                "tracer not told"
            } else {
                &trace.tracer
            },
            if trace.domain.is_empty() {
                "domain not told"
            } else {
                &trace.domain
            },
            trace.streams,
            size(trace.bytes)
        );
        page.fact("trace", &text);
    }
}

/// Events that are not there, and what that hides.
pub(crate) fn missing(page: &mut Page, missing: &[Missing]) {
    if missing.is_empty() {
        page.heading(Tone::Strong, "EVENTS NOT IN THE TRACE: none that matter");
        return;
    }
    page.heading(
        Tone::Strong,
        "EVENTS NOT IN THE TRACE: what they give, what is hidden without them",
    );
    for one in missing {
        page.labelled(Tone::Strong, 2, "", 2, &one.event);
        page.labelled(Tone::Plain, 4, "gives", 14, &one.gives);
        page.labelled(Tone::Plain, 4, "hidden", 14, &one.hides);
        if !one.note.is_empty() {
            page.labelled(Tone::Faint, 4, "note", 14, &one.note);
        }
    }
}

pub(super) fn checks(page: &mut Page, checks: &Checks) {
    let mut said = Vec::new();
    if checks.switches_contradicted > 0 {
        said.push(format!(
            "{} context switches contradict who was thought to run: events were lost that no counter tells of, \
             or the kernel made no sched_switch.",
            number(checks.switches_contradicted)
        ));
    }
    if checks.impossible_cpus > 0 {
        said.push(format!(
            "{} events of impossible CPU numbers were left out.",
            number(checks.impossible_cpus)
        ));
    }
    if checks.misdeclared_vcpu_ids > 0 {
        said.push(format!(
            "{} entries carry a vcpu_id that is none: LTTng's kvm_x86_entry mis-declares the field (a pointer's \
             half). It was not believed; vCPUs were told apart by their threads.",
            number(checks.misdeclared_vcpu_ids)
        ));
    }
    if checks.kvm_unrecorded && checks.named_vcpus == 0 {
        said.push(
            "No event of KVM's that tells of vCPUs was recorded, and no thread is called like a vCPU's: VMs, if there are any, count \
             among the threads of the host."
                .to_owned(),
        );
    }
    if checks.named_vcpus > 0 {
        said.push(format!(
            "{} by what a state dump says of their threads, or by what these are called (\"CPU 0/KVM\"): no event \
             of KVM's that tells of vCPUs was recorded. When they had a processor, and who had it instead, is told; what they did on it, \
             and what they slept for, is unknown.",
            match checks.named_vcpus {
                1 => "1 vCPU is known".to_owned(),
                several => format!("{} vCPUs are known", number(several)),
            }
        ));
    }
    if checks.unentered_vcpus > 0 {
        let plural = if checks.unentered_vcpus == 1 {
            "vCPU"
        } else {
            "vCPUs"
        };
        said.push(format!(
            "{} {plural} came back from KVM_RUN with no kvm_entry or kvm_exit: they were not recorded, or the host's \
             KVM does not make them (kvm_pvm does not). Guest and hypervisor are not told apart there: unknown.",
            number(checks.unentered_vcpus)
        ));
    }
    let compared = checks.causes_agreed + checks.causes_disagreed;
    if compared > 0 {
        said.push(format!(
            "Two sources tell the cause of {} waits, the injected vector and the waker; they disagree on {} ({}).",
            number(compared),
            number(checks.causes_disagreed),
            share(checks.causes_disagreed as i64, compared as i64)
        ));
    }
    if said.is_empty() {
        return;
    }
    page.heading(Tone::Strong, "CHECKS");
    said.iter()
        .for_each(|text| page.paragraph(Tone::Plain, text));
}

pub(crate) fn problems(page: &mut Page, problems: &ProblemsReport, top: usize) {
    if problems.total == 0 {
        return;
    }
    page.heading(
        Tone::Warning,
        &format!("PROBLEMS WITH THE INPUT: {}", number(problems.total)),
    );
    for problem in problems.first.iter().take(top) {
        let packet = problem
            .packet
            .map_or_else(String::new, |n| format!(", packet {n}"));
        let byte = problem
            .offset
            .map_or_else(String::new, |n| format!(", byte {n}"));
        let text = format!(
            "{}: {}{packet}{byte}: {}",
            problem.kind, problem.file, problem.what
        );
        page.indented(Tone::Plain, 2, 6, &text);
    }
    let rest = problems.total.saturating_sub(top as u64);
    if rest > 0 {
        page.paragraph(Tone::Faint, &format!("and {} more", number(rest)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kvm_unrecorded: bool, named_vcpus: u64) -> String {
        let mut page = Page::default();
        let found = Checks {
            kvm_unrecorded,
            named_vcpus,
            ..Checks::default()
        };
        checks(&mut page, &found);
        // As if in one line.
        page.as_str()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn that_vms_may_be_hidden_is_said_where_none_is_seen() {
        assert!(said(true, 0).contains("VMs, if there are any"));
        assert!(said(true, 1).contains("1 vCPU is known by"));
        assert!(said(true, 2).contains("2 vCPUs are known by"));
        assert_eq!(said(false, 0), "");
    }
}
