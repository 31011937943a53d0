//! What the operator says about a database: who survives, what refers to chats, and how state is put together.

use std::{borrow::Cow, collections::BTreeMap};

use crate::UuidOrder;

/// Everything that planning depends on besides the documents.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MergeRules {
    /// Which chat of a group lives on.
    pub survivor: SurvivorPolicy,
    /// The names of the fields that have a meaning here.
    pub names: FieldNames,
    /// Fields of other collections (or of the same one) that name a chat.
    pub references: Vec<Reference>,
    /// Arrays embedded in the chat that are united.
    pub embedded: Vec<EmbeddedArray>,
    /// State per participant embedded in the chat.
    pub state: Vec<StateField>,
    /// Rules of other fields of the chat, by path. A field without one in which the chats of a group differ blocks it
    /// ([`crate::Blocked::Unexplained`]).
    pub fields: BTreeMap<String, FieldRule>,
}

impl MergeRules {
    /// Whether planning depends on [`crate::ReferenceRows::messages`].
    pub fn needs_messages(&self) -> bool {
        self.has_newest() || self.rules_of_state().any(|rule| rule == FieldRule::Recompute)
    }

    /// Whether planning depends on [`crate::Activity`].
    pub fn needs_activity(&self) -> bool {
        self.survivor != SurvivorPolicy::Oldest
            || self.has_newest()
            || self.fields.values().any(|rule| *rule == FieldRule::Recompute)
    }

    /// Whether planning depends on [`Group::listed`](crate::Group::listed).
    pub fn needs_listed(&self) -> bool {
        self.embedded.iter().any(|array| array.ids_of.is_some())
    }

    /// Whether something follows the newest message.
    pub fn has_newest(&self) -> bool {
        self.fields.values().copied().chain(self.rules_of_state()).any(|rule| rule == FieldRule::Newest)
    }

    fn rules_of_state(&self) -> impl Iterator<Item = FieldRule> {
        let embedded = self.state.iter().map(|state| &state.rules);
        let rows = self.references.iter().filter_map(|reference| Some(&reference.state.as_ref()?.rules));
        embedded.chain(rows).flat_map(|rules| rules.values().copied())
    }

    /// The fields of messages that are rows, if there are any.
    pub fn message_fields(&self) -> Option<&MessageFieldsOfRows> {
        self.references.iter().find_map(|reference| reference.messages.as_ref())
    }
}

/// The top-level fields of a chat that planning knows by meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldNames {
    /// The array of participants; or, of two or more names, a field for each.
    pub participants: Vec<String>,
    /// Where in a participant's sub-document its id stands.
    pub participant_path: Option<String>,
    /// What a chat is about, if chats have contexts: in a group it is the same, in whatever form. A path.
    pub context: Option<String>,
    /// The order of bytes of legacy UUIDs, if there are any among participants, contexts or ids of chats.
    pub uuids: Option<UuidOrder>,
    /// The key.
    pub participants_key: String,
    /// The key by which servers that know no other still find a chat: the survivor's, or a loser's if it has none.
    pub previous_key: Option<String>,
    /// The earliest one is kept.
    pub created_at: String,
    /// The latest one is kept.
    pub updated_at: String,
    /// The latest one is kept.
    pub last_message_at: String,
    /// What the API calls a chat's id, if it is not `_id`.
    pub public_id: Option<String>,
}

impl FieldNames {
    /// The paths of what is the same in all chats of a group, in whatever form and order.
    pub(crate) fn of_the_identity(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let participants = self.participants.iter().map(|name| match &self.participant_path {
            Some(path) if self.participants.len() > 1 => Cow::Owned(format!("{name}.{path}")),
            _ => Cow::Borrowed(name.as_str()),
        });
        let others = self.context.iter().chain(&self.public_id);
        participants.chain(others.map(|name| Cow::Borrowed(name.as_str())))
    }
}

impl Default for FieldNames {
    fn default() -> Self {
        Self {
            participants: vec!["participants".to_owned()],
            participant_path: None,
            context: None,
            uuids: None,
            participants_key: "participantsKey".to_owned(),
            previous_key: None,
            created_at: "createdAt".to_owned(),
            updated_at: "updatedAt".to_owned(),
            last_message_at: "lastMessageAt".to_owned(),
            public_id: None,
        }
    }
}

