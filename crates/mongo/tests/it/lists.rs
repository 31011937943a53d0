//! Lists of chats: rows of every kind in one order, at a cost that does not grow with the list.

use std::{collections::HashSet, time::Duration};

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, DateTime, Document, doc, oid::ObjectId, spec::BinarySubtype};
use onechat_core::{ChatCursor, ChatId, PageSize, Participant, StoreError, Timestamp, ports::ChatStore};
use onechat_mongo::{IdMapping, Mapping, MongoChatStore, MongoIndexes, MongoOptions, PublicIdForm};

use crate::support::{Place, World};

/// A whole second, which an `_id` can have too.
const AT_MS: i64 = 1_700_000_000_000;
const LIST_INDEXES: [&str; 2] = ["onechat_participants_lastMessageAt", "onechat_participants_createdAt"];

fn ann() -> Participant {
    Participant::new("ann").expect("it is valid")
}

fn date(ms: i64) -> Bson {
    DateTime::from_millis(ms).into()
}

fn id_of_second(second: i64, n: u32) -> ObjectId {
    let mut bytes = [7; 12];
    bytes[..4].copy_from_slice(&u32::try_from(second).expect("it is valid").to_be_bytes());
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    ObjectId::from_bytes(bytes)
}

/// A chat as any program may have written it, and where it stands in the list: its time and its id.
struct Row {
    document: Document,
    at_ms: i64,
    /// Strings come below ObjectIds.
    id: (bool, String),
}

fn row(n: u32) -> Row {
    let second = AT_MS / 1000 + i64::from(n * 7 % 5);
    let oid = id_of_second(second, n);
    let is_text = n % 6 == 5;
    let text = if is_text { format!("chat-{n:05}") } else { oid.to_hex() };
    let id: Bson = if is_text { text.clone().into() } else { oid.into() };
    let mut document = doc! { "_id": id, "participants": ["ann", format!("b{n}")] };
    // Few moments for many chats, some within a second and some on it.
    let (one, other) = (AT_MS + i64::from(n * 3 % 7) * 500, AT_MS + i64::from(n % 11) * 500);
    let age = if is_text { 0 } else { second * 1000 };
    let (last, created, at_ms) = match n % 8 {
        0 => (Some(date(one)), Some(date(other)), one),
        1 => (Some(date(one)), None, one),
        2 => (Some(date(one)), Some(Bson::Null), one),
        3 => (None, Some(date(other)), other),
        4 => (Some(Bson::Null), Some(date(other)), other),
        5 => (None, None, age),
        6 => (Some(Bson::Null), None, age),
        _ => (None, Some(Bson::Null), age),
    };
    document.extend(last.map(|at| ("lastMessageAt".to_owned(), at)));
    document.extend(created.map(|at| ("createdAt".to_owned(), at)));
    Row { document, at_ms, id: (!is_text, text) }
}

/// Stores chats of all kinds, and says in which order they have to be listed.
async fn fill(place: &Place, count: u32) -> Vec<String> {
    let mut rows: Vec<Row> = (0..count).map(row).collect();
    place.chats().insert_many(rows.iter().map(|row| &row.document)).await.expect("the database answers");
    place
        .chats()
        .insert_one(doc! { "participants": ["bob", "carol"], "lastMessageAt": date(AT_MS) })
        .await
        .expect("the database answers");
    rows.sort_by(|one, other| (other.at_ms, &other.id).cmp(&(one.at_ms, &one.id)));
    rows.into_iter().map(|row| row.id.1).collect()
}

async fn listed(store: &MongoChatStore, size: u16, mut after: Option<ChatCursor>) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let page = store
            .chats_of(&ann(), None, PageSize::new(size).expect("it is valid"), after.as_ref())
            .await
            .expect("the database answers");
        assert!(page.items.len() == usize::from(size) || page.next.is_none(), "a page is full, or the last");
        ids.extend(page.items.iter().map(|chat| chat.id.to_string()));
        after = page.next;
        if after.is_none() {
            return ids;
        }
    }
}

async fn drop_list_indexes(place: &Place) {
    for name in LIST_INDEXES {
        place.chats().drop_index(name).await.expect("the database answers");
    }
}

pub(crate) async fn profile(place: &Place) {
    place.database.run_command(doc! { "profile": 2 }).await.expect("the database answers");
}

/// What the server did to list chats, oldest first.
pub(crate) async fn profiled(place: &Place) -> Vec<Document> {
    let profile = place.database.collection::<Document>("system.profile");
    let of_lists = doc! {
        "ns": place.chats().namespace().to_string(), "appName": "onechat",
        "$or": [{ "command.find": "chats", "command.sort": { "$exists": true } }, { "command.aggregate": "chats" }],
    };
    profile
        .find(of_lists)
        .sort(doc! { "$natural": 1 })
        .await
        .expect("the database answers")
        .try_collect()
        .await
        .expect("the database answers")
}

