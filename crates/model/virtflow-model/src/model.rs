//! The machine: one host's state, moved on by one event at a time.

use crate::causes::Timers;
use crate::guest::stacks::GuestThread;
use crate::guest::{Guest, GuestCpu, Process};
use crate::host::counters::Devices;
use crate::host::followed::Recorded;
use crate::host::segments::Segments;
use crate::host::{Container, Cpu, CpuIx, Current, HOST_NAMESPACE, Thread, ThreadIx};
use crate::pool::Pool;
use crate::proved::Proved;
use crate::vm::{Vcpu, Vm, VmIx};
use crate::vm_names::VmNames;
use crate::vocab::{Cause, Evidence};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use virtflow_base::{CpuId, Entity, EntityId, LossKind, Sink, StreamCoverage, Tid, Timestamp};
use virtflow_events::{KernelEvent as K, KernelRecord};

/// The most processors a machine may have: beyond it a processor's number is not believed.
/// The kernel's own limit for x86 is 8192 (`CONFIG_NR_CPUS_RANGE_END`).
const CPUS_MAX: u32 = 1 << 14;

/// What can be chosen about an analysis.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Turn what is only likely into unknown.
    pub proved_only: bool,
    /// Tell each interrupt of each processor as a lane.
    pub interrupts: bool,
    /// Tell what is counted of processors, disks and network devices.
    pub counters: bool,
    /// How many TCP segments, sent or waking somebody, are noted for those who know other hosts;
    /// with `counters`.
    pub segments: usize,
    /// Whether the trace has a probe that tells the VMM's process right after an entry.
    pub entry_probed: bool,
    /// Whether no event of KVM's was recorded: vCPUs are then known by what their threads are called,
    /// or by what a dump says that they are.
    pub vcpus_named: bool,
    /// Whether the trace tells that a thread is moved to the queue of another processor: else one that
    /// waits and is not taken may wait elsewhere.
    pub migrations_told: bool,
    /// Of a recording of some threads rather than of processors: what tells when they run.
    pub followed: Option<Followed>,
}

/// What a recording of some threads tells of when they run. At least one of the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// `sched_switch`: that a thread loses its processor.
    pub traced: bool,
    /// [`K::ThreadSwitch`]: that it does, and that it gets one.
    pub both_ways: bool,
}

/// What the model counted about its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events taken.
    pub events: u64,
    /// Context switches that contradict who was thought to run: events that were lost unnoticed.
    pub contradictions: u64,
    /// Events of processors with impossible numbers, left out.
    pub impossible_cpus: u64,
    /// Entries whose vCPU number is not one: a tracer's mis-declared field, not believed.
    pub misdeclared_vcpu_ids: u64,
    /// vCPUs that came back from `KVM_RUN` and of which no entry or exit is told.
    pub unentered_vcpus: u64,
    /// vCPUs that are known by their threads' names or by a dump only: no event of KVM's was recorded.
    pub named_vcpus: u64,
    /// Waits whose cause two sources agree on, and on which they do not.
    pub causes_agreed: u64,
    /// See `causes_agreed`.
    pub causes_disagreed: u64,
}

/// A change of what the streams cover.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Bound {
    Begins,
    LossBegins,
    LossEnds,
    Ends,
}

