//! Rows of lanes and curves over one time axis.

mod axis;
mod csv;
mod curves;
mod rows;
mod svg;

pub(crate) use axis::{Axis, BAR, MARGIN, NAMES, ROW, plot_width};
pub(crate) use rows::{is, named};

use crate::{RenderError, Request};
use rows::{Row, Shown, rows};
use virtflow_query::store::{Curves, Piece, Series, Store, Summary};

/// What was found, ready to be drawn.
#[derive(Debug)]
pub(crate) struct Timeline<'a> {
    store: &'a Store,
    request: Request,
    begin: i64,
    end: i64,
    rows: Vec<Row>,
    /// Rows that there was no room for.
    left_out: usize,
    /// By lane and time.
    pieces: Vec<Piece>,
    curves: Curves,
}

impl<'a> Timeline<'a> {
    pub(crate) fn new(
        store: &'a Store,
        request: Request,
        (begin, end): (i64, i64),
    ) -> Result<Self, RenderError> {
        let mut rows = rows(store, request.view, request.vm.as_deref(), begin, end);
        if !rows.iter().any(|row| matches!(row.shown, Shown::Lanes(_))) {
            return Err(RenderError::nothing(&request));
        }
        let left_out = rows.len().saturating_sub(request.rows);
        rows.truncate(request.rows);
        let lanes = rows.iter().filter_map(|row| match row.shown {
            Shown::Lanes(entity) => Some(entity),
            _ => None,
        });
        let width = axis::plot_width(request.width);
        let view = store.viewport(&lanes.collect::<Vec<_>>(), begin, end, width)?;
        let counted = rows.iter().filter_map(|row| match row.shown {
            Shown::Curve(series) => Some(series.entity),
            _ => None,
        });
        let curves = store.curves(&counted.collect::<Vec<_>>(), begin, end, width)?;
        Ok(Self {
            store,
            request,
            begin,
            end,
            rows,
            left_out,
            pieces: view.pieces,
            curves,
        })
    }

    pub(crate) fn svg(&self) -> String {
        svg::draw(self)
    }

    pub(crate) fn csv(&self) -> Result<String, RenderError> {
        csv::csv(self)
    }

    fn key(&self, entity: u32) -> String {
        let entity = self.store.entities().get(entity as usize);
        entity.map_or_else(String::new, |e| e.key.clone())
    }

    /// State, cause and level of what was done, as the store calls them.
    fn words(&self, doing: u32) -> (String, String, u8) {
        let doing = self.store.doing(doing);
        let vocabulary = &self.store.manifest().vocabulary;
        let name = |pairs: &[(u8, String)], code: u8| {
            let known = pairs.iter().find(|(known, _)| *known == code);
            known.map_or_else(|| code.to_string(), |(_, name)| name.clone())
        };
        (
            name(&vocabulary.states, doing.state),
            name(&vocabulary.causes, doing.cause),
            doing.level,
        )
    }

    /// The points of one curve, in time order.
    fn points(&self, series: Series) -> impl Iterator<Item = &Summary> {
        let from = self.curves.points.partition_point(|p| p.0 < series);
        let to = self.curves.points.partition_point(|p| p.0 <= series);
        self.curves.points[from..to].iter().map(|(_, point)| point)
    }
}
