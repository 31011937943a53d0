//! Reads groups with what refers to them, a batch of groups with a few finds.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::TryStreamExt as _;
use mongodb::{
    ClientSession,
    bson::{Bson, Document, RawBsonRef, RawDocument, RawDocumentBuf, doc},
    error::Error,
};
use onechat_core::ParticipantsKey;
use onechat_migrate::{
    Activity, ChatRow, EmbeddedArray, Group, MergeRules, MessageFieldsOfRows, Reference, ReferenceRows,
    time_of_row,
};

use super::{
    super::{
        MongoMigrator,
        commands::ANSWER,
        survey::{bytes_of, id_of, packed},
        watch::values_at,
    },
    Wanted,
};
use crate::codec::{Codec, field, text_of};

/// How many bytes of chats are read at once; more is cut into smaller batches.
const BYTES: usize = 16 << 20;
/// How many ids of rows one query names.
const LISTED: usize = 50_000;

/// Reads on the primary, in a transaction if there is a session.
pub(super) struct Reader<'a> {
    pub(super) migrator: &'a MongoMigrator,
    pub(super) rules: &'a MergeRules,
    pub(super) session: Option<&'a mut ClientSession>,
    /// How many rows of a reference are read at most; beyond, the answer says that there are more.
    pub(super) most_rows: usize,
}

/// What was read.
#[derive(Default)]
pub(super) struct Read {
    pub(super) groups: Vec<ReadGroup>,
    /// There is more than should be handled at once: nothing was read to its end.
    pub(super) is_too_much: bool,
}

/// A group, and the rows that would be moved, by reference and stored value.
pub(in crate::migration) struct ReadGroup {
    pub(super) group: Group,
    pub(super) wanted: Wanted,
    pub(super) movable: Vec<Movable>,
}

/// Rows of a reference that have this value.
pub(super) struct Movable {
    pub(super) collection: String,
    pub(super) field: String,
    pub(super) from: Bson,
    pub(super) ids: Vec<Bson>,
}

