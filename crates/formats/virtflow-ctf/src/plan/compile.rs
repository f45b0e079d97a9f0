//! From types to plans.
//!
//! While compiling, the position is known as a distance from a base of known alignment. Only
//! what moves by an unknown amount (a string, a sequence, a coarser alignment) begins a new base;
//! everything between costs nothing at run time.

use super::{Layout, LebOp, Length, Op, SIZE_MAX};
use crate::bits::align_up;
use crate::metadata::{Choice, FieldType, IntType, Reg, Scope, StructType};

/// The plan of an event behind its header.
#[derive(Debug, Default)]
pub(crate) struct Body {
    /// The alignment of its beginning, less one.
    pub(crate) mask: u64,
    /// Its size where it is always the same; then `ops` is empty.
    pub(crate) size: u64,
    pub(crate) ops: Box<[Op]>,
}

impl Body {
    /// The plan of an event's three own scopes.
    pub(crate) fn new(scopes: [Option<&StructType>; 3]) -> Self {
        Self::with_wants(scopes, &[]).0
    }

    /// The same, and where each of `wants` is found.
    pub(crate) fn with_wants(
        scopes: [Option<&StructType>; 3],
        wants: &[Want],
    ) -> (Self, Vec<Found>) {
        let align = scopes
            .into_iter()
            .flatten()
            .next()
            .map_or(1, |scope| scope.align);
        let mut compiler = Compiler::new(align, wants.len());
        let names = [Scope::StreamContext, Scope::EventContext, Scope::Payload];
        for (name, scope) in names.into_iter().zip(scopes) {
            let Some(scope) = scope else { continue };
            let here = wants
                .iter()
                .enumerate()
                .filter(|(_, want)| want.scope == name);
            let here: Vec<Active<'_>> = here
                .map(|(slot, want)| (slot as u32, want.path.as_slice()))
                .collect();
            compiler.structure(scope, &here);
        }
        let (size, ops) = compiler.finish();
        (
            Self {
                mask: align - 1,
                size,
                ops,
            },
            compiler.found,
        )
    }
}

/// The plan of a packet's header and context, and where the header's member at the path `want` is.
pub(super) fn packet_body(
    scopes: [Option<&StructType>; 2],
    want: Option<&[usize]>,
) -> (Body, Option<Found>) {
    // A packet begins at bit 0, a multiple of everything.
    let mut compiler = Compiler::new(crate::tsdl::ALIGN_MAX, 1);
    for (i, scope) in scopes.into_iter().enumerate() {
        let Some(scope) = scope else { continue };
        if i == 0
            && let Some(path) = want
        {
            compiler.structure(scope, &[(0, path)]);
        } else {
            compiler.structure(scope, &[]);
        }
    }
    let (size, ops) = compiler.finish();
    let found = compiler.found.first().copied().filter(|_| want.is_some());
    (Body { mask: 0, size, ops }, found)
}

/// A field somebody wants: the members and options on the way to it, as numbers.
#[derive(Clone, Debug)]
pub(crate) struct Want {
    pub(crate) scope: Scope,
    pub(crate) path: Vec<usize>,
}

/// Where a wanted field will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nowhere.
    Absent,
    /// So many bits behind the beginning of the body.
    At(u64),
    /// Where the mark of this slot says.
    Marked,
}

/// A slot and what is left of its path.
type Active<'w> = (u32, &'w [usize]);

#[derive(Clone, Copy)]
struct Position {
    /// What the base is a multiple of, in bits.
    align: u64,
    /// Bits from the base to here.
    offset: u64,
    /// Bits from the base to where the emitted steps have gone.
    emitted: u64,
    /// Whether the base is the beginning of the body.
    from_start: bool,
}

pub(super) struct Compiler {
    ops: Vec<Op>,
    at: Position,
    /// How many variants and repetitions are around.
    conditional: u32,
    /// Whether clocks mean something here.
    pub(super) header: bool,
    /// Whether what is called `id` means something here.
    pub(super) named: bool,
    found: Vec<Found>,
}

