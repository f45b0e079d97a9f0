//! The programs in the kernel, and the ring that they write to.

use crate::events::{Group, Tracepoint, tracepoints};
use crate::kernel::{NONE, Types};
use crate::{Options, RecordError};
use aya::maps::{MapData, PerCpuArray, RingBuf};
use aya::programs::RawTracePoint;
use aya::{Ebpf, EbpfLoader};

/// The programs, as `cargo xtask bpf` built them.
static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("CARGO_MANIFEST_DIR"), "/bpf/record.bpf.o"));

/// Something that this kernel does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A tracepoint.
    Tracepoint(&'static str),
    /// A field: a constant of the programs.
    Field(&'static str),
}

/// What is going to be recorded.
#[derive(Debug)]
pub struct Plan {
    options: Options,
    /// The kinds of records, with the tracepoints that make them, and whether there is no trace
    /// without.
    kinds: Vec<(u16, &'static str, bool)>,
    constants: Vec<(&'static str, u32)>,
    missing: Vec<Missing>,
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
        let mut kinds = Vec::new();
        let mut missing = Vec::new();
        for (kind, point) in (0..).zip(tracepoints()).filter(|(_, point)| wanted(point)) {
            if types.has(point.name) {
                kinds.push((kind, point.name, point.group == Group::Sched));
            } else if point.group == Group::Sched {
                return Err(RecordError::Needed(point.name));
            } else {
                missing.push(Missing::Tracepoint(point.name));
            }
        }
        let constants = types.constants();
        let absent = constants.iter().filter(|(_, at)| *at == NONE);
        missing.extend(absent.map(|(name, _)| Missing::Field(name)));
        let plan = Self {
            options,
            kinds,
            constants,
            missing,
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

    /// What this kernel does not have.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// Loads the programs and has them run.
    pub(crate) fn attach(self) -> Result<Ring, RecordError> {
        let mut loader = EbpfLoader::new();
        for (name, at) in &self.constants {
            loader.override_global(name, at, true);
        }
        let ring_bytes = self
            .options
            .ring_bytes
            .clamp(1 << 16, 1 << 30)
            .next_power_of_two();
        loader.map_max_entries("ring", ring_bytes);
        let mut programs = loader.load(OBJECT).map_err(refused)?;
        let ring = programs
            .take_map("ring")
            .and_then(|map| RingBuf::try_from(map).ok());
        let lost = programs
            .take_map("lost")
            .and_then(|map| PerCpuArray::try_from(map).ok());
        let (Some(records), Some(lost)) = (ring, lost) else {
            return Err(RecordError::Load("no ring".to_owned()));
        };
        let mut refused = Vec::new();
        for (kind, name, needed) in &self.kinds {
            if let Err(why) = begin(&mut programs, *kind, name) {
                if *needed {
                    return Err(RecordError::Load(format!("{name}: {why}")));
                }
                refused.push((*name, why));
            }
        }
        Ok(Ring {
            programs: Some(programs),
            records,
            lost,
            refused,
        })
    }
}

/// Has a program run at its tracepoint.
fn begin(programs: &mut Ebpf, kind: u16, name: &str) -> Result<(), String> {
    let program = programs.program_mut(&format!("record_{kind}"));
    let program = program.ok_or_else(|| "there is no program for it".to_owned())?;
    let program: &mut RawTracePoint = program.try_into().map_err(|error| chain(&error))?;
    program.load().map_err(|error| chain(&error))?;
    program.attach(name).map_err(|error| chain(&error))?;
    Ok(())
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
    let text = chain(&error);
    if text.contains("Operation not permitted") || text.contains("os error 1)") {
        let program = std::env::current_exe().unwrap_or_default();
        return RecordError::Permission(program);
    }
    RecordError::Load(text)
}

/// The programs at work.
pub(crate) struct Ring {
    programs: Option<Ebpf>,
    records: RingBuf<MapData>,
    lost: PerCpuArray<MapData, u64>,
    /// Tracepoints at which the kernel lets no program run, and why.
    pub(crate) refused: Vec<(&'static str, String)>,
}

impl Ring {
    /// Gives every record that is there.
    pub(crate) fn drain(&mut self, mut take: impl FnMut(&[u8])) {
        while let Some(record) = self.records.next() {
            take(&record);
        }
    }

    /// How many records each processor had no room for so far.
    pub(crate) fn lost(&self) -> Vec<u64> {
        self.lost
            .get(&0, 0)
            .map_or_else(|_| Vec::new(), |counts| counts.to_vec())
    }

    /// Stops the programs.
    pub(crate) fn detach(&mut self) {
        self.programs = None;
    }
}
