//! The guest's own scheduler log (`truth/<vm>.sched.csv`) as timelines: who ran on each guest CPU, when
//! each process waited and for what, and who woke whom.
//!
//! A *process* here is an address space: one CR3 from the fork or exec that made it until another one
//! does (CR3s are reused). Threads that share a CR3 are one process, which is off the CPU while none of
//! them is on one. What counts as a user process: a pid that the log ever shows with a CR3.

use super::ours::hex;
use super::span::{Ns, Span, Timeline};
use super::tasks::Tasks;
use anyhow::{Context, Result};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The index of an address space in [`Log::spaces`].
pub(crate) type SpaceId = usize;

/// An address space: what is compared with our guest processes.
#[derive(Clone, Debug)]
pub(crate) struct Space {
    pub(crate) cr3: u64,
    /// From the event that made it, or that showed it first, until the next one with this CR3.
    pub(crate) life: Span,
    pub(crate) comm: String,
    pub(crate) pid: i64,
    /// The execs that one of its threads made: when the log has them, and the CR3 that came of it.
    pub(crate) execs: Vec<(Ns, u64)>,
}

impl Space {
    /// Whether `cr3` is one that a thread of it execs into after `at`. The log has an exec, and the CR3
    /// of the thread's next switch, only after the processor has the new CR3.
    pub(crate) fn becomes(&self, cr3: u64, at: Ns) -> bool {
        self.execs
            .iter()
            .any(|&(exec, new)| new == cr3 && at < exec)
    }
}

/// Who is on a guest CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    User(SpaceId),
    Kernel,
    Idle,
}

/// An off-CPU period of a process that a wake-up ended.
#[derive(Clone, Debug)]
pub(crate) struct Wait {
    pub(crate) span: Span,
    pub(crate) space: SpaceId,
    /// timer, disk, net, console, task, other.
    pub(crate) class: String,
}

/// A process woken by another one, not from an interrupt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wake {
    pub(crate) at: Ns,
    pub(crate) from: SpaceId,
    pub(crate) to: SpaceId,
}

#[derive(Debug, Default)]
pub(crate) struct Log {
    /// First to last row.
    pub(crate) alive: Option<Span>,
    pub(crate) cpus: BTreeMap<u32, Timeline<Who>>,
    pub(crate) spaces: Vec<Space>,
    pub(crate) waits: Vec<Wait>,
    pub(crate) wakes: Vec<Wake>,
    /// The lines of its threads.
    pub(crate) tasks: Tasks,
}

/// What a wake row says by itself.
#[derive(Clone, Debug, PartialEq)]
enum Waker {
    Interrupt(String),
    Process,
    Kernel(i64),
}

#[derive(Clone, Copy)]
pub(crate) struct LogRow<'a> {
    pub(crate) at: Ns,
    pub(crate) what: &'a str,
    cpu: u32,
    pub(crate) a: i64,
    pub(crate) b: i64,
    cr3: u64,
    pub(crate) state: u32,
    comm: &'a str,
}

struct OnCpu {
    since: Ns,
    who: Who,
}

struct Sweep<'a> {
    log: Log,
    irqs: &'a BTreeMap<i64, String>,
    users: HashSet<i64>,
    current: HashMap<u32, OnCpu>,
    /// The address space each CR3 stands for now, and each pid's.
    by_cr3: HashMap<u64, SpaceId>,
    by_pid: HashMap<i64, SpaceId>,
    last_irq: HashMap<u32, i64>,
    last_wake: HashMap<i64, Waker>,
    /// Processes that are off the CPU: since when, and each thread's waker in that time.
    off: HashMap<SpaceId, (Ns, HashMap<i64, String>)>,
}

