//! Frequencies, queues, latencies, rates.

use super::ask::{Picture, answer};
use crate::app::App;
use crate::arrow::{Columns, Ipc};
use crate::extract::Body;
use crate::reply::Failure;
use axum::extract::{Path, State};
use std::sync::Arc;

pub(super) async fn curves(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
    Body(picture): Body<Picture>,
) -> Result<Ipc, Failure> {
    let (begin, end, entities, pixels) = picture.within_limits()?;
    answer(&app, &id, move |store| {
        let curves = store.curves(&entities, begin, end, pixels)?;
        let series = || curves.points.iter().map(|(series, _)| series);
        let points = || curves.points.iter().map(|(_, point)| point);
        Ok(Columns::new()
            .u32("entity", series().map(|s| s.entity))
            .u8("counter", series().map(|s| s.counter))
            .i64("start_ns", points().map(|p| p.start))
            .u64("values", points().map(|p| p.count))
            .i64("sum", points().map(|p| p.sum))
            .i64("least", points().map(|p| p.least))
            .i64("greatest", points().map(|p| p.greatest))
            .i64("last", points().map(|p| p.last))
            .stream()?
            .header("x-virtflow-bucket-ns", curves.bucket_ns))
    })
    .await
}
