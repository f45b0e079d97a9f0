//! In the test bed's dialect, events, fields and their order around entries and exits are those of
//! real traces. `extract.py` made the data and says how.

use std::collections::{HashMap, HashSet};

use virtflow_ctf::writer::{Field, FieldType, IntegerType};

use super::{Ev, generate_logged, variant};
use crate::Dialect;
use crate::trace::classes;

const FIELDS: &str = include_str!("fields.txt");
const ORDER: &str = include_str!("order.txt");

/// Classes that are not compared: parsed network headers (the variant is a part of the real one),
/// and events no test bed records.
const NOT_COMPARED: &[&str] = &["net_if_receive_skb", "net_dev_queue"];

fn told(field: &Field) -> Vec<String> {
    let name = &field.name;
    let integer = |int: &IntegerType| {
        let sign = match int {
            IntegerType { signed: true, .. } => 's',
            IntegerType { base: 16, .. } => 'x',
            _ => 'u',
        };
        format!("{sign}{}", int.bits)
    };
    let element = |ty: &FieldType| match ty {
        FieldType::Integer(int) => integer(int),
        other => panic!("{name}: {other:?}"),
    };
    vec![match &field.ty {
        FieldType::Integer(int) => format!("{name}:{}", integer(int)),
        FieldType::Text(length) => format!("{name}:text{length}"),
        FieldType::String => format!("{name}:str"),
        FieldType::Array(ty, length) => format!("{name}:{}[{length}]", element(ty)),
        FieldType::Sequence {
            length,
            element: ty,
        } => {
            format!("{name}:{}[{length}]", element(ty))
        }
        other => panic!("{name}: {other:?}"),
    }]
}

#[test]
fn classes_have_the_real_fields() {
    let real: HashMap<&str, &str> = FIELDS
        .lines()
        .map(|line| (line.split(' ').next().unwrap(), line))
        .collect();
    for class in classes(&Dialect::default()) {
        if NOT_COMPARED.contains(&class.name.as_str()) {
            continue;
        }
        let mut ours = vec![class.name.clone()];
        ours.extend(class.fields.iter().flat_map(told));
        assert_eq!(
            Some(&ours.join(" ").as_str()),
            real.get(class.name.as_str())
        );
    }
}

/// Orders that are right and that the real traces happen not to have.
const TOLERATED: &[(&str, &str, &str)] = &[
    (
        "kvm_x86_nested_vmexit",
        "kvm_x86_entry",
        "a host interrupt with nothing in it for L1",
    ),
    (
        "kvm_x86_msr",
        "kvm_x86_inj_virq",
        "another CPU had the vector accepted meanwhile",
    ),
    ("kvm_x86_cpuid", "kvm_x86_inj_virq", "the same"),
    ("kvm_x86_page_fault", "kvm_x86_inj_virq", "the same"),
    ("kvm_x86_apic", "kvm_x86_inj_virq", "the same"),
    ("kvm_fpu", "kvm_x86_inj_virq", "the same"),
    (
        "kvm_x86_nested_vmexit_inject",
        "kvm_x86_inj_virq",
        "the same",
    ),
];

/// As `extract.py` counts.
fn order(log: &[(usize, Ev)], names: &HashMap<u32, String>) -> HashMap<(String, String), u64> {
    let counts = |name: &str| {
        let kvm = name.starts_with("kvm_")
            && !name.starts_with("kvm_mmu")
            && !name.starts_with("kvm_x86_emul");
        kvm || name.starts_with("vcpu_") || name == "sched_switch"
    };
    let (mut pairs, mut last) = (HashMap::new(), HashMap::<usize, &str>::new());
    for &(cpu, ev) in log {
        let name = names[&(ev as u32)].as_str();
        if !counts(name) {
            continue;
        }
        if let Some(before) = last.insert(cpu, name) {
            *pairs
                .entry((before.to_owned(), name.to_owned()))
                .or_default() += 1;
        }
    }
    pairs
}

#[test]
fn events_come_in_the_real_order() {
    let mut scenario = variant("testbed", |s| (s.nested, s.vcpus, s.cpus) = (1, 2, 2));
    scenario.seconds = 2.0;
    scenario.truth = false;
    let dir = tempfile::tempdir().unwrap();
    let (_, log) = generate_logged(&scenario, dir.path());
    let names: HashMap<u32, String> = classes(&scenario.dialect)
        .into_iter()
        .map(|class| (class.id, class.name))
        .collect();
    let ours = order(&log, &names);
    let real: HashMap<(String, String), u64> = ORDER
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            (
                (words[1].to_owned(), words[2].to_owned()),
                words[0].parse().unwrap(),
            )
        })
        .collect();
    let tolerated: HashSet<(String, String)> = TOLERATED
        .iter()
        .map(|&(a, b, _)| (a.to_owned(), b.to_owned()))
        .collect();
    let odd: Vec<_> = ours
        .iter()
        .filter(|(pair, _)| !real.contains_key(*pair) && !tolerated.contains(*pair))
        .collect();
    assert!(odd.is_empty(), "orders no real trace has: {odd:?}");
    let covered = real.iter().filter(|(pair, _)| ours.contains_key(*pair));
    let share = covered.map(|(_, n)| *n).sum::<u64>() as f64 / real.values().sum::<u64>() as f64;
    assert!(share > 0.99, "only {share} of the real order occurs");
}
