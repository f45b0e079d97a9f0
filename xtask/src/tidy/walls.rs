//! The walls between layers. The table is that of the architecture; each wall comes with its reason.

use super::Complaints;
use super::manifests::Member;
use crate::repo::Source;

/// A layer: the folder below `crates/`, whom it may use, and why nobody else.
struct Wall {
    layer: &'static str,
    /// Layers, or single crates.
    may_use: &'static [&'static str],
    /// Crates of others that it must not use.
    never: &'static [&'static str],
    why: &'static str,
}

const HTTP: [&str; 8] = [
    "axum",
    "hyper",
    "reqwest",
    "tiny_http",
    "tokio",
    "tower",
    "ureq",
    "warp",
];
const THREADS_AND_HTTP: [&str; 11] = [
    "axum",
    "crossbeam",
    "crossbeam-channel",
    "hyper",
    "jiff",
    "rayon",
    "reqwest",
    "tempfile",
    "tokio",
    "tower",
    "ureq",
];
const TERMINALS_AND_HTTP: [&str; 11] = [
    "axum",
    "clap",
    "comfy-table",
    "console",
    "crossterm",
    "hyper",
    "indicatif",
    "reqwest",
    "termcolor",
    "tokio",
    "tower",
];

const WALLS: [Wall; 9] = [
    Wall {
        layer: "base",
        may_use: &[],
        never: &HTTP,
        why: "base knows no trace format: everything stands on it",
    },
    Wall {
        layer: "formats",
        may_use: &["base", "virtflow-tracefs"],
        never: &HTTP,
        why: "a format knows neither what an event means nor another format",
    },
    Wall {
        layer: "events",
        may_use: &["base", "formats"],
        never: &HTTP,
        why: "events know neither states nor the store",
    },
    Wall {
        layer: "model",
        may_use: &["base", "events"],
        never: &THREADS_AND_HTTP,
        why: "the model is a function of state and event; it knows neither where events came from nor disk, threads, wall clock, HTTP",
    },
    Wall {
        layer: "history",
        may_use: &["base"],
        never: &HTTP,
        why: "the store keeps entities, intervals and edges; it knows neither events nor what a VM is",
    },
    Wall {
        layer: "analyses",
        may_use: &["base", "events", "model", "history", "analyses"],
        never: &TERMINALS_AND_HTTP,
        why: "analyses know neither terminals nor HTTP; only `virtflow-query` wires the pipeline",
    },
    Wall {
        layer: "record",
        may_use: &["base", "formats"],
        never: &HTTP,
        why: "a recorder is one more source of records and knows nothing of what is made of them",
    },
    Wall {
        layer: "faces",
        may_use: &["base", "analyses", "history", "faces"],
        never: &[],
        why: "a face shows answers; events reach it through `virtflow-query`, and it does not see formats, events or the model",
    },
    Wall {
        layer: "virtflow-synth",
        may_use: &["virtflow-base", "virtflow-ctf"],
        never: &HTTP,
        why: "the generator's event tables are not the reader's, or it would prove nothing",
    },
];

/// Mapped files kill the process when they shrink, and count against the memory we promise.
const NEVER_ANYWHERE: [&str; 3] = ["memmap", "memmap2", "mmap-rs"];

/// Everything may be used by these two, and nobody may use them, but for tests.
fn is_outside(member: &Member) -> bool {
    member.name == "xtask" || member.layer() == "testing"
}

pub(super) fn dependencies(members: &[Member]) -> Complaints {
    let mut out = Complaints::new();
    for member in members {
        let own = WALLS.iter().find(|wall| wall.layer == member.name);
        let wall = own.or_else(|| WALLS.iter().find(|wall| wall.layer == member.layer()));
        if wall.is_none() && !is_outside(member) {
            out.push(format!(
                "{}: {} is no layer of the architecture; give it a wall in xtask/src/tidy/walls.rs",
                member.name, member.folder
            ));
        }
        for dependency in &member.dependencies {
            if NEVER_ANYWHERE.contains(&dependency.name.as_str()) {
                out.push(format!(
                    "{} uses {}: traces are never mapped into memory (a file cut short under a map kills the process)",
                    member.name, dependency.name
                ));
            }
            let Some(wall) = wall else { continue };
            let complaint = match members.iter().find(|other| other.name == dependency.name) {
                Some(used) => !may_use(member, used, wall, dependency.dev),
                None => !dependency.dev && wall.never.contains(&dependency.name.as_str()),
            };
            if complaint {
                let for_tests = if dependency.dev { " for its tests" } else { "" };
                out.push(format!(
                    "{} must not use {}{for_tests}: {}",
                    member.name, dependency.name, wall.why
                ));
            }
        }
    }
    out
}

