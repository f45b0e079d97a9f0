//! What exits cost, by reason and whatever else.

use crate::spread::{Precision, Spread};
use rustc_hash::FxHashMap;
use serde::Deserialize;
use virtflow_history::{ExitRecord, Store, StoreError};
use virtflow_model::{Kind, State};

/// Exits whose guest processes are looked up at once: what is held in memory.
const LOOKED_UP: usize = 1 << 18;

/// By what exits are told apart besides their reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExitsBy {
    /// Nothing else.
    Reason,
    /// The VM, or nested VM, that was left.
    Vm,
    /// The virtual processor, or nested one.
    #[default]
    Vcpu,
    /// The guest process that ran, or the guest's `kernel` or `idle` lane.
    Process,
}

/// What exits of one reason cost, of one group.
#[derive(Clone, Debug)]
pub struct ExitCosts {
    /// Of what: an entity; -1 where it is not known, or where nothing was told apart.
    pub who: i32,
    /// Whose codes: 1 VMX, 2 SVM, 0 not recorded.
    pub isa: u32,
    /// The hardware's code.
    pub reason: u32,
    /// A code of the model's `Cause`: the class.
    pub class: u8,
    /// Whether they were given on to the guest's hypervisor.
    pub reflected: bool,
    /// How many were entered again.
    pub count: u64,
    /// From exit to entry, in all.
    pub ns: i64,
    /// Of it in the kernel.
    pub kernel_ns: i64,
    /// Of it in the VMM.
    pub vmm_ns: i64,
    /// Of it off the processor.
    pub off_cpu_ns: i64,
    /// The median.
    pub p50_ns: i64,
    /// Of a hundred, 99 are not longer.
    pub p99_ns: i64,
    /// The longest.
    pub max_ns: i64,
    /// When it began.
    pub max_start_ns: i64,
    /// Of which virtual processor it was, or nested one.
    pub max_vcpu: u32,
    /// How many took from 2^i to 2^(i+1) nanoseconds, for each i.
    pub histogram: Vec<u64>,
}

impl ExitCosts {
    const fn new(exit: &ExitRecord, who: i32) -> Self {
        Self {
            who,
            isa: exit.isa,
            reason: exit.reason,
            class: exit.class,
            reflected: exit.reflected,
            count: 0,
            ns: 0,
            kernel_ns: 0,
            vmm_ns: 0,
            off_cpu_ns: 0,
            p50_ns: 0,
            p99_ns: 0,
            max_ns: -1,
            max_start_ns: 0,
            max_vcpu: 0,
            histogram: Vec::new(),
        }
    }

    fn add(&mut self, exit: &ExitRecord) {
        let ns = exit.end.saturating_sub(exit.start);
        self.count += 1;
        self.ns = self.ns.saturating_add(ns);
        self.kernel_ns = self.kernel_ns.saturating_add(exit.kernel_ns);
        self.vmm_ns = self.vmm_ns.saturating_add(exit.vmm_ns);
        self.off_cpu_ns = self.off_cpu_ns.saturating_add(exit.off_cpu_ns);
        if ns > self.max_ns {
            (self.max_ns, self.max_start_ns) = (ns, exit.start);
            self.max_vcpu = left(exit);
        }
        let place = ns.max(1).ilog2() as usize;
        if self.histogram.len() <= place {
            self.histogram.resize(place + 1, 0);
        }
        self.histogram[place] += 1;
    }
}

/// The virtual processor that was left: the nested one, if it was out of a nested guest.
fn left(exit: &ExitRecord) -> u32 {
    u32::try_from(exit.nested).unwrap_or(exit.vcpu)
}

/// Sums by reason and group.
#[derive(Default)]
struct Sums(FxHashMap<(i32, u32, u32, bool), (ExitCosts, Spread)>);

impl Sums {
    fn add(&mut self, exit: &ExitRecord, who: i32) {
        let key = (who, exit.isa, exit.reason, exit.reflected);
        let (costs, spread) = self
            .0
            .entry(key)
            .or_insert_with(|| (ExitCosts::new(exit, who), Spread::new(Precision::Coarse)));
        costs.add(exit);
        spread.add(exit.end.saturating_sub(exit.start));
    }

    fn finish(self) -> Vec<ExitCosts> {
        let finished = self.0.into_values().map(|(costs, spread)| ExitCosts {
            p50_ns: spread.quantile(0.5),
            p99_ns: spread.quantile(0.99),
            ..costs
        });
        let mut out: Vec<_> = finished.collect();
        out.sort_unstable_by_key(|c| {
            (std::cmp::Reverse(c.ns), c.who, c.isa, c.reason, c.reflected)
        });
        out
    }
}

