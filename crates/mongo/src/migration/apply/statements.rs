//! A plan as what the journal says and what the server is told. Nothing is decided here.

use std::collections::{BTreeMap, HashMap};

use mongodb::bson::{Bson, Document, RawArrayBuf, RawDocumentBuf, doc, oid::ObjectId, raw::cstr, rawdoc};
use onechat_core::StoreError;
use onechat_migrate::{Group, GroupPlan, ReferenceRows};

use super::{
    super::{
        Lease, RunId,
        commands::chunks,
        journal::{Entry, EntryState, Item, MovedField, paged},
        survey::{bytes_of, id_of},
    },
    read::ReadGroup,
};
use crate::collections::ALIASES;

/// How many ids one statement names.
const IDS: usize = 1000;
/// How many documents are removed by one statement, and how large they may be.
const TOGETHER: usize = 20;
const TOGETHER_BYTES: usize = 64 * 1024;
/// A document that is larger is compared by its size alone: the command that names it whole would be too large.
const COMPARED_BYTES: usize = 4 << 20;

/// A merge that is to be carried out: an entry of the journal with its items.
pub(super) struct Merge {
    pub(super) entry: Entry,
    pub(super) items: Vec<Item>,
    /// What it was planned from, but for rows, where it may have to be planned anew. Unknown of one that was cut off.
    pub(super) seen: Option<Group>,
}

/// Makes an entry of a plan.
pub(super) fn merge(
    lease: &Lease,
    run: &RunId,
    state: EntryState,
    plan: GroupPlan,
    read: ReadGroup,
) -> Result<Merge, StoreError> {
    let seen = (state == EntryState::Applying).then(|| without_rows(&read.group));
    let mut documents: HashMap<Vec<u8>, RawDocumentBuf> =
        read.group.chats.into_iter().map(|chat| (id_of(&chat.document), chat.document)).collect();
    let mut take = |id: &Bson| {
        let found = documents.remove(&bytes_of(id));
        found.ok_or_else(|| StoreError::Corrupt(format!("the plan names a chat {id} that was not read")))
    };
    let mut items = vec![Item::Survivor {
        id: plan.survivor.clone(),
        before: take(&plan.survivor)?,
        after: plan.survivor_after,
    }];
    for loser in &plan.losers {
        items.push(Item::Loser { id: loser.id.clone(), before: take(&loser.id)? });
    }
    let edited: Vec<(String, Vec<u8>)> =
        plan.edits.iter().map(|edit| (edit.collection.clone(), bytes_of(&edit.id))).collect();
    let (mut moved, edits) = (0, plan.edits.len());
    for one in &plan.moves {
        let ids =
            read.movable.iter().filter(|movable| movable.from == one.from && movable.field == one.field);
        let ids = ids.filter(|movable| movable.collection == one.collection).flat_map(|movable| &movable.ids);
        let ids = ids.filter(|id| !edited.contains(&(one.collection.clone(), bytes_of(id))));
        let ids: Vec<Bson> = ids.cloned().collect();
        moved += ids.len();
        for ids in ids.chunks(IDS) {
            items.push(Item::Moved {
                collection: one.collection.clone(),
                field: one.field.clone(),
                from: one.from.clone(),
                to: one.to.clone(),
                ids: ids.to_vec(),
            });
        }
    }
    items.extend(plan.edits.into_iter().map(|edit| Item::Edit {
        collection: edit.collection,
        id: edit.id,
        before: edit.before,
        after: edit.after,
        reason: edit.reason,
    }));
    let conflicts = plan.conflicts.len();
    items.extend(plan.conflicts.into_iter().map(Item::Conflict));
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let entry = Entry {
        id: ObjectId::new(),
        run: run.clone(),
        order: lease.next_order(),
        state,
        key: plan.key,
        participants: plan.participants,
        survivor: plan.survivor,
        survivor_public_id: plan.survivor_public_id,
        losers: plan.losers.into_iter().map(|loser| (loser.id, loser.public_id)).collect(),
        moves: plan
            .moves
            .into_iter()
            .map(|one| MovedField {
                collection: one.collection,
                field: one.field,
                from: one.from,
                to: one.to,
            })
            .collect(),
        moved: number(moved),
        edited: number(edits),
        conflicts: number(conflicts),
    };
    Ok(Merge { entry, items, seen })
}

