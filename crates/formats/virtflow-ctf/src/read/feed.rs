//! Packet after packet of a stream, each through the window.

use std::fs::File;
use std::sync::Arc;

use virtflow_base::{
    CpuId, Loss, LossKind, Place, Problem, ProblemKind, Problems, Span, Timestamp,
};

use super::bind::Bound;
use super::scan::{Cursor, Pause, Visit, Wrong, scan};
use super::window::{STEP, WINDOW, WINDOW_MAX, Window};
use crate::index::{Packet, StreamFile, header_problem};
use crate::metadata::{Metadata, StreamClass};
use crate::plan::{Machine, Mark, PacketFacts, Stop};

/// What a call of [`Feed::run`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The visitor had enough.
    Paused,
    /// A window or a packet is done.
    More,
    /// The last packet is done.
    End,
}

/// The packet that is being read.
struct Current {
    /// Bits that mean something.
    content: u64,
    /// Bytes of it.
    bytes: u64,
    /// Bits from its beginning to the next event.
    next: u64,
    /// Whether a time running backwards was told already.
    told: bool,
}

/// Reads a range of a stream's packets.
pub(super) struct Feed<'t> {
    metadata: &'t Metadata,
    stream: &'t StreamFile,
    class: &'t StreamClass,
    bound: Option<&'t Bound>,
}

/// What of reading a stream outlives a call.
pub(super) struct State {
    stream: u32,
    /// The next packet, or the one that is being read.
    packet: usize,
    end: usize,
    file: Option<(u32, File)>,
    window: Window,
    pub(super) registers: Vec<u64>,
    marks: Vec<Mark>,
    current: Option<Current>,
    clock: u64,
    last: u64,
    /// Bytes of the packets done with.
    passed: u64,
    pub(super) cpu: Option<CpuId>,
    pub(super) problems: Problems,
    /// What of packets had to be left out.
    pub(super) losses: Vec<Loss>,
}

impl State {
    /// For the packets `packets` of stream `stream`, with room for so many marks.
    pub(super) fn new(
        class: &StreamClass,
        stream: usize,
        packets: std::ops::Range<usize>,
        marks: usize,
    ) -> Self {
        Self {
            stream: u32::try_from(stream).unwrap_or(u32::MAX),
            packet: packets.start,
            end: packets.end,
            file: None,
            window: Window::new(WINDOW),
            registers: vec![0; class.registers as usize],
            marks: vec![Mark::ABSENT; marks],
            current: None,
            clock: 0,
            last: 0,
            passed: 0,
            cpu: None,
            problems: Problems::default(),
            losses: Vec::new(),
        }
    }

    /// Lets it read on up to packet `end`.
    pub(super) const fn go_on_to(&mut self, end: usize) {
        self.end = end;
    }

    /// Bytes of the stream behind the last event given.
    pub(super) fn bytes_read(&self) -> u64 {
        self.passed + self.current.as_ref().map_or(0, |current| current.next / 8)
    }
}

impl<'t> Feed<'t> {
    /// For events of `bound`; without it, all are only stepped over.
    pub(super) fn new(
        metadata: &'t Metadata,
        stream: &'t StreamFile,
        bound: Option<&'t Bound>,
    ) -> Self {
        Self {
            metadata,
            stream,
            class: &metadata.streams[stream.class],
            bound,
        }
    }

    /// Gives events to `visit` until it has enough or a window is done.
    pub(super) fn run<V: Visit>(&self, state: &mut State, visit: &mut V) -> Progress {
        if state.packet >= state.end.min(self.stream.packets.len()) {
            return Progress::End;
        }
        let packet = &self.stream.packets[state.packet];
        if state.current.is_none() {
            match self.open(state, packet) {
                Ok(current) => {
                    let head = current.next.div_ceil(8) as usize;
                    visit.packet(
                        state.cpu,
                        state.window.bytes().get(..head).unwrap_or_default(),
                    );
                    state.current = Some(current);
                }
                Err((kind, what)) => {
                    self.problem(state, packet, 0, kind, what);
                    Self::lost(state, packet, None);
                    self.done(state, packet);
                    return Progress::More;
                }
            }
        }
        let Some(mut current) = state.current.take() else {
            return Progress::More;
        };
        match self.window(state, packet, &mut current, visit) {
            Some(progress) => {
                state.current = Some(current);
                progress
            }
            None => {
                self.done(state, packet);
                Progress::More
            }
        }
    }