/// What exits cost that began in a range; the dearest first.
pub fn exit_costs(
    store: &Store,
    vcpus: Option<&[u32]>,
    begin: i64,
    end: i64,
    by: ExitsBy,
) -> Result<Vec<ExitCosts>, StoreError> {
    let mut sums = Sums::default();
    if by == ExitsBy::Process {
        by_process(store, vcpus, begin, end, &mut sums)?;
        return Ok(sums.finish());
    }
    let number = |entity: u32| i32::try_from(entity).unwrap_or(-1);
    store.exits(vcpus, begin, end, |exit| {
        if exit.entered_again {
            let who = match by {
                ExitsBy::Reason | ExitsBy::Process => -1,
                ExitsBy::Vm => {
                    let entity = store.entities().get(left(exit) as usize);
                    entity.and_then(|e| e.vm).map_or(-1, number)
                }
                ExitsBy::Vcpu => number(left(exit)),
            };
            sums.add(exit, who);
        }
    })?;
    Ok(sums.finish())
}

fn by_process(
    store: &Store,
    vcpus: Option<&[u32]>,
    begin: i64,
    end: i64,
    sums: &mut Sums,
) -> Result<(), StoreError> {
    let occupants = Occupants::of(store);
    let mut some: Vec<ExitRecord> = Vec::new();
    let mut failed = None;
    store.exits(vcpus, begin, end, |exit| {
        if exit.entered_again && failed.is_none() {
            some.push(*exit);
        }
        if some.len() >= LOOKED_UP {
            failed = occupants.each(store, &mut some, sums).err();
        }
    })?;
    match failed {
        Some(error) => Err(error),
        None => occupants.each(store, &mut some, sums),
    }
}

/// Who may have a virtual processor: guest processes by VM, and the guests' `kernel` and `idle` lanes.
struct Occupants(FxHashMap<u32, Vec<u32>>);

impl Occupants {
    fn of(store: &Store) -> Self {
        let mut by_vm: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        for entity in store.entities() {
            if entity.kind == Kind::Process.code()
                && let Some(vm) = entity.vm
            {
                by_vm.entry(vm).or_default().push(entity.entity);
            }
        }
        Self(by_vm)
    }

    /// Adds the exits to the sums of who had the virtual processor when it was left.
    fn each(
        &self,
        store: &Store,
        exits: &mut Vec<ExitRecord>,
        sums: &mut Sums,
    ) -> Result<(), StoreError> {
        exits.sort_unstable_by_key(|exit| (left(exit), exit.start));
        let begin = exits.iter().map(|e| e.start).min().unwrap_or(0);
        let end = exits.iter().map(|e| e.start).max().unwrap_or(0);
        let guests: FxHashMap<(u32, i32), u32> = exits
            .iter()
            .map(left)
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .filter_map(|vcpu| {
                let entity = store.entities().get(vcpu as usize)?;
                let number = i32::try_from(entity.vcpu?).ok()?;
                Some(((entity.vm?, number), vcpu))
            })
            .collect();
        let processes: Vec<u32> = guests
            .keys()
            .filter_map(|(vm, _)| self.0.get(vm))
            .flatten()
            .copied()
            .collect();
        // By virtual processor and time: who had it.
        let mut had: Vec<(u32, i64, i64, u32)> = Vec::new();
        store.each_interval(&processes, begin, end.saturating_add(1), |piece| {
            let vm = store
                .entities()
                .get(piece.lane.entity as usize)
                .and_then(|e| e.vm);
            let vcpu = vm.and_then(|vm| guests.get(&(vm, piece.lane.vcpu)));
            if let Some(&vcpu) = vcpu
                && has_it(store.doing(piece.doing).state)
            {
                had.push((vcpu, piece.start, piece.end, piece.lane.entity));
            }
        })?;
        had.sort_unstable();
        let mut at = 0;
        for exit in exits.drain(..) {
            let place = (left(&exit), exit.start);
            while had
                .get(at)
                .is_some_and(|&(vcpu, _, until, _)| (vcpu, until) <= place)
            {
                at += 1;
            }
            let who = had
                .get(at)
                .filter(|&&(vcpu, from, _, _)| vcpu == place.0 && from <= place.1)
                .map_or(-1, |&(_, _, _, process)| {
                    i32::try_from(process).unwrap_or(-1)
                });
            sums.add(&exit, who);
        }
        Ok(())
    }
}

/// Whether a lane of a guest process that is in this state has the virtual processor.
fn has_it(state: u8) -> bool {
    matches!(
        State::from_code(state),
        Some(
            State::RunUser
                | State::RunKernel
                | State::RunHypervisor
                | State::PreemptedOnHost
                | State::Idle
        )
    )
}
