//! What a migration has to make of the old data, one JSON document a line, so that nobody has to hold all of it.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, Lines},
    path::Path,
};

use mongodb::bson::Bson;
use serde::{Deserialize, Serialize};

use crate::{LegacyError, Shape};

/// A line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Record {
    /// The first one.
    Shape(Shape),
    /// A set of people.
    Set(Box<ExpectedSet>),
    /// A document that nobody may touch.
    Kept(Kept),
    /// A document with an array of ids.
    Ids(ExpectedIds),
    /// The last one.
    Totals(Totals),
}

/// The one chat that a set of people has in the end, if the oldest one survives.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpectedSet {
    /// Who they are, in canonical order.
    pub participants: Vec<String>,
    /// Their key.
    pub key: String,
    /// The `_id` of the chat that lives on.
    pub survivor: Option<Bson>,
    /// What the API calls it.
    pub public_id: String,
    /// The `_id`s of the others.
    pub losers: Vec<Bson>,
    /// What the API called those: each has to lead to the survivor.
    pub aliases: Vec<String>,
    /// The `_id`s of the rows of messages that have to be in it, each once.
    pub messages: Vec<String>,
    /// Messages that were sent twice and are there as another one of `messages`.
    pub folded: Vec<String>,
    /// The `_id`s of the embedded messages.
    pub embedded: Vec<String>,
    /// What nobody has read, by participant, added up.
    pub unread: BTreeMap<String, i64>,
    /// The rows of memberships by participant: unread added up, and the latest time read, in milliseconds.
    pub memberships: BTreeMap<String, (i64, i64)>,
    /// The `_id`s of notifications about the chat.
    pub notifications: Vec<String>,
    /// How many messages the chat says it has.
    pub message_count: Option<i64>,
    /// Of a chat that stands alone: a hash of everything but its key.
    pub digest: Option<String>,
    /// Another set has the same key: one of the two does without.
    pub shares_key: bool,
}

/// A document that has to stay as it is, to the byte.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Its collection.
    pub collection: String,
    /// Its `_id`.
    pub id: Bson,
    /// The whole of it, in hexadecimal.
    pub bytes: String,
}

/// A document whose array names chats.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpectedIds {
    /// Its collection.
    pub collection: String,
    /// The array.
    pub field: String,
    /// Its `_id`.
    pub id: Bson,
    /// What the array has to hold, each once, in whatever order.
    pub values: Vec<String>,
}

/// How many documents there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Chats that were written.
    pub chats: u64,
    /// Messages that were written.
    pub messages: u64,
    /// Documents of all collections that were written.
    pub documents: u64,
    /// Sets of people.
    pub sets: u64,
    /// Chats that there are in the end.
    pub chats_after: u64,
    /// Messages that there are in the end.
    pub messages_after: u64,
    /// Memberships that there are in the end.
    pub memberships_after: u64,
}

/// The lines of a file.
pub struct Expected(Lines<BufReader<File>>);

impl Expected {
    /// Opens a file that [`crate::generate`] has written.
    pub fn open(file: &Path) -> Result<Self, LegacyError> {
        Ok(Self(BufReader::with_capacity(1 << 20, File::open(file)?).lines()))
    }
}

impl Iterator for Expected {
    type Item = Result<Record, LegacyError>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.next()?.map_err(LegacyError::from).and_then(|line| Ok(serde_json::from_str(&line)?)))
    }
}
