//! Time and ids: passed in, so that a test can fix them and a run can be repeated.

use crate::{ChatId, MessageId, Timestamp};

/// What time it is.
pub trait Clock: Send + Sync {
    /// The present moment. May stand still or go back, as real clocks do; nothing may depend on it for safety.
    fn now(&self) -> Timestamp;
}

/// New ids.
pub trait IdSource: Send + Sync {
    /// An id that no chat has, in this process or any other.
    fn chat_id(&self) -> ChatId;

    /// An id that no message has, in this process or any other.
    fn message_id(&self) -> MessageId;
}
