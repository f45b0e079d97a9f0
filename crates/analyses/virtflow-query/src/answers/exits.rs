//! What exits cost.

use crate::spread::{Precision, Spread};
use rustc_hash::FxHashMap;
use virtflow_history::{ExitRecord, Store, StoreError};

/// What exits of one reason cost one virtual processor.
#[derive(Clone, Debug)]
pub struct ExitCosts {
    /// The virtual processor.
    pub vcpu: u32,
    /// The nested one that ran, or -1.
    pub nested: i32,
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
    /// How many took from 2^i to 2^(i+1) nanoseconds, for each i.
    pub histogram: Vec<u64>,
}

impl ExitCosts {
    const fn new(exit: &ExitRecord) -> Self {
        Self {
            vcpu: exit.vcpu,
            nested: exit.nested,
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
        }
        let place = ns.max(1).ilog2() as usize;
        if self.histogram.len() <= place {
            self.histogram.resize(place + 1, 0);
        }
        self.histogram[place] += 1;
    }
}

/// What exits cost that began in a range, by virtual processor and reason; the dearest first.
pub fn exit_costs(
    store: &Store,
    vcpus: Option<&[u32]>,
    begin: i64,
    end: i64,
) -> Result<Vec<ExitCosts>, StoreError> {
    type Key = (u32, i32, u32, u32, bool);
    let mut sums: FxHashMap<Key, (ExitCosts, Spread)> = FxHashMap::default();
    store.exits(vcpus, begin, end, |exit| {
        if !exit.entered_again {
            return;
        }
        let key = (
            exit.vcpu,
            exit.nested,
            exit.isa,
            exit.reason,
            exit.reflected,
        );
        let (costs, spread) = sums
            .entry(key)
            .or_insert_with(|| (ExitCosts::new(exit), Spread::new(Precision::Coarse)));
        costs.add(exit);
        spread.add(exit.end.saturating_sub(exit.start));
    })?;
    let finished = sums.into_values().map(|(costs, spread)| ExitCosts {
        p50_ns: spread.quantile(0.5),
        p99_ns: spread.quantile(0.99),
        ..costs
    });
    let mut out: Vec<_> = finished.collect();
    out.sort_unstable_by_key(|c| (std::cmp::Reverse(c.ns), c.vcpu, c.nested, c.reason));
    Ok(out)
}
