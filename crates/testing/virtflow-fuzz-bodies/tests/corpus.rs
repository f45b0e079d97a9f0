//! Replays the fuzzers' corpora (`fuzz/corpus/<target>`): what they once found stays found.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may stop at the first thing that is not as it says"
)]

use std::fs;
use std::path::PathBuf;
use virtflow_fuzz_bodies::{TARGETS, seeds};

/// More would make clones slow, and what the fuzzer finds on its way is of no use to others.
const CORPUS_BYTES_MAX: u64 = 300 << 10;

fn corpus(target: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../..");
    root.join("fuzz").join("corpus").join(target)
}

fn files(target: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(corpus(target)).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn replay(target: &str) {
    let (_, body) = TARGETS.iter().find(|known| known.0 == target).unwrap();
    let files = files(target);
    assert!(files.len() >= 5, "{target} has a corpus");
    for path in files {
        // With the test's output comes the name of the input that failed.
        println!("{}", path.display());
        body(&fs::read(&path).unwrap());
    }
}

#[test]
fn metadata() {
    replay("metadata");
}

#[test]
fn packets() {
    replay("packets");
}

#[test]
fn pipeline() {
    replay("pipeline");
}

#[test]
fn perfdata() {
    replay("perfdata");
}

#[test]
fn tracedat() {
    replay("tracedat");
}

#[test]
fn small() {
    let sizes = TARGETS.iter().flat_map(|(target, _)| files(target));
    let bytes: u64 = sizes.map(|path| fs::metadata(path).unwrap().len()).sum();
    assert!(bytes <= CORPUS_BYTES_MAX, "{bytes} bytes");
}

/// `cargo test -p virtflow-fuzz-bodies -- --ignored` writes the seeds anew.
#[test]
#[ignore = "writes into the corpus"]
fn write_seeds() {
    for (target, name, bytes) in seeds::all() {
        let dir = corpus(target);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(format!("seed-{name}")), bytes).unwrap();
    }
}

/// `FUZZ_INPUT=file cargo test -p virtflow-fuzz-bodies one_pipeline -- --ignored --nocapture` says
/// what an input of that target means, and runs it.
#[test]
#[ignore = "takes an input from outside"]
fn one_pipeline() {
    let input = fs::read(std::env::var_os("FUZZ_INPUT").unwrap()).unwrap();
    println!("{}", virtflow_fuzz_bodies::explain(&input));
    virtflow_fuzz_bodies::pipeline(&input);
}
