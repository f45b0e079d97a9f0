//! Packet headers and contexts: what they say of the packet (CTF 1.8 section 5).

use super::Op;
use super::exec::{Machine, Stop};
use crate::metadata::{FieldType, Reg, Scope, StructType};

/// The magic number of every packet that has one.
pub(crate) const MAGIC: u64 = 0xc1fc_1fc1;

/// An unsigned integer with a meaning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Role {
    pub(crate) reg: Reg,
    /// The flag that says whether it was read, where that may not be so.
    pub(crate) flag: Option<Reg>,
    pub(crate) size: u32,
}

/// What fields of a packet's header and context mean.
#[derive(Clone, Debug, Default)]
pub(crate) struct PacketRoles {
    pub(crate) magic: Option<Role>,
    pub(crate) stream: Option<Role>,
    pub(crate) instance: Option<Role>,
    pub(crate) begin: Option<Role>,
    pub(crate) end: Option<Role>,
    pub(crate) content: Option<Role>,
    pub(crate) size: Option<Role>,
    pub(crate) sequence: Option<Role>,
    pub(crate) discarded: Option<Role>,
    /// The way to the uuid among the header's fields.
    pub(crate) uuid: Option<Vec<usize>>,
}

/// How to read a packet's header and context.
#[derive(Debug, Default)]
pub(crate) struct PacketPlan {
    ops: Box<[Op]>,
    /// Bits from the beginning of the packet to its uuid.
    uuid: Option<u64>,
    roles: PacketRoles,
    /// Registers that are 0 when a packet begins.
    clear: Box<[Reg]>,
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
    /// The plan for the first two of `scopes`, whose integers get registers by their names.
    pub(crate) fn new(scopes: &mut [Option<StructType>; 6], registers: &mut Reg) -> Self {
        let mut roles = PacketRoles::default();
        if let Some(header) = &mut scopes[Scope::PacketHeader as usize] {
            roles.magic = role(header, "magic", registers);
            roles.stream = role(header, "stream_id", registers);
            roles.instance = role(header, "stream_instance_id", registers);
            roles.uuid = uuid_want(header).map(|at| vec![at]);
        }
        if let Some(context) = &mut scopes[Scope::PacketContext as usize] {
            roles.begin = role(context, "timestamp_begin", registers);
            roles.end = role(context, "timestamp_end", registers);
            roles.content = role(context, "content_size", registers);
            roles.size = role(context, "packet_size", registers);
            roles.sequence = role(context, "packet_seq_num", registers);
            roles.discarded = role(context, "events_discarded", registers);
        }
        Self::with_roles(roles, scopes, registers)
    }

    /// The plan for the first two of `scopes`, whose integers have the registers of `roles`. Which
    /// processor a packet is of, only the name `cpu_id` tells.
    pub(crate) fn with_roles(
        roles: PacketRoles,
        scopes: &mut [Option<StructType>; 6],
        registers: &mut Reg,
    ) -> Self {
        let context = scopes[Scope::PacketContext as usize].as_mut();
        let cpu = context.and_then(|context| role(context, "cpu_id", registers));
        let [header, context, ..] = scopes;
        let (uuid, ops) = compile([header.as_ref(), context.as_ref()], roles.uuid.as_deref());
        let PacketRoles {
            magic,
            stream,
            instance,
            begin,
            end,
            content,
            size,
            sequence,
            discarded,
            uuid: _,
        } = &roles;
        let all = [
            magic, stream, instance, begin, end, content, size, sequence, discarded,
        ];
        let clear = all.into_iter().flatten().filter_map(|role| role.flag);
        Self {
            ops,
            uuid,
            clear: clear.collect(),
            roles,
            cpu,
        }
    }

    /// How many bits the discarded-events counter has before it begins anew.
    pub(crate) fn discarded_bits(&self) -> u32 {
        self.roles.discarded.map_or(64, |role| role.size)
    }

    /// Where the stream id of the packet header is kept.
    pub(crate) fn stream_register(&self) -> Option<Reg> {
        self.roles.stream.map(|role| role.reg)
    }

    /// Whether every packet begins with a magic number of 32 bits and the trace's uuid, which
    /// together can be searched for.
    pub(crate) fn begins_with_magic_and_uuid(&self) -> bool {
        self.uuid == Some(32) && self.roles.magic.is_some_and(|role| role.size == 32)
    }

    /// Reads the packet that begins where the machine's window does.
    pub(crate) fn read(&self, machine: &mut Machine<'_>) -> Result<PacketFacts, Stop> {
        self.clear.iter().for_each(|&reg| machine.set(reg, 0));
        let events = machine.follow(&self.ops, 0)?;
        let register = |reg: Reg| machine.registers.get(reg as usize).copied();
        let get = |role: Option<Role>| {
            let role = role.filter(|role| role.flag.is_none_or(|flag| register(flag) == Some(1)));
            role.and_then(|role| register(role.reg))
        };
        let roles = &self.roles;
        let uuid = self.uuid.and_then(|at| {
            let bytes = machine.data.get((at / 8) as usize..)?;
            bytes.first_chunk::<16>().copied()
        });
        Ok(PacketFacts {
            magic: get(roles.magic),
            uuid,
            stream: get(roles.stream),
            instance: get(roles.instance),
            begin: get(roles.begin),
            end: get(roles.end),
            content: get(roles.content),
            size: get(roles.size),
            sequence: get(roles.sequence),
            discarded: get(roles.discarded),
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
        flag: None,
        size: int.size,
    })
}

/// The place of the uuid, and the steps of both scopes.
fn compile(scopes: [Option<&StructType>; 2], want: Option<&[usize]>) -> (Option<u64>, Box<[Op]>) {
    let (body, found) = super::compile::packet_body(scopes, want);
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
