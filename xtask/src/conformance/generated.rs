//! Generated traces, one small one in each dialect, with losses and ragged streams.

use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use virtflow_synth::{Scenario, generate};

/// Words of `virtflow-synth --dialect`: each alone, and some together.
pub(super) const DIALECTS: [&str; 25] = [
    "testbed",
    "vmx",
    "svm",
    "old-names",
    "posted",
    "pti",
    "pcid",
    "shadow",
    "no-probe",
    "original-probe",
    "stacks",
    "no-nested-events",
    "no-waking",
    "stock",
    "no-noise",
    "contexts",
    "big-endian",
    "compact",
    "freq=1000000",
    "freq=2399999123",
    "offset-s=1700000000,offset=-5",
    "start=7000000000000000000",
    "vmx,posted,pti,pcid,old-names",
    "big-endian,compact,contexts,freq=2399999123",
    "stock,compact,contexts",
];

/// Writes one below `dir`.
pub(super) fn write(dir: &Path, dialect: &str, events: u64) -> Result<PathBuf> {
    let out = dir.join(dialect);
    // Windows of loss are spread over the whole time: it must not be much longer than the events last.
    #[expect(clippy::cast_precision_loss, reason = "a rough guess")]
    let seconds = events as f64 / 100_000.0;
    let scenario = Scenario {
        seconds,
        events: Some(events),
        cpus: 3,
        vms: 3,
        vcpus: 2,
        nested: 1,
        losses: 3,
        ragged_ns: 20_000_000,
        truth: false,
        packet_bytes_max: 1 << 16,
        vhost: true,
        dialect: dialect.parse()?,
        ..Scenario::default()
    };
    generate(&scenario, &out).with_context(|| format!("generating {dialect}"))?;
    Ok(out)
}
