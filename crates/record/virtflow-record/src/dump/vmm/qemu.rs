//! QEMU (qemu-options.hx; system/vl.c and util/keyval.c for how options are read), also as libvirt
//! starts it, with JSON in place of lists of keys.

use super::options::{bytes, on};
use super::qemu_disks::Disks;
use super::{Disk, Net, VmFacts};
use serde_json::{Map, Value};

/// Options whose value may begin as options do.
const FREE: [&str; 5] = ["append", "kernel", "initrd", "dtb", "bios"];
/// Options without a value (those without `HAS_ARG` in qemu-options.hx).
const BARE: [&str; 20] = [
    "S",
    "daemonize",
    "enable-kvm",
    "full-screen",
    "h",
    "help",
    "mem-prealloc",
    "no-acpi",
    "no-fd-bootchk",
    "no-hpet",
    "no-reboot",
    "no-shutdown",
    "no-user-config",
    "nodefaults",
    "nographic",
    "only-migratable",
    "preconfig",
    "singlestep",
    "snapshot",
    "usb",
];
/// How deep keys may be nested (`file.driver=...`).
const DEPTH_MAX: usize = 16;

pub(super) fn facts(arguments: &[String]) -> VmFacts {
    let mut facts = VmFacts::default();
    let mut disks = Disks::default();
    let mut arguments = arguments.iter().peekable();
    while let Some(argument) = arguments.next() {
        let Some(name) = argument.strip_prefix('-') else {
            // A disk's image may stand alone.
            facts.disks.push(image(argument, None));
            continue;
        };
        let name = name.strip_prefix('-').unwrap_or(name);
        let free = FREE.contains(&name);
        if BARE.contains(&name) {
            continue;
        }
        let Some(value) = arguments.next_if(|next| free || !next.starts_with('-')) else {
            continue;
        };
        option(name, value, &mut facts, &mut disks);
    }
    disks.finish(&mut facts.disks);
    facts
}

fn option(name: &str, value: &str, facts: &mut VmFacts, disks: &mut Disks) {
    match name {
        "name" => replace(&mut facts.name, &keys(value, "guest"), "guest"),
        "machine" | "M" => {
            let told = keys(value, "type");
            for flash in ["pflash0", "pflash1"] {
                disks.firmware(text(&told, flash));
            }
            replace(&mut facts.machine, &told, "type");
        }
        "cpu" => replace(&mut facts.cpu_model, &keys(value, "model"), "model"),
        "smp" => {
            let told = keys(value, "cpus");
            let count = text(&told, "cpus").and_then(|count| count.parse().ok());
            facts.vcpus = count.or(facts.vcpus);
        }
        "m" => {
            let told = keys(value, "size");
            let size = text(&told, "size").and_then(|size| bytes(&size, 1 << 20));
            facts.memory_bytes = size.or(facts.memory_bytes);
        }
        "drive" => {
            let told = keys(value, "file");
            // Flash is where the firmware lies.
            if told["if"] != "pflash" {
                facts.disks.push(drive(&told));
            }
        }
        "hda" | "hdb" | "hdc" | "hdd" | "sd" | "mtdblock" | "fda" | "fdb" => {
            facts.disks.push(image(value, None));
        }
        "cdrom" => facts.disks.push(image(value, Some(true))),
        "blockdev" => disks.node(keys(value, "driver")),
        "device" => disks.device(&keys(value, "driver")),
        "netdev" | "nic" | "net" => {
            let told = keys(value, "type");
            let kind = text(&told, "type");
            // `-net nic` is the guest's side, and `none` is none.
            if kind
                .as_deref()
                .is_some_and(|kind| kind != "none" && kind != "nic")
            {
                facts.nets.push(net(&told, kind));
            }
        }
        _ => {}
    }
}

fn replace(of: &mut Option<String>, told: &Value, key: &str) {
    let told = text(told, key).filter(|told| !told.is_empty());
    *of = told.or(of.take());
}

fn image(path: &str, readonly: Option<bool>) -> Disk {
    Disk {
        path: Some(path.to_owned()),
        readonly,
        ..Disk::default()
    }
}

fn drive(told: &Value) -> Disk {
    Disk {
        id: text(told, "id"),
        path: text(told, "file").or_else(|| text(&told["file"], "filename")),
        format: text(told, "format").or_else(|| text(told, "driver")),
        cache: text(told, "cache").or_else(|| flags(&told["cache"])),
        aio: text(told, "aio"),
        readonly: switch(told, "readonly").or_else(|| switch(told, "read-only")),
    }
}

