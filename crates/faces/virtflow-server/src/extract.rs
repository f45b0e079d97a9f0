//! Requests as values; what cannot be understood is told like every other failure, as JSON.

use crate::reply::Failure;
use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        let body = Json::<T>::from_request(request, state).await;
        let wrong = |e: axum::extract::rejection::JsonRejection| {
            Failure::new(e.status(), "bad-body", e.body_text())
        };
        body.map(|Json(body)| Self(body)).map_err(wrong)
    }
}

/// What stands behind the `?`.
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        let wrong = |e: axum::extract::rejection::QueryRejection| {
            Failure::new(e.status(), "bad-query", e.body_text())
        };
        query.map(|Query(query)| Self(query)).map_err(wrong)
    }
}
