//! The check of what is stored, at rest, against the invariants of the design. Reads only.

use std::fmt;

use async_trait::async_trait;
use sha2::{Digest as _, Sha256};

use crate::StoreError;

/// Checks everything that is stored.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Reads all there is. Safe beside running servers. Memory does not grow with the data.
    async fn audit(&self, progress: &dyn Progress) -> Result<AuditReport, StoreError>;
}

/// Told how far a long operation has come.
pub trait Progress: Send + Sync {
    /// `done` of about `total` items are examined.
    fn advance(&self, done: u64, total: u64);
}

/// An audit's result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// How many chats were examined.
    pub chats: u64,
    /// How many documents the configuration leaves out. They are not among the chats.
    pub outside: u64,
    /// How many messages were examined.
    pub messages: u64,
    /// How many aliases were examined.
    pub aliases: u64,
    /// What is wrong, and what should be known.
    pub findings: Vec<Finding>,
}

impl AuditReport {
    /// Whether the guarantee holds for all that is stored; there may be warnings.
    pub fn is_clean(&self) -> bool {
        self.findings.iter().all(|finding| finding.kind.severity() == Severity::Warning)
    }
}

/// One kind of thing that is wrong, with how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong.
    pub kind: FindingKind,
    /// How many rows show it.
    pub count: u64,
    /// The first of them, by id, with what is wrong there: [`Finding::MAX_ROWS`] at most.
    pub rows: Vec<String>,
    /// A sum over all of them, kept or not, in whatever order they came: equal for the same rows.
    pub digest: u128,
}

impl Finding {
    /// How many rows a finding keeps.
    pub const MAX_ROWS: usize = 1000;
    /// How many of them a report shows.
    pub const MAX_EXAMPLES: usize = 5;

    /// A few rows, for a report.
    pub fn examples(&self) -> &[String] {
        &self.rows[..self.rows.len().min(Self::MAX_EXAMPLES)]
    }
}

/// One row's part of a finding's digest. Sums of these tell sets of rows apart, by SHA-256 cut to half.
fn digest(row: &str) -> u128 {
    let hash = Sha256::digest(row.as_bytes());
    let (half, _) = hash.split_first_chunk().expect("it has 32 bytes");
    u128::from_be_bytes(*half)
}

/// Findings as they come up, one of each kind, with the first rows kept.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

impl Findings {
    /// Counts one more row that shows `kind`.
    pub fn add(&mut self, kind: FindingKind, row: impl FnOnce() -> String) {
        let index = self.0.iter().position(|finding| finding.kind == kind).unwrap_or_else(|| {
            self.0.push(Finding { kind, count: 0, rows: Vec::new(), digest: 0 });
            self.0.len() - 1
        });
        let finding = &mut self.0[index];
        let row = row();
        finding.count += 1;
        finding.digest = finding.digest.wrapping_add(digest(&row));
        if finding.rows.len() < Finding::MAX_ROWS {
            finding.rows.push(row);
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The findings, in the order in which reports list them.
    pub fn into_sorted(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|finding| FindingKind::ALL.iter().position(|kind| *kind == finding.kind));
        self.0
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Something to know; the guarantee holds.
    Warning,
    /// The guarantee is broken for the rows named.
    Error,
}

/// A promise of the design, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invariant {
    /// All answers for one identity name the same chat.
    I1,
    /// At most one answer per identity says that it created.
    I2,
    /// Exactly one chat per key, none without a key.
    I3,
    /// An acknowledged message is stored exactly once, in the one chat of its identity.
    I4,
    /// Nobody is handed a stranger's chat.
    I5,
    /// Who is not in the set learns nothing.
    I6,
    /// An acknowledged id never vanishes.
    I7,
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

macro_rules! finding_kinds {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $invariant:ident, $severity:ident, $advice:literal;)+) => {
        /// Everything that an audit can find.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum FindingKind {
            $($(#[$doc])* $variant,)+
        }

        impl FindingKind {
            /// Every kind, in the order in which reports list them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The kind with this code.
            pub fn of_code(code: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.code() == code)
            }

            /// A stable name for programs.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)+ }
            }

            /// The promise that it concerns.
            pub const fn invariant(self) -> Invariant {
                match self { $(Self::$variant => Invariant::$invariant,)+ }
            }

            /// How bad it is.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)+ }
            }

