//! Pictures of a store, for paper and for people without a browser: rows of lanes over one time
//! axis, as SVG, PNG, or the same as CSV.
//!
//! They read when printed without colour: each state has a height and a pattern of its own, and the
//! legend names those that occur.

mod axis;
mod legend;
mod look;
mod png;
mod rows;
mod svg;
mod table;

pub use rows::View;

use rows::{Row, rows};
use virtflow_query::store::{Piece, Store, StoreError};

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

/// What to draw.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which rows.
    pub view: View,
    /// Only of the VM whose label or key contains this, or whose VMM has this number.
    pub vm: Option<String>,
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
pub struct Picture<'a> {
    store: &'a Store,
    request: Request,
    begin: i64,
    end: i64,
    rows: Vec<Row>,
    /// Rows that there was no room for.
    left_out: usize,
    /// By lane and time.
    pieces: Vec<Piece>,
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
        let mut rows = rows(store, request.view, request.vm.as_deref(), begin, end);
        if !rows.iter().any(|row| row.entity.is_some()) {
            let what = request.vm.as_ref().map_or_else(
                || format!("the store has no {}", request.view.what()),
                |vm| format!("no {} of a VM named {vm}", request.view.what()),
            );
            return Err(RenderError::Nothing(what));
        }
        let left_out = rows.len().saturating_sub(request.rows);
        rows.truncate(request.rows);
        let lanes: Vec<u32> = rows.iter().filter_map(|row| row.entity).collect();
        let view = store.viewport(&lanes, begin, end, axis::plot_width(request.width))?;
        Ok(Self {
            store,
            request,
            begin,
            end,
            rows,
            left_out,
            pieces: view.pieces,
        })
    }

    /// As SVG.
    pub fn svg(&self) -> String {
        svg::draw(self)
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
        table::csv(self)
    }
}
