//! The pipeline (open, model, sums) and the named answers: budgets, waits, pre-emption, exits.
//!
//! Faces ask here and nowhere below: raw events, too, reach them through [`Recording`].

mod answers;
mod apart;
mod budgets;
mod clocks;
mod event_json;
mod facts;
mod filter;
mod glob;
mod info;
mod live;
mod needed;
mod pipeline;
mod report;
mod rows;
mod source;
mod spread;
pub mod store;
mod sums;
mod vms;

pub use answers::{
    Agreement, BesideProcess, CriticalPath, Did, Difference, Done, ExitCosts, ExitsBy, Finding,
    FindingKind, Grain, Group, GroupSum, Guest, Listed, PathNode, PathStep, PathTold, Resource,
    Shared, Taken, Together, WaitCosts, Waiter, Who, beside, critical_path, events, exit_costs,
    findings, is_worker, life, members, taken, together, waits, workers,
};
pub use budgets::{Budgets, ExitCost, ExitKey};
pub use clocks::{ClockAlignment, GuestCpu, GuestOf, align};
pub use event_json::{Numbers, event_json, push_integer, push_number};
pub use facts::Facts;
pub use filter::{Filter, FilterError, search};
pub use glob::Glob;
pub use info::{EventReport, INFO_VERSION, Info, MachineInfo, info};
pub use live::{
    ExitCount, Incoming, Live, LiveOptions, LiveTotal, Row as LiveRow, RowKind, Shares, StatePart,
    TOP_VERSION, TakenBy, TopHeader, TopLine, TotalKind, TotalOf, Totals, View, WindowLine, replay,
};
pub use needed::{Analysis, Missing, Possible};
pub use pipeline::{Outcome, Progress, analyze, bounds, machines, threads};
pub use report::{
    Budget, Checks, ContainerReport, CpuReport, Durations, ExitReport, GuestReport,
    GuestThreadReport, HostReport, LossReport, MachineReport, NestedVcpuReport, NestedVmReport,
    ProcessReport, REPORT_VERSION, Report, Request, StateTime, StreamReport, Taker, TakerKind,
    ThreadReport, VcpuReport, VmReport, Wait, Waits, report,
};
pub use rows::{CounterRow, EdgeRow, IntervalRow, ROWS_VERSION, Row, Rows};
pub use source::{ClockReport, ProblemReport, ProblemsReport, SourceReport};
pub use spread::{Precision, Spread, Total};
pub use sums::{Doing, Sums};
pub use virtflow_base::CpuId;
pub use virtflow_events::{
    AnyEvent, Base, Counted, EventCount, FieldError, Item, OpenError, Recording, Scope, TraceInfo,
    Value,
};
pub use virtflow_graph::{Branch, Sum};
pub use virtflow_model::{
    Cause, Confidence, Counter, Counts, EdgeKind, Evidence, Kind, Options, State, Yet, exits,
};
pub use vms::{DiskInfo, NetInfo, VcpuInfo, VmInfo};
