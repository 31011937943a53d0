//! The journal: before-images of everything that a run changes, written before, or in one transaction with, the change.
//!
//! # `onechat_runs`
//!
//! A document for each run:
//!
//! ```text
//! { _id: ObjectId,                     the run
//!   chats: "chats",                    the collection that it works on
//!   kind: "migrate" | "backfill" | "merge" | "watch",
//!   keyField: "key2",                  the field of its keys; absent for the first keys of a collection
//!   startedAt: Date, endedAt: Date }   no endedAt: it was cut off, or is at work
//! ```
//!
//! Other steps may keep fields of their own there (the inventory of the account).
//!
//! # `onechat_journal`
//!
//! `type` tells six kinds of documents apart. A merged group is an *entry*; its name is the `_id` of its header:
//!
//! ```text
//! { _id: ObjectId, type: "merge", run: ObjectId, chats: "chats", at: Date,
//!   order: Int64,                      entries of all runs in the order in which they were applied
//!   state: "applying" | "done" | "undoing" | "undone",
//!   key: "alice_bob", participants: ["alice", "bob"],
//!   survivor: <_id>, survivorPublicId: "…",
//!   losers: [{ id: <_id>, publicId: "…" }],
//!   moves: [{ collection, field, from, to }],
//!   moved: Int64, edited: Int64, conflicts: Int64,      how many there are among the items
//!   items: [<item>] }
//! { _id: ObjectId, type: "more", entry: ObjectId, run: ObjectId, items: [<item>] }
//! { _id: ObjectId, type: "part", entry: ObjectId, run: ObjectId,
//!   item: ObjectId, part: Int32, parts: Int32, bytes: Binary }
//! ```
//!
//! An entry without losers says that rows of a large group were pointed to the survivor ahead of its merge, which has
//! an entry of its own with a later `order`.
//!
//! Items are what was changed. They are in the header, in any number of `more` documents (the sweep adds some after
//! the merge), and, if one item is too large for a document, in `part` documents whose bytes, joined by `part`, are
//! the item. Images are the bytes of the document as it was stored:
//!
//! ```text
//! { what: "survivor", id: <_id>, before: Binary, after: Binary }     no after: it stayed as it was
//! { what: "loser", id: <_id>, before: Binary }     of several with one id, the last one was deleted
//! { what: "edit", collection, id: <_id>, before: Binary, after: Binary, reason }   no after: it was removed
//! { what: "moved", collection, field, from, to, ids: [<_id>] }
//! { what: "conflict", field, kept, dropped: [{ id: <_id>, value }] }
//! ```
//!
//! A row that is swept over a chain of merges has a `moved` under each of them, from hop to hop.
//!
//! Keys that were given, up to [`KEYS_PER_DOCUMENT`] in each document; `before` is absent if there was no such field,
//! `after` if the key was taken away:
//!
//! ```text
//! { _id: ObjectId, type: "keys", run: ObjectId, chats: "chats", at: Date, order: Int64,
//!   state: "done" | "undone",
//!   keys: [{ id: <_id>, before: <value>, after: "alice_bob" }] }
//! ```
//!
//! Chats that were made for messages that named none, and those messages, by whether they had null in the field or no such field.
//! `raise` has the chat's times, from what to what; `applying` says that it may not have been done yet:
//!
//! ```text
//! { _id: ObjectId, type: "made", run: ObjectId, chats: "chats", at: Date, order: Int64, state: "done" | "undone",
//!   made: [{ id: <_id>, image: Binary }] }
//! { _id: ObjectId, type: "pointed", run: ObjectId, chats: "chats", at: Date, order: Int64,
//!   state: "applying" | "done" | "undone",
//!   collection: "messages", field: "chatId", messages: Int64,
//!   rows: [{ to: <_id>, absent: [<_id>], null: [<_id>], raise: { before: { … }, after: { … } } }] }
//! ```
//!
//! # `onechat_aliases`
//!
//! ```text
//! { _id: "<public id of the loser>", chat: "<public id of the survivor>",
//!   from: <_id of the loser>, to: <_id of the survivor>, run: ObjectId, entry: ObjectId }
//! ```

mod entry;
mod item;
mod keys;
mod made;
mod runs;

pub(super) use entry::{Entries, Entry, EntryState, MovedField, shown};
pub(super) use item::{Item, paged};
pub(super) use keys::KeyChange;
pub(super) use made::{MadeChat, MadeChats, Pointed, PointedMessages, Raise};
pub use runs::{EntryDetails, EntrySummary, RunId, RunKind, RunSummary};

/// The collection of runs.
pub(super) const RUNS: &str = "onechat_runs";
/// The collection of entries and what belongs to them.
pub(super) const JOURNAL: &str = "onechat_journal";
