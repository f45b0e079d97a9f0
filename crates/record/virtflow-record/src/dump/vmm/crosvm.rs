//! crosvm (`crosvm run --help`; its book: "Block", "Network", "Options and configuration files").

use super::options::{Keys, bytes, options};
use super::{Disk, Net, VmFacts};

pub(super) fn facts(arguments: &[String]) -> VmFacts {
    let mut facts = VmFacts::default();
    // Of its commands only `run` makes a VM; options of the program itself may come before.
    let Some(run) = arguments.iter().position(|argument| argument == "run") else {
        return facts;
    };
    let arguments = arguments.get(run + 1..).unwrap_or_default();
    let mut vhost = None;
    for (name, values) in options(arguments, &["params", "p"]) {
        let Some(value) = values.first() else {
            if name == "vhost-net" {
                vhost = Some(true);
            }
            continue;
        };
        let keys = Keys::new(value);
        match name {
            "name" => facts.name = Some((*value).to_owned()),
            "cpus" | "c" => {
                let count = keys.get("num-cores").or(keys.first());
                facts.vcpus = count.and_then(|count| count.parse().ok());
            }
            "mem" | "m" => {
                let size = keys.get("size").or(keys.first());
                facts.memory_bytes = size.and_then(|size| bytes(size, 1 << 20));
            }
            "block" | "b" | "rwdisk" => facts.disks.push(disk(&keys, None)),
            "disk" | "d" | "root" => facts.disks.push(disk(&keys, Some(true))),
            "rwroot" => facts.disks.push(disk(&keys, Some(false))),
            "net" => facts.nets.push(net(&keys)),
            "tap-name" => facts.nets.push(tap(Some((*value).to_owned()), None)),
            "tap-fd" => facts.nets.push(tap(None, value.parse().ok())),
            "vhost-net" => vhost = Some(true),
            _ => {}
        }
    }
    for net in &mut facts.nets {
        net.vhost = net.vhost.or(vhost);
    }
    facts
}

fn disk(keys: &Keys<'_>, readonly: Option<bool>) -> Disk {
    let direct = keys.switch("direct").or_else(|| keys.switch("o_direct"));
    Disk {
        id: keys.text("id"),
        path: keys
            .text("path")
            .or_else(|| keys.first().map(str::to_owned)),
        format: None,
        cache: direct.map(|direct| format!("direct={direct}")),
        aio: keys
            .text("async-executor")
            .or_else(|| keys.text("async_executor")),
        readonly: keys.switch("ro").or(readonly),
    }
}

fn net(keys: &Keys<'_>) -> Net {
    Net {
        vhost: keys
            .get("vhost-net")
            .and(Some(true))
            .or_else(|| keys.switch("vhost-net")),
        ..tap(
            keys.text("tap-name"),
            keys.get("tap-fd").and_then(|fd| fd.parse().ok()),
        )
    }
}

fn tap(ifname: Option<String>, fd: Option<u32>) -> Net {
    let told = ifname.is_some() || fd.is_some();
    Net {
        kind: told.then(|| "tap".to_owned()),
        ifname,
        fd,
        ..Net::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::argv;
    use super::*;

    #[test]
    fn a_usual_command_line() {
        let line = "--log-level info run --name web-1 --cpus num-cores=4 --mem size=2048 \
             --block path=/var/vm/root.img,ro,direct=true,async-executor=uring,id=root \
             --rwdisk /var/vm/data.img --net tap-name=crosvm_tap,vhost-net -p --name=no \
             --socket /run/crosvm.sock /boot/vmlinux";
        let facts = facts(&argv(line));
        assert_eq!(facts.name.as_deref(), Some("web-1"));
        assert_eq!((facts.vcpus, facts.memory_bytes), (Some(4), Some(2 << 30)));
        let [root, data] = &facts.disks[..] else {
            panic!("{:?}", facts.disks)
        };
        assert_eq!(root.path.as_deref(), Some("/var/vm/root.img"));
        assert_eq!(root.aio.as_deref(), Some("uring"));
        assert_eq!(
            (root.readonly, root.cache.as_deref()),
            (Some(true), Some("direct=true"))
        );
        assert_eq!(
            (data.path.as_deref(), data.readonly),
            (Some("/var/vm/data.img"), None)
        );
        let net = &facts.nets[0];
        assert_eq!(
            (net.ifname.as_deref(), net.vhost),
            (Some("crosvm_tap"), Some(true))
        );
    }

    #[test]
    fn the_older_options_and_other_commands() {
        let old = facts(&argv(
            "run -c 2 -m 512 --root /r.img --tap-name t0 --vhost-net /vmlinux",
        ));
        assert_eq!((old.vcpus, old.memory_bytes), (Some(2), Some(512 << 20)));
        assert_eq!(old.disks[0].readonly, Some(true));
        // What stands behind an option without a value is taken for its value.
        assert_eq!(old.nets[0].vhost, Some(true));
        assert_eq!(facts(&argv("stop --name x /run/s")), VmFacts::default());
    }
}
