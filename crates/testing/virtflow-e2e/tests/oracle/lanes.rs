//! Lanes and their rows, ours and the truth's in one form.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use virtflow_query::{IntervalRow, Kind, State};

/// A word kept for good: rows are many, words are few.
pub(crate) fn word(text: &str) -> &'static str {
    static WORDS: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
    let mut words = WORDS.lock().unwrap();
    if let Some(known) = words.get(text) {
        return known;
    }
    let kept: &'static str = Box::leak(text.into());
    words.insert(kept);
    kept
}

/// A key without when its threads began, on which ours and the truth need not agree.
pub(crate) fn plain(key: &str) -> &'static str {
    let mut out = String::new();
    for part in key.split('/') {
        let name = part.split_once('@').map_or(part, |(name, _)| name);
        if !out.is_empty() {
            out.push('/');
        }
        out.push_str(name);
    }
    word(&out)
}

/// One state of one lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) state: &'static str,
    pub(crate) level: u8,
    pub(crate) cause: &'static str,
    pub(crate) by: &'static str,
    pub(crate) proved: bool,
    pub(crate) evidence: &'static str,
}

impl Row {
    /// As the vocabulary has it for the host's lanes: the state and what else must agree.
    pub(crate) fn label(&self) -> String {
        let cause = self.cause;
        match self.state {
            "guest" => format!("guest L{}", self.level),
            "hypervisor" => format!("hypervisor {}", cause.trim_start_matches("exit-")),
            "vmm" => match cause.trim_start_matches("vmm-") {
                "ioapic-eoi" => "vmm other".into(),
                reason => format!("vmm {reason}"),
            },
            "irq-stolen" => format!("irq-stolen {cause}"),
            "unknown" => format!("unknown {cause}"),
            state => state.into(),
        }
    }

    pub(crate) fn shown(&self, zero: i64) -> String {
        let Self { cause, by, .. } = self;
        let proved = if self.proved { "proved" } else { "likely" };
        format!(
            "{:>12}..{:<12} {} L{} cause={cause} by={by} {proved} {}",
            self.start - zero,
            self.end - zero,
            self.state,
            self.level,
            self.evidence,
        )
    }
}

/// One lane: what shares kind, key and virtual processor.
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) kind: &'static str,
    pub(crate) key: &'static str,
    /// The VM, or for a nested VM's things the nested one.
    pub(crate) vm: &'static str,
    pub(crate) vcpu: &'static str,
    pub(crate) tid: i64,
    pub(crate) rows: Vec<Row>,
}

impl Lane {
    pub(crate) fn at(&self, t: i64) -> Option<&Row> {
        let next = self.rows.partition_point(|row| row.start <= t);
        let row = &self.rows[next.checked_sub(1)?];
        (t < row.end).then_some(row)
    }

    pub(crate) fn begin(&self) -> i64 {
        self.rows.first().map_or(i64::MAX, |row| row.start)
    }

    pub(crate) fn end(&self) -> i64 {
        self.rows.last().map_or(i64::MIN, |row| row.end)
    }

    /// The rows around `t`, for people.
    pub(crate) fn near(&self, t: i64, zero: i64) -> String {
        let at = self.rows.partition_point(|row| row.end <= t);
        let from = at.saturating_sub(3);
        let mut out = String::new();
        for (n, row) in self.rows.iter().enumerate().skip(from).take(7) {
            let mark = if n == at { '>' } else { ' ' };
            out.push_str(&format!("    {mark} {}\n", row.shown(zero)));
        }
        out
    }
}

/// All lanes of one analysis or of the truth.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lanes {
    lanes: BTreeMap<(&'static str, &'static str, &'static str), Lane>,
}

impl Lanes {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.values()
    }

    pub(crate) fn of(&self, kind: &str) -> impl Iterator<Item = &Lane> {
        self.iter().filter(move |lane| lane.kind == kind)
    }

    /// The lane with this key, on whatever virtual processor.
    pub(crate) fn get(&self, kind: &str, key: &str) -> Option<&Lane> {
        self.of(kind).find(|lane| lane.key == key)
    }

    /// Calls VMs as `truth` does, by the threads of their virtual processors; gives the names of
    /// ours that were others.
    pub(crate) fn name_vms_as(&mut self, truth: &Self) -> Vec<&'static str> {
        let mut names = BTreeMap::new();
        for lane in self.of("vcpu") {
            let same = truth.of("vcpu").find(|other| other.tid == lane.tid);
            if let Some(other) = same.filter(|other| other.vm != lane.vm) {
                names.insert(lane.vm, other.vm);
            }
        }
        let rename = |key: &'static str| {
            let (outer, rest) = key.split_at(key.find('/').unwrap_or(key.len()));
            names
                .get(outer)
                .map_or(key, |name| word(&format!("{name}{rest}")))
        };
        for (_, mut lane) in std::mem::take(&mut self.lanes) {
            (lane.key, lane.vm) = (rename(lane.key), rename(lane.vm));
            for row in &mut lane.rows {
                row.by = rename(row.by);
            }
            self.lanes.insert((lane.kind, lane.key, lane.vcpu), lane);
        }
        names.into_keys().collect()
    }

    fn lane(&mut self, kind: &str, key: &str, vm: &str, vcpu: &str) -> &mut Lane {
        let (kind, key, vcpu) = (word(kind), plain(key), word(vcpu));
        self.lanes.entry((kind, key, vcpu)).or_insert_with(|| Lane {
            kind,
            key,
            vm: plain(vm),
            vcpu,
            tid: -1,
            rows: Vec::new(),
        })
    }

    /// Takes a row of ours.
    pub(crate) fn take(&mut self, row: &IntervalRow<'_>) {
        let vcpu = row.vcpu.map_or_else(String::new, |n| n.to_string());
        let kind: Kind = row.kind;
        let lane = self.lane(kind.as_str(), &row.entity.key, row.vm_key, &vcpu);
        lane.tid = row.entity.tid.map_or(-1, i64::from);
        let state: State = row.state;
        lane.rows.push(Row {
            start: row.span.start.as_nanos(),
            end: row.span.end.as_nanos(),
            state: state.as_str(),
            level: row.level,
            cause: row.cause.as_str(),
            by: plain(row.by_key),
            proved: row.confidence.as_str() == "proved",
            evidence: row.evidence.as_str(),
        });
    }

    /// The truth's file, whose columns `virtflow_synth::truth` describes.
    pub(crate) fn read(path: &Path) -> Self {
        let mut lanes = Self::default();
        let text = std::fs::read_to_string(path).unwrap();
        for line in text.lines().skip(1) {
            let row: Vec<&str> = line.split(',').collect();
            let number = |column: usize| row[column].parse::<i64>().unwrap();
            // A nested VM's lanes name it in their key only.
            let nested = row[4].find("/L2:").map(|at| {
                let end = row[4][at + 1..]
                    .find('/')
                    .map_or(row[4].len(), |n| at + 1 + n);
                &row[4][..end]
            });
            let lane = lanes.lane(row[3], row[4], nested.unwrap_or(row[6]), row[7]);
            lane.tid = row[8].parse().unwrap_or(-1);
            lane.rows.push(Row {
                start: number(1),
                end: number(2),
                state: word(row[11]),
                level: row[12].parse().unwrap(),
                cause: word(row[13]),
                by: plain(row[14]),
                proved: row[15] == "proved",
                evidence: word(row[16]),
            });
        }
        for lane in lanes.lanes.values_mut() {
            lane.rows.sort_by_key(|row| row.start);
        }
        lanes
    }
}
