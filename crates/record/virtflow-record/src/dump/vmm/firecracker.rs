//! Firecracker (docs/getting-started.md, docs/jailer.md; the configuration file is that of the API,
//! src/firecracker/swagger/firecracker.yaml).

use super::options::options;
use super::{Disk, Net, VmFacts};
use serde_json::Value;

pub(super) fn facts(arguments: &[String]) -> VmFacts {
    let mut facts = VmFacts::default();
    for (name, values) in options(arguments, &[]) {
        let value = values.first().map(|value| (*value).to_owned());
        match name {
            "id" => facts.name = value,
            "config-file" => facts.config_file = value,
            _ => {}
        }
    }
    facts
}

/// Adds what the configuration file tells; of one that cannot be read, nothing.
pub(super) fn read_config(facts: &mut VmFacts, text: &[u8]) {
    let Ok(config) = serde_json::from_slice::<Value>(text) else {
        return;
    };
    let machine = &config["machine-config"];
    let count = machine["vcpu_count"].as_u64();
    facts.vcpus = count.and_then(|count| u32::try_from(count).ok());
    let size = machine["mem_size_mib"].as_u64();
    facts.memory_bytes = size.and_then(|size| size.checked_mul(1 << 20));
    facts.cpu_model = word(&machine["cpu_template"]);
    let all = |key: &str| config[key].as_array().cloned().unwrap_or_default();
    facts.disks.extend(all("drives").iter().map(|drive| Disk {
        id: word(&drive["drive_id"]),
        path: word(&drive["path_on_host"]).or_else(|| word(&drive["socket"])),
        format: None,
        cache: word(&drive["cache_type"]),
        aio: word(&drive["io_engine"]),
        readonly: drive["is_read_only"].as_bool(),
    }));
    facts
        .nets
        .extend(all("network-interfaces").iter().map(|net| Net {
            id: word(&net["iface_id"]),
            kind: word(&net["host_dev_name"]).map(|_| "tap".to_owned()),
            ifname: word(&net["host_dev_name"]),
            vhost: None,
            fd: None,
        }));
}

fn word(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::options::argv;
    use super::*;

    #[test]
    fn with_and_without_a_jailer() {
        let told = facts(&argv(
            "--api-sock /tmp/fc.socket --id web-1 --config-file vm.json",
        ));
        assert_eq!(told.name.as_deref(), Some("web-1"));
        assert_eq!(told.config_file.as_deref(), Some("vm.json"));
        let jailed = facts(&argv(
            "--id=551e7604-e35c-42b3 --start-time-us=17 --parent-cpu-time-us 4",
        ));
        assert_eq!(jailed.name.as_deref(), Some("551e7604-e35c-42b3"));
        assert_eq!((jailed.vcpus, jailed.config_file), (None, None));
        assert_eq!(facts(&argv("--api-sock /tmp/fc.socket --id")).name, None);
    }

    #[test]
    fn its_configuration() {
        let text = br#"{
            "boot-source": {"kernel_image_path": "vmlinux"},
            "drives": [{"drive_id": "rootfs", "path_on_host": "ubuntu.ext4", "is_root_device": true,
                        "is_read_only": false, "cache_type": "Unsafe", "io_engine": "Async"}],
            "machine-config": {"vcpu_count": 2, "mem_size_mib": 1024, "cpu_template": "T2"},
            "network-interfaces": [{"iface_id": "eth0", "guest_mac": "06:00:AC:10:00:02",
                                    "host_dev_name": "tap0"}]}"#;
        let mut facts = VmFacts::default();
        facts.read_config(text);
        assert_eq!((facts.vcpus, facts.memory_bytes), (Some(2), Some(1 << 30)));
        assert_eq!(facts.cpu_model.as_deref(), Some("T2"));
        let disk = &facts.disks[0];
        assert_eq!(disk.cache.as_deref(), Some("Unsafe"));
        assert_eq!(
            (disk.aio.as_deref(), disk.readonly),
            (Some("Async"), Some(false))
        );
        assert_eq!(facts.nets[0].ifname.as_deref(), Some("tap0"));
        let mut none = VmFacts::default();
        none.read_config(&text[..text.len() - 1]);
        none.read_config(br#"{"drives": 7, "machine-config": [1]}"#);
        assert_eq!(none, VmFacts::default());
    }
}
