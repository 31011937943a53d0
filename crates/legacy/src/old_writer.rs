//! The old backend at full speed: finds a chat by its participants, inserts one if it finds none, and writes messages to
//! ids that it has once seen. It knows nothing of keys, unless it is told to write them, and nothing of merges.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use futures_util::TryStreamExt as _;
use mongodb::{
    Collection, Database,
    bson::{Bson, DateTime, Document, RawDocumentBuf, doc, oid::ObjectId},
    error::{Error, ErrorKind, WriteFailure},
};

use crate::{
    LegacyError, Place, Shape,
    chance::Chance,
    population::{Writing, sorted_and_joined},
    value::{id_from, people, sort, text_at, text_of},
};

const DUPLICATE_KEY: i32 = 11000;
const DOCUMENT_FAILED_VALIDATION: i32 = 121;
/// How many acknowledged messages are looked up together.
const BATCH: usize = 500;

/// What it writes into `participantsKey`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// Nothing.
    None,
    /// `participants.sort().join('_')`.
    Joined,
}

/// One worker of the old backend.
pub struct OldWriter {
    chats: Collection<Document>,
    messages: Collection<Document>,
    writing: Writing,
    sets: Arc<Vec<Vec<String>>>,
    keys: Keys,
    turns: Option<Arc<AtomicUsize>>,
    chance: Chance,
    seen: HashMap<usize, Bson>,
    written: Written,
}

/// What it did.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// Chats that it inserted.
    pub chats: u64,
    /// Messages whose insert was acknowledged.
    pub messages: Vec<Acknowledged>,
    /// Chats that a unique index, or a guard, kept it from inserting.
    pub refused: u64,
    /// Chats that a validator kept it from inserting.
    pub invalid: u64,
    /// Calls whose outcome it never heard.
    pub unknown: u64,
}

/// A message that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// Its `_id` as text.
    pub id: String,
    /// Whose chat it was written to: where it has to be found.
    pub people: Vec<String>,
}

impl OldWriter {
    /// A worker that writes for these sets of people. No two workers may have the same seed.
    pub fn new(
        database: &Database,
        shape: &Shape,
        sets: Arc<Vec<Vec<String>>>,
        keys: Keys,
        seed: u64,
    ) -> Self {
        Self {
            chats: database.collection(Place::Chats.name()),
            messages: database.collection(Place::Messages.name()),
            writing: Writing::new(shape.clone()),
            sets,
            keys,
            turns: None,
            chance: Chance::new(seed),
            seen: HashMap::new(),
            written: Written::default(),
        }
    }

    /// Takes the sets one after the other instead of any: together with workers that have the same counter, each set twice in
    /// the same moment, as two people tap.
    #[must_use]
    pub fn in_turns(mut self, turns: Arc<AtomicUsize>) -> Self {
        self.turns = Some(turns);
        self
    }

    fn next(&mut self) -> usize {
        match &self.turns {
            Some(turns) => turns.fetch_add(1, Ordering::Relaxed) / 2 % self.sets.len(),
            None => self.chance.below(self.sets.len()),
        }
    }

    /// Writes until it is told to stop. A call that fails for want of a primary is given up and counted, as old backends do;
    /// any other failure is an error.
    pub async fn run(mut self, stop: &AtomicBool) -> Result<Written, LegacyError> {
        while !stop.load(Ordering::Relaxed) {
            let index = self.next();
            match self.visit(index).await {
                Ok(()) => {}
                Err(error) => match write_code(&error) {
                    Some(DUPLICATE_KEY) => self.written.refused += 1,
                    Some(DOCUMENT_FAILED_VALIDATION) => self.written.invalid += 1,
                    Some(_) => return Err(error.into()),
                    None => self.written.unknown += 1,
                },
            }
        }
        Ok(self.written)
    }

    /// Opens the chat of a set and writes a message into it.
    async fn visit(&mut self, index: usize) -> Result<(), Error> {
        let known = self.seen.get(&index).filter(|_| self.chance.percent(80)).cloned();
        let chat = match known {
            Some(chat) => chat,
            None => self.find_or_insert(index).await?,
        };
        self.seen.insert(index, chat.clone());
        let people = &self.sets[index];
        let id = ObjectId::new();
        let sender = self.writing.person(&people[self.chance.below(people.len())]);
        let text = format!("from the old backend, {}", self.chance.serial());
        self.messages
            .insert_one(doc! {
                "_id": id, "chatId": chat, "sender": sender, "text": text, "createdAt": DateTime::now(), "__v": 0,
            })
            .await?;
        self.written.messages.push(Acknowledged { id: id.to_hex(), people: people.clone() });
        Ok(())
    }

