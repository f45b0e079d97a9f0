//! What to call an entity in a sentence, and which virtual processor a host thread is.

use rustc_hash::FxHashMap;
use virtflow_history::{EntityRecord, Store};
use virtflow_model::Kind;

/// Names for entities.
#[derive(Debug)]
pub struct Who<'a> {
    store: &'a Store,
    /// Virtual processors by machine and host thread.
    vcpus: FxHashMap<(u32, i32), u32>,
}

impl<'a> Who<'a> {
    /// Of this store.
    pub fn new(store: &'a Store) -> Self {
        let all = store.entities().iter();
        let vcpus = all
            .filter(|e| e.kind == Kind::Vcpu.code())
            .filter_map(|e| Some(((e.machine, e.tid?), e.entity)));
        Self {
            store,
            vcpus: vcpus.collect(),
        }
    }

    fn get(&self, entity: u32) -> Option<&'a EntityRecord> {
        self.store.entities().get(entity as usize)
    }

    /// The virtual processor that a thread is; any other entity is itself.
    pub fn resolve(&self, entity: i32) -> i32 {
        let thread = u32::try_from(entity).ok().and_then(|e| self.get(e));
        let vcpu = thread
            .filter(|e| e.kind == Kind::Thread.code())
            .and_then(|e| self.vcpus.get(&(e.machine, e.tid?)));
        vcpu.and_then(|&v| i32::try_from(v).ok()).unwrap_or(entity)
    }

    /// The virtual machine that an entity is, or is of.
    pub(super) fn vm_of(&self, entity: u32) -> Option<u32> {
        let record = self.get(entity)?;
        if matches!(
            Kind::from_code(record.kind),
            Some(Kind::Vm | Kind::NestedVm)
        ) {
            return Some(entity);
        }
        record.vm
    }

    /// What its machine is called, where there are several.
    pub fn machine(&self, entity: u32) -> Option<&'a str> {
        let all = &self.store.manifest().machines;
        let number = self.get(entity).filter(|_| all.len() > 1)?.machine;
        let machine = all.iter().find(|machine| machine.number == number)?;
        Some(&machine.name)
    }

    /// What to call it, and where it is if there are several machines.
    pub fn name(&self, entity: u32) -> String {
        let name = self.own_name(entity);
        match self.machine(entity) {
            Some(machine) => format!("{name} on {machine}"),
            None => name,
        }
    }

    /// What to call it on its machine.
    pub fn own_name(&self, entity: u32) -> String {
        let Some(record) = self.get(entity) else {
            return "nobody".to_owned();
        };
        let label = record.label.clone();
        let label = if label.is_empty() {
            record.key.clone()
        } else {
            label
        };
        let of = |vm: Option<u32>| {
            vm.filter(|&vm| vm != entity)
                .map_or_else(String::new, |vm| format!(" of {}", self.own_name(vm)))
        };
        let vcpu = record.vcpu.map_or_else(String::new, |v| format!(" {v}"));
        match Kind::from_code(record.kind) {
            Some(Kind::Vcpu) => format!("vCPU{vcpu}{}", of(record.vm)),
            Some(Kind::NestedVcpu) => format!("the vCPU{}", of(record.vm)),
            Some(Kind::NestedVm) => {
                // Its label begins with that of the VM around it.
                let own = label.rsplit('/').next().unwrap_or_default();
                format!("nested VM {own}{}", of(record.parent))
            }
            // One of a virtual processor: what is left of its time.
            Some(Kind::Process) if record.vcpu.is_some() => {
                format!("{label}, vCPU{vcpu}{}", of(record.vm))
            }
            Some(Kind::Process) => format!("process {label}{}", of(record.vm)),
            Some(Kind::Thread) => match record.tid {
                Some(tid) if !label.ends_with(&format!(":{tid}")) => format!("{label}:{tid}"),
                _ => label,
            },
            Some(Kind::Cpu) => format!("CPU {}", record.key.trim_start_matches("cpu:")),
            _ => label,
        }
    }
}
