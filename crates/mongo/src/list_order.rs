//! The order of a participant's chats, and what to ask an index for to get the next of them.
//!
//! A chat stands at the time of its newest message, else at that of its creation, else at the age of its `_id`. No index
//! holds the first of three that is there, so the list is made of three parts that indexes hold in order. Nothing is
//! stored for it: rows of other programs stand where they belong, whatever they were written by.

use mongodb::bson::{Bson, Document, RawBson, RawBsonRef, RawDocumentBuf, doc, oid::ObjectId};
use onechat_core::{Chat, ChatCursor, Context, Page, PageSize, StoreError, Timestamp};
use onechat_migrate::number_of;

use crate::{
    TimeForm,
    codec::{Codec, age, date, field},
};

/// Chats with a time of another form than the mapping says are listed after all others, in the order of their times: this
/// much earlier, which also tells a cursor of one of them from others.
const OTHER_FORM_MS: i64 = 100_000_000_000_000;
/// What is earlier has another form: all others are after the year 1000 before Christ.
const LEAST_IN_FORM: i64 = -OTHER_FORM_MS / 2 - 40_000_000_000_000;

/// The part of a list that begins after a cursor, of those chats that have the participant at one path.
pub(crate) struct List<'a> {
    pub(crate) codec: &'a Codec,
    /// What the chats of the list match: one of these, each for a form in which the participant may be stored. An index
    /// has the chats of one form in order, and the server merges them.
    rows: Vec<Document>,
    after: Option<(Timestamp, Bson)>,
}

/// A part of the list: what to ask for, and in which order.
pub(crate) struct Part {
    pub(crate) filter: Document,
    pub(crate) sort: Document,
}

impl<'a> List<'a> {
    pub(crate) fn new(
        codec: &'a Codec,
        path: &str,
        forms: &[Bson],
        context: Option<&Context>,
        after: Option<&(Timestamp, Bson)>,
    ) -> Self {
        let context = if context.is_some() { codec.has_context(context) } else { Document::new() };
        let rows = forms.iter().map(|form| {
            let mut rows = doc! { path: form };
            rows.extend(context.clone());
            rows
        });
        let rows = rows.collect();
        Self { codec, rows, after: after.cloned() }
    }

    /// All chats of the list, whatever the cursor.
    pub(crate) fn all(&self) -> Document {
        self.with(&[Document::new()])
    }

    /// The chats of the list that match one of these conditions.
    fn with(&self, conditions: &[Document]) -> Document {
        let branches = self.rows.iter().flat_map(|rows| {
            conditions.iter().map(|conditions| {
                let mut branch = rows.clone();
                branch.extend(conditions.clone());
                branch
            })
        });
        let mut branches: Vec<Document> = branches.collect();
        if branches.len() == 1 {
            branches.swap_remove(0)
        } else {
            doc! { "$or": branches }
        }
    }

    /// Chats with a time of their newest message.
    pub(crate) fn active(&self) -> Part {
        self.dated(&self.codec.mapping().fields.last_message_at, &doc! {})
    }

    /// Chats without one, but with a time of their creation.
    pub(crate) fn silent(&self) -> Part {
        let fields = &self.codec.mapping().fields;
        self.dated(&fields.created_at, &doc! { &fields.last_message_at: Bson::Null })
    }

    /// Chats with neither; nothing if the cursor is behind all of them.
    pub(crate) fn undated(&self) -> Option<Part> {
        let fields = &self.codec.mapping().fields;
        let id_field = self.codec.id_field();
        let mut conditions = doc! { &fields.last_message_at: Bson::Null, &fields.created_at: Bson::Null };
        match self.after.as_ref().map_or(Ids::All, |(at, id)| self.undated_after(*at, id)) {
            Ids::All => {}
            Ids::Below(id) => drop(conditions.insert(id_field, self.below(&id))),
            Ids::None => return None,
        }
        Some(Part { filter: self.with(&[conditions]), sort: doc! { id_field: -1 } })
    }

