//! Finds the ids of chats at a path of a row, and points them to the survivor. A path may lead through sub-documents
//! and arrays, and end in an array of ids.

use bson::{Bson, RawBson, RawBsonRef, RawDocument, RawDocumentBuf};

use super::{ids::Identities, record::Notes};
use crate::{
    Blocked, Conflict,
    fields::{Fields, array, bson_of, elements, same},
};

/// The chats of the group that a value names at the rest of a path, in order of appearance.
pub(super) fn named(ids: &Identities, value: RawBsonRef<'_>, path: &[&str]) -> Vec<usize> {
    let mut chats = Vec::new();
    collect(ids, value, path, &mut chats);
    chats
}

fn collect(ids: &Identities, value: RawBsonRef<'_>, path: &[&str], chats: &mut Vec<usize>) {
    match (value, path) {
        (RawBsonRef::Array(elements), _) => {
            for element in elements.into_iter().flatten() {
                collect(ids, element, path, chats);
            }
        }
        (RawBsonRef::Document(document), [first, rest @ ..]) => {
            if let Ok(Some(value)) = document.get(first) {
                collect(ids, value, rest, chats);
            }
        }
        (value, []) => chats.extend(ids.named(value)),
        _ => {}
    }
}

/// Points the ids of one row to the survivor.
pub(super) struct Pointing<'a> {
    pub(super) ids: &'a Identities,
    /// The `_id` of the row.
    pub(super) row: &'a Bson,
    /// How conflicts name the path.
    pub(super) report: String,
}

impl Pointing<'_> {
    /// The row with every loser replaced at the path; nothing if it names none.
    pub(super) fn row(
        &self,
        row: &RawDocument,
        path: &str,
        notes: &mut Notes,
    ) -> Result<Option<RawDocumentBuf>, Blocked> {
        let path: Vec<&str> = path.split('.').collect();
        Ok(match self.value(RawBsonRef::Document(row), &path, notes)? {
            Some(RawBson::Document(document)) => Some(document),
            _ => None,
        })
    }

    fn value(
        &self,
        value: RawBsonRef<'_>,
        path: &[&str],
        notes: &mut Notes,
    ) -> Result<Option<RawBson>, Blocked> {
        match (value, path) {
            (RawBsonRef::Array(_), []) => self.ids_of_array(value),
            (RawBsonRef::Array(_), _) => self.sub_documents(value, path, notes),
            (RawBsonRef::Document(document), [first, rest @ ..]) => {
                let Ok(Some(inner)) = document.get(first) else { return Ok(None) };
                let Some(inner) = self.value(inner, rest, notes)? else { return Ok(None) };
                let mut fields = Fields::read(document).map_err(|error| self.unreadable(&error))?;
                fields.set(first, inner);
                Ok(Some(RawBson::Document(fields.build())))
            }
            (value, []) => Ok(self.ids.pointed(value)),
            _ => Ok(None),
        }
    }

    /// Each loser becomes the survivor, which then stands there once.
    fn ids_of_array(&self, value: RawBsonRef<'_>) -> Result<Option<RawBson>, Blocked> {
        let old = self.elements(value)?;
        let chats: Vec<Option<usize>> =
            old.iter().map(|element| self.ids.named(element.as_raw_bson_ref())).collect();
        if !chats.iter().flatten().any(|chat| *chat > 0) {
            return Ok(None);
        }
        let mut new = Vec::with_capacity(old.len());
        let mut has_survivor = false;
        for (element, chat) in old.into_iter().zip(chats) {
            if chat.is_none() {
                new.push(element);
            } else if !has_survivor {
                has_survivor = true;
                new.push(self.ids.pointed(element.as_raw_bson_ref()).unwrap_or(element));
            }
        }
        Ok(Some(array(&new)))
    }

    /// One element for each chat before, so one for the survivor afterwards, unless a chat had several before.
    fn sub_documents(
        &self,
        value: RawBsonRef<'_>,
        path: &[&str],
        notes: &mut Notes,
    ) -> Result<Option<RawBson>, Blocked> {
        let old = self.elements(value)?;
        let chats: Vec<Option<usize>> = old
            .iter()
            .map(|element| match named(self.ids, element.as_raw_bson_ref(), path).as_slice() {
                [chat] => Some(*chat),
                _ => None,
            })
            .collect();
        let holders: Vec<usize> = (0..old.len()).filter(|index| chats[*index].is_some()).collect();
        let kept = holders.iter().copied().min_by_key(|index| chats[*index]);
        let is_one_each = !holders
            .iter()
            .any(|index| holders.iter().any(|other| index != other && chats[*index] == chats[*other]));
        let mut new = Vec::with_capacity(old.len());
        let mut is_changed = false;
        for (index, element) in old.iter().enumerate() {
            let pointed = self.value(element.as_raw_bson_ref(), path, notes)?;
            if let Some(kept) = kept
                && is_one_each
                && chats[index].is_some()
                && index != kept
            {
                is_changed = true;
                self.compare(&old[kept], element, path, notes)?;
                continue;
            }
            is_changed |= pointed.is_some();
            new.push(pointed.unwrap_or_else(|| element.clone()));
        }
        Ok(is_changed.then(|| array(&new)))
    }

    /// Notes what is lost with `dropped`.
    fn compare(
        &self,
        kept: &RawBson,
        dropped: &RawBson,
        path: &[&str],
        notes: &mut Notes,
    ) -> Result<(), Blocked> {
        let one = self.apart_from_id(kept.as_raw_bson_ref(), path)?;
        let other = self.apart_from_id(dropped.as_raw_bson_ref(), path)?;
        if !same(one.as_raw_bson_ref(), other.as_raw_bson_ref()) {
            notes.conflicts.push(Conflict {
                field: self.report.clone(),
                kept: bson_of(kept.as_raw_bson_ref()),
                dropped: vec![(bson_of(dropped.as_raw_bson_ref()), self.row.clone())],
            });
        }
        Ok(())
    }

    fn apart_from_id(&self, value: RawBsonRef<'_>, path: &[&str]) -> Result<RawBson, Blocked> {
        match value {
            RawBsonRef::Document(document) => {
                let mut fields = Fields::read(document).map_err(|error| self.unreadable(&error))?;
                fields.remove("_id");
                strip(&mut fields, path).map_err(|error| self.unreadable(&error))?;
                Ok(RawBson::Document(fields.build()))
            }
            other => Ok(other.into()),
        }
    }

    fn elements(&self, value: RawBsonRef<'_>) -> Result<Vec<RawBson>, Blocked> {
        Ok(elements(value).map_err(|error| self.unreadable(&error))?.unwrap_or_default())
    }

    fn unreadable(&self, error: &bson::error::Error) -> Blocked {
        Blocked::unreadable(self.row, error)
    }
}

/// Takes away what stands at a path through sub-documents.
pub(super) fn strip(fields: &mut Fields, path: &[&str]) -> Result<(), bson::error::Error> {
    match path {
        [] => {}
        [name] => fields.remove(name),
        [first, rest @ ..] => {
            if let Some(RawBson::Document(inner)) = fields.get(first) {
                let mut inner = Fields::read(inner)?;
                strip(&mut inner, rest)?;
                let inner = RawBson::Document(inner.build());
                fields.set(first, inner);
            }
        }
    }
    Ok(())
}