#[tokio::test]
async fn rows_of_every_kind_are_listed_once_and_in_order_with_indexes_and_without() {
    let place = Place::fresh().await;
    let store = place.store().await;
    let order = fill(&place, 400).await;
    for size in [1, 3, 50, 100] {
        assert_eq!(listed(&store, size, None).await, order, "pages of {size}");
    }
    // Any position will do to go on from, a chat's or not.
    for (ms, id) in
        [(AT_MS, "chat-00005"), (AT_MS + 500, "zzz"), (0, "chat-00200"), (0, &order[7]), (-1, "a")]
    {
        let after = ChatCursor { at: Timestamp::from_unix_ms(ms).unwrap(), id: ChatId::new(id).unwrap() };
        let with = listed(&store, 100, Some(after.clone())).await;
        let cut = place_of(ms, id, 400);
        assert_eq!(with, order[cut..], "after {after}");
    }
    drop_list_indexes(&place).await;
    for size in [1, 100] {
        assert_eq!(listed(&store, size, None).await, order, "pages of {size} without indexes");
    }
}

/// How many of the rows come before or at the position.
fn place_of(ms: i64, id: &str, count: u32) -> usize {
    let id = (ObjectId::parse_str(id).is_ok(), id.to_owned());
    (0..count).map(row).filter(|row| (row.at_ms, &row.id) >= (ms, &id)).count()
}

#[tokio::test]
async fn chats_with_a_public_id_are_listed_once_and_in_order() {
    for form in [PublicIdForm::Text, PublicIdForm::Uuid] {
        let place = Place::fresh().await;
        let id = IdMapping::Field { name: "publicId".to_owned(), form };
        let options =
            MongoOptions { mapping: Mapping { id, ..Mapping::default() }, ..MongoOptions::default() };
        let store = place.store_with(options).await;
        let mut rows: Vec<Row> = (0..100).map(row).collect();
        for (n, row) in rows.iter_mut().enumerate() {
            let uuid = format!("00000000-0000-4000-8000-{:012x}", n * 37 % 100);
            let bytes = uuid
                .replace('-', "")
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                .collect();
            let public = match form {
                PublicIdForm::Text => Bson::String(uuid.clone()),
                PublicIdForm::Uuid => mongodb::bson::Binary { subtype: BinarySubtype::Uuid, bytes }.into(),
            };
            row.document.insert("publicId", public);
            row.id = (true, uuid);
            // Their `_id`s are in no order that an index on the public id has.
            if n % 8 >= 5 {
                row.at_ms = 0;
            }
        }
        place.chats().insert_many(rows.iter().map(|row| &row.document)).await.unwrap();
        rows.sort_by(|one, other| (other.at_ms, &other.id).cmp(&(one.at_ms, &one.id)));
        let order: Vec<String> = rows.into_iter().map(|row| row.id.1).collect();
        for size in [1, 7, 100] {
            assert_eq!(listed(&store, size, None).await, order, "pages of {size}");
        }
        place.chats().drop_index("onechat_participants_lastMessageAt").await.unwrap();
        assert_eq!(listed(&store, 7, None).await, order, "without an index");
    }
}

#[tokio::test]
async fn a_page_of_ten_thousand_chats_reads_no_more_than_a_page() {
    const SIZE: u16 = 20;
    let place = Place::fresh().await;
    let store = place.store().await;
    let order = fill(&place, 10_000).await;
    profile(&place).await;
    let mut after = None;
    for (n, row) in [(0, None), (1, Some(5_000)), (2, Some(9_000))] {
        if let Some(row) = row {
            let id = &order[row];
            let at_ms = (0..10_000).map(super::lists::row).find(|row| row.id.1 == *id).unwrap().at_ms;
            let at = Timestamp::from_unix_ms(at_ms).unwrap();
            after = Some(ChatCursor { at, id: ChatId::new(id.as_str()).unwrap() });
        }
        let page = store.chats_of(&ann(), None, PageSize::new(SIZE).unwrap(), after.as_ref()).await.unwrap();
        let ids: Vec<String> = page.items.iter().map(|chat| chat.id.to_string()).collect();
        let begin = row.map_or(0, |row| row + 1);
        assert_eq!(ids, order[begin..begin + usize::from(SIZE)]);
        let reads = profiled(&place).await;
        assert!(!reads.is_empty() && reads.len() <= 3 * (n + 1), "three parts a page");
    }
    for read in profiled(&place).await {
        let keys = read.get_i32("keysExamined").unwrap();
        assert!(keys <= i32::from(SIZE) + 10, "{keys} keys for a page of {SIZE}: {read}");
        // One ahead in each of the two scans that are merged.
        assert!(read.get_i32("docsExamined").unwrap() <= i32::from(SIZE) + 2, "{read}");
        assert!(!read.contains_key("hasSortStage"), "the server had to sort: {read}");
    }
}