    /// Chats with something in this field, which may be no date: they must not be left out silently.
    fn dated(&self, by: &str, also: &Document) -> Part {
        let id_field = self.codec.id_field();
        let and_also = |mut conditions: Document| {
            conditions.extend(also.clone());
            conditions
        };
        let conditions = match &self.after {
            None => vec![doc! { by: { "$ne": Bson::Null } }],
            // Two scans that the server merges: however many chats stand at one moment, none is read in vain.
            Some((at, id)) => {
                let at = self.times().compared(*at);
                let earlier = doc! { by: { "$ne": Bson::Null, "$not": { "$gte": at.clone() } } };
                let same = doc! { by: at, id_field: self.below(id) };
                vec![earlier, same]
            }
        };
        let conditions: Vec<Document> = conditions.into_iter().map(and_also).collect();
        Part { filter: self.with(&conditions), sort: doc! { by: -1, id_field: -1 } }
    }

    /// Which ids the chats without dates have that come after the position.
    fn undated_after(&self, at: Timestamp, id: &Bson) -> Ids {
        let ms = at.unix_ms();
        if ms < 0 {
            return Ids::None;
        }
        if !self.has_ages() {
            return if ms == 0 { Ids::Below(id.clone()) } else { Ids::All };
        }
        let second = ms / 1000;
        let Some(next) = first_of(second + 1) else { return Ids::All };
        if ms % 1000 != 0 {
            return Ids::Below(next.into());
        }
        let first = first_of(second).unwrap_or(next);
        Ids::Below(match id {
            Bson::ObjectId(id) => (*id).clamp(first, next).into(),
            // Every other id is below all ObjectIds, and as old as can be.
            other if second == 0 => other.clone(),
            _ => first.into(),
        })
    }

    fn times(&self) -> TimeForm {
        self.codec.mapping().fields.times
    }

    /// Whether ids tell an age in the order in which an index holds them.
    fn has_ages(&self) -> bool {
        self.codec.id_field() == "_id"
    }

    /// Every id below this one. Comparisons find values of one type only, and of the types that ids have numbers are below
    /// texts, these below UUIDs, and all of them below ObjectIds.
    fn below(&self, id: &Bson) -> Document {
        let types: &[&str] = match id {
            Bson::ObjectId(_) => return doc! { "$not": { "$gte": id.clone() } },
            _ if !self.codec.has_ids_of_any_type() => &[],
            Bson::String(_) => &["number", "string"],
            Bson::Binary(_) => &["number", "string", "binData"],
            _ => &[],
        };
        if types.is_empty() {
            return doc! { "$lt": id.clone() };
        }
        doc! { "$not": { "$gte": id.clone() }, "$type": types }
    }

    /// An expression for the time that a chat stands at.
    pub(crate) fn position(&self) -> Document {
        let fields = &self.codec.mapping().fields;
        let of = |name: &str| {
            let value = format!("${name}");
            match self.times() {
                TimeForm::Date => Bson::String(value),
                // What is no time of this form is below all dates.
                form => {
                    let date = doc! { "$ifNull": [form.as_date(name), 0] };
                    doc! { "$cond": [{ "$gt": [value, Bson::Null] }, date, Bson::Null] }.into()
                }
            }
        };
        let zero = doc! { "$toDate": 0_i64 };
        let from_id = if self.has_ages() {
            doc! { "$cond": [{ "$eq": [{ "$type": "$_id" }, "objectId"] }, { "$toDate": "$_id" }, zero] }
        } else {
            zero
        };
        doc! { "$ifNull": [of(&fields.last_message_at), of(&fields.created_at), from_id] }
    }

    /// Chats after the cursor, if there is one, of rows that have their position in this field.
    pub(crate) fn after_by(&self, position: &str) -> Option<Document> {
        let (at, id) = self.after.as_ref()?;
        Some(doc! { "$or": [
            { position: { "$not": { "$gte": date(*at) } } },
            { position: date(*at), self.codec.id_field(): self.below(id) },
        ] })
    }

    /// The page that these rows begin with, of which there is one more if there is another page. Nothing if one of them
    /// has a time of another form: no index has it in order.
    pub(crate) fn page(
        &self,
        rows: Vec<RawDocumentBuf>,
        size: PageSize,
    ) -> Result<Option<Page<Chat, ChatCursor>>, StoreError> {
        let rows: Vec<Row> = rows.into_iter().map(|document| self.row(document)).collect();
        if rows.iter().any(|row| row.at_ms < LEAST_IN_FORM) {
            return Ok(None);
        }
        self.first_of(rows, size).map(Some)
    }

