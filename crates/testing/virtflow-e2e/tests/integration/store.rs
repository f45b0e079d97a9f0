//! Stores as a user makes and uses them.

use crate::FIXTURES;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use virtflow_e2e::{programs, root};
use virtflow_query::store::{EntityRecord, Piece, Store};
use virtflow_query::{ExitCosts, ExitsBy, Kind, State, exit_costs};

/// A directory for one test, and the program with a cache in it.
pub(crate) struct Place {
    directory: tempfile::TempDir,
    programs: PathBuf,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            programs: programs().unwrap(),
        }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn virtflow(&self) -> Command {
        let mut command = Command::new(self.programs.join("virtflow"));
        command
            .current_dir(root())
            .env("VIRTFLOW_CACHE", self.at("cache"))
            .env_remove("VIRTFLOW_CACHE_LIMIT");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.virtflow().args(arguments).output().unwrap()
    }

    pub(crate) fn said(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A trace that takes a second or more to analyse.
    fn long_trace(&self) -> PathBuf {
        let trace = self.at("long");
        let made = Command::new(self.programs.join("virtflow-synth"))
            .args([
                "--no-truth",
                "--seconds",
                "1000",
                "--events",
                "2000000",
                "--out",
            ])
            .arg(&trace)
            .output()
            .unwrap();
        assert!(made.status.success());
        trace
    }
}

/// Names in a directory, hidden ones too.
fn names(directory: &Path) -> Vec<String> {
    let Ok(found) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
    found.map(|entry| name(entry).unwrap()).collect()
}

#[test]
fn a_store_gives_the_report_of_its_trace() {
    let place = Place::new();
    for fixture in FIXTURES {
        let trace = format!("fixtures/{fixture}");
        let store = place.at(fixture);
        let store = store.to_str().unwrap();
        let output = place.run(&["analyze", &trace, "-o", store]);
        assert!(output.status.success());
        for format in ["json", "text"] {
            let of = |input| place.said(&["report", input, "--format", format]);
            let title = |text: String| text.lines().skip(1).collect::<Vec<_>>().join("\n");
            assert_eq!(title(of(store)), title(of(&trace)), "{fixture}");
        }
        // The same rows, lane by lane; a store has the last label of each.
        let without_label = |line: &str| {
            let mut fields: Vec<_> = line.split(',').collect();
            if fields.len() > 8 {
                fields.remove(5);
            }
            fields.join(",")
        };
        for rows in ["intervals", "edges"] {
            let of = |input| {
                let text = place.said(&[rows, input]);
                let mut lines: Vec<_> = text.lines().map(without_label).collect();
                lines.sort_unstable();
                lines
            };
            assert!(of(store) == of(&trace), "{fixture}: {rows}");
        }
    }
}

#[test]
fn edges_between_machines_are_those_of_the_store() {
    let place = Place::new();
    let fleet = place.at("fleet");
    let made = Command::new(programs().unwrap().join("virtflow-synth"))
        .args(["--fleet", "--seconds", "0.2", "--out"])
        .arg(&fleet)
        .output()
        .unwrap();
    assert!(made.status.success());
    let (trace, store) = (fleet.join("traces"), place.at("store"));
    let (trace, store) = (trace.to_str().unwrap(), store.to_str().unwrap());
    place.said(&["analyze", trace, "-o", store]);
    for more in [
        &[][..],
        &["--kind", "packet"],
        &["--range", "+0.05s..+0.1s"],
    ] {
        let of = |input| place.said(&[&["edges", input][..], more].concat());
        let sorted = |text: &str| {
            let mut lines: Vec<_> = text.lines().map(ToOwned::to_owned).collect();
            lines.sort_unstable();
            lines
        };
        let found = of(trace);
        assert_eq!(sorted(&found), sorted(&of(store)), "{more:?}");
        // Those between machines come last, by where and when they end.
        let rows: Vec<Vec<&str>> = found
            .lines()
            .skip(2)
            .map(|l| l.split(',').collect())
            .collect();
        let is_between = |row: &Vec<&str>| row[0] != row[8];
        let between = rows.iter().position(is_between).unwrap();
        assert!(
            between > 100 && rows[between..].iter().all(is_between),
            "{more:?}"
        );
        let ends = rows[between..].iter().map(|row| (row[8], row[3]));
        let ends: Vec<_> = ends.collect();
        assert!(ends.is_sorted() && ends.len() > 50, "{ends:?}");
    }
}

#[test]
fn a_stretch_of_time_is_that_of_the_trace() {
    let place = Place::new();
    let store = place.at("store");
    let store = store.to_str().unwrap();
    place.said(&["analyze", "fixtures/seed-nested", "-o", store]);
    let of = |input| {
        place.said(&[
            "report",
            input,
            "--format",
            "json",
            "--range",
            "+9s..+10.5s",
        ])
    };
    assert_eq!(of(store), of("fixtures/seed-nested"));
}

