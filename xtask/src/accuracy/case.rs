//! One folder with everything that is compared: the truth, the raw events, and what virtflow says.

use super::guestlog::{self, Log};
use super::ours::{Kind, Name, Ours, Row, hex};
use super::raw::Raw;
use super::span::{Ns, Span, Spans};
use super::threads::{self, Replay};
use super::truth::{self, Truth, Vm};
use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::rc::Rc;

/// A vCPU of a VM of the host.
#[derive(Clone, Debug)]
pub(crate) struct HostVcpu {
    /// As in truth.json's exit counts: `L1/vcpu0`.
    pub(crate) name: String,
    pub(crate) vcpu: u32,
    pub(crate) tid: i64,
}

/// A guest at any level with its log, joined with our name for it.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) name: String,
    pub(crate) level: u8,
    /// None: virtflow shows no such VM.
    pub(crate) vm_key: Option<Name>,
    pub(crate) log: Log,
    /// Where its agreements bind: common coverage, log alive, nothing lost.
    pub(crate) within: Spans,
    /// Per guest CPU, when we say that it is in guest mode.
    pub(crate) guest_mode: BTreeMap<u32, Spans>,
    /// The same by the raw entries and exits.
    pub(crate) raw_guest_mode: BTreeMap<u32, Spans>,
}

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) truth: Truth,
    pub(crate) replay: Replay,
    pub(crate) ours: Ours,
    pub(crate) vcpus: Vec<HostVcpu>,
    pub(crate) guests: Vec<Guest>,
    /// The time that all CPUs' streams cover.
    pub(crate) coverage: Span,
    /// `coverage` without windows in which events were lost, by either opinion.
    pub(crate) within: Spans,
    /// Windows that we call lost, and that babeltrace2 reports.
    pub(crate) lost_ours: Spans,
    pub(crate) lost_raw: Spans,
    pub(crate) lost_events: u64,
}

impl Case {
    pub(crate) fn read(folder: &Path, ours: Ours) -> Result<Self> {
        let truth = Truth::read(folder)?;
        let offset = truth.clock.ctf_offset_ns;
        let raw = Raw::read(&folder.join("trace"), offset)?;
        let mut logs = HashMap::new();
        for vm in &truth.vms {
            let path = folder.join("truth").join(format!("{}.sched.csv", vm.name));
            let text =
                std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let log = guestlog::parse(&text, offset, &truth::irq_classes(vm, folder));
            logs.insert(
                vm.name.clone(),
                log.with_context(|| path.display().to_string())?,
            );
        }
        let name = folder.file_name().map_or_else(
            || folder.display().to_string(),
            |name| name.to_string_lossy().into_owned(),
        );
        Self::new(name, truth, &raw, ours, logs)
    }

    pub(crate) fn new(
        name: String,
        truth: Truth,
        raw: &Raw,
        ours: Ours,
        logs: HashMap<String, Log>,
    ) -> Result<Self> {
        let start = raw.seen.values().map(|seen| seen.start).max();
        let end = raw.seen.values().map(|seen| seen.end).min();
        let (Some(start), Some(end)) = (start, end) else {
            bail!("babeltrace2 shows no events in {name}")
        };
        let coverage = Span::new(start, end);
        let is_lost = |row: &&Row| {
            matches!(row.kind, Kind::Cpu | Kind::Vcpu)
                && &*row.state == "unknown"
                && &*row.cause == "lost"
        };
        let all = Spans::one(coverage);
        let lost_ours = Spans::new(
            ours.rows
                .iter()
                .filter(is_lost)
                .map(|row| row.span)
                .collect(),
        )
        .intersect(&all);
        let lost_raw =
            Spans::new(raw.lost.iter().map(|(_, span, _)| *span).collect()).intersect(&all);
        let within = all.subtract(&lost_ours).subtract(&lost_raw);
        let vcpus = host_vcpus(&truth);
        let tids: Vec<i64> = vcpus.iter().map(|vcpu| vcpu.tid).collect();
        let replay = threads::replay(raw, &tids, coverage);
        let lost_events = raw.lost.iter().map(|lost| lost.2).sum();
        let guests = Vec::new();
        let mut case = Self {
            name,
            truth,
            replay,
            ours,
            vcpus,
            guests,
            coverage,
            within,
            lost_ours,
            lost_raw,
            lost_events,
        };
        case.guests = case.join_guests(logs);
        Ok(case)
    }

    fn join_guests(&self, mut logs: HashMap<String, Log>) -> Vec<Guest> {
        let guest = |vm: &Vm| {
            let log = logs.remove(&vm.name)?;
            let alive = log.alive?;
            let vm_key = self.vm_key(vm);
            let (guest_mode, raw_guest_mode) = self.guest_modes(vm, vm_key.as_deref());
            Some(Guest {
                name: vm.name.clone(),
                level: if vm.parent.is_some() { 2 } else { 1 },
                vm_key,
                within: self.within.intersect(&Spans::one(alive)),
                log,
                guest_mode,
                raw_guest_mode,
            })
        };
        self.truth.vms.iter().filter_map(guest).collect()
    }

