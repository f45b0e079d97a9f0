//! Which events the answers rest on, what each gives, and what stays hidden without it.

mod analyses;
mod table;

pub(crate) use analyses::analyses;
pub use analyses::{Analysis, Possible};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use table::{NEEDS, Need};

/// An event that the trace does not have, and what its absence hides.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Missing {
    /// What to record, in LTTng's names.
    pub event: Cow<'static, str>,
    /// What it gives.
    pub gives: Cow<'static, str>,
    /// What is hidden without it.
    pub hides: Cow<'static, str>,
    /// Why it may be missing although it was asked for; often empty.
    pub note: Cow<'static, str>,
}

fn has(described: &[&str], need: &Need) -> bool {
    need.any_of
        .iter()
        .any(|wanted| match wanted.strip_suffix('*') {
            Some(prefix) => described.iter().any(|name| name.starts_with(prefix)),
            None => described.contains(wanted),
        })
}

/// What a trace that describes only these events does not have. Without VMs in it, only what
/// matters for the host is named.
pub(crate) fn missing(described: &[&str], vms: bool) -> Vec<Missing> {
    let needs = NEEDS
        .iter()
        .filter(|need| (vms || need.host) && !has(described, need));
    needs
        .map(|need| Missing {
            event: need.name.into(),
            gives: need.gives.into(),
            hides: need.without.into(),
            note: need.note.into(),
        })
        .collect()
}

/// The command by which LTTng records an event of the table; empty where it cannot.
pub(crate) fn command(event: &str) -> String {
    let recordable = NEEDS.iter().any(|need| need.name == event && need.lttng);
    if recordable {
        format!("lttng enable-event --kernel '{event}'")
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
    fn no_command_is_given_for_what_lttng_cannot_record() {
        for event in [
            "kvm_vcpu_wakeup",
            "vcpu_enter_guest",
            "vcpu_exit_guest",
            "no_such_event",
        ] {
            assert_eq!(command(event), "");
        }
        assert_eq!(
            command("sched_waking"),
            "lttng enable-event --kernel 'sched_waking'"
        );
        // Whatever says that LTTng has no probe has no command.
        for need in NEEDS.iter().filter(|need| need.note.contains("no probe")) {
            assert_eq!(command(need.name), "");
        }
    }

    #[test]
    fn aliases_and_prefixes_count() {
        let described = [
            "sched_switch",
            "kvm_exit",
            "kvm_entry",
            "irq_vectors_local_timer_entry",
        ];
        let missing = missing(&described, true);
        let missing: Vec<&str> = missing.iter().map(|m| m.event.as_ref()).collect();
        assert!(!missing.contains(&"kvm_x86_exit"));
        assert!(!missing.contains(&"x86_irq_vectors_*"));
        assert!(missing.contains(&"sched_waking"));
        let analyses = analyses(&described, &described);
        let vcpus = analyses
            .iter()
            .find(|a| a.name.starts_with("vCPUs"))
            .unwrap();
        assert_eq!(vcpus.possible, Possible::Partly);
        let unseen = super::analyses(&described, &["sched_switch"]);
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