/// Reads a log; `offset` turns its times into epoch ones, `irqs` are the classes of the guest's interrupts.
pub(crate) fn parse(text: &[u8], offset: Ns, irqs: &BTreeMap<i64, String>) -> Result<Log> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text);
    let records = reader.records().collect::<Result<Vec<_>, _>>()?;
    let mut rows = Vec::with_capacity(records.len());
    for record in &records {
        rows.push(
            row(record, offset)
                .with_context(|| format!("not a row of a scheduler log: {record:?}"))?,
        );
    }
    rows.sort_by_key(|row| row.at);
    let mut sweep = Sweep::new(&rows, irqs);
    for row in &rows {
        sweep.row(row);
    }
    Ok(sweep.finish(&rows))
}

fn row(record: &csv::StringRecord, offset: Ns) -> Option<LogRow<'_>> {
    let number = |index: usize| record.get(index)?.parse::<i64>().ok();
    Some(LogRow {
        at: number(0)? + offset,
        what: record.get(1)?,
        cpu: u32::try_from(number(2)?).ok()?,
        a: number(3)?,
        b: number(4)?,
        cr3: hex(record.get(5)?)?,
        state: u32::try_from(number(6)?).ok()?,
        comm: record.get(7).unwrap_or_default(),
    })
}

impl<'a> Sweep<'a> {
    fn new(rows: &[LogRow], irqs: &'a BTreeMap<i64, String>) -> Self {
        let user = |row: &LogRow| match row.what {
            "switch" | "fork" => (row.cr3 != 0).then_some(row.b),
            "exec" => Some(row.a),
            _ => None,
        };
        Self {
            log: Log::default(),
            irqs,
            users: rows.iter().filter_map(user).collect(),
            current: HashMap::new(),
            by_cr3: HashMap::new(),
            by_pid: HashMap::new(),
            last_irq: HashMap::new(),
            last_wake: HashMap::new(),
            off: HashMap::new(),
        }
    }

    fn row(&mut self, row: &LogRow) {
        match row.what {
            "switch" => self.switch(row),
            "wake" => self.wake(row),
            "fork" if row.cr3 != 0 => {
                let shared = self
                    .by_pid
                    .get(&row.a)
                    .copied()
                    .filter(|&space| self.log.spaces[space].cr3 == row.cr3);
                let space = shared.unwrap_or_else(|| self.make(row, row.b));
                self.by_pid.insert(row.b, space);
            }
            "exec" => {
                self.note_exec(row, row.a);
                let seen = self.by_pid.get(&row.a).copied();
                let seen = seen.filter(|&space| self.log.spaces[space].cr3 == row.cr3);
                let space = seen.unwrap_or_else(|| self.make(row, row.a));
                row.comm.clone_into(&mut self.log.spaces[space].comm);
                self.by_pid.insert(row.a, space);
                self.occupy(row.cpu, row.at, Who::User(space));
            }
            "irq" => {
                self.last_irq.insert(row.cpu, row.a);
            }
            _ => {}
        }
        let pid = if row.what == "exec" { row.a } else { row.b };
        let space = self.by_pid.get(&pid).copied();
        let who = space.map_or(Who::Kernel, Who::User);
        let class = self.irq_class(self.last_irq.get(&row.cpu).copied());
        self.log.tasks.row(row, who, &class);
    }

    /// A new address space of `pid`; one that had this CR3 ends.
    fn make(&mut self, row: &LogRow, pid: i64) -> SpaceId {
        let id = self.log.spaces.len();
        if let Some(old) = self.by_cr3.insert(row.cr3, id) {
            self.log.spaces[old].life.end = row.at;
            self.off.remove(&old);
        }
        let life = Span::new(row.at, Ns::MAX);
        self.log.spaces.push(Space {
            cr3: row.cr3,
            life,
            comm: row.comm.to_owned(),
            pid,
            execs: Vec::new(),
        });
        id
    }

    /// Thread `pid` has the CR3 of `row` now: if it had another one, an exec changed it.
    fn note_exec(&mut self, row: &LogRow, pid: i64) {
        if let Some(&old) = self.by_pid.get(&pid) {
            let old = &mut self.log.spaces[old];
            if old.cr3 != row.cr3 {
                old.execs.push((row.at, row.cr3));
            }
        }
    }

