//! Processors, and how KVM is set.

use super::out::{Class, Out};
use super::proc::{entries, fact, number, read};
use std::collections::HashMap;
use std::path::Path;

const CPUS: &str = "/sys/devices/system/cpu";
/// The most that is read of `/proc/cpuinfo`: 8,192 processors of 2 KiB each.
const CPUINFO_BYTES_MAX: u64 = 1 << 24;

pub(super) fn write(out: &mut Out<'_>) {
    out.look();
    let text = read(Path::new("/proc/cpuinfo"), CPUINFO_BYTES_MAX).unwrap_or_default();
    let told = Cpuinfo::all(&String::from_utf8_lossy(&text));
    for cpu in &told {
        topology(out, cpu);
    }
    let names = entries(Path::new(CPUS)).into_iter();
    let mut cpus: Vec<u32> = names
        .filter_map(|name| name.strip_prefix("cpu")?.parse().ok())
        .collect();
    cpus.sort_unstable();
    for cpu in cpus {
        let path = Path::new(CPUS).join(format!("cpu{cpu}"));
        place(out, cpu, &path);
        let now = told.iter().find(|told| told.number == cpu);
        frequency(
            out,
            cpu,
            &path.join("cpufreq"),
            now.and_then(|told| told.khz),
        );
    }
    parameters(out);
}

/// A processor as `/proc/cpuinfo` has it (arch/x86/kernel/cpu/proc.c).
#[derive(Debug, Default, PartialEq)]
struct Cpuinfo {
    number: u32,
    words: HashMap<&'static str, String>,
    khz: Option<u32>,
}

/// What is wanted of it.
const WORDS: [&str; 7] = [
    "vendor_id",
    "cpu family",
    "model",
    "model name",
    "physical id",
    "core id",
    "cpu cores",
];

impl Cpuinfo {
    fn all(text: &str) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
            let (key, value) = (key.trim(), value.trim());
            if key == "processor" {
                let Ok(number) = value.parse() else { break };
                all.push(Self {
                    number,
                    ..Self::default()
                });
            }
            let Some(cpu) = all.last_mut() else { continue };
            if key == "cpu MHz" {
                cpu.khz = value.parse().ok().map(|mhz: f64| (mhz * 1e3) as u32);
            } else if let Some(word) = WORDS.iter().find(|word| **word == key) {
                cpu.words.insert(word, value.to_owned());
            }
        }
        all
    }

    fn word(&self, of: &str) -> &str {
        self.words.get(of).map_or("", String::as_str)
    }

    fn number_of(&self, of: &str) -> u32 {
        self.word(of).parse().unwrap_or(0)
    }
}

fn topology(out: &mut Out<'_>, cpu: &Cpuinfo) {
    out.event(Class::CpuTopology, |p| {
        p.string(b"x86").u16(cpu.number as u16);
        p.string(cpu.word("vendor_id").as_bytes());
        p.u8(cpu.number_of("cpu family") as u8)
            .u8(cpu.number_of("model") as u8);
        p.string(cpu.word("model name").as_bytes());
        for of in ["physical id", "core id", "cpu cores"] {
            p.u16(cpu.number_of(of) as u16);
        }
    });
}

/// Which node a processor is of, and which others share its core.
fn place(out: &mut Out<'_>, cpu: u32, path: &Path) {
    let node = entries(path)
        .into_iter()
        .find_map(|name| name.strip_prefix("node")?.parse::<i32>().ok());
    // The first processor may have no switch: it cannot be turned off.
    let online = number::<u8>(&path.join("online"));
    let siblings = fact(&path.join("topology/thread_siblings_list"));
    let online = online.or_else(|| siblings.is_some().then_some(1));
    out.event(Class::Cpu, |p| {
        p.u32(cpu).u8(online.unwrap_or(u8::MAX));
        p.i32(node.unwrap_or(-1));
        p.string(siblings.unwrap_or_default().as_bytes());
    });
}

/// Its frequencies. What it is now is asked of nobody but `/proc/cpuinfo`, which asks all at once:
/// `scaling_cur_freq` may wait for each processor.
fn frequency(out: &mut Out<'_>, cpu: u32, path: &Path, now: Option<u32>) {
    let khz = |name: &str| number::<u32>(&path.join(name)).unwrap_or(0);
    let word = |name: &str| fact(&path.join(name)).unwrap_or_default();
    if now.is_none() && !path.exists() {
        return;
    }
    out.event(Class::CpuFrequency, |p| {
        p.u32(cpu).u32(now.unwrap_or(0));
        p.u32(khz("cpuinfo_min_freq")).u32(khz("cpuinfo_max_freq"));
        p.u32(khz("base_frequency"));
        p.string(word("scaling_driver").as_bytes());
        p.string(word("scaling_governor").as_bytes());
    });
}

/// The parameters of KVM's modules.
fn parameters(out: &mut Out<'_>) {
    let modules = Path::new("/sys/module");
    let names = entries(modules).into_iter();
    for module in names.filter(|name| name == "kvm" || name.starts_with("kvm_")) {
        let path = modules.join(&module).join("parameters");
        for name in entries(&path) {
            let Some(value) = fact(&path.join(&name)) else {
                continue;
            };
            out.event(Class::KvmParameter, |p| {
                p.string(module.as_bytes()).string(name.as_bytes());
                p.string(value.as_bytes());
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_of_cpuinfo() {
        let text = "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 1\n\
            model name\t: AMD EPYC 7763: 64-Core\ncpu MHz\t\t: 2445.404\nphysical id\t: 0\n\n\
            processor\t: 130\ncore id\t\t: 7\nflags\t\t: svm\n";
        let all = Cpuinfo::all(text);
        let [first, second] = &all[..] else { panic!() };
        assert_eq!((first.number, first.khz), (0, Some(2_445_404)));
        assert_eq!(first.word("model name"), "AMD EPYC 7763: 64-Core");
        assert_eq!(
            (first.number_of("model"), first.number_of("core id")),
            (1, 0)
        );
        assert_eq!(
            (second.number, second.number_of("core id"), second.khz),
            (130, 7, None)
        );
        assert!(Cpuinfo::all("model: 1\nprocessor: x\n").is_empty());
    }
}
