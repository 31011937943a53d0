//! Random collections as years of old programs leave them, and what is in a database, byte for byte.

use std::collections::{BTreeMap, HashMap};

use futures_util::TryStreamExt as _;
use mongodb::{
    Database,
    bson::{
        Binary, Bson, DateTime, Decimal128, Document, JavaScriptCodeWithScope, RawDocumentBuf, Regex,
        Timestamp, doc, oid::ObjectId, spec::BinarySubtype,
    },
};
use onechat_migrate::{
    EmbeddedArray, FieldRule, MergeRules, MessageFieldsOfRows, Reference, RowState, StateField, StateForm,
};
use onechat_mongo::{MongoMigrator, MongoOptions};
use proptest::prelude::*;

use crate::support::Place;

pub(crate) async fn migrator(place: &Place) -> MongoMigrator {
    migrator_with(place, rules()).await
}

pub(crate) async fn migrator_with(place: &Place, rules: MergeRules) -> MongoMigrator {
    MongoMigrator::connect(&place.url, &MongoOptions::default(), rules).await.expect("a server that runs")
}

/// The rules with some for the fields that may have anything: of every kind, or none.
pub(crate) fn any_rules() -> impl Strategy<Value = MergeRules> {
    use FieldRule::{All, Newest, Recompute, Survivor, Union};
    let kinds = [None, Some(Survivor), Some(Newest), Some(Recompute), Some(All), Some(Union)];
    prop::collection::vec(prop::sample::select(kinds.to_vec()), NAMES.len()).prop_map(|of_names| {
        let fields = NAMES.into_iter().zip(of_names);
        let fields = fields.filter_map(|(name, rule)| Some((name.to_owned(), rule?))).collect();
        MergeRules { fields, ..rules() }
    })
}

/// Messages that are rows, memberships with state, bookmarks with arrays of ids; embedded messages and counters.
pub(crate) fn rules() -> MergeRules {
    let reference = |collection: &str, field: &str| Reference {
        collection: collection.to_owned(),
        field: field.to_owned(),
        time: None,
        sequence: None,
        unique: Vec::new(),
        messages: None,
        state: None,
    };
    let unread = BTreeMap::from([("unread".to_owned(), FieldRule::Sum)]);
    MergeRules {
        references: vec![
            Reference {
                messages: Some(MessageFieldsOfRows {
                    sender: "sender".to_owned(),
                    text: "text".to_owned(),
                    client_message_id: "clientMessageId".to_owned(),
                    created_at: "createdAt".to_owned(),
                }),
                time: Some("createdAt".to_owned()),
                ..reference("messages", "chatId")
            },
            reference("bookmarks", "chats"),
            Reference {
                state: Some(RowState { participant: "user".to_owned(), rules: unread, read_until: None }),
                ..reference("memberships", "chat.id")
            },
        ],
        embedded: vec![EmbeddedArray {
            field: "notes".to_owned(),
            id: Some("_id".to_owned()),
            ids_of: None,
            sender: None,
            time: Some("at".to_owned()),
        }],
        state: vec![StateField {
            field: "unread".to_owned(),
            form: StateForm::Map,
            rules: BTreeMap::from([(String::new(), FieldRule::Sum)]),
            read_until: None,
        }],
        fields: NAMES.map(|name| (name.to_owned(), FieldRule::Survivor)).into(),
        ..MergeRules::default()
    }
}

/// A random database.
#[derive(Debug, Clone)]
pub(crate) struct OldData {
    chats: Vec<OldChat>,
    messages: Vec<(usize, bool, Value)>,
    memberships: Vec<(usize, usize, i32)>,
    bookmarks: Vec<Vec<(usize, bool)>>,
}

#[derive(Debug, Clone)]
struct OldChat {
    set: usize,
    is_reversed: bool,
    key: usize,
    extra: Vec<(usize, Value)>,
    notes: Vec<(u8, i64)>,
    unread: Vec<(usize, i32)>,
    updated: i64,
}

/// BSON without the noise of its debug output.
#[derive(Clone, PartialEq)]
pub(crate) struct Value(pub(crate) Bson);

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

const SETS: [&[&str]; 4] = [&["ann", "bob"], &["bob", "cleo"], &["ann", "bob", "cleo"], &["dan", "e_f"]];
const KEYS: [&str; 4] = ["ann_bob", "bob_cleo", "ann_bob_cleo", "dan_e%5Ff"];
const NAMES: [&str; 5] = ["title", "topic", "settings", "theme", "pinned"];

