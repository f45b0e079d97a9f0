//! Writes the CSV files as lanes change.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::lane::{By, Lane, Status};
use crate::SynthError;
use crate::trace::Clock;

const INTERVALS: &str = "machine,start_ns,end_ns,kind,key,label,vm_key,vcpu,tid,pid,cr3,state,\
                         level,cause,by_key,confidence,evidence\n";
const EDGES: &str = "machine,from_ns,from_key,to_ns,to_key,kind,confidence,evidence\n";

/// The files of truth.
#[derive(Debug)]
pub(crate) struct Truth {
    dir: PathBuf,
    intervals: Option<BufWriter<File>>,
    edges: Option<BufWriter<File>>,
    machine: String,
    clock: Clock,
    keys: Vec<String>,
    failed: Option<io::Error>,
    /// A row being put together.
    row: Vec<u8>,
    pub(crate) rows: u64,
}

impl Truth {
    pub(crate) fn create(
        dir: &Path,
        machine: &str,
        clock: Clock,
        write: bool,
    ) -> Result<Self, SynthError> {
        let mut truth = Self {
            dir: dir.to_owned(),
            intervals: None,
            edges: None,
            machine: machine.to_owned(),
            clock,
            keys: vec![String::new()],
            failed: None,
            row: Vec::new(),
            rows: 0,
        };
        if write {
            fs::create_dir_all(dir).map_err(|source| truth.error(source))?;
            truth.intervals = Some(truth.file("intervals.csv", INTERVALS)?);
            truth.edges = Some(truth.file("edges.csv", EDGES)?);
        }
        Ok(truth)
    }

    fn error(&self, source: io::Error) -> SynthError {
        SynthError::Truth {
            path: self.dir.clone(),
            source,
        }
    }

    fn file(&self, name: &str, header: &str) -> Result<BufWriter<File>, SynthError> {
        let file = File::create(self.dir.join(name)).map_err(|source| self.error(source))?;
        let mut file = BufWriter::with_capacity(1 << 16, file);
        file.write_all(header.as_bytes())
            .map_err(|source| self.error(source))?;
        Ok(file)
    }

    /// A place in the table of keys.
    pub(crate) fn key(&mut self, key: String) -> By {
        self.keys.push(key);
        (self.keys.len() - 1) as By
    }

    /// A lane that begins with the trace. `columns` are those after `kind,key`.
    pub(crate) fn lane(&mut self, kind: &str, key: &str, columns: &str, status: Status) -> Lane {
        let columns = format!("{kind},{key},{columns}");
        Lane {
            start: 0,
            status,
            columns,
            key: self.key(key.to_owned()),
        }
    }

    /// A lane that begins at a time.
    pub(crate) fn lane_from(
        &mut self,
        kind: &str,
        key: &str,
        columns: &str,
        status: Status,
        time: i64,
    ) -> Lane {
        let mut lane = self.lane(kind, key, columns, status);
        lane.begin(time);
        lane
    }

    /// The lane is in another state from `time` on, unless it is in that one already.
    pub(crate) fn set(&mut self, lane: &mut Lane, time: i64, status: Status) {
        if lane.status != status {
            self.write(lane, time);
            lane.start = time;
            lane.status = status;
        }
    }

    /// The state that is on turns out to end for this cause, by someone.
    pub(crate) fn blame(lane: &mut Lane, cause: &'static str, by: By) {
        lane.status.cause = cause;
        lane.status.by = by;
    }

    /// Writes what is on in the lane up to `time`.
    pub(crate) fn write(&mut self, lane: &Lane, time: i64) {
        let (start, end) = (self.clock.epoch(lane.start), self.clock.epoch(time));
        debug_assert!(
            lane.start <= time,
            "{} {:?} ends at {time}",
            lane.columns,
            lane
        );
        let Some(file) = &mut self.intervals else {
            return;
        };
        if start == end {
            return;
        }
        let Status {
            state,
            level,
            cause,
            by,
        } = lane.status;
        self.rows += 1;
        let row = &mut self.row;
        row.clear();
        row.extend_from_slice(self.machine.as_bytes());
        number(row, start);
        number(row, end);
        for column in [&lane.columns, state] {
            row.push(b',');
            row.extend_from_slice(column.as_bytes());
        }
        number(row, i64::from(level));
        for column in [cause, &self.keys[by as usize]] {
            row.push(b',');
            row.extend_from_slice(column.as_bytes());
        }
        row.extend_from_slice(b",proved,synth\n");
        if let Err(error) = file.write_all(row) {
            self.failed.get_or_insert(error);
        }
    }

    /// Someone caused something.
    pub(crate) fn edge(&mut self, kind: &str, from: (By, i64), to: (By, i64)) {
        let Some(file) = &mut self.edges else { return };
        let (machine, keys) = (&self.machine, &self.keys);
        let (from_ns, to_ns) = (self.clock.epoch(from.1), self.clock.epoch(to.1));
        let (from, to) = (&keys[from.0 as usize], &keys[to.0 as usize]);
        let row = writeln!(
            file,
            "{machine},{from_ns},{from},{to_ns},{to},{kind},proved,synth"
        );
        if let Err(error) = row {
            self.failed.get_or_insert(error);
        }
    }

    /// Writes what is known only at the end, and everything that is still in memory.
    pub(crate) fn finish(
        mut self,
        losses: &[(usize, i64, i64, u64)],
        coverage: &[(i64, i64)],
    ) -> Result<u64, SynthError> {
        if let Some(error) = self.failed.take() {
            return Err(self.error(error));
        }
        let (machine, clock) = (&self.machine, self.clock);
        let mut lost = String::from("machine,cpu,start_ns,end_ns,events\n");
        for &(cpu, from, to, events) in losses {
            let (from, to) = (clock.epoch(from), clock.epoch(to));
            lost.push_str(&format!("{machine},{cpu},{from},{to},{events}\n"));
        }
        let mut covered = String::from("machine,cpu,start_ns,end_ns\n");
        for (cpu, &(from, to)) in coverage.iter().enumerate() {
            let (from, to) = (clock.epoch(from), clock.epoch(to));
            covered.push_str(&format!("{machine},{cpu},{from},{to}\n"));
        }
        let (intervals, edges) = (self.intervals.take(), self.edges.take());
        if let (Some(mut intervals), Some(mut edges)) = (intervals, edges) {
            let written = intervals
                .flush()
                .and_then(|()| edges.flush())
                .and_then(|()| fs::write(self.dir.join("losses.csv"), lost))
                .and_then(|()| fs::write(self.dir.join("coverage.csv"), covered));
            written.map_err(|source| self.error(source))?;
        }
        Ok(self.rows)
    }
}

/// Appends a comma and a number; much faster than formatting, for millions of rows.
fn number(row: &mut Vec<u8>, value: i64) {
    row.push(b',');
    if value < 0 {
        row.push(b'-');
    }
    let (mut digits, mut at, mut rest) = ([0; 20], 20, value.unsigned_abs());
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    row.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_decimal() {
        let mut row = Vec::new();
        for value in [0, -7, 1_795_377_968_586_483_918, i64::MIN] {
            number(&mut row, value);
        }
        assert_eq!(row, b",0,-7,1795377968586483918,-9223372036854775808");
    }
}
