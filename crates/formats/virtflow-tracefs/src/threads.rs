//! What a file tells of threads besides their events.

use std::collections::BTreeMap;

/// The most threads that are kept.
const THREADS_MAX: usize = 1 << 17;

/// Names and processes of threads, as the kernel had them when the recording ended or began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Threads {
    names: BTreeMap<i32, Box<[u8]>>,
    processes: BTreeMap<i32, i32>,
}

impl Threads {
    /// Takes the name of a thread; of too many the last are left out.
    pub fn name_one(&mut self, tid: i32, name: &[u8]) {
        if self.names.len() < THREADS_MAX || self.names.contains_key(&tid) {
            // The kernel's own names have 15 bytes.
            self.names
                .insert(tid, name.iter().copied().take(64).collect());
        }
    }

    /// Takes the process that a thread is part of.
    pub fn group_one(&mut self, tid: i32, process: i32) {
        if self.processes.len() < THREADS_MAX || self.processes.contains_key(&tid) {
            self.processes.insert(tid, process);
        }
    }

    /// Takes the kernel's `saved_cmdlines`: lines of a number and a name.
    pub fn name_all(&mut self, text: &[u8]) {
        for line in text.split(|byte| *byte == b'\n') {
            let Some((tid, name)) = numbered(line) else {
                continue;
            };
            // `<...>` stands for a thread that the kernel had no name of.
            if !matches!(name, b"" | b"<...>") {
                self.name_one(tid, name);
            }
        }
    }

    /// Takes the kernel's `saved_tgids`: lines of the number of a thread and of its process.
    pub fn group_all(&mut self, text: &[u8]) {
        for line in text.split(|byte| *byte == b'\n') {
            let found = numbered(line).and_then(|(tid, rest)| {
                let rest = std::str::from_utf8(rest).ok()?;
                Some((tid, rest.trim().parse::<i32>().ok()?))
            });
            if let Some((tid, process)) = found {
                self.group_one(tid, process);
            }
        }
    }

    /// The name of each thread that has one, by number.
    pub fn names(&self) -> impl ExactSizeIterator<Item = (i32, &[u8])> {
        self.names.iter().map(|(tid, name)| (*tid, &**name))
    }

    /// The name of a thread.
    pub fn name(&self, tid: i32) -> Option<&[u8]> {
        self.names.get(&tid).map(|name| &**name)
    }

    /// The process that a thread is part of.
    pub fn process(&self, tid: i32) -> Option<i32> {
        self.processes.get(&tid).copied()
    }

    /// Each thread whose process is told, by number.
    pub fn processes(&self) -> impl ExactSizeIterator<Item = (i32, i32)> {
        self.processes.iter().map(|(tid, process)| (*tid, *process))
    }
}

/// A number and what follows the blank behind it.
fn numbered(line: &[u8]) -> Option<(i32, &[u8])> {
    let line = line.trim_ascii();
    let blank = line.iter().position(|byte| *byte == b' ')?;
    let number = std::str::from_utf8(line.get(..blank)?).ok()?.parse().ok()?;
    Some((number, line.get(blank + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_processes() {
        let mut threads = Threads::default();
        threads.name_all(b"143 CPU 0/KVM\n12 kworker/0:1\n\nnonsense\n7 \n99999999999 x");
        threads.group_all(b"143 141\n12 x\n");
        let names: Vec<_> = threads.names().collect();
        assert_eq!(names, [(12, &b"kworker/0:1"[..]), (143, b"CPU 0/KVM")]);
        assert_eq!(threads.name(7), None);
        assert_eq!(
            (threads.process(143), threads.process(12)),
            (Some(141), None)
        );
        assert_eq!(threads.processes().len(), 1);
    }
}