impl Reader<'_> {
    /// The groups as they are now; those of fewer than two chats are left out.
    pub(super) async fn groups(&mut self, wanted: &[Wanted]) -> Result<Read, Error> {
        let chats = self.migrator.chats_name().to_owned();
        let ids: Vec<Bson> = wanted.iter().flat_map(|wanted| wanted.ids.iter().cloned()).collect();
        // One that has left the filter since it was found is nobody's duplicate any more.
        let these = self.migrator.codec.inside(doc! { "_id": { "$in": ids } });
        let found = self.find(&chats, these, None, usize::MAX).await?;
        if wanted.len() > 1 && found.iter().map(|chat| chat.as_bytes().len()).sum::<usize>() > BYTES {
            return Ok(Read { groups: Vec::new(), is_too_much: true });
        }
        let mut by_id: HashMap<Vec<u8>, RawDocumentBuf> =
            found.into_iter().map(|chat| (id_of(&chat), chat)).collect();
        let mut read = Read::default();
        for wanted in wanted {
            let documents = wanted.ids.iter().filter_map(|id| by_id.remove(&bytes_of(id)));
            // Somebody may have changed the participants since they were read.
            let is_theirs = |chat: &RawDocumentBuf| {
                self.migrator.codec.identity(chat).is_ok_and(|identity| identity == wanted.identity)
            };
            let chats: Vec<ChatRow> = documents
                .filter(is_theirs)
                .map(|document| ChatRow { document, activity: Activity::default() })
                .collect();
            if chats.len() > 1 {
                let identity = wanted.identity.clone();
                let key = ParticipantsKey::new(&identity, self.migrator.key_format);
                let group = Group { identity, key, chats, references: Vec::new(), listed: Vec::new() };
                read.groups.push(ReadGroup { group, wanted: wanted.clone(), movable: Vec::new() });
            }
        }
        let owners = owners(self.migrator, &read.groups);
        for reference in &self.rules.references {
            if self.reference(reference, &owners, &mut read.groups).await? {
                return Ok(Read { groups: Vec::new(), is_too_much: true });
            }
        }
        if self.listed(&mut read.groups).await? {
            return Ok(Read { groups: Vec::new(), is_too_much: true });
        }
        Ok(read)
    }

    /// The rows that arrays of ids in the chats name; whether there are too many.
    async fn listed(&mut self, groups: &mut [ReadGroup]) -> Result<bool, Error> {
        let rules = self.rules;
        for array in &rules.embedded {
            let Some(collection) = &array.ids_of else { continue };
            let mut wanted: HashMap<Vec<u8>, HashSet<usize>> = HashMap::new();
            let mut forms = Vec::new();
            for (group, read) in groups.iter().enumerate() {
                for id in read.group.chats.iter().flat_map(|chat| listed_ids(&chat.document, array)) {
                    let groups = wanted.entry(self.migrator.codec.same_name_of(&id)).or_default();
                    if groups.is_empty() {
                        forms.extend(self.migrator.codec.names(&id));
                    }
                    groups.insert(group);
                }
            }
            if forms.len() >= self.most_rows {
                return Ok(true);
            }
            let mut projection = doc! { "_id": 1 };
            let fields = rules.message_fields();
            let of_messages = fields.iter().flat_map(|fields| [&fields.sender, &fields.text]);
            for name in array.time.iter().chain(of_messages) {
                projection.insert(name, 1);
            }
            for forms in forms.chunks(LISTED) {
                let filter = doc! { "_id": { "$in": forms } };
                for row in self.find(collection, filter, Some(projection.clone()), usize::MAX).await? {
                    let id = field(&row, "_id").map(|id| self.migrator.codec.same_name(id));
                    for group in id.and_then(|id| wanted.get(&id)).into_iter().flatten() {
                        groups[*group].group.listed.push(row.clone());
                    }
                }
            }
        }
        Ok(false)
    }

    /// The rows of one reference; whether there are too many.
    async fn reference(
        &mut self,
        reference: &Reference,
        owners: &Owners,
        groups: &mut [ReadGroup],
    ) -> Result<bool, Error> {
        let whole = reference.state.is_some() || reference.sequence.is_some() || !reference.unique.is_empty();
        let (needs_messages, has_newest) = (self.rules.needs_messages(), self.rules.has_newest());
        let projection = (!whole).then(|| projection(reference, has_newest));
        let filter = doc! { &reference.field: { "$in": owners.forms().to_vec() } };
        let rows = self.find(&reference.collection, filter, projection, self.most_rows).await?;
        if rows.len() >= self.most_rows {
            return Ok(true);
        }
        let mut sorted: Vec<Sorted> = groups.iter().map(|_| Sorted::default()).collect();
        let mut others: Vec<Bson> = Vec::new();
        for row in &rows {
            match scalar(row, &reference.field) {
                Some(value) => {
                    if let Some((group, chat)) = owners.of(&self.migrator.codec, value) {
                        let fields = reference.messages.as_ref();
                        sorted[group].scalar(row, value, chat, fields, whole, needs_messages);
                    }
                }
                None => others.extend(field(row, "_id").and_then(|id| Bson::try_from(id).ok())),
            }
        }
        for row in self.by_ids(&reference.collection, &others).await? {
            for group in owners.all_of(&self.migrator.codec, &row, &reference.field) {
                sorted[group].rows.push(row.clone());
            }
        }
        if reference.messages.is_some() {
            self.repeated(reference, owners, &mut sorted).await?;
        }
        for (group, sorted) in groups.iter_mut().zip(sorted) {
            sorted.into_group(reference, group);
        }
        Ok(false)
    }

    /// Messages whose sender's id occurs in more than one chat of a group, whole: planning has to look at them.
    async fn repeated(
        &mut self,
        reference: &Reference,
        owners: &Owners,
        sorted: &mut [Sorted],
    ) -> Result<(), Error> {
        let mut wanted: Vec<Bson> = Vec::new();
        for sorted in sorted.iter() {
            for ids in sorted.sent.values().filter(|sent| sent.chats.len() > 1).map(|sent| &sent.ids) {
                wanted.extend(ids.iter().cloned());
            }
        }
        for row in self.by_ids(&reference.collection, &wanted).await? {
            let is_new = |sorted: &Sorted| sorted.rows.iter().all(|known| id_of(known) != id_of(&row));
            let named = scalar(&row, &reference.field);
            if let Some((group, _)) = named.and_then(|value| owners.of(&self.migrator.codec, value)) {
                // With other unique indexes all rows are there already.
                if is_new(&sorted[group]) {
                    sorted[group].rows.push(row);
                }
            }
        }
        Ok(())
    }

    async fn by_ids(&mut self, collection: &str, ids: &[Bson]) -> Result<Vec<RawDocumentBuf>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        self.find(collection, doc! { "_id": { "$in": ids } }, None, usize::MAX).await
    }

    /// Ids and strings are compared as they are, whatever collation the collection has.
    async fn find(
        &mut self,
        collection: &str,
        filter: Document,
        projection: Option<Document>,
        most: usize,
    ) -> Result<Vec<RawDocumentBuf>, Error> {
        let collection = self.migrator.database.collection::<RawDocumentBuf>(collection);
        let mut find = collection.find(filter).collation(crate::index::simple()).batch_size(ANSWER);
        if let Some(projection) = projection {
            find = find.projection(projection);
        }
        if most < usize::MAX {
            find = find.limit(i64::try_from(most).unwrap_or(i64::MAX));
        }
        match self.session.as_deref_mut() {
            Some(session) => {
                let mut cursor = find.session(&mut *session).await?;
                cursor.stream(session).try_collect().await
            }
            None => find.await?.try_collect().await,
        }
    }
}

/// The ids in an array of ids of rows.
fn listed_ids(chat: &RawDocument, array: &EmbeddedArray) -> Vec<Bson> {
    let Some(RawBsonRef::Array(elements)) = field(chat, &array.field) else { return Vec::new() };
    let ids = elements.into_iter().flatten().filter_map(|element| {
        let id = match &array.id {
            Some(path) => scalar(element.as_document()?, path)?,
            None => element,
        };
        Bson::try_from(id).ok()
    });
    ids.collect()
}

