//! How far a collection has come. Kept in the database; every server follows it while it runs.

use std::{fmt, str::FromStr};

/// How far a collection of chats has come towards the guarantee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectionState {
    /// It has no history: the indexes were made while it was empty. Keys alone find every chat.
    New,
    /// It has a history and no protection: nothing may be created.
    Unmigrated,
    /// New duplicates are kept out, but there may be chats without their key: who misses one by its key looks by
    /// participants, and adopts what is there.
    Guarded,
    /// One chat per key, and none without: keys alone find every chat.
    Enforced,
}

/// A text that names no [`CollectionState`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no state of a collection; a newer onechat may have written it")]
pub struct UnknownState(String);

impl CollectionState {
    /// The name used beside stored data and in output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Unmigrated => "unmigrated",
            Self::Guarded => "guarded",
            Self::Enforced => "enforced",
        }
    }
}

impl fmt::Display for CollectionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for CollectionState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::New, Self::Unmigrated, Self::Guarded, Self::Enforced]
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or_else(|| UnknownState(text.to_owned()))
    }
}
