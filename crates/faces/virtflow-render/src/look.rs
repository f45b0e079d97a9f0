//! How states look: colours that colour-blind eyes tell apart, heights and patterns for paper without
//! colour. The page has the same (`web/src/timeline/palette.ts`).

/// Lines over a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Pattern {
    Solid,
    /// Pre-empted: lines that fall.
    Falling,
    /// Waiting: lines that rise.
    Rising,
    Upright,
    Level,
    Cross,
    Dots,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Look {
    pub(crate) color: u32,
    pub(crate) pattern: Pattern,
    /// Share of the row's height.
    pub(crate) height: f64,
}

pub(crate) fn look(state: &str, cause: &str, level: u8) -> Look {
    use Pattern::{Cross, Dots, Falling, Level, Rising, Solid, Upright};
    let (color, pattern, height) = match state {
        "running" if cause == "irq" => (0x00cc_79a7, Solid, 1.0),
        "running" if cause == "softirq" => (0x00b8_860b, Solid, 1.0),
        "running" => (0x0000_9e73, Solid, 1.0),
        "guest" => {
            // A guest inside a guest stands lower than the one around it.
            let deep = 1.0 - 0.22 * f64::from(level.saturating_sub(1));
            (0x0000_9e73, Solid, deep.max(0.55))
        }
        "run-user" => (0x0000_9e73, Solid, 1.0),
        "run-kernel" => (0x000f_7d8c, Solid, 0.86),
        "run-hypervisor" => (0x004f_83cc, Solid, 0.66),
        "hypervisor" | "l0-handling" => (0x004f_83cc, Solid, 0.72),
        "l1-handling" => (0x007c_6bc4, Upright, 0.72),
        "l2-handling" => (0x009a_77c9, Level, 0.72),
        "vmm" => (0x00a5_416f, Level, 0.72),
        "halt-poll" => (0x0056_b4e9, Upright, 0.5),
        "irq-stolen" => (0x00cc_79a7, Solid, 0.6),
        "preempted" | "preempted-l0" | "preempted-on-host" => (0x00d5_5e00, Falling, 0.7),
        "preempted-l1" => (0x00e6_9f00, Cross, 0.7),
        "preempted-l2" => (0x00c9_8a2a, Cross, 0.6),
        "throttled" => (0x0088_2255, Cross, 0.7),
        "runnable" | "ready-in-guest" => (0x00e6_9f00, Falling, 0.5),
        "unknown" if cause == "lost" => (0x008a_8f98, Cross, 0.6),
        "unknown" => (0x008a_8f98, Dots, 0.4),
        "idle" => (0x00a9_b0ba, Solid, 0.16),
        "off" => (0x00a9_b0ba, Solid, 0.08),
        "halted" => (of_cause(cause), Rising, 0.4),
        "waiting" => (of_cause(cause), Rising, 0.36),
        "sleeping" => (of_cause(cause), Rising, 0.3),
        "uninterruptible" => (of_cause(cause), Rising, 0.42),
        "blocked-on-host" => (of_cause(cause), Rising, 0.55),
        _ => (0x0099_9999, Level, 0.6),
    };
    Look {
        color,
        pattern,
        height,
    }
}

/// Waits take the colour of what ended them.
fn of_cause(cause: &str) -> u32 {
    match cause {
        "timer" => 0x0056_b4e9,
        "task" => 0x00c2_a200,
        "disk" | "uninterruptible" => 0x0094_67bd,
        "net" => 0x00d8_74b0,
        "vfio" => 0x0044_aa99,
        "console" => 0x008c_8c3c,
        "spinlock" => 0x0088_2255,
        "host-memory" => 0x00b8_542f,
        "host-io" => 0x00b8_860b,
        "vmm-kick" => 0x00a5_416f,
        "nmi" => 0x00cc_6677,
        "idle" => 0x00aa_b2bd,
        _ => 0x008d_97a5,
    }
}

/// Whether what was waited for is part of how it looks.
pub(crate) fn is_wait(state: &str) -> bool {
    matches!(
        state,
        "halted" | "waiting" | "sleeping" | "uninterruptible" | "blocked-on-host"
    )
}
