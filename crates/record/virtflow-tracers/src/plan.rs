//! What is going to be recorded.

use crate::table::{EVENTS, Group};
use crate::{Tracer, TracerError, ask, lttng, perf, remedy, tracecmd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The tracepoints of our own kernel module (`kmod/`), which few have.
const OF_MODULE: &str = "virtflow:";
/// How long what a tracer runs has to end when it was asked to; then it is killed.
pub(crate) const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// What somebody wants.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Where the trace goes: a new directory. For trace-cmd and perf also the new file itself, if
    /// its name ends as theirs do (`.dat`, `.data`).
    pub output: PathBuf,
    /// For how long; until the command ends or somebody interrupts otherwise.
    pub duration: Option<Duration>,
    /// What to run meanwhile; often nothing.
    pub command: Vec<String>,
    /// Which events.
    pub groups: Vec<Group>,
    /// Groups that must not be missing.
    pub must: Vec<Group>,
    /// Room for events that are not written yet, for each processor, in MiB: made a power of two.
    pub buffer_mib: u32,
}

/// A command to type, and what to say above it.
pub(crate) type Typed = (&'static str, Vec<String>);

/// What is going to be recorded, by which commands.
#[derive(Debug)]
pub struct Plan {
    pub(crate) tracer: Tracer,
    pub(crate) wanted: Wanted,
    pub(crate) program: PathBuf,
    /// Whether the tracer was asked what it has.
    asked: bool,
    started: Option<&'static str>,
    events: Vec<(Group, &'static str)>,
    missing: Vec<&'static str>,
    /// The first events without which a group that is wanted says nothing.
    lacks: Vec<(Group, &'static str)>,
}

impl Plan {
    /// With the events that the tracer has here.
    ///
    /// # Errors
    /// Where the tracer is not there, does not tell what it has, or lacks what must not be missing.
    pub fn new(tracer: Tracer, wanted: Wanted) -> Result<Self, TracerError> {
        Self::by(tracer, Path::new(tracer.program()), wanted)
    }

    pub(crate) fn by(tracer: Tracer, program: &Path, wanted: Wanted) -> Result<Self, TracerError> {
        let there = ask::events(tracer, program)?;
        let mut plan = Self::of(tracer, wanted, |name| there.events.contains(name));
        program.clone_into(&mut plan.program);
        plan.asked = true;
        plan.started = there.started;
        let mut lacks = plan.lacks.iter();
        match lacks.find(|(group, _)| plan.wanted.must.contains(group)) {
            Some(&(group, event)) => Err(TracerError::Needed {
                tracer: tracer.name(),
                event,
                remedy: remedy::event(tracer, group == Group::Kvm),
            }),
            None => Ok(plan),
        }
    }

    /// With all events that the tracer can have, here or elsewhere.
    pub fn of_all(tracer: Tracer, wanted: Wanted) -> Self {
        // Without the module that has them perf would not start.
        let left_out = |name: &str| tracer == Tracer::Perf && name.starts_with(OF_MODULE);
        let mut plan = Self::of(tracer, wanted, |name| !left_out(name));
        plan.missing.clear();
        plan
    }

    fn of(tracer: Tracer, wanted: Wanted, there: impl Fn(&str) -> bool) -> Self {
        let mut plan = Self {
            tracer,
            program: tracer.program().into(),
            asked: false,
            started: None,
            events: Vec::new(),
            missing: Vec::new(),
            lacks: Vec::new(),
            wanted,
        };
        for event in EVENTS {
            let names = event.names(tracer);
            let (true, Some(first)) = (plan.wanted.groups.contains(&event.group), names.first())
            else {
                continue;
            };
            match names.iter().find(|name| there(name)) {
                Some(name) => plan.events.push((event.group, name)),
                // Whoever has not loaded our module is told that the tracer cannot tell it.
                None if first.starts_with(OF_MODULE) => {}
                None => {
                    plan.missing.push(first);
                    if event.base {
                        plan.lacks.push((event.group, first));
                    }
                }
            }
        }
        plan
    }

    /// Who records.
    pub const fn tracer(&self) -> Tracer {
        self.tracer
    }

    /// The events that are recorded, as the tracer calls them.
    pub fn events(&self) -> impl Iterator<Item = &'static str> {
        self.events.iter().map(|(_, name)| *name)
    }

    /// Those that are of use, but not there.
    pub fn missing(&self) -> &[&'static str] {
        &self.missing
    }

    /// The events of each group that has any.
    pub(crate) fn groups(&self) -> impl Iterator<Item = (Group, Vec<&'static str>)> {
        let groups = self.events.chunk_by(|a, b| a.0 == b.0);
        groups.filter_map(|events| {
            let (group, _) = events.first()?;
            Some((*group, events.iter().map(|(_, name)| *name).collect()))
        })
    }

    /// The directory or the file that is written.
    pub fn trace(&self) -> PathBuf {
        let (name, end) = match self.tracer {
            Tracer::Lttng => return self.wanted.output.clone(),
            Tracer::TraceCmd => (tracecmd::FILE, "dat"),
            Tracer::Perf => (perf::FILE, "data"),
        };
        if self.wanted.output.extension().is_some_and(|is| is == end) {
            self.wanted.output.clone()
        } else {
            self.wanted.output.join(name)
        }
    }

    /// The directory that is made before, where there is one to make.
    pub(crate) fn directory(&self) -> Option<PathBuf> {
        let parent = match self.tracer {
            Tracer::Lttng => None,
            Tracer::TraceCmd | Tracer::Perf => self.trace().parent().map(Path::to_owned),
        };
        parent.filter(|parent| !parent.as_os_str().is_empty())
    }

    /// What will not be told, whatever is recorded.
    pub fn cannot(&self) -> Vec<&'static str> {
        let cr3 = "the guests' CR3 (the view of guest processes is empty)";
        let has_cr3 = self.events.iter().any(|(group, _)| *group == Group::Cr3);
        let mut cannot = Vec::new();
        if !(has_cr3 && self.asked) {
            cannot.push(cr3);
        }
        cannot.extend(match self.tracer {
            Tracer::Lttng => lttng::CANNOT,
            Tracer::TraceCmd => tracecmd::CANNOT,
            Tracer::Perf => perf::CANNOT,
        });
        cannot
    }

    /// A program that was started to make the plan, and goes on running.
    pub const fn started(&self) -> Option<&'static str> {
        self.started
    }

    /// Groups that were wanted, of which nothing will be told, and what to do about it.
    pub fn warnings(&self) -> Vec<String> {
        let mut lacks = self.lacks.clone();
        lacks.dedup_by_key(|(group, _)| *group);
        let warning = |(group, event): (Group, &str)| {
            let of = if group == Group::Kvm { "VMs" } else { "it" };
            format!(
                "{} has no {event} here: nothing will be told of {of}; {}",
                self.tracer.name(),
                remedy::event(self.tracer, group == Group::Kvm)
            )
        };
        lacks.into_iter().map(warning).collect()
    }

    /// Room for each processor, in MiB.
    pub(crate) fn buffer_mib(&self) -> u32 {
        self.wanted.buffer_mib.clamp(1, 1 << 12).next_power_of_two()
    }

    /// The commands that record, as programs and their arguments.
    pub fn commands(&self) -> Vec<Vec<String>> {
        self.typed().into_iter().map(|(_, argv)| argv).collect()
    }

    pub(crate) fn typed(&self) -> Vec<Typed> {
        match self.tracer {
            Tracer::Lttng => lttng::typed(self),
            Tracer::TraceCmd => self.one(tracecmd::argv(self)),
            Tracer::Perf => self.one(perf::argv(self)),
        }
    }

    /// The command of a tracer that needs only one.
    fn one(&self, argv: Vec<String>) -> Vec<Typed> {
        let mut typed = Vec::new();
        if let Some(directory) = self.directory() {
            let directory = directory.display().to_string();
            typed.push(("", words(&["mkdir", "-p", &directory])));
        }
        let endless = self.meanwhile().is_empty();
        typed.push((if endless { "until Ctrl-C" } else { "" }, argv));
        typed
    }

    /// What is run while it is recorded: the command, for as long as it may; or a sleep.
    pub(crate) fn meanwhile(&self) -> Vec<String> {
        let command = self.wanted.command.clone();
        match self.wanted.duration {
            None => command,
            Some(duration) if command.is_empty() => words(&["sleep", &seconds(duration)]),
            Some(duration) => {
                let timeout = words(&[
                    "timeout",
                    "--foreground",
                    "-k",
                    &seconds(ENDS_WITHIN),
                    &seconds(duration),
                ]);
                [timeout, command].concat()
            }
        }
    }

    pub(crate) fn program(&self) -> String {
        self.program.display().to_string()
    }
}

