//! When a stream's pages begin and end and what was lost between them, found from their heads.

use virtflow_base::{Loss, LossKind, Span, Timestamp};

use crate::buffer::Stream;
use crate::clock::Clock;
use crate::cursor::Input;
use crate::data::Data;
use crate::page::{Missed, Next, PageHead};

/// What a survey found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Survey {
    /// The first and the last event.
    pub(crate) ends: Option<(Timestamp, Timestamp)>,
    /// What was lost; of what was lost before the first event the beginning is not known and the
    /// earliest of all times.
    pub(crate) losses: Vec<Loss>,
    pub(crate) marks: Vec<Timestamp>,
}

impl Survey {
    /// Events that are known to be lost, and whether there are more of an unknown number.
    pub(crate) fn lost(&self) -> (u64, bool) {
        let mut sum = 0_u64;
        let mut more = false;
        for loss in &self.losses {
            match loss.kind {
                LossKind::Events(count) => sum = sum.saturating_add(count),
                _ => more = true,
            }
        }
        (sum, more)
    }
}

/// Looks at the head of every page of `stream`.
pub(crate) fn survey(input: &Input, stream: &Stream, clock: &Clock) -> Survey {
    let mut pages = Pages {
        input,
        stream,
        loaded: None,
        block: Vec::new(),
        packed: Vec::new(),
        page: Vec::new(),
    };
    let size = stream.layout.size;
    let mut survey = Survey::default();
    // The last page with records.
    let mut before: Option<(usize, usize)> = None;
    for block in 0..stream.data.blocks(size) {
        let last_mark = survey.marks.last().copied().unwrap_or(Timestamp::MIN);
        let mut mark = None;
        let count = stream.data.pages_of(block, size);
        for page in 0..usize::try_from(count).unwrap_or(usize::MAX) {
            let Some(head) = pages.head(block, page) else {
                let since = before.and_then(|(block, page)| pages.last(block, page, clock));
                // Told to end where the next page begins.
                survey.losses.push(Loss {
                    span: Span::new(since.unwrap_or(Timestamp::MIN), Timestamp::MAX),
                    kind: LossKind::Unreadable,
                });
                continue;
            };
            let begin = clock.time(head.stamp);
            for loss in survey.losses.iter_mut().rev() {
                if loss.span.end != Timestamp::MAX {
                    break;
                }
                loss.span.end = begin;
            }
            let kind = match head.missed {
                Missed::None => None,
                Missed::Events(0) | Missed::Some => Some(LossKind::Packets(1)),
                Missed::Events(count) => Some(LossKind::Events(count)),
            };
            if let Some(kind) = kind {
                let since = before.and_then(|(block, page)| pages.last(block, page, clock));
                survey.losses.push(Loss {
                    span: Span::new(since.unwrap_or(Timestamp::MIN), begin),
                    kind,
                });
            }
            mark = mark.or(Some(begin));
            if head.end > stream.layout.header.data {
                before = Some((block, page));
                let first = survey.ends.map_or(begin, |(first, _)| first);
                survey.ends = Some((first, begin));
            }
        }
        // Time that runs backwards shall not hide a block.
        survey.marks.push(mark.unwrap_or(last_mark).max(last_mark));
    }
    if let (Some((first, begin)), Some((block, page))) = (survey.ends, before) {
        let last = pages.last(block, page, clock).unwrap_or(begin);
        survey.ends = Some((first, last.max(first)));
    }
    survey
}

/// Pages of a stream, one at a time.
struct Pages<'s> {
    input: &'s Input,
    stream: &'s Stream,
    /// The block in `block`, or the one that could not be read.
    loaded: Option<usize>,
    block: Vec<u8>,
    packed: Vec<u8>,
    page: Vec<u8>,
}

impl Pages<'_> {
    /// The head of a page. Of pages that are not packed only that is read, as long as nothing
    /// was missed.
    fn head(&mut self, block: usize, page: usize) -> Option<PageHead> {
        let layout = self.stream.layout;
        if matches!(self.stream.data, Data::Plain { .. }) {
            let at = self.stream.data.place_of_page(block, page, layout.size);
            let read = self.input.read(at, layout.head_size(), &mut self.page);
            read.ok()?;
            let head = layout.head(&self.page)?;
            if head.missed == Missed::None {
                return Some(head);
            }
        }
        layout.head(self.whole(block, page)?)
    }

    /// All of a page.
    fn whole(&mut self, block: usize, page: usize) -> Option<&[u8]> {
        let size = self.stream.layout.size;
        if matches!(self.stream.data, Data::Plain { .. }) {
            let at = self.stream.data.place_of_page(block, page, size);
            let read = self.input.read(at, size as usize, &mut self.page);
            read.ok()?;
            return Some(&self.page);
        }
        if self.loaded != Some(block) {
            self.loaded = Some(block);
            let data = &self.stream.data;
            // What is wrong is told by whoever reads the records.
            let _ = data.load(self.input, block, size, &mut self.block, &mut self.packed);
        }
        let start = page * size as usize;
        self.block.get(start..start + size as usize)
    }

    /// The time of the last record of a page.
    fn last(&mut self, block: usize, page: usize, clock: &Clock) -> Option<Timestamp> {
        let layout = self.stream.layout;
        let bytes = self.whole(block, page)?;
        let mut records = layout.records(layout.head(bytes)?);
        let mut last = records.stamp();
        while let Next::Record { .. } = records.next(bytes, layout.order) {
            last = records.stamp();
        }
        Some(clock.time(last))
    }
}
