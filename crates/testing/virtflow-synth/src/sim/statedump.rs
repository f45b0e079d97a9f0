//! The statedump: what LTTng tells of the machine when tracing begins
//! (LTTng-modules src/lttng-statedump-impl.c).

use virtflow_ctf::writer::Payload;

use super::Sim;
use super::jobs::DISK;
use super::model::{Action, Run, US};
use super::switch::ASLEEP;
use crate::Isa;
use crate::trace::Ev;

/// The initial namespaces' inode numbers (include/linux/proc_ns.h `PROC_*_INIT_INO`) and, for
/// those without a fixed one, the test bed's.
const PID_NS: u32 = 0xEFFF_FFFC;
const USER_NS: u32 = 0xEFFF_FFFD;
const NAMESPACES: [(Ev, u32); 6] = [
    (Ev::DumpCgroupNs, 0xEFFF_FFFB),
    (Ev::DumpIpcNs, 0xEFFF_FFFF),
    (Ev::DumpMntNs, 0xF000_0001),
    (Ev::DumpNetNs, 0xF000_0000),
    (Ev::DumpUtsNs, 0xEFFF_FFFE),
    (Ev::DumpTimeNs, 0xEFFF_FFFA),
];

/// `LTTNG_WAIT` and `LTTNG_RUN` (lttng-statedump-impl.c `enum lttng_process_status`).
const STATUS_WAIT: i32 = 5;
const STATUS_RUN: i32 = 4;
/// `LTTNG_MODE_UNKNOWN` stands at 0; a waiting process shows 5.
const MODE: i32 = 5;

impl Sim<'_> {
    /// Tells of the next thread, or of everything else and then sleeps.
    pub(super) fn dump(&mut self, thread: usize) {
        if self.dumped == 0 {
            self.emit(Ev::DumpStart, |_| ());
        }
        if self.dumped < self.threads.len() {
            self.dump_thread(self.dumped);
            self.dumped += 1;
            let generation = self.threads[thread].generation;
            return self.push(self.at + US, Action::Resume { thread, generation });
        }
        self.dump_devices();
        self.dump_processors();
        self.emit(Ev::DumpEnd, |_| ());
        self.switch(ASLEEP);
    }

    fn dump_thread(&mut self, thread: usize) {
        let t = &self.threads[thread];
        let (who, ppid, kernel, cpu) = (t.who, t.ppid, t.kernel, t.cpu as u32);
        let status = if t.run == Run::Sleeping {
            STATUS_WAIT
        } else {
            STATUS_RUN
        };
        let files = 0xFFFF_8881_0022_0000 + (who.pid as u64) * 64;
        self.emit(Ev::DumpProcess, |p| {
            p.i32(who.tid).i32(who.pid).i32(ppid).raw(&who.comm);
            p.i32(i32::from(kernel))
                .i32(MODE)
                .i32(0)
                .i32(status)
                .u32(cpu)
                .u64(files);
        });
        self.emit(Ev::DumpPidNs, |p| {
            p.i32(who.tid)
                .i32(who.tid)
                .i32(who.pid)
                .i32(ppid)
                .i32(0)
                .u32(PID_NS);
        });
        self.emit(Ev::DumpUserNs, |p| {
            p.i32(who.tid).u32(0).u32(0).i32(0).u32(USER_NS);
        });
        for (ev, inode) in NAMESPACES {
            self.emit(ev, |p| {
                p.i32(who.tid).u32(inode);
            });
        }
    }

    fn dump_devices(&mut self) {
        let irqs: [(i32, &str, &str); 6] = [
            (0, "IO-APIC", "timer"),
            (4, "IO-APIC", "ttyS0"),
            (9, "IO-APIC", "acpi"),
            (31, "PCI-MSI", "virtio2-req.0"),
            (32, "PCI-MSI", "virtio2-req.1"),
            (33, "PCI-MSI", "eth0-rx-0"),
        ];
        for (irq, chip, action) in irqs {
            self.emit(Ev::DumpInterrupt, |p| {
                p.i32(irq)
                    .string(chip.as_bytes())
                    .string(action.as_bytes())
                    .i32(0);
            });
        }
        let network = |name: Vec<u8>, address: u32| {
            move |p: &mut Payload| {
                p.string(&name).u32(address);
            }
        };
        self.emit(Ev::DumpNetwork, network(b"lo".to_vec(), 0x7F00_0001));
        self.emit(Ev::DumpNetwork, network(b"eth0".to_vec(), 0xC000_0202));
        for vm in 0..self.vms.len() {
            self.emit(
                Ev::DumpNetwork,
                network(self.vms[vm].tap.clone().into_bytes(), 0),
            );
        }
        for (minor, name) in [(0, "vda"), (16, "vdb"), (32, "vdc")] {
            let device = DISK & !0xfffff | minor;
            self.emit(Ev::DumpBlock, |p| {
                p.u32(device).string(name.as_bytes());
            });
        }
    }

    fn dump_processors(&mut self) {
        let (vendor, family, model) = match self.scenario.dialect.isa {
            Isa::Vmx => ("GenuineIntel", 6, 143),
            Isa::Svm => ("AuthenticAMD", 15, 107),
        };
        let count = self.cpus.len() as u16;
        for cpu in 0..count {
            self.emit(Ev::DumpCpu, |p| {
                p.string(b"x86")
                    .u16(cpu)
                    .string(vendor.as_bytes())
                    .u8(family)
                    .u8(model);
                p.string(b"virtflow-synth").u16(0).u16(cpu).u16(count);
            });
        }
    }
}