pub(crate) fn old_data() -> impl Strategy<Value = OldData> {
    let chat = (
        0..SETS.len(),
        any::<bool>(),
        0..5_usize,
        prop::collection::vec((0..NAMES.len(), value()), 0..4),
        prop::collection::vec((0..12_u8, 0..1000_i64), 0..4),
        prop::collection::vec((0..3_usize, 0..5), 0..3),
        0..1_000_000_i64,
    );
    let chat = chat.prop_map(|(set, is_reversed, key, extra, notes, unread, updated)| OldChat {
        set,
        is_reversed,
        key,
        extra,
        notes,
        unread,
        updated,
    });
    let row = 0..16_usize;
    let all = (
        prop::collection::vec(chat, 1..12),
        prop::collection::vec((row.clone(), any::<bool>(), value()), 0..20),
        prop::collection::vec((row.clone(), 0..3_usize, 0..9), 0..8),
        prop::collection::vec(prop::collection::vec((row, any::<bool>()), 0..4), 0..4),
    );
    all.prop_map(|(chats, messages, memberships, bookmarks)| OldData {
        chats,
        messages,
        memberships,
        bookmarks,
    })
}

/// Every type of BSON that a program can store.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<f64>().prop_map(Bson::Double),
        "[a-zé😀]{0,6}".prop_map(Bson::String),
        any::<bool>().prop_map(Bson::Boolean),
        any::<i32>().prop_map(Bson::Int32),
        any::<i64>().prop_map(Bson::Int64),
        any::<i64>().prop_map(|ms| Bson::DateTime(DateTime::from_millis(ms))),
        any::<[u8; 12]>().prop_map(|bytes| Bson::ObjectId(ObjectId::from_bytes(bytes))),
        any::<[u8; 16]>().prop_map(|bytes| Bson::Decimal128(Decimal128::from_bytes(bytes))),
        (1..u32::MAX, any::<u32>())
            .prop_map(|(time, increment)| Bson::Timestamp(Timestamp { time, increment })),
        prop::collection::vec(any::<u8>(), 0..9)
            .prop_map(|bytes| { Bson::Binary(Binary { subtype: BinarySubtype::UserDefined(0x81), bytes }) }),
        any::<[u8; 16]>().prop_map(|bytes| {
            Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: bytes.to_vec() })
        }),
        "[a-z]{1,4}".prop_map(Bson::JavaScriptCode),
        "[a-z]{1,4}".prop_map(|code| {
            Bson::JavaScriptCodeWithScope(JavaScriptCodeWithScope { code, scope: doc! { "x": 1 } })
        }),
        "[a-z]{1,4}".prop_map(Bson::Symbol),
        Just(Bson::RegularExpression(Regex {
            pattern: "^a".try_into().expect("without a zero byte"),
            options: "i".try_into().expect("without a zero byte"),
        })),
        Just(Bson::Null),
        Just(Bson::MinKey),
        Just(Bson::MaxKey),
    ];
    let nested = leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Bson::Array),
            prop::collection::vec(("[a-c]", inner), 0..3)
                .prop_map(|fields| Bson::Document(fields.into_iter().collect())),
        ]
    });
    nested.prop_map(Value)
}

impl OldData {
    /// Stores it. Ids count upwards, so that a case is the same whenever it runs.
    pub(crate) async fn store(&self, database: &Database) {
        let chat_id = |index: usize| id(1, index);
        let chats: Vec<Document> =
            self.chats.iter().enumerate().map(|(index, chat)| chat.document(chat_id(index))).collect();
        insert(database, "chats", chats).await;
        let named = |index: usize, as_text: bool| {
            if as_text { Bson::String(chat_id(index).to_hex()) } else { Bson::ObjectId(chat_id(index)) }
        };
        let messages = self.messages.iter().enumerate().map(|(index, (chat, as_text, value))| {
            doc! { "_id": id(2, index), "sender": "ann", "chatId": named(*chat, *as_text), "text": value.0.clone() }
        });
        insert(database, "messages", messages.collect()).await;
        let memberships = self.memberships.iter().enumerate().map(|(index, (chat, user, unread))| {
            doc! {
                "_id": format!("m{index}"), "chat": { "v": 1, "id": chat_id(*chat) },
                "user": SETS[2][*user], "unread": *unread,
            }
        });
        // One row per participant and chat.
        let mut distinct = HashMap::new();
        for row in memberships {
            distinct
                .entry((
                    row.get_document("chat").cloned().ok().map(|chat| chat.to_string()),
                    row.get_str("user").map(str::to_owned).ok(),
                ))
                .or_insert(row);
        }
        insert(database, "memberships", distinct.into_values().collect()).await;
        let bookmarks = self.bookmarks.iter().enumerate().map(|(index, chats)| {
            let chats: Vec<Bson> = chats.iter().map(|(chat, as_text)| named(*chat, *as_text)).collect();
            doc! { "_id": id(3, index), "chats": chats, "owner": "ann" }
        });
        insert(database, "bookmarks", bookmarks.collect()).await;
    }
}

