//! The programs in the kernel, and the rings that they write to.

use crate::events::{Group, Tells, Tracepoint, Vendor, of_vcpus, tracepoints};
use crate::kernel::{NONE, Types};
use crate::order::Loss;
use crate::{Options, RecordError, trace};
use aya::maps::{Array, ArrayOfMaps, HashMap, Map, MapData, PerCpuArray, RingBuf};
use aya::programs::{BtfTracePoint, Program, RawTracePoint};
use aya::sys::{Stats, enable_stats};
use aya::{Btf, Ebpf, EbpfLoader};
use aya_obj::generated::bpf_map_type;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// The programs, as `cargo xtask bpf` built them.
static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/record.bpf.o"));

/// What the kernel puts before each record of a ring.
const RECORD_HEAD_BYTES: usize = 8;
/// How much room a ring may have, in bytes: a power of two, and less than the kernel's counters wrap at.
pub const RING_BYTES: std::ops::RangeInclusive<u64> = 1 << 16..=1 << 30;

/// After a loss nothing is recorded until no more than this part of a ring is full.
const ROOM_AGAIN: u64 = 2;
/// A ring of which this part is full has its reader woken, and read again soon.
const IS_BUSY: u64 = 4;

/// Something that this kernel does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A tracepoint.
    Tracepoint(&'static str),
    /// A field: a constant of the programs.
    Field(&'static str),
}

/// A kind of records, with the tracepoint that makes them, and whether there is no trace without.
type Kind = (u16, &'static str, bool);

/// What is going to be recorded.
#[derive(Debug)]
pub struct Plan {
    options: Options,
    kinds: Vec<Kind>,
    constants: Vec<(&'static str, u32)>,
    errnos: [i32; 256],
    missing: Vec<Missing>,
    machine: Tells,
}

impl Plan {
    /// For the kernel that runs.
    ///
    /// # Errors
    /// Where its types cannot be read, or what is needed is not there.
    pub fn new(options: Options) -> Result<Self, RecordError> {
        let types = Types::of_this_kernel()?;
        let wanted = |point: &&Tracepoint| {
            options.groups.contains(&point.group) || point.group == Group::Sched
        };
        let machine = types.machine();
        let mut kinds = Vec::new();
        let mut missing = Vec::new();
        for (kind, point) in (0..).zip(tracepoints()).filter(|(_, point)| wanted(point)) {
            // The types of a module that was built without the kernel's are not told.
            let there = if point.of_module {
                machine.module.then_some(point.name)
            } else {
                let mut names = std::iter::once(point.name).chain(point.older);
                names.find(|name| types.has(name))
            };
            if let Some(name) = there {
                kinds.push((kind, name, point.group == Group::Sched));
            } else if point.of_module {
                // Said by `guest_registers`.
            } else if point.group == Group::Sched {
                return Err(RecordError::Needed(point.name));
            } else {
                missing.push(Missing::Tracepoint(point.name));
            }
        }
        let constants = types.constants();
        missing.extend(absent(&constants).map(Missing::Field));
        let plan = Self {
            options,
            kinds,
            constants,
            errnos: types.errnos(),
            missing,
            machine,
        };
        for needed in ["task_pid", "task_comm", "task_cpu", "switch_prev"] {
            if plan.missing.contains(&Missing::Field(needed)) {
                return Err(RecordError::Needed(needed));
            }
        }
        Ok(plan)
    }

    /// The tracepoints that are recorded.
    pub fn tracepoints(&self) -> impl Iterator<Item = &'static str> {
        self.kinds.iter().map(|(_, name, _)| *name)
    }

    pub(crate) fn kinds(&self) -> impl Iterator<Item = u16> {
        self.kinds.iter().map(|(kind, ..)| *kind)
    }

    pub(crate) const fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) const fn tells(&self) -> Tells {
        self.machine
    }

    /// What is recorded of a guest's registers when it is entered and left.
    pub const fn guest_registers(&self) -> &'static str {
        if self.machine.module {
            return "CR3, RIP, RSP, FS base at each entry and exit, CPL at the exit (by the module \
                    virtflow_vmx)";
        }
        match self.machine.vendor {
            Vendor::Amd => "CR3, RIP, RSP, FS base at each entry and exit, CPL at the exit (SVM)",
            Vendor::Intel => {
                "CR3 at the entries where KVM itself knows it (VMX); which guest process runs is \
                 mostly unknown. The module virtflow_vmx, of kmod in virtflow's sources, reads all of \
                 them: load it before recording"
            }
            Vendor::Other => "none: the processors say neither svm nor vmx",
        }
    }

    /// What this kernel does not have.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// How large each ring is.
    fn ring_bytes(&self) -> u32 {
        let bytes = self.options.ring_bytes;
        let (least, most) = RING_BYTES.into_inner();
        let bytes = u64::from(bytes).clamp(least, most).next_power_of_two();
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    /// The programs and their maps, of which no program is the kernel's yet.
    fn programs(&self, types: Option<&Btf>, cpus: u32) -> Result<Ebpf, RecordError> {
        let vms = &self.options.vms;
        let mut loader = EbpfLoader::new();
        loader.btf(types);
        for (name, at) in &self.constants {
            loader.override_global(name, at, true);
        }
        let only_some = u32::from(!vms.is_empty());
        loader.override_global("only_some_vms", &only_some, true);
        let of_vcpus = of_vcpus();
        loader.override_global("errnos", &self.errnos[..], true);
        loader.override_global("of_vcpus", &of_vcpus[..], true);
        let has_module = u32::from(self.machine.module);
        loader.override_global("has_module", &has_module, true);
        loader.map_max_entries("rings", cpus);
        loader.map_max_entries("states", cpus);
        let bytes = self.ring_bytes();
        let room_again = u64::from(bytes) / ROOM_AGAIN;
        loader.override_global("room_again", &room_again, true);
        let wake_at = u64::from(bytes) / IS_BUSY;
        loader.override_global("wake_at", &wake_at, true);
        loader.map_max_entries("vms", u32::try_from(vms.len().max(1)).unwrap_or(u32::MAX));
        loader.load(OBJECT).map_err(refused)
    }

    /// Loads the programs and has them run.
    pub(crate) fn attach(self) -> Result<Ring, RecordError> {
        let (cpus, bytes, vms) = (trace::cpus(), self.ring_bytes(), &self.options.vms);
        let types = Btf::from_sys_fs().ok();
        let mut programs = self.programs(types.as_ref(), cpus)?;
        let records = rings(&mut programs, cpus, bytes)?;
        if let Some(Ok(mut wanted)) = programs.map_mut("vms").map(HashMap::<_, i32, u8>::try_from) {
            for vm in vms {
                wanted.insert(vm, 1, 0).map_err(|error| failed(&error))?;
            }
        }
        let lost = programs
            .take_map("lost")
            .and_then(|map| PerCpuArray::try_from(map).ok());
        let lost = lost.ok_or_else(|| RecordError::Load("no counts of what is lost".to_owned()))?;
        let states = programs
            .take_map("states")
            .and_then(|map| Array::try_from(map).ok());
        let states =
            states.ok_or_else(|| RecordError::Load("no states of processors".to_owned()))?;
        // Where the kernel does not measure, what it costs stays unknown.
        let stats = (self.options.measure).then(|| enable_stats(Stats::RunTime).ok());
        let mut refused = Vec::new();
        for (kind, name, needed) in &self.kinds {
            if let Err(why) = begin(&mut programs, *kind, name, types.as_ref()) {
                if *needed {
                    return Err(self::why(format!("{name}: {why}")));
                }
                refused.push((*name, why));
            }
        }
        Ok(Ring {
            programs: Some(programs),
            records,
            bytes: bytes as usize,
            lost,
            states,
            refused,
            kinds: self.kinds,
            stats: stats.flatten(),
        })
    }
}

/// How many words the programs keep of each processor (`struct state`).
const STATE_WORDS: usize = 16;

/// What kernels have one way or another. An empty way: what kernels without the others need.
const WAYS: &[&[&[&str]]] = &[
    // To a request's disk.
    &[&["request_disk"], &["request_queue", "queue_disk"]],
    // To whether a nested guest runs.
    &[&["svm_vmcb01"], &["vcpu_hflags"]],
    // To the state of who is switched away from.
    &[&["switch_state"], &["task_state"]],
    // To why a request ended badly: by a status, or the errno itself.
    &[&["complete_status"], &[]],
    // To the vCPU: by a pointer, or by its number or the thread.
    &[&["fault_vcpu"], &[]],
    &[&["irte_vcpu"], &[]],
];

/// The fields that are not there and that nothing else stands for.
fn absent(constants: &[(&'static str, u32)]) -> impl Iterator<Item = &'static str> {
    let missing: Vec<_> = constants
        .iter()
        .filter(|(_, at)| *at == NONE)
        .map(|(name, _)| *name)
        .collect();
    let is_there = |way: &[&str]| way.iter().all(|field| !missing.contains(field));
    let replaced: Vec<_> = WAYS
        .iter()
        .filter(|ways| ways.iter().any(|way| is_there(way)))
        .flat_map(|ways| ways.iter().copied().flatten())
        .collect();
    missing
        .into_iter()
        .filter(move |name| !replaced.contains(&name))
}

/// Where the programs look for the ring of a processor.
type Places<'a> = ArrayOfMaps<&'a mut MapData, RingBuf<MapData>>;

/// A ring for each processor that is at work. One that comes later writes into the first one's.
fn rings(programs: &mut Ebpf, cpus: u32, bytes: u32) -> Result<Vec<RingBuf<MapData>>, RecordError> {
    let places = programs.map_mut("rings").map(Places::try_from);
    let places = places.transpose().map_err(|error| failed(&error))?;
    let mut places = places.ok_or_else(|| RecordError::Load("no rings".to_owned()))?;
    let online = trace::online();
    let mut rings: Vec<RingBuf<MapData>> = Vec::new();
    for cpu in 0..cpus {
        if rings.is_empty() || online.contains(&cpu) {
            rings.push(ring(bytes)?);
            let ring = rings.last();
            set(&mut places, cpu, ring)?;
        } else {
            set(&mut places, cpu, rings.first())?;
        }
    }
    Ok(rings)
}

fn ring(bytes: u32) -> Result<RingBuf<MapData>, RecordError> {
    let kind = bpf_map_type::BPF_MAP_TYPE_RINGBUF as u32;
    let ring = aya_obj::Map::new_from_params(kind, 0, 0, bytes, 0);
    let ring = MapData::create(ring, "ring", None).map_err(|error| failed(&error))?;
    RingBuf::try_from(Map::RingBuf(ring)).map_err(|error| failed(&error))
}

fn set(
    places: &mut Places<'_>,
    cpu: u32,
    ring: Option<&RingBuf<MapData>>,
) -> Result<(), RecordError> {
    let set = ring.map(|ring| places.set(cpu, ring, 0));
    set.transpose().map_err(|error| failed(&error))?;
    Ok(())
}

fn failed(error: &dyn std::error::Error) -> RecordError {
    RecordError::Load(chain(error))
}

/// What the program of a kind of records is called.
fn raw_program(kind: u16) -> String {
    format!("record_{kind}")
}

/// What the program is called to which the verifier knows the arguments' types, where there is one.
fn typed_program(kind: u16) -> String {
    format!("typed_{kind}")
}

/// Has a program run at its tracepoint: one that reads fields directly, where the kernel's type
/// information permits it.
fn begin(programs: &mut Ebpf, kind: u16, name: &str, types: Option<&Btf>) -> Result<(), String> {
    let typed = programs.program_mut(&typed_program(kind));
    if let (Some(program), Some(types)) = (typed, types)
        && let Ok(program) = <&mut BtfTracePoint>::try_from(program)
        && program.load(name, types).is_ok()
    {
        if program.attach().is_ok() {
            return Ok(());
        }
        // `at_work` finds the one that runs.
        program.unload().map_err(|error| chain(&error))?;
    }
    let program = programs.program_mut(&raw_program(kind));
    let program = program.ok_or_else(|| "there is no program for it".to_owned())?;
    let program: &mut RawTracePoint = program.try_into().map_err(|error| chain(&error))?;
    program.load().map_err(|error| chain(&error))?;
    program.attach(name).map_err(|error| chain(&error))?;
    Ok(())
}

/// The program of a kind that runs.
fn at_work(programs: &Ebpf, kind: u16) -> Option<&Program> {
    let mut both = [typed_program(kind), raw_program(kind)].into_iter();
    both.find_map(|name| {
        programs
            .program(&name)
            .filter(|program| program.fd().is_ok())
    })
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

fn refused(error: aya::EbpfError) -> RecordError {
    why(chain(&error))
}

/// Why the kernel refuses something, by what it says.
fn why(text: String) -> RecordError {
    if !text.contains("Operation not permitted") {
        return RecordError::Load(text);
    }
    permission()
        .err()
        .unwrap_or_else(|| RecordError::Permission {
            program: std::env::current_exe().unwrap_or_default(),
            missing: "it has both, but something else forbids it: kernel lockdown, or a container",
        })
}

/// Whether this process has the capabilities that are needed.
///
/// # Errors
/// Where not: which of them it lacks.
pub fn permission() -> Result<(), RecordError> {
    let Some(missing) = missing_capabilities() else {
        return Ok(());
    };
    Err(RecordError::Permission {
        program: std::env::current_exe().unwrap_or_default(),
        missing,
    })
}

/// What this process lacks, by its status in /proc (include/uapi/linux/capability.h for the bits).
fn missing_capabilities() -> Option<&'static str> {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mut lines = text.lines();
    let bits = lines
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok())
        .unwrap_or(0);
    let has = |bit: u32| bits >> bit & 1 == 1;
    match (has(39), has(38)) {
        (false, false) => Some("it has neither"),
        (false, true) => Some("CAP_BPF is missing"),
        (true, false) => Some("CAP_PERFMON is missing"),
        (true, true) => None,
    }
}

/// What the programs cost, by the kernel's own account (`bpf_prog_info` of include/uapi/linux/bpf.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The tracepoint.
    pub name: &'static str,
    /// How often its program ran.
    pub runs: u64,
    /// For how long in all.
    pub time: Duration,
}

/// How often a program is said not to have run, where that is told.
fn missed(fdinfo: &str) -> Option<u64> {
    let mut lines = fdinfo.lines();
    let count = lines.find_map(|line| line.strip_prefix("recursion_misses:"))?;
    count.trim().parse().ok()
}

/// What was not recorded though there was room: how often, by tracepoint. On which processor and when,
/// nobody knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Missed(pub Vec<(&'static str, u64)>);

impl Missed {
    /// What of it is not in an `earlier` count.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let before = |name: &str| {
            let mut all = earlier.0.iter();
            all.find(|(of, _)| *of == name)
                .map_or(0, |(_, count)| *count)
        };
        let all = self
            .0
            .iter()
            .map(|(name, count)| (*name, count.saturating_sub(before(name))));
        Self(all.filter(|(_, count)| *count > 0).collect())
    }

    /// How often in all.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }
}

