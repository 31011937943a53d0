//! `GET /metrics`: what was counted, for Prometheus.

use std::sync::Arc;

use axum::{
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use prometheus_client::encoding::text;
use utoipa_axum::routes;

use super::Endpoint;
use crate::api::Shared;

/// What the encoder writes.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn endpoint() -> Endpoint {
    Endpoint::open(routes!(metrics), &[])
}

/// What was counted, in the text format of Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    responses((
        status = 200,
        description = "The metrics.",
        body = String,
        content_type = "application/openmetrics-text"
    ))
)]
async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let mut page = String::new();
    text::encode(&mut page, &shared.registry).expect("writing to a string does not fail");
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], page).into_response()
}
