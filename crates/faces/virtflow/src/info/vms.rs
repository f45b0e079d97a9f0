//! What a state dump tells of VMs.

use crate::page::Page;
use crate::table::Tone;
use virtflow_query::{DiskInfo, NetInfo, VcpuInfo, VmInfo};

/// How many vCPUs, disks and network devices of one VM are shown.
const SHOWN: usize = 16;

pub(super) fn show(page: &mut Page, vms: &[VmInfo]) {
    for vm in vms {
        let name = vm.name.as_deref().unwrap_or("without a name");
        page.heading(Tone::Strong, &format!("VM {name}"));
        let how = if vm.proved {
            ""
        } else {
            ", by its program's name only"
        };
        let vmm = vm.vmm.as_deref().unwrap_or("not told");
        page.fact("VMM", &format!("{vmm}, process {}{how}", vm.pid));
        let count = vm.vcpus_told.map(|count| count.to_string());
        page.fact("vCPUs", count.as_deref().unwrap_or("not told"));
        for vcpu in vm.vcpus.iter().take(SHOWN) {
            page.fact(&format!("vCPU {}", vcpu.number), &of_vcpu(vcpu));
        }
        let memory = vm.memory_bytes.map(|bytes| format!("{} MiB", bytes >> 20));
        page.fact("memory", memory.as_deref().unwrap_or("not told"));
        page.fact("machine", vm.machine.as_deref().unwrap_or("not told"));
        page.fact("CPU model", vm.cpu_model.as_deref().unwrap_or("not told"));
        for disk in vm.disks.iter().take(SHOWN) {
            page.fact("disk", &of_disk(disk));
        }
        for net in vm.nets.iter().take(SHOWN) {
            page.fact("network", &of_net(net));
        }
        let left = [vm.vcpus.len(), vm.disks.len(), vm.nets.len()];
        let left: usize = left.iter().map(|all| all.saturating_sub(SHOWN)).sum();
        if left > 0 {
            page.fact("more", &format!("{left} more (--format json)"));
        }
    }
}

fn of_vcpu(vcpu: &VcpuInfo) -> String {
    let mut told = Vec::new();
    told.extend(vcpu.tid.map(|tid| format!("thread {tid}")));
    told.extend(vcpu.cpus.as_ref().map(|cpus| format!("may run on {cpus}")));
    told.extend(vcpu.tsc_offset.map(|offset| match vcpu.tsc_offset_first {
        Some(first) if first != offset => {
            format!("TSC offset {offset}, at the beginning {first}")
        }
        _ => format!("TSC offset {offset}"),
    }));
    told.join(", ")
}

fn of_disk(disk: &DiskInfo) -> String {
    let path = disk.path.as_deref().or(disk.id.as_deref());
    let mut told = vec![path.unwrap_or("not told").to_owned()];
    told.extend(disk.format.clone());
    told.extend(disk.cache.as_ref().map(|cache| format!("cache {cache}")));
    told.extend(disk.aio.as_ref().map(|aio| format!("aio {aio}")));
    if disk.readonly == Some(true) {
        told.push("read-only".to_owned());
    }
    told.join(", ")
}

fn of_net(net: &NetInfo) -> String {
    let mut told = vec![net.kind.as_deref().unwrap_or("not told").to_owned()];
    told.extend(net.ifname.clone().or_else(|| net.id.clone()));
    told.extend(net.vhost.map(|vhost| {
        let vhost = if vhost { "with" } else { "without" };
        format!("{vhost} vhost")
    }));
    told.join(", ")
}
