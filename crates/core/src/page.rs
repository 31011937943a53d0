//! Lists in pages. A cursor is a position in the order, not a number of rows: activity meanwhile moves nothing.

use std::{fmt, num::NonZeroU16, str::FromStr};

use crate::{Chat, ChatId, Message, MessageId, Timestamp};

/// How many items a page has at most: 1 to [`PageSize::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(NonZeroU16);

/// A page size out of range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("limit must be from 1 to {max}", max = PageSize::MAX)]
pub struct PageSizeError;

impl PageSize {
    /// The largest page.
    pub const MAX: u16 = 100;

    /// Checks `size`.
    pub fn new(size: u16) -> Result<Self, PageSizeError> {
        NonZeroU16::new(size).filter(|size| size.get() <= Self::MAX).map(Self).ok_or(PageSizeError)
    }

    /// The number of items.
    pub fn get(self) -> usize {
        usize::from(self.0.get())
    }
}

impl Default for PageSize {
    fn default() -> Self {
        Self(const { NonZeroU16::new(50).unwrap() })
    }
}

/// A part of a list, and where the next part begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T, C> {
    /// The items, in order.
    pub items: Vec<T>,
    /// Where to go on, if there is more.
    pub next: Option<C>,
}

impl<T, C> Page<T, C> {
    /// Makes a page of rows that were asked for one beyond `size`, to learn whether there are more.
    pub fn from_one_more(mut rows: Vec<T>, size: PageSize, cursor: impl Fn(&T) -> C) -> Self {
        let more = rows.len() > size.get();
        rows.truncate(size.get());
        let next = rows.last().filter(|_| more).map(cursor);
        Self { items: rows, next }
    }
}

/// A text that is no cursor of this list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not a cursor that an earlier page returned")]
pub struct CursorError;

macro_rules! cursor {
    ($(#[$doc:meta])* $name:ident($id:ident), of $item:ident by $time:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            /// The time that the last item of the page is listed under.
            pub at: Timestamp,
            /// The last item of the page.
            pub id: $id,
        }

        impl $name {
            /// The position just after `item`.
            pub fn after(item: &$item) -> Self {
                let at: fn(&$item) -> Timestamp = $time;
                Self { at: at(item), id: item.id.clone() }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}.{}", self.at.unix_ms(), self.id)
            }
        }

        impl FromStr for $name {
            type Err = CursorError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let (ms, id) = text.split_once('.').ok_or(CursorError)?;
                let at = ms.parse().ok().and_then(Timestamp::from_unix_ms).ok_or(CursorError)?;
                Ok(Self { at, id: $id::new(id).map_err(|_| CursorError)? })
            }
        }
    };
}

cursor! {
    /// A position in a participant's chats, which are listed by latest activity, then by id, both descending.
    ChatCursor(ChatId), of Chat by Chat::last_activity_at
}

cursor! {
    /// A position in a chat's messages, which are listed by creation, then by id, both descending.
    MessageCursor(MessageId), of Message by |message| message.created_at
}
