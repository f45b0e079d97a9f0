//! Records of a recorder that runs, bound by descriptions of them as those of any trace.
//!
//! Descriptions are the kernel's own form (`virtflow_tracefs`). Besides the kind of a record
//! (`common_type`) they say where its time is (`common_time`, nanoseconds of the recorder's clock),
//! its processor (`common_cpu`), and the thread and process that ran there (`common_pid`,
//! `common_tgid`). Descriptions of the same kind are several events that one record makes.

use crate::kernel::{Context, KernelRecord};
use crate::shapes::{self, Shape, Slots};
use crate::trace::slot;
use virtflow_base::{CpuId, Tid};
use virtflow_tracefs::{ByteOrder, EventFormat, FormatError, RecordView, Slot};

/// Where in a record its head is.
const HEAD: [&str; 5] = [
    "common_type",
    "common_time",
    "common_cpu",
    "common_pid",
    "common_tgid",
];

/// Why records cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LiveError {
    /// A description is none.
    #[error("the description of a record: {0}")]
    Format(#[from] FormatError),
    /// It does not say where something is.
    #[error("the description of records {0} has no {1}")]
    Head(Box<str>, &'static str),
}

/// An event, and where its fields are in its records.
struct Bound {
    shape: &'static Shape,
    slots: Vec<Option<Slot>>,
    /// What the byte at a place must be.
    only_if: Option<(usize, u8)>,
}

impl Bound {
    /// `None` where it is no event of ours, is not wanted, or lacks a field it must have.
    fn new(
        format: &EventFormat,
        only_if: Option<(usize, u8)>,
        wanted: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        let shape = shapes::find(format.name()).filter(|shape| wanted(shape.name()))?;
        let slots = shape.fields.iter().map(|field| slot(format, field));
        let slots = slots.collect::<Option<_>>()?;
        Some(Self {
            shape,
            slots,
            only_if,
        })
    }
}

/// Which events raw records are.
pub struct LiveRecords {
    head: Vec<Option<Slot>>,
    /// By the kinds of records.
    kinds: Vec<Vec<Bound>>,
}

impl std::fmt::Debug for LiveRecords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveRecords")
            .field("kinds", &self.kinds.len())
            .finish_non_exhaustive()
    }
}

impl LiveRecords {
    /// Of the records that `descriptions` describe, those events whose [`kind`](crate::kind) is
    /// wanted. All of them begin as the first one. Beside a description stands which byte must be
    /// what for a record to make the event, if any must.
    ///
    /// # Errors
    /// Where a description cannot be read.
    pub fn new<'d>(
        descriptions: impl IntoIterator<Item = (&'d str, Option<(usize, u8)>)>,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Self, LiveError> {
        let mut head = Vec::new();
        let mut kinds: Vec<Vec<Bound>> = Vec::new();
        for (text, only_if) in descriptions {
            let format = EventFormat::parse("live", text.as_bytes())?;
            if head.is_empty() {
                for name in HEAD {
                    let field = format.field(name);
                    let missing = || LiveError::Head(format.name().into(), name);
                    head.push(Some(Slot::new(field.ok_or_else(missing)?)));
                }
            }
            let Some(bound) = Bound::new(&format, only_if, &wanted) else {
                continue;
            };
            let kind = usize::from(format.id());
            if kinds.len() <= kind {
                kinds.resize_with(kind + 1, Vec::new);
            }
            kinds[kind].push(bound);
        }
        Ok(Self { head, kinds })
    }

