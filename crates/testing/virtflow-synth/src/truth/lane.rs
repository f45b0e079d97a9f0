//! A lane: exactly one state at each moment.

/// Whoever a state or an edge is by: a place in the table of keys.
pub(crate) type By = u32;

/// Nobody in particular.
pub(crate) const NOBODY: By = 0;

/// What a lane is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) state: &'static str,
    pub(crate) level: u8,
    pub(crate) cause: &'static str,
    pub(crate) by: By,
}

impl Status {
    /// A state with no cause.
    pub(crate) const fn new(state: &'static str, level: u8) -> Self {
        Self {
            state,
            level,
            cause: "",
            by: NOBODY,
        }
    }

    /// A state with its cause.
    pub(crate) const fn because(state: &'static str, level: u8, cause: &'static str) -> Self {
        Self {
            state,
            level,
            cause,
            by: NOBODY,
        }
    }

    /// A state and whose fault it is.
    pub(crate) const fn by(state: &'static str, level: u8, by: By) -> Self {
        Self {
            state,
            level,
            cause: "",
            by,
        }
    }
}

/// The state that is on in a lane, and since when (nanoseconds into the trace).
#[derive(Clone, Debug)]
pub(crate) struct Lane {
    pub(crate) start: i64,
    pub(super) status: Status,
    /// `kind,key,label,vm_key,vcpu,tid,pid,cr3` of its rows.
    pub(super) columns: String,
    /// Its key, in the table of keys.
    pub(crate) key: By,
}

impl Lane {
    /// It begins at a time.
    pub(crate) const fn begin(&mut self, time: i64) {
        self.start = time;
    }

    /// The state that is on.
    pub(crate) const fn state(&self) -> &'static str {
        self.status.state
    }

    /// Its key, and the columns after that.
    pub(crate) fn key_and_columns(&self) -> (&str, &str) {
        let rest = self.columns.split_once(',').map_or("", |(_, rest)| rest);
        rest.split_once(',').unwrap_or((rest, ""))
    }

    /// Whom the state that is on is by.
    pub(crate) const fn by(&self) -> By {
        self.status.by
    }
}
