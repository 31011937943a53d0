//! The one who calls: from the token, or, for a service that may act for others, from the parameter `as`.

use std::sync::Arc;

use axum::{extract::FromRequestParts, http::request::Parts};
use onechat_core::{Participant, ParticipantSet};
use utoipa::IntoParams;

use crate::{
    api::Shared,
    auth::Identity,
    problem::{Code, Problem},
    query::Query,
};

/// The participant on whose behalf a request is made. Every endpoint under `/api` takes one.
pub(crate) struct Caller {
    pub(crate) participant: Participant,
    /// Whether they speak for everybody: the token has the scope `chats:any`, and the request names nobody by `as`.
    pub(crate) acts_for_anyone: bool,
}

impl Caller {
    /// The set of the caller and `others`.
    pub(crate) fn set_with<T: Into<Box<str>>>(
        &self,
        others: impl IntoIterator<Item = T>,
    ) -> Result<ParticipantSet, Problem> {
        let caller: Box<str> = self.participant.as_str().into();
        ParticipantSet::parse(others.into_iter().map(Into::into).chain([caller]))
            .map_err(|error| Problem::because(Code::InvalidParticipants, &error))
    }
}

/// For the document only: [`Caller`] reads it.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "its fields are read by the derive")]
pub(crate) struct ActAs {
    /// Makes this participant the caller, who may do what she could do with a token of her own, and no more. The
    /// token needs the scope `chats:any`.
    r#as: Option<String>,
}

impl FromRequestParts<Arc<Shared>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, Problem> {
        let Identity { participant, may_act_for_others } =
            shared.authenticator.current().authenticate(&parts.headers, shared.clock.now())?;
        shared.query_names.check(parts)?;
        let query = Query::of(&parts.uri)?;
        let Some(other) = query.one("as")? else {
            return Ok(Self { participant, acts_for_anyone: may_act_for_others });
        };
        if !may_act_for_others {
            return Err(Problem::new(
                Code::ScopeRequired,
                "To act for others, a token needs the scope chats:any.",
            ));
        }
        let participant =
            Participant::new(other).map_err(|error| Problem::because(Code::InvalidParticipants, &error))?;
        Ok(Self { participant, acts_for_anyone: false })
    }
}
