//! Plans and walks, which were written apart, agree on random types and random bytes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::read::walk::walk_event;
use crate::test_support::{TestTrace, read_with};
use crate::{EventView, Extract, FieldType, Item, Scope, StructType};

/// Draws types.
pub(crate) struct Draw {
    pub(crate) state: u64,
    pub(crate) names: u32,
}

impl Draw {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        // Knuth's MMIX generator; its high bits are good enough to choose types.
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % n
    }

    pub(crate) fn pick<'p>(&mut self, from: &[&'p str]) -> &'p str {
        from[self.below(from.len() as u64) as usize]
    }

    pub(crate) fn name(&mut self) -> String {
        self.names += 1;
        format!("f{}", self.names)
    }

    fn int(&mut self) -> String {
        let (size, align) = if self.below(2) == 0 {
            (
                self.pick(&["8", "16", "32", "64"]).to_owned(),
                self.pick(&["8", "16", "64"]),
            )
        } else {
            (
                (self.below(64) + 1).to_string(),
                self.pick(&["1", "1", "2", "4"]),
            )
        };
        let sign = self.below(2);
        let order = self.pick(&["le", "be"]);
        let encoding = self.pick(&["none", "UTF8"]);
        format!(
            "integer {{ size = {size}; align = {align}; signed = {sign}; byte_order = {order}; \
             encoding = {encoding}; }}"
        )
    }

    fn small(&mut self) -> String {
        let size = self.below(3) + 1;
        format!(
            "integer {{ size = {size}; align = {}; }}",
            self.pick(&["1", "8"])
        )
    }

    fn ty(&mut self, depth: u32) -> String {
        match self.below(if depth > 2 { 6 } else { 7 }) {
            0 => "string".into(),
            1 => "floating_point { exp_dig = 8; mant_dig = 24; }".into(),
            2 => "floating_point { exp_dig = 11; mant_dig = 53; align = 1; }".into(),
            3 => format!("enum : {} {{ A, B = 2 ... 5, A = 3 }}", self.int()),
            4 | 5 => self.int(),
            _ => self.structure(depth + 1),
        }
    }

    fn structure(&mut self, depth: u32) -> String {
        let mut text = String::from("struct { ");
        for _ in 0..self.below(6) {
            let name = self.name();
            match self.below(6) {
                0 => {
                    let len = self.name();
                    let (small, ty) = (self.small(), self.ty(depth));
                    text += &format!("{small} {len}; {ty} {name}[{len}]; ");
                }
                1 => {
                    let (len, ty) = (self.below(4), self.ty(depth));
                    text += &format!("{ty} {name}[{len}]; ");
                }
                2 => {
                    let (tag, small) = (self.name(), self.small());
                    let (a, b) = (self.ty(depth), self.ty(depth));
                    text += &format!(
                        "enum : {small} {{ A = 0 ... 1, B = 2 ... 6 }} {tag}; \
                         variant <{tag}> {{ {a} A; {b} B; }} {name}; "
                    );
                }
                _ => text += &format!("{} {name}; ", self.ty(depth)),
            }
        }
        let align = self.pick(&["", "", "align(8)", "align(32)"]);
        text + "} " + align
    }
}

/// Names of all fields that can be bound.
pub(crate) fn leaves(structure: &StructType, prefix: &str, out: &mut Vec<String>) {
    for field in structure.fields() {
        leaf(
            field.field_type(),
            &format!("{prefix}{}", field.name()),
            out,
        );
    }
}

fn leaf(ty: &FieldType, path: &str, out: &mut Vec<String>) {
    match ty {
        FieldType::Optional(optional) => leaf(optional.field_type(), path, out),
        FieldType::Struct(inner) => leaves(inner, &format!("{path}."), out),
        FieldType::Variant(variant) => {
            for option in variant.options() {
                leaf(
                    option.field_type(),
                    &format!("{path}.{}", option.name()),
                    out,
                );
            }
        }
        _ => out.push(path.to_owned()),
    }
}

/// What one can see of a field both ways.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Int(u64),
    Bool(bool),
    Float(u64),
    Text(Vec<u8>),
    Array,
}

/// Collects the bindable fields of a walk.
#[derive(Default)]
struct Collect {
    path: Vec<String>,
    arrays: u32,
    /// The item that follows is what a variant holds and is named already.
    inside: bool,
    seen: BTreeMap<String, Seen>,
}

