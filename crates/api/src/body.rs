//! JSON bodies in: bounded, declared as JSON, and with errors that say where, in the words of a client.

mod explain;

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

/// Some programs begin every text in UTF-8 with it.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A request's body, a JSON object, read as `T`. Unknown fields are ignored: old clients send more than they need.
///
/// Once the body is there, the request takes its place among those that are worked on. What comes before this in a
/// handler's arguments is decided without waiting for the body.
pub(crate) struct JsonBody<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<Arc<Shared>> for JsonBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Arc<Shared>) -> Result<Self, Problem> {
        check_headers(request.headers())?;
        let limit = shared.max_body_bytes;
        let bytes = shared.intake.receive(request.into_body(), limit).await.map_err(|error| match error {
            IntakeError::TooLarge => {
                Problem::new(Code::BodyTooLarge, format!("The body may have {limit} bytes at most."))
            }
            IntakeError::Broken => Problem::new(Code::InvalidRequest, "The body ended too early."),
            IntakeError::GivenUp => Problem::new(
                Code::BodyTimeout,
                "Too many bodies are on their way, and this one took longest. Nothing was done.",
            ),
        })?;
        middleware::take_place()?;
        parse(&bytes).map(Self)
    }
}

fn check_headers(headers: &HeaderMap) -> Result<(), Problem> {
    if !is_json(headers) {
        return Err(Problem::new(Code::UnsupportedMediaType, "Send the body as application/json."));
    }
    if is_encoded(headers) {
        return Err(Problem::new(
            Code::UnsupportedMediaType,
            "Send the body as it is, without a Content-Encoding.",
        ));
    }
    Ok(())
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(header::CONTENT_TYPE).map(|value| value.to_str()) else {
        return false;
    };
    let media_type = value.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

fn is_encoded(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let json = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes).trim_ascii();
    // Otherwise an array would be taken too, as the fields in the order in which the program has them.
    if json.first() != Some(&b'{') {
        return Err(Problem::new(Code::InvalidRequest, "The body has to be a JSON object."));
    }
    serde_json::from_slice(json)
        .map_err(|error| Problem::new(Code::InvalidRequest, explain::explain::<T>(json, error)))
}