fn without_rows(group: &Group) -> Group {
    let messages = group
        .references
        .iter()
        .map(|rows| ReferenceRows { messages: rows.messages.clone(), ..ReferenceRows::default() });
    Group {
        identity: group.identity.clone(),
        key: group.key.clone(),
        chats: group.chats.clone(),
        references: messages.collect(),
        listed: group.listed.clone(),
    }
}

/// The documents of the journal.
pub(super) fn journal(
    chats: &str,
    lease: &Lease,
    merges: &[Merge],
) -> Result<Vec<RawDocumentBuf>, StoreError> {
    let mut documents = Vec::with_capacity(merges.len());
    for merge in merges {
        let (first, rest) = paged(merge.entry.id, merge.entry.run.0, &merge.items)?;
        // The header last: without a transaction, an entry that is there is whole.
        documents.extend(rest);
        documents.push(merge.entry.to_document(chats, lease.now(), first)?);
    }
    Ok(documents)
}

/// The old ids, each standing for the survivor.
pub(super) fn aliases(merges: &[Merge]) -> Result<Vec<RawDocumentBuf>, StoreError> {
    let updates = named(merges).map(|(public, fields)| {
        raw(&doc! { "q": { "_id": public }, "u": { "$set": fields }, "upsert": true })
    });
    updates.collect()
}

/// The same as documents, which takes less time while there are none of them.
pub(super) fn new_aliases(merges: &[Merge]) -> Result<Vec<RawDocumentBuf>, StoreError> {
    let documents = named(merges).map(|(public, fields)| {
        let mut document = doc! { "_id": public };
        document.extend(fields);
        raw(&document)
    });
    documents.collect()
}

fn named(merges: &[Merge]) -> impl Iterator<Item = (&String, Document)> {
    let entries = merges.iter().map(|merge| &merge.entry);
    entries.flat_map(|entry| {
        let losers = entry.losers.iter().filter(|(_, public)| *public != entry.survivor_public_id);
        losers.map(|(id, public)| {
            // In the order in which an update sets them.
            let fields = doc! {
                "chat": &entry.survivor_public_id, "entry": entry.id, "from": id.clone(),
                "run": entry.run.0, "to": entry.survivor.clone(),
            };
            (public, fields)
        })
    })
}

/// Statements by collection.
pub(super) type ByCollection = BTreeMap<String, Vec<RawDocumentBuf>>;

/// Removes rows for which others stand.
pub(super) fn removals(merges: &[Merge], compared: bool) -> Result<ByCollection, StoreError> {
    let mut removed = BTreeMap::<String, Vec<_>>::new();
    for item in merges.iter().flat_map(|merge| &merge.items) {
        if let Item::Edit { collection, id, before, after: None, .. } = item {
            removed.entry(collection.clone()).or_default().push((id, before));
        }
    }
    let by_collection =
        removed.into_iter().map(|(collection, rows)| Ok((collection, deletes(rows, compared)?)));
    by_collection.collect()
}