    /// Leaves a packet for the next one.
    fn done(&self, state: &mut State, packet: &Packet) {
        state.packet += 1;
        state.passed = state
            .passed
            .saturating_add(packet.size / 8)
            .min(self.stream.bytes);
    }

    fn problem(
        &self,
        state: &mut State,
        packet: &Packet,
        bits: u64,
        kind: ProblemKind,
        what: String,
    ) {
        let file = self.stream.paths.get(packet.file as usize).map(Arc::clone);
        let place = Place {
            file: file.unwrap_or_default(),
            stream: Some(state.stream),
            packet: Some(packet.number),
            offset: Some(packet.offset.saturating_add(bits / 8)),
        };
        state.problems.push(Problem { kind, place, what });
    }

    /// Opens a packet: its file, its first window, its header.
    fn open(&self, state: &mut State, packet: &Packet) -> Result<Current, (ProblemKind, String)> {
        let io = |error: std::io::Error| (ProblemKind::Io, format!("{error}; packet left out"));
        if state
            .file
            .as_ref()
            .is_none_or(|(number, _)| *number != packet.file)
        {
            let path = self
                .stream
                .paths
                .get(packet.file as usize)
                .ok_or_else(|| (ProblemKind::Io, "a packet without a file".to_owned()))?;
            state.file = Some((packet.file, File::open(path.as_path()).map_err(io)?));
        }
        let Some((_, file)) = &state.file else {
            return Err((ProblemKind::Io, "no file".to_owned()));
        };
        state.window.shrink(WINDOW);
        let bytes = packet.size / 8;
        let facts = loop {
            state
                .window
                .load(file, packet.offset, bytes, 0)
                .map_err(io)?;
            let mut machine = Machine {
                data: state.window.bytes(),
                limit: state.window.end() * 8,
                registers: &mut state.registers,
                marks: &mut [],
                clock: 0,
            };
            let facts = self.class.packet.read(&mut machine);
            let complete = state.window.cut || state.window.end() >= bytes;
            if facts != Err(Stop::Short) || complete || !state.window.grow() {
                break facts;
            }
        };
        let facts = facts.map_err(|_| {
            let what = "the packet is cut off inside its header; packet left out";
            (ProblemKind::Truncated, what.to_owned())
        })?;
        if let Some(what) = header_problem(&facts, self.metadata.uuid, self.class.id) {
            return Err((ProblemKind::Corrupt, format!("{what}; packet left out")));
        }
        self.begin(state, packet, &facts)
    }

    /// Believes the packet's own header and begins it.
    fn begin(
        &self,
        state: &mut State,
        packet: &Packet,
        facts: &PacketFacts,
    ) -> Result<Current, (ProblemKind, String)> {
        let mut content = packet.content;
        let differs = |fact: Option<u64>, known: Option<u64>| {
            fact.zip(known).is_some_and(|(fact, known)| fact != known)
        };
        let fact_content = facts.content.filter(|content| *content != 0);
        if differs(fact_content, Some(packet.content))
            || differs(facts.begin, packet.begin_cycles)
            || differs(facts.end, packet.end_cycles)
        {
            let what = "the index contradicts the packet; the packet was believed".to_owned();
            self.problem(state, packet, 0, ProblemKind::Contradiction, what);
            content = fact_content.unwrap_or(content);
        }
        if content > packet.size || content < facts.events {
            let what = "a packet of an impossible size; packet left out".to_owned();
            return Err((ProblemKind::Corrupt, what));
        }
        let before = if self.class.restarts { 0 } else { state.clock };
        state.clock = facts.begin.unwrap_or(before);
        state.cpu = match facts.cpu {
            Some(cpu) => u32::try_from(cpu).ok().map(CpuId),
            None => self.stream.cpu(),
        };
        let bytes = content.div_ceil(8);
        Ok(Current {
            content,
            bytes,
            next: facts.events,
            told: false,
        })
    }