    /// The mistake that everything here is about: nothing holds between the find and the insert.
    async fn find_or_insert(&mut self, index: usize) -> Result<Bson, Error> {
        let people = self.sets[index].clone();
        let members: Vec<Bson> = people.iter().map(|person| self.writing.person(person)).collect();
        let path = match &self.writing.shape.participant_path {
            None => "participants".to_owned(),
            Some(path) => format!("participants.{path}"),
        };
        let size = i64::try_from(members.len()).unwrap_or_default();
        // One field twice in a document would be the second one alone.
        let all = [doc! { path: { "$all": members } }, doc! { "participants": { "$size": size } }];
        let there = self.chats.find_one(doc! { "$and": all.to_vec() }).await?;
        if let Some(id) = there.and_then(|chat| chat.get("_id").cloned()) {
            return Ok(id);
        }
        self.insert(people).await
    }

    /// Inserts the chat of a set as one does who has looked and found none. `false` if a unique index, or a guard, has
    /// kept it from that.
    pub async fn insert_after_finding_nothing(&mut self, index: usize) -> Result<bool, LegacyError> {
        match self.insert(self.sets[index].clone()).await {
            Ok(_) => Ok(true),
            Err(error) if write_code(&error) == Some(DUPLICATE_KEY) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn insert(&mut self, people: Vec<String>) -> Result<Bson, Error> {
        let id = ObjectId::new();
        let mut chat = doc! { "_id": id };
        if let Some((public, _)) = self.writing.public_id(&mut self.chance) {
            chat.insert("id", public);
        }
        let members: Vec<Bson> =
            people.iter().map(|person| self.writing.participant(person, &mut self.chance)).collect();
        chat.insert("participants", members);
        if self.keys == Keys::Joined {
            chat.insert("participantsKey", sorted_and_joined(&people));
        }
        let now = DateTime::now();
        chat.extend(doc! { "createdAt": now, "updatedAt": now, "__v": 0 });
        self.chats.insert_one(chat).await?;
        self.written.chats += 1;
        Ok(id.into())
    }
}

/// The code with which the server refused a write; nothing if that is not what happened.
fn write_code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        _ => None,
    }
}

impl Acknowledged {
    /// Which of these messages are not in a chat of their people, in words. Each document has an `_id` of its own, so none is
    /// there twice.
    pub async fn astray(
        database: &Database,
        shape: &Shape,
        messages: &[Self],
    ) -> Result<Vec<String>, LegacyError> {
        let mut astray = Vec::new();
        for batch in messages.chunks(BATCH) {
            let ids: Vec<Bson> = batch.iter().map(|message| id_from(&message.id)).collect();
            let rows = found(database, Place::Messages, ids).await?;
            let chats: Vec<Bson> = rows
                .values()
                .filter_map(|row| text_at(row, "chatId"))
                .flat_map(|chat| [id_from(&chat), Bson::String(chat)])
                .collect();
            let chats = found(database, Place::Chats, chats).await?;
            for message in batch {
                let chat = rows.get(&message.id).and_then(|row| text_at(row, "chatId"));
                let of = chat.as_ref().and_then(|chat| chats.get(chat));
                let of = of.and_then(|chat| people(chat, shape.participant_path.as_deref()));
                let mut wanted = message.people.clone();
                sort(&mut wanted);
                if of.as_ref() != Some(&wanted) {
                    astray.push(format!("{} of {wanted:?} is in {chat:?} of {of:?}", message.id));
                }
            }
        }
        Ok(astray)
    }
}

async fn found(
    database: &Database,
    place: Place,
    ids: Vec<Bson>,
) -> Result<HashMap<String, RawDocumentBuf>, LegacyError> {
    let rows =
        database.collection::<RawDocumentBuf>(place.name()).find(doc! { "_id": { "$in": ids } }).await?;
    let rows: Vec<RawDocumentBuf> = rows.try_collect().await?;
    let named = rows.into_iter().map(|row| {
        let id = row.get("_id").ok().flatten().and_then(|id| Bson::try_from(id).ok());
        (id.as_ref().and_then(text_of).unwrap_or_default(), row)
    });
    Ok(named.collect())
}