/// Points rows to the survivor, in the order of what they named, as an index on that has them.
pub(super) fn moves(merges: &[Merge]) -> Result<ByCollection, StoreError> {
    let mut moves = BTreeMap::<String, Vec<_>>::new();
    for item in merges.iter().flat_map(|merge| &merge.items) {
        if let Item::Moved { collection, field, from, to, ids } = item {
            let query = doc! { "_id": { "$in": ids.clone() }, field: from.clone() };
            let mut statement = doc! { "q": query, "u": { "$set": { field: to.clone() } }, "multi": true };
            statement.extend(by_id(ids));
            moves.entry(collection.clone()).or_default().push((bytes_of(from), raw(&statement)?));
        }
    }
    let in_order = moves.into_iter().map(|(collection, mut moves)| {
        moves.sort_by(|(one, _), (other, _)| one.cmp(other));
        (collection, moves.into_iter().map(|(_, statement)| statement).collect())
    });
    Ok(in_order.collect())
}

/// Changes rows one by one, after what is pointed.
pub(super) fn edits(merges: &[Merge], compared: bool) -> Result<ByCollection, StoreError> {
    let mut edits = ByCollection::new();
    for item in merges.iter().flat_map(|merge| &merge.items) {
        if let Item::Edit { collection, id, before, after: Some(after), .. } = item {
            // An error costs the server less than a condition: what is looked for by `_id` alone is not planned.
            let statement = if compared {
                replace_or_fail(id, before, after)?
            } else {
                replace(id, before, after, false)?
            };
            edits.entry(collection.clone()).or_default().push(statement);
        }
    }
    Ok(edits)
}

/// Text is compared as it is. The index of ids is named, or the server weighs all indexes for each statement; but not for
/// ids that are text: where a collection compares text by rules of its own, that index is in their order, and of no use.
fn by_id(ids: &[Bson]) -> Document {
    let mut options = doc! { "collation": { "locale": "simple" } };
    if ids.iter().all(|id| matches!(id, Bson::ObjectId(_) | Bson::Int32(_) | Bson::Int64(_))) {
        options.insert("hint", doc! { "_id": 1 });
    }
    options
}

/// Ends the losers.
pub(super) fn endings(merges: &[Merge], compared: bool) -> Result<Vec<RawDocumentBuf>, StoreError> {
    let losers = merges.iter().flat_map(|merge| &merge.items).filter_map(|item| match item {
        Item::Loser { id, before } => Some((id, before)),
        _ => None,
    });
    deletes(losers.collect(), compared)
}

/// Removes documents in the order of their `_id`s, if `compared` only those that are what they were when they were read.
fn deletes(
    mut documents: Vec<(&Bson, &RawDocumentBuf)>,
    compared: bool,
) -> Result<Vec<RawDocumentBuf>, StoreError> {
    documents.sort_by_cached_key(|(id, _)| bytes_of(id));
    let (small, others): (Vec<_>, Vec<_>) =
        documents.into_iter().partition(|(_, before)| compared && before.as_bytes().len() < TOGETHER_BYTES);
    let mut deletes: Vec<RawDocumentBuf> =
        others.into_iter().map(|(id, before)| delete(id, before, compared)).collect::<Result<_, _>>()?;
    // A condition is planned anew for each statement, which takes the server longer than to look through a few documents.
    for together in small.chunks(TOGETHER) {
        let ids: Vec<Bson> = together.iter().map(|(id, _)| (*id).clone()).collect();
        let documents: RawArrayBuf = together.iter().map(|(_, before)| (*before).clone()).collect();
        let mut query = raw(&doc! { "_id": { "$in": ids } })?;
        query.append(cstr!("$expr"), rawdoc! { "$in": ["$$ROOT", { "$literal": documents }] });
        let mut statement = rawdoc! { "q": query, "limit": 0 };
        statement.append(cstr!("collation"), rawdoc! { "locale": "simple" });
        deletes.push(statement);
    }
    Ok(deletes)
}

/// Gives the survivors what they are to be, in a transaction that has just read them.
pub(super) fn survivors(merges: &[Merge]) -> Result<Vec<RawDocumentBuf>, StoreError> {
    let survivors = merges.iter().flat_map(|merge| &merge.items).filter_map(|item| match item {
        Item::Survivor { id, before, after: Some(after) } => Some((id, before, after)),
        _ => None,
    });
    survivors.map(|(id, before, after)| replace(id, before, after, false)).collect()
}