            /// What to do about it.
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)+ }
            }
        }
    };
}

finding_kinds! {
    /// The file or an index of it does not hold together.
    DamagedStorage = "damaged_storage", I7, Error,
        "Stop the server, keep a copy of the file, and restore the last good backup.";
    /// The database file has more than one hard link.
    LinkedFile = "linked_file", I7, Error,
        "Nothing else was audited: SQLite keeps a separate write-ahead log beside each name, so no name shows all there is. Stop all servers, find the names with `find FOLDER -samefile FILE`, keep the one that was served (a `-wal` may lie beside it), remove the others, and audit again.";
    /// The unique index on the key is missing.
    MissingUniqueIndex = "missing_unique_index", I3, Error,
        "Nothing keeps duplicates out. On MongoDB: `onechat migrate` makes the index and merges what is in its way. In an SQLite file: stop the server and restore the schema.";
    /// The collection has a history, and has not been brought to the guarantee.
    NotMigrated = "not_migrated", I3, Error,
        "Run `onechat migrate`: until then servers find chats and create none.";
    /// New duplicates are kept out, and what is left of old ones is not settled yet.
    Guarded = "guarded", I3, Warning,
        "Nothing is wrong: `onechat migrate` goes on where it stopped, and ends with `onechat enforce`.";
    /// Participants that are not a set of valid participants.
    MalformedParticipants = "malformed_participants", I5, Error,
        "Correct the participants of the chats named: no request can match them as they are, and no tool touches them.";
    /// A context that is none: empty, too long or with control characters.
    MalformedContext = "malformed_context", I5, Error,
        "Correct the context of the chats named: no request can match them as they are, and no tool touches them.";
    /// A number among participants or contexts, and a text with the same digits.
    TwofoldNames = "twofold_names", I5, Error,
        "Nothing is merged, and `onechat migrate` stops: a number and a text with its digits may be two people, and outside they are one. If they are one, write them in one form; if not, give one of them another id.";
    /// Two chats whose `_id`s are of different types and written the same.
    TwofoldId = "twofold_id", I5, Error,
        "Nothing is merged, and `onechat migrate` stops: outside the id named is that of two chats, and a row that has it may mean either. Give one of them another `_id`, and its messages with it.";
    /// A chat that is not found by its id as this configuration reads it.
    UnfoundId = "unfound_id", I1, Error,
        "Say in `chat_id` of [mongodb] of which type the ids of chats are (`onechat audit --suggest` does): lists show the chats named, or fail, and nobody can open them.";
    /// The same participant twice in a chat.
    RepeatedParticipants = "repeated_participants", I5, Warning,
        "Nothing to do: sets are compared. Programs that count the participants of the chats named are misled.";
    /// Participants that are not stored in the order of their key.
    UnsortedParticipants = "unsorted_participants", I5, Warning,
        "Nothing to do: sets are compared. Programs that look chats up by the array as it is do not find all of them.";
    /// Different sets that look the same to people.
    LookAlikes = "look_alikes", I5, Warning,
        "Nothing is merged: they are different participants. If they are one person, correct the ids where they are made, then the chats.";
    /// A chat without a key.
    MissingKey = "missing_key", I3, Error,
        "Give the chats named their key: a lookup by key does not find them. On MongoDB: `onechat migrate`, or `onechat backfill` on a collection that is guarded.";
    /// A key that is not the key of the chat's participants and context.
    WrongKey = "wrong_key", I5, Error,
        "Correct the key of the chats named: their participants are refused with key_collision, or get a duplicate. On MongoDB: `onechat migrate`, or `onechat backfill` on a collection that is guarded.";
    /// Chats of different participants, or of different contexts, have one key.
    SharedKey = "shared_key", I5, Error,
        "They are never merged, and no unique index can be made while they are there. A key that is wrong is corrected by `onechat backfill`; of joined keys that are equal the oldest chat keeps it, and the others cannot be found until the keys are escaped.";
    /// A joined key with a participant or a context that contains the separator: others may have it too.
    AmbiguousKey = "ambiguous_key", I5, Warning,
        "Nothing is wrong yet: whoever else has this key is refused with key_collision. Escaped keys have no such pairs.";
    /// A document that the configuration leaves out has a key.
    KeyOutside = "key_outside", I3, Warning,
        "Nothing to do: a server or `onechat watch` takes the key away when a chat inside `only` needs it, and `onechat migrate` asks before it does (`outside_keys` of [migrate]).";
    /// Two or more chats of one participant set, with the same context or none.
    DuplicateSet = "duplicate_set", I3, Error,
        "The messages of their participants are split between the chats named. On MongoDB: `onechat merge plan` shows what would be merged, `onechat migrate` merges it. In an SQLite file: stop the server and keep a copy of it.";
    /// The list of a participant's chats does not agree with the chats.
    InboxMismatch = "inbox_mismatch", I1, Error,
        "Rebuild the inbox rows of the chats named: they are missing from, or misplaced in, a list, and who is missing cannot open the chat.";
    /// A message in a chat that does not exist.
    OrphanedMessage = "orphaned_message", I4, Error,
        "Find the chat that the messages belong to: nobody can read them. If it was merged, `onechat migrate` points them to the chat that lives on.";
    /// A message that names no chat, where sender and receiver say which it is.
    MessageWithoutChat = "message_without_chat", I4, Error,
        "The API does not show the messages. `onechat migrate` with `chats_from_messages` in [migrate] makes the chats of their senders and receivers and points the messages there, and `onechat watch` goes on with that as long as an old backend writes such messages. Messages to oneself, or to somebody who cannot be read, stay as they are.";
    /// Messages that name their chat in another form than that of its `_id`.
    OtherIdForm = "other_id_form", I4, Warning,
        "Say in `chat_form` of [mongodb.message_fields] how messages name their chat (`onechat audit --suggest` does), or write the chat's id as the chat has it: until then the API does not show these messages.";
    /// A row of another collection that names a chat that does not exist.
    DanglingReference = "dangling_reference", I4, Warning,
        "Nobody finds what the rows belong to. If their chat was merged, `onechat migrate` points them to the chat that lives on; others were left behind when it was deleted.";
    /// A message whose sender cannot be read.
    MalformedSender = "malformed_sender", I4, Error,
        "No server can show the messages: pages with them fail. If most messages are so, `sender` of [mongodb.message_fields] names the wrong field, or lacks the rest of a path such as `user._id`; else correct the senders.";
    /// A message whose sender is not a participant of its chat.
    ForeignSender = "foreign_sender", I4, Error,
        "Find out how the messages came into the chat: their senders are not in it.";
    /// A message is newer than the time that its chat stands at in lists.
    WrongActivity = "wrong_activity", I4, Error,
        "Correct lastMessageAt of the chats named: lists show them in the wrong place.";
    /// A chat that has messages and no time of the newest one.
    AbsentActivity = "absent_activity", I4, Warning,
        "Set lastMessageAt of the chats named to the time of their newest message: lists show them as if nobody had written there yet.";
    /// An alias of a chat that does not exist.
    DanglingAlias = "dangling_alias", I1, Error,
        "Point the aliases at the surviving chats: these old ids answer 404.";
    /// An alias with the id of a living chat.
    AliasOfLiveChat = "alias_of_live_chat", I1, Error,
        "Remove either the alias or the chat: the id has two meanings.";
}

impl FindingKind {
    /// Whether it ends an audit: nothing else is examined while this is so, so it cannot be left out or accepted.
    pub const fn ends_the_audit(self) -> bool {
        matches!(self, Self::DamagedStorage | Self::LinkedFile)
    }
}

impl Severity {
    /// A stable name for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}
