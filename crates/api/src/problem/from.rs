//! The one place where errors of the store become answers. What they say inside stays in the log, except what is
//! written for the operator, who may have only the answer to look at.

use std::borrow::Cow;

use onechat_core::{KeyCollision, ResolveError, StoreError};

use super::{Cause, Code, Problem};

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let (code, detail): (_, Cow<'static, str>) = match &error {
            StoreError::Overloaded => {
                (Code::Overloaded, "Too much is waiting already. Nothing was done.".into())
            }
            StoreError::Unavailable(_) => (
                Code::StoreUnavailable,
                "The store is unavailable. Whether the request took effect is unknown; repeating it is safe."
                    .into(),
            ),
            StoreError::Unprotected(reason) => {
                (Code::StoreUnprotected, format!("Nothing is written: {reason}").into())
            }
            StoreError::NotMigrated(reason) => {
                (Code::NotMigrated, format!("No chat is created: {reason}").into())
            }
            StoreError::Refused(reason) => {
                (Code::StoreRefused, format!("The database refuses to store this: {reason}").into())
            }
            StoreError::OutsideFilter(fields) => (
                Code::OutsideFilter,
                format!(
                    "No chat is created: by {fields} it would be outside the filter that says which chats this service \
                     guarantees (`only` of [mongodb]); give new chats what the filter asks for in [mongodb.constants]."
                )
                .into(),
            ),
            StoreError::RolesRequired(roles) => (
                Code::RolesRequired,
                format!("There is no chat yet, and a new one has to know who is {roles}: say it in `roles`.").into(),
            ),
            StoreError::RolesUnknown(reason) => {
                (Code::RolesUnknown, format!("The `roles` do not fit: {reason}.").into())
            }
            StoreError::Corrupt(_) => (Code::Internal, "The service has failed; its log says why.".into()),
        };
        Self { cause: Some(Cause::Store(error.to_string())), ..Self::new(code, detail) }
    }
}

impl From<KeyCollision> for Problem {
    fn from(collision: KeyCollision) -> Self {
        let detail = "The key of this chat is taken by a chat of other participants, or of another context, \
                      and keys in the joined format cannot tell the two apart.";
        Self { cause: Some(Cause::Collision(Box::new(collision))), ..Self::new(Code::KeyCollision, detail) }
    }
}

impl From<ResolveError> for Problem {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Collision(collision) => collision.into(),
            ResolveError::Store(error) => error.into(),
        }
    }
}