impl OldChat {
    fn document(&self, id: ObjectId) -> Document {
        let mut members: Vec<&str> = SETS[self.set].to_vec();
        if self.is_reversed {
            members.reverse();
            members.push(members[0]);
        }
        let mut document = doc! { "_id": id, "participants": members };
        match self.key {
            0 => {}
            1 => drop(document.insert("participantsKey", Bson::Null)),
            2 => drop(document.insert("participantsKey", "")),
            // As from before somebody left: not by a formula of another program, which a migration would leave alone.
            3 => drop(document.insert("participantsKey", format!("{id}_zoe"))),
            _ => drop(document.insert("participantsKey", KEYS[self.set])),
        }
        for (name, value) in &self.extra {
            document.insert(NAMES[*name], value.0.clone());
        }
        if !self.notes.is_empty() {
            let mut notes: Vec<(u8, i64)> = self.notes.clone();
            notes.sort_unstable();
            notes.dedup_by_key(|note| note.0);
            let notes: Vec<Document> = notes
                .iter()
                .map(|(note, at)| doc! { "_id": i32::from(*note), "at": DateTime::from_millis(*at), "by": "ann" })
                .collect();
            document.insert("notes", notes);
        }
        if !self.unread.is_empty() {
            let unread: Document = self
                .unread
                .iter()
                .map(|(user, count)| (SETS[2][*user].to_owned(), Bson::from(*count)))
                .collect();
            document.insert("unread", unread);
        }
        document.insert("updatedAt", DateTime::from_millis(self.updated));
        document
    }
}

fn id(kind: u8, index: usize) -> ObjectId {
    let index = u8::try_from(index).expect("a test is small");
    ObjectId::from_parts(1_600_000_000 + u32::from(index), [kind; 5], [0, 0, index])
}

async fn insert(database: &Database, collection: &str, documents: Vec<Document>) {
    if !documents.is_empty() {
        database.collection::<Document>(collection).insert_many(documents).await.expect("a server that runs");
    }
}

/// Every document of every collection that is not ours.
pub(crate) async fn dump(database: &Database) -> BTreeMap<String, Vec<Vec<u8>>> {
    let all = dump_all(database).await;
    // A collection that was emptied is as good as none.
    all.into_iter().filter(|(name, rows)| !name.starts_with("onechat_") && !rows.is_empty()).collect()
}

/// Every document of every collection, but for the lease, which is renewed all the time.
pub(crate) async fn dump_all(database: &Database) -> BTreeMap<String, Vec<Vec<u8>>> {
    let mut all = BTreeMap::new();
    for name in database.list_collection_names().await.expect("a server that runs") {
        if name == "onechat_lease" {
            continue;
        }
        let cursor = database.collection::<RawDocumentBuf>(&name).find(doc! {}).await.expect("it answers");
        let rows: Vec<RawDocumentBuf> = cursor.try_collect().await.expect("it answers");
        let mut rows: Vec<Vec<u8>> = rows.into_iter().map(RawDocumentBuf::into_bytes).collect();
        rows.sort_unstable();
        all.insert(name, rows);
    }
    all
}

/// What differs, for people.
pub(crate) fn difference(
    one: &BTreeMap<String, Vec<Vec<u8>>>,
    other: &BTreeMap<String, Vec<Vec<u8>>>,
) -> Option<String> {
    if one == other {
        return None;
    }
    let text = |bytes: &Vec<u8>| match RawDocumentBuf::from_bytes(bytes.clone()) {
        Ok(document) => format!("{document:?}"),
        Err(error) => error.to_string(),
    };
    let mut lines = Vec::new();
    for name in one.keys().chain(other.keys().filter(|name| !one.contains_key(*name))) {
        let (a, b) = (one.get(name), other.get(name));
        let only = |these: Option<&Vec<Vec<u8>>>, those: Option<&Vec<Vec<u8>>>, mark: &str| {
            let rows = these.into_iter().flatten();
            let rows = rows.filter(|row| !those.is_some_and(|those| those.contains(row)));
            rows.map(|row| format!("{mark} {name} {}", text(row))).collect::<Vec<_>>()
        };
        lines.extend(only(a, b, "-"));
        lines.extend(only(b, a, "+"));
    }
    Some(lines.join("\n"))
}