#[test]
fn a_store_with_other_options_is_refused() {
    let place = Place::new();
    let store = place.at("store");
    let store = store.to_str().unwrap();
    place.said(&["analyze", "fixtures/host-containers", "-o", store]);
    let output = place.run(&["report", store, "--proved-only"]);
    assert_eq!(output.status.code(), Some(3));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("without --proved-only"), "{errors}");
}

#[test]
fn interrupted_it_leaves_nothing() {
    let place = Place::new();
    let trace = place.long_trace();
    for signal in ["-INT", "-TERM"] {
        let stores = place.at("stores");
        fs::create_dir_all(&stores).unwrap();
        let mut child = place
            .virtflow()
            .arg("analyze")
            .arg(&trace)
            .arg("-o")
            .arg(stores.join("store"))
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while names(&stores).is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(2));
        }
        assert!(
            names(&stores)
                .iter()
                .all(|name| name.starts_with(".store.partial-"))
        );
        Command::new("kill")
            .args([signal, &child.id().to_string()])
            .status()
            .unwrap();
        let status = child.wait().unwrap();
        assert_eq!(status.code(), Some(3), "{status}");
        assert!(names(&stores).is_empty(), "{:?}", names(&stores));
    }
}

#[test]
fn killed_it_does_not_look_finished() {
    let place = Place::new();
    let trace = place.long_trace();
    let store = place.at("stores/store");
    fs::create_dir_all(place.at("stores")).unwrap();
    let mut child = place
        .virtflow()
        .arg("analyze")
        .arg(&trace)
        .arg("-o")
        .arg(&store)
        .spawn()
        .unwrap();
    let begun = Instant::now();
    let partial = loop {
        let found = names(&place.at("stores"));
        let partial = found.first().map(|name| place.at("stores").join(name));
        match partial {
            Some(path) if path.join("manifest.json").exists() => break path,
            _ => std::thread::sleep(Duration::from_millis(2)),
        }
        assert!(begun.elapsed() < Duration::from_secs(60));
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!store.exists());
    let output = place.run(&["report", partial.to_str().unwrap()]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(errors.contains("was not finished"), "{errors}");
}

#[test]
fn a_trace_is_not_analysed_twice() {
    let place = Place::new();
    let trace = place.at("trace");
    copy(&root().join("fixtures/host-containers"), &trace);
    let trace = trace.to_str().unwrap();
    assert_eq!(place.said(&["cache", "ls"]), "nothing is kept\n");
    let fresh = place.said(&["report", trace]);
    place.said(&["analyze", trace]);
    let listed = place.said(&["cache", "ls"]);
    assert!(listed.contains(trace), "{listed}");
    assert_eq!(place.said(&["report", trace]), fresh);

    // Streams of zeros with the same sizes and times: only the store knows what was in them.
    let streams: Vec<PathBuf> = files(Path::new(trace))
        .into_iter()
        .filter(|path| !path.ends_with("metadata") && path.to_str().unwrap().contains("kernel"))
        .collect();
    for stream in &streams {
        let about = fs::metadata(stream).unwrap();
        fs::write(stream, vec![0; usize::try_from(about.len()).unwrap()]).unwrap();
        let file = fs::File::options().write(true).open(stream).unwrap();
        file.set_modified(about.modified().unwrap()).unwrap();
    }
    assert_eq!(place.said(&["report", trace]), fresh);
    assert_ne!(
        place.run(&["report", trace, "--no-cache"]).stdout,
        fresh.as_bytes()
    );

    // Touched, it is another trace.
    let now = std::time::SystemTime::now();
    let file = fs::File::options().write(true).open(&streams[0]).unwrap();
    file.set_modified(now).unwrap();
    assert_ne!(place.run(&["report", trace]).stdout, fresh.as_bytes());

    let output = place.run(&["cache", "rm", "no-such-name"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(place.said(&["cache", "rm", trace]).starts_with("removed"));
    assert_eq!(place.said(&["cache", "ls"]), "nothing is kept\n");
}

#[test]
fn the_cache_has_a_limit() {
    let place = Place::new();
    for fixture in ["fixtures/host-containers", "fixtures/two-vms-network"] {
        let mut analyze = place.virtflow();
        let status = analyze
            .args(["analyze", fixture])
            .env("VIRTFLOW_CACHE_LIMIT", "1")
            .output()
            .unwrap();
        assert!(status.status.success());
    }
    // The one just made stays, whatever its size.
    let listed = place.said(&["cache", "ls"]);
    assert!(listed.contains("two-vms-network") && !listed.contains("host-containers"));
    assert!(place.said(&["cache", "rm", "--all"]).starts_with("removed"));
}

#[test]
fn several_traces_make_one_store() {
    let place = Place::new();
    let store = place.at("store");
    let store = store.to_str().unwrap();
    let traces = ["fixtures/host-containers", "fixtures/host-containers"];
    place.said(&["analyze", traces[0], traces[1], "-o", store]);
    let once = place.said(&["report", traces[0], "--format", "json"]);
    assert_eq!(place.said(&["report", store, "--format", "json"]), once);
}

#[test]
fn nothing_else_is_overwritten() {
    let place = Place::new();
    let store = place.at("mine");
    fs::create_dir(&store).unwrap();
    fs::write(store.join("notes.txt"), "mine").unwrap();
    let output = place.run(&[
        "analyze",
        "fixtures/host-containers",
        "-o",
        store.to_str().unwrap(),
    ]);
    assert_eq!(output.status.code(), Some(3));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("is not a store of virtflow"), "{errors}");
    assert_eq!(names(&store), ["notes.txt"]);
}

#[test]
fn a_view_is_drawn_without_a_browser() {
    let place = Place::new();
    let draw = |file: &str, more: &[&str]| {
        let path = place.at(file);
        let first = [
            "render",
            "fixtures/seed-nested",
            "-o",
            path.to_str().unwrap(),
        ];
        place.said(&[&first, more].concat());
        fs::read(path).unwrap()
    };
    let svg = String::from_utf8(draw("vms.svg", &["--range", "9s..9.1s"])).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    for shown in [
        "qemu-system-x86:139",
        "nested VM L2:51f6000",
        "preempted-l1",
        "+20 ms",
    ] {
        assert!(svg.contains(shown), "{shown}");
    }
    let png = draw("processes.png", &["--view", "processes", "--vm", "145"]);
    assert!(png.starts_with(b"\x89PNG") && png.len() > 5000);

    // What is shown is what the trace has: every nanosecond of a vCPU's states in the range.
    let csv = String::from_utf8(draw("vms.csv", &["--range", "9s..9.1s"])).unwrap();
    let mut sums = std::collections::BTreeMap::<_, i64>::new();
    for line in csv.lines().skip(1) {
        let fields: Vec<_> = line.split(',').collect();
        assert!(fields.len() == 11 && fields[9] == "true", "{line}");
        if fields[1].ends_with("145@1795381360396387133/vcpu:0") {
            *sums.entry(fields[5].to_owned()).or_default() += fields[8].parse::<i64>().unwrap();
        }
    }
    assert!(
        sums.len() > 3 && sums.values().sum::<i64>() >= 100_000_000,
        "{sums:?}"
    );
    // Tables, too, and they add up.
    for (view, shown) in [
        ("overview", "The longest pre-emption"),
        ("budgets", "preempted-l1"),
        ("waits", "Ended by"),
        ("matrix", "by whom"),
        ("exits", "VMLOAD"),
        ("states", "Evidence"),
        ("resources", "host threads"),
    ] {
        let svg = draw(&format!("{view}.svg"), &["--view", view]);
        let svg = String::from_utf8(svg).unwrap();
        assert!(svg.contains(shown), "{view}");
        assert!(draw(&format!("{view}.png"), &["--view", view]).starts_with(b"\x89PNG"));
    }
    let more = ["--view", "budgets", "--range", "9s..9.1s", "--vm", "145"];
    let csv = String::from_utf8(draw("budgets.csv", &more)).unwrap();
    let sum: i64 = csv
        .lines()
        .filter(|line| line.contains("145@1795381360396387133/vcpu:0,"))
        .map(|line| line.split(',').nth(7).unwrap().parse::<i64>().unwrap())
        .sum();
    assert_eq!(sum, 100_000_000);
    assert!(!csv.contains("vm:139"));
    let output = place.run(&["render", "fixtures/seed-nested", "-o", "picture.gif"]);
    assert_eq!(output.status.code(), Some(2));
    let output = place.run(&[
        "render",
        "fixtures/host-containers",
        "-o",
        place.at("x.svg").to_str().unwrap(),
    ]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(
        errors.contains("the store has no virtual machine"),
        "{errors}"
    );
}

#[test]
fn a_critical_path_is_drawn_without_a_browser() {
    let place = Place::new();
    let draw = |file: &str, more: &[&str]| {
        let path = place.at(file);
        let first = [
            "render",
            "fixtures/seed-nested",
            "--view",
            "critical-path",
            "-o",
            path.to_str().unwrap(),
        ];
        place.said(&[&first, more].concat());
        fs::read(path).unwrap()
    };
    let of = ["--of", "1"];
    let svg = String::from_utf8(draw("path.svg", &of)).unwrap();
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    for shown in [
        "critical path of bash:1",
        "of it unknown",
        "sleeping: timer",
        "What it came to",
        "for sleep:6",
        // An arrow's head.
        " Z\" fill=",
    ] {
        assert!(svg.contains(shown), "{shown}");
    }
    assert!(draw("path.png", &of).starts_with(b"\x89PNG"));

    // The steps tile the range, and each that woke another is followed by that one.
    let csv = String::from_utf8(draw("path.csv", &of)).unwrap();
    let steps: Vec<Vec<&str>> = csv
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect())
        .collect();
    let ns = |field: &str| field.parse::<i64>().unwrap();
    assert!(steps.len() > 100 && steps.iter().all(|step| step.len() == 14));
    for pair in steps.windows(2) {
        assert_eq!(pair[0][1], pair[1][0]);
        assert!(
            pair[0][13].is_empty() || pair[0][13] == pair[1][4],
            "{pair:?}"
        );
    }
    let whole: i64 = steps.iter().map(|step| ns(step[2])).sum();
    assert_eq!(whole, 6_000_000_000);

    // Without a worker there is none, and nobody is not one.
    let path = place.at("none.svg");
    let ask = |more: &[&str]| {
        let file = path.to_str().unwrap();
        let first = ["render", "fixtures/seed-nested", "-o", file];
        place.run(&[&first[..], &["--view", "critical-path"], more].concat())
    };
    assert_eq!(ask(&[]).status.code(), Some(2));
    let nobody = ask(&["--of", "no such worker"]);
    let errors = String::from_utf8(nobody.stderr).unwrap();
    assert_eq!(nobody.status.code(), Some(3));
    assert!(
        errors.contains("no thread, vCPU, guest process or container"),
        "{errors}"
    );
}

#[test]
fn exits_are_of_whoever_had_the_virtual_processor() {
    let place = Place::new();
    let path = place.at("store");
    place.said(&[
        "analyze",
        "fixtures/seed-nested",
        "-o",
        path.to_str().unwrap(),
    ]);
    let store = Store::open(&path).unwrap();
    let (begin, end) = store.span().unwrap();
    let of = |by| exit_costs(&store, None, begin, end, by).unwrap();
    let count = |costs: &[ExitCosts]| -> u64 { costs.iter().map(|c| c.count).sum() };
    let all = of(ExitsBy::Reason);
    for by in [ExitsBy::Vm, ExitsBy::Vcpu, ExitsBy::Process] {
        let split = of(by);
        assert!(split.len() > all.len());
        for whole in &all {
            let parts = split.iter().filter(|c| {
                (c.isa, c.reason, c.reflected) == (whole.isa, whole.reason, whole.reflected)
            });
            assert_eq!(parts.map(|c| c.ns).sum::<i64>(), whole.ns);
        }
        assert_eq!(count(&split), count(&all));
    }
    // Whose interval holds the moment, looked for in all of them.
    let entity = |id: u32| &store.entities()[id as usize];
    let is_process = |e: &&EntityRecord| Kind::from_code(e.kind) == Some(Kind::Process);
    let processes: Vec<u32> = store
        .entities()
        .iter()
        .filter(is_process)
        .map(|e| e.entity)
        .collect();
    let mut had: HashMap<(u32, i32), Vec<Piece>> = HashMap::new();
    for piece in store.intervals(&processes, begin, end).unwrap() {
        let state = State::from_code(store.doing(piece.doing).state).unwrap();
        if !matches!(
            state,
            State::Waiting | State::Off | State::ReadyInGuest | State::Unknown
        ) {
            let vm = entity(piece.lane.entity).vm.unwrap();
            had.entry((vm, piece.lane.vcpu)).or_default().push(piece);
        }
    }
    let mut expected: HashMap<i32, u64> = HashMap::new();
    store
        .exits(None, begin, end, |exit| {
            if !exit.entered_again {
                return;
            }
            let left = entity(u32::try_from(exit.nested).unwrap_or(exit.vcpu));
            let key = (left.vm.unwrap(), i32::try_from(left.vcpu.unwrap()).unwrap());
            let who: Vec<_> = had
                .get(&key)
                .into_iter()
                .flatten()
                .filter(|p| p.start <= exit.start && exit.start < p.end)
                .collect();
            assert!(who.len() <= 1, "one process at a time: {who:?}");
            let who = who
                .first()
                .map_or(-1, |p| i32::try_from(p.lane.entity).unwrap());
            *expected.entry(who).or_default() += 1;
        })
        .unwrap();
    let mut found: HashMap<i32, u64> = HashMap::new();
    for costs in of(ExitsBy::Process) {
        *found.entry(costs.who).or_default() += costs.count;
    }
    assert_eq!(found, expected);
    assert!(found.len() > 20 && found.get(&-1).copied().unwrap_or(0) < count(&all) / 4);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(directory).unwrap();
    let paths = found.map(|entry| entry.unwrap().path());
    let each = paths.flat_map(|path| {
        if path.is_dir() {
            files(&path)
        } else {
            vec![path]
        }
    });
    each.collect()
}
