//! How a problem is written: `application/problem+json`, by RFC 9457.

use axum::{
    Json,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Code, Problem};
use crate::view::MessageView;

/// A problem, by RFC 9457. Programs should look at `code`; the rest is for people.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Problem)]
pub(crate) struct ProblemBody<'a> {
    /// Always `about:blank`: `code` says more.
    #[schema(example = "about:blank")]
    r#type: &'static str,
    /// The name of the status.
    #[schema(example = "Not Found")]
    title: &'static str,
    /// The status, again.
    #[schema(example = 404)]
    status: u16,
    /// What is wrong with this request, in words.
    #[schema(example = "There is no such chat.")]
    detail: &'a str,
    /// What is wrong, for programs. Stable.
    #[schema(example = "chat_not_found")]
    code: &'static str,
    /// The id of the request, as in the header `x-request-id` and in the service's log.
    request_id: &'a str,
    /// The stored message. Only with the code `message_mismatch`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    message: Option<MessageView<'a>>,
}

impl Problem {
    pub(crate) const CONTENT_TYPE: &'static str = "application/problem+json";

    /// The complete answer.
    pub(crate) fn write(&self, request_id: &str) -> Response {
        let status = self.code.status();
        let row = self.code.row();
        let body = ProblemBody {
            r#type: "about:blank",
            title: status.canonical_reason().unwrap_or_default(),
            status: row.status,
            detail: &self.detail,
            code: row.code,
            request_id,
            message: self.message.as_deref().map(MessageView::new),
        };
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Self::CONTENT_TYPE));
        if let Some(seconds) = row.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(u16::from(seconds)));
        }
        if self.code == Code::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
