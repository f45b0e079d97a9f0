//! Cloud Hypervisor (its docs/: `cpu.md`, `memory.md`, `device_model.md`; `cloud-hypervisor
//! --help`). VMs have no names there.

use super::options::{Keys, bytes, options};
use super::{Disk, Net, VmFacts};

pub(super) fn facts(arguments: &[String]) -> VmFacts {
    let mut facts = VmFacts::default();
    for (name, values) in options(arguments, &["cmdline"]) {
        let keys = || values.iter().map(|value| Keys::new(value));
        match name {
            "cpus" => {
                for keys in keys() {
                    let count = keys.get("boot").or(keys.first());
                    facts.vcpus = count.and_then(|count| count.parse().ok());
                }
            }
            "memory" => {
                let size = keys().find_map(|keys| keys.get("size"));
                facts.memory_bytes = size.and_then(|size| bytes(size, 1));
            }
            "disk" => facts.disks.extend(keys().map(|keys| disk(&keys))),
            "net" => facts.nets.extend(keys().map(|keys| net(&keys))),
            _ => {}
        }
    }
    facts
}

fn disk(keys: &Keys<'_>) -> Disk {
    Disk {
        id: keys.text("id"),
        path: keys.text("path").or_else(|| keys.text("socket")),
        format: keys.text("image_type"),
        cache: keys.get("direct").map(|direct| format!("direct={direct}")),
        aio: None,
        readonly: keys.switch("readonly"),
    }
}

fn net(keys: &Keys<'_>) -> Net {
    let user = keys.switch("vhost_user");
    let fd = keys.get("fd").map(|fds| fds.trim_matches(['[', ']']));
    let tap = keys.get("tap").is_some() || fd.is_some();
    let kind = match user {
        Some(true) => Some("vhost-user"),
        _ if tap => Some("tap"),
        _ => None,
    };
    Net {
        id: keys.text("id"),
        kind: kind.map(str::to_owned),
        ifname: keys.text("tap"),
        vhost: None,
        fd: fd.and_then(|fds| fds.split(',').next()?.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::argv;
    use super::*;

    #[test]
    fn a_usual_command_line() {
        let line = "--kernel ./vmlinux --cmdline console=hvc0 --disk path=/var/lib/vm/root.raw,\
             readonly=on,direct=on,id=root path=/var/lib/vm/seed.img --cpus boot=2,max=8 \
             --memory size=1024M,shared=on --net tap=vmtap0,mac=52:54:00:02:d9:01,id=n0 \
             fd=[7,8],mac= vhost_user=true,socket=/run/vu.sock --api-socket path=/run/ch.sock --rng";
        let facts = facts(&argv(line));
        assert_eq!((facts.vcpus, facts.memory_bytes), (Some(2), Some(1 << 30)));
        assert_eq!(
            (facts.name, facts.machine, facts.cpu_model),
            (None, None, None)
        );
        let [root, seed] = &facts.disks[..] else {
            panic!("{:?}", facts.disks)
        };
        assert_eq!(root.path.as_deref(), Some("/var/lib/vm/root.raw"));
        assert_eq!(root.cache.as_deref(), Some("direct=on"));
        assert_eq!((root.readonly, seed.readonly), (Some(true), None));
        assert_eq!(seed.cache, None);
        let kinds: Vec<_> = facts
            .nets
            .iter()
            .filter_map(|net| net.kind.as_deref())
            .collect();
        assert_eq!(kinds, ["tap", "tap", "vhost-user"]);
        assert_eq!(facts.nets[0].ifname.as_deref(), Some("vmtap0"));
        assert_eq!(facts.nets[1].fd, Some(7));
    }

    #[test]
    fn what_is_set_over_its_socket_is_not_told() {
        let facts = facts(&argv("--api-socket /run/ch.sock"));
        assert_eq!(facts, VmFacts::default());
    }
}