    /// The address space that a switch brings. One that is not its pid's is that of an exec under way:
    /// its own row comes only when the exec is through.
    fn space_of(&mut self, row: &LogRow) -> SpaceId {
        self.note_exec(row, row.b);
        let known = match self.by_pid.get(&row.b) {
            Some(&space) => (self.log.spaces[space].cr3 == row.cr3).then_some(space),
            None => self.by_cr3.get(&row.cr3).copied(),
        };
        let space = known.unwrap_or_else(|| self.make(row, row.b));
        self.by_pid.insert(row.b, space);
        space
    }

    /// `who` takes a guest CPU; the process that left it, if it is on no other one.
    fn occupy(&mut self, cpu: u32, at: Ns, who: Who) -> Option<SpaceId> {
        let old = self.current.insert(cpu, OnCpu { since: at, who })?;
        if old.since < at {
            self.log
                .cpus
                .entry(cpu)
                .or_default()
                .push((Span::new(old.since, at), old.who));
        }
        let Who::User(left) = old.who else {
            return None;
        };
        let still_on = self.current.values().any(|on| on.who == Who::User(left));
        (!still_on).then_some(left)
    }

    fn switch(&mut self, row: &LogRow) {
        let who = if row.cr3 != 0 {
            let space = self.space_of(row);
            let shown = &mut self.log.spaces[space];
            if row.b == shown.pid && shown.comm != row.comm {
                row.comm.clone_into(&mut shown.comm);
            }
            Who::User(space)
        } else if row.b == 0 {
            Who::Idle
        } else {
            Who::Kernel
        };
        if let Some(left) = self.occupy(row.cpu, row.at, who) {
            self.off.insert(left, (row.at, HashMap::new()));
        }
        let Who::User(space) = who else { return };
        let Some((since, wakers)) = self.off.remove(&space) else {
            return;
        };
        if let Some(class) = wakers.get(&row.b) {
            let span = Span::new(since, row.at);
            self.log.waits.push(Wait {
                span,
                space,
                class: class.clone(),
            });
        }
    }

    fn wake(&mut self, row: &LogRow) {
        let waker = if row.state == 1 {
            Waker::Interrupt(self.irq_class(self.last_irq.get(&row.cpu).copied()))
        } else if self.users.contains(&row.b) {
            Waker::Process
        } else {
            Waker::Kernel(row.b)
        };
        let class = match &waker {
            Waker::Interrupt(class) => class.clone(),
            Waker::Process => "task".to_owned(),
            // One step back: what woke that kernel thread.
            Waker::Kernel(thread) => match self.last_wake.get(thread) {
                Some(Waker::Interrupt(class)) => class.clone(),
                Some(Waker::Process) => "task".to_owned(),
                Some(Waker::Kernel(_)) | None => "other".to_owned(),
            },
        };
        let to = self.by_pid.get(&row.a).copied();
        if let Some((_, wakers)) = to.and_then(|space| self.off.get_mut(&space)) {
            wakers.insert(row.a, class);
        }
        if let (Waker::Process, Some(&from), Some(to)) = (&waker, self.by_pid.get(&row.b), to)
            && from != to
        {
            self.log.wakes.push(Wake {
                at: row.at,
                from,
                to,
            });
        }
        self.last_wake.insert(row.a, waker);
    }

    fn irq_class(&self, irq: Option<i64>) -> String {
        match irq {
            Some(1236) => "timer".to_owned(),
            Some(irq) => match self.irqs.get(&irq).map(String::as_str) {
                Some(known @ ("disk" | "net" | "console")) => known.to_owned(),
                _ => "other".to_owned(),
            },
            None => "other".to_owned(),
        }
    }

