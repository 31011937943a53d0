//! One pass over all chats that finds the groups of duplicates by their participants, whatever their keys say, in
//! memory that does not grow with the collection: what has to be grouped is spilled to files.

mod fold;
mod pass;
mod spill;

use std::io;

use mongodb::bson::{Bson, Document, RawBsonRef, RawDocument, RawDocumentBuf};
use onechat_core::{ParticipantSet, StoreError};
use onechat_migrate::Control;

pub(crate) use fold::{looks, set, text};
pub(crate) use pass::Pass;
pub(crate) use spill::{Group, Groups, Spill, Spilled};

use super::{MigrateError, MongoMigrator};
use crate::codec::field;

/// The groups of duplicates that one pass found. Iterates over (set, the `_id`s of its chats), largest memory: one bucket.
pub(crate) struct Duplicates {
    sets: Groups,
    groups: u64,
}

impl Duplicates {
    /// Reads all groups once to count them.
    fn among(sets: &Spilled) -> io::Result<Self> {
        let mut groups = 0;
        for group in sets.groups() {
            groups += u64::from(group?.items.len() > 1);
        }
        Ok(Self { sets: sets.groups(), groups })
    }

    /// How many groups there are.
    pub(crate) fn groups(&self) -> u64 {
        self.groups
    }
}

impl Iterator for Duplicates {
    type Item = Result<(ParticipantSet, Vec<Bson>), MigrateError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let group = match self.sets.next()? {
                Ok(group) if group.items.len() < 2 => continue,
                Ok(group) => group,
                Err(error) => return Some(Err(spill_failed(&error).into())),
            };
            let ids = group.items.iter().map(|id| unpacked(id)).collect();
            return set(&group.name).map(|set| Ok((set, ids)));
        }
    }
}

impl MongoMigrator {
    /// Finds every group of two or more chats with the same set of participants. Malformed chats are in none. Reads only.
    pub(crate) async fn duplicates(&self, control: &dyn Control) -> Result<Duplicates, MigrateError> {
        let mut sets = Spill::new();
        let mut pass = Pass::over_chats(&self.database, &self.codec).await?;
        while pass.advance().await? {
            let document = pass.document();
            if let Ok(set) = self.codec.participants(document) {
                sets.add(text(&set).as_bytes(), &id_of(document)).map_err(|error| spill_failed(&error))?;
            }
            if let Some((done, total)) = pass.milestone() {
                control.advance("survey", done, total);
                control.pace(0).await?;
            }
        }
        control.advance("survey", pass.done(), pass.done());
        Ok(Duplicates::among(&sets.finish()).map_err(|error| spill_failed(&error))?)
    }
}

/// The `_id` of a document as bytes, from which it can be read back, whatever type it has.
pub(crate) fn id_of(document: &RawDocument) -> Vec<u8> {
    packed(field(document, "_id").unwrap_or(RawBsonRef::Null))
}

/// A value as bytes.
pub(crate) fn packed(value: RawBsonRef<'_>) -> Vec<u8> {
    let mut document = RawDocumentBuf::new();
    document.append(mongodb::bson::raw::cstr!(""), value);
    document.into_bytes()
}

/// The value back from its bytes.
pub(crate) fn unpacked(bytes: &[u8]) -> Bson {
    let document: Option<Document> = RawDocument::from_bytes(bytes).ok().and_then(|raw| raw.try_into().ok());
    document.and_then(|mut document| document.remove("")).unwrap_or(Bson::Null)
}

/// Nothing of the database is the matter.
pub(crate) fn spill_failed(error: &io::Error) -> StoreError {
    StoreError::Unavailable(format!(
        "what has to be grouped does not fit into temporary files: {error}; TMPDIR names another folder for them"
    ))
}
