//! From types to plans.
//!
//! While compiling, the position is known as a distance from a base of known alignment. Only
//! what moves by an unknown amount (a string, a sequence, a coarser alignment) begins a new base;
//! everything between costs nothing at run time.

use super::{Layout, Length, Op, SIZE_MAX};
use crate::bits::align_up;
use crate::metadata::{FieldType, IntType, Scope, StructType, VariantType};

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

/// The plan of a packet's header and context, and where the header's member `want` is.
pub(super) fn packet_body(
    scopes: [Option<&StructType>; 2],
    want: Option<usize>,
) -> (Body, Option<Found>) {
    // A packet begins at bit 0, a multiple of everything.
    let mut compiler = Compiler::new(crate::tsdl::ALIGN_MAX, 1);
    let path: Vec<usize> = want.into_iter().collect();
    for (i, scope) in scopes.into_iter().enumerate() {
        let Some(scope) = scope else { continue };
        if i == 0 && want.is_some() {
            compiler.structure(scope, &[(0, path.as_slice())]);
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
    /// Whether `id` and clocks mean something here.
    pub(super) header: bool,
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
            FieldType::String(_) => {
                self.align(8);
                self.flush();
                let slot = self.wanted_here(wants);
                self.ops.push(Op::Text { slot });
                self.rebase(8);
            }
            FieldType::Struct(structure) => self.structure(structure, wants),
            FieldType::Array(array) => {
                self.align(ty.align());
                self.note(wants);
                self.elements(&array.element, Length::Fixed(array.len));
            }
            FieldType::Sequence(sequence) => {
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
            FieldType::Variant(variant) => self.variant(variant, wants),
        }
    }

    fn int(&mut self, int: &IntType, named_id: bool, wants: &[Active<'_>]) {
        self.align(int.align);
        self.note(wants);
        let layout = Layout {
            size: int.size,
            signed: int.signed,
            order: int.order,
        };
        let ahead = self.ahead();
        if let Some(reg) = int.reg {
            self.ops.push(Op::Read { ahead, layout, reg });
        }
        if self.header && named_id {
            self.ops.push(Op::Read {
                ahead,
                layout,
                reg: 0,
            });
        }
        if self.header && int.clock.is_some() {
            self.ops.push(Op::Clock {
                ahead,
                size: int.size,
                order: int.order,
            });
        }
        self.at.offset = add(self.at.offset, u64::from(int.size));
    }

    /// The position is already aligned for the first element.
    fn elements(&mut self, element: &FieldType, len: Length) {
        let align = element.align();
        let mut inner = Self::new(align, 0);
        inner.header = self.header;
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

    fn variant(&mut self, variant: &VariantType, wants: &[Active<'_>]) {
        self.flush();
        let before = self.at;
        let outer = std::mem::take(&mut self.ops);
        self.conditional += 1;
        let mut ends = Vec::new();
        let mut options = Vec::new();
        for (i, option) in variant.options.iter().enumerate() {
            self.at = before;
            self.field(&option.ty, option.name() == "id", &inside(wants, i));
            self.flush();
            ends.push(self.at);
            options.push(std::mem::take(&mut self.ops).into_boxed_slice());
        }
        self.conditional -= 1;
        self.ops = outer;
        self.ops.push(Op::Choose {
            tag: variant.tag,
            signed: variant.tag_signed,
            choices: variant.choices.as_slice().into(),
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
