//! Events of the host: scheduler, interrupts, timers, power, signals, block devices, network.

use super::{BLOCK, PACKET, Shape, WAKE};
use crate::kernel::KernelEvent as K;

/// Scheduler, interrupts, timers, power, signals.
pub(super) const SCHED: &[Shape] = &[
    shape!(
        ["sched_switch"],
        &[
            "prev_tid|prev_pid",
            "next_tid|next_pid",
            "?prev_state",
            "?prev_comm",
            "?next_comm",
            "?next_prio"
        ],
        |s| {
            Some(K::SchedSwitch {
                prev: s.tid(0),
                next: s.tid(1),
                prev_state: s.u32(2),
                prev_comm: s.text(3),
                next_comm: s.text(4),
                next_prio: s.i16(5),
            })
        }
    ),
    shape!(["sched_waking"], WAKE, |s| {
        Some(K::SchedWaking {
            tid: s.tid(0),
            target_cpu: s.cpu(1),
            comm: s.text(2),
        })
    }),
    shape!(["sched_wakeup"], WAKE, |s| {
        Some(K::SchedWakeup {
            tid: s.tid(0),
            target_cpu: s.cpu(1),
            comm: s.text(2),
        })
    }),
    shape!(["sched_wakeup_new"], WAKE, |s| {
        Some(K::SchedWakeupNew {
            tid: s.tid(0),
            target_cpu: s.cpu(1),
            comm: s.text(2),
        })
    }),
    shape!(
        ["sched_migrate_task"],
        &["tid|pid", "orig_cpu", "dest_cpu"],
        |s| {
            Some(K::SchedMigrate {
                tid: s.tid(0),
                orig_cpu: s.cpu(1),
                dest_cpu: s.cpu(2),
            })
        }
    ),
    shape!(
        ["sched_process_fork"],
        &[
            "parent_tid|parent_pid",
            "child_tid|child_pid",
            "?parent_pid",
            "?child_pid",
            "?child_comm",
            "?child_ns_inum",
            "?child_tid"
        ],
        |s| {
            Some(K::ProcessFork {
                parent: s.tid(0),
                child: s.tid(1),
                // The kernel calls the thread itself `pid`.
                parent_pid: s.tid_opt(2).filter(|_| s.has(6)),
                child_pid: s.tid_opt(3).filter(|_| s.has(6)),
                child_comm: s.text(4),
                // 0 where the tracer found none (LTTng-modules
                // include/instrumentation/events/sched.h).
                child_ns: s.u32_opt(5).filter(|number| *number != 0),
            })
        }
    ),
    shape!(
        ["sched_process_exec"],
        &["tid|pid", "old_tid|old_pid"],
        |s| Some(K::ProcessExec {
            tid: s.tid(0),
            old_tid: s.tid(1)
        })
    ),
    shape!(["PERF_RECORD_FORK"], &["tid", "pid", "parent_tid"], |s| {
        Some(K::ThreadFollowed {
            tid: s.tid(0),
            pid: Some(s.tid(1)),
            parent: Some(s.tid(2)),
        })
    }),
    shape!(["PERF_RECORD_SWITCH"], &["tid", "out", "preempt"], |s| {
        Some(K::ThreadSwitch {
            tid: s.tid(0),
            out: s.flag(1),
            preempted: s.flag(2),
        })
    }),
    shape!(["PERF_RECORD_EXIT"], &["tid"], |s| Some(K::ThreadLeft {
        tid: s.tid(0)
    })),
    shape!(["sched_process_exit"], &["tid|pid"], |s| Some(
        K::ProcessExit { tid: s.tid(0) }
    )),
    shape!(["sched_process_free"], &["tid|pid"], |s| Some(
        K::ProcessFree { tid: s.tid(0) }
    )),
    shape!(["sched_process_wait"], &["tid|pid"], |s| Some(
        K::ProcessWait { tid: s.tid(0) }
    )),
    shape!(
        ["sched_pi_setprio"],
        &["tid|pid", "oldprio", "newprio"],
        |s| {
            Some(K::PiSetprio {
                tid: s.tid(0),
                old_prio: s.i16(1),
                new_prio: s.i16(2),
            })
        }
    ),
    shape!(["irq_handler_entry"], &["irq", "?name"], |s| Some(
        K::IrqEntry {
            irq: s.i32(0),
            name: s.text(1)
        }
    )),
    shape!(["irq_handler_exit"], &["irq"], |s| Some(K::IrqExit {
        irq: s.i32(0)
    })),
    shape!(["irq_softirq_entry", "softirq_entry"], &["vec"], |s| Some(
        K::SoftirqEntry { vec: s.u32(0) }
    )),
    shape!(["irq_softirq_exit", "softirq_exit"], &["vec"], |s| Some(
        K::SoftirqExit { vec: s.u32(0) }
    )),
    shape!(["irq_softirq_raise", "softirq_raise"], &["vec"], |s| Some(
        K::SoftirqRaise { vec: s.u32(0) }
    )),
    shape!(
        ["timer_hrtimer_start", "hrtimer_start"],
        &["hrtimer", "function", "?expires"],
        |s| {
            Some(K::HrtimerStart {
                hrtimer: s.u64(0),
                function: s.u64(1),
                expires: s.i64(2),
            })
        }
    ),
    shape!(
        ["timer_hrtimer_cancel", "hrtimer_cancel"],
        &["hrtimer"],
        |s| Some(K::HrtimerCancel { hrtimer: s.u64(0) })
    ),
    shape!(
        ["timer_hrtimer_expire_entry", "hrtimer_expire_entry"],
        &["hrtimer", "function", "?now"],
        |s| {
            Some(K::HrtimerExpireEntry {
                hrtimer: s.u64(0),
                function: s.u64(1),
                now: s.i64(2),
            })
        }
    ),
    shape!(
        ["timer_hrtimer_expire_exit", "hrtimer_expire_exit"],
        &["hrtimer"],
        |s| Some(K::HrtimerExpireExit { hrtimer: s.u64(0) })
    ),
    shape!(
        ["power_cpu_frequency", "cpu_frequency"],
        &["state", "cpu_id"],
        |s| Some(K::CpuFrequency {
            khz: s.u32(0),
            cpu: s.cpu(1)
        })
    ),
    shape!(["power_cpu_idle", "cpu_idle"], &["state", "cpu_id"], |s| {
        Some(K::CpuIdle {
            state: s.u32(0),
            cpu: s.cpu(1),
        })
    }),
    shape!(["signal_generate"], &["sig", "pid", "?comm"], |s| Some(
        K::SignalGenerate {
            sig: s.i32(0),
            pid: s.tid(1),
            comm: s.text(2)
        }
    )),
    shape!(["signal_deliver"], &["sig"], |s| Some(K::SignalDeliver {
        sig: s.i32(0)
    })),
    shape!(
        ["io_uring_submit_req", "io_uring_submit_sqe"],
        &["ctx", "opcode"],
        |s| Some(K::IoUringSubmit {
            ctx: s.u64(0),
            opcode: s.u8(1)
        })
    ),
    shape!(["io_uring_complete"], &["ctx", "res"], |s| Some(
        K::IoUringComplete {
            ctx: s.u64(0),
            res: s.i32(1)
        }
    )),
];

