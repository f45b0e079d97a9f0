//! What requests ask, understood and within limits.

use crate::app::App;
use crate::reply::{Failure, work};
use crate::source::{Source, State};
use axum::http::StatusCode;
use serde::{Deserialize, Deserializer};
use std::sync::Arc;
use std::time::{Duration, Instant};
use virtflow_query::store::Store;

/// How long at the most it takes from a store's move until its source knows.
const MOVED_WITHIN: Duration = Duration::from_secs(2);
/// Entities of one request.
pub(super) const ENTITIES_MAX: usize = 20_000;
/// Pixels of one picture.
const PIXELS_MAX: u32 = 16_384;
/// Rows of one answer.
pub(super) const ROWS_MAX: usize = 100_000;

/// A time: nanoseconds as decimal digits in a string, since a number of JSON's readers often has
/// only 53 bits; a number is taken too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ns(pub(super) i64);

impl<'de> Deserialize<'de> for Ns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Ns;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("nanoseconds since the epoch, as a string of digits")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Ns, E> {
                text.parse()
                    .map(Ns)
                    .map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Ns, E> {
                Ok(Ns(value))
            }
            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Ns, E> {
                i64::try_from(value).map(Ns).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// A stretch of time, and whose.
#[derive(Debug, Deserialize)]
pub(super) struct Range {
    pub(super) begin_ns: Ns,
    pub(super) end_ns: Ns,
    pub(super) entities: Option<Vec<u32>>,
}

/// A stretch of time; one that ends before it begins is empty.
pub(super) fn range(begin: Ns, end: Ns) -> (i64, i64) {
    (begin.0, end.0.max(begin.0))
}

impl Range {
    /// The stretch, and whose, within the limits.
    pub(super) fn within_limits(self) -> Result<(i64, i64, Option<Vec<u32>>), Failure> {
        entities(self.entities.as_deref().unwrap_or_default())?;
        let (begin, end) = range(self.begin_ns, self.end_ns);
        Ok((begin, end, self.entities))
    }
}

/// A stretch of time, and whose, for a picture.
#[derive(Debug, Deserialize)]
pub(super) struct Picture {
    #[serde(flatten)]
    range: Range,
    pixels: u32,
}

impl Picture {
    /// The stretch, whose, and the width, within the limits.
    pub(super) fn within_limits(self) -> Result<(i64, i64, Vec<u32>, u32), Failure> {
        let (begin, end, entities) = self.range.within_limits()?;
        if !(1..=PIXELS_MAX).contains(&self.pixels) {
            return Err(Failure::bad(format!(
                "pixels is not from 1 to {PIXELS_MAX}"
            )));
        }
        Ok((begin, end, entities.unwrap_or_default(), self.pixels))
    }
}

/// Works an answer out of what there is of a store so far; it ends early when the client goes.
pub(super) async fn answer<T: Send + 'static>(
    app: &App,
    id: &str,
    answer: impl Fn(&Store) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let source = source(app, id)?;
    let store = store(app, id)?;
    work(app, move |stop| {
        let answered = answer(&store.stopped_by(Arc::clone(stop)));
        match answered {
            Err(error) if error.is_of_store() => match moved(&source, &store) {
                Some(now) => answer(&now.stopped_by(Arc::clone(stop))),
                None => Err(error),
            },
            answered => answered,
        }
    })
    .await
}

/// What was being written is whole meanwhile and has another place: the source is told of that a little
/// after it was moved.
fn moved(source: &Source, store: &Store) -> Option<Store> {
    let begun = Instant::now();
    loop {
        let is_over = source.status().state != State::Analysing || begun.elapsed() > MOVED_WITHIN;
        let now = source.store().filter(|now| now.path() != store.path());
        if now.is_some() || is_over {
            return now;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Entities, not too many.
fn entities(some: &[u32]) -> Result<(), Failure> {
    if some.len() <= ENTITIES_MAX {
        Ok(())
    } else {
        Err(Failure::bad(format!("more than {ENTITIES_MAX} entities")))
    }
}

pub(super) fn source(app: &App, id: &str) -> Result<Arc<Source>, Failure> {
    app.source(id)
        .ok_or_else(|| Failure::missing(format!("no trace or store is open as {id}")))
}

/// What there is of a store so far.
pub(super) fn store(app: &App, id: &str) -> Result<Store, Failure> {
    let source = source(app, id)?;
    source.store().ok_or_else(|| {
        let status = source.status();
        match status.state {
            State::Failed => Failure::new(
                StatusCode::CONFLICT,
                "failed",
                status.error.unwrap_or_default(),
            ),
            _ => Failure::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "not-yet",
                "the analysis has just begun: nothing can be shown yet",
            ),
        }
    })
}
