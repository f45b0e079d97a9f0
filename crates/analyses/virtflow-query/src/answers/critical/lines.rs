//! What ended each wait, as the graph asks for it.

use super::windows::{Stretch, Windows};
use super::{Done, Grain, Who};
use rustc_hash::FxHashMap;
use virtflow_graph::{EndedBy, Lines, Segment, Transit};
use virtflow_history::{Store, StoreError};
use virtflow_model::{Cause, Evidence, Kind};

/// The lines of a store's entities in one range.
pub(super) struct StoreLines<'a> {
    windows: Windows<'a>,
    who: Who<'a>,
    grain: Grain,
    /// Virtual processors by VM, or nested VM, and number.
    vcpus: FxHashMap<(u32, i32), u32>,
    /// When and by whom workers were made, as far as was asked.
    births: FxHashMap<u32, Option<(i64, u32)>>,
}

impl<'a> StoreLines<'a> {
    pub(super) fn new(store: &'a Store, begin: i64, end: i64, grain: Grain) -> Self {
        let vcpus = store.entities().iter().filter_map(|e| {
            let kind = Kind::from_code(e.kind)?;
            let number = i32::try_from(e.vcpu?).ok()?;
            matches!(kind, Kind::Vcpu | Kind::NestedVcpu).then_some(((e.vm?, number), e.entity))
        });
        Self {
            windows: Windows::new(store, begin, end),
            who: Who::new(store),
            grain,
            vcpus: vcpus.collect(),
            births: FxHashMap::default(),
        }
    }

    fn kind(&self, entity: u32) -> Option<Kind> {
        let record = self.windows.store().entities().get(entity as usize);
        Kind::from_code(record?.kind)
    }

    /// The worker that stands for an entity in paths of this grain, at `t`.
    fn worker(&mut self, entity: u32, t: i64) -> Result<u32, StoreError> {
        if self.grain == Grain::Thread {
            return Ok(entity);
        }
        let entity = i32::try_from(entity)
            .ok()
            .and_then(|e| u32::try_from(self.who.resolve(e)).ok())
            .unwrap_or(entity);
        let is_vcpu = matches!(self.kind(entity), Some(Kind::Vcpu | Kind::NestedVcpu));
        if self.grain == Grain::Vcpu || !is_vcpu {
            return Ok(entity);
        }
        // Whoever had it at that moment, if that is known.
        let stay = self.windows.stay(entity, t)?.filter(|stay| stay.end >= t);
        Ok(stay.map_or(entity, |stay| stay.process))
    }

    fn ended_by(
        &mut self,
        worker: u32,
        stretch: &Stretch,
    ) -> Result<EndedBy<u32, Done>, StoreError> {
        if !stretch.state.is_wait() {
            return Ok(EndedBy::Nothing);
        }
        let (by, end) = (u32::try_from(stretch.done.by).ok(), stretch.end);
        let kind = self.kind(worker);
        if matches!(kind, Some(Kind::Process | Kind::GuestThread)) {
            return self.guest_wait(worker, stretch, by);
        }
        if kind == Some(Kind::NestedVcpu) {
            // What a nested VM waits for, its hypervisor's process waits for.
            let carrier = self.hypervisor_of(worker, end);
            return Ok(carrier.map_or(EndedBy::Nothing, EndedBy::Carrier));
        }
        let Some(by) = by else {
            return Ok(EndedBy::Nothing);
        };
        match self.kind(by) {
            Some(Kind::Device) => {
                let edge = self.windows.edge_into(worker, end)?;
                // One that comes from the disk itself was issued by nobody known.
                let from = match edge {
                    Some(edge) if edge.from != by => Some(self.worker(edge.from, edge.from_ns)?),
                    _ => None,
                };
                Ok(edge.map_or(EndedBy::Nothing, |edge| {
                    EndedBy::Transit(Transit {
                        through: by,
                        what: stretch.done,
                        since: edge.from_ns,
                        from,
                    })
                }))
            }
            _ => Ok(EndedBy::Worker(self.worker(by, end)?)),
        }
    }

    /// The process of the outer guest that runs a nested virtual processor, as it was at `t`.
    fn hypervisor_of(&self, vcpu: u32, t: i64) -> Option<u32> {
        let all = self.windows.store().entities();
        let nested = all.get(all.get(vcpu as usize)?.vm? as usize)?;
        let outer = nested.parent?;
        let candidates = self.windows.processes_of(outer).iter();
        let alive = candidates.filter_map(|&p| all.get(p as usize)).filter(|p| {
            p.cr3 == nested.cr3 && !p.cr3.is_empty() && (p.begin_ns..=p.end_ns).contains(&t)
        });
        alive.max_by_key(|p| p.begin_ns).map(|p| p.entity)
    }