const fn add(a: u64, b: u64) -> u64 {
    let sum = a.saturating_add(b);
    if sum > SIZE_MAX { SIZE_MAX } else { sum }
}

const fn times(a: u64, b: u64) -> u64 {
    let product = a.saturating_mul(b);
    if product > SIZE_MAX {
        SIZE_MAX
    } else {
        product
    }
}

/// The largest power of two that divides `n`.
const fn divisor(n: u64) -> u64 {
    if n == 0 {
        1 << 63
    } else {
        n & n.wrapping_neg()
    }
}

impl Compiler {
    /// Begins at a multiple of `align` bits.
    pub(super) fn new(align: u64, slots: usize) -> Self {
        Self {
            ops: Vec::new(),
            at: Position {
                align,
                offset: 0,
                emitted: 0,
                from_start: true,
            },
            conditional: 0,
            header: false,
            named: false,
            found: vec![Found::Absent; slots],
        }
    }

    /// The size, if that is all there is to it, or the steps.
    pub(super) fn finish(&mut self) -> (u64, Box<[Op]>) {
        if self.ops.is_empty() {
            return (self.at.offset, Box::default());
        }
        self.flush();
        (0, std::mem::take(&mut self.ops).into_boxed_slice())
    }

    fn flush(&mut self) {
        let bits = self.at.offset - self.at.emitted;
        if bits > 0 {
            self.ops.push(Op::Skip { bits });
            self.at.emitted = self.at.offset;
        }
    }

    /// Everything further on is counted from a new base here, a multiple of `align`.
    fn rebase(&mut self, align: u64) {
        self.at = Position {
            align,
            offset: 0,
            emitted: 0,
            from_start: false,
        };
    }

    pub(super) fn align(&mut self, align: u64) {
        if align <= self.at.align {
            self.at.offset = add(align_up(self.at.offset, align - 1), 0);
        } else {
            self.flush();
            self.ops.push(Op::Align { mask: align - 1 });
            self.rebase(align);
        }
    }

    /// What the position is known to be a multiple of.
    fn alignment(&self) -> u64 {
        self.at.align.min(divisor(self.at.offset))
    }

    const fn ahead(&self) -> u64 {
        self.at.offset - self.at.emitted
    }

