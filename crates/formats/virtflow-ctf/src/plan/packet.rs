//! Packet headers and contexts: what they say of the packet (CTF 1.8 section 5).

use super::Op;
use super::exec::{Machine, Stop};
use crate::metadata::{FieldType, Reg, Scope, StructType};

/// The magic number of every packet that has one.
pub(crate) const MAGIC: u64 = 0xc1fc_1fc1;

/// An unsigned integer with a meaning.
#[derive(Clone, Copy, Debug)]
struct Role {
    reg: Reg,
    size: u32,
}

/// How to read a packet's header and context.
#[derive(Debug, Default)]
pub(crate) struct PacketPlan {
    ops: Box<[Op]>,
    /// Bits from the beginning of the packet to its uuid.
    uuid: Option<u64>,
    magic: Option<Role>,
    stream: Option<Role>,
    instance: Option<Role>,
    begin: Option<Role>,
    end: Option<Role>,
    content: Option<Role>,
    size: Option<Role>,
    sequence: Option<Role>,
    discarded: Option<Role>,
    cpu: Option<Role>,
}

/// What a packet says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PacketFacts {
    pub(crate) magic: Option<u64>,
    pub(crate) uuid: Option<[u8; 16]>,
    pub(crate) stream: Option<u64>,
    pub(crate) instance: Option<u64>,
    pub(crate) begin: Option<u64>,
    pub(crate) end: Option<u64>,
    /// Bits.
    pub(crate) content: Option<u64>,
    /// Bits.
    pub(crate) size: Option<u64>,
    pub(crate) sequence: Option<u64>,
    pub(crate) discarded: Option<u64>,
    pub(crate) cpu: Option<u64>,
    /// Where the events begin.
    pub(crate) events: u64,
}

impl PacketPlan {
    /// The plan for the first two of `scopes`, whose integers get registers.
    pub(crate) fn new(scopes: &mut [Option<StructType>; 6], registers: &mut Reg) -> Self {
        let mut plan = Self::default();
        if let Some(header) = &mut scopes[Scope::PacketHeader as usize] {
            plan.magic = role(header, "magic", registers);
            plan.stream = role(header, "stream_id", registers);
            plan.instance = role(header, "stream_instance_id", registers);
        }
        if let Some(context) = &mut scopes[Scope::PacketContext as usize] {
            plan.begin = role(context, "timestamp_begin", registers);
            plan.end = role(context, "timestamp_end", registers);
            plan.content = role(context, "content_size", registers);
            plan.size = role(context, "packet_size", registers);
            plan.sequence = role(context, "packet_seq_num", registers);
            plan.discarded = role(context, "events_discarded", registers);
            plan.cpu = role(context, "cpu_id", registers);
        }
        let [header, context, ..] = scopes;
        let (uuid, ops) = compile([header.as_ref(), context.as_ref()]);
        Self { uuid, ops, ..plan }
    }

    /// How many bits the discarded-events counter has before it begins anew.
    pub(crate) fn discarded_bits(&self) -> u32 {
        self.discarded.map_or(64, |role| role.size)
    }

    /// Where the stream id of the packet header is kept.
    pub(crate) fn stream_register(&self) -> Option<Reg> {
        self.stream.map(|role| role.reg)
    }

    /// Whether every packet begins with a magic number of 32 bits and the trace's uuid, which
    /// together can be searched for.
    pub(crate) fn begins_with_magic_and_uuid(&self) -> bool {
        self.uuid == Some(32) && self.magic.is_some_and(|role| role.size == 32)
    }

    /// Reads the packet that begins where the machine's window does.
    pub(crate) fn read(&self, machine: &mut Machine<'_>) -> Result<PacketFacts, Stop> {
        let events = machine.follow(&self.ops, 0)?;
        let get = |role: Option<Role>| {
            role.and_then(|role| machine.registers.get(role.reg as usize).copied())
        };
        let uuid = self.uuid.and_then(|at| {
            let bytes = machine.data.get((at / 8) as usize..)?;
            bytes.first_chunk::<16>().copied()
        });
        Ok(PacketFacts {
            magic: get(self.magic),
            uuid,
            stream: get(self.stream),
            instance: get(self.instance),
            begin: get(self.begin),
            end: get(self.end),
            content: get(self.content),
            size: get(self.size),
            sequence: get(self.sequence),
            discarded: get(self.discarded),
            cpu: get(self.cpu),
            events,
        })
    }
}

fn role(scope: &mut StructType, name: &str, registers: &mut Reg) -> Option<Role> {
    let at = scope.position(name)?;
    let int = scope.fields[at].ty.int_mut()?;
    let reg = *int.reg.get_or_insert_with(|| {
        *registers += 1;
        *registers - 1
    });
    Some(Role {
        reg,
        size: int.size,
    })
}

/// The place of the uuid, and the steps of both scopes.
fn compile(scopes: [Option<&StructType>; 2]) -> (Option<u64>, Box<[Op]>) {
    let wants = scopes[0].and_then(uuid_want);
    let (body, found) = super::compile::packet_body(scopes, wants);
    let uuid = match found {
        Some(super::compile::Found::At(bits)) if bits % 8 == 0 => Some(bits),
        _ => None,
    };
    let ops = if body.ops.is_empty() && body.size > 0 {
        Box::from([Op::Skip { bits: body.size }])
    } else {
        body.ops
    };
    (uuid, ops)
}

/// The uuid's place among the header's fields, if it is 16 bytes.
fn uuid_want(header: &StructType) -> Option<usize> {
    let at = header.position("uuid")?;
    let FieldType::Array(array) = &header.fields[at].ty else {
        return None;
    };
    let FieldType::Int(int) = &*array.element else {
        return None;
    };
    (array.len == 16 && int.is_byte()).then_some(at)
}