    /// A guest process waited.
    fn guest_wait(
        &mut self,
        worker: u32,
        stretch: &Stretch,
        by: Option<u32>,
    ) -> Result<EndedBy<u32, Done>, StoreError> {
        let end = stretch.end;
        let cause = self.windows.store().doing(stretch.done.doing).cause;
        if let Some(by) = by
            && cause == Cause::Task.code()
        {
            return Ok(EndedBy::Worker(by));
        }
        if let Some(vcpu) = self.was_carried(worker, stretch)? {
            return Ok(EndedBy::Carrier(vcpu));
        }
        let packet = match by {
            Some(_) => self.windows.edge_into(worker, end)?,
            None => None,
        };
        Ok(packet.map_or(EndedBy::Nothing, |packet| {
            EndedBy::Transit(Transit {
                through: worker,
                what: stretch.done,
                since: packet.from_ns,
                from: Some(packet.from),
            })
        }))
    }

    /// The virtual processor of a process that waited, if it halted meanwhile and nobody else had
    /// it between then and the end of the wait: what woke it ended the wait.
    fn was_carried(&mut self, worker: u32, stretch: &Stretch) -> Result<Option<u32>, StoreError> {
        let record = self.windows.store().entities().get(worker as usize);
        let vm = record.and_then(|e| e.vm);
        let Some(&vcpu) = vm.and_then(|vm| self.vcpus.get(&(vm, stretch.vcpu))) else {
            return Ok(None);
        };
        let (begin, end) = (stretch.begin, stretch.end);
        let line = self.windows.line(vcpu, end)?;
        let until = line.partition_point(|s| s.begin < end);
        let meanwhile = line.get(..until).unwrap_or_default().iter().rev();
        let mut meanwhile = meanwhile.take_while(|s| s.end > begin);
        let halt = meanwhile.find(|s| s.state.is_wait());
        let Some(halt) = halt.filter(|halt| halt.end <= end) else {
            return Ok(None);
        };
        let woken = halt.end;
        let other = self.windows.stay(vcpu, end)?;
        let other = other.filter(|stay| stay.process != worker && stay.end > woken);
        Ok(other.is_none().then_some(vcpu))
    }
}

impl Lines for StoreLines<'_> {
    type Worker = u32;
    type What = Done;
    type Error = StoreError;

    fn before(&mut self, worker: u32, t: i64) -> Result<Option<Segment<u32, Done>>, StoreError> {
        let Some(stretch) = self.windows.before(worker, t)? else {
            return Ok(None);
        };
        // Only of a wait that ended at `t` it matters what ended it. A group's may go on behind
        // another of its members.
        let whose = stretch.whose;
        let goes_on = whose != worker && stretch.until > stretch.end;
        let ended_by = if stretch.end == t && !goes_on {
            self.ended_by(whose, &stretch)?
        } else {
            EndedBy::Nothing
        };
        Ok(Some(Segment {
            worker: whose,
            begin: stretch.begin,
            end: stretch.end,
            what: stretch.done,
            blocked: stretch.state.is_wait(),
            runs: stretch.state.is_run(),
            ended_by,
        }))
    }

    fn born(&mut self, worker: u32) -> Result<Option<(i64, u32)>, StoreError> {
        if let Some(birth) = self.births.get(&worker) {
            return Ok(*birth);
        }
        let store = self.windows.store();
        let mut birth = None;
        if let Some(record) = store.entities().get(worker as usize)
            && record.intervals > 0
        {
            // A forked thread sleeps until its parent wakes it.
            let begin = record.begin_ns;
            store.each_interval(&[worker], begin, begin.saturating_add(1), |first| {
                let forked = store.doing(first.doing).evidence == Evidence::Fork.code();
                if forked && let Ok(maker) = u32::try_from(first.by) {
                    birth = Some((begin, maker));
                }
            })?;
        }
        self.births.insert(worker, birth);
        Ok(birth)
    }

    fn last_end(&mut self, worker: u32, t: i64) -> Result<Option<i64>, StoreError> {
        self.windows.last_end(worker, t)
    }
}