/// Replaces a document, if `compared` only while it is what it was when it was read.
pub(in crate::migration) fn replace(
    id: &Bson,
    before: &RawDocumentBuf,
    after: &RawDocumentBuf,
    compared: bool,
) -> Result<RawDocumentBuf, StoreError> {
    let mut statement = rawdoc! { "q": query(id, before, compared)?, "u": after.clone() };
    statement.append(cstr!("collation"), rawdoc! { "locale": "simple" });
    Ok(statement)
}

/// Removes a document, if `compared` only while it is what it was when it was read.
pub(in crate::migration) fn delete(
    id: &Bson,
    before: &RawDocumentBuf,
    compared: bool,
) -> Result<RawDocumentBuf, StoreError> {
    let mut statement = rawdoc! { "q": query(id, before, compared)?, "limit": 1 };
    statement.append(cstr!("collation"), rawdoc! { "locale": "simple" });
    Ok(statement)
}

/// Replaces a document that is what it was when it was read. One that is not makes the statement an error, with the code
/// [`code::CONVERSION_FAILURE`]: so one reply tells of many statements which of them came too late.
pub(super) fn replace_or_fail(
    id: &Bson,
    before: &RawDocumentBuf,
    after: &RawDocumentBuf,
) -> Result<RawDocumentBuf, StoreError> {
    // The name of a type is no number.
    let fail = rawdoc! { "$toInt": { "$type": "$_id" } };
    let replace =
        rawdoc! { "$replaceWith": { "$cond": [is_as(before), { "$literal": after.clone() }, fail] } };
    let mut statement = rawdoc! { "q": raw(&doc! { "_id": id.clone() })?, "u": [replace] };
    statement.append(cstr!("collation"), rawdoc! { "locale": "simple" });
    Ok(statement)
}

fn query(id: &Bson, before: &RawDocumentBuf, compared: bool) -> Result<RawDocumentBuf, StoreError> {
    let mut query = raw(&doc! { "_id": id.clone() })?;
    if compared {
        query.append(cstr!("$expr"), is_as(before));
    }
    Ok(query)
}

/// Whether a document is what it was.
fn is_as(before: &RawDocumentBuf) -> RawDocumentBuf {
    let bytes = before.as_bytes().len();
    if bytes > COMPARED_BYTES {
        rawdoc! { "$eq": [{ "$bsonSize": "$$ROOT" }, i64::try_from(bytes).unwrap_or(i64::MAX)] }
    } else {
        rawdoc! { "$eq": ["$$ROOT", { "$literal": before.clone() }] }
    }
}

/// The commands that carry statements out, with how many documents there are in each.
pub(super) fn commands(
    verb: &str,
    collection: &str,
    statements: Vec<RawDocumentBuf>,
) -> Vec<(RawDocumentBuf, usize)> {
    let list = match verb {
        "insert" => cstr!("documents"),
        "delete" => cstr!("deletes"),
        _ => cstr!("updates"),
    };
    let commands = chunks(statements, |statement| statement.as_bytes()).into_iter().map(|chunk| {
        let count = chunk.len();
        let array: RawArrayBuf = chunk.into_iter().collect();
        let mut command = RawDocumentBuf::new();
        command.append(
            match verb {
                "insert" => cstr!("insert"),
                "delete" => cstr!("delete"),
                _ => cstr!("update"),
            },
            collection,
        );
        command.append(list, array);
        (command, count)
    });
    commands.collect()
}

/// The name of the collection of aliases, for the commands here.
pub(super) const ALIAS_COLLECTION: &str = ALIASES;

pub(super) fn raw(document: &Document) -> Result<RawDocumentBuf, StoreError> {
    RawDocumentBuf::try_from(document).map_err(|error| StoreError::Corrupt(error.to_string()))
}
