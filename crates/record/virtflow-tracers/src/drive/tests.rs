use super::*;
use crate::Group;
use crate::plan::tests::wanted;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

/// A place with a program in the tracer's stead, which notes how it is called.
struct Fake {
    place: tempfile::TempDir,
}

impl Fake {
    /// `body` is a shell's, with the arguments and `$HERE`; each call is a line of `calls`.
    fn new(body: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let text = format!(
            "#!/bin/sh\nHERE='{}'\necho \"$*\" >> \"$HERE/calls\"\n{body}\n",
            place.path().display()
        );
        // Written by another process: a file that this one has open for writing while another test
        // forks cannot be executed.
        let script = place.path().join("tracer");
        let mut child = Command::new("sh")
            .args(["-c", "cat > \"$0\"; chmod +x \"$0\""])
            .arg(&script)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
        assert!(script.metadata().unwrap().permissions().mode() & 0o100 != 0);
        Self { place }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn plan(&self, tracer: Tracer, change: impl FnOnce(&mut crate::Wanted)) -> Plan {
        let mut wanted = wanted(self.at("out"));
        wanted.groups = vec![Group::Sched];
        change(&mut wanted);
        let mut plan = Plan::of_all(tracer, wanted);
        plan.program = self.at("tracer");
        plan
    }

    /// The first words of each call.
    fn calls(&self) -> Vec<String> {
        let calls = std::fs::read_to_string(self.at("calls")).unwrap_or_default();
        let calls = calls
            .lines()
            .map(|call| call.split(' ').next().unwrap_or("").to_owned());
        calls.collect()
    }
}

const SHORT: Duration = Duration::from_millis(50);
const LTTNG: &str = "case $1 in create) mkdir -p \"${3#--output=}/kernel\";; esac";
const WHOLE: [&str; 8] = [
    "create",
    "enable-channel",
    "add-context",
    "enable-event",
    "start",
    "stop",
    "destroy",
    "",
];

/// Sends what Ctrl-C does when `file` is there.
fn interrupt_when(file: PathBuf, times: usize) -> Arc<AtomicUsize> {
    let counter = Arc::new(AtomicUsize::new(0));
    let asked = Arc::clone(&counter);
    std::thread::spawn(move || {
        while !file.exists() {
            std::thread::sleep(Duration::from_millis(5));
        }
        asked.store(times, Ordering::Relaxed);
    });
    counter
}

#[test]
fn lttng_is_driven_in_order_and_the_session_destroyed() {
    let fake = Fake::new(LTTNG);
    let plan = fake.plan(Tracer::Lttng, |wanted| wanted.duration = Some(SHORT));
    let driven = drive(&plan, &AtomicUsize::new(0)).unwrap();
    assert_eq!(fake.calls(), WHOLE[..7]);
    assert_eq!(driven.trace, fake.at("out"));
    assert!(driven.elapsed >= SHORT && driven.ended.is_none());
    let calls = std::fs::read_to_string(fake.at("calls")).unwrap();
    let session = format!("virtflow-{}", std::process::id());
    assert_eq!(calls.matches(&session).count(), 7, "{calls}");
    assert!(
        calls.contains("--subbuf-size=1M --num-subbuf=16 k\n"),
        "{calls}"
    );
    assert!(calls.contains("--type=pid --type=tid\n"), "{calls}");
    assert!(
        calls.contains("--channel=k sched_switch,sched_waking,"),
        "{calls}"
    );
    assert!(!calls.contains("sched_wakeup,"), "{calls}");
}

#[test]
fn lttngs_session_is_destroyed_where_a_step_fails() {
    for (at, step) in WHOLE[..6].iter().enumerate() {
        let body = format!("[ $1 = {step} ] && {{ echo 'Error: no' >&2; exit 3; }}\n{LTTNG}");
        let fake = Fake::new(&body);
        let plan = fake.plan(Tracer::Lttng, |wanted| wanted.duration = Some(SHORT));
        let error = drive(&plan, &AtomicUsize::new(0)).unwrap_err().to_string();
        assert!(
            error.contains(step) && error.ends_with("(exit status: 3): Error: no"),
            "{error}"
        );
        // What was never created is not destroyed.
        let destroyed = if at == 0 { &[][..] } else { &["destroy"] };
        assert_eq!(fake.calls(), [&WHOLE[..=at], destroyed].concat(), "{step}");
    }
}

#[test]
fn interrupted_lttng_stops_and_is_destroyed() {
    // While it records: the trace is whole.
    let fake = Fake::new(&format!(
        "{LTTNG}\n[ $1 = start ] && : > \"$HERE/started\"; true"
    ));
    let plan = fake.plan(Tracer::Lttng, |wanted| wanted.duration = None);
    let interrupted = interrupt_when(fake.at("started"), 1);
    drive(&plan, &interrupted).unwrap();
    assert_eq!(fake.calls(), WHOLE[..7]);
    // Before: there is none.
    let fake = Fake::new(LTTNG);
    let plan = fake.plan(Tracer::Lttng, |wanted| wanted.duration = None);
    let interrupted = interrupt_when(fake.at("out"), 1);
    let error = drive(&plan, &interrupted);
    // Once created it is destroyed, wherever the interruption came.
    assert_eq!(
        fake.calls().last().map(String::as_str),
        Some("destroy"),
        "{error:?}"
    );
}

#[test]
fn the_command_runs_between_start_and_stop() {
    let fake = Fake::new(LTTNG);
    let calls = fake.at("calls").display().to_string();
    let plan = fake.plan(Tracer::Lttng, |wanted| {
        let work = "echo work >> \"$0\"; exit 5";
        wanted.command = ["sh", "-c", work, &calls].map(str::to_owned).to_vec();
    });
    let driven = drive(&plan, &AtomicUsize::new(0)).unwrap();
    assert_eq!(
        driven.ended.as_deref(),
        Some("sh ended with exit status: 5")
    );
    let calls = fake.calls();
    assert_eq!(calls[4..], ["start", "work", "stop", "destroy"]);
    // One that is not there is told, and the session ends all the same.
    let fake = Fake::new(LTTNG);
    let plan = fake.plan(Tracer::Lttng, |w| {
        w.command = vec!["no-such-command".to_owned()]
    });
    let error = drive(&plan, &AtomicUsize::new(0)).unwrap_err().to_string();
    assert!(error.starts_with("no-such-command: "), "{error}");
    assert_eq!(fake.calls(), WHOLE[..7]);
}

/// What a tracer of one command does: it writes its file when it is asked to end.
const UNTIL_ASKED: &str = "while [ \"$1\" != -o ]; do shift; done\n\
    trap 'echo whole > \"$FILE\"; exit 0' INT\nFILE=$2\n: > \"$HERE/started\"\n\
    while :; do sleep 0.01; done";

#[test]
fn one_command_is_asked_to_end_as_ctrl_c_does() {
    for tracer in [Tracer::TraceCmd, Tracer::Perf] {
        let fake = Fake::new(UNTIL_ASKED);
        let plan = fake.plan(tracer, |wanted| wanted.duration = None);
        let interrupted = interrupt_when(fake.at("started"), 1);
        let driven = drive(&plan, &interrupted).unwrap();
        assert_eq!(std::fs::read_to_string(driven.trace).unwrap(), "whole\n");
    }
}

/// trace-cmd waits for what it runs, which only a terminal's Ctrl-C reaches.
#[test]
fn what_a_tracer_waits_for_is_asked_to_end_too() {
    // A background process of a shell ignores SIGINT; `env` has it heed it.
    let body = "while [ \"$1\" != -o ]; do shift; done\ntrap '' INT\n: > \"$HERE/started\"\n\
        env --default-signal=INT sleep 60 &\nwait $!\necho whole > \"$2\"";
    let fake = Fake::new(body);
    let plan = fake.plan(Tracer::TraceCmd, |wanted| wanted.duration = None);
    let begun = Instant::now();
    let driven = drive(&plan, &interrupt_when(fake.at("started"), 1)).unwrap();
    assert_eq!(std::fs::read_to_string(driven.trace).unwrap(), "whole\n");
    assert!(begun.elapsed() < Duration::from_secs(30));
}

/// perf waits for its command, which may ignore what it is asked.
#[test]
fn what_perf_runs_is_killed_where_it_does_not_end() {
    let body = "while [ \"$1\" != -o ]; do shift; done\ntrap '' INT TERM\n\
        sleep 60 &\n: > \"$HERE/started\"\nwait $!\necho whole > \"$2\"";
    let fake = Fake::new(body);
    let plan = fake.plan(Tracer::Perf, |wanted| wanted.duration = None);
    let begun = Instant::now();
    let driven = drive(&plan, &interrupt_when(fake.at("started"), 1)).unwrap();
    assert_eq!(std::fs::read_to_string(driven.trace).unwrap(), "whole\n");
    assert!(begun.elapsed() < Duration::from_secs(30));
    // A second Ctrl-C does not wait.
    let fake = Fake::new(body);
    let plan = fake.plan(Tracer::Perf, |wanted| wanted.duration = None);
    let begun = Instant::now();
    let error = drive(&plan, &interrupt_when(fake.at("started"), 2)).unwrap_err();
    assert!(matches!(error, TracerError::Interrupted(_)), "{error}");
    assert!(begun.elapsed() < ENDS_WITHIN);
}

/// trace-cmd takes seconds before it says what a Ctrl-C does; until then it would end it.
#[test]
fn one_that_is_interrupted_while_it_starts_is_asked_when_it_has_begun() {
    // Of all shells only one that reads its commands from a file that it was given as its input leaves
    // the signal as it is.
    let body = "while [ \"$1\" != -o ]; do shift; done\n: > \"$HERE/started\"\n\
        i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done; : > \"$HERE/begun\"\n\
        trap 'echo whole > \"$2\"; exit 0' INT\nwhile :; do sleep 0.01; done";
    for tracer in [Tracer::TraceCmd, Tracer::Perf] {
        let fake = Fake::new("export HERE; exec sh -s -- \"$@\" < \"$HERE/body\"");
        std::fs::write(fake.at("body"), body).unwrap();
        let plan = fake.plan(tracer, |wanted| wanted.duration = None);
        let driven = drive(&plan, &interrupt_when(fake.at("started"), 1)).unwrap();
        assert!(fake.at("begun").exists());
        assert_eq!(std::fs::read_to_string(driven.trace).unwrap(), "whole\n");
    }
}

/// A terminal's Ctrl-C reaches what is recorded, but no tracer that is not ready for it.
#[test]
fn only_a_tracer_with_a_command_shares_the_terminals_ctrl_c_and_begins_deaf() {
    let body = "while [ \"$1\" != -o ]; do shift; done\n\
        grep -e SigIgn -e NSpgid /proc/$$/status > \"$2\"";
    let told = |command: &[&str]| {
        let fake = Fake::new(body);
        let plan = fake.plan(Tracer::TraceCmd, |wanted| {
            wanted.command = command.iter().map(|&word| word.to_owned()).collect();
        });
        let driven = drive(&plan, &AtomicUsize::new(0)).unwrap();
        let text = std::fs::read_to_string(driven.trace).unwrap();
        let of = |name: &str, radix| {
            let mut lines = text.lines();
            let value = lines.find_map(|line| line.strip_prefix(name)).unwrap();
            let value = value.split_whitespace().next_back().unwrap();
            u64::from_str_radix(value, radix).unwrap()
        };
        (of("SigIgn:", 16) >> 1 & 1 == 1, of("NSpgid:", 10))
    };
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let own = status.lines().find_map(|line| line.strip_prefix("NSpgid:"));
    let own: u64 = own
        .unwrap()
        .split_whitespace()
        .next_back()
        .unwrap()
        .parse()
        .unwrap();
    assert_ne!(told(&[]).1, own);
    assert_eq!(told(&["work"]), (true, own));
}

/// One that ends of it all the same has recorded nothing, and that is said.
#[test]
fn one_that_ends_of_an_interruption_without_a_trace_is_told() {
    let body = "trap 'exit 1' INT\n: > \"$HERE/started\"\nwhile :; do sleep 0.01; done";
    let fake = Fake::new(body);
    let plan = fake.plan(Tracer::TraceCmd, |wanted| wanted.duration = None);
    let error = drive(&plan, &interrupt_when(fake.at("started"), 1)).unwrap_err();
    assert!(matches!(error, TracerError::Interrupted(_)), "{error}");
    assert!(!fake.at("out").exists());
}

#[test]
fn one_that_does_not_end_is_made_to() {
    let fake = Fake::new("trap '' INT\n: > \"$HERE/started\"\nwhile :; do sleep 0.01; done");
    let plan = fake.plan(Tracer::TraceCmd, |wanted| wanted.duration = None);
    let error = drive(&plan, &interrupt_when(fake.at("started"), 2)).unwrap_err();
    assert!(error.to_string().contains("trace-cmd reset"), "{error}");
    assert!(!fake.at("out").exists());
}

#[test]
fn one_that_fails_leaves_no_directory() {
    for tracer in [Tracer::TraceCmd, Tracer::Perf] {
        let fake = Fake::new("while [ \"$1\" != -o ]; do shift; done; : > \"$2\"; exit 7");
        let plan = fake.plan(tracer, |_| ());
        let error = drive(&plan, &AtomicUsize::new(0)).unwrap_err().to_string();
        assert!(error.contains("(exit status: 7)"), "{error}");
        assert!(!fake.at("out").exists());
    }
}

#[test]
fn perf_ends_as_its_command_does() {
    let body = "while [ \"$1\" != -o ]; do shift; done\necho whole > \"$2\"; exit 5";
    let fake = Fake::new(body);
    let plan = fake.plan(Tracer::Perf, |wanted| {
        wanted.command = vec!["work".to_owned()]
    });
    let driven = drive(&plan, &AtomicUsize::new(0)).unwrap();
    assert!(driven.ended.unwrap().contains("exit status: 5"));
    assert_eq!(driven.code, Some(5));
    // `timeout` had to kill it, or somebody else did.
    let killed = body.replace("exit 5", "exit 137");
    let other = Fake::new(&killed);
    let plan = other.plan(Tracer::Perf, |wanted| {
        wanted.command = vec!["work".to_owned()];
        wanted.duration = Some(Duration::from_secs(1));
    });
    let driven = drive(&plan, &AtomicUsize::new(0)).unwrap();
    assert_eq!(driven.code, Some(137));
    // A sleep ends well: then it was perf.
    let plan = fake.plan(Tracer::Perf, |_| ());
    assert!(drive(&plan, &AtomicUsize::new(0)).is_err());
    // trace-cmd says nothing of its command.
    let plan = fake.plan(Tracer::TraceCmd, |wanted| {
        wanted.command = vec!["work".to_owned()]
    });
    assert!(drive(&plan, &AtomicUsize::new(0)).is_err());
}

#[test]
fn what_is_not_there_is_asked_for_by_its_package() {
    let fake = Fake::new("echo '    other (loglevel: TRACE_EMERG (0)) (type: tracepoint)'");
    let nowhere = Path::new("no-such-program");
    for tracer in Tracer::ALL {
        let error = Plan::by(tracer, nowhere, wanted("out"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("not installed; install it"), "{error}");
    }
    // LTTng without its modules, and without those of KVM.
    let of = |fake: &Fake, must| {
        let mut wanted = wanted("out");
        wanted.must = must;
        Plan::by(Tracer::Lttng, &fake.at("tracer"), wanted)
    };
    let error = of(&fake, vec![Group::Sched]).unwrap_err().to_string();
    assert!(
        error.starts_with("LTTng has no sched_switch here; its kernel modules"),
        "{error}"
    );
    let fake = Fake::new("echo '    sched_switch (loglevel: TRACE_EMERG (0)) (type: tracepoint)'");
    let plan = of(&fake, vec![Group::Sched]).unwrap();
    assert!(plan.warnings()[0].contains("kvm_x86_entry") && plan.events().count() == 1);
    let error = of(&fake, vec![Group::Sched, Group::Kvm])
        .unwrap_err()
        .to_string();
    assert!(error.contains("full source of the kernel"), "{error}");
    let fake = Fake::new("echo 'Error: Unable to list kernel events' >&2; exit 1");
    let error = of(&fake, vec![Group::Sched]).unwrap_err().to_string();
    assert!(
        error.contains("Unable to list") && error.contains("group `tracing`"),
        "{error}"
    );
}

/// `lttng list` starts no session daemon; where none runs root starts one.
#[test]
fn a_session_daemon_is_started_where_none_runs() {
    let fake = Fake::new(
        "[ ${0##*/} = lttng-sessiond ] && { : > \"$HERE/runs\"; exit 0; }\n\
         [ -e \"$HERE/runs\" ] || { echo 'Error: No session daemon is available'; exit 1; }\n\
         echo '    sched_switch (loglevel: TRACE_EMERG (0)) (type: tracepoint)'",
    );
    std::os::unix::fs::symlink(fake.at("tracer"), fake.at("lttng-sessiond")).unwrap();
    let plan = Plan::by(Tracer::Lttng, &fake.at("tracer"), wanted("out"));
    if rustix::process::geteuid().is_root() {
        assert_eq!(plan.unwrap().started(), Some("lttng-sessiond"));
        assert_eq!(fake.calls(), ["list", "--daemonize", "list"]);
        let plan = Plan::by(Tracer::Lttng, &fake.at("tracer"), wanted("out"));
        assert_eq!(plan.unwrap().started(), None);
    } else {
        assert!(plan.unwrap_err().to_string().contains("No session daemon"));
        assert_eq!(fake.calls(), ["list"]);
    }
}
