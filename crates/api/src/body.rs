//! JSON bodies in: bounded, declared as JSON, and with errors that say where.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, header},
};
use serde::de::DeserializeOwned;

use crate::{
    api::Shared,
    intake::IntakeError,
    middleware,
    problem::{Code, Problem},
};

/// A request's body, read as `T`. Unknown fields are ignored: old clients send more than they need.
///
/// Once the body is there, the request takes its place among those that are worked on. What comes before this in the
/// arguments of a handler is decided without waiting for the body.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Shared>> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(Code::UnsupportedMediaType, "Send the body as application/json."));
        }
        let limit = shared.max_body_bytes;
        let bytes = shared.intake.receive(request.into_body(), limit).await.map_err(|error| match error {
            IntakeError::TooLarge => {
                Problem::new(Code::BodyTooLarge, format!("The body may have {limit} bytes at most."))
            }
            IntakeError::Broken => Problem::new(Code::InvalidRequest, "The body ended too early."),
            IntakeError::GivenUp => Problem::new(
                Code::BodyTimeout,
                "Too many bodies are on their way, and this one has taken longest. Nothing was done.",
            ),
        })?;
        middleware::take_place()?;
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
