//! Which events there are to record.

use crate::drive::{Step, said};
use crate::{Tracer, TracerError};
use std::collections::HashSet;
use std::path::Path;

/// Where the kernel shows its events.
const TRACEFS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];
const ROOT: &str = "run it as root";
const ROOT_OR_TRACING: &str = "run it as root, or as a member of the group `tracing` where root's lttng-sessiond runs, and have \
     LTTng's kernel modules loaded (`modprobe lttng-tracer` says what is wrong with them)";

/// LTTng's session daemon.
const DAEMON: &str = "lttng-sessiond";

/// What a tracer has here.
pub(crate) struct There {
    /// The names of all events that it can record.
    pub(crate) events: HashSet<String>,
    /// What was started to learn of them, and goes on running.
    pub(crate) started: Option<&'static str>,
}

/// What a tracer has here.
///
/// # Errors
/// Where nobody tells.
pub(crate) fn events(tracer: Tracer, program: &Path) -> Result<There, TracerError> {
    match tracer {
        Tracer::Lttng => of_lttng(program),
        Tracer::TraceCmd | Tracer::Perf => {
            // Whether the program is there is of more interest than what the kernel says.
            let version = [program.display().to_string(), "--version".to_owned()];
            Step::new(tracer, &version).output()?;
            Ok(There {
                events: of_kernel(&TRACEFS.map(Path::new))?,
                started: None,
            })
        }
    }
}

/// `lttng list --kernel` needs root's session daemon, and starts none, as `lttng create` does.
fn of_lttng(program: &Path) -> Result<There, TracerError> {
    let first = list_of_lttng(program);
    if first.is_ok() || !rustix::process::geteuid().is_root() {
        return first;
    }
    let daemon = program.with_file_name(DAEMON).display().to_string();
    let argv = [daemon, "--daemonize".to_owned()];
    match Step::new(Tracer::Lttng, &argv).run() {
        Ok(()) => list_of_lttng(program).map(|there| There {
            started: Some(DAEMON),
            ..there
        }),
        // One runs: that was not it.
        Err(_) => first,
    }
}

fn list_of_lttng(program: &Path) -> Result<There, TracerError> {
    let list = ["list", "--kernel"].map(str::to_owned);
    let argv = [&[program.display().to_string()][..], &list].concat();
    let output = Step::new(Tracer::Lttng, &argv).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let events = listed(&text);
    if !output.status.success() || events.is_empty() {
        let why = said(&output).unwrap_or_else(|| "it lists no event".to_owned());
        return Err(TracerError::Untold {
            what: "`lttng list --kernel`".to_owned(),
            why,
            rights: ROOT_OR_TRACING,
        });
    }
    Ok(There {
        events,
        started: None,
    })
}

/// `      sched_switch (loglevel: TRACE_EMERG (0)) (type: tracepoint)`
fn listed(text: &str) -> HashSet<String> {
    let events = text.lines().filter_map(|line| {
        let (name, rest) = line.trim_start().split_once(' ')?;
        rest.contains("(type: tracepoint)").then(|| name.to_owned())
    });
    events.collect()
}

fn of_kernel(places: &[&Path]) -> Result<HashSet<String>, TracerError> {
    let mut why = String::new();
    for place in places {
        let file = place.join("available_events");
        match std::fs::read_to_string(&file) {
            Ok(text) => return Ok(text.lines().map(|line| line.trim().to_owned()).collect()),
            Err(error) if why.is_empty() => why = error.to_string(),
            Err(_) => {}
        }
    }
    let what = places.first().map(|place| place.join("available_events"));
    Err(TracerError::Untold {
        what: what.unwrap_or_default().display().to_string(),
        why,
        rights: ROOT,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lttng_lists() {
        let text = "Kernel events:\n-------------\n      sched_switch (loglevel: TRACE_EMERG (0)) (type: tracepoint)\n      kvm_x86_exit (loglevel: TRACE_EMERG (0)) (type: tracepoint)\n      open (type: syscall)\n\n";
        let mut events: Vec<_> = listed(text).into_iter().collect();
        events.sort();
        assert_eq!(events, ["kvm_x86_exit", "sched_switch"]);
    }

    #[test]
    fn what_the_kernel_shows() {
        let place = tempfile::tempdir().unwrap();
        let nowhere = place.path().join("no");
        let error = of_kernel(&[&nowhere]).unwrap_err().to_string();
        assert!(
            error.contains("available_events") && error.ends_with(ROOT),
            "{error}"
        );
        let text = "sched:sched_switch\nkvm:kvm_exit\n";
        std::fs::write(place.path().join("available_events"), text).unwrap();
        let events = of_kernel(&[&nowhere, place.path()]).unwrap();
        assert!(events.len() == 2 && events.contains("kvm:kvm_exit"));
    }
}
