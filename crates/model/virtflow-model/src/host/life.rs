//! Threads of the host begin and end, and what the tracer's state dump says of them.

use super::{Container, NAMESPACES_MAX, STATEDUMP_WAIT, Sched, ThreadIx, UNBORN_MAX};
use crate::lane::Status;
use crate::model::Model;
use crate::vocab::{Evidence, Kind, State};
use virtflow_base::{EntityId, Sink, Tid, Timestamp};
use virtflow_events::{Comm, NamespaceKind};

impl<S: Sink> Model<S> {
    #[expect(clippy::too_many_arguments, reason = "the fields of the event")]
    pub(crate) fn fork(
        &mut self,
        t: Timestamp,
        parent: Tid,
        parent_pid: Option<Tid>,
        child: Tid,
        child_pid: Option<Tid>,
        comm: &Comm,
        ns: Option<u32>,
    ) {
        if child.0 == 0 {
            return;
        }
        let mut ns = ns.or_else(|| self.unborn.remove(&child));
        if let Some(&old) = self.thread_by_tid.get(&child) {
            // Told of beside the events and never seen, it is this one: told after it began.
            let thread = &self.threads[old.0];
            let is_told = !thread.exiting && thread.sched == Sched::Unresolved;
            ns = ns.or(thread.container.filter(|_| is_told));
            self.end_thread(t, old);
        }
        let x = self.new_thread(child, comm, t, Sched::Sleeping);
        let status = Status::new(State::Sleeping, Evidence::Fork);
        if let Some(lane) = &mut self.threads[x.0].lane {
            lane.amend(|s| *s = status);
        }
        self.threads[x.0].inherited_name = true;
        if let Some(pid) = child_pid {
            self.set_pid(x, pid);
        }
        let mut container = ns.filter(|ns| *ns != self.host_namespace);
        if let Some(&p) = self.thread_by_tid.get(&parent) {
            if let Some(pid) = parent_pid.filter(|_| self.threads[p.0].pid.is_none()) {
                self.set_pid(p, pid);
            }
            self.threads[x.0].vm = self.threads[p.0].vm;
            if ns.is_none() {
                // It is where the one that forked it is.
                container = self.threads[p.0].container;
            }
        }
        if let Some(inum) = container {
            self.put_in_container(x, inum);
        }
    }

    pub(crate) fn exec(&mut self, tid: Tid, old_tid: Tid) {
        if tid == old_tid {
            return;
        }
        // A thread that was not the leader takes the leader's number.
        if let Some(x) = self.thread_by_tid.remove(&old_tid) {
            self.threads[x.0].tid = tid;
            self.thread_by_tid.insert(tid, x);
        }
    }

    pub(crate) fn exiting(&mut self, tid: Tid) {
        if let Some(x) = self.thread_by_tid.get(&tid) {
            self.threads[x.0].exiting = true;
        }
    }

    pub(crate) fn freed(&mut self, t: Timestamp, tid: Tid) {
        if let Some(&x) = self.thread_by_tid.get(&tid)
            && self.threads[x.0].exiting
        {
            self.end_thread(t, x);
        }
    }

    /// Ends a thread's life.
    pub(crate) fn end_thread(&mut self, t: Timestamp, x: ThreadIx) {
        self.vcpu_ended(t, x);
        self.wait_on(x, None);
        let thread = &mut self.threads[x.0];
        if let Some(lane) = thread.lane.take() {
            lane.finish(t, &mut self.sink);
        }
        thread.past = Vec::new();
        if self.thread_by_tid.get(&thread.tid) == Some(&x) {
            self.thread_by_tid.remove(&thread.tid);
            self.vm_names.forget(thread.tid);
        }
        self.list(x);
    }

    pub(crate) fn statedump(&mut self, tid: Tid, pid: Tid, status: u32, comm: &Comm) {
        if tid.0 == 0 {
            return;
        }
        // Of a thread that may have begun in a loss nobody knows since when it sleeps.
        let lost = self.lost_until > Timestamp::MIN || self.cpus.iter().any(|cpu| cpu.lossy);
        let hidden = lost && !self.thread_by_tid.contains_key(&tid);
        let x = self.thread(tid, comm);
        self.threads[x.0].statedump_waits = status == STATEDUMP_WAIT && !hidden;
        self.set_pid(x, pid);
    }

