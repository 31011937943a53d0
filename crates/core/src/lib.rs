//! The domain of onechat: who is in a chat, which key names that set of people, and what a store must promise.
//!
//! No I/O, no async runtime, no driver type: everything that touches the world comes in through a [port](ports).

mod chat;
mod context;
mod error;
mod id;
mod identity;
mod key;
mod message;
mod object_id;
mod page;
mod participant;
pub mod ports;
mod roles;
mod set;
mod time;

pub use chat::{Chat, Outcome, OutcomeKind, Proposal};
pub use context::{Context, ContextError};
pub use error::{AliasError, KeyCollision, ResolveError, StoreError};
pub use id::{ChatId, IdError, MessageId};
pub use identity::ChatIdentity;
pub use key::{DecodeError, KeyFormat, ParticipantsKey, UnknownKeyFormat};
pub use message::{ClientMessageId, Message, MessageError, MessageText, NewMessage, Sent};
pub use object_id::ObjectIdSource;
pub use page::{ChatCursor, CursorError, MessageCursor, Page, PageSize, PageSizeError};
pub use participant::{Participant, ParticipantError};
pub use roles::Roles;
pub use set::{ParticipantSet, SetError};
pub use time::Timestamp;
