//! Who is who: threads that are virtual processors, threads that work for a VM, all others.

use super::takers::TakerKind;
use crate::budgets::Budgets;
use rustc_hash::FxHashMap;
use virtflow_base::{Entity, EntityId, text};
use virtflow_model::Kind;

/// Linux calls the threads that serve a VM's virtio devices after the VMM's process.
const VHOST: &str = "vhost-";

/// The process that a host thread works for: its own, or the VMM whose devices it serves.
pub(crate) fn works_for(label: &str, pid: Option<i32>) -> Option<i32> {
    let vhost = label.strip_prefix(VHOST).and_then(|pid| pid.parse().ok());
    vhost.or(pid)
}

/// The entities of one machine and what is known about them together.
pub(super) struct Names<'a> {
    pub(super) budgets: &'a Budgets,
    /// VMs by the VMM's process.
    vm_by_pid: FxHashMap<i32, EntityId>,
    /// Virtual processors by VMM process and host thread.
    vcpu_by_tid: FxHashMap<(i32, i32), EntityId>,
}

/// Who somebody is and whom it works for.
pub(super) struct Who {
    pub(super) kind: TakerKind,
    pub(super) group: String,
    pub(super) group_key: String,
    pub(super) key: String,
    pub(super) label: String,
}

impl<'a> Names<'a> {
    pub(super) fn new(budgets: &'a Budgets) -> Self {
        let mut vm_by_pid = FxHashMap::default();
        let mut vcpu_by_tid = FxHashMap::default();
        for entity in budgets.entities() {
            match (Kind::from_code(entity.kind), entity.pid, entity.tid) {
                (Some(Kind::Vm), Some(pid), _) => {
                    vm_by_pid.insert(pid, entity.id);
                }
                (Some(Kind::Vcpu), Some(pid), Some(tid)) => {
                    vcpu_by_tid.insert((pid, tid), entity.id);
                }
                _ => {}
            }
        }
        Self {
            budgets,
            vm_by_pid,
            vcpu_by_tid,
        }
    }

    /// All entities of one kind.
    pub(super) fn of(&self, kind: Kind) -> impl Iterator<Item = &'a Entity> {
        self.budgets
            .entities()
            .filter(move |e| e.kind == kind.code())
    }

    /// The entities of one kind that belong to a VM, nested or not, but not to one nested in it.
    pub(super) fn in_vm(&self, kind: Kind, vm: EntityId) -> impl Iterator<Item = &'a Entity> {
        self.of(kind).filter(move |e| e.vm == Some(vm))
    }

    /// The VM that a host thread works for without being one of its virtual processors.
    fn helped_by(&self, thread: &Entity) -> Option<&'a Entity> {
        let pid = works_for(&String::from_utf8_lossy(&thread.label), thread.pid)?;
        self.budgets.entity(*self.vm_by_pid.get(&pid)?)
    }

    /// The virtual processor that a host thread is.
    fn vcpu_of(&self, thread: &Entity) -> Option<&'a Entity> {
        let id = self.vcpu_by_tid.get(&(thread.pid?, thread.tid?))?;
        self.budgets.entity(*id)
    }

    fn vm_of(&self, entity: &Entity) -> Option<&'a Entity> {
        self.budgets.entity(entity.vm?)
    }

    pub(super) fn who(&self, id: Option<EntityId>) -> Who {
        let Some(entity) = id.and_then(|id| self.budgets.entity(id)) else {
            let nobody = String::new;
            return Who {
                kind: TakerKind::Unknown,
                group: nobody(),
                group_key: nobody(),
                key: nobody(),
                label: nobody(),
            };
        };
        let (kind, entity, group) = match Kind::from_code(entity.kind) {
            Some(Kind::Thread) => match (self.vcpu_of(entity), self.helped_by(entity)) {
                (Some(vcpu), _) => (TakerKind::Vcpu, vcpu, self.vm_of(vcpu)),
                (None, Some(vm)) => (TakerKind::VmHelper, entity, Some(vm)),
                (None, None) => (TakerKind::Thread, entity, None),
            },
            Some(Kind::Vcpu) => (TakerKind::Vcpu, entity, self.vm_of(entity)),
            Some(Kind::NestedVcpu) => (TakerKind::NestedVcpu, entity, self.vm_of(entity)),
            Some(Kind::Process) => (TakerKind::Process, entity, self.vm_of(entity)),
            _ => (TakerKind::Thread, entity, None),
        };
        let label = label(entity);
        let (group, group_key) = match group {
            Some(vm) => (text(&vm.label), vm.key.clone()),
            None => (label.clone(), entity.key.clone()),
        };
        Who {
            kind,
            group,
            group_key,
            key: entity.key.clone(),
            label,
        }
    }
}

/// What to call an entity: its label; host threads with their number.
pub(crate) fn label(entity: &Entity) -> String {
    let name = text(&entity.label);
    match (Kind::from_code(entity.kind), entity.tid) {
        (Some(Kind::Thread), Some(tid)) if name.is_empty() => format!("thread {tid}"),
        (Some(Kind::Thread), Some(tid)) => format!("{name}:{tid}"),
        (Some(Kind::Vcpu), _) => format!("vcpu {}", entity.vcpu.unwrap_or_default()),
        _ if name.is_empty() => entity.key.clone(),
        _ => name,
    }
}