impl std::fmt::Display for Missed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, (name, count)) in self.0.iter().enumerate() {
            write!(f, "{}{count} {name}", if at == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// The programs at work.
pub(crate) struct Ring {
    programs: Option<Ebpf>,
    records: Vec<RingBuf<MapData>>,
    /// What is full of these at a visit shows that visits are too rare.
    bytes: usize,
    lost: PerCpuArray<MapData, u64>,
    /// By processor: what was lost that no record tells yet (how many, the first, the last), and what
    /// only the programs need.
    states: Array<MapData, [u64; STATE_WORDS]>,
    /// Tracepoints at which the kernel lets no program run, and why.
    pub(crate) refused: Vec<(&'static str, String)>,
    kinds: Vec<Kind>,
    /// While it is there, the kernel measures what programs cost.
    stats: Option<OwnedFd>,
}

impl Ring {
    /// Gives every record that is there: whether a ring was found rather full.
    pub(crate) fn drain(&mut self, mut take: impl FnMut(&[u8])) -> bool {
        let mut is_busy = false;
        for ring in &mut self.records {
            // What comes meanwhile is left for the next visit.
            let mut bytes = 0;
            while bytes < self.bytes
                && let Some(record) = ring.next()
            {
                bytes += record.len() + RECORD_HEAD_BYTES;
                take(&record);
            }
            is_busy |= bytes as u64 > self.bytes as u64 / IS_BUSY;
        }
        is_busy
    }

    /// What becomes readable where a ring fills up.
    pub(crate) fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.records.iter().map(AsFd::as_fd)
    }

    /// How many records each processor had no room for so far.
    pub(crate) fn lost(&self) -> Vec<u64> {
        self.lost
            .get(&0, 0)
            .map_or_else(|_| Vec::new(), |counts| counts.to_vec())
    }

    /// What was lost of each processor that no record tells yet.
    pub(crate) fn untold(&self) -> Vec<(u32, Loss)> {
        let all = (0..self.states.len()).filter_map(|cpu| {
            let [count, first, last, ..] = self.states.get(&cpu, 0).ok()?;
            (count > 0).then_some((cpu, Loss { count, first, last }))
        });
        all.collect()
    }

    /// What the programs cost so far, where the kernel measures it.
    pub(crate) fn cost(&self) -> Option<Vec<Cost>> {
        self.stats.as_ref()?;
        let programs = self.programs.as_ref()?;
        let costs = self.kinds.iter().filter_map(|(kind, name, _)| {
            let info = at_work(programs, *kind)?.info().ok()?;
            Some(Cost {
                name,
                runs: info.run_count(),
                time: info.run_time(),
            })
        });
        Some(costs.collect())
    }

    /// How often each program was not run because it was at work on that CPU already: an interrupt came
    /// in between. All that the kernel tells of that is how often (kernel/bpf/syscall.c
    /// `bpf_prog_show_fdinfo`; before Linux 5.12 it does not count, and runs it).
    pub(crate) fn missed(&self) -> Missed {
        let programs = self.programs.as_ref();
        let all = self.kinds.iter().filter_map(|(kind, name, _)| {
            let fd = at_work(programs?, *kind)?.fd().ok()?;
            let path = format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd());
            let missed = missed(&std::fs::read_to_string(path).ok()?)?;
            (missed > 0).then_some((*name, missed))
        });
        Missed(all.collect())
    }

    /// Stops the programs.
    pub(crate) fn detach(&mut self) {
        self.programs = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_missed_is_told_by_tracepoint_since_it_began() {
        let info = "pos:\t0\nprog_type:\t17\nprog_id:\t5\nrun_cnt:\t0\nrecursion_misses:\t12\n";
        assert_eq!(missed(info), Some(12));
        assert_eq!(missed("pos:\t0\nprog_type:\t17\n"), None);
        let before = Missed(vec![("kvm_set_irq", 3), ("netif_rx", 1)]);
        let now = Missed(vec![
            ("kvm_set_irq", 12),
            ("netif_rx", 1),
            ("net_dev_queue", 2),
        ]);
        let since = now.since(&before);
        assert_eq!(since.to_string(), "9 kvm_set_irq, 2 net_dev_queue");
        assert_eq!((since.total(), now.since(&now).total()), (11, 0));
    }

    /// The programs and the kernel's types, or nothing where it permits none.
    fn loaded() -> Option<(Plan, Btf, Ebpf)> {
        let plan = permission().and_then(|()| Plan::new(Options::default()));
        let loaded = plan.and_then(|plan| {
            let types = Btf::from_sys_fs().unwrap();
            let programs = plan.programs(Some(&types), trace::cpus())?;
            Ok((plan, types, programs))
        });
        let skipped = |why| eprintln!("SKIPPED: no BPF program can be loaded: {why}");
        loaded.map_err(skipped).ok()
    }

    #[test]
    fn where_the_kernel_does_not_take_a_typed_program_the_raw_one_runs() {
        for is_refused in [false, true] {
            let Some((_, types, mut programs)) = loaded() else {
                return;
            };
            let types = (!is_refused).then_some(&types);
            begin(&mut programs, 0, "sched_switch", types).unwrap();
            let is_raw = matches!(at_work(&programs, 0), Some(Program::RawTracePoint(_)));
            assert_eq!(is_raw, is_refused);
        }
    }

    #[test]
    fn this_kernel_takes_every_program_and_the_frequent_ones_both_ways() {
        let Some((plan, types, mut programs)) = loaded() else {
            return;
        };
        let mut typed = Vec::new();
        for (kind, name, _) in &plan.kinds {
            let program = programs.program_mut(&raw_program(*kind)).unwrap();
            let program = <&mut RawTracePoint>::try_from(program).unwrap();
            program.load().map_err(|why| chain(&why)).unwrap();
            if let Some(program) = programs.program_mut(&typed_program(*kind)) {
                let program = <&mut BtfTracePoint>::try_from(program).unwrap();
                program
                    .load(name, &types)
                    .map_err(|why| chain(&why))
                    .unwrap();
                typed.push(*name);
            }
        }
        assert!(typed.starts_with(&["sched_switch", "sched_waking", "sched_wakeup_new"]));
    }

    #[test]
    fn one_way_is_enough() {
        let with = |there: &[&str]| -> Vec<&str> {
            let all = [
                "task_pid",
                "request_disk",
                "request_queue",
                "queue_disk",
                "switch_state",
                "task_state",
                "irte_vcpu",
            ];
            let constants = all.map(|name| (name, if there.contains(&name) { 8 } else { NONE }));
            absent(&constants).collect()
        };
        assert_eq!(
            with(&["task_pid", "request_disk", "task_state"]),
            Vec::<&str>::new()
        );
        assert_eq!(
            with(&["request_queue", "queue_disk"]),
            ["task_pid", "switch_state", "task_state"]
        );
        // Half a way is none.
        let half = with(&["task_pid", "queue_disk", "switch_state"]);
        assert_eq!(half, ["request_disk", "request_queue"]);
    }
}
