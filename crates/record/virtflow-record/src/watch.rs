//! Whether a thread waits for a processor too long: the condition at which a flight recorder is
//! asked for what it has.

use crate::order::Record;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

/// A thread that was woken so shortly before it gave its processor up was woken on its way to sleep, and
/// waits for a processor from then on.
const ON_ITS_WAY_NS: u64 = 100_000;

/// A thread that waited, or still waits, for a processor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delay {
    /// Which thread.
    pub tid: i32,
    /// For how long so far.
    pub waited: Duration,
}

/// What a record says of a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// It got a processor.
    Runs,
    /// It lost one and could go on.
    Waits,
    /// It was woken.
    Woken,
    /// It cannot run, or is no more.
    Rests,
}

/// Who waits for a processor, and since when.
#[derive(Debug)]
pub(crate) struct Watch {
    longest: u64,
    /// Since when, by thread; and whether that it waits was told.
    waiting: HashMap<i32, (u64, bool)>,
    /// Who is on a processor, and when it was woken there.
    running: HashMap<i32, u64>,
    /// What was seen since the last look.
    seen: Vec<(u64, i32, Turn)>,
    lost: u64,
    /// The processes whose threads count; those of all where there are none.
    of: Vec<i32>,
}

impl Watch {
    /// For threads of these processes, or of all, that wait longer than this.
    pub(crate) fn new(longest: Duration, of: Vec<i32>) -> Self {
        Self {
            of,
            running: HashMap::new(),
            longest: u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX),
            waiting: HashMap::new(),
            seen: Vec::new(),
            lost: 0,
        }
    }

    /// Sees a record (the kinds and fields of `events.rs`).
    pub(crate) fn see(&mut self, record: &Record<'_>) {
        let number = |from: usize| {
            let bytes = record.fields.get(from..from + 4)?;
            Some(i32::from_le_bytes(bytes.try_into().ok()?))
        };
        let mut turn = |tid: Option<i32>, turn| {
            // 0 is an idle processor's thread.
            if let Some(tid) = tid.filter(|tid| *tid > 0) {
                self.seen.push((record.time, tid, turn));
            }
        };
        match record.kind {
            // sched_switch: the state of who goes is 0 or 0x100 (preempted) where it can run.
            0 => {
                let can_run = matches!(number(24), Some(0 | 0x100)) && number(28) == Some(0);
                turn(number(16), if can_run { Turn::Waits } else { Turn::Rests });
                turn(number(48), Turn::Runs);
            }
            // sched_waking, sched_wakeup_new.
            1 | 2 => turn(number(16), Turn::Woken),
            _ => {}
        }
    }

    /// The longest wait that became too long up to `until`; `lost` is how many records were lost
    /// so far: what is known of who waits is worth nothing after a loss.
    pub(crate) fn look(&mut self, until: u64, lost: u64) -> Option<Delay> {
        if lost > self.lost {
            self.lost = lost;
            self.waiting.clear();
            self.running.clear();
            self.seen.clear();
            return None;
        }
        self.seen.sort_unstable();
        let mut worst: Option<(u64, i32)> = None;
        for (time, tid, turn) in self.seen.drain(..) {
            match turn {
                // Who has a processor does not wait for one.
                Turn::Woken if self.running.contains_key(&tid) => {
                    self.running.insert(tid, time);
                }
                // Who is woken again waits since the first time.
                Turn::Waits | Turn::Woken => {
                    self.running.remove(&tid);
                    self.waiting.entry(tid).or_insert((time, false));
                }
                Turn::Rests => {
                    let woken = self.running.remove(&tid);
                    self.waiting.remove(&tid);
                    // Woken on its way to sleep.
                    if woken.is_some_and(|woken| woken + ON_ITS_WAY_NS >= time) {
                        self.waiting.insert(tid, (time, false));
                    }
                }
                Turn::Runs => {
                    self.running.insert(tid, 0);
                    let since = self.waiting.remove(&tid);
                    if let Some((since, false)) = since
                        && time.saturating_sub(since) > self.longest
                        && counts(&self.of, tid)
                    {
                        worst = worst.max(Some((time.saturating_sub(since), tid)));
                    }
                }
            }
        }
        for (tid, (since, told)) in &mut self.waiting {
            let waited = until.saturating_sub(*since);
            if waited > self.longest && !*told && counts(&self.of, *tid) {
                *told = true;
                worst = worst.max(Some((waited, *tid)));
            }
        }
        let (waited, tid) = worst.filter(|(waited, _)| *waited > self.longest)?;
        Some(Delay {
            tid,
            waited: Duration::from_nanos(waited),
        })
    }
}

