//! `GET /openapi.json`: this very contract, for programs.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use utoipa_axum::routes;

use super::Endpoint;
use crate::api::Shared;

pub(crate) const PATH: &str = "/openapi.json";

pub(super) fn endpoint() -> Endpoint {
    Endpoint::open(routes!(openapi_json), &[])
}

/// This document.
#[utoipa::path(
    get,
    path = PATH,
    tag = "operations",
    responses((status = 200, description = "The OpenAPI document.", body = Object))
)]
async fn openapi_json(State(shared): State<Arc<Shared>>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], shared.openapi_json.clone()).into_response()
}
