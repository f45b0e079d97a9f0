//! Half-open stretches of time, sets of them, and labelled timelines laid over each other.

/// Nanoseconds since the Unix epoch on the trace's clock, or a length in nanoseconds.
pub(crate) type Ns = i64;

/// From `start`, inclusive, to `end`, exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span {
    pub(crate) start: Ns,
    pub(crate) end: Ns,
}

impl Span {
    pub(crate) fn new(start: Ns, end: Ns) -> Self {
        Self { start, end }
    }

    pub(crate) fn len(self) -> Ns {
        (self.end - self.start).max(0)
    }

    pub(crate) fn contains(self, at: Ns) -> bool {
        self.start <= at && at < self.end
    }

    /// What both cover, if that is more than nothing.
    pub(crate) fn meet(self, other: Self) -> Option<Self> {
        let both = Self::new(self.start.max(other.start), self.end.min(other.end));
        (both.start < both.end).then_some(both)
    }
}

/// A set of moments: sorted spans that neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Spans(Vec<Span>);

impl Spans {
    /// From spans in any order, overlapping or not.
    pub(crate) fn new(mut spans: Vec<Span>) -> Self {
        spans.retain(|span| span.start < span.end);
        spans.sort_unstable();
        let mut out: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match out.last_mut() {
                Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
                _ => out.push(span),
            }
        }
        Self(out)
    }

    pub(crate) fn one(span: Span) -> Self {
        Self::new(vec![span])
    }

    pub(crate) fn as_slice(&self) -> &[Span] {
        &self.0
    }

    pub(crate) fn total(&self) -> Ns {
        self.0.iter().map(|span| span.len()).sum()
    }

    /// The spans from the one that may hold `at` onwards.
    fn from(&self, at: Ns) -> &[Span] {
        &self.0[self.0.partition_point(|span| span.end <= at)..]
    }

    pub(crate) fn contains(&self, at: Ns) -> bool {
        self.from(at).first().is_some_and(|span| span.contains(at))
    }

    /// Whether all of `span` lies in one piece of this set.
    pub(crate) fn covers(&self, span: Span) -> bool {
        self.from(span.start)
            .first()
            .is_some_and(|piece| piece.start <= span.start && span.end <= piece.end)
    }

    /// The pieces of `span` that lie in this set.
    pub(crate) fn cut(&self, span: Span) -> impl Iterator<Item = Span> + '_ {
        self.from(span.start)
            .iter()
            .take_while(move |piece| piece.start < span.end)
            .filter_map(move |piece| piece.meet(span))
    }

    /// How much of `span` lies in this set.
    pub(crate) fn overlap(&self, span: Span) -> Ns {
        self.cut(span).map(Span::len).sum()
    }

    pub(crate) fn intersect(&self, other: &Self) -> Self {
        Self(self.0.iter().flat_map(|span| other.cut(*span)).collect())
    }

    pub(crate) fn subtract(&self, other: &Self) -> Self {
        let mut out = Vec::new();
        for span in &self.0 {
            let mut at = span.start;
            for hole in other.cut(*span) {
                out.push(Span::new(at, hole.start));
                at = hole.end;
            }
            out.push(Span::new(at, span.end));
        }
        Self::new(out)
    }
}

/// Labelled spans, sorted and disjoint.
pub(crate) type Timeline<T> = Vec<(Span, T)>;

/// The parts of `timeline` inside `within`.
pub(crate) fn clip<T: Clone>(timeline: &[(Span, T)], within: &Spans) -> Timeline<T> {
    let cut = |(span, label): &(Span, T)| {
        let label = label.clone();
        within
            .cut(*span)
            .map(move |piece| (piece, label.clone()))
            .collect::<Vec<_>>()
    };
    timeline.iter().flat_map(cut).collect()
}

/// Calls `visit` for every piece of `a` with the label that `b` gives it, or none where `b` is silent.
pub(crate) fn overlay<A, B>(
    a: &[(Span, A)],
    b: &[(Span, B)],
    mut visit: impl FnMut(Span, &A, Option<&B>),
) {
    let mut first = 0;
    for (span, label) in a {
        while b
            .get(first)
            .is_some_and(|(other, _)| other.end <= span.start)
        {
            first += 1;
        }
        let mut at = span.start;
        for (other, theirs) in b[first..]
            .iter()
            .take_while(|(other, _)| other.start < span.end)
        {
            let Some(both) = Span::new(at, span.end).meet(*other) else {
                continue;
            };
            if at < both.start {
                visit(Span::new(at, both.start), label, None);
            }
            visit(both, label, Some(theirs));
            at = both.end;
        }
        if at < span.end {
            visit(Span::new(at, span.end), label, None);
        }
    }
}

/// The label in force at `at`.
pub(crate) fn at<T>(timeline: &[(Span, T)], at: Ns) -> Option<&T> {
    let index = timeline.partition_point(|(span, _)| span.end <= at);
    timeline
        .get(index)
        .filter(|(span, _)| span.contains(at))
        .map(|(_, label)| label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(list: &[(Ns, Ns)]) -> Spans {
        Spans::new(
            list.iter()
                .map(|&(start, end)| Span::new(start, end))
                .collect(),
        )
    }

    #[test]
    fn sets_join_meet_and_differ() {
        let a = spans(&[(5, 8), (0, 3), (3, 4), (20, 20)]);
        assert_eq!(a, spans(&[(0, 4), (5, 8)]));
        let b = spans(&[(2, 6), (7, 30)]);
        assert_eq!(a.intersect(&b), spans(&[(2, 4), (5, 6), (7, 8)]));
        assert_eq!(a.subtract(&b), spans(&[(0, 2), (6, 7)]));
        assert_eq!(a.total(), 7);
        assert_eq!(a.overlap(Span::new(3, 7)), 3);
        assert!(a.contains(0) && !a.contains(4) && a.contains(5) && !a.contains(8));
        assert!(a.covers(Span::new(5, 8)) && !a.covers(Span::new(3, 6)));
    }

    #[test]
    fn overlay_visits_every_piece_once() {
        let a = vec![(Span::new(0, 10), 'a'), (Span::new(10, 12), 'b')];
        let b = vec![(Span::new(2, 4), 1), (Span::new(4, 11), 2)];
        let mut seen = Vec::new();
        overlay(&a, &b, |span, &left, right| {
            seen.push((span.start, span.end, left, right.copied()))
        });
        let expected = [
            (0, 2, 'a', None),
            (2, 4, 'a', Some(1)),
            (4, 10, 'a', Some(2)),
            (10, 11, 'b', Some(2)),
            (11, 12, 'b', None),
        ];
        assert_eq!(seen, expected);
    }
}