/// The state machines of one host. Feed it the host's events in time order, then
/// [`finish`](Self::finish) it.
pub struct Model<S: Sink> {
    pub(crate) sink: Proved<S>,
    pub(crate) proved_only: bool,
    pub(crate) interrupts: bool,
    pub(crate) devices: Option<Devices>,
    pub(crate) segments: Segments,
    pub(crate) counts: Counts,
    /// The time of the latest event; time never runs backwards here.
    pub(crate) now: Timestamp,
    /// When the recording begins.
    pub(crate) begins: Timestamp,
    begun: bool,
    /// When every stream had begun: before it, what is not seen may have happened unseen.
    pub(crate) covered_from: Timestamp,
    /// The end of the latest loss.
    pub(crate) lost_until: Timestamp,
    /// The streams say what they cover: a processor of none is not recorded.
    pub(crate) coverage_told: bool,
    /// Whether a tracepoint told of a nested entry (`kvm_nested_vmenter`). While none did, levels
    /// are told by the guest hypervisor's own instructions: a tracer may describe events that
    /// never come.
    pub(crate) nested_traced: bool,
    /// Whether a probe tells of each entry whose it is.
    pub(crate) entry_probed: bool,
    /// Whether nothing but names and dumps tells of vCPUs.
    pub(crate) vcpus_named: bool,
    pub(crate) migrations_told: bool,
    /// Threads that were recorded, where whole processors were not.
    pub(crate) followed: Option<Recorded>,
    pub(crate) entities: u32,
    pub(crate) cpus: Vec<Cpu>,
    cpu_by_id: Vec<Option<CpuIx>>,
    pub(crate) threads: Pool<Thread>,
    pub(crate) thread_by_tid: FxHashMap<Tid, ThreadIx>,
    /// Containers by the number of their pid namespace, and the host's own number.
    pub(crate) containers: FxHashMap<u32, Container>,
    /// The namespaces of threads that were not heard of yet.
    pub(crate) unborn: FxHashMap<Tid, u32>,
    pub(crate) host_namespace: u32,
    pub(crate) vms: Pool<Vm>,
    pub(crate) vm_by_pid: FxHashMap<Tid, VmIx>,
    /// What VMMs call their VMs, by process.
    pub(crate) vm_names: VmNames,
    pub(crate) vcpus: Pool<Vcpu>,
    pub(crate) guests: Pool<Guest>,
    pub(crate) gcpus: Pool<GuestCpu>,
    pub(crate) processes: Pool<Process>,
    pub(crate) gthreads: Pool<GuestThread>,
    pub(crate) timers: Timers,
    bounds: VecDeque<(Timestamp, CpuId, Bound)>,
}

impl<S: Sink> Model<S> {
    /// A host of which nothing is known yet but what its streams cover.
    pub fn new(coverage: &[StreamCoverage], options: Options, sink: S) -> Self {
        let mut bounds = Vec::new();
        for stream in coverage {
            let (Some(cpu), Some(span)) = (stream.cpu, stream.span) else {
                continue;
            };
            bounds.push((span.start, cpu, Bound::Begins));
            bounds.push((span.end, cpu, Bound::Ends));
            for loss in &stream.losses {
                if loss.kind != LossKind::Events(0) && loss.span.start <= loss.span.end {
                    bounds.push((loss.span.start, cpu, Bound::LossBegins));
                    bounds.push((loss.span.end, cpu, Bound::LossEnds));
                }
            }
        }
        bounds.sort_by_key(|bound| bound.0);
        let begins = bounds.first().map_or(Timestamp::MIN, |bound| bound.0);
        let covered_from = bounds
            .iter()
            .filter(|bound| matches!(bound.2, Bound::Begins))
            .map(|bound| bound.0)
            .max()
            .unwrap_or(begins);
        Self {
            sink: Proved::new(sink, options.proved_only),
            counts: Counts::default(),
            proved_only: options.proved_only,
            interrupts: options.interrupts,
            // What devices did for threads that were not recorded is not seen.
            devices: (options.counters && options.followed.is_none()).then(Devices::default),
            segments: Segments::with_room_for(match options.followed {
                Some(_) => 0,
                None => options.segments,
            }),
            now: begins,
            begins,
            begun: false,
            covered_from,
            lost_until: Timestamp::MIN,
            coverage_told: !bounds.is_empty(),
            nested_traced: false,
            entry_probed: options.entry_probed,
            vcpus_named: options.vcpus_named,
            migrations_told: options.migrations_told,
            followed: options.followed.map(Recorded::new),
            entities: 0,
            cpus: Vec::new(),
            cpu_by_id: Vec::new(),
            threads: Pool::default(),
            thread_by_tid: FxHashMap::default(),
            containers: FxHashMap::default(),
            unborn: FxHashMap::default(),
            host_namespace: HOST_NAMESPACE,
            vms: Pool::default(),
            vm_by_pid: FxHashMap::default(),
            vm_names: VmNames::default(),
            vcpus: Pool::default(),
            guests: Pool::default(),
            gcpus: Pool::default(),
            processes: Pool::default(),
            gthreads: Pool::default(),
            timers: Timers::default(),
            bounds: bounds.into(),
        }
    }