    /// What a recording tells of a thread beside its events.
    pub(crate) fn thread_told(&mut self, tid: Tid, pid: Option<Tid>, comm: &Comm) {
        if tid.0 == 0 {
            return;
        }
        let x = self.thread(tid, comm);
        if let Some(pid) = pid {
            self.set_pid(x, pid);
        }
    }

    /// Notes that a thread lives in a pid namespace other than the host's: a container, named
    /// after the first thread seen in it.
    pub(super) fn put_in_container(&mut self, x: ThreadIx, inum: u32) {
        if self.threads[x.0].container == Some(inum) {
            return;
        }
        self.threads[x.0].container = Some(inum);
        let container = self.container(inum, x);
        let thread = &mut self.threads[x.0];
        thread.entity.parent = Some(container);
        self.sink.entity(&thread.entity);
    }

    /// The container of a pid namespace; a new one is called what `first` is.
    fn container(&mut self, inum: u32, first: ThreadIx) -> EntityId {
        if let Some(container) = self.containers.get(&inum) {
            return container.entity.id;
        }
        let mut entity = self.new_entity(Kind::Container, format!("container:{inum}"));
        entity.label = self.threads[first.0].entity.label.clone();
        self.sink.entity(&entity);
        let id = entity.id;
        let container = Container {
            entity,
            level: None,
            inside: None,
        };
        self.containers.insert(inum, container);
        id
    }

    /// A namespace that a thread lives in. Of nested ones the state dump names all, from the
    /// innermost out (LTTng-modules src/lttng-statedump-impl.c `lttng_statedump_process_ns`).
    pub(crate) fn namespace(
        &mut self,
        tid: Tid,
        kind: NamespaceKind,
        inum: u32,
        level: Option<u32>,
    ) {
        if kind != NamespaceKind::Pid {
            return;
        }
        let Some(level) = level else {
            return self.innermost(tid, inum);
        };
        if level == 0 {
            self.host_namespace = inum;
            return;
        }
        let Some(&x) = self.thread_by_tid.get(&tid) else {
            return;
        };
        let own = self.threads[x.0].container.filter(|&own| own != inum);
        let own_level = own.and_then(|own| self.containers.get(&own)?.level);
        match own {
            // It was put there by its maker, who is further out.
            Some(_) if own_level.is_some_and(|own| own < level) => self.put_in_container(x, inum),
            Some(own) => self.nest(own, x, inum, level),
            None => self.put_in_container(x, inum),
        }
        if let Some(container) = self.containers.get_mut(&inum) {
            container.level = Some(level);
        }
    }

    /// The namespace that a thread lives in, how many are around it not being told. It may be told
    /// before the fork of which the thread comes.
    pub(super) fn innermost(&mut self, tid: Tid, inum: u32) {
        let known = self.thread_by_tid.get(&tid);
        // Of one that has ended another has the number now.
        match known.filter(|x| !self.threads[x.0].exiting) {
            Some(&x) if inum != self.host_namespace => self.put_in_container(x, inum),
            Some(_) => {}
            None if self.unborn.len() < UNBORN_MAX => {
                self.unborn.insert(tid, inum);
            }
            None => {}
        }
    }

    /// Notes that the namespace `inum` is around that of a container, or around the outermost
    /// that is known to be around it.
    fn nest(&mut self, inner: u32, x: ThreadIx, inum: u32, level: u32) {
        let around = |at: &u32| self.containers.get(at)?.inside;
        let known = std::iter::successors(Some(inner), around);
        let Some(outermost) = known.take(NAMESPACES_MAX).last() else {
            return;
        };
        let is_next = |c: &Container| c.level == Some(level.saturating_add(1));
        if !self.containers.get(&outermost).is_some_and(is_next) {
            return;
        }
        let outer = self.container(inum, x);
        if let Some(container) = self.containers.get_mut(&outermost) {
            container.inside = Some(inum);
            container.entity.parent = Some(outer);
            self.sink.entity(&container.entity);
        }
    }
}
