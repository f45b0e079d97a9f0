//! The path: backwards along a worker's line, and along that of whoever ended its waits.

use std::fmt::Debug;

/// Waits inside of waits that are followed; what lies deeper is told as the wait it is.
const DEPTH_MAX: usize = 1 << 12;

/// How often a wait may be handed on at one moment: to the maker of a worker, to who is behind a
/// carrier.
const HANDED_MAX: usize = 64;

/// Steps that a path may have: half a gigabyte.
const STEPS_MAX: usize = 1 << 23;

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy<W, T> {
    /// Nobody, or nobody knows: the wait is told as what it is.
    Nothing,
    /// This worker did it, at the end of the wait: what it did meanwhile is why it took so long.
    Worker(W),
    /// It was over when this one, on which the worker runs, could go on: what ended that one's wait
    /// ended this one, too, and until then it went on.
    Carrier(W),
    /// Something was on its way, from a worker that had sent it.
    Transit(Transit<W, T>),
}

/// Something on its way: a request that a disk serves, a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transit<W, T> {
    /// What carries it: the disk, the network.
    pub through: W,
    /// What that does meanwhile.
    pub what: T,
    /// Since when.
    pub since: i64,
    /// Who sent it, if that is known.
    pub from: Option<W>,
}

/// A stretch of a worker's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<W, T> {
    /// Whose: the worker's, or that of one of a group that is followed as one worker.
    pub worker: W,
    /// From, in nanoseconds.
    pub begin: i64,
    /// To: the first nanosecond after it.
    pub end: i64,
    /// What it did, and how that is known.
    pub what: T,
    /// Whether it was blocked: it waited for something to happen.
    pub blocked: bool,
    /// Whether it ran at the end of the segment, so that it could wake somebody then.
    pub runs: bool,
    /// What ended it, if it was blocked.
    pub ended_by: EndedBy<W, T>,
}

/// A segment of these lines.
pub type SegmentOf<L> = Segment<<L as Lines>::Worker, <L as Lines>::What>;

/// The lines of all workers.
pub trait Lines {
    /// A worker.
    type Worker: Copy + Eq + Debug;
    /// What a worker does.
    type What: Copy;
    /// Why a line cannot be read.
    type Error;

    /// The segment of a worker that holds the nanosecond before `t`; `None` where its line has none
    /// there.
    fn before(
        &mut self,
        worker: Self::Worker,
        t: i64,
    ) -> Result<Option<SegmentOf<Self>>, Self::Error>;

    /// When a worker began, and who made it; `None` where that is not known.
    fn born(&mut self, worker: Self::Worker) -> Result<Option<(i64, Self::Worker)>, Self::Error>;

    /// The end of the last segment of a worker that ends at or before `t`; `None` without any.
    fn last_end(&mut self, worker: Self::Worker, t: i64) -> Result<Option<i64>, Self::Error>;
}

/// One step of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<W, T> {
    /// Whose time it was.
    pub worker: W,
    /// From.
    pub begin: i64,
    /// To.
    pub end: i64,
    /// What it did; `None` where its line says nothing.
    pub what: Option<T>,
    /// The innermost wait it lies in, by its place among the path's; none for the worker itself.
    pub inside: Option<usize>,
    /// Whom the worker woke, or made, at the end of the step, where the path goes from it to another.
    pub woke: Option<W>,
}

/// A wait that the path looks into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait<W, T> {
    /// Who waited.
    pub worker: W,
    /// From: not before the wait around it.
    pub begin: i64,
    /// To.
    pub end: i64,
    /// What its line says of it.
    pub what: T,
    /// Who ended it, or what carried that.
    pub ended_by: W,
    /// The wait around it.
    pub inside: Option<usize>,
}

/// A path: steps that tile the range, in time order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<W, T> {
    /// The steps.
    pub steps: Vec<Step<W, T>>,
    /// The waits that were looked into, each after the one around it.
    pub waits: Vec<Wait<W, T>>,
    /// Wake-ups that were not followed because their waker did not run at the time: something is
    /// wrong with the evidence.
    pub against_causality: u64,
    /// Waits that were not followed because they lay too deep.
    pub too_deep: u64,
    /// Whether it has more steps than are told: the first one then says nothing of all the time
    /// before the others.
    pub cut: bool,
}