    /// What was counted so far.
    pub const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Gives away what was noted of the host's segments.
    pub fn take_segments(&mut self) -> Segments {
        std::mem::take(&mut self.segments)
    }

    /// The sink, for what has been found so far.
    pub const fn sink(&self) -> &S {
        &self.sink.sink
    }

    /// The recording's first event is at `t`. Streams may begin long before, when the tracer made
    /// its buffers: nothing says that it recorded by then.
    pub fn begin(&mut self, t: Timestamp) {
        if !self.begun {
            self.begun = true;
            self.begins = self.begins.max(t);
            self.covered_from = self.covered_from.max(t);
            self.now = self.now.max(t);
        }
    }

    /// Takes the next event.
    pub fn event(&mut self, time: Timestamp, record: &KernelRecord) {
        self.begin(time);
        // What a trace tells beside its events is none of them.
        self.counts.events += u64::from(!matches!(record.event, K::ThreadTold { .. }));
        let t = time.max(self.now);
        self.cross_until(t);
        self.now = t;
        let Some(c) = self.cpu(record.cpu) else {
            self.counts.impossible_cpus += 1;
            return;
        };
        let cpu = &mut self.cpus[c.0];
        cpu.covered = true;
        let lossy = cpu.lossy;
        if lossy && !is_about_others(&record.event) {
            return;
        }
        if self.followed.is_some() {
            self.event_of_followed(t, c, record);
            return;
        }
        // Inside a loss it says nothing of who runs when the loss is over.
        if let Some(context) = record.context.filter(|_| !lossy) {
            self.in_context(t, c, context.tid, context.process());
        }
        self.dispatch(t, c, &record.event);
        if !is_told(&record.event) {
            self.cpus[c.0].heard = t;
        }
    }

    /// The event that comes was recorded by this thread.
    #[inline(never)]
    fn in_context(&mut self, t: Timestamp, c: CpuIx, tid: Tid, pid: Option<Tid>) {
        self.context_tid(t, c, tid);
        if let (Current::Thread(x), Some(pid)) = (self.cpus[c.0].current, pid)
            && self.threads[x.0].pid.is_none()
        {
            self.set_pid(x, pid);
        }
    }

    /// Takes a fact that holds from the beginning, whenever it was recorded: the tracer's dump of
    /// threads, processes and namespaces. Anything else is left alone.
    pub fn know(&mut self, record: &KernelRecord) {
        match record.event {
            K::StatedumpProcess {
                tid,
                pid,
                status,
                comm,
                ..
            } => self.statedump(tid, pid, status, &comm),
            K::ThreadTold { tid, pid, comm } => self.thread_told(tid, pid, &comm),
            K::StatedumpNamespace {
                tid,
                kind,
                inum,
                level,
            } => self.namespace(tid, kind, inum, level),
            K::StatedumpBlockDevice { dev, name } => self.disk_is_called(dev, name),
            K::StatedumpVm { pid, name } => self.vm_is_called(pid, name),
            K::StatedumpRole {
                tid,
                vm_pid,
                vcpu,
                role,
            } => self.has_role(tid, vm_pid, vcpu, &role),
            _ => {}
        }
    }

    /// The same, once for all who have few events.
    #[inline(never)]
    pub(crate) fn dispatch_seldom(&mut self, t: Timestamp, c: CpuIx, event: &K) {
        self.dispatch(t, c, event);
    }

