//! What VMs are called: by their VMM's command line where a dump tells it, else by its thread.

use crate::model::Model;
use rustc_hash::FxHashMap;
use virtflow_base::{Sink, Tid};
use virtflow_events::{Comm, Text};

/// How many names are kept of processes that have not entered a guest.
const NAMES_MAX: usize = 1 << 14;

/// Names of VMs by the process that runs each.
#[derive(Debug, Default)]
pub(crate) struct VmNames(FxHashMap<Tid, Text<48>>);

impl VmNames {
    /// A process has ended, and another may get its number.
    pub(crate) fn forget(&mut self, pid: Tid) {
        self.0.remove(&pid);
    }
}

impl<S: Sink> Model<S> {
    /// A dump tells what the VM of a process is called.
    pub(crate) fn vm_is_called(&mut self, pid: Tid, name: Text<48>) {
        if name.is_empty() || self.vm_names.0.len() >= NAMES_MAX {
            return;
        }
        self.vm_names.0.insert(pid, name);
        let Some(&vm) = self.vm_by_pid.get(&pid) else {
            return;
        };
        let label = self.vm_label(pid, &Comm::default());
        let entity = &mut self.vms[vm.0].entity;
        if entity.label != label {
            entity.label = label;
            self.sink.entity(entity);
        }
    }

    /// Its name, with the process where another VM has the same; of a VM without a name that of
    /// its process's first thread, `comm`, with the process.
    pub(crate) fn vm_label(&self, pid: Tid, comm: &Comm) -> Vec<u8> {
        let with_pid = |name: &[u8]| {
            let name = String::from_utf8_lossy(name);
            format!("{name}:{pid}").into_bytes()
        };
        let Some(name) = self.vm_names.0.get(&pid) else {
            let comm = comm.as_bytes();
            return with_pid(if comm.is_empty() { b"vm" } else { comm });
        };
        let vms = self.vms.places().map(|at| &self.vms[at]);
        let mut others = vms.filter(|vm| vm.entity.pid != Some(pid.0));
        if others.any(|vm| vm.entity.label == name.as_bytes()) {
            return with_pid(name.as_bytes());
        }
        name.as_bytes().to_vec()
    }
}
