//! Answers as Arrow IPC streams.

use crate::reply::Failure;
use arrow_array::{
    ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray, UInt8Array,
    UInt32Array, UInt64Array,
};
use arrow_ipc::writer::StreamWriter;
use arrow_schema::{Field, Schema};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Columns with their names.
pub(crate) struct Columns(Vec<(&'static str, ArrayRef)>);

impl Columns {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    fn with(mut self, name: &'static str, column: ArrayRef) -> Self {
        self.0.push((name, column));
        self
    }

    pub(crate) fn u8(self, name: &'static str, values: impl Iterator<Item = u8>) -> Self {
        self.with(name, Arc::new(UInt8Array::from_iter_values(values)))
    }

    pub(crate) fn u32(self, name: &'static str, values: impl Iterator<Item = u32>) -> Self {
        self.with(name, Arc::new(UInt32Array::from_iter_values(values)))
    }

    pub(crate) fn u64(self, name: &'static str, values: impl Iterator<Item = u64>) -> Self {
        self.with(name, Arc::new(UInt64Array::from_iter_values(values)))
    }

    pub(crate) fn i32(self, name: &'static str, values: impl Iterator<Item = i32>) -> Self {
        self.with(name, Arc::new(Int32Array::from_iter_values(values)))
    }

    pub(crate) fn i64(self, name: &'static str, values: impl Iterator<Item = i64>) -> Self {
        self.with(name, Arc::new(Int64Array::from_iter_values(values)))
    }

    pub(crate) fn bool(self, name: &'static str, values: impl Iterator<Item = bool>) -> Self {
        self.with(name, Arc::new(values.map(Some).collect::<BooleanArray>()))
    }

    pub(crate) fn text(
        self,
        name: &'static str,
        values: impl Iterator<Item = Option<String>>,
    ) -> Self {
        self.with(name, Arc::new(values.collect::<StringArray>()))
    }

    /// The bytes of an IPC stream.
    pub(crate) fn stream(self) -> Result<Ipc, Failure> {
        let fields = self.0.iter().map(|(name, column)| {
            Field::new(*name, column.data_type().clone(), column.is_nullable())
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let columns = self.0.into_iter().map(|(_, column)| column).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
        let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
        writer.write(&batch)?;
        Ok(Ipc {
            bytes: writer.into_inner()?,
            headers: Vec::new(),
        })
    }
}

/// An IPC stream, and what is said beside it.
pub(crate) struct Ipc {
    bytes: Vec<u8>,
    headers: Vec<(&'static str, String)>,
}

impl Ipc {
    pub(crate) fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

impl IntoResponse for Ipc {
    fn into_response(self) -> Response {
        let mut response = self.bytes.into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            axum::http::HeaderValue::from_static("application/vnd.apache.arrow.stream"),
        );
        for (name, value) in self.headers {
            if let Ok(value) = value.parse() {
                headers.insert(name, value);
            }
        }
        response
    }
}
