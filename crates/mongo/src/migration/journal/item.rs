//! What an entry says was changed, as documents and back. Images go through as bytes: an undo gives back every one.

use mongodb::bson::{
    Binary, Bson, Document, RawArrayBuf, RawBson, RawBsonRef, RawDocument, RawDocumentBuf, cstr, doc,
    oid::ObjectId, rawdoc, spec::BinarySubtype,
};
use onechat_core::StoreError;
use onechat_migrate::Conflict;

use crate::codec::field;

/// Something that an entry changed, or had to drop.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::migration) enum Item {
    /// The chat that lives on; without an image of afterwards it stayed as it was.
    Survivor { id: Bson, before: RawDocumentBuf, after: Option<RawDocumentBuf> },
    /// A chat that ended.
    Loser { id: Bson, before: RawDocumentBuf },
    /// A row that was changed in its own way; without an image of afterwards it was removed.
    Edit {
        collection: String,
        id: Bson,
        before: RawDocumentBuf,
        after: Option<RawDocumentBuf>,
        reason: String,
    },
    /// Rows whose field was `from` and was made `to`.
    Moved { collection: String, field: String, from: Bson, to: Bson, ids: Vec<Bson> },
    /// A value that could not stay.
    Conflict(Conflict),
}

/// The most bytes of items in one document; the server's limit is 16 MiB.
const PAGE_BYTES: usize = 8 << 20;

/// Items as the server gets them: those that fit into the header, and the documents with the rest.
pub(in crate::migration) fn paged(
    entry: ObjectId,
    run: ObjectId,
    items: &[Item],
) -> Result<(RawArrayBuf, Vec<RawDocumentBuf>), StoreError> {
    let (mut pages, mut parts) = (vec![(RawArrayBuf::new(), 0)], Vec::new());
    for item in items {
        let document = item.to_document()?;
        let bytes = document.as_bytes().len();
        if bytes > PAGE_BYTES {
            parts.extend(in_parts(entry, run, document.as_bytes()));
            continue;
        }
        if pages.last().is_none_or(|(_, size)| size + bytes > PAGE_BYTES) {
            pages.push((RawArrayBuf::new(), 0));
        }
        if let Some((page, size)) = pages.last_mut() {
            page.push(document);
            *size += bytes;
        }
    }
    let mut pages = pages.into_iter().map(|(page, _)| page);
    let first = pages.next().unwrap_or_default();
    let more = pages.map(|items| more(entry, run, items));
    Ok((first, more.chain(parts).collect()))
}

/// Items as documents of their own, for an entry that is there.
pub(super) fn pages(
    entry: ObjectId,
    run: ObjectId,
    items: &[Item],
) -> Result<Vec<RawDocumentBuf>, StoreError> {
    let (first, mut rest) = paged(entry, run, items)?;
    if !first.is_empty() {
        rest.push(more(entry, run, first));
    }
    Ok(rest)
}

fn more(entry: ObjectId, run: ObjectId, items: RawArrayBuf) -> RawDocumentBuf {
    rawdoc! { "_id": ObjectId::new(), "type": "more", "entry": entry, "run": run, "items": items }
}

fn in_parts(entry: ObjectId, run: ObjectId, bytes: &[u8]) -> Vec<RawDocumentBuf> {
    let (item, chunks) = (ObjectId::new(), bytes.chunks(PAGE_BYTES));
    let parts = i32::try_from(chunks.len()).unwrap_or(i32::MAX);
    let part = |(part, bytes): (i32, &[u8])| {
        rawdoc! {
            "_id": ObjectId::new(), "type": "part", "entry": entry, "run": run,
            "item": item, "part": part, "parts": parts, "bytes": image(bytes),
        }
    };
    (0..).zip(chunks).map(part).collect()
}

fn image(bytes: &[u8]) -> RawBson {
    RawBson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() })
}

