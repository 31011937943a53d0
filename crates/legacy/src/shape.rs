//! How much old data there is to be, and how it is laid out.

use serde::{Deserialize, Serialize};

use crate::LegacyError;

/// What to make.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Documents in the collection of chats, whatever they are.
    pub chats: u64,
    /// Sets of people that have more than one.
    pub groups: u64,
    /// Rows in the collection of messages.
    pub messages: u64,
    /// The same seed, the same data.
    pub seed: u64,
    /// Keys are `participants.sort().join('_')`; otherwise escaped, which nobody but onechat writes.
    pub joined: bool,
    /// How people are named.
    pub people: People,
    /// Where in a participant's sub-document the person stands, if participants are sub-documents.
    pub participant_path: Option<String>,
    /// What the API calls a chat, if it has a field `id` for that.
    pub public_ids: Option<PublicIds>,
    /// Some chats keep messages in an array of their own.
    pub embedded: bool,
    /// Pairs of different sets that have the same joined key. In the format `joined`, a migration cannot end well with
    /// any of them.
    pub ambiguous: u64,
    /// Chats, among [`Shape::chats`], whose participants are no set.
    pub malformed: u64,
    /// Messages, among [`Shape::messages`], whose chat is nowhere.
    pub dangling: u64,
}

/// How people are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum People {
    /// By text of many alphabets, some with `_` and `%`, some of which only look alike.
    Text,
    /// By ObjectIds.
    ObjectIds,
}

/// How the field `id` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PublicIds {
    /// A UUID as a string.
    Text,
    /// A UUID as BSON has it.
    Uuid,
}

impl Shape {
    /// So many chats, groups and messages, as a backend on Mongoose would have them.
    pub fn of(chats: u64, groups: u64, messages: u64, seed: u64) -> Self {
        Self {
            chats,
            groups,
            messages,
            seed,
            joined: true,
            people: People::Text,
            participant_path: None,
            public_ids: None,
            embedded: true,
            ambiguous: 0,
            malformed: (chats / 200).min(5_000),
            dangling: (messages / 200).min(5_000),
        }
    }

    /// Whether there can be such data, given how many chats the groups turned out to have.
    pub(crate) fn check(&self, chats_in_groups: u64) -> Result<(), LegacyError> {
        let taken = chats_in_groups + self.malformed + 2 * self.ambiguous;
        let refused = |why: String| Err(LegacyError::Shape(why));
        if taken > self.chats {
            return refused(format!(
                "{} groups, with what else was asked for, are {taken} chats: more than {}",
                self.groups, self.chats
            ));
        }
        if taken == self.malformed && self.chats == taken {
            return refused("there would be no chat that is one".to_owned());
        }
        if self.dangling > self.messages {
            return refused(format!(
                "{} of {} messages cannot be without a chat",
                self.dangling, self.messages
            ));
        }
        if self.ambiguous > 0 && self.people == People::ObjectIds {
            return refused("ObjectIds make no ambiguous keys".to_owned());
        }
        Ok(())
    }
}
