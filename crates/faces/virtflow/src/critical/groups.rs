//! What a path comes to by container, VM and machine.

use super::Shown;
use crate::output::{duration_cell, share};
use crate::page::Page;
use crate::table::{Table, Tone};
use serde::Serialize;
use virtflow_query::Group;

/// How much of a path was the time of one group, for programs.
#[derive(Serialize)]
pub(super) struct JsonGroup<'a> {
    group: &'static str,
    key: &'a str,
    name: String,
    machine: &'a str,
    ns: i64,
    share: f64,
    ran_ns: i64,
    wanted_ns: i64,
    waited_ns: i64,
    unknown_ns: i64,
    had_ns: i64,
}

impl<'a> Shown<'a> {
    /// Whether any of its time is a container's.
    pub(super) fn has_containers(&self) -> bool {
        let mut groups = self.told.groups.iter();
        groups.any(|sum| matches!(sum.group, Group::Container(_)))
    }

    /// What a worker is part of, for people.
    pub(super) fn part_of(&self, worker: u32) -> String {
        self.who.group_name(self.who.group(worker))
    }

    /// Whether somebody is the worker, or one of those that it is made of.
    pub(super) fn is_of(&self, somebody: u32) -> bool {
        self.members.contains(&somebody)
    }

    /// A name, and the container if whoever it stands beside is not in that.
    pub(super) fn name_beside(&self, worker: u32, beside: u32) -> String {
        let name = self.who.name(worker);
        match self.who.group(worker) {
            group @ Group::Container(_) if self.who.group(beside) != group => {
                format!("{name} in {}", self.who.group_name(group))
            }
            _ => name,
        }
    }

    /// What the worker is made of, or part of.
    pub(super) fn made_of(&self, page: &mut Page) {
        let worker = self.told.worker;
        if let Some(container) = self.who.container(worker) {
            page.fact("part of", &self.who.own_name(container));
        }
        if !self.is_of(worker) {
            let count = self.members.len();
            page.fact("threads", &format!("{count}, followed as one worker"));
        }
    }

    /// By container, VM and machine, if it is more than one machine's own.
    pub(super) fn groups(&self, page: &mut Page) {
        let groups = &self.told.groups;
        if groups.iter().all(|sum| sum.group.entity().is_none()) {
            return;
        }
        page.heading(Tone::Strong, "WHOSE TIME IT WAS, BY CONTAINER AND VM");
        let several = self.who.machine(self.told.worker).is_some();
        let mut headings = vec!["part of"];
        headings.extend(several.then_some("on"));
        let names = headings.len();
        headings.extend(["time", "share", "ran", "wanted a CPU", "waited"]);
        headings.extend(["unknown", "had it"]);
        let mut table = Table::new(names, headings);
        let own = self.who.group(self.told.worker);
        for sum in groups {
            let mut cells = vec![self.who.group_name(sum.group)];
            if several {
                let machine = self.who.group_machine(sum.group);
                cells.push(machine.unwrap_or_default().to_owned());
            }
            cells.extend([duration_cell(sum.ns), share(sum.ns, self.whole())]);
            let parts = [sum.ran_ns, sum.wanted_ns, sum.waited_ns, sum.unknown_ns];
            cells.extend(parts.map(|ns| share(ns, self.whole())));
            cells.push(share(sum.had_ns, self.whole()));
            let tone = if sum.group == own {
                Tone::Strong
            } else {
                Tone::Plain
            };
            table.row(tone, cells);
        }
        page.table(&table);
        let text = "had it: it had the CPU while that was wanted, by itself or another.";
        page.paragraph(Tone::Faint, text);
    }

    pub(super) fn json_groups(&self) -> Vec<JsonGroup<'a>> {
        let groups = self.told.groups.iter();
        groups
            .map(|sum| JsonGroup {
                group: sum.group.as_str(),
                key: sum.group.entity().map_or("", |entity| self.key(entity)),
                name: self.who.group_name(sum.group),
                machine: self.who.group_machine(sum.group).unwrap_or_default(),
                ns: sum.ns,
                share: self.told.share(sum.ns),
                ran_ns: sum.ran_ns,
                wanted_ns: sum.wanted_ns,
                waited_ns: sum.waited_ns,
                unknown_ns: sum.unknown_ns,
                had_ns: sum.had_ns,
            })
            .collect()
    }
}
