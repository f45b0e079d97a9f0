//! Identifiers that several layers use.

use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// A processor of a machine, as the kernel numbers it.
    CpuId(u32)
}
id! {
    /// A thread of a machine as its kernel numbers it (the kernel's `pid`); 0 is the idle thread
    /// of whichever processor runs it. A process is named by the `Tid` of its first thread.
    Tid(i32)
}
id! {
    /// A dense number for an entity of one analysis, in order of discovery.
    EntityId(u32)
}
