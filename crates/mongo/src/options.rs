//! How a store behaves, apart from where it is.

use std::time::Duration;

use onechat_core::KeyFormat;

use crate::Mapping;

/// How a [`crate::MongoChatStore`] behaves.
#[derive(Debug, Clone)]
pub struct MongoOptions {
    /// The format of the keys; that of an existing collection can be changed by other keys only
    /// ([`crate::PreviousKeys`]).
    pub key_format: KeyFormat,
    /// Where and how chats and messages are laid out.
    pub mapping: Mapping,
    /// How many requests may wait for the database; beyond them callers get
    /// [`onechat_core::StoreError::Overloaded`].
    pub queue_capacity: usize,
    /// After how long an operation is given up; its outcome is then unknown.
    pub deadline: Duration,
    /// Writes although there is no unique index, without which the guarantee does not hold.
    pub unsafe_no_index: bool,
}

impl Default for MongoOptions {
    fn default() -> Self {
        Self {
            key_format: KeyFormat::default(),
            mapping: Mapping::default(),
            queue_capacity: 4096,
            deadline: Duration::from_secs(8),
            unsafe_no_index: false,
        }
    }
}
