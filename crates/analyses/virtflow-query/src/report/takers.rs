//! Who had the processor while somebody else wanted it.

use super::names::Names;
use crate::spread::sum_ns;
use crate::sums::Sums;
use serde::Serialize;
use virtflow_model::State;

/// Who had the processor while somebody else wanted it.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Taker {
    /// What it is.
    pub kind: TakerKind,
    /// Whom it worked for: a VM's label, or a thread's name and number.
    pub group: String,
    /// The key of that VM or thread; empty where nobody is named.
    pub group_key: String,
    /// The key of the very thread or virtual processor.
    pub key: String,
    /// Its name.
    pub label: String,
    /// How long it ran after it took the processor away.
    pub preempted_ns: i64,
    /// In how many stretches.
    pub preempted_count: u64,
    /// How long it ran while the other one, already woken, waited for its turn.
    pub runnable_ns: i64,
    /// In how many stretches.
    pub runnable_count: u64,
    /// How long it had the virtual processor that the other one, a process of its guest, wanted.
    pub ready_ns: i64,
    /// In how many stretches.
    pub ready_count: u64,
}

impl Taker {
    /// All together.
    pub fn total_ns(&self) -> i64 {
        sum_ns([self.preempted_ns, self.runnable_ns, self.ready_ns])
    }
}

/// What somebody who has a processor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum TakerKind {
    /// A virtual processor of a VM.
    Vcpu,
    /// Another thread that works for a VM: of its VMM, or vhost.
    VmHelper,
    /// Any other thread of the host.
    Thread,
    /// A virtual processor of a nested VM.
    NestedVcpu,
    /// A process of a guest.
    Process,
    /// The events do not tell.
    Unknown,
}

/// Who had the processor while the entity wanted it, longest first.
pub(super) fn takers(sums: Option<&Sums>, names: &Names<'_>) -> Vec<Taker> {
    let mut all: Vec<Taker> = Vec::new();
    for (state, by, total) in sums.into_iter().flat_map(Sums::by) {
        let who = names.who(by);
        let at = all
            .iter()
            .position(|t| t.key == who.key && t.kind == who.kind)
            .unwrap_or_else(|| {
                all.push(Taker {
                    kind: who.kind,
                    group: who.group,
                    group_key: who.group_key,
                    key: who.key,
                    label: who.label,
                    preempted_ns: 0,
                    preempted_count: 0,
                    runnable_ns: 0,
                    runnable_count: 0,
                    ready_ns: 0,
                    ready_count: 0,
                });
                all.len() - 1
            });
        let taker = &mut all[at];
        let (ns, count) = match state {
            State::Runnable => (&mut taker.runnable_ns, &mut taker.runnable_count),
            State::ReadyInGuest => (&mut taker.ready_ns, &mut taker.ready_count),
            _ => (&mut taker.preempted_ns, &mut taker.preempted_count),
        };
        *ns = ns.saturating_add(total.ns);
        *count += total.count;
    }
    all.sort_by(|a, b| {
        b.total_ns()
            .cmp(&a.total_ns())
            .then_with(|| a.key.cmp(&b.key))
    });
    all
}