impl<W, T> Path<W, T> {
    /// Inside how many waits a step lies.
    pub fn depth(&self, step: &Step<W, T>) -> usize {
        let around = |wait: &usize| self.waits.get(*wait).and_then(|wait| wait.inside);
        std::iter::successors(step.inside, around).count()
    }
}

/// A line that is being followed.
struct Frame<W, T> {
    worker: W,
    /// It is not followed to before this.
    bound: i64,
    /// Whom it woke at the end, if the path came from there.
    woke: Option<W>,
    /// The wait that it explains.
    inside: Option<usize>,
    /// Who waits, and what its line says: what is not explained is its time.
    waits: Option<(W, T)>,
    /// Whether it only carries whoever waits: its own next wait is that one's.
    carries: bool,
    /// How often the wait was handed on at this moment.
    handed: usize,
}

/// The critical path of a worker from `begin` to `end`.
///
/// # Errors
/// Where a line cannot be read.
pub fn critical_path<L: Lines>(
    lines: &mut L,
    worker: L::Worker,
    begin: i64,
    end: i64,
) -> Result<Path<L::Worker, L::What>, L::Error> {
    walk_back(lines, worker, begin, end, STEPS_MAX)
}

/// The path, of about so many steps at most.
pub(crate) fn walk_back<L: Lines>(
    lines: &mut L,
    worker: L::Worker,
    begin: i64,
    end: i64,
    steps_max: usize,
) -> Result<Path<L::Worker, L::What>, L::Error> {
    let mut walk = Walk {
        path: Path {
            steps: Vec::new(),
            waits: Vec::new(),
            against_causality: 0,
            too_deep: 0,
            cut: false,
        },
        frames: vec![Frame {
            worker,
            bound: begin,
            woke: None,
            inside: None,
            waits: None,
            carries: false,
            handed: 0,
        }],
        t: end,
    };
    while let Some(frame) = walk.frames.pop() {
        if walk.path.steps.len() >= steps_max && walk.t > begin {
            walk.path.cut = true;
            walk.path.steps.push(Step {
                worker,
                begin,
                end: walk.t,
                what: None,
                inside: None,
                woke: None,
            });
            break;
        }
        if walk.t > frame.bound {
            walk.back(lines, frame)?;
        }
    }
    walk.path.steps.reverse();
    Ok(walk.path)
}

/// A walk back along lines.
struct Walk<W, T> {
    path: Path<W, T>,
    frames: Vec<Frame<W, T>>,
    /// Up to where the path is not told yet.
    t: i64,
}

impl<W: Copy + Eq + Debug, T: Copy> Walk<W, T> {
    /// One step back along the innermost line.
    fn back<L>(&mut self, lines: &mut L, mut frame: Frame<W, T>) -> Result<(), L::Error>
    where
        L: Lines<Worker = W, What = T>,
    {
        let (worker, t) = (frame.worker, self.t);
        let Some(segment) = lines.before(worker, t)? else {
            // Before it was made, whoever made it was on the way to do so.
            if let Some((birth, maker)) = lines.born(worker)?
                && t <= birth
                && maker != worker
                && frame.handed < HANDED_MAX
            {
                frame.handed += 1;
                frame.worker = maker;
                frame.woke = frame.woke.or(Some(worker));
                self.frames.push(frame);
                return Ok(());
            }
            if frame.carries {
                self.left_over(&frame);
                return Ok(());
            }
            // Nothing is known back to where something is.
            let known = lines.last_end(worker, t)?.unwrap_or(frame.bound);
            self.step(&mut frame, known, worker, None);
            self.frames.push(frame);
            return Ok(());
        };
        let from = segment.begin.max(frame.bound).min(t.saturating_sub(1));
        let whose = segment.worker;
        // What ended the wait is to blame only if the wait did end here.
        let ended_by = if segment.blocked && segment.end == t {
            segment.ended_by
        } else {
            EndedBy::Nothing
        };
        if frame.carries && segment.blocked {
            // The carrier waits for what its passenger waits for.
            frame.carries = false;
            return self.hand_on(lines, frame, ended_by);
        }
        let (EndedBy::Worker(to)
        | EndedBy::Carrier(to)
        | EndedBy::Transit(Transit { through: to, .. })) = ended_by
        else {
            self.step(&mut frame, from, whose, Some(segment.what));
            self.frames.push(frame);
            return Ok(());
        };
        let is_followed = self.is_followed(lines, whose, ended_by)?;
        if !is_followed {
            self.step(&mut frame, from, whose, Some(segment.what));
            self.frames.push(frame);
            return Ok(());
        }
        self.path.waits.push(Wait {
            worker: whose,
            begin: from,
            end: t,
            what: segment.what,
            ended_by: to,
            inside: frame.inside,
        });
        let inner = Frame {
            worker: whose,
            bound: from,
            woke: None,
            inside: Some(self.path.waits.len() - 1),
            waits: Some((whose, segment.what)),
            carries: false,
            handed: 0,
        };
        // The step that the wait led to knows who comes next; the wait is told by who ended it.
        frame.woke = None;
        self.frames.push(frame);
        self.hand_on(lines, inner, ended_by)
    }

