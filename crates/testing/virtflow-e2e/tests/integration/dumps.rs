//! State dumps at both ends of a recording, and what `info` and `report` make of them.

use crate::store::Place;
use virtflow_ctf::writer::{
    ByteOrder, EventClass, Field, FieldType, IntegerType, Payload, StreamIdentity, TraceConfig,
    TraceWriter,
};

const QEMU: i32 = 100;
const LATE: i32 = 300;

/// Writes an event: its time, its class, its fields.
type Event<'a> = dyn FnMut(u64, u32, &dyn Fn(&mut Payload)) + 'a;

/// Fields of 32 signed bits, of 64, and texts.
fn class(id: u32, name: &str, fields: &str) -> EventClass {
    let fields = fields.split_whitespace().map(|field| {
        let (ty, name) = field.split_once(':').unwrap();
        let signed = |bits| FieldType::Integer(IntegerType::signed(bits));
        let ty = match ty {
            "i32" => signed(32),
            "i64" => signed(64),
            _ => FieldType::String,
        };
        Field::new(format!("_{name}"), ty)
    });
    EventClass::new(id, name, fields.collect())
}

/// A VM runs while a processor's time stamp counter is moved, and another VM begins.
fn write(place: &Place) -> String {
    let classes = [
        class(0, "lttng_statedump_start", ""),
        class(1, "lttng_statedump_end", ""),
        class(
            2,
            "lttng_statedump_process_state",
            "i32:tid i32:pid i32:ppid i32:status str:name",
        ),
        class(
            3,
            "virtflow_statedump_vm",
            "i32:pid i32:proved i32:vcpus i64:memory_bytes str:vmm str:name",
        ),
        class(
            4,
            "virtflow_statedump_vm_disk",
            "i32:pid i32:readonly str:path str:cache",
        ),
        class(
            5,
            "virtflow_statedump_vcpu_tsc",
            "i32:pid i32:vcpu_id i32:tid i64:tsc_offset",
        ),
        class(6, "virtflow_statedump_thread_affinity", "i32:tid str:list"),
        class(
            7,
            "sched_switch",
            "i32:prev_tid i64:prev_state i32:next_tid str:prev_comm str:next_comm",
        ),
        class(8, "kvm_x86_entry", "i32:vcpu_id"),
        class(
            9,
            "sched_process_fork",
            "i32:parent_tid i32:child_tid i32:child_pid str:child_comm",
        ),
    ];
    let path = place.at("trace");
    let trace = TraceWriter::create(&path, &TraceConfig::default(), &classes).unwrap();
    let mut stream = trace.stream(StreamIdentity::of_cpu("k", 0)).unwrap();
    stream.begin_packet(1_000).unwrap();
    let mut event = |time, id, write: &dyn Fn(&mut Payload)| {
        let mut payload = Payload::new(ByteOrder::Little);
        write(&mut payload);
        stream.event(time, id, payload.as_bytes()).unwrap();
    };
    let dump = |event: &mut Event<'_>, time, offset, late| {
        event(time, 0, &|_| ());
        for (tid, pid, name) in [(QEMU, QEMU, "qemu"), (QEMU + 1, QEMU, "CPU 0/KVM")] {
            event(time, 2, &|p| {
                p.i32(tid).i32(pid).i32(1).i32(5).string(name.as_bytes());
            });
        }
        event(time, 3, &|p| {
            p.i32(QEMU)
                .i32(1)
                .i32(1)
                .i64(1 << 30)
                .string(b"qemu")
                .string(b"web-1");
        });
        event(time, 4, &|p| {
            p.i32(QEMU).i32(-1).string(b"/d0").string(b"none");
        });
        event(time, 5, &|p| {
            p.i32(QEMU).i32(0).i32(QEMU + 1).i64(offset);
        });
        event(time, 6, &|p| {
            p.i32(QEMU + 1).string(b"2-3");
        });
        if late {
            event(time, 3, &|p| {
                p.i32(LATE).i32(0).i32(0).i64(0).string(b"").string(b"");
            });
        }
        event(time, 1, &|_| ());
    };
    dump(&mut event, 1_000, -7, false);
    event(2_000, 7, &|p| {
        p.i32(0)
            .i64(0)
            .i32(QEMU + 1)
            .string(b"swapper/0")
            .string(b"CPU 0/KVM");
    });
    event(3_000, 8, &|p| {
        p.i32(0);
    });
    event(4_000, 9, &|p| {
        p.i32(1).i32(LATE).i32(LATE).string(b"new");
    });
    dump(&mut event, 9_000, -9, true);
    stream.end_packet(10_000).unwrap();
    stream.finish().unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn what_differs_between_the_dumps_is_shown() {
    let place = Place::new();
    let trace = write(&place);
    let said = place.said(&["info", &trace, "--format", "json"]);
    let info: serde_json::Value = serde_json::from_str(&said).unwrap();
    let vms = info["machines"][0]["vms"].as_array().unwrap();
    let [web, late] = &vms[..] else {
        panic!("{vms:?}")
    };
    assert_eq!(
        (&web["name"], &web["proved"]),
        (&"web-1".into(), &true.into())
    );
    assert_eq!(web["disks"].as_array().unwrap().len(), 1);
    assert_eq!(web["disks"][0]["readonly"], serde_json::Value::Null);
    let vcpu = &web["vcpus"][0];
    assert_eq!(
        (&vcpu["cpus"], &vcpu["tid"]),
        (&"2-3".into(), &(QEMU + 1).into())
    );
    assert_eq!(
        (&vcpu["tsc_offset_first"], &vcpu["tsc_offset"]),
        (&(-7).into(), &(-9).into())
    );
    assert!(web["first_ns"].as_i64() < web["last_ns"].as_i64());
    // The second one began meanwhile, and nothing is told of it.
    assert_eq!(late["first_ns"], late["last_ns"]);
    for untold in ["name", "vmm", "vcpus_told", "memory_bytes", "machine"] {
        assert!(late[untold].is_null(), "{late}");
    }
    let text = place.said(&["info", &trace]);
    for shown in [
        "VM web-1",
        "1024 MiB",
        "at the beginning -7",
        "by its program's name only",
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    let said = place.said(&["report", &trace, "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    let vms = report["machines"][0]["vms"].as_array().unwrap();
    assert_eq!((vms.len(), &vms[0]["label"]), (1, &"web-1".into()));
}
