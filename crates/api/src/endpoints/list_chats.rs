//! `GET /api/chats`: the caller's chats, latest activity first.

use std::sync::Arc;

use axum::{extract::State, http::Uri, response::Response};
use onechat_core::ChatCursor;
use utoipa::IntoParams;
use utoipa_axum::routes;

use super::Endpoint;
use crate::{
    api::Shared,
    caller::Caller,
    problem::{Code, Problem},
    query::Query,
    view::{ChatPageView, ChatView},
};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "its fields are read by the derive")]
struct Parameters {
    /// How many chats to answer with at most. A page also ends before it exceeds 1 MiB, or less under load.
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u16>,
    /// Where to go on: the `nextCursor` of an earlier page.
    cursor: Option<String>,
    /// Only the chats that are about this, where contexts are enabled.
    context: Option<String>,
}

pub(super) fn endpoint() -> Endpoint {
    Endpoint::call(routes!(list_chats), &[Code::InvalidContext, Code::ContextNotEnabled])
}

/// The caller's chats, latest activity first.
#[utoipa::path(
    get,
    path = "/api/chats",
    tag = "chats",
    params(Parameters),
    responses((status = 200, description = "A page of chats.", body = ChatPageView<'_>))
)]
async fn list_chats(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    uri: Uri,
) -> Result<Response, Problem> {
    let query = Query::of(&uri)?;
    let after: Option<ChatCursor> = query.cursor("cursor")?;
    let policy = shared.policy.context;
    let context = policy.of_list(query.one("context")?)?;
    let read = |size| shared.store.chats_of(&caller.participant, context.as_ref(), size, after.as_ref());
    Ok(shared
        .page_budget
        .answer(query.limit()?, read, |chat, json| serde_json::to_writer(json, &ChatView::new(chat, policy)))
        .await?)
}