    fn finish(mut self, rows: &[LogRow]) -> Log {
        if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
            self.log.alive = Some(Span::new(first.at, last.at));
            let cpus: Vec<u32> = self.current.keys().copied().collect();
            for cpu in cpus {
                self.occupy(cpu, last.at, Who::Idle);
            }
            self.log.tasks.finish(last.at);
        }
        self.log
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A log of one CPU: kernel thread 15, processes 20 (0x2000) and 30 (0x3000), disk on interrupt 49.
    pub(crate) const SMALL: &str = "host_ns,type,cpu,a,b,cr3,state,comm\n\
        0,switch,0,0,20,2000,0,alpha\n\
        100,switch,0,20,30,3000,1,beta\n\
        150,irq,0,1236,30,0,0,vector\n\
        160,wake,0,20,30,0,1,alpha\n\
        200,switch,0,30,20,2000,1,alpha\n\
        210,wake,0,30,20,0,0,beta\n\
        300,switch,0,20,30,3000,1,beta\n\
        310,irq,0,49,30,0,0,virtio0\n\
        320,wake,0,15,30,0,1,kworker\n\
        330,switch,0,30,15,0,255,kworker\n\
        340,wake,0,20,15,0,0,alpha\n\
        350,switch,0,15,20,2000,1,alpha\n\
        400,switch,0,20,0,0,2,swapper/0\n\
        450,fork,0,1,40,3000,0,gamma\n\
        500,switch,0,0,40,3000,0,gamma\n";

    pub(crate) fn small(offset: Ns) -> Log {
        parse(SMALL.as_bytes(), offset, &[(49, "disk".to_owned())].into()).unwrap()
    }

    #[test]
    fn a_log_tells_who_ran_and_why_not() {
        let log = small(1000);
        let who: Vec<_> = log.cpus[&0]
            .iter()
            .map(|(span, who)| (span.start - 1000, *who))
            .collect();
        let (alpha, beta) = (Who::User(0), Who::User(1));
        let expected = [
            (0, alpha),
            (100, beta),
            (200, alpha),
            (300, beta),
            (330, Who::Kernel),
            (350, alpha),
            (400, Who::Idle),
        ];
        assert_eq!(who, expected);
        let waits: Vec<_> = log
            .waits
            .iter()
            .map(|wait| (wait.span.start - 1000, wait.space, wait.class.as_str()))
            .collect();
        assert_eq!(
            waits,
            [(100, 0, "timer"), (200, 1, "task"), (300, 0, "disk")]
        );
        let wakes: Vec<_> = log
            .wakes
            .iter()
            .map(|wake| (wake.at - 1000, wake.from, wake.to))
            .collect();
        assert_eq!(wakes, [(210, 0, 1)]);
        assert_eq!(log.spaces.len(), 3, "a fork gave 0x3000 to a third process");
        assert_eq!((log.spaces[1].life.end, log.spaces[2].cr3), (1450, 0x3000));
    }

    #[test]
    fn a_reused_cr3_and_an_exec_under_way_are_told_apart() {
        let text = "host_ns,type,cpu,a,b,cr3,state,comm\n\
            0,fork,0,1,20,2000,0,one\n\
            10,switch,0,0,20,2000,0,one\n\
            20,exit,0,20,20,0,0,one\n\
            30,switch,0,20,0,0,128,swapper/0\n\
            40,fork,0,1,21,4000,0,two\n\
            50,switch,0,0,21,4000,0,two\n\
            60,switch,0,21,15,0,255,kworker\n\
            70,switch,0,15,21,2000,2,two\n\
            80,exec,0,21,21,2000,0,three\n\
            90,switch,0,21,0,0,1,swapper/0\n";
        let log = parse(text.as_bytes(), 0, &BTreeMap::new()).unwrap();
        let spaces: Vec<_> = log
            .spaces
            .iter()
            .map(|space| (space.cr3, space.life.start, space.comm.as_str()))
            .collect();
        assert_eq!(log.spaces[1].execs, [(70, 0x2000)]);
        assert!(log.spaces[1].becomes(0x2000, 65) && !log.spaces[1].becomes(0x2000, 70));
        assert_eq!(
            spaces,
            [
                (0x2000, 0, "one"),
                (0x4000, 40, "two"),
                (0x2000, 70, "three")
            ]
        );
    }
}
