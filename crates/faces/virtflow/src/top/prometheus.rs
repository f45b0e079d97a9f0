//! What Prometheus reads: sums since the beginning, as text over HTTP
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>, version 0.0.4).

use anyhow::Context;
use axum::Router;
use axum::http::header;
use axum::routing::get;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use virtflow_query::{TotalKind, Totals};

/// The media type of the text.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// One family of metrics: what it is, and its values by their labels.
struct Family {
    kind: &'static str,
    help: &'static str,
    values: BTreeMap<String, f64>,
}

/// Metrics, put together.
#[derive(Default)]
struct Metrics(BTreeMap<&'static str, Family>);

impl Metrics {
    /// Adds to the value with these labels: two that cannot be told apart are one.
    fn add(
        &mut self,
        (name, kind, help): (&'static str, &'static str, &'static str),
        labels: &[(&str, &str)],
        value: f64,
    ) {
        let family = self.0.entry(name).or_insert_with(|| Family {
            kind,
            help,
            values: BTreeMap::new(),
        });
        let mut text = String::new();
        for (at, (name, value)) in labels.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            // What cannot be written does not happen to strings.
            let _ = write!(text, "{comma}{name}=\"{}\"", escaped(value));
        }
        *family.values.entry(text).or_default() += value;
    }

    fn text(&self) -> String {
        let mut out = String::new();
        for (name, family) in &self.0 {
            let _ = writeln!(out, "# HELP {name} {}", family.help);
            let _ = writeln!(out, "# TYPE {name} {}", family.kind);
            for (labels, value) in &family.values {
                let _ = match &labels[..] {
                    "" => writeln!(out, "{name} {value}"),
                    labels => writeln!(out, "{name}{{{labels}}} {value}"),
                };
            }
        }
        out
    }
}

/// A label's value.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out
}

const CPU: (&str, &str, &str) = (
    "virtflow_cpu_seconds_total",
    "counter",
    "Time of physical processors by state.",
);
const VCPU: (&str, &str, &str) = (
    "virtflow_vcpu_seconds_total",
    "counter",
    "Time of virtual processors by state and cause, as far as it is decided.",
);
const NESTED: (&str, &str, &str) = (
    "virtflow_nested_vcpu_seconds_total",
    "counter",
    "Time of virtual processors of nested VMs by state and cause, as far as it is decided.",
);
const EXITS: (&str, &str, &str) = (
    "virtflow_exits_total",
    "counter",
    "VM exits that an entry followed, by the hardware's reason.",
);
const NESTED_EXITS: (&str, &str, &str) = (
    "virtflow_nested_exits_total",
    "counter",
    "VM exits out of nested guests that an entry followed, by the hardware's reason.",
);
const EVENTS: (&str, &str, &str) = (
    "virtflow_events_total",
    "counter",
    "Events that were taken.",
);
const LOST: (&str, &str, &str) = (
    "virtflow_lost_events_total",
    "counter",
    "Events that were lost, by physical processor.",
);
const MISSED: (&str, &str, &str) = (
    "virtflow_missed_events_total",
    "counter",
    "Events that were not taken though there was room.",
);
const OWN: (&str, &str, &str) = (
    "virtflow_own_cpu_seconds_total",
    "counter",
    "Processor time of virtflow itself, without its programs in the kernel.",
);
const KEPT: (&str, &str, &str) = (
    "virtflow_kept",
    "gauge",
    "How many of each are kept in memory.",
);

/// Sums since the beginning as text; what was missed where that is counted, `own_ns` of processor time, and
/// what is kept.
pub(super) fn text(
    totals: &Totals,
    missed: Option<u64>,
    own_ns: u64,
    kept: &[(&str, usize)],
) -> String {
    let mut metrics = Metrics::default();
    let seconds = |ns: i64| ns as f64 / 1e9;
    for of in &totals.of {
        let number = of.number.to_string();
        let (time, exits) = match of.kind {
            TotalKind::Cpu => (CPU, None),
            TotalKind::Vcpu => (VCPU, Some(EXITS)),
            TotalKind::NestedVcpu => (NESTED, Some(NESTED_EXITS)),
        };
        for (state, cause, ns) in of.total.states() {
            let (state, cause) = (state.as_str(), cause.as_str());
            let labels = match of.kind {
                TotalKind::Cpu => vec![("cpu", &*number), ("state", state), ("cause", cause)],
                _ => vec![
                    ("vm", &*of.vm),
                    ("vcpu", &*number),
                    ("state", state),
                    ("cause", cause),
                ],
            };
            metrics.add(time, &labels, seconds(ns));
        }
        let Some(family) = exits else { continue };
        for (reason, count) in of.total.exits() {
            let labels = [("vm", &*of.vm), ("vcpu", &*number), ("reason", &*reason)];
            metrics.add(family, &labels, count as f64);
        }
    }
    metrics.add(EVENTS, &[], totals.events as f64);
    // Where nothing was lost, that is said too.
    let cpus = totals.of.iter().filter(|of| of.kind == TotalKind::Cpu);
    let known = cpus.map(|of| of.number as usize);
    let lossy = (0..).zip(&totals.lost).filter(|(_, lost)| **lost > 0);
    let mut cpus: Vec<usize> = known.chain(lossy.map(|(cpu, _)| cpu)).collect();
    cpus.sort_unstable();
    cpus.dedup();
    for cpu in cpus {
        let lost = totals.lost.get(cpu).copied().unwrap_or(0);
        metrics.add(LOST, &[("cpu", &cpu.to_string())], lost as f64);
    }
    if let Some(missed) = missed {
        metrics.add(MISSED, &[], missed as f64);
    }
    metrics.add(OWN, &[], own_ns as f64 / 1e9);
    for (what, count) in kept {
        metrics.add(KEPT, &[("what", what)], *count as f64);
    }
    metrics.text()
}

/// The latest text, for whoever asks.
#[derive(Clone, Default)]
pub(super) struct Latest(Arc<Mutex<String>>);

impl Latest {
    pub(super) fn set(&self, text: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    fn get(&self) -> String {
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        text.clone()
    }
}

/// Answers at `address` from now on, on a thread of its own; where it listens.
pub(super) fn serve(address: SocketAddr, latest: Latest) -> anyhow::Result<SocketAddr> {
    let listener =
        TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))?;
    listener.set_nonblocking(true)?;
    let bound = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start")?;
    let metrics = get(move || {
        let text = latest.get();
        async move { ([(header::CONTENT_TYPE, TEXT)], text) }
    });
    let app = Router::new().route("/metrics", metrics);
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        axum::serve(listener, app).await
    };
    std::thread::Builder::new()
        .name("metrics".to_owned())
        .spawn(move || {
            if let Err(error) = runtime.block_on(serve) {
                crate::output::complain(&format!("virtflow: no more metrics: {error}"));
            }
        })
        .context("cannot start")?;
    Ok(bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_values_with_the_same_labels_are_one() {
        let mut metrics = Metrics::default();
        let labels = [("vm", "a\"b\\c\nd")];
        metrics.add(VCPU, &labels, 1.5);
        metrics.add(VCPU, &labels, 1.0);
        metrics.add(EVENTS, &[], 3.0);
        let text = metrics.text();
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                "virtflow_events_total 3",
                "virtflow_vcpu_seconds_total{vm=\"a\\\"b\\\\c\\nd\"} 2.5"
            ]
        );
    }
}
