//! A sink that keeps everything: for tests and for recordings small enough to hold.

use virtflow_base::{Edge, Entity, Exit, Interval, Sample, Sink};

/// All that a model found. The latest form of each entity stands at its number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Entities, by number.
    pub entities: Vec<Entity>,
    /// Intervals, in the order in which they were explained.
    pub intervals: Vec<Interval>,
    /// Edges, in the order in which they were found.
    pub edges: Vec<Edge>,
    /// Exits, in the order in which they ended.
    pub exits: Vec<Exit>,
    /// Values of counters, in time order.
    pub samples: Vec<Sample>,
}

impl Sink for Collected {
    fn entity(&mut self, entity: &Entity) {
        let at = entity.id.0 as usize;
        if at < self.entities.len() {
            self.entities[at] = entity.clone();
        } else {
            self.entities.push(entity.clone());
        }
    }

    fn interval(&mut self, interval: &Interval) {
        self.intervals.push(*interval);
    }

    fn edge(&mut self, edge: &Edge) {
        self.edges.push(*edge);
    }

    fn exit(&mut self, exit: &Exit) {
        self.exits.push(*exit);
    }

    fn sample(&mut self, sample: &Sample) {
        self.samples.push(*sample);
    }
}