impl Item {
    fn to_document(&self) -> Result<RawDocumentBuf, StoreError> {
        let mut document = RawDocumentBuf::new();
        let what = match self {
            Self::Survivor { .. } => "survivor",
            Self::Loser { .. } => "loser",
            Self::Edit { .. } => "edit",
            Self::Moved { .. } => "moved",
            Self::Conflict(_) => "conflict",
        };
        document.append(cstr!("what"), what);
        match self {
            Self::Survivor { id, before, after } => {
                document.append(cstr!("id"), raw(id)?);
                document.append(cstr!("before"), image(before.as_bytes()));
                if let Some(after) = after {
                    document.append(cstr!("after"), image(after.as_bytes()));
                }
            }
            Self::Loser { id, before } => {
                document.append(cstr!("id"), raw(id)?);
                document.append(cstr!("before"), image(before.as_bytes()));
            }
            Self::Edit { collection, id, before, after, reason } => {
                document.append(cstr!("collection"), collection.as_str());
                document.append(cstr!("id"), raw(id)?);
                document.append(cstr!("before"), image(before.as_bytes()));
                if let Some(after) = after {
                    document.append(cstr!("after"), image(after.as_bytes()));
                }
                document.append(cstr!("reason"), reason.as_str());
            }
            Self::Moved { collection, field, from, to, ids } => {
                document.append(cstr!("collection"), collection.as_str());
                document.append(cstr!("field"), field.as_str());
                document.append(cstr!("from"), raw(from)?);
                document.append(cstr!("to"), raw(to)?);
                let ids = ids.iter().map(raw).collect::<Result<Vec<_>, _>>()?;
                document.append(cstr!("ids"), ids.into_iter().collect::<RawArrayBuf>());
            }
            Self::Conflict(conflict) => {
                document.append(cstr!("field"), conflict.field.as_str());
                document.append(cstr!("kept"), raw(&conflict.kept)?);
                let mut dropped = RawArrayBuf::new();
                for (id, value) in &conflict.dropped {
                    dropped.push(rawdoc! { "id": raw(id)?, "value": raw(value)? });
                }
                document.append(cstr!("dropped"), dropped);
            }
        }
        Ok(document)
    }

    /// For people: images as the documents that they are.
    pub(super) fn decoded(&self) -> Document {
        let of = |image: &RawDocumentBuf| Document::try_from(image.as_ref()).unwrap_or_default();
        let images = |before: &RawDocumentBuf, after: &Option<RawDocumentBuf>| {
            let mut images = doc! { "before": of(before) };
            if let Some(after) = after {
                images.insert("after", of(after));
            }
            images
        };
        let mut document = Document::new();
        match self {
            Self::Survivor { id, before, after } => {
                document.extend(doc! { "what": "survivor", "id": id.clone() });
                document.extend(images(before, after));
            }
            Self::Loser { id, before } => {
                document.extend(doc! { "what": "loser", "id": id.clone() });
                document.extend(images(before, &None));
            }
            Self::Edit { collection, id, before, after, reason } => {
                document.extend(doc! { "what": "edit", "collection": collection, "id": id.clone() });
                document.extend(images(before, after));
                document.insert("reason", reason);
            }
            other => {
                let plain =
                    other.to_document().ok().and_then(|plain| Document::try_from(plain.as_ref()).ok());
                document.extend(plain.unwrap_or_default());
            }
        }
        document
    }

    pub(super) fn from_document(document: &RawDocument) -> Result<Self, StoreError> {
        let text = |name: &str| {
            field(document, name).and_then(RawBsonRef::as_str).map(str::to_owned).ok_or_else(|| damaged(name))
        };
        let value = |name: &str| {
            field(document, name).and_then(|value| Bson::try_from(value).ok()).ok_or_else(|| damaged(name))
        };
        let image = |name: &str| match field(document, name) {
            None => Ok(None),
            Some(RawBsonRef::Binary(image)) => {
                RawDocumentBuf::from_bytes(image.bytes.to_vec()).map(Some).map_err(|_| damaged(name))
            }
            Some(_) => Err(damaged(name)),
        };
        let before = || image("before")?.ok_or_else(|| damaged("before"));
        Ok(match text("what")?.as_str() {
            "survivor" => Self::Survivor { id: value("id")?, before: before()?, after: image("after")? },
            "loser" => Self::Loser { id: value("id")?, before: before()? },
            "edit" => Self::Edit {
                collection: text("collection")?,
                id: value("id")?,
                before: before()?,
                after: image("after")?,
                reason: text("reason")?,
            },
            "moved" => Self::Moved {
                collection: text("collection")?,
                field: text("field")?,
                from: value("from")?,
                to: value("to")?,
                ids: value("ids")?.as_array().cloned().ok_or_else(|| damaged("ids"))?,
            },
            "conflict" => Self::Conflict(Conflict {
                field: text("field")?,
                kept: value("kept")?,
                dropped: value("dropped")?
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Bson::as_document)
                    .map(dropped)
                    .collect(),
            }),
            other => return Err(damaged(other)),
        })
    }
}

fn dropped(document: &Document) -> (Bson, Bson) {
    let value = |name: &str| document.get(name).cloned().unwrap_or(Bson::Null);
    (value("id"), value("value"))
}

/// A value for a command.
pub(in crate::migration) fn raw(value: &Bson) -> Result<RawBson, StoreError> {
    RawBson::try_from(value.clone()).map_err(|error| StoreError::Corrupt(error.to_string()))
}

pub(super) fn damaged(what: &str) -> StoreError {
    StoreError::Corrupt(format!(
        "the journal has something in {what:?} that a newer onechat may have written"
    ))
}