/// Block devices and the network.
pub(super) const DEVICES: &[Shape] = &[
    shape!(["block_bio_queue"], BLOCK, |s| Some(K::BlockBioQueue(
        s.block()
    ))),
    shape!(["block_rq_insert"], BLOCK, |s| Some(K::BlockInsert(
        s.block()
    ))),
    shape!(["block_rq_issue"], BLOCK, |s| Some(K::BlockIssue(
        s.block()
    ))),
    shape!(["block_rq_requeue"], BLOCK, |s| Some(K::BlockRequeue(
        s.block()
    ))),
    shape!(["block_rq_complete"], BLOCK, |s| Some(K::BlockComplete(
        s.block()
    ))),
    shape!(["net_dev_queue"], PACKET, |s| Some(K::NetQueue(
        s.packet_with_headers()
    ))),
    shape!(["net_dev_xmit"], &["skbaddr", "len", "?name", "?rc"], |s| {
        Some(K::NetXmit {
            packet: s.packet(),
            taken: s.i32(3) == 0,
        })
    }),
    shape!(["net_if_receive_skb", "netif_receive_skb"], PACKET, |s| {
        Some(K::NetReceive(s.packet_with_headers()))
    }),
    shape!(["net_if_rx", "netif_rx"], PACKET, |s| Some(K::NetRx(
        s.packet_with_headers()
    ))),
    shape!(["napi_poll"], &["dev_name"], |s| Some(K::NapiPoll {
        device: s.text(0)
    })),
];
