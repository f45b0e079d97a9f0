//! Whether there is a VM that was asked for.

use std::collections::BTreeSet;
use virtflow_query::View;

/// How many VMs of other names are told.
const OTHERS: usize = 8;

/// What the windows so far had of the VMs that `--vm` wants.
#[derive(Debug)]
pub(super) struct Wanted {
    vm: String,
    others: BTreeSet<String>,
    others_more: bool,
}

impl Wanted {
    /// Nothing, where all VMs are wanted.
    pub(super) fn new(vm: Option<&String>) -> Option<Self> {
        vm.map(|vm| Self {
            vm: vm.clone(),
            others: BTreeSet::new(),
            others_more: false,
        })
    }

    /// Takes a window; nothing is left to be said once there is one that is wanted.
    pub(super) fn look(wanted: &mut Option<Self>, view: &View) {
        if !view.vms.is_empty() {
            *wanted = None;
        }
        let Some(wanted) = wanted else { return };
        for other in &view.others {
            if wanted.others.len() < OTHERS {
                wanted.others.insert(other.clone());
            } else {
                wanted.others_more |= !wanted.others.contains(other);
            }
        }
    }

    /// That there was none, and which there are.
    pub(super) fn complaint(&self) -> String {
        let mut there: Vec<&str> = self.others.iter().map(String::as_str).collect();
        if there.is_empty() {
            there.push("no VM");
        } else if self.others_more {
            there.push("...");
        }
        let (vm, there) = (&self.vm, there.join(", "));
        format!("--vm {vm}: no such VM so far; seen: {there}")
    }
}