fn may_use(member: &Member, used: &Member, wall: &Wall, dev: bool) -> bool {
    let named = |name: &str| wall.may_use.contains(&name);
    let layer = used.layer();
    // Another format only where it is named; of the testing crates none, save for tests; the
    // generator is not for the walls that its own tests would need.
    named(&used.name)
        || (named(layer) && layer != "testing")
        || (dev && is_outside(used) && used.name != "xtask")
        || (dev && member.layer() == "testing")
        || (member.name == "virtflow" && layer == "record")
}

/// Words that one layer must not say, outside of tests and comments.
struct Silence {
    folder: &'static str,
    words: &'static [&'static str],
    why: &'static str,
}

const SILENCES: [Silence; 3] = [
    Silence {
        folder: "crates/model/",
        words: &[
            "std::fs",
            "std::io",
            "std::env",
            "std::net",
            "std::process",
            "std::thread",
            "std::sync::mpsc",
            "SystemTime",
            "Instant",
        ],
        why: "a machine is a function: state + event -> transitions; no disk, threads, wall clock",
    },
    Silence {
        folder: "crates/model/",
        words: &["AnyEvent", "Recording", "Merge"],
        why: "the model knows KernelEvent only, and not where events came from",
    },
    Silence {
        folder: "crates/formats/",
        words: &[
            "sched_switch",
            "sched_waking",
            "kvm_exit",
            "kvm_x86_exit",
            "kvm_entry",
            "vcpu_id",
        ],
        why: "a format does not know what an event means",
    },
];

pub(super) fn words(files: &[Source]) -> Complaints {
    let mut out = Complaints::new();
    for silence in &SILENCES {
        let sources = files
            .iter()
            .filter(|file| file.path.starts_with(silence.folder) && is_product(&file.path));
        for file in sources {
            let Some(text) = file.text() else { continue };
            for (number, line) in product_lines(text) {
                let said = silence.words.iter().find(|word| says(line, word));
                out.extend(
                    said.map(|word| {
                        format!("{}:{number}: says {word}: {}", file.path, silence.why)
                    }),
                );
            }
        }
    }
    out
}

fn is_product(path: &str) -> bool {
    path.ends_with(".rs")
        && path.contains("/src/")
        && !path.split('/').any(|part| part.starts_with("test"))
}

/// The lines before the file's tests, without comments.
fn product_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate();
    let mut before = None;
    lines
        .take_while(move |(_, line)| {
            // `#[cfg(test)]` on a `mod name;` hides one line, on `mod name {` the rest.
            let tests = before == Some("#[cfg(test)]") && line.trim_end().ends_with('{');
            before = Some(line.trim());
            !tests
        })
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(number, line)| (number + 1, line.split(" // ").next().unwrap_or(line)))
}