    /// Keeps of all rows the first after the cursor, as many as a page and one more has.
    pub(crate) fn keep(&self, kept: &mut Vec<Row>, document: RawDocumentBuf, size: PageSize) {
        let row = self.row(document);
        let after = self.after.as_ref().map(|(at, id)| {
            let id = RawBson::try_from(id.clone()).unwrap_or(RawBson::MinKey);
            (at.unix_ms(), rank(Some(id.as_raw_bson_ref())))
        });
        if after.is_none_or(|(at_ms, id)| (row.at_ms, &row.id) < (at_ms, &id)) {
            kept.push(row);
        }
        // Each chat may be there once for each field of participants.
        let most = 2 * (size.get() + 1);
        if kept.len() > 2 * most {
            sort(kept);
            kept.truncate(size.get() + 1);
        }
    }

    /// The page that these rows, in any order, begin with.
    pub(crate) fn first_of(
        &self,
        mut rows: Vec<Row>,
        size: PageSize,
    ) -> Result<Page<Chat, ChatCursor>, StoreError> {
        sort(&mut rows);
        let more = rows.len() > size.get();
        rows.truncate(size.get());
        let chats = rows.iter().map(|row| Ok(self.codec.chat(&row.document)?.chat));
        let items = chats.collect::<Result<Vec<Chat>, StoreError>>()?;
        let at = rows.last().and_then(|row| Timestamp::from_unix_ms(row.at_ms));
        let next =
            at.zip(items.last()).filter(|_| more).map(|(at, chat)| ChatCursor { at, id: chat.id.clone() });
        Ok(Page { items, next })
    }

    fn row(&self, document: RawDocumentBuf) -> Row {
        let fields = &self.codec.mapping().fields;
        let set = |name: &str| field(&document, name).filter(|value| *value != RawBsonRef::Null);
        let at_ms = match set(&fields.last_message_at).or_else(|| set(&fields.created_at)) {
            Some(value) => match self.times().read(value) {
                Some(at) => at.unix_ms(),
                // A chat in which no time can be read is damaged, and so is the page that comes to it.
                None => {
                    self.times().read_any(value).map_or(-2 * OTHER_FORM_MS, |at| at.unix_ms() - OTHER_FORM_MS)
                }
            },
            None if self.has_ages() => {
                let id = field(&document, "_id").and_then(|id| Bson::try_from(id).ok());
                id.map_or(0, |id| age(&id).unix_ms())
            }
            None => 0,
        };
        let id = rank(field(&document, self.codec.id_field()));
        Row { at_ms, id, document }
    }
}

/// A chat of the list with what its place depends on.
pub(crate) struct Row {
    at_ms: i64,
    id: (u8, Vec<u8>),
    document: RawDocumentBuf,
}

/// Latest first. A chat whose first message comes between two reads is there twice: the later of its places is the right one.
fn sort(rows: &mut Vec<Row>) {
    rows.sort_by(|one, other| (other.at_ms, &other.id).cmp(&(one.at_ms, &one.id)));
    let mut seen = std::collections::HashSet::new();
    rows.retain(|row| seen.insert(row.id.clone()));
}

/// Ids of a part.
enum Ids {
    All,
    Below(Bson),
    None,
}

/// The least ObjectId of this second since 1970; nothing if ObjectIds cannot name it.
fn first_of(second: i64) -> Option<ObjectId> {
    let second = u32::try_from(second).ok()?;
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&second.to_be_bytes());
    Some(ObjectId::from_bytes(bytes))
}

/// Ids in the order of BSON. Chats with ids of other types are damaged.
pub(crate) fn rank(id: Option<RawBsonRef<'_>>) -> (u8, Vec<u8>) {
    match id {
        Some(RawBsonRef::String(text)) => (1, text.as_bytes().to_vec()),
        Some(RawBsonRef::Binary(binary)) => (2, [&[u8::from(binary.subtype)][..], binary.bytes].concat()),
        Some(RawBsonRef::ObjectId(id)) => (3, id.bytes().to_vec()),
        other => match other.and_then(number_of) {
            // Negative ones come first.
            Some(number) => (0, (number ^ i64::MIN).to_be_bytes().to_vec()),
            None => (4, format!("{other:?}").into_bytes()),
        },
    }
}
