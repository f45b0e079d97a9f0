//! Containers of a real trace: who is in which, and whose time a critical path was.

use crate::store::Place;
use std::collections::HashMap;
use virtflow_query::store::{Piece, Store};
use virtflow_query::{Grain, Group, Kind, PathTold, State, Who, is_worker, life, members};

const TRACE: &str = "fixtures/host-containers";
/// The pid namespace of the host (include/linux/proc_ns.h `PROC_PID_INIT_INO`).
const HOST: u64 = 4_026_531_836;

fn store(place: &Place) -> Store {
    store_of(place, TRACE)
}

pub(crate) fn store_of(place: &Place, trace: &str) -> Store {
    let path = place.at("store");
    place.said(&["analyze", trace, "-o", path.to_str().unwrap()]);
    Store::open(&path).unwrap()
}

fn containers(store: &Store) -> Vec<u32> {
    let all = store.entities().iter();
    all.filter(|e| e.kind == Kind::Container.code())
        .map(|e| e.entity)
        .collect()
}

/// The namespaces of threads, read from the events as they were recorded.
fn namespaces(place: &Place) -> HashMap<i64, u64> {
    let events = "sched_process_fork,lttng_statedump_process_pid_ns";
    let lines = place.said(&["events", TRACE, "--filter", events, "--format", "jsonl"]);
    let mut found = HashMap::new();
    for line in lines.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        let fields = &event["fields"];
        let (tid, number) = match event["name"].as_str() {
            Some("sched_process_fork") => ("child_tid", "child_ns_inum"),
            // Those around it follow the thread's own, and the host's is around all.
            _ if fields["ns_level"] == 0 => continue,
            _ => ("tid", "ns_inum"),
        };
        found.insert(
            fields[tid].as_i64().unwrap(),
            fields[number].as_u64().unwrap(),
        );
    }
    found.retain(|_, number| *number != HOST);
    found
}

#[test]
fn each_thread_is_part_of_the_container_of_its_namespace() {
    let place = Place::new();
    let (store, namespaces) = (store(&place), namespaces(&place));
    assert!(namespaces.len() >= 10, "{namespaces:?}");
    let threads = store.entities().iter();
    let threads = threads.filter(|e| e.kind == Kind::Thread.code());
    let mut contained = 0;
    for thread in threads {
        let namespace = namespaces.get(&i64::from(thread.tid.unwrap()));
        let expected = namespace.map(|number| format!("container:{number}"));
        let parent = thread.parent.map(|at| &store.entities()[at as usize].key);
        assert_eq!(parent, expected.as_ref(), "{}", thread.key);
        contained += usize::from(parent.is_some());
    }
    assert_eq!(contained, namespaces.len());
    let made_of = containers(&store);
    let made_of = made_of.iter().map(|at| members(&store, *at).len());
    assert_eq!(made_of.sum::<usize>(), contained);
}

#[test]
fn times_by_container_add_up_to_what_elapsed() {
    let place = Place::new();
    let store = store(&place);
    let who = Who::new(&store);
    let all = 0..u32::try_from(store.entities().len()).unwrap();
    let (mut paths, mut others) = (0, 0);
    for worker in all.filter(|at| is_worker(&store, *at)) {
        let (begin, end) = life(&store, worker).unwrap();
        let told = PathTold::new(&store, worker, begin, end, Grain::of(&store, worker)).unwrap();
        let sum: i64 = told.groups.iter().map(|group| group.ns).sum();
        assert_eq!(sum, end - begin, "{}", who.name(worker));
        for group in &told.groups {
            let parts = [
                group.ran_ns,
                group.wanted_ns,
                group.waited_ns,
                group.unknown_ns,
            ];
            assert_eq!(parts.iter().sum::<i64>(), group.ns);
            // The steps, one by one.
            let steps = told.path.steps.iter();
            let steps = steps.filter(|step| who.group(step.worker) == group.group);
            assert_eq!(
                steps.map(|step| step.end - step.begin).sum::<i64>(),
                group.ns
            );
            let is_another = group.group != who.group(worker);
            let is_container = matches!(group.group, Group::Container(_));
            others += usize::from(is_another && is_container && group.ns > 0);
        }
        paths += 1;
    }
    // Threads, and both containers; some wait for a container that they are not in.
    assert!(paths > 50 && others > 2, "{paths} {others}");
}