    /// Whether whoever ended a wait could: it ran then.
    fn is_followed<L>(
        &mut self,
        lines: &mut L,
        waiter: W,
        ended_by: EndedBy<W, T>,
    ) -> Result<bool, L::Error>
    where
        L: Lines<Worker = W, What = T>,
    {
        if self.frames.len() >= DEPTH_MAX {
            self.path.too_deep += 1;
            return Ok(false);
        }
        if let EndedBy::Worker(waker) = ended_by {
            let runs = self.runs(lines, waker, self.t)? && waker != waiter;
            self.path.against_causality += u64::from(!runs);
            return Ok(runs);
        }
        Ok(true)
    }

    fn runs<L>(&self, lines: &mut L, worker: W, t: i64) -> Result<bool, L::Error>
    where
        L: Lines<Worker = W, What = T>,
    {
        Ok(lines.before(worker, t)?.is_some_and(|last| last.runs))
    }

    /// The line that explains a wait goes on with whoever ended that of the line so far.
    fn hand_on<L>(
        &mut self,
        lines: &mut L,
        mut frame: Frame<W, T>,
        ended_by: EndedBy<W, T>,
    ) -> Result<(), L::Error>
    where
        L: Lines<Worker = W, What = T>,
    {
        frame.handed += 1;
        if frame.handed >= HANDED_MAX {
            self.path.too_deep += 1;
            self.left_over(&frame);
            return Ok(());
        }
        let woken = frame.worker;
        match ended_by {
            EndedBy::Nothing => self.left_over(&frame),
            EndedBy::Worker(waker) => {
                if waker == woken || !self.runs(lines, waker, self.t)? {
                    self.path.against_causality += 1;
                    self.left_over(&frame);
                    return Ok(());
                }
                frame.worker = waker;
                frame.woke = Some(woken);
                self.frames.push(frame);
            }
            EndedBy::Carrier(carrier) => {
                frame.worker = carrier;
                frame.carries = true;
                frame.woke = Some(woken).filter(|_| carrier != woken);
                self.frames.push(frame);
            }
            EndedBy::Transit(transit) => {
                let since = transit.since.min(self.t.saturating_sub(1));
                frame.woke = Some(woken);
                self.step(&mut frame, since, transit.through, Some(transit.what));
                if self.t <= frame.bound {
                    return Ok(());
                }
                match transit.from {
                    // It slept in between if it does not run now: that is told from here on.
                    Some(from) if self.runs(lines, from, self.t)? => {
                        frame.worker = from;
                        frame.woke = Some(transit.through);
                        self.frames.push(frame);
                    }
                    from => {
                        self.path.against_causality += u64::from(from.is_some());
                        self.left_over(&frame);
                    }
                }
            }
        }
        Ok(())
    }

    /// What nobody explains of a wait is the wait.
    fn left_over(&mut self, frame: &Frame<W, T>) {
        let Some((worker, what)) = frame.waits else {
            return;
        };
        self.path.steps.push(Step {
            worker,
            begin: frame.bound,
            end: self.t,
            what: Some(what),
            inside: frame.inside,
            woke: None,
        });
        self.t = frame.bound;
    }

    /// A step from `begin`, or the frame's bound, to where the path is.
    fn step(&mut self, frame: &mut Frame<W, T>, begin: i64, worker: W, what: Option<T>) {
        let begin = begin.clamp(frame.bound, self.t.saturating_sub(1));
        frame.handed = 0;
        self.path.steps.push(Step {
            worker,
            begin,
            end: self.t,
            what,
            inside: frame.inside,
            woke: frame.woke.take(),
        });
        self.t = begin;
    }
}
