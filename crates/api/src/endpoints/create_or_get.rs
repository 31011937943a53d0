//! `POST /api/chats/create-or-get`: the one chat of a set of people, created if there is none.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use onechat_core::{ChatIdentity, Outcome, OutcomeKind, ParticipantSet, Proposal, ResolveError};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::Endpoint;
use crate::{
    api::Shared,
    body::JsonBody,
    caller::Caller,
    problem::{Code, Problem},
    view::ChatView,
};

/// The body, read leniently, so that a refusal can say what is wrong.
#[derive(Deserialize)]
struct Request {
    participants: Option<Vec<String>>,
    with: Option<Vec<String>>,
    context: Option<String>,
}

/// For the document only. Whose chat is wanted, by exactly one of the two fields, and what about.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = CreateOrGet, example = json!({ "with": ["bob"] }))]
#[expect(dead_code, reason = "its fields are read by the derive")]
enum RequestSchema {
    /// Everybody.
    Participants {
        /// All participants, the caller among them.
        participants: Vec<String>,
        /// What the chat is about, where contexts are enabled.
        #[schema(example = "listing:42")]
        context: Option<String>,
    },
    /// Everybody else.
    With {
        /// The participants besides the caller.
        with: Vec<String>,
        /// What the chat is about, where contexts are enabled.
        #[schema(example = "listing:42")]
        context: Option<String>,
    },
}

impl Request {
    fn take_set(&mut self, caller: &Caller) -> Result<ParticipantSet, Problem> {
        match (self.participants.take(), self.with.take()) {
            (Some(participants), None) => {
                let set = ParticipantSet::parse(participants)
                    .map_err(|error| Problem::because(Code::InvalidParticipants, &error))?;
                if caller.acts_for_anyone || set.contains(&caller.participant) {
                    Ok(set)
                } else {
                    Err(Problem::new(Code::NotAParticipant, "The caller is not one of the participants."))
                }
            }
            (None, Some(others)) => caller.set_with(others),
            _ => Err(Problem::new(Code::InvalidRequest, "Give either `participants` or `with`.")),
        }
    }
}

pub(super) fn endpoint() -> Endpoint {
    let problems = [
        Code::NoteToSelfDisabled,
        Code::InvalidContext,
        Code::NotAParticipant,
        Code::KeyCollision,
        Code::BodyTooLarge,
        Code::UnsupportedMediaType,
        Code::StoreRefused,
        Code::OutsideFilter,
        Code::ContextNotEnabled,
        Code::ContextRequired,
        Code::StoreUnprotected,
        Code::NotMigrated,
    ];
    Endpoint::call(routes!(create_or_get), &problems)
}

/// The one chat of a set of people, or of a set of people in a context.
///
/// Creates it if there is none. However many ask at once, at most one answer says `created: true`, and all name
/// the same chat.
#[utoipa::path(
    post,
    path = "/api/chats/create-or-get",
    tag = "chats",
    request_body = RequestSchema,
    responses(
        (status = 200, description = "The chat was there already.", body = ChatView<'_>),
        (status = 201, description = "This request created the chat.", body = ChatView<'_>),
    )
)]
async fn create_or_get(
    State(shared): State<Arc<Shared>>,
    caller: Caller,
    JsonBody(mut request): JsonBody<Request>,
) -> Result<Response, Problem> {
    let participants = request.take_set(&caller)?;
    shared.policy.permit(&participants)?;
    let identity = ChatIdentity { participants, context: shared.policy.context.of_chat(request.context)? };
    let proposal = Proposal { identity, id: shared.ids.chat_id(), now: shared.clock.now() };
    let Outcome { chat, kind } = shared.store.create_or_get(proposal).await.inspect_err(|error| {
        if let ResolveError::Collision(_) = error {
            shared.metrics.collision.inc();
        }
    })?;
    shared.metrics.count_outcome(kind);
    if kind == OutcomeKind::LostRace {
        tracing::info!(event = "lost_race", chat = %chat.id, "somebody else created the chat first");
    }
    let is_created = kind == OutcomeKind::Created;
    let status = if is_created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(ChatView::new(&chat, shared.policy.context).with_created(is_created))).into_response())
}