impl Collect {
    fn take(&mut self, name: &str, item: Item<'_>) {
        let named = std::mem::replace(&mut self.inside, false);
        let seen = match item {
            Item::ScopeBegin(_) | Item::ScopeEnd(_) => return,
            Item::StructEnd => return drop(self.path.pop()),
            Item::VariantEnd => return drop(self.path.pop()),
            Item::ArrayEnd => return self.arrays -= 1,
            Item::StructBegin => {
                return self
                    .path
                    .push(if named { String::new() } else { name.into() });
            }
            Item::VariantBegin { option } => {
                let name = if named {
                    option.to_owned()
                } else {
                    format!("{name}.{option}")
                };
                self.path.push(name);
                return self.inside = true;
            }
            Item::ArrayBegin { .. } => Seen::Array,
            Item::Int { value, .. } | Item::Enum { value, .. } => Seen::Int(value as u64),
            Item::Float { value, .. } => Seen::Float(value.to_bits()),
            Item::Text(text) => Seen::Text(text.to_vec()),
            Item::Bool(value) => Seen::Bool(value),
            Item::BitMap { value, .. } => Seen::Int(value),
            Item::Blob(bytes) => Seen::Text(bytes.to_vec()),
            Item::Absent => return,
            Item::Opaque { .. } => Seen::Array,
        };
        if self.arrays == 0 {
            let mut path: Vec<&str> = self.path.iter().map(String::as_str).collect();
            if !named {
                path.push(name);
            }
            path.retain(|part| !part.is_empty());
            self.seen.insert(path.join("."), seen);
        }
        self.arrays += u32::from(matches!(item, Item::ArrayBegin { .. }));
    }
}

/// Compares both ways for each event.
pub(crate) struct Compare(pub(crate) Vec<String>);

impl Extract for Compare {
    type Out = ();

    fn extract(&mut self, event: &EventView<'_>) -> Option<()> {
        let mut collect = Collect::default();
        let end = walk_event(&event.source(), &[Scope::Payload], &mut |name, item| {
            collect.take(name, item);
        });
        assert_eq!(end, Ok(event.source().end));
        for (slot, path) in self.0.iter().enumerate() {
            let walked = collect.seen.get(path);
            assert_eq!(event.has(slot), walked.is_some(), "{path}");
            match walked {
                Some(Seen::Int(value)) => assert_eq!(event.u64(slot), Some(*value), "{path}"),
                Some(Seen::Bool(value)) => {
                    assert_eq!(event.u64(slot).map(|n| n != 0), Some(*value), "{path}");
                }
                // Wide text is given as it lies.
                Some(Seen::Text(_)) if path.contains("wide") => {
                    assert!(event.bytes(slot).is_some(), "{path}");
                }
                Some(Seen::Float(bits)) => {
                    assert_eq!(event.f64(slot).map(f64::to_bits), Some(*bits), "{path}");
                }
                Some(Seen::Text(text)) => {
                    assert_eq!(event.bytes(slot), Some(text.as_slice()), "{path}");
                }
                Some(Seen::Array) | None => {}
            }
        }
        let owned = event.to_owned();
        let value = event.value(Scope::Payload);
        assert_eq!(
            format!("{:?}", owned.value(event.trace(), Scope::Payload)),
            format!("{value:?}")
        );
        Some(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn plans_and_walks_agree(
        seed in any::<u64>(),
        data in proptest::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 0..400),
    ) {
        let mut draw = Draw { state: seed, names: 0 };
        let context = draw.structure(1);
        let payload = draw.structure(0);
        let metadata = format!(
            "trace {{ byte_order = le; }}; \
             stream {{ event.header := struct {{ integer {{ size = 3; align = 1; }} x; }}; }}; \
             event {{ name = e; context := {context}; fields := {payload}; }};"
        );
        let dir = TestTrace::new(&metadata);
        dir.file("s", &data);
        let trace = dir.open();
        let mut names = Vec::new();
        leaves(trace.event_classes()[0].fields().unwrap(), "", &mut names);
        let fields: Vec<&str> = names.iter().map(String::as_str).collect();
        if !data.is_empty() {
            let (events, _) = read_with(&trace, 0, &fields, Compare(names.clone()));
            prop_assert_eq!(trace.count(1).total, events.len() as u64);
        }
    }
}