    /// Our key of a VM: by the VMM's pid, and for a nested one by its VMM's CR3 in the parent, or else
    /// by the VMCB that the parent's own scheduler says is its.
    fn vm_key(&self, vm: &Vm) -> Option<Name> {
        let Some(parent) = &vm.parent else {
            let row = self
                .ours
                .of_kind(Kind::Vcpu)
                .find(|row| row.pid == Some(vm.pid))?;
            return Some(Rc::from(row.key.split("/vcpu:").next()?));
        };
        let parent = self.truth.vms.iter().find(|other| &other.name == parent)?;
        let prefix = format!("{}/L2:", self.vm_key(parent)?);
        let is_vmm = |process: &&truth::Process| process.pid == vm.pid || process.tgid == vm.pid;
        let cr3s: Vec<u64> = parent
            .processes
            .iter()
            .filter(is_vmm)
            .map(|process| process.cr3)
            .collect();
        let owner = |(text, count): (&String, &u64)| {
            let (vmcb, name) = text.split_once(' ')?;
            (name == vm.name).then_some((*count, hex(vmcb)?))
        };
        let vmcb12 = self
            .truth
            .check
            .vmcb12_owner_by_l1_scheduler
            .iter()
            .filter_map(owner)
            .max()
            .map(|best| best.1);
        let mut time_by_cr3: HashMap<&str, Ns> = HashMap::new();
        let mut time_by_vmcb: HashMap<&str, Ns> = HashMap::new();
        for row in self
            .ours
            .of_kind(Kind::NestedVcpu)
            .filter(|row| row.key.starts_with(&prefix))
        {
            let Some((vm_key, vmcb)) = row.key.rsplit_once("/vcpu:") else {
                continue;
            };
            let cr3 = vm_key[prefix.len()..]
                .split(['#', '/'])
                .next()
                .and_then(hex);
            if cr3.is_some_and(|cr3| cr3s.contains(&cr3)) {
                *time_by_cr3.entry(vm_key).or_default() += row.span.len();
            }
            if hex(vmcb.split('#').next()?) == vmcb12 && vmcb12.is_some() {
                *time_by_vmcb.entry(vm_key).or_default() += row.span.len();
            }
        }
        let longest = |times: HashMap<&str, Ns>| {
            times
                .into_iter()
                .max_by_key(|(_, time)| *time)
                .map(|(key, _)| Rc::from(key))
        };
        longest(time_by_cr3).or_else(|| longest(time_by_vmcb))
    }

    /// Per guest CPU: when it is in guest mode by our rows, and by the raw entries and exits.
    fn guest_modes(
        &self,
        vm: &Vm,
        vm_key: Option<&str>,
    ) -> (BTreeMap<u32, Spans>, BTreeMap<u32, Spans>) {
        let (mut ours, mut raw) = (BTreeMap::new(), BTreeMap::new());
        let nested = vm.parent.is_some();
        for vcpu in &vm.vcpus {
            let own = |row: &&Row| {
                let kind = if nested { Kind::NestedVcpu } else { Kind::Vcpu };
                let number = nested || row.vcpu == Some(vcpu.vcpu_id);
                row.kind == kind
                    && &*row.state == "guest"
                    && number
                    && row.key.split("/vcpu:").next() == vm_key
            };
            let spans = self
                .ours
                .rows
                .iter()
                .filter(own)
                .map(|row| row.span)
                .collect();
            ours.insert(vcpu.vcpu_id, Spans::new(spans));
            let tids: Vec<i64> = if nested {
                self.replay.guest.keys().copied().collect()
            } else {
                vec![vcpu.tid]
            };
            let entries = tids
                .iter()
                .filter_map(|tid| self.replay.guest.get(tid))
                .flatten();
            let spans = entries
                .filter(|(_, in_nested)| !nested || *in_nested)
                .map(|(span, _)| *span)
                .collect();
            raw.insert(vcpu.vcpu_id, Spans::new(spans));
        }
        (ours, raw)
    }

    /// Our lanes of a VM's processes (and kernel and idle) that run on guest CPU `cpu`, by start.
    pub(crate) fn running_rows<'a>(&'a self, guest: &'a Guest, cpu: u32) -> Vec<&'a Row> {
        let any_cpu = guest.level > 1 && guest.guest_mode.len() == 1;
        self.process_rows(guest)
            .filter(|row| row.runs() && (any_cpu || row.vcpu == Some(cpu)))
            .collect()
    }

    pub(crate) fn process_rows<'a>(&'a self, guest: &'a Guest) -> impl Iterator<Item = &'a Row> {
        self.ours
            .of_kind(Kind::Process)
            .filter(|row| guest.vm_key.as_deref() == Some(&*row.vm_key))
    }
}

pub(crate) fn host_vcpus(truth: &Truth) -> Vec<HostVcpu> {
    let host_vms = truth.vms.iter().filter(|vm| vm.parent.is_none());
    let vcpus = host_vms.flat_map(|vm| {
        vm.vcpus.iter().map(|vcpu| HostVcpu {
            name: format!("{}/vcpu{}", vm.name, vcpu.vcpu_id),
            vcpu: vcpu.vcpu_id,
            tid: vcpu.tid,
        })
    });
    vcpus.collect()
}