/// Which chat of a group lives on. Ties are broken by age, then by `_id`: the same on every machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SurvivorPolicy {
    /// The one that was created first.
    #[default]
    Oldest,
    /// The one with the most messages, embedded ones and those that refer to it.
    MostMessages,
    /// The one with the latest message.
    MostRecent,
}

/// A field elsewhere whose value, or values, name a chat by `_id` or by its public id; as an ObjectId, a string, a UUID or
/// a number, told by what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The collection.
    pub collection: String,
    /// The path of the field. It may lead through sub-documents and arrays, and end in an array of ids.
    pub field: String,
    /// When the row was made, for [`Reference::sequence`].
    pub time: Option<String>,
    /// A number that is counted within each chat: rows that move to the survivor are counted on from its last one, in the
    /// order of their time.
    pub sequence: Option<String>,
    /// Unique indexes of the collection that contain `field`: their other fields, read from the database.
    pub unique: Vec<Vec<String>>,
    /// Whether its rows are messages of the chat: counted for the survivor, and folded if a client sent one twice.
    pub messages: Option<MessageFieldsOfRows>,
    /// Whether its rows are state per participant, of which each participant has one row per chat.
    pub state: Option<RowState>,
}

/// The fields of messages that are rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFieldsOfRows {
    /// Who sent it.
    pub sender: String,
    /// What was said.
    pub text: String,
    /// The sender's own id of it.
    pub client_message_id: String,
    /// When.
    pub created_at: String,
}

/// Rows that keep state per participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowState {
    /// The field with the participant.
    pub participant: String,
    /// What becomes of each field when two rows become one.
    pub rules: BTreeMap<String, FieldRule>,
    /// The field with the time up to which the participant has read, for [`FieldRule::Recompute`].
    pub read_until: Option<String>,
}

/// An array in a chat: sub-documents such as messages, or ids of rows of another collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedArray {
    /// The array's field.
    pub field: String,
    /// Where in an element its id stands: two with the same one are the same. Without: equal elements are the same,
    /// but for bare texts, which all are kept.
    /// An id that is counted within each chat (1, 2, 3) is none.
    pub id: Option<String>,
    /// The collection with the rows that the elements name, by [`EmbeddedArray::id`], or being ids themselves.
    pub ids_of: Option<String>,
    /// Where in an element, or in the row that it names, its time stands, by which the result is sorted, stably.
    pub time: Option<String>,
    /// Where in an element its sender stands, if the elements are messages: for [`FieldRule::Recompute`].
    pub sender: Option<String>,
}

/// State per participant in a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateField {
    /// The field.
    pub field: String,
    /// How it is laid out.
    pub form: StateForm,
    /// What becomes of each sub-field; `""` is the value itself, where it has none (`unread: {alice: 3}`).
    pub rules: BTreeMap<String, FieldRule>,
    /// Where the time up to which the participant has read stands, for [`FieldRule::Recompute`]: a sub-field, or,
    /// where the counter itself is the value (`""`), another field of the chat with a value for each participant.
    pub read_until: Option<String>,
}

/// How state per participant is laid out in a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateForm {
    /// A sub-document with a field for each participant.
    Map,
    /// An array of sub-documents, which name the participant in this field.
    Array {
        /// The field with the participant.
        participant: String,
    },
}

/// How values of several chats become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldRule {
    /// The largest.
    Max,
    /// The smallest.
    Min,
    /// Added up.
    Sum,
    /// The elements of all arrays, each once, in order of appearance.
    Union,
    /// The survivor's; another one only if it has none. Without a report of what was dropped.
    Survivor,
    /// For pointers to the newest message, and copies of it: that of the newest message of all chats.
    Newest,
    /// For what hides or ends a chat: so only if it is so in all chats. One that has nothing there is one in which it is not
    /// so. Of lists the members that all have, of dates the latest.
    All,
    /// What it would be had there been one chat all along. For a counter per participant: the messages of others
    /// since they last read. For a field of the chat: the value of the chat that was active last.
    Recompute,
}
