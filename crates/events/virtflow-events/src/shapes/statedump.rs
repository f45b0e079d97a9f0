//! LTTng's dump of what was there when it began, what our own recorder adds to it, and what perf tells
//! instead.

use super::{NAMESPACE, Shape};
use crate::kernel::{KernelEvent as K, NamespaceKind};

/// LTTng's state dump.
pub(super) const STATEDUMP: &[Shape] = &[
    shape!(["lttng_statedump_start"], &[], |_| Some(K::StatedumpStart)),
    shape!(["lttng_statedump_end"], &[], |_| Some(K::StatedumpEnd)),
    shape!(
        ["lttng_statedump_process_state"],
        &["tid", "pid", "ppid", "?type", "?status", "?cpu", "?name"],
        |s| {
            Some(K::StatedumpProcess {
                tid: s.tid(0),
                pid: s.tid(1),
                ppid: s.tid(2),
                kind: s.u32(3),
                status: s.u32(4),
                cpu: s.cpu(5),
                comm: s.text(6),
            })
        }
    ),
    shape!(["lttng_statedump_process_pid_ns"], NAMESPACE, |s| Some(
        s.namespace(NamespaceKind::Pid)
    )),
    shape!(["PERF_RECORD_NAMESPACES"], &["tid", "pid_ns"], |s| {
        Some(K::StatedumpNamespace {
            tid: s.tid(0),
            kind: NamespaceKind::Pid,
            inum: s.u32(1),
            level: None,
        })
    }),
    shape!(["lttng_statedump_process_mnt_ns"], NAMESPACE, |s| Some(
        s.namespace(NamespaceKind::Mnt)
    )),
    shape!(["lttng_statedump_process_net_ns"], NAMESPACE, |s| Some(
        s.namespace(NamespaceKind::Net)
    )),
    shape!(["lttng_statedump_process_ipc_ns"], NAMESPACE, |s| Some(
        s.namespace(NamespaceKind::Ipc)
    )),
    shape!(["lttng_statedump_process_uts_ns"], NAMESPACE, |s| Some(
        s.namespace(NamespaceKind::Uts)
    )),
    shape!(["lttng_statedump_process_user_ns"], NAMESPACE, |s| Some(
        s.namespace(NamespaceKind::User)
    )),
    shape!(["lttng_statedump_process_cgroup_ns"], NAMESPACE, |s| Some(
        s.namespace(NamespaceKind::Cgroup)
    )),
    shape!(["lttng_statedump_process_time_ns"], NAMESPACE, |s| Some(
        s.namespace(NamespaceKind::Time)
    )),
    shape!(
        ["lttng_statedump_interrupt"],
        &["irq", "?name", "?action"],
        |s| {
            Some(K::StatedumpInterrupt {
                irq: s.u32(0),
                name: s.text(1),
                action: s.text(2),
            })
        }
    ),
    shape!(
        ["lttng_statedump_block_device"],
        &["dev", "diskname"],
        |s| {
            Some(K::StatedumpBlockDevice {
                dev: s.u32(0),
                name: s.text(1),
            })
        }
    ),
    shape!(["lttng_statedump_network_interface"], &["name"], |s| Some(
        K::StatedumpNetworkInterface { name: s.text(0) }
    )),
    shape!(["lttng_statedump_cpu_topology"], &["cpu_id"], |s| Some(
        K::StatedumpCpuTopology { cpu: s.cpu(0) }
    )),
    shape!(
        ["lttng_statedump_file_descriptor"],
        &["fd", "filename"],
        |s| Some(K::StatedumpFileDescriptor {
            fd: s.i32(0),
            filename: s.text(1)
        })
    ),
    shape!(["virtflow_running"], &["tid", "pid"], |s| Some(
        K::ThreadRuns {
            tid: s.tid(0),
            pid: s.tid(1),
        }
    )),
    shape!(["virtflow_statedump_vm"], &["pid", "name"], |s| Some(
        K::StatedumpVm {
            pid: s.tid(0),
            name: s.text(1)
        }
    )),
    shape!(
        ["virtflow_statedump_thread_role"],
        &["tid", "vm_pid", "vcpu_id", "role"],
        |s| Some(K::StatedumpRole {
            tid: s.tid(0),
            vm_pid: s.tid(1),
            // -1 where it is that of none.
            vcpu: u32::try_from(s.i32(2)).ok(),
            role: s.text(3),
        })
    ),
];