/// What `cache.direct` and `cache.no-flush` say, as it was said.
pub(super) fn flags(cache: &Value) -> Option<String> {
    let told = ["direct", "no-flush"].into_iter().filter_map(|key| {
        let word = if switch(cache, key)? { "on" } else { "off" };
        Some(format!("{key}={word}"))
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| told.join(","))
}

fn net(told: &Value, kind: Option<String>) -> Net {
    let fd = text(told, "fd").or_else(|| text(told, "fds"));
    Net {
        id: text(told, "id"),
        kind,
        ifname: text(told, "ifname"),
        vhost: switch(told, "vhost"),
        fd: fd.and_then(|fds| fds.split(':').next()?.parse().ok()),
    }
}

pub(super) fn text(told: &Value, key: &str) -> Option<String> {
    match &told[key] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

pub(super) fn switch(told: &Value, key: &str) -> Option<bool> {
    match &told[key] {
        Value::Bool(is) => Some(*is),
        Value::String(word) => on(word),
        _ => None,
    }
}

/// What an option says: JSON as it is, or `a=b,c.d=e` as the objects that it stands for, where the
/// first piece may go without its key.
fn keys(value: &str, first: &str) -> Value {
    if value.starts_with('{') {
        return serde_json::from_str(value).unwrap_or_default();
    }
    let mut told = Value::Object(Map::new());
    for (number, piece) in pieces(value).into_iter().enumerate() {
        match piece.split_once('=') {
            Some((key, value)) => put(&mut told, key, value),
            None if number == 0 => put(&mut told, first, &piece),
            // Older than `key=on`.
            None => match piece.strip_prefix("no") {
                Some(key) => put(&mut told, key, "off"),
                None => put(&mut told, &piece, "on"),
            },
        }
    }
    told
}

/// What commas separate; two of them are one that separates nothing.
fn pieces(value: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut characters = value.chars().peekable();
    while let Some(c) = characters.next() {
        if c == ',' && characters.next_if_eq(&',').is_none() {
            pieces.push(String::new());
        } else if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
    }
    pieces
}

fn put(told: &mut Value, key: &str, value: &str) {
    let mut at = told;
    let parts: Vec<&str> = key.splitn(DEPTH_MAX, '.').collect();
    for (number, part) in parts.iter().enumerate() {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        let Some(object) = at.as_object_mut() else {
            return;
        };
        if number + 1 == parts.len() {
            object.insert((*part).to_owned(), Value::String(value.to_owned()));
            return;
        }
        at = object.entry(*part).or_insert(Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::argv;
    use super::*;

    #[test]
    fn by_hand() {
        let line = "-name web-1,debug-threads=on -enable-kvm -M q35,accel=kvm -cpu host,+svm -smp 2 \
             -m 2G -drive if=none,id=d0,file=/var/d0.qcow2,format=qcow2,cache=none,aio=native \
             -device virtio-blk-pci,drive=d0 -cdrom /iso/a,,b.iso \
             -netdev tap,id=n0,ifname=tap0,script=no,vhost=on -device virtio-net-pci,netdev=n0 \
             -net nic -net none -append -name -nographic /plain.img";
        let facts = facts(&argv(line));
        assert_eq!(facts.name.as_deref(), Some("web-1"));
        assert_eq!(facts.machine.as_deref(), Some("q35"));
        assert_eq!(facts.cpu_model.as_deref(), Some("host"));
        assert_eq!((facts.vcpus, facts.memory_bytes), (Some(2), Some(2 << 30)));
        let d0 = &facts.disks[0];
        let words = [&d0.id, &d0.path, &d0.format, &d0.cache, &d0.aio];
        let words = words.map(|word| word.as_deref().unwrap());
        assert_eq!(words, ["d0", "/var/d0.qcow2", "qcow2", "none", "native"]);
        // Only lists of keys escape commas.
        assert_eq!(facts.disks[1].path.as_deref(), Some("/iso/a,,b.iso"));
        assert_eq!(facts.disks[2].path.as_deref(), Some("/plain.img"));
        assert_eq!(facts.disks.len(), 3);
        let [tap] = &facts.nets[..] else {
            panic!("{:?}", facts.nets)
        };
        assert_eq!(
            (tap.kind.as_deref(), tap.ifname.as_deref()),
            (Some("tap"), Some("tap0"))
        );
        assert_eq!(tap.vhost, Some(true));
    }

    #[test]
    fn by_libvirt() {
        let line = [
            "-name",
            "guest=web 1,debug-threads=on",
            "-object",
            r#"{"qom-type":"secret","id":"masterKey0","format":"raw","file":"/x"}"#,
            "-machine",
            "pc-q35-7.2,usb=off,dump-guest-core=off,memory-backend=pc.ram",
            "-machine",
            "pflash0=libvirt-pflash0-format",
            "-blockdev",
            r#"{"driver":"file","filename":"/usr/share/OVMF/OVMF_CODE.fd","node-name":"libvirt-pflash0-format"}"#,
            "-accel",
            "kvm",
            "-cpu",
            "EPYC-Rome,x2apic=on,tsc-deadline=on",
            "-m",
            "size=4194304k",
            "-overcommit",
            "mem-lock=off",
            "-smp",
            "4,sockets=4,cores=1,threads=1",
            "-uuid",
            "6d4ee9bd-7f77-4c09-8fb5-4f3f0f0b5f1e",
            "-blockdev",
            r#"{"driver":"file","filename":"/var/lib/libvirt/images/web.qcow2","aio":"native","node-name":"libvirt-1-storage","auto-read-only":true,"discard":"unmap","cache":{"direct":true,"no-flush":false}}"#,
            "-blockdev",
            r#"{"node-name":"libvirt-1-format","read-only":false,"discard":"unmap","cache":{"direct":true,"no-flush":false},"driver":"qcow2","file":"libvirt-1-storage"}"#,
            "-device",
            r#"{"driver":"virtio-blk-pci","bus":"pci.4","addr":"0x0","drive":"libvirt-1-format","id":"virtio-disk0","bootindex":1,"write-cache":"on"}"#,
            "-netdev",
            r#"{"type":"tap","fd":"29","vhost":true,"vhostfd":"31","id":"hostnet0"}"#,
            "-msg",
            "timestamp=on",
        ];
        let facts = facts(&line.map(str::to_owned));
        assert_eq!(facts.name.as_deref(), Some("web 1"));
        assert_eq!(facts.machine.as_deref(), Some("pc-q35-7.2"));
        assert_eq!(facts.cpu_model.as_deref(), Some("EPYC-Rome"));
        assert_eq!((facts.vcpus, facts.memory_bytes), (Some(4), Some(4 << 30)));
        let [disk] = &facts.disks[..] else {
            panic!("{:?}", facts.disks)
        };
        assert_eq!(disk.id.as_deref(), Some("libvirt-1-format"));
        assert_eq!(
            disk.path.as_deref(),
            Some("/var/lib/libvirt/images/web.qcow2")
        );
        assert_eq!(
            (disk.format.as_deref(), disk.readonly),
            (Some("qcow2"), Some(false))
        );
        assert_eq!(
            (disk.cache.as_deref(), disk.aio.as_deref()),
            (Some("none"), Some("native"))
        );
        let net = &facts.nets[0];
        assert_eq!(
            (net.fd, net.vhost, &net.ifname),
            (Some(29), Some(true), &None)
        );
    }

    #[test]
    fn what_is_not_told_is_not_known() {
        let told = facts(&argv(
            "-enable-kvm -smp sockets=2,cores=2 -machine accel=kvm -name debug-threads=on",
        ));
        assert_eq!(told, VmFacts::default());
        assert_eq!(facts(&argv("-smp maxcpus=8 --smp cpus=2")).vcpus, Some(2));
        assert_eq!(facts(&argv("-m")).memory_bytes, None);
        assert_eq!(facts(&argv("-nodefaults -blockdev {")).disks, []);
    }

    #[test]
    fn keys_with_dots_are_objects() {
        let told = keys(
            "driver=raw,file.driver=file,file.filename=/a,,b,cache.direct=on",
            "driver",
        );
        assert_eq!(text(&told["file"], "filename").as_deref(), Some("/a,b"));
        assert_eq!(flags(&told["cache"]).as_deref(), Some("direct=on"));
        let both = keys("a=1,a.b=2,a.b.c=3", "x");
        assert_eq!(text(&both["a"]["b"], "c").as_deref(), Some("3"));
        assert!(keys(&"a.".repeat(100_000), "x").is_object());
    }
}