    /// Gives the events of a record with its time, on the recorder's clock; none where it is none
    /// that was described, or not wanted.
    #[inline]
    pub fn take(&self, record: &[u8], mut give: impl FnMut(u64, KernelRecord)) {
        let head = RecordView::new(record, ByteOrder::Little, &self.head);
        let [Some(kind), Some(time), Some(cpu)] = [0, 1, 2].map(|slot| head.u64(slot)) else {
            return;
        };
        let context = head.u64(3).zip(head.u64(4)).map(|(tid, pid)| Context {
            tid: Tid(tid as i32),
            pid: Tid(pid as i32),
        });
        let bound = usize::try_from(kind).ok().and_then(|at| self.kinds.get(at));
        for bound in bound.into_iter().flatten() {
            if bound
                .only_if
                .is_some_and(|(at, is)| record.get(at) != Some(&is))
            {
                continue;
            }
            let fields = RecordView::new(record, ByteOrder::Little, &bound.slots);
            if let Some(event) = (bound.shape.raw)(&Slots(&fields)) {
                let cpu = CpuId(u32::try_from(cpu).unwrap_or(u32::MAX));
                give(
                    time,
                    KernelRecord {
                        cpu,
                        context,
                        event,
                    },
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::KernelEvent as K;

    const HEAD_TEXT: &str = "\tfield:u64 common_time;\toffset:0;\tsize:8;\tsigned:0;\n\
        \tfield:unsigned short common_type;\toffset:8;\tsize:2;\tsigned:0;\n\
        \tfield:unsigned short common_cpu;\toffset:10;\tsize:2;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:12;\tsize:4;\tsigned:1;\n\
        \tfield:int common_tgid;\toffset:16;\tsize:4;\tsigned:1;\n\n";

    fn described(name: &str, kind: u16, fields: &str) -> String {
        format!("name: {name}\nID: {kind}\nformat:\n{HEAD_TEXT}{fields}")
    }

    fn record(kind: u16, fields: &[u8]) -> Vec<u8> {
        let mut bytes = 77_u64.to_le_bytes().to_vec();
        bytes.extend(kind.to_le_bytes());
        bytes.extend(3_u16.to_le_bytes());
        bytes.extend(11_i32.to_le_bytes());
        bytes.extend(10_i32.to_le_bytes());
        bytes.extend_from_slice(fields);
        bytes
    }

    fn found_in(records: &LiveRecords, kind: u16, fields: &[u8]) -> usize {
        all(records, &record(kind, fields)).len()
    }

    fn all(records: &LiveRecords, record: &[u8]) -> Vec<(u64, KernelRecord)> {
        let mut all = Vec::new();
        records.take(record, |time, record| all.push((time, record)));
        all
    }

    #[test]
    fn one_record_may_be_several_events_and_others_none() {
        let vcpu = "\tfield:u32 vcpu_id;\toffset:20;\tsize:4;\tsigned:0;\n";
        let descriptions = [
            described("kvm_x86_entry", 26, vcpu),
            described(
                "sched_process_exit",
                26,
                "\tfield:int tid;offset:24;size:4;signed:1;\n",
            ),
            described(
                "irq_softirq_entry",
                9,
                "\tfield:u32 vec;offset:20;size:4;signed:0;\n",
            ),
            described("nobody_knows", 10, vcpu),
        ];
        // The second event of the kind is made where the last byte says so.
        let conditions = [None, Some((27, 0xff)), None, None];
        let each = descriptions.iter().map(String::as_str).zip(conditions);
        let records = LiveRecords::new(each, |name| name != "irq_softirq_entry").unwrap();
        let found = all(&records, &record(26, &[5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]));
        assert_eq!(found.len(), 2);
        let (time, first) = found[0];
        assert_eq!((time, first.cpu), (77, CpuId(3)));
        assert_eq!(
            first.context.map(|c| (c.tid, c.pid)),
            Some((Tid(11), Tid(10)))
        );
        assert!(matches!(first.event, K::KvmEntry { vcpu: Some(5), .. }));
        assert_eq!(found[1].1.event, K::ProcessExit { tid: Tid(-1) });
        assert_eq!(
            found_in(&records, 26, &[5, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f]),
            1
        );
        // Not wanted, not known, not described, no record.
        for kind in [9, 10, 11, u16::MAX] {
            assert!(all(&records, &record(kind, &[0; 8])).is_empty());
        }
        for length in 0..20 {
            let whole = record(26, &[0; 8]);
            all(&records, &whole[..length]);
        }
    }

    /// The tracepoint of the module virtflow_vmx (kmod/virtflow_vmx_trace.h), as ftrace and perf tell
    /// it: without a nested guest's control block, and of use only where all registers are known.
    #[test]
    fn registers_by_the_module() {
        let fields = "\tfield:u64 cr3;\toffset:20;\tsize:8;\tsigned:0;\n\
            \tfield:u64 rip;\toffset:28;\tsize:8;\tsigned:0;\n\
            \tfield:u64 rsp;\toffset:36;\tsize:8;\tsigned:0;\n\
            \tfield:u64 fs_base;\toffset:44;\tsize:8;\tsigned:0;\n\
            \tfield:u32 vcpu_id;\toffset:52;\tsize:4;\tsigned:0;\n\
            \tfield:s32 vm_pid;\toffset:56;\tsize:4;\tsigned:1;\n\
            \tfield:u8 guest_mode;\toffset:60;\tsize:1;\tsigned:0;\n\
            \tfield:u8 cpl;\toffset:61;\tsize:1;\tsigned:0;\n\
            \tfield:u8 known;\toffset:62;\tsize:1;\tsigned:0;\n";
        let descriptions = [
            described("virtflow_vcpu_enter", 1, fields),
            described("virtflow_vcpu_exit", 2, fields),
        ];
        let each = descriptions.iter().map(|text| (text.as_str(), None));
        let records = LiveRecords::new(each, |_| true).unwrap();
        let of = |kind, known: u8| {
            let mut bytes: Vec<u8> = [0x1000_u64, 0x2000, 0x3000, 0x4000]
                .iter()
                .flat_map(|register| register.to_le_bytes())
                .collect();
            bytes.extend(3_u32.to_le_bytes());
            bytes.extend(139_i32.to_le_bytes());
            bytes.extend([1, 3, known]);
            let found = all(&records, &record(kind, &bytes));
            found.first().map(|(_, record)| record.event)
        };
        assert!(matches!(
            of(1, 31),
            Some(K::VcpuEnterGuest {
                vcpu: 3,
                cr3: 0x1000,
                rip: 0x2000,
                guest_mode: true,
                l1_cr3: None,
                block: None,
                vm_pid: Tid(139),
                ..
            })
        ));
        assert!(matches!(
            of(2, 31),
            Some(K::VcpuExitGuest {
                vcpu: 3,
                cr3: 0x1000,
                cpl: 3,
                guest_mode: true,
                ..
            })
        ));
        for kind in [1, 2] {
            assert_eq!(of(kind, 30), None);
        }
    }

    #[test]
    fn descriptions_that_say_too_little_are_refused() {
        let no_time = "name: a\nID: 1\n\tfield:u16 common_type;offset:8;size:2;signed:0;\n";
        let error = LiveRecords::new([(no_time, None)], |_| true).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the description of records a has no common_time"
        );
        let error = LiveRecords::new([("name: a\n", None)], |_| true).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the description of a record: line 1")
        );
    }
}