    /// Inlined, and so is [`Self::kvm`]: each call of its own would cost a twentieth of all the model does.
    #[inline(always)]
    fn dispatch(&mut self, t: Timestamp, c: CpuIx, event: &K) {
        match *event {
            K::SchedSwitch { .. } => self.sched_switch(t, c, event),
            K::SchedWaking {
                tid,
                target_cpu,
                comm,
            } => self.waking(t, c, tid, target_cpu, &comm),
            K::SchedWakeup {
                tid,
                target_cpu,
                comm,
            } => self.woken(t, c, tid, target_cpu, &comm),
            K::SchedWakeupNew {
                tid,
                target_cpu,
                comm,
            } => self.woken(t, c, tid, target_cpu, &comm),
            K::SchedMigrate { tid, dest_cpu, .. } => self.migrate(t, tid, dest_cpu),
            K::ProcessFork {
                parent,
                parent_pid,
                child,
                child_pid,
                child_comm,
                child_ns,
            } => {
                self.fork(
                    t,
                    parent,
                    parent_pid,
                    child,
                    child_pid,
                    &child_comm,
                    child_ns,
                );
            }
            K::ProcessExec { tid, old_tid } => self.exec(tid, old_tid),
            K::ProcessExit { tid } => self.exiting(tid),
            K::ProcessFree { tid } => self.freed(t, tid),
            K::StatedumpProcess {
                tid,
                pid,
                status,
                comm,
                ..
            } => self.statedump(tid, pid, status, &comm),
            K::ThreadTold { tid, pid, comm } => self.thread_told(tid, pid, &comm),
            K::ThreadRuns { tid, pid } => self.seen_running(t, c, tid, pid),
            K::ThreadFollowed { .. } | K::ThreadLeft { .. } | K::ThreadSwitch { .. } => {}
            K::StatedumpNamespace {
                tid,
                kind,
                inum,
                level,
            } => self.namespace(tid, kind, inum, level),
            K::StatedumpBlockDevice { dev, name } => self.disk_is_called(dev, name),
            K::StatedumpVm { pid, name } => self.vm_is_called(pid, name),
            K::StatedumpRole {
                tid,
                vm_pid,
                vcpu,
                role,
            } => self.has_role(tid, vm_pid, vcpu, &role),
            K::CpuFrequency { cpu, khz } => self.frequency(t, cpu, khz),
            K::IrqEntry { .. }
            | K::SoftirqEntry { .. }
            | K::VectorEntry { .. }
            | K::HrtimerExpireEntry { .. } => self.irq_enter(t, c, event),
            K::IrqExit { .. }
            | K::SoftirqExit { .. }
            | K::VectorExit { .. }
            | K::HrtimerExpireExit { .. } => {
                self.irq_leave(t, c, event);
            }
            K::BlockBioQueue(_)
            | K::BlockInsert(_)
            | K::BlockIssue(_)
            | K::BlockRequeue(_)
            | K::BlockComplete(_)
            | K::NetReceive(_)
            | K::NetXmit { .. }
            | K::NetRx(_)
            | K::NetQueue(_)
            | K::NapiPoll { .. } => {
                self.device_event(c, event);
                self.count(t, c, event);
            }
            _ => self.kvm(t, c, event),
        }
    }

    /// Applies what changes up to `t` of what the streams cover.
    #[inline]
    pub(crate) fn cross_until(&mut self, t: Timestamp) {
        while self.bounds.front().is_some_and(|bound| bound.0 <= t) {
            self.cross_next();
        }
    }

    /// Applies the next of them.
    #[cold]
    fn cross_next(&mut self) {
        if let Some((at, cpu, bound)) = self.bounds.pop_front() {
            self.cross(at, cpu, bound);
        }
    }

    /// What the stream of `cpu` covers changes at `at`.
    pub(crate) fn bound(&mut self, at: Timestamp, cpu: CpuId, bound: Bound) {
        let place = self.bounds.partition_point(|known| known.0 <= at);
        self.bounds.insert(place, (at, cpu, bound));
    }

