//! Views that are tables.

mod answers;
mod svg;

use crate::look::Look;
use crate::{RenderError, Request};
use virtflow_query::store::Store;

/// A column.
#[derive(Clone, Copy, Debug)]
struct Column {
    /// As CSV has it.
    name: &'static str,
    /// As the picture has it; nothing for columns that only CSV has.
    title: &'static str,
    /// Share of the picture's width.
    width: f64,
}

/// What stands in a column.
#[derive(Clone, Debug)]
enum Cell {
    Text(String),
    /// Nanoseconds since the epoch.
    Time(i64),
    /// Nanoseconds.
    Duration(i64),
    Count(u64),
    /// Of one.
    Share(f64),
    /// Parts of one, side by side.
    Bar(Vec<(f64, Look)>),
}

/// A table.
#[derive(Debug)]
struct Table {
    columns: &'static [Column],
    rows: Vec<Vec<Cell>>,
    /// What the parts of bars are.
    legend: Vec<(String, Look)>,
}

/// A view that is a table, ready to be drawn.
#[derive(Debug)]
pub(crate) struct Answer {
    request: Request,
    begin: i64,
    end: i64,
    /// As it is drawn.
    drawn: Table,
    /// As CSV, where that is another.
    rows: Option<Table>,
}

impl Answer {
    pub(crate) fn new(
        store: &Store,
        request: Request,
        (begin, end): (i64, i64),
    ) -> Result<Self, RenderError> {
        let (drawn, rows) = answers::of(store, &request, begin, end)?;
        if drawn.rows.is_empty() {
            return Err(RenderError::nothing(&request));
        }
        Ok(Self {
            request,
            begin,
            end,
            drawn,
            rows,
        })
    }

    pub(crate) fn svg(&self) -> String {
        svg::draw(self)
    }

    pub(crate) fn csv(&self) -> Result<String, RenderError> {
        let failed = |e: String| RenderError::Picture(e);
        let table = self.rows.as_ref().unwrap_or(&self.drawn);
        let mut out = csv::Writer::from_writer(Vec::new());
        out.write_record(table.columns.iter().map(|c| c.name))
            .map_err(|e| failed(e.to_string()))?;
        for row in &table.rows {
            let fields = row.iter().map(|cell| match cell {
                Cell::Text(text) => text.clone(),
                Cell::Time(ns) | Cell::Duration(ns) => ns.to_string(),
                Cell::Count(count) => count.to_string(),
                Cell::Share(share) => format!("{share:.6}"),
                Cell::Bar(_) => String::new(),
            });
            out.write_record(fields)
                .map_err(|e| failed(e.to_string()))?;
        }
        let bytes = out.into_inner().map_err(|e| failed(e.to_string()))?;
        String::from_utf8(bytes).map_err(|e| failed(e.to_string()))
    }
}