pub(crate) fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// `10`, `0.5`: what `sleep` and `timeout` take.
pub(crate) fn seconds(duration: Duration) -> String {
    let text = format!("{}.{:09}", duration.as_secs(), duration.subsec_nanos());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const ALL: [Group; 7] = [
        Group::Sched,
        Group::Irq,
        Group::Block,
        Group::Net,
        Group::Power,
        Group::Kvm,
        Group::Cr3,
    ];

    pub(crate) fn wanted(output: impl Into<PathBuf>) -> Wanted {
        Wanted {
            output: output.into(),
            duration: Some(Duration::from_secs(10)),
            command: Vec::new(),
            groups: ALL.to_vec(),
            must: vec![Group::Sched],
            buffer_mib: 16,
        }
    }

    #[test]
    fn the_first_name_that_is_there_is_taken() {
        let there = [
            "sched:sched_switch",
            "sched:sched_wakeup",
            "kvm:kvm_nested_vmrun",
        ];
        let plan = Plan::of(Tracer::Perf, wanted("trace"), |name| there.contains(&name));
        assert_eq!(plan.events().collect::<Vec<_>>(), there);
        assert!(plan.missing().contains(&"kvm:kvm_exit"));
        // Of what only LTTng has nothing is said.
        assert!(!plan.missing().iter().any(|name| name.contains("statedump")));
        let warnings = plan.warnings();
        assert!(
            warnings.len() == 1 && warnings[0].contains("modprobe"),
            "{warnings:?}"
        );
    }

    #[test]
    fn files_lie_in_the_directory_unless_they_are_named() {
        let of = |tracer, output: &str| {
            let plan = Plan::of_all(tracer, wanted(output));
            (plan.trace().display().to_string(), plan.directory())
        };
        let trace = |name: &str| Some(PathBuf::from(name));
        assert_eq!(of(Tracer::Lttng, "trace"), ("trace".into(), None));
        assert_eq!(
            of(Tracer::TraceCmd, "a"),
            ("a/trace.dat".into(), trace("a"))
        );
        assert_eq!(
            of(Tracer::TraceCmd, "a/b.dat"),
            ("a/b.dat".into(), trace("a"))
        );
        assert_eq!(of(Tracer::Perf, "b.data"), ("b.data".into(), None));
        assert_eq!(
            of(Tracer::Perf, "b.dat"),
            ("b.dat/perf.data".into(), trace("b.dat"))
        );
    }

    #[test]
    fn durations_are_seconds() {
        assert_eq!(seconds(Duration::from_secs(10)), "10");
        assert_eq!(seconds(Duration::from_millis(1_500)), "1.5");
        assert_eq!(seconds(Duration::from_nanos(1)), "0.000000001");
        assert_eq!(seconds(Duration::ZERO), "0");
    }
}
