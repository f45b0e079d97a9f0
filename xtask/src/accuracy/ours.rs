//! What virtflow says: its `intervals` and `edges` tables, read from CSV.

use super::span::{Ns, Span};
use anyhow::{Context, Result, bail};
use std::collections::HashMap;
use std::rc::Rc;

/// A text that many rows share.
pub(crate) type Name = Rc<str>;

/// The kinds of lane that are looked at here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Cpu,
    Thread,
    Vcpu,
    NestedVcpu,
    Process,
    Other,
}

impl Kind {
    fn parse(text: &str) -> Self {
        match text {
            "cpu" => Self::Cpu,
            "thread" => Self::Thread,
            "vcpu" => Self::Vcpu,
            "nested-vcpu" => Self::NestedVcpu,
            "process" => Self::Process,
            _ => Self::Other,
        }
    }
}

/// One row of the intervals table.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
    pub(crate) key: Name,
    pub(crate) vm_key: Name,
    pub(crate) vcpu: Option<u32>,
    pub(crate) tid: Option<i64>,
    pub(crate) pid: Option<i64>,
    pub(crate) cr3: Option<u64>,
    pub(crate) state: Name,
    pub(crate) cause: Name,
    pub(crate) by: Name,
    pub(crate) proved: bool,
}

impl Row {
    /// Whether a guest process or a kernel lane runs, or an idle lane has the guest's processor.
    pub(crate) fn runs(&self) -> bool {
        self.state.starts_with("run-") || &*self.state == "idle"
    }
}

/// One row of the edges table.
#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) from_ns: Ns,
    pub(crate) from: Name,
    pub(crate) to_ns: Ns,
    pub(crate) to: Name,
    pub(crate) kind: Name,
}

/// Both tables, the intervals sorted by start.
#[derive(Debug, Default)]
pub(crate) struct Ours {
    pub(crate) rows: Vec<Row>,
    pub(crate) edges: Vec<Edge>,
}

impl Ours {
    pub(crate) fn parse(intervals: &[u8], edges: &[u8]) -> Result<Self> {
        let mut rows = parse_intervals(intervals).context("virtflow intervals")?;
        rows.sort_by_key(|row| row.span);
        let edges = parse_edges(edges).context("virtflow edges")?;
        Ok(Self { rows, edges })
    }

    pub(crate) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.kind == kind)
    }

    /// The thread id that stands behind a key: of a host thread or of a vCPU.
    pub(crate) fn tids(&self) -> HashMap<Name, i64> {
        let with_tid = self
            .rows
            .iter()
            .filter(|row| matches!(row.kind, Kind::Thread | Kind::Vcpu));
        with_tid
            .filter_map(|row| Some((Rc::clone(&row.key), row.tid?)))
            .collect()
    }
}

/// The virtual machine's part and the CR3 of a guest process's key, `<vm>/cr3:<hex>#<generation>`.
pub(crate) fn process_key(key: &str) -> Option<(&str, u64)> {
    let (vm, rest) = key.split_once("/cr3:")?;
    Some((vm, hex(rest.split(['#', '/']).next()?)?))
}

/// A hexadecimal number, with or without `0x`.
pub(crate) fn hex(text: &str) -> Option<u64> {
    let digits = text.trim_start_matches("0x").trim_start_matches("0X");
    u64::from_str_radix(digits, 16).ok()
}

/// The part of a table after its `#virtflow-...` line.
fn table(text: &[u8]) -> &[u8] {
    match text.iter().position(|&byte| byte == b'\n') {
        Some(end) if text.starts_with(b"#") => &text[end + 1..],
        _ => text,
    }
}

/// Where the named columns are; all must be there.
fn columns<const N: usize>(header: &csv::StringRecord, names: [&str; N]) -> Result<[usize; N]> {
    let mut found = [0; N];
    for (slot, name) in found.iter_mut().zip(names) {
        let position = header.iter().position(|have| have.trim() == name);
        let Some(position) = position else {
            bail!("no column {name} in {header:?}")
        };
        *slot = position;
    }
    Ok(found)
}

