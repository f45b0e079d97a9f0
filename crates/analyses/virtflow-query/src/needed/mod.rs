//! Which events the answers rest on, what each gives, and what stays hidden without it.

mod analyses;
mod table;

use crate::source::SourceReport;
pub(crate) use analyses::analyses;
pub use analyses::{Analysis, Possible};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use table::{NEEDS, Need, ONLY_LTTNG};

/// An event that the trace does not have, and what its absence hides.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Missing {
    /// What to record, as the trace's tracer calls it.
    pub event: Cow<'static, str>,
    /// What it gives.
    pub gives: Cow<'static, str>,
    /// What is hidden without it.
    pub hides: Cow<'static, str>,
    /// Why it may be missing although it was asked for; often empty.
    pub note: Cow<'static, str>,
}

/// Whether that is what perf tells of threads in records of its own: no event, and not counted.
pub(crate) fn is_told(name: &str) -> bool {
    name.starts_with("PERF_RECORD_")
}

fn has(described: &[&str], need: &Need) -> bool {
    need.any_of
        .iter()
        .any(|wanted| match wanted.strip_suffix('*') {
            Some(prefix) => described.iter().any(|name| name.starts_with(prefix)),
            None => described.contains(wanted),
        })
}

/// Whom one asks to record something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// LTTng, or whoever else names events as it does.
    Lttng,
    /// Our own recorder, which names events as LTTng does.
    Virtflow,
    TraceCmd,
    Perf,
}

impl Asked {
    /// Whoever made all of a machine's traces; of several LTTng.
    pub(crate) fn of(traces: &[SourceReport]) -> Self {
        let all_are = |format: &str| {
            let mut traces = traces.iter();
            traces.all(|trace| trace.format.starts_with(format))
        };
        match traces {
            [] => Self::Lttng,
            _ if all_are("trace.dat") => Self::TraceCmd,
            _ if all_are("perf.data") => Self::Perf,
            _ if traces
                .iter()
                .all(|trace| trace.tracer.starts_with("virtflow ")) =>
            {
                Self::Virtflow
            }
            _ => Self::Lttng,
        }
    }

