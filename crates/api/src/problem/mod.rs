//! Every answer that is not a success: RFC 9457 problems, with a code that programs can rely on.

mod code;
mod from;
mod log;
mod problem_json;

pub(crate) use code::Code;
pub use code::{ProblemCode, problem_codes};
pub(crate) use log::ProblemLog;
pub(crate) use problem_json::ProblemBody;

use std::borrow::Cow;

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use onechat_core::{KeyCollision, Message};

/// A refusal or a failure on its way to the client.
///
/// As a response it is only a status and itself as an extension: the middleware, which knows the request's id,
/// writes the body. So no handler has to know about request ids, and no problem is written in two ways.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    pub(crate) code: Code,
    pub(crate) detail: Cow<'static, str>,
    /// For the log only: it may name what the caller must not learn.
    pub(crate) cause: Option<Cause>,
    /// The message that stands in the way, for [`Code::MessageMismatch`].
    pub(crate) message: Option<Box<Message>>,
}

/// What is behind a problem.
#[derive(Debug, Clone)]
pub(crate) enum Cause {
    Store(String),
    Panic(String),
    Collision(Box<KeyCollision>),
}

impl Problem {
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), cause: None, message: None }
    }

    /// Takes the text of an error of the domain, all of which are written for the caller.
    pub(crate) fn because(code: Code, error: &impl std::error::Error) -> Self {
        Self::new(code, error.to_string())
    }

    /// The one answer for a chat that is not there and for one that is not the caller's (I6).
    pub(crate) fn chat_not_found() -> Self {
        Self::new(Code::ChatNotFound, "There is no such chat.")
    }

    /// For an answer that the router, and not a handler, has given: it has a status and no words.
    pub(crate) fn of_bare_status(status: StatusCode) -> Option<Self> {
        match status {
            StatusCode::NOT_FOUND => Some(Self::new(Code::NotFound, "There is nothing at this path.")),
            StatusCode::METHOD_NOT_ALLOWED => {
                Some(Self::new(Code::MethodNotAllowed, "The Allow header lists the methods of this path."))
            }
            _ => None,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}