#[derive(Default)]
struct Interner(HashMap<Box<str>, Name>);

impl Interner {
    fn name(&mut self, text: &str) -> Name {
        if let Some(name) = self.0.get(text) {
            return Rc::clone(name);
        }
        let name: Name = Rc::from(text);
        self.0.insert(Box::from(text), Rc::clone(&name));
        name
    }
}

fn number(text: &str, column: &str) -> Result<Ns> {
    text.parse()
        .with_context(|| format!("{column} is not a number: {text:?}"))
}

fn parse_intervals(text: &[u8]) -> Result<Vec<Row>> {
    let mut reader = csv::Reader::from_reader(table(text));
    let names = [
        "start_ns",
        "end_ns",
        "kind",
        "key",
        "vm_key",
        "vcpu",
        "tid",
        "pid",
        "cr3",
        "state",
        "cause",
        "by_key",
        "confidence",
    ];
    let [
        start,
        end,
        kind,
        key,
        vm_key,
        vcpu,
        tid,
        pid,
        cr3,
        state,
        cause,
        by,
        confidence,
    ] = columns(reader.headers()?, names)?;
    let mut interner = Interner::default();
    let mut rows = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record)? {
        let field = |index: usize| record.get(index).unwrap_or_default();
        let span = Span::new(
            number(field(start), "start_ns")?,
            number(field(end), "end_ns")?,
        );
        rows.push(Row {
            span,
            kind: Kind::parse(field(kind)),
            key: interner.name(field(key)),
            vm_key: interner.name(field(vm_key)),
            vcpu: field(vcpu).parse().ok(),
            tid: field(tid).parse().ok(),
            pid: field(pid).parse().ok(),
            cr3: hex(field(cr3)),
            state: interner.name(field(state)),
            cause: interner.name(field(cause)),
            by: interner.name(field(by)),
            proved: field(confidence) == "proved",
        });
    }
    Ok(rows)
}

fn parse_edges(text: &[u8]) -> Result<Vec<Edge>> {
    let text = table(text);
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let mut reader = csv::Reader::from_reader(text);
    let [from_ns, from, to_ns, to, kind] = columns(
        reader.headers()?,
        ["from_ns", "from_key", "to_ns", "to_key", "kind"],
    )?;
    let mut interner = Interner::default();
    let mut edges = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record)? {
        let field = |index: usize| record.get(index).unwrap_or_default();
        edges.push(Edge {
            from_ns: number(field(from_ns), "from_ns")?,
            from: interner.name(field(from)),
            to_ns: number(field(to_ns), "to_ns")?,
            to: interner.name(field(to)),
            kind: interner.name(field(kind)),
        });
    }
    Ok(edges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_read_by_column_name() {
        let intervals = b"#virtflow-intervals 1\n\
            machine,start_ns,end_ns,kind,key,label,vm_key,vcpu,tid,pid,cr3,state,level,cause,by_key,confidence,evidence\n\
            m,20,30,process,vm:1@0/cr3:abc000#2,\"a, b\",vm:1@0,0,,,0xabc000,run-user,1,,,likely,x\n\
            m,10,20,vcpu,vm:1@0/vcpu:0,,vm:1@0,0,7,5,,guest,1,,,proved,x\n";
        let edges = b"#virtflow-edges 1\nmachine,from_ns,from_key,to_ns,to_key,kind,confidence,evidence\nm,1,a,2,b,wake-up,likely,x\n";
        let ours = Ours::parse(intervals, edges).unwrap();
        assert_eq!(ours.rows[0].tid, Some(7));
        assert_eq!(
            (ours.rows[1].cr3, ours.rows[1].proved, ours.rows[1].runs()),
            (Some(0xabc000), false, true)
        );
        assert_eq!(process_key(&ours.rows[1].key), Some(("vm:1@0", 0xabc000)));
        assert_eq!(ours.edges[0].to_ns, 2);
        assert!(Ours::parse(b"machine\n", edges).is_err());
    }
}