    fn note(&mut self, wants: &[Active<'_>]) {
        for (slot, _) in wants.iter().filter(|(_, rest)| rest.is_empty()) {
            let found = if self.at.from_start && self.conditional == 0 {
                Found::At(self.at.offset)
            } else {
                self.ops.push(Op::Mark {
                    ahead: self.ahead(),
                    slot: *slot,
                });
                Found::Marked
            };
            self.found[*slot as usize] = found;
        }
    }

    fn wanted_here(&mut self, wants: &[Active<'_>]) -> Option<u32> {
        let slot = wants
            .iter()
            .find(|(_, rest)| rest.is_empty())
            .map(|(slot, _)| *slot)?;
        self.found[slot as usize] = Found::Marked;
        Some(slot)
    }

    pub(super) fn structure(&mut self, structure: &StructType, wants: &[Active<'_>]) {
        self.align(structure.align);
        for (i, field) in structure.fields.iter().enumerate() {
            let named_id = field.name() == "id";
            self.field(&field.ty, named_id, &inside(wants, i));
        }
    }

    fn field(&mut self, ty: &FieldType, named_id: bool, wants: &[Active<'_>]) {
        match ty {
            FieldType::Int(int) => self.int(int, named_id, wants),
            FieldType::Enum(enumeration) => self.int(&enumeration.int, named_id, wants),
            FieldType::Float(float) => {
                self.align(float.align);
                self.note(wants);
                self.at.offset = add(self.at.offset, u64::from(float.size));
            }
            FieldType::Bool(int) => self.int(int, named_id, wants),
            FieldType::BitMap(map) => self.int(&map.int, named_id, wants),
            FieldType::Opaque(opaque) => {
                self.align(opaque.align);
                self.note(wants);
                self.at.offset = add(self.at.offset, opaque.size);
            }
            FieldType::String(string) => {
                self.align(8);
                self.flush();
                let slot = self.wanted_here(wants);
                self.ops.push(match string.encoding.unit() {
                    1 => Op::Text { slot },
                    unit => Op::WideText {
                        slot,
                        unit: unit as u32,
                    },
                });
                self.rebase(8);
            }
            FieldType::Struct(structure) => self.structure(structure, wants),
            FieldType::Array(array) => {
                self.align(ty.align());
                self.note(wants);
                self.elements(&array.element, Length::Fixed(array.len));
            }
            FieldType::Sequence(sequence) => {
                self.need(sequence.needs);
                self.align(ty.align());
                if let Some(slot) = self.wanted_here(wants) {
                    self.flush();
                    self.ops.push(Op::MarkSequence {
                        slot,
                        len: sequence.len,
                    });
                }
                self.elements(&sequence.element, Length::Counted(sequence.len));
            }
            FieldType::Variant(variant) => {
                let options = variant.options.iter().enumerate().map(|(i, option)| {
                    let named_id = option.name() == "id";
                    (&option.ty, named_id, inside(wants, i))
                });
                let choice = Choosing {
                    tag: variant.tag,
                    signed: variant.tag_signed,
                    needs: variant.needs,
                    choices: &variant.choices,
                    or_nothing: false,
                };
                self.choose(ty, &choice, options);
            }
            FieldType::Optional(optional) => {
                let choice = Choosing {
                    tag: optional.tag,
                    signed: optional.tag_signed,
                    needs: optional.needs,
                    choices: &optional.choices,
                    or_nothing: true,
                };
                let option = (&*optional.field, named_id, wants.to_vec());
                self.choose(ty, &choice, std::iter::once(option));
            }
        }
    }

    fn need(&mut self, reg: Option<Reg>) {
        if let Some(reg) = reg {
            self.ops.push(Op::Need { reg });
        }
    }

    fn int(&mut self, int: &IntType, named_id: bool, wants: &[Active<'_>]) {
        self.align(int.align);
        let named_id = self.header && self.named && named_id;
        let clock = self.header && int.clock.is_some();
        let keep = int.keep.as_deref();
        let regs = int.reg.into_iter();
        let regs = regs.chain(keep.into_iter().flat_map(|keep| keep.regs.iter().copied()));
        let regs = regs.chain(named_id.then_some(0));
        if int.variable {
            self.flush();
            let slot = self.wanted_here(wants);
            self.ops.push(Op::Leb(Box::new(LebOp {
                signed: int.signed,
                regs: regs.collect(),
                clock,
                slot,
            })));
            self.rebase(8);
        } else {
            self.note(wants);
            let layout = Layout::new(int);
            let ahead = self.ahead();
            self.ops
                .extend(regs.map(|reg| Op::Read { ahead, layout, reg }));
            if clock {
                self.ops.push(Op::Clock { ahead, layout });
            }
            self.at.offset = add(self.at.offset, u64::from(int.size));
        }
        let flags = keep.into_iter().flat_map(|keep| [&keep.flags, &keep.seen]);
        let flags = flags.flatten();
        self.ops.extend(flags.map(|&reg| Op::Set { reg, value: 1 }));
    }

    /// The position is already aligned for the first element.
    fn elements(&mut self, element: &FieldType, len: Length) {
        let align = element.align();
        let mut inner = Self::new(align, 0);
        inner.header = self.header;
        inner.named = self.named;
        inner.conditional = 1;
        inner.align(align);
        inner.field(element, false, &[]);
        let (size, body) = inner.finish();
        if !body.is_empty() {
            self.flush();
            let mut steps = body.into_vec();
            if align > 1 {
                steps.insert(0, Op::Align { mask: align - 1 });
            }
            self.ops.push(Op::Repeat {
                len,
                body: steps.into(),
            });
            self.rebase(1);
            return;
        }
        let stride = add(align_up(size, align - 1), 0);
        match len {
            Length::Fixed(0) => {}
            Length::Fixed(len) => {
                let bits = add(times(len - 1, stride), size);
                self.at.offset = add(self.at.offset, bits);
            }
            Length::Counted(len) => {
                self.flush();
                self.ops.push(Op::Elements { len, size, stride });
                let align = self.alignment().min(divisor(size)).min(divisor(stride));
                self.rebase(align);
            }
        }
    }

    fn choose<'t, 'w: 't>(
        &mut self,
        ty: &FieldType,
        choosing: &Choosing<'_>,
        all: impl Iterator<Item = (&'t FieldType, bool, Vec<Active<'w>>)>,
    ) {
        self.need(choosing.needs);
        let mut flags = Vec::new();
        flags_inside(ty, &mut flags);
        let clear = flags.into_iter().map(|reg| Op::Set { reg, value: 0 });
        self.ops.extend(clear);
        self.flush();
        let before = self.at;
        let outer = std::mem::take(&mut self.ops);
        self.conditional += 1;
        let mut ends = Vec::new();
        let mut options = Vec::new();
        let mut choices = choosing.choices.to_vec();
        for (ty, named_id, wants) in all {
            self.at = before;
            self.field(ty, named_id, &wants);
            self.flush();
            ends.push(self.at);
            options.push(std::mem::take(&mut self.ops).into_boxed_slice());
        }
        if choosing.or_nothing {
            // The first that fits counts, and this fits always.
            choices.push(Choice {
                low: 0,
                high: u64::MAX,
                option: options.len() as u32,
            });
            ends.push(before);
            options.push(Box::default());
        }
        self.conditional -= 1;
        self.ops = outer;
        self.ops.push(Op::Choose {
            tag: choosing.tag,
            signed: choosing.signed,
            choices: choices.into(),
            options: options.into(),
        });
        let same = ends.iter().all(|end| {
            end.offset == ends[0].offset
                && end.align == before.align
                && end.from_start == before.from_start
        });
        if same && before.from_start && !ends.is_empty() {
            self.at = ends[0];
        } else {
            let align = ends
                .iter()
                .map(|end| end.align.min(divisor(end.offset)))
                .min();
            self.rebase(align.unwrap_or(1));
        }
    }
}

/// What of a variant or optional field tells which types it may take.
struct Choosing<'t> {
    tag: Reg,
    signed: bool,
    needs: Option<Reg>,
    choices: &'t [Choice],
    /// Whether it may be nothing.
    or_nothing: bool,
}

/// The flags that reading `ty` may set.
pub(crate) fn flags_inside(ty: &FieldType, out: &mut Vec<Reg>) {
    match ty {
        FieldType::Struct(structure) => {
            structure
                .fields
                .iter()
                .for_each(|f| flags_inside(&f.ty, out));
        }
        FieldType::Variant(variant) => {
            variant
                .options
                .iter()
                .for_each(|f| flags_inside(&f.ty, out));
        }
        FieldType::Optional(optional) => flags_inside(&optional.field, out),
        // What is in an array is asked for by what is in the same element only.
        _ => {
            let keep = ty.int().and_then(|int| int.keep.as_deref());
            out.extend(keep.into_iter().flat_map(|keep| keep.flags.iter().copied()));
        }
    }
}

/// The wants that lie in member or option `i`.
fn inside<'w>(wants: &[Active<'w>], i: usize) -> Vec<Active<'w>> {
    wants
        .iter()
        .filter_map(|(slot, rest)| {
            let (first, rest) = rest.split_first()?;
            (*first == i).then_some((*slot, rest))
        })
        .collect()
}