#[tokio::test]
async fn what_is_no_time_makes_the_list_fail_and_does_not_vanish() {
    for field in ["lastMessageAt", "createdAt"] {
        for value in [Bson::from("some day"), Bson::Boolean(true), Bson::MaxKey] {
            let place = Place::fresh().await;
            let store = place.store().await;
            fill(&place, 16).await;
            place
                .chats()
                .insert_one(doc! { "participants": ["ann", "x"], field: value.clone() })
                .await
                .unwrap();
            let (mut after, mut pages) = (None, 0);
            let error = loop {
                match store.chats_of(&ann(), None, PageSize::new(5).unwrap(), after.as_ref()).await {
                    Ok(page) => after = Some(page.next.expect("the damaged chat was not listed yet")),
                    Err(error) => break error,
                }
                pages += 1;
                assert!(pages < 10, "a list ends");
            };
            assert!(matches!(error, StoreError::Corrupt(_)), "{field}: {value}: {error:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_list_becomes_fast_when_the_indexes_are_made() {
    let place = Place::fresh().await;
    let order = fill(&place, 500).await;
    let store = place.store().await;
    assert_eq!(listed(&store, 50, None).await, order);
    let status = MongoIndexes::connect(&place.url, &MongoOptions::default()).await.unwrap();
    let missing = status.status().await.unwrap();
    let missing: Vec<&str> =
        missing.iter().filter(|index| index.found.is_none()).map(|index| index.purpose.name()).collect();
    for purpose in ["chat_of_participant", "active_chats_of_participant", "silent_chats_of_participant"] {
        assert!(missing.contains(&purpose), "{missing:?}");
    }
    status.create().await.unwrap();
    profile(&place).await;
    let noticed = async {
        loop {
            assert_eq!(listed(&store, 100, None).await, order);
            let last = profiled(&place).await.pop().unwrap();
            if last.get_str("planSummary").unwrap().contains("lastMessageAt: -1") {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), noticed).await.expect("the indexes are noticed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn activity_between_pages_moves_chats_to_the_front_only() {
    let place = Place::fresh().await;
    let (one, two) = tokio::join!(place.store(), place.store());
    let order = fill(&place, 60).await;
    let world = World::default();
    let size = PageSize::new(10).unwrap();
    let first = one.chats_of(&ann(), None, size, None).await.unwrap();
    // Chats of later pages, by two servers, with the clock far ahead of the rows.
    for (n, store) in [(25, &one), (45, &two)] {
        let chat = ChatId::new(order[n].as_str()).unwrap();
        let mut message = world.message(&chat, "ann", "m");
        message.now = Timestamp::from_unix_ms(AT_MS + 3_600_000).unwrap();
        store.send(message).await.unwrap().unwrap();
    }
    let rest = listed(&two, 10, first.next).await;
    let moved = [&order[25], &order[45]];
    let expected: Vec<&String> = order[10..].iter().filter(|id| !moved.contains(id)).collect();
    assert_eq!(rest.iter().collect::<Vec<_>>(), expected);
    let again: HashSet<String> = listed(&one, 10, None).await.into_iter().take(2).collect();
    assert_eq!(again, moved.into_iter().cloned().collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_chat_is_in_the_list_while_its_first_message_comes() {
    let place = Place::fresh().await;
    let (store, world) = (place.store().await, World::default());
    for round in 0..150 {
        let chat = store.create_or_get(world.proposal(&["ann", &format!("b{round}")])).await.unwrap().chat;
        let sending = store.send(world.message(&chat.id, "ann", "m1"));
        let lists = async {
            let (ann, size) = (ann(), PageSize::new(5).unwrap());
            for _ in 0..3 {
                let (one, other) = tokio::join!(
                    store.chats_of(&ann, None, size, None),
                    store.chats_of(&ann, None, size, None)
                );
                for page in [one.unwrap(), other.unwrap()] {
                    let times = page.items.iter().filter(|listed| listed.id == chat.id).count();
                    assert_eq!(times, 1, "round {round}: the newest chat is listed once");
                }
            }
        };
        let (sent, ()) = tokio::join!(sending, lists);
        assert!(sent.unwrap().is_some());
    }
}

#[tokio::test]
async fn an_index_in_another_order_will_not_do() {
    let place = Place::fresh().await;
    let wrong = doc! { "participants": 1, "lastMessageAt": 1, "_id": -1 };
    let turned = doc! { "participants": -1, "createdAt": 1, "_id": 1 };
    for keys in [wrong, turned] {
        place.chats().create_index(mongodb::IndexModel::builder().keys(keys).build()).await.unwrap();
    }
    let indexes = MongoIndexes::connect(&place.url, &MongoOptions::default()).await.unwrap();
    let status = indexes.status().await.unwrap();
    let of = |name: &str| status.iter().find(|index| index.purpose.name() == name).unwrap();
    assert_eq!(of("active_chats_of_participant").found, None);
    assert_eq!(of("active_chats_of_participant").unfit.len(), 1);
    assert!(of("silent_chats_of_participant").found.is_some(), "it can be read backwards");
    let store = place.store().await;
    let order = fill(&place, 50).await;
    assert_eq!(listed(&store, 7, None).await, order);
}
