//! JSON bodies in: bounded, declared as JSON, and with errors that say where.

use std::{error::Error, sync::Arc};

use axum::{
    body,
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;

use crate::{
    api::Shared,
    problem::{Code, Problem},
};

/// A request's body, read as `T`. Unknown fields are ignored: old clients send more than they need.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Shared>> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(Code::UnsupportedMediaType, "Send the body as application/json."));
        }
        let limit = shared.max_body_bytes;
        let bytes = body::to_bytes(request.into_body(), limit).await.map_err(|error| {
            if error.source().is_some_and(<dyn Error>::is::<LengthLimitError>) {
                Problem::new(Code::BodyTooLarge, format!("The body may have {limit} bytes at most."))
            } else {
                Problem::new(Code::InvalidRequest, "The body ended too early.")
            }
        })?;
        serde_json::from_slice(&bytes).map(Self).map_err(|error| {
            Problem::new(Code::InvalidRequest, format!("The body is not the JSON that is expected: {error}."))
        })
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else {
        return false;
    };
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}