    /// Applies a change of what the streams cover.
    fn cross(&mut self, t: Timestamp, cpu: CpuId, bound: Bound) {
        let t = t.max(self.now);
        self.now = t;
        let Some(c) = self.cpu(cpu) else { return };
        match bound {
            Bound::Begins => {
                self.cpus[c.0].covered = true;
                self.cpu_covered(t, c);
            }
            Bound::LossBegins => {
                let cpu = &mut self.cpus[c.0];
                cpu.losses += 1;
                // Losses may overlap: packets that are missing, and events that the next counts.
                if !cpu.lossy {
                    cpu.lossy = true;
                    self.lines_unknown(t, c, Cause::Lost, Evidence::LossCounter);
                    self.forget(t, c, Cause::Lost, Evidence::LossCounter);
                    self.counters_unknown(t);
                }
            }
            Bound::LossEnds => {
                let cpu = &mut self.cpus[c.0];
                cpu.losses -= 1;
                if cpu.losses == 0 {
                    cpu.lossy = false;
                    self.lost_until = t;
                    self.lines_unknown(t, c, Cause::NoEvidence, Evidence::LossCounter);
                    self.unresolve(t, c);
                    self.counters_known();
                }
            }
            Bound::Ends => {
                self.cpus[c.0].covered = false;
                self.lines_unknown(t, c, Cause::NotRecorded, Evidence::Coverage);
                self.forget(t, c, Cause::NotRecorded, Evidence::Coverage);
            }
        }
    }

    /// Ends everything at the end of what was recorded and gives the sink back.
    pub fn finish(mut self) -> (S, Counts) {
        while let Some((at, cpu, bound)) = self.bounds.pop_front() {
            self.cross(at, cpu, bound);
        }
        let end = self.now;
        self.finish_vcpus(end);
        self.finish_threads(end);
        self.finish_host(end);
        (self.sink.sink, self.counts)
    }

    /// The state of the processor called `id`.
    #[inline]
    pub(crate) fn cpu(&mut self, id: CpuId) -> Option<CpuIx> {
        match self.cpu_by_id.get(id.0 as usize) {
            Some(&Some(c)) => Some(c),
            _ => self.new_cpu(id),
        }
    }

    #[cold]
    fn new_cpu(&mut self, id: CpuId) -> Option<CpuIx> {
        if id.0 >= CPUS_MAX {
            return None;
        }
        let at = id.0 as usize;
        if at >= self.cpu_by_id.len() {
            self.cpu_by_id.resize(at + 1, None);
        }
        let c = CpuIx(self.cpus.len());
        let entity = self.new_entity(crate::Kind::Cpu, format!("cpu:{id}"));
        self.sink.entity(&entity);
        self.cpus.push(Cpu::new(entity.id, id.0, self.begins));
        self.cpu_by_id[at] = Some(c);
        Some(c)
    }

    /// A new entity with the next number; the caller fills it in and announces it.
    pub(crate) fn new_entity(&mut self, kind: crate::Kind, key: String) -> Entity {
        let id = EntityId(self.entities);
        self.entities = self.entities.saturating_add(1);
        Entity {
            id,
            kind: kind.code(),
            key,
            label: Vec::new(),
            parent: None,
            vm: None,
            vcpu: None,
            tid: None,
            pid: None,
            cr3: None,
        }
    }
}

/// What dumps tell, whoever wrote them and on whatever processor.
const fn is_told(event: &K) -> bool {
    matches!(
        event,
        K::ThreadTold { .. }
            | K::StatedumpStart
            | K::StatedumpEnd
            | K::StatedumpProcess { .. }
            | K::StatedumpNamespace { .. }
            | K::StatedumpBlockDevice { .. }
            | K::StatedumpVm { .. }
            | K::StatedumpRole { .. }
    )
}

/// Events whose meaning does not hang on what else their processor does: true even where others
/// beside them were lost.
const fn is_about_others(event: &K) -> bool {
    matches!(
        event,
        K::SchedWaking { .. }
            | K::SchedWakeup { .. }
            | K::SchedWakeupNew { .. }
            | K::SchedMigrate { .. }
            | K::ProcessFork { .. }
            | K::ProcessExec { .. }
            | K::ProcessExit { .. }
            | K::ProcessFree { .. }
            | K::ThreadTold { .. }
            | K::ThreadFollowed { .. }
            | K::ThreadLeft { .. }
            | K::StatedumpProcess { .. }
            | K::StatedumpNamespace { .. }
            | K::StatedumpVm { .. }
            | K::StatedumpRole { .. }
    )
}