#[test]
fn threads_of_a_vmm_are_part_of_its_vm_and_times_by_vm_add_up() {
    let place = Place::new();
    let store = store_of(&place, "fixtures/two-vms-network");
    let who = Who::new(&store);
    let all = store.entities();
    let is = |kind: Kind| all.iter().filter(move |e| e.kind == kind.code());
    let vms: HashMap<_, _> = is(Kind::Vm).map(|vm| (vm.pid, vm.entity)).collect();
    assert_eq!(vms.len(), 2);
    let mut helpers = 0;
    for thread in is(Kind::Thread).filter(|thread| !thread.label.starts_with("vhost-")) {
        let vm = vms.get(&thread.pid).filter(|_| thread.pid.is_some());
        let expected = vm.map_or(Group::Own(thread.machine), |vm| Group::Vm(*vm));
        assert_eq!(who.group(thread.entity), expected, "{}", thread.key);
        helpers += usize::from(vm.is_some());
    }
    assert!(helpers > 6, "{helpers}");
    let mut others = 0;
    for vcpu in is(Kind::Vcpu) {
        assert_eq!(who.group(vcpu.entity), Group::Vm(vcpu.vm.unwrap()));
        let (begin, end) = (vcpu.begin_ns, vcpu.end_ns);
        let told = PathTold::new(&store, vcpu.entity, begin, end, Grain::Vcpu).unwrap();
        let sum: i64 = told.groups.iter().map(|group| group.ns).sum();
        assert_eq!(sum, end - begin, "{}", vcpu.key);
        let another = |group: Group| vcpu.vm != group.entity() && group.entity().is_some();
        let of_another = told.groups.iter().filter(|sum| another(sum.group));
        others += of_another.map(|sum| sum.ns.max(sum.had_ns)).sum::<i64>();
    }
    assert!(others > 0, "the VMs wait for each other");
}

/// How much a thread does: it runs, wants a processor, waits, or none of it is known.
fn rank(store: &Store, piece: &Piece) -> u8 {
    match State::from_code(store.doing(piece.doing).state).unwrap() {
        State::Running => 0,
        State::Runnable | State::Preempted => 1,
        State::Sleeping | State::Uninterruptible => 2,
        _ => 3,
    }
}

#[test]
fn a_container_is_one_worker_that_does_what_most_of_any_thread_of_it_does() {
    let place = Place::new();
    let store = store(&place);
    let mut compared = [0; 3];
    for container in containers(&store) {
        let (begin, end) = life(&store, container).unwrap();
        let told = PathTold::new(&store, container, begin, end, Grain::Thread).unwrap();
        let members = members(&store, container);
        let pieces = store.intervals(&members, begin, end).unwrap();
        for step in &told.path.steps {
            // What the most active of all threads does, and until when, found naively.
            let middle = step.begin + (step.end - step.begin) / 2;
            let here = pieces
                .iter()
                .filter(|p| p.start <= middle && middle < p.end);
            let best = here.min_by_key(|p| (rank(&store, p), p.end)).unwrap();
            let most = rank(&store, best);
            compared[usize::from(most)] += 1;
            if step.inside.is_none() {
                assert_eq!(step.worker, best.lane.entity);
                assert_eq!(step.what.unwrap().doing, best.doing);
            } else {
                // Inside a wait somebody else worked, while all of the container waited.
                assert_eq!(most, 2);
                let at = std::iter::successors(step.inside, |at| told.path.waits[*at].inside);
                let outermost = told.path.waits[at.last().unwrap()];
                assert_eq!(outermost.worker, best.lane.entity);
                assert!(outermost.end <= best.end);
            }
        }
    }
    assert!(compared.iter().all(|count| *count > 20), "{compared:?}");
}
