//! The path: backwards along a worker's line, and along that of whoever woke it.

use std::fmt::Debug;

/// Waits inside of waits that are followed; what lies deeper is told as the wait it is.
const DEPTH_MAX: usize = 1 << 12;

/// Makers of makers that are followed in one wait.
const MAKERS_MAX: usize = 1 << 12;

/// A stretch of a worker's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<W, T> {
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
    /// Who woke it at the end, of a blocked one, if it was a worker and is known.
    pub woken_by: Option<W>,
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
    /// Inside how many waits it lies: 0 is the worker itself.
    pub depth: usize,
    /// Whom the worker woke, or made, at the end of the step, where the path goes from it to another.
    pub woke: Option<W>,
}

/// A path: steps that tile the range, in time order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path<W, T> {
    /// The steps.
    pub steps: Vec<Step<W, T>>,
    /// Wake-ups that were not followed because their waker did not run at the time: something is
    /// wrong with the evidence.
    pub against_causality: u64,
    /// Waits that were not followed because they lay too deep.
    pub too_deep: u64,
}

/// A wait that is being followed.
struct Frame<W> {
    worker: W,
    /// It is not followed to before this.
    bound: i64,
    /// Whom it woke at the end, if the path came from there.
    woke: Option<W>,
    /// How often it went on with whoever made the worker.
    makers: usize,
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
    let mut path = Path {
        steps: Vec::new(),
        against_causality: 0,
        too_deep: 0,
    };
    let mut frames = vec![Frame {
        worker,
        bound: begin,
        woke: None,
        makers: 0,
    }];
    let mut t = end;
    while let Some(depth) = frames.len().checked_sub(1) {
        let Some(frame) = frames.last_mut() else {
            break;
        };
        if t <= frame.bound {
            frames.pop();
            continue;
        }
        let (worker, bound) = (frame.worker, frame.bound);
        let mut step = Step {
            worker,
            begin: bound,
            end: t,
            what: None,
            depth,
            woke: frame.woke.take(),
        };
        let Some(segment) = lines.before(worker, t)? else {
            // Before it was made, whoever made it was on the way to do so.
            if let Some((birth, maker)) = lines.born(worker)?
                && t <= birth
                && maker != worker
                && frame.makers < MAKERS_MAX
            {
                frame.makers += 1;
                frame.worker = maker;
                frame.woke = step.woke.or(Some(worker));
                continue;
            }
            // Nothing is known back to where something is.
            let known = lines.last_end(worker, t)?.unwrap_or(bound);
            step.begin = known.clamp(bound, t.saturating_sub(1));
            t = step.begin;
            path.steps.push(step);
            continue;
        };
        let from = segment.begin.max(bound).min(t.saturating_sub(1));
        step.begin = from;
        step.what = Some(segment.what);
        // Who ended the wait is to blame only if the wait did end here.
        let waker = segment
            .woken_by
            .filter(|_| segment.blocked && segment.end == t);
        let Some(waker) = waker else {
            t = from;
            path.steps.push(step);
            continue;
        };
        let ran = lines
            .before(waker, t)?
            .is_some_and(|last| last.runs && waker != worker);
        if !ran || depth >= DEPTH_MAX {
            path.against_causality += u64::from(!ran);
            path.too_deep += u64::from(ran);
            t = from;
            path.steps.push(step);
            continue;
        }
        // The step that the wait led to knows who comes next; the wait itself is the waker's time.
        frames.push(Frame {
            worker: waker,
            bound: from,
            woke: Some(worker),
            makers: 0,
        });
    }
    path.steps.reverse();
    Ok(path)
}
