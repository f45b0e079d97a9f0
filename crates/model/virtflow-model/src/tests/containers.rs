//! Which threads are part of which container.

use super::*;
use virtflow_base::Entity;
use virtflow_events::NamespaceKind;

/// The first pid namespace (include/linux/proc_ns.h `PROC_PID_INIT_INO`).
const HOST: u32 = 4_026_531_836;

fn namespace(tid: Tid, inum: u32, level: u32) -> K {
    K::StatedumpNamespace {
        tid,
        kind: NamespaceKind::Pid,
        inum,
        level: Some(level),
    }
}

/// Of the innermost one, how many are around it not being told.
fn innermost(tid: Tid, inum: u32) -> K {
    K::StatedumpNamespace {
        tid,
        kind: NamespaceKind::Pid,
        inum,
        level: None,
    }
}

fn fork(parent: Tid, child: Tid, child_ns: Option<u32>) -> K {
    K::ProcessFork {
        parent,
        parent_pid: None,
        child,
        child_pid: None,
        child_comm: comm(child),
        child_ns,
    }
}

/// What was found, after a state dump and what came later.
fn found(dump: &[K], events: &[K]) -> Vec<Entity> {
    let mut model = Model::new(
        &coverage(100, Vec::new()),
        Options::default(),
        Collected::default(),
    );
    for told in dump {
        model.know(&record(*told));
    }
    for (t, event) in (1..).zip(events) {
        model.event(at(t), &record(*event));
    }
    model.finish().0.entities
}

/// The key of what a thread, or a container, is part of.
fn part_of(found: &[Entity], is: impl Fn(&&Entity) -> bool) -> &str {
    let parent = found.iter().find(is).unwrap().parent;
    parent.map_or("", |parent| found[parent.0 as usize].key.as_str())
}

fn thread(tid: Tid) -> impl Fn(&&Entity) -> bool {
    move |e| e.kind == Kind::Thread.code() && e.tid == Some(tid.0)
}

#[test]
fn threads_of_a_namespace_are_a_container() {
    let dump = [process(OTHER, OTHER), namespace(OTHER, 77, 1)];
    let found = found(&dump, &[switch(Tid(0), 0, OTHER)]);
    let container = |e: &&Entity| e.kind == Kind::Container.code();
    let container = found.iter().find(container).unwrap();
    assert_eq!(
        (container.key.as_str(), container.label.as_slice()),
        ("container:77", b"other".as_slice())
    );
    assert_eq!(part_of(&found, thread(OTHER)), "container:77");
}

#[test]
fn a_child_is_where_its_maker_is_unless_the_event_tells() {
    let dump = [process(OTHER, OTHER), namespace(OTHER, 77, 1)];
    let made = [
        fork(OTHER, Tid(201), None),
        fork(OTHER, Tid(202), Some(77)),
        fork(OTHER, Tid(203), Some(88)),
        fork(QEMU, Tid(204), Some(88)),
    ];
    let found = found(&dump, &made);
    let places = [201, 202, 203, 204].map(|tid| part_of(&found, thread(Tid(tid))));
    // The last one's maker is in none; whoever made it there, its own namespace is told.
    let expected = [
        "container:77",
        "container:77",
        "container:88",
        "container:88",
    ];
    assert_eq!(places, expected);
}

#[test]
fn children_of_the_host_are_in_no_container_though_no_dump_was_seen() {
    let found = found(
        &[],
        &[switch(Tid(0), 0, OTHER), fork(OTHER, QEMU, Some(HOST))],
    );
    assert_eq!(part_of(&found, thread(QEMU)), "");
    assert!(found.iter().all(|e| e.kind != Kind::Container.code()));
}

#[test]
fn a_thread_is_in_the_innermost_of_nested_containers() {
    // As the tracer dumps them: from the innermost out.
    let dump = [
        process(OTHER, OTHER),
        namespace(OTHER, 99, 3),
        namespace(OTHER, 88, 2),
        namespace(OTHER, 77, 1),
        namespace(OTHER, HOST, 0),
        process(QEMU, QEMU),
        namespace(QEMU, 77, 1),
        namespace(QEMU, HOST, 0),
    ];
    let found = found(&[&dump[..], &dump[..]].concat(), &[]);
    assert_eq!(part_of(&found, thread(OTHER)), "container:99");
    assert_eq!(part_of(&found, thread(QEMU)), "container:77");
    let around = |key: &str| part_of(&found, |e| e.key == key);
    let all = ["container:99", "container:88", "container:77"];
    assert_eq!(all.map(around), ["container:88", "container:77", ""]);
}

#[test]
fn a_namespace_may_be_told_before_the_fork_and_without_its_depth() {
    let dump = [
        process(OTHER, OTHER),
        innermost(OTHER, 77),
        process(QEMU, QEMU),
        innermost(QEMU, HOST),
        // Told when it was there already, which its own fork tells later.
        K::ThreadTold {
            tid: Tid(206),
            pid: None,
            comm: Comm::default(),
        },
    ];
    let made = [
        // perf tells where a child lives right before its fork.
        innermost(Tid(201), 77),
        fork(OTHER, Tid(201), None),
        innermost(Tid(202), 88),
        fork(OTHER, Tid(202), None),
        innermost(Tid(203), HOST),
        fork(OTHER, Tid(203), None),
        // Its fork was not recorded.
        innermost(Tid(204), 88),
        switch(Tid(0), 0, Tid(204)),
        innermost(Tid(206), 88),
        fork(OTHER, Tid(206), None),
        // The number of one that has ended is that of another now.
        fork(OTHER, Tid(205), None),
        K::ProcessExit { tid: Tid(205) },
        innermost(Tid(205), 99),
        fork(OTHER, Tid(205), None),
    ];
    let found = found(&dump, &made);
    let places = [201, 202, 203, 204, 206].map(|tid| part_of(&found, thread(Tid(tid))));
    let (c77, c88) = ("container:77", "container:88");
    assert_eq!(places, [c77, c88, "", c88, c88]);
    assert_eq!(part_of(&found, thread(QEMU)), "");
    let again = found.iter().filter(thread(Tid(205)));
    let parents = again.filter_map(|e| Some(found[e.parent?.0 as usize].key.as_str()));
    let mut parents: Vec<_> = parents.collect();
    parents.dedup();
    assert_eq!(parents, [c77, "container:99"]);
}
