//! `truth.json`, as far as it is used here (testbed/scripts/truth.py writes it).

use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

#[derive(Debug, Deserialize)]
pub(crate) struct Truth {
    pub(crate) clock: Clock,
    pub(crate) vms: Vec<Vm>,
    /// `"L1/vcpu1": { "MSR(0x7c)": 11895 }`
    #[serde(default)]
    pub(crate) exit_counts_in_trace: BTreeMap<String, BTreeMap<String, u64>>,
    #[serde(default)]
    pub(crate) vcpu_thread_schedstat: Vec<Schedstat>,
    #[serde(default)]
    pub(crate) check: Check,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Clock {
    /// Epoch nanoseconds of the raw clock's zero.
    pub(crate) ctf_offset_ns: i64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Vm {
    pub(crate) name: String,
    /// The VMM's process: on the host, or in the parent for a nested VM.
    pub(crate) pid: i64,
    pub(crate) parent: Option<String>,
    #[serde(default)]
    pub(crate) vcpus: Vec<Vcpu>,
    #[serde(default)]
    pub(crate) processes: Vec<Process>,
    /// Guest interrupt number to disk, net, console or a driver's name.
    #[serde(default)]
    pub(crate) irq_device: BTreeMap<String, String>,
    /// The guest's own logs, under the folder.
    pub(crate) dir: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Vcpu {
    pub(crate) vcpu_id: u32,
    pub(crate) tid: i64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Process {
    pub(crate) pid: i64,
    pub(crate) tgid: i64,
    pub(crate) cr3: u64,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Schedstat {
    pub(crate) tid: i64,
    pub(crate) run_ns: i64,
    pub(crate) runqueue_wait_ns: i64,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Check {
    /// `"0x7D51000 L2a": 5174`
    #[serde(default)]
    #[serde(rename = "vmcb12_owner_by_L1_scheduler")]
    pub(crate) vmcb12_owner_by_l1_scheduler: BTreeMap<String, u64>,
}

impl Truth {
    pub(crate) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("truth.json");
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is not as truth.py writes it", path.display()))
    }
}

/// The guest's interrupt numbers as classes; older folders have no `irq_device`, so the guest's own
/// `interrupts` and `dmesg` tell: a virtio device that dmesg calls `virtio_blk` is a disk, another
/// one is the network (the testbed gives guests nothing else).
pub(crate) fn irq_classes(vm: &Vm, folder: &Path) -> BTreeMap<i64, String> {
    if !vm.irq_device.is_empty() {
        return vm
            .irq_device
            .iter()
            .filter_map(|(irq, device)| Some((irq.parse().ok()?, device.clone())))
            .collect();
    }
    let read = |name: &str| fs::read(folder.join(&vm.dir).join(name)).unwrap_or_default();
    classes_by_logs(
        &String::from_utf8_lossy(&read("interrupts")),
        &String::from_utf8_lossy(&read("dmesg")),
    )
}

fn classes_by_logs(interrupts: &str, dmesg: &str) -> BTreeMap<i64, String> {
    let class = |device: &str| match device {
        _ if device.starts_with("ttyS") => "console".to_owned(),
        _ if !device.starts_with("virtio") => device.to_owned(),
        _ if dmesg.contains(&format!("virtio_blk {device}:")) => "disk".to_owned(),
        _ => "net".to_owned(),
    };
    let line = |line: &str| {
        let (irq, rest) = line.trim().split_once(':')?;
        Some((irq.parse().ok()?, class(rest.split_whitespace().last()?)))
    };
    interrupts.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interrupts_have_classes_without_irq_device() {
        let interrupts = "      CPU0\n 49:  4  IO-APIC 23-fasteoi  virtio0\n 50: 9 IO-APIC 22-fasteoi virtio1\n 51: 5 IO-APIC 4-edge ttyS0\nLOC: 1 Local timer interrupts\n";
        let classes = classes_by_logs(interrupts, "[7.4] virtio_blk virtio0: [vda]\n");
        let expected = [(49, "disk"), (50, "net"), (51, "console")]
            .map(|(irq, class)| (irq, class.to_owned()));
        assert_eq!(classes, expected.into());
    }
}
