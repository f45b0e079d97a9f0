//! `virtflow top` on the kernel that runs, where it lets BPF programs in, and its metrics.

use crate::store::Place;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use virtflow_e2e::{programs, root};

/// A process that ends with the test.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_happens_now_adds_up() {
    let place = Place::new();
    let work = "while :; do /bin/true; done";
    let mut busy = Command::new("sh");
    let _busy = Ends(busy.args(["-c", work]).spawn().unwrap());
    let output = place.run(&["top", "-b", "-n", "2", "-d", "400ms", "--format", "jsonl"]);
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        eprintln!("SKIPPED: this kernel lets virtflow record nothing: {why}");
        let told = ["BPF", "CAP_BPF", "CONFIG_DEBUG_INFO_BTF"];
        assert!(told.iter().any(|word| why.contains(word)), "{why}");
        return;
    }
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&lines[0]["format"], &lines[0]["version"]),
        (&"virtflow-top".into(), &1.into())
    );
    let windows: Vec<_> = lines
        .iter()
        .filter(|l| l.get("start_ns").is_some())
        .collect();
    assert_eq!(windows.len(), 2);
    assert_eq!(windows[0]["end_ns"], windows[1]["start_ns"]);
    assert!(windows[1]["events"].as_u64().unwrap() > 0);
    let ns = |row: &serde_json::Value, name: &str| row[name].as_i64().unwrap();
    let mut ran = 0;
    for row in lines.iter().filter(|line| line.get("kind").is_some()) {
        let shares = [
            "run",
            "hypervisor",
            "vmm",
            "halted",
            "wait",
            "no_cpu",
            "idle",
            "unknown",
            "pending",
        ];
        let sum: i64 = shares
            .iter()
            .map(|share| ns(row, &format!("{share}_ns")))
            .sum();
        assert_eq!(
            (sum, ns(row, "residual_ns")),
            (ns(row, "wall_ns"), 0),
            "{row}"
        );
        if row["kind"] == "cpu" {
            assert_eq!(ns(row, "wall_ns"), 400_000_000, "{row}");
            ran += ns(row, "run_ns");
        }
    }
    assert!(ran > 0, "something ran");
    // The shell that was there before and what it starts.
    let is_work = |line: &&serde_json::Value| {
        let label = line["label"].as_str().unwrap_or("");
        label.starts_with("sh:") || label.starts_with("true:")
    };
    assert!(lines.iter().filter(is_work).count() > 0);
}

fn ask(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// A name of a metric, its labels, and its value.
fn sample(line: &str) -> (String, String, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    assert!(
        name.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
        "{line}"
    );
    let labels = labels.strip_suffix('}').unwrap();
    (name.to_owned(), labels.to_owned(), value.parse().unwrap())
}

#[test]
fn prometheus_reads_sums_since_the_beginning() {
    let mut top = Command::new(programs().unwrap().join("virtflow"));
    let fixture = root().join("fixtures/seed-nested");
    top.args([
        "top", "--listen", "0", "-d", "100ms", "--speed", "10", "--replay",
    ]);
    top.arg(fixture)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut top = Ends(top.spawn().unwrap());
    let mut said = String::new();
    let stderr = top.0.stderr.take().unwrap();
    BufReader::new(stderr).read_line(&mut said).unwrap();
    let address = said.trim().strip_prefix("virtflow: metrics at http://");
    let address = address
        .and_then(|rest| rest.strip_suffix("/metrics"))
        .unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let until = Instant::now() + Duration::from_secs(20);
    let text = loop {
        let text = ask(address, "/metrics").unwrap_or_default();
        if text.contains("virtflow_vcpu_seconds_total{") {
            break text;
        }
        assert!(Instant::now() < until, "{text}");
        std::thread::sleep(Duration::from_millis(20));
    };
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("HTTP/1.1 200") && head.contains("version=0.0.4"),
        "{head}"
    );
    let mut typed = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut seconds = 0.0;
    for line in body.lines() {
        if let Some(told) = line.strip_prefix("# TYPE ") {
            let (name, kind) = told.split_once(' ').unwrap();
            assert!(matches!(kind, "counter" | "gauge"));
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            assert!(typed.insert(name.to_owned()), "{name}");
        } else if !line.starts_with("# HELP ") {
            let (name, labels, value) = sample(line);
            assert!(typed.contains(&name), "{name} has no type before it");
            assert!(
                value >= 0.0 && seen.insert((name.clone(), labels.clone())),
                "{line}"
            );
            if name == "virtflow_cpu_seconds_total" && labels.starts_with("cpu=\"0\"") {
                seconds += value;
            }
        }
    }
    assert!(seconds > 0.0 && seconds <= 6.1, "{seconds}");
    assert!(typed.contains("virtflow_lost_events_total"));
    assert!(ask(address, "/other").unwrap().starts_with("HTTP/1.1 404"));
}