/// What a plan needs of rows that are only pointed elsewhere.
fn projection(reference: &Reference, has_newest: bool) -> Document {
    let mut projection = doc! { &reference.field: 1 };
    if let Some(fields) = &reference.messages {
        for name in [&fields.sender, &fields.client_message_id, &fields.created_at] {
            projection.insert(name, 1);
        }
        if has_newest {
            projection.insert(&fields.text, 1);
        }
    }
    projection
}

/// A single value at a path through sub-documents; nothing if an array is on the way.
pub(in crate::migration) fn scalar<'a>(row: &'a RawDocument, path: &str) -> Option<RawBsonRef<'a>> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    match (field(row, first)?, rest) {
        (RawBsonRef::Document(inner), Some(rest)) => scalar(inner, rest),
        (RawBsonRef::Array(_), _) | (_, Some(_)) => None,
        (value, None) => Some(value),
    }
}

/// Which chat of which group a value names, and every value that names one.
struct Owners(HashMap<Vec<u8>, (usize, usize)>, Vec<Bson>);

fn owners(migrator: &MongoMigrator, groups: &[ReadGroup]) -> Owners {
    let (mut owners, mut forms) = (HashMap::new(), Vec::new());
    for (group, read) in groups.iter().enumerate() {
        for (chat, row) in read.group.chats.iter().enumerate() {
            let names = [field(&row.document, "_id"), field(&row.document, migrator.codec.id_field())];
            for name in names.into_iter().flatten() {
                if owners.insert(migrator.codec.same_name(name), (group, chat)).is_none() {
                    forms.extend(Bson::try_from(name).ok().iter().flat_map(|id| migrator.codec.names(id)));
                }
            }
        }
    }
    Owners(owners, forms)
}

impl Owners {
    fn forms(&self) -> &[Bson] {
        &self.1
    }

    fn of(&self, codec: &Codec, value: RawBsonRef<'_>) -> Option<(usize, usize)> {
        self.0.get(&codec.same_name(value)).copied()
    }

    /// Every group of which a row names a chat, through arrays.
    fn all_of(&self, codec: &Codec, row: &RawDocument, path: &str) -> HashSet<usize> {
        let mut groups = HashSet::new();
        values_at(row, path, &mut |value| {
            groups.extend(self.of(codec, value).map(|(group, _)| group));
        });
        groups
    }
}

/// Where a sender's id of a message occurs.
#[derive(Default)]
struct SentAs {
    chats: HashSet<usize>,
    ids: Vec<Bson>,
}

/// The rows of one reference and one group.
#[derive(Default)]
struct Sorted {
    values: BTreeMap<Vec<u8>, (Bson, Vec<Bson>)>,
    rows: Vec<RawDocumentBuf>,
    sent: HashMap<Vec<u8>, SentAs>,
    activity: HashMap<usize, Activity>,
    messages: Vec<RawDocumentBuf>,
}

impl Sorted {
    fn scalar(
        &mut self,
        row: &RawDocumentBuf,
        value: RawBsonRef<'_>,
        chat: usize,
        fields: Option<&MessageFieldsOfRows>,
        whole: bool,
        needs_messages: bool,
    ) {
        let (Some(id), Ok(from)) =
            (field(row, "_id").and_then(|id| Bson::try_from(id).ok()), Bson::try_from(value))
        else {
            return;
        };
        if let Some(fields) = fields {
            let at = time_of_row(field(row, &fields.created_at), field(row, "_id"));
            let activity = self.activity.entry(chat).or_default();
            activity.messages += 1;
            activity.newest = activity.newest.max(at);
            let sender = field(row, &fields.sender);
            if needs_messages {
                self.messages.push(row.clone());
            }
            let client = field(row, &fields.client_message_id).and_then(text_of).filter(|id| !id.is_empty());
            if let Some(client) = client {
                let mut name = sender.map(packed).unwrap_or_default();
                name.extend(client.as_bytes());
                let sent = self.sent.entry(name).or_default();
                sent.chats.insert(chat);
                sent.ids.push(id.clone());
            }
        }
        if whole {
            self.rows.push(row.clone());
        }
        self.values.entry(packed(value)).or_insert_with(|| (from, Vec::new())).1.push(id);
    }

    fn into_group(self, reference: &Reference, group: &mut ReadGroup) {
        for (chat, activity) in self.activity {
            let row = &mut group.group.chats[chat].activity;
            row.messages += activity.messages;
            row.newest = row.newest.max(activity.newest);
        }
        let counts = self.values.values().map(|(from, ids)| (from.clone(), ids.len() as u64)).collect();
        group.group.references.push(ReferenceRows { counts, rows: self.rows, messages: self.messages });
        let movable = self.values.into_values().map(|(from, ids)| Movable {
            collection: reference.collection.clone(),
            field: reference.field.clone(),
            from,
            ids,
        });
        group.movable.extend(movable);
    }
}
