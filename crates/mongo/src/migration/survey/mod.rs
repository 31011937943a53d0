//! One pass over all chats that finds the groups of duplicates by their participants, whatever their keys say, in
//! memory that does not grow with the collection: what has to be grouped is spilled to files.

mod fold;
mod forms;
mod ids;
mod pass;
mod spill;

use std::io;

use mongodb::bson::{Bson, Document, RawBson, RawBsonRef, RawDocument, RawDocumentBuf};
use onechat_core::{ChatIdentity, StoreError};
use onechat_migrate::Control;

pub(crate) use fold::{identity, looks, text};
pub(crate) use forms::{Forms, in_words};
pub(crate) use ids::{twofold_ids, twofold_in_words};
pub(crate) use pass::Pass;
pub(crate) use spill::{Group, Groups, Spill, Spilled};

use super::{MigrateError, MongoMigrator};
use crate::codec::field;

/// The groups of duplicates that one pass found. Iterates over (set, the `_id`s of its chats), largest memory: one bucket.
pub(crate) struct Duplicates {
    sets: Groups,
    groups: u64,
    /// How many chats there were.
    chats: u64,
    /// How many bytes of the names of groups come before the set.
    prefix: usize,
}

impl Duplicates {
    /// Reads all groups once to count them.
    fn among(sets: &Spilled, chats: u64) -> io::Result<Self> {
        let mut groups = 0;
        for group in sets.groups() {
            groups += u64::from(group?.items.len() > 1);
        }
        Ok(Self { sets: sets.groups(), groups, chats, prefix: 0 })
    }

    /// The same, in the order in which the first chats of the groups are stored: what is changed after one another is in
    /// the same pages of the database then.
    pub(crate) fn by_place(self) -> Result<Self, StoreError> {
        let mut places = Spill::new();
        for group in self.sets {
            let group = group.map_err(|error| spill_failed(&error))?;
            let Some((place, _)) =
                group.items.first().filter(|_| group.items.len() > 1).and_then(|item| placed(item))
            else {
                continue;
            };
            let name = [&place.to_be_bytes()[..], &group.name].concat();
            for item in &group.items {
                let share = (place, self.chats);
                places.add_in_order(share, &name, item).map_err(|error| spill_failed(&error))?;
            }
        }
        let sets = places.finish().groups();
        Ok(Self { sets, groups: self.groups, chats: self.chats, prefix: size_of::<u64>() })
    }

    /// How many groups there are.
    pub(crate) fn groups(&self) -> u64 {
        self.groups
    }
}

impl Iterator for Duplicates {
    type Item = Result<(ChatIdentity, Vec<Bson>), MigrateError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let group = match self.sets.next()? {
                Ok(group) if group.items.len() < 2 => continue,
                Ok(group) => group,
                Err(error) => return Some(Err(spill_failed(&error).into())),
            };
            let ids =
                group.items.iter().filter_map(|item| placed(item)).map(|(_, id)| unpacked(id)).collect();
            return identity(&group.name[self.prefix..]).map(|set| Ok((set, ids)));
        }
    }
}

/// The how-manyth chat of the pass it was, and its `_id`.
fn placed(item: &[u8]) -> Option<(u64, &[u8])> {
    let (place, id) = item.split_first_chunk()?;
    Some((u64::from_le_bytes(*place), id))
}

impl MongoMigrator {
    /// Finds every group of two or more chats with the same set of participants. Malformed chats are in none. Reads only.
    ///
    /// Refused if one text stands for two people: their chats would be one group. And if one stands for two chats: what names
    /// one of them would be taken for what names the other one.
    pub(crate) async fn duplicates(&self, control: &dyn Control) -> Result<Duplicates, MigrateError> {
        let twofold = twofold_ids(&self.database, &self.codec).await?;
        if !twofold.is_empty() {
            return Err(MigrateError::Refused(twofold_in_words(&twofold)));
        }
        let (mut sets, mut forms) = (Spill::new(), Forms::default());
        let mut pass = Pass::over_chats(&self.database, &self.codec).await?;
        while pass.advance().await? {
            let document = pass.document();
            forms.note(&self.codec, document);
            if let Ok(set) = self.codec.identity(document) {
                let item = [&pass.done().to_le_bytes()[..], &id_of(document)].concat();
                sets.add(text(&set).as_bytes(), &item).map_err(|error| spill_failed(&error))?;
            }
            if let Some((done, total)) = pass.milestone() {
                control.advance("survey", done, total);
                control.pace(0).await?;
            }
        }
        control.advance("survey", pass.done(), pass.done());
        let twofold = forms.twofold(&self.database, &self.codec).await?;
        if !twofold.is_empty() {
            return Err(MigrateError::Refused(in_words(&twofold)));
        }
        Ok(Duplicates::among(&sets.finish(), pass.done()).map_err(|error| spill_failed(&error))?)
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

/// The same.
pub(crate) fn bytes_of(value: &Bson) -> Vec<u8> {
    RawBson::try_from(value.clone()).map(|value| packed(value.as_raw_bson_ref())).unwrap_or_default()
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