/// Whether `line` has `word` by itself.
fn says(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(at, _)| !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::super::manifests::Dependency;
    use super::*;

    fn member(folder: &str, uses: &[(&str, bool)]) -> Member {
        Member {
            name: folder.rsplit('/').next().unwrap().into(),
            folder: folder.into(),
            dependencies: uses
                .iter()
                .map(|&(name, dev)| Dependency {
                    name: name.into(),
                    dev,
                })
                .collect(),
        }
    }

    /// What is wrong when `folder` uses `name`.
    fn wrong(folder: &str, name: &str, dev: bool) -> Option<String> {
        let all = [
            "crates/base/virtflow-base",
            "crates/formats/virtflow-ctf",
            "crates/formats/virtflow-tracefs",
            "crates/events/virtflow-events",
            "crates/model/virtflow-model",
            "crates/history/virtflow-history",
            "crates/analyses/virtflow-query",
            "crates/record/virtflow-record",
            "crates/faces/virtflow-server",
            "crates/faces/virtflow",
            "crates/testing/virtflow-synth",
            "crates/testing/virtflow-e2e",
            "xtask",
        ];
        let mut members: Vec<_> = all
            .iter()
            .filter(|other| **other != folder)
            .map(|other| member(other, &[]))
            .collect();
        members.push(member(folder, &[(name, dev)]));
        let mut out = dependencies(&members);
        assert!(out.len() < 2, "{out:?}");
        out.pop()
    }

    #[test]
    fn walls_hold() {
        let base = "crates/base/virtflow-base";
        let (ctf, events) = (
            "crates/formats/virtflow-ctf",
            "crates/events/virtflow-events",
        );
        let (model, query) = (
            "crates/model/virtflow-model",
            "crates/analyses/virtflow-query",
        );
        let (history, record) = (
            "crates/history/virtflow-history",
            "crates/record/virtflow-record",
        );
        let (server, face) = ("crates/faces/virtflow-server", "crates/faces/virtflow");
        let synth = "crates/testing/virtflow-synth";
        for (folder, name) in [
            (base, "virtflow-ctf"),
            (ctf, "virtflow-events"),
            ("crates/formats/virtflow-tracefs", "virtflow-ctf"),
            (events, "virtflow-model"),
            (events, "virtflow-history"),
            (model, "virtflow-ctf"),
            (model, "virtflow-query"),
            (model, "crossbeam-channel"),
            (history, "virtflow-events"),
            (history, "virtflow-model"),
            (query, "virtflow-ctf"),
            (query, "indicatif"),
            (query, "axum"),
            (record, "virtflow-events"),
            (face, "virtflow-events"),
            (face, "virtflow-ctf"),
            (face, "virtflow-model"),
            (server, "virtflow-record"),
            (synth, "virtflow-events"),
            (synth, "virtflow-model"),
            (query, "virtflow-synth"),
            (face, "xtask"),
            (events, "memmap2"),
        ] {
            assert!(wrong(folder, name, false).is_some(), "{folder} {name}");
        }
        assert!(
            wrong(model, "virtflow-ctf", false)
                .unwrap()
                .contains("where events came from")
        );
        assert!(
            wrong("crates/cellar/virtflow-rats", "serde", false)
                .unwrap()
                .contains("no layer")
        );
    }

    #[test]
    fn doors_are_open() {
        for (folder, name, dev) in [
            ("crates/base/virtflow-base", "thiserror", false),
            ("crates/formats/virtflow-ctf", "virtflow-base", false),
            ("crates/formats/virtflow-ctf", "virtflow-tracefs", false),
            ("crates/analyses/virtflow-query", "virtflow-history", false),
            ("crates/faces/virtflow", "virtflow-record", false),
            ("crates/faces/virtflow", "virtflow-server", false),
            ("crates/testing/virtflow-synth", "virtflow-ctf", false),
            ("crates/testing/virtflow-synth", "virtflow-model", true),
            ("crates/testing/virtflow-e2e", "virtflow-model", false),
            ("crates/analyses/virtflow-query", "virtflow-synth", true),
            ("crates/analyses/virtflow-query", "tokio", true),
            ("xtask", "virtflow-model", false),
        ] {
            assert_eq!(wrong(folder, name, dev), None, "{folder} {name}");
        }
        assert!(wrong("crates/base/virtflow-base", "virtflow-ctf", true).is_some());
    }

    #[test]
    fn words_are_heard_outside_of_tests_and_comments() {
        let text = "//! std::fs\nuse std::fs;\nlet merged = Mergesort; // Merge\n#[cfg(test)]\nmod tests;\nlet t = Instant::now();\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        let heard = words(&[Source::of("crates/model/virtflow-model/src/a.rs", text)]);
        assert_eq!(heard.len(), 2, "{heard:?}");
        assert!(heard[0].contains("a.rs:2: says std::fs") && heard[1].contains("a.rs:6"));
        let others = [
            Source::of("crates/model/virtflow-model/src/tests/a.rs", text),
            Source::of("crates/events/virtflow-events/src/a.rs", text),
        ];
        assert!(words(&others).is_empty());
        let format = Source::of("crates/formats/f/src/a.rs", "if name == \"sched_switch\" {");
        assert_eq!(words(&[format]).len(), 1);
    }
}
