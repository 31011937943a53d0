//! `GET /api/chats/lookup`: the chat of the caller and others, if there is one. Never creates.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::Uri,
    response::{IntoResponse, Response},
};
use onechat_core::ChatIdentity;
use utoipa::IntoParams;
use utoipa_axum::routes;

use super::Endpoint;
use crate::{
    api::Shared,
    caller::Caller,
    problem::{Code, Problem},
    query::Query,
    view::ChatView,
};

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "its fields are read by the derive")]
struct Parameters {
    /// A participant besides the caller; once for each of them.
    #[param(style = Form, explode, min_items = 1, example = json!(["bob"]))]
    with: Vec<String>,
    /// What the chat is about, where contexts are enabled.
    context: Option<String>,
}

pub(super) fn endpoint() -> Endpoint {
    let problems = [
        Code::NoteToSelfDisabled,
        Code::InvalidContext,
        Code::ChatNotFound,
        Code::KeyCollision,
        Code::ContextNotEnabled,
        Code::ContextRequired,
        Code::StoreUnprotected,
    ];
    Endpoint::call(routes!(lookup), &problems)
}

/// The chat of the caller with others, if there is one.
#[utoipa::path(
    get,
    path = "/api/chats/lookup",
    tag = "chats",
    params(Parameters),
    responses((status = 200, description = "The chat.", body = ChatView<'_>))
)]
async fn lookup(State(shared): State<Arc<Shared>>, caller: Caller, uri: Uri) -> Result<Response, Problem> {
    let query = Query::of(&uri)?;
    let mut others = query.all("with").peekable();
    if others.peek().is_none() {
        return Err(Problem::new(
            Code::InvalidRequest,
            "Give `with`, once for each participant besides the caller.",
        ));
    }
    let participants = caller.set_with(others)?;
    shared.policy.permit(&participants)?;
    let context = shared.policy.context.of_chat(query.one("context")?)?;
    let identity = ChatIdentity { participants, context };
    let chat = shared.store.lookup(&identity).await?.ok_or_else(Problem::chat_not_found)?;
    Ok(Json(ChatView::new(&chat, shared.policy.context)).into_response())
}
