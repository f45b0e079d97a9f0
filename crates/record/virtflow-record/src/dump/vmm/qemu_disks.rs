//! QEMU's disks as trees of nodes (`-blockdev`): a format over a file, under a device.

use super::qemu::{flags, switch, text};
use super::{DEVICES_MAX, Disk};
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// How many nodes may lie over one another.
const DEPTH_MAX: usize = 8;

/// Nodes, and devices that say whether their writes are cached.
#[derive(Default)]
pub(super) struct Disks {
    nodes: Vec<Value>,
    /// Nodes that are the firmware's flash.
    firmware: Vec<String>,
    write_caches: HashMap<String, bool>,
}

impl Disks {
    pub(super) fn node(&mut self, told: Value) {
        if told.is_object() && self.nodes.len() < 4 * DEVICES_MAX {
            self.nodes.push(told);
        }
    }

    pub(super) fn firmware(&mut self, node: Option<String>) {
        self.firmware.extend(node);
    }

    pub(super) fn device(&mut self, told: &Value) {
        if let (Some(drive), Some(cached)) = (text(told, "drive"), switch(told, "write-cache")) {
            self.write_caches.insert(drive, cached);
        }
    }

    /// Adds a disk for each node that no other lies over.
    pub(super) fn finish(&self, disks: &mut Vec<Disk>) {
        let named = |node: &Value| text(node, "node-name");
        let by_name: HashMap<String, &Value> = self
            .nodes
            .iter()
            .filter_map(|node| Some((named(node)?, node)))
            .collect();
        let below = self
            .nodes
            .iter()
            .flat_map(|node| ["file", "backing"].map(|key| text(node, key)));
        let below = below.flatten().chain(self.firmware.iter().cloned());
        let below: HashSet<String> = below.collect();
        let tops = self
            .nodes
            .iter()
            .filter(|node| named(node).is_none_or(|name| !below.contains(&name)));
        disks.extend(tops.map(|node| self.disk(node, &by_name)));
    }

    fn disk(&self, top: &Value, by_name: &HashMap<String, &Value>) -> Disk {
        let mut disk = Disk {
            id: text(top, "node-name"),
            readonly: switch(top, "read-only"),
            ..Disk::default()
        };
        let mut at = Some(top);
        let mut cache = None;
        for _ in 0..DEPTH_MAX {
            let Some(node) = at else { break };
            let below = match &node["file"] {
                Value::String(name) => by_name.get(name).copied(),
                nested @ Value::Object(_) => Some(nested),
                _ => None,
            };
            disk.path = disk.path.or_else(|| text(node, "filename"));
            disk.aio = disk.aio.or_else(|| text(node, "aio"));
            if below.is_some() || node.get("filename").is_none() {
                disk.format = disk.format.or_else(|| text(node, "driver"));
            }
            if node["cache"].is_object() {
                cache = Some(&node["cache"]);
            }
            at = below;
        }
        let write_cache = disk.id.as_ref().and_then(|id| self.write_caches.get(id));
        disk.cache = cache.and_then(|cache| mode(cache, write_cache.copied()));
        disk
    }
}

/// The cache mode by its name where all that makes it is told (the table at `cache=` in
/// qemu-options.hx), or what is told.
fn mode(cache: &Value, write_cache: Option<bool>) -> Option<String> {
    let told = (
        write_cache,
        switch(cache, "direct"),
        switch(cache, "no-flush"),
    );
    let name = match told {
        (Some(true), Some(false), Some(false)) => "writeback",
        (Some(true), Some(true), Some(false)) => "none",
        (Some(false), Some(false), Some(false)) => "writethrough",
        (Some(false), Some(true), Some(false)) => "directsync",
        (Some(true), Some(false), Some(true)) => "unsafe",
        _ => return flags(cache),
    };
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_backing_file_is_part_of_its_disk() {
        let mut disks = Disks::default();
        disks.node(json!({"driver": "file", "filename": "/base", "node-name": "s2"}));
        disks.node(json!({"driver": "qcow2", "file": "s2", "node-name": "f2", "read-only": true}));
        disks.node(json!({"driver": "host_device", "filename": "/dev/vg/web", "node-name": "s1"}));
        disks.node(
            json!({"driver": "qcow2", "file": "s1", "backing": "f2", "node-name": "f1",
            "cache": {"direct": true}}),
        );
        disks.node(json!({"driver": "raw", "node-name": "n",
            "file": {"driver": "nbd", "filename": "/n", "aio": "io_uring"}}));
        let mut found = Vec::new();
        disks.finish(&mut found);
        let paths: Vec<_> = found
            .iter()
            .map(|disk| disk.path.as_deref().unwrap())
            .collect();
        assert_eq!(paths, ["/dev/vg/web", "/n"]);
        let [web, n] = &found[..] else { panic!() };
        assert_eq!(
            (web.format.as_deref(), web.cache.as_deref()),
            (Some("qcow2"), Some("direct=on"))
        );
        assert_eq!(
            (n.format.as_deref(), n.aio.as_deref()),
            (Some("raw"), Some("io_uring"))
        );
    }
}
