//! Pictures of a store, for paper and for people without a browser: rows of lanes over one time
//! axis, and tables, as SVG, PNG, or the same as CSV.
//!
//! They read when printed without colour: each state has a height and a pattern of its own, and the
//! legend names those that occur.

mod legend;
mod look;
mod paper;
mod path;
mod png;
mod tables;
mod timeline;

use path::PathPicture;
use tables::Answer;
use timeline::Timeline;
use virtflow_query::store::{Store, StoreError};

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is nothing of the kind.
    #[error("nothing to draw: {0}")]
    Nothing(String),
    /// The picture cannot be made.
    #[error("cannot make the picture: {0}")]
    Picture(String),
}

impl RenderError {
    fn nothing(request: &Request) -> Self {
        let what = request.view.what();
        Self::Nothing(request.vm.as_ref().map_or_else(
            || format!("the store has no {what}"),
            |vm| format!("no {what} of a VM named {vm}"),
        ))
    }
}

/// A view, as the page has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Virtual machines, their vCPUs, nested VMs and theirs.
    Vms,
    /// Guest processes by VM.
    Processes,
    /// Physical CPUs, interrupts, devices and host threads.
    Resources,
    /// What stands out.
    Overview,
    /// Where the time of each CPU, vCPU and process went.
    Budgets,
    /// What was waited for.
    Waits,
    /// Who kept whom from running.
    Matrix,
    /// What exits cost.
    Exits,
    /// What everything does at the beginning of the range.
    States,
    /// Whose time it was while a worker waited.
    CriticalPath,
}

impl View {
    /// What it draws, in words.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Vms => "virtual machine",
            Self::Processes => "guest process",
            Self::Resources => "CPU or thread",
            Self::Overview => "finding",
            Self::Budgets | Self::States => "lane",
            Self::Waits => "wait",
            Self::Matrix => "pre-emption",
            Self::Exits => "exit",
            Self::CriticalPath => "worker",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Vms => "virtual machines",
            Self::Processes => "guest processes",
            Self::Resources => "host CPUs, devices and threads",
            Self::Overview => "what stands out in all of it",
            Self::Budgets => "where the time went",
            Self::Waits => "what was waited for",
            Self::Matrix => "who kept whom from running",
            Self::Exits => "exits, by VM",
            Self::States => "what everything does at the beginning",
            Self::CriticalPath => "critical path",
        }
    }
}

/// What to draw.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which rows.
    pub view: View,
    /// Only of the VM whose label or key contains this, or whose VMM has this number.
    pub vm: Option<String>,
    /// Of which worker, for critical paths: a number of a host thread, a key, or a part of a name.
    pub of: Option<String>,
    /// From, in nanoseconds since the epoch; the beginning of the store without it.
    pub begin: Option<i64>,
    /// To.
    pub end: Option<i64>,
    /// How wide, in pixels.
    pub width: u32,
    /// At most so many rows.
    pub rows: usize,
    /// What stands above it.
    pub title: String,
}

/// What was found, ready to be drawn.
#[derive(Debug)]
pub struct Picture<'a>(Content<'a>);

#[derive(Debug)]
enum Content<'a> {
    Timeline(Timeline<'a>),
    Answer(Answer),
    Path(Box<PathPicture<'a>>),
}

impl<'a> Picture<'a> {
    /// Reads what the picture shows.
    ///
    /// # Errors
    /// Where the store is broken, or there is nothing to draw.
    pub fn new(store: &'a Store, request: Request) -> Result<Self, RenderError> {
        let whole = store
            .span()
            .ok_or_else(|| RenderError::Nothing("the store has no interval".to_owned()))?;
        let begin = request.begin.unwrap_or(whole.0).max(whole.0);
        let end = request.end.unwrap_or(whole.1).min(whole.1);
        if begin >= end {
            return Err(RenderError::Nothing(
                "the range lies outside of what was recorded".to_owned(),
            ));
        }
        let range = (begin, end);
        Ok(Self(match request.view {
            View::Vms | View::Processes | View::Resources => {
                Content::Timeline(Timeline::new(store, request, range)?)
            }
            View::CriticalPath => Content::Path(Box::new(PathPicture::new(store, request, range)?)),
            _ => Content::Answer(Answer::new(store, request, range)?),
        }))
    }

    /// As SVG.
    pub fn svg(&self) -> String {
        match &self.0 {
            Content::Timeline(timeline) => timeline.svg(),
            Content::Answer(answer) => answer.svg(),
            Content::Path(path) => path.svg(),
        }
    }

    /// As PNG, `scale` pixels for each of the picture's.
    ///
    /// # Errors
    /// Where it is too large for memory.
    pub fn png(&self, scale: f32) -> Result<Vec<u8>, RenderError> {
        png::draw(&self.svg(), scale)
    }

    /// What is drawn, as CSV (RFC 4180).
    ///
    /// # Errors
    /// Never in practice: it is written to memory.
    pub fn csv(&self) -> Result<String, RenderError> {
        match &self.0 {
            Content::Timeline(timeline) => timeline.csv(),
            Content::Answer(answer) => answer.csv(),
            Content::Path(path) => path.csv(),
        }
    }
}