    /// Reads events of the window; `None` when the packet is done.
    fn window<V: Visit>(
        &self,
        state: &mut State,
        packet: &Packet,
        current: &mut Current,
        visit: &mut V,
    ) -> Option<Progress> {
        let base = state.window.base() * 8;
        let whole = state.window.end() >= current.bytes;
        let mut cursor = Cursor {
            bound: self.bound,
            data: state.window.bytes(),
            limit: (state.window.end() * 8).min(current.content) - base,
            pos: current.next - base,
            clock: state.clock,
            last: state.last,
            backwards: false,
            events: 0,
        };
        let (registers, marks) = (&mut state.registers, &mut state.marks);
        let pause = scan(
            self.metadata,
            self.class,
            &mut cursor,
            registers,
            marks,
            visit,
        );
        let Cursor {
            pos,
            clock,
            last,
            backwards,
            events,
            ..
        } = cursor;
        (state.clock, state.last) = (clock, last);
        current.next = base + pos;
        if backwards && !current.told {
            current.told = true;
            let what = "time runs backwards in the packet".to_owned();
            self.problem(
                state,
                packet,
                current.next,
                ProblemKind::TimeBackwards,
                what,
            );
        }
        let (kind, what) = match pause {
            Pause::Visitor => return Some(Progress::Paused),
            Pause::Window if whole => {
                let rest = current.content - current.next;
                if rest <= self.class.header.mask() {
                    return None;
                }
                (
                    ProblemKind::Corrupt,
                    format!("the packet ends inside an event, {rest} bits"),
                )
            }
            Pause::Window => match self.refill(state, packet, current, events) {
                Ok(()) => return Some(Progress::More),
                Err(trouble) => trouble,
            },
            Pause::Wrong(wrong) => trouble(wrong),
        };
        let what = format!("{what}; the rest of the packet was left out");
        self.problem(state, packet, current.next, kind, what);
        let clock = self
            .class
            .clock
            .and_then(|clock| self.metadata.clocks.get(clock));
        Self::lost(state, packet, clock.map(|clock| clock.time(state.clock)));
        None
    }

    /// Notes that of `packet` nothing behind `from` was read.
    fn lost(state: &mut State, packet: &Packet, from: Option<Timestamp>) {
        let start = from.or(packet.begin).unwrap_or(Timestamp::MIN);
        let end = packet.end.unwrap_or(Timestamp::MAX);
        state.losses.push(Loss {
            span: Span::new(start, end),
            kind: LossKind::Unreadable,
        });
    }

    /// Loads the window anew from the next event on.
    fn refill(
        &self,
        state: &mut State,
        packet: &Packet,
        current: &Current,
        events: u64,
    ) -> Result<(), (ProblemKind, String)> {
        if state.window.cut {
            return Err((
                ProblemKind::Truncated,
                "the file ends inside the packet".to_owned(),
            ));
        }
        if events == 0 && current.next / 8 < state.window.base() + STEP && !state.window.grow() {
            let what = format!("an event larger than {WINDOW_MAX} bytes");
            return Err((ProblemKind::TooLarge, what));
        }
        let Some((_, file)) = &state.file else {
            return Err((ProblemKind::Io, "no file".to_owned()));
        };
        state
            .window
            .load(file, packet.offset, current.bytes, current.next / 8)
            .map_err(|error| (ProblemKind::Io, error.to_string()))
    }
}

/// What to tell of an event that is wrong.
fn trouble(wrong: Wrong) -> (ProblemKind, String) {
    match wrong {
        Wrong::UnknownId(id) => (
            ProblemKind::Undescribed,
            format!("an event of id {id}, which is not described"),
        ),
        Wrong::Empty => (
            ProblemKind::Corrupt,
            "an event that takes no space".to_owned(),
        ),
        Wrong::NoOption => (
            ProblemKind::Corrupt,
            "a tag that chooses no option of its variant".to_owned(),
        ),
        Wrong::TooMany => (
            ProblemKind::Corrupt,
            "more elements than a packet can hold".to_owned(),
        ),
        Wrong::NoField => (
            ProblemKind::Corrupt,
            "a length or tag is asked for that the event lacks".to_owned(),
        ),
        Wrong::TooWide => (
            ProblemKind::Corrupt,
            "an integer of more than 64 bits".to_owned(),
        ),
    }
}
