//! The events of the dump, and how they are written.

use super::{What, When};
use crate::events::dump_kind;
use crate::order::{Order, Record};
use crate::trace::now;
use virtflow_ctf::writer::{ByteOrder, Payload};

macro_rules! classes {
    ($($class:ident $name:literal $fields:literal;)*) => {
        /// An event of the dump.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Class { $($class),* }

        /// Their names and fields, in the order of [`Class`].
        pub(crate) const CLASSES: &[(&str, &str)] = &[$(($name, $fields)),*];
    };
}

classes! {
    Start "lttng_statedump_start" "";
    End "lttng_statedump_end" "";
    Process "lttng_statedump_process_state" "i32:tid i32:pid i32:ppid text:name i32:type i32:mode i32:submode i32:status u32:cpu";
    PidNamespace "lttng_statedump_process_pid_ns" "i32:tid i32:vtid i32:vpid i32:vppid i32:ns_level u32:ns_inum";
    UserNamespace "lttng_statedump_process_user_ns" "i32:tid i32:vuid i32:vgid i32:ns_level u32:ns_inum";
    CgroupNamespace "lttng_statedump_process_cgroup_ns" "i32:tid u32:ns_inum";
    IpcNamespace "lttng_statedump_process_ipc_ns" "i32:tid u32:ns_inum";
    MntNamespace "lttng_statedump_process_mnt_ns" "i32:tid u32:ns_inum";
    NetNamespace "lttng_statedump_process_net_ns" "i32:tid u32:ns_inum";
    UtsNamespace "lttng_statedump_process_uts_ns" "i32:tid u32:ns_inum";
    TimeNamespace "lttng_statedump_process_time_ns" "i32:tid u32:ns_inum";
    BlockDevice "lttng_statedump_block_device" "u32:dev str:diskname";
    NetworkInterface "lttng_statedump_network_interface" "str:name x32:address_ipv4";
    Interrupt "lttng_statedump_interrupt" "u32:irq str:name str:action i32:tid";
    CpuTopology "lttng_statedump_cpu_topology" "str:architecture u16:cpu_id str:vendor u8:family u8:model str:model_name u16:physical_id u16:core_id u16:cores";
    Part "virtflow_statedump_part" "str:part u8:available str:why";
    CommandLine "virtflow_statedump_process_cmdline" "i32:pid u32:bytes u8:cut str:exe str:cmdline";
    Cgroup "virtflow_statedump_process_cgroup" "i32:tid str:controllers str:path";
    Affinity "virtflow_statedump_thread_affinity" "i32:tid u32:cpus str:list";
    Role "virtflow_statedump_thread_role" "i32:tid i32:vm_pid u8:proved i32:vcpu_id str:role";
    Vm "virtflow_statedump_vm" "i32:pid u8:proved u32:vcpus u32:kvm_vcpus u64:memory_bytes str:vmm str:name str:machine str:cpu_model";
    VmDisk "virtflow_statedump_vm_disk" "i32:pid i8:readonly str:id str:path str:format str:cache str:aio";
    VmNet "virtflow_statedump_vm_net" "i32:pid i8:vhost str:id str:kind str:ifname";
    VcpuTsc "virtflow_statedump_vcpu_tsc" "i32:pid i32:vm_fd u32:vcpu_id i32:tid i32:guest_mode i64:tsc_offset u64:tsc_scaling_ratio u32:tsc_scaling_ratio_frac_bits";
    NetworkDevice "virtflow_statedump_network_device" "str:name u32:ifindex u32:mtu str:kind str:master";
    KvmParameter "virtflow_statedump_kvm_parameter" "str:module str:name str:value";
    Cpu "virtflow_statedump_cpu" "u32:cpu_id i8:online i32:node str:thread_siblings";
    CpuFrequency "virtflow_statedump_cpu_frequency" "u32:cpu_id u32:khz u32:min_khz u32:max_khz u32:base_khz str:driver str:governor";
    Summary "virtflow_statedump_summary" "u64:took_ns u32:processes u32:threads u32:vanished u32:left_out";
    Running "virtflow_running" "i32:tid i32:pid";
}

/// The kind of the records that say who runs on a processor, where no switch to it was recorded.
pub(crate) fn running_kind() -> u16 {
    dump_kind() + Class::Running as u16
}

/// Where the dump's events go.
pub(super) struct Out<'a> {
    order: &'a mut Order,
    meanwhile: &'a mut dyn FnMut(&mut Order),
    kind: u16,
    payload: Payload,
    what: What,
    time: u64,
    events: u32,
}

/// `LTTNG_UNKNOWN` of lttng-modules' `enum lttng_process_status`.
const STATUS_UNKNOWN: i32 = 0;
/// How many events may be written before what was recorded meanwhile is taken.
const EVENTS_MAX: u32 = 256;

impl<'a> Out<'a> {
    pub(super) fn new(
        order: &'a mut Order,
        what: What,
        meanwhile: &'a mut dyn FnMut(&mut Order),
    ) -> Self {
        let time = match what.when {
            When::Start | When::Past => order.began(),
            When::End => now(),
        };
        Self {
            order,
            meanwhile,
            kind: dump_kind(),
            events: 0,
            payload: Payload::new(ByteOrder::Little),
            what,
            time,
        }
    }

    /// What follows is read from now on, and is told as of now: whatever happens to it later comes
    /// later in the trace.
    pub(super) fn look(&mut self) {
        if self.what.when == When::End {
            self.time = now();
        }
    }

    /// Whether the arguments of processes are told.
    pub(super) const fn tells_arguments(&self) -> bool {
        self.what.arguments
    }

    /// Since when (CLOCK_MONOTONIC) threads that begin are told by their own events, where this is
    /// the dump of a beginning.
    pub(super) fn told_since(&self) -> Option<u64> {
        match self.what.when {
            When::Start | When::Past => Some(self.time),
            When::End => None,
        }
    }

    /// What a thread did at the time of the dump, as LTTng says it, of what it does now.
    pub(super) fn status(&self, now: i32) -> i32 {
        match self.what.when {
            When::Start | When::End => now,
            When::Past => STATUS_UNKNOWN,
        }
    }

    pub(super) fn event(&mut self, class: Class, write: impl FnOnce(&mut Payload)) {
        self.payload.clear();
        write(&mut self.payload);
        self.order.put(&Record {
            time: self.time,
            kind: self.kind + class as u16,
            cpu: 0,
            tid: 0,
            pid: 0,
            fields: self.payload.as_bytes(),
        });
        self.events += 1;
        if self.events.is_multiple_of(EVENTS_MAX) {
            (self.meanwhile)(self.order);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_once_and_classes_are_where_they_stand() {
        let mut names: Vec<_> = CLASSES.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CLASSES.len());
        assert_eq!(CLASSES[Class::Vm as usize].0, "virtflow_statedump_vm");
        assert_eq!(
            CLASSES[Class::Summary as usize].0,
            "virtflow_statedump_summary"
        );
    }
}
