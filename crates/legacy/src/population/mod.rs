//! The old data themselves, made without a database: an iterator over small pieces, in memory that does not grow.

mod beside;
mod block;
mod chats;
mod messages;
mod odd;
mod sets;
mod sizes;
mod writing;

use mongodb::bson::Document;

use crate::{LegacyError, Record, Shape, Totals, chance::Chance};

use block::Block;
use sizes::Sizes;

pub(crate) use chats::sorted_and_joined;
pub(crate) use writing::Writing;

/// A collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The chats.
    Chats,
    /// Messages, which name the `_id` of their chat in `chatId`.
    Messages,
    /// Notifications, which name it as they like in `about.chat`.
    Notifications,
    /// One row for each participant of a chat, with `chatId`.
    Memberships,
    /// People, with an array `chats`.
    Users,
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Chats, Self::Messages, Self::Notifications, Self::Memberships, Self::Users];

    /// The collection's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chats => "chats",
            Self::Messages => "messages",
            Self::Notifications => "notifications",
            Self::Memberships => "memberships",
            Self::Users => "users",
        }
    }
}

/// Some documents, and what is expected of them.
#[derive(Debug, Default)]
pub struct Piece {
    /// The documents.
    pub documents: Vec<(Place, Document)>,
    /// What is expected.
    pub records: Vec<Record>,
}

/// All pieces of a shape, in the same order every time.
pub struct Population {
    writing: Writing,
    chance: Chance,
    sizes: Sizes,
    block: Block,
    blocks: u64,
    odd_are_done: bool,
    /// Gone once the last line is written.
    totals: Option<Totals>,
}

impl Population {
    /// An error if there can be no such data.
    pub fn new(shape: &Shape) -> Result<Self, LegacyError> {
        let sizes = Sizes::new(shape)?;
        let mut chance = Chance::new(shape.seed);
        let writing = Writing::new(shape.clone());
        let block = Block::new(0, &writing, &mut chance);
        Ok(Self {
            writing,
            chance,
            sizes,
            block,
            blocks: 1,
            odd_are_done: false,
            totals: Some(Totals::default()),
        })
    }

    fn piece(&mut self) -> Result<Option<Piece>, LegacyError> {
        if self.block.is_full() {
            let next = Block::new(self.blocks, &self.writing, &mut self.chance);
            self.blocks += 1;
            let full = std::mem::replace(&mut self.block, next);
            return Ok(Some(full.users(&self.writing)));
        }
        if let Some(size) = self.sizes.next(&mut self.chance) {
            let people = self.block.next_set(&mut self.chance);
            return sets::make(&self.writing, &mut self.chance, &mut self.block, &people, size).map(Some);
        }
        if self.odd_are_done {
            return Ok(None);
        }
        self.odd_are_done = true;
        let mut piece = odd::make(&self.writing, &mut self.chance)?;
        let rest = std::mem::take(&mut self.block).users(&self.writing);
        piece.documents.extend(rest.documents);
        piece.records.extend(rest.records);
        Ok(Some(piece))
    }
}

impl Iterator for Population {
    type Item = Result<Piece, LegacyError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.totals?;
        match self.piece() {
            Ok(Some(piece)) => {
                if let Some(totals) = &mut self.totals {
                    totals.add(&piece);
                }
                Some(Ok(piece))
            }
            Ok(None) => {
                let records = self.totals.take().map(Record::Totals).into_iter().collect();
                Some(Ok(Piece { documents: Vec::new(), records }))
            }
            Err(error) => Some(Err(error)),
        }
    }
}

impl Totals {
    fn add(&mut self, piece: &Piece) {
        let count = |items: usize| u64::try_from(items).unwrap_or(u64::MAX);
        self.documents += count(piece.documents.len());
        for (place, _) in &piece.documents {
            match place {
                Place::Chats => self.chats += 1,
                Place::Messages => self.messages += 1,
                _ => {}
            }
        }
        for record in &piece.records {
            match record {
                Record::Set(set) => {
                    self.sets += 1;
                    self.chats_after += 1;
                    self.messages_after += count(set.messages.len());
                    self.memberships_after += count(set.memberships.len());
                }
                Record::Kept(kept) if kept.collection == Place::Chats.name() => self.chats_after += 1,
                Record::Kept(kept) if kept.collection == Place::Messages.name() => self.messages_after += 1,
                _ => {}
            }
        }
    }
}