/// Whether a thread is one of these processes', or there are none.
fn counts(of: &[i32], tid: i32) -> bool {
    let has = |pid: &i32| Path::new(&format!("/proc/{pid}/task/{tid}")).exists();
    of.is_empty() || of.iter().any(has)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn switch(watch: &mut Watch, time: u64, prev: i32, state: i64, next: i32) {
        let mut fields = vec![0; 16];
        fields.extend(prev.to_le_bytes());
        fields.extend(0_i32.to_le_bytes());
        fields.extend(state.to_le_bytes());
        fields.extend([0; 16]);
        fields.extend(next.to_le_bytes());
        see(watch, time, 0, &fields);
    }

    fn waking(watch: &mut Watch, time: u64, tid: i32) {
        let mut fields = vec![0; 16];
        fields.extend(tid.to_le_bytes());
        see(watch, time, 1, &fields);
    }

    fn see(watch: &mut Watch, time: u64, kind: u16, fields: &[u8]) {
        watch.see(&Record {
            time,
            kind,
            cpu: 0,
            tid: 0,
            pid: 0,
            fields,
        });
    }

    fn after(delay: Option<Delay>) -> Option<(i32, u64)> {
        delay.map(|delay| (delay.tid, delay.waited.as_nanos() as u64 / MS))
    }

    #[test]
    fn waits_that_are_too_long() {
        let mut watch = Watch::new(Duration::from_millis(10), Vec::new());
        // Seen by processor, not by time: it ran at once.
        switch(&mut watch, 3 * MS, 0, 0, 7);
        waking(&mut watch, 2 * MS, 7);
        assert_eq!(after(watch.look(20 * MS, 0)), None);
        // Pre-empted, and not on again for 15 ms; what wakes it meanwhile changes nothing.
        switch(&mut watch, 30 * MS, 7, 0x100, 8);
        waking(&mut watch, 40 * MS, 7);
        switch(&mut watch, 45 * MS, 8, 1, 7);
        assert_eq!(after(watch.look(50 * MS, 0)), Some((7, 15)));
        // Still waiting: told once, and not again when it runs.
        switch(&mut watch, 51 * MS, 7, 0, 8);
        assert_eq!(after(watch.look(70 * MS, 0)), Some((7, 19)));
        assert_eq!(after(watch.look(80 * MS, 0)), None);
        switch(&mut watch, 81 * MS, 8, 0x40, 7);
        assert_eq!(after(watch.look(90 * MS, 0)), None);
        // Asleep is not waiting for a processor.
        switch(&mut watch, 91 * MS, 7, 2, 0);
        assert_eq!(after(watch.look(190 * MS, 0)), None);
    }

    #[test]
    fn who_is_woken_while_it_runs_does_not_wait() {
        let mut watch = Watch::new(Duration::from_millis(10), Vec::new());
        switch(&mut watch, MS, 0, 0, 7);
        waking(&mut watch, 2 * MS, 7);
        assert_eq!(after(watch.look(100 * MS, 0)), None);
        // Long before it sleeps: that is over. Just before: it wants to run again at once.
        switch(&mut watch, 101 * MS, 7, 1, 8);
        assert_eq!(after(watch.look(200 * MS, 0)), None);
        waking(&mut watch, 201 * MS, 8);
        switch(&mut watch, 201 * MS + 5_000, 8, 1, 9);
        assert_eq!(after(watch.look(221 * MS + 5_000, 0)), Some((8, 20)));
    }

    /// Others that wait longer hide nobody.
    #[test]
    fn only_some_processes_count() {
        let own = i32::try_from(std::process::id()).unwrap();
        let mut watch = Watch::new(Duration::from_millis(10), vec![own]);
        waking(&mut watch, MS, i32::MAX);
        waking(&mut watch, 20 * MS, own);
        assert_eq!(after(watch.look(40 * MS, 0)), Some((own, 20)));
    }

    #[test]
    fn a_loss_forgets() {
        let mut watch = Watch::new(Duration::from_millis(10), Vec::new());
        waking(&mut watch, MS, 7);
        assert_eq!(watch.look(2 * MS, 0), None);
        assert_eq!(watch.look(100 * MS, 5), None);
        assert_eq!(watch.look(200 * MS, 5), None);
    }
}