    /// What one types for what the table calls `name`.
    fn name_of(self, name: &'static str) -> &'static str {
        let need = NEEDS.iter().find(|need| need.name == name);
        need.map_or(name, |need| self.name(need).0)
    }

    /// What one types for it, and why it may be missing all the same.
    const fn name(self, need: &Need) -> (&'static str, &'static str) {
        match (self, need) {
            (Self::Lttng, _) => (need.name, need.note),
            (Self::Virtflow, _) if need.lttng => (need.name, need.note),
            // That LTTng has no probe for it is nothing to it.
            (Self::Virtflow, _) => (need.name, ""),
            (Self::Perf, _) if !need.in_perf.is_empty() => (need.in_perf, need.note),
            (_, _) if !need.kernel.is_empty() && need.lttng => (need.kernel, need.note),
            // That LTTng has no probe for it is nothing to them.
            (_, _) if !need.kernel.is_empty() => (need.kernel, ""),
            (_, _) if need.lttng => (need.name, ONLY_LTTNG),
            (_, _) => (need.name, need.note),
        }
    }
}

/// What a trace that describes only these events does not have. Without VMs in it, only what
/// matters for the host is named.
pub(crate) fn missing(described: &[&str], vms: bool, asked: Asked) -> Vec<Missing> {
    let needs = NEEDS
        .iter()
        .filter(|need| (vms || need.host) && !has(described, need));
    needs
        .map(|need| {
            let (name, note) = asked.name(need);
            Missing {
                event: name.into(),
                gives: need.gives.into(),
                hides: need.without.into(),
                note: note.into(),
            }
        })
        .collect()
}

/// The command by which LTTng or our own recorder records an event of the table, or the option of
/// trace-cmd and perf; empty where they cannot.
pub(crate) fn command(event: &str, asked: Asked) -> String {
    let has = |is: &dyn Fn(&Need) -> bool| NEEDS.iter().any(is);
    if asked == Asked::Virtflow && has(&|need| need.name == event) {
        "virtflow record --profile vm".to_owned()
    } else if has(&|need| need.name == event && need.lttng) {
        format!("lttng enable-event --kernel '{event}'")
    } else if event.is_empty() {
        String::new()
    } else if has(&|need| need.kernel == event) {
        let events = event.split(", ").map(|event| format!("-e '{event}'"));
        events.collect::<Vec<_>>().join(" ")
    } else if has(&|need| need.in_perf == event) {
        event.to_owned()
    } else {
        String::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_analysis_rests_on_events_of_the_table() {
        for (_, sign, must, better) in analyses::ANALYSES {
            for name in must.iter().chain(*better).chain([sign]) {
                assert!(NEEDS.iter().any(|need| need.name == *name), "{name}");
            }
        }
    }

    #[test]
    fn no_command_is_given_for_what_cannot_be_recorded() {
        for event in [
            "kvm_vcpu_wakeup",
            "vcpu_enter_guest",
            "vcpu_exit_guest",
            "no_such_event",
        ] {
            assert_eq!(command(event, Asked::Lttng), "");
        }
        assert_eq!(
            command("sched_waking", Asked::Lttng),
            "lttng enable-event --kernel 'sched_waking'"
        );
        assert_eq!(command("--namespaces", Asked::Perf), "--namespaces");
        assert_eq!(
            command("kvm:kvm_msr, kvm:kvm_apic", Asked::TraceCmd),
            "-e 'kvm:kvm_msr' -e 'kvm:kvm_apic'"
        );
        // Our own recorder records them all.
        for need in NEEDS {
            let (name, note) = Asked::Virtflow.name(need);
            let typed = command(name, Asked::Virtflow);
            assert_eq!(typed, "virtflow record --profile vm");
            assert!(!note.contains("LTTng"), "{note}");
        }
        assert_eq!(command("no_such_event", Asked::Virtflow), "");
        // Whatever says that LTTng has no probe has no command.
        for need in NEEDS.iter().filter(|need| need.note.contains("no probe")) {
            assert_eq!(command(need.name, Asked::Lttng), "");
        }
    }

    #[test]
    fn what_is_missing_is_called_as_the_tracer_of_the_trace_calls_it() {
        let names = |asked| -> Vec<(String, String)> {
            let all = missing(&["sched_switch"], true, asked);
            let all = all.into_iter();
            all.map(|m| (m.event.into_owned(), m.note.into_owned()))
                .collect()
        };
        let (lttng, trace_cmd) = (names(Asked::Lttng), names(Asked::TraceCmd));
        let perf = names(Asked::Perf);
        let at = |all: &[(String, String)], of: &str| {
            let place = NEEDS.iter().position(|need| need.name == of).unwrap();
            // All but `sched_switch` are missing, which stands first.
            all[place - 1].clone()
        };
        let pair = |name: &str, note: &str| (name.to_owned(), note.to_owned());
        for of_kernel in [&trace_cmd, &perf] {
            assert_eq!(at(of_kernel, "kvm_x86_entry"), pair("kvm:kvm_entry", ""));
            let no_probe = at(of_kernel, "kvm_vcpu_wakeup");
            assert_eq!(no_probe, pair("kvm:kvm_vcpu_wakeup", ""));
        }
        assert_eq!(at(&lttng, "kvm_x86_entry"), pair("kvm_x86_entry", ""));
        let namespaces = "lttng_statedump_process_pid_ns";
        assert_eq!(at(&perf, namespaces), pair("--namespaces", ""));
        assert_eq!(at(&trace_cmd, namespaces), pair(namespaces, ONLY_LTTNG));
    }

    #[test]
    fn aliases_and_prefixes_count() {
        let described = [
            "sched_switch",
            "kvm_exit",
            "kvm_entry",
            "irq_vectors_local_timer_entry",
        ];
        let missing = missing(&described, true, Asked::Lttng);
        let missing: Vec<&str> = missing.iter().map(|m| m.event.as_ref()).collect();
        assert!(!missing.contains(&"kvm_x86_exit"));
        assert!(!missing.contains(&"x86_irq_vectors_*"));
        assert!(missing.contains(&"sched_waking"));
        let analyses = analyses(&described, &described, Asked::Lttng);
        let vcpus = analyses
            .iter()
            .find(|a| a.name.starts_with("vCPUs"))
            .unwrap();
        assert_eq!(vcpus.possible, Possible::Partly);
        let unseen = super::analyses(&described, &["sched_switch"], Asked::Lttng);
        assert!(
            unseen
                .iter()
                .any(|a| a.name == vcpus.name && a.possible == Possible::NothingSeen)
        );
        assert!(
            analyses
                .iter()
                .any(|a| a.name == "guest processes" && a.possible == Possible::No)
        );
    }
}
