//! How far a collection has come: told by what is there, noted once, and followed by every server.

use std::{sync::Arc, time::Duration};

use futures_util::TryStreamExt as _;
use mongodb::{
    IndexModel,
    bson::{Bson, DateTime, Document, doc, oid::ObjectId},
    options::IndexOptions,
};
use onechat_core::{OutcomeKind, ResolveError, StoreError, ports::ChatStore};
use onechat_migrate::{CollectionState, Uncontrolled};
use onechat_mongo::{MongoChatStore, MongoOptions};

use crate::support::{Place, World, chat_of};

async fn noted(place: &Place) -> Option<String> {
    let notes = place.database.collection::<Document>("onechat_meta");
    let note = notes.find_one(doc! { "_id": "chats" }).await.expect("a server that runs");
    note?.get_str("state").ok().map(str::to_owned)
}

fn unique() -> IndexModel {
    let options = IndexOptions::builder().unique(true).sparse(true).build();
    IndexModel::builder().keys(doc! { "participantsKey": 1 }).options(options).build()
}

fn is_not_migrated<T>(answer: &Result<T, ResolveError>) -> bool {
    matches!(answer, Err(ResolveError::Store(StoreError::NotMigrated(why))) if why.contains("`onechat migrate`"))
}

#[tokio::test]
async fn what_is_there_says_how_far_a_collection_has_come() {
    let keyed = doc! { "participants": ["a", "b"], "participantsKey": "a_b" };
    let keyless = doc! { "participants": ["c", "d"] };
    let empty = doc! { "participants": ["c", "d"], "participantsKey": "" };
    for (chats, is_unique, state) in [
        (vec![], false, "new"),
        (vec![], true, "new"),
        (vec![keyed.clone()], false, "unmigrated"),
        (vec![keyed.clone()], true, "enforced"),
        (vec![keyed.clone(), keyless], true, "guarded"),
        (vec![keyed, empty], true, "guarded"),
    ] {
        let place = Place::fresh().await;
        if !chats.is_empty() {
            place.chats().insert_many(&chats).await.unwrap();
        }
        if is_unique {
            place.chats().create_index(unique()).await.unwrap();
        }
        let _store = place.store().await;
        assert_eq!(noted(&place).await.as_deref(), Some(state), "{chats:?}, unique: {is_unique}");
    }
}

#[tokio::test]
async fn a_guard_is_recognised() {
    let place = Place::fresh().await;
    place.chats().insert_one(doc! { "participants": ["a", "b"], "participantsKey": "a_b" }).await.unwrap();
    let plain = IndexModel::builder().keys(doc! { "participantsKey": 1 }).build();
    place.chats().create_index(plain).await.unwrap();
    let guard = doc! { "name": "participantsKey_1", "prepareUnique": true };
    place.database.run_command(doc! { "collMod": "chats", "index": guard }).await.unwrap();
    let (store, world) = (place.store().await, World::default());
    assert_eq!(noted(&place).await.as_deref(), Some("guarded"));
    assert_eq!(store.create_or_get(world.proposal(&["x", "y"])).await.unwrap().kind, OutcomeKind::Created);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn servers_that_start_together_agree() {
    let place = Place::fresh().await;
    place.chats().insert_one(doc! { "participants": ["a", "b"] }).await.unwrap();
    let url = Arc::new(place.url.clone());
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let url = Arc::clone(&url);
            tokio::spawn(async move { MongoChatStore::connect(&url, MongoOptions::default()).await })
        })
        .collect();
    for start in starts {
        let store = start.await.unwrap().unwrap();
        assert!(matches!(store.ready().await, Err(StoreError::NotMigrated(_))));
    }
    assert_eq!(noted(&place).await.as_deref(), Some("unmigrated"));
}

/// Chats of ann and another, in every shape that history leaves; the oldest comes first.
fn history() -> Vec<(&'static str, ObjectId, Vec<Document>)> {
    let id = |n: u8| ObjectId::from_bytes([n; 12]);
    let at = |ms: i64| DateTime::from_millis(ms);
    let chat = |n: u8, members: [&str; 2]| doc! { "_id": id(n), "participants": members.to_vec() };
    let with = |mut chat: Document, key: Bson| {
        chat.insert("participantsKey", key);
        chat
    };
    vec![
        ("right", id(1), vec![with(chat(1, ["ann", "right"]), "ann_right".into())]),
        ("missing", id(2), vec![chat(2, ["ann", "missing"])]),
        ("null", id(3), vec![with(chat(3, ["ann", "null"]), Bson::Null)]),
        ("empty", id(4), vec![with(chat(4, ["ann", "empty"]), "".into())]),
        ("wrong", id(5), vec![with(chat(5, ["ann", "wrong"]), "wrong_ann".into())]),
        ("reversed", id(6), vec![chat(6, ["reversed", "ann"])]),
        (
            "repeated",
            id(7),
            vec![doc! { "_id": id(7), "participants": ["repeated", "ann", "repeated", "ann"] }],
        ),
        // By its id it would be the younger one.
        (
            "twice",
            id(9),
            vec![
                doc! { "_id": id(9), "participants": ["twice", "ann"], "createdAt": at(1000) },
                doc! { "_id": id(8), "participants": ["ann", "twice"], "createdAt": at(2000) },
            ],
        ),
        // The others of the group do not count: they are of other people.
        (
            "group",
            id(11),
            vec![
                doc! { "_id": id(10), "participants": ["ann", "group", "carol"] },
                chat(11, ["ann", "group"]),
            ],
        ),
        (
            "damaged",
            id(13),
            vec![doc! { "_id": id(12), "participants": "ann and damaged" }, chat(13, ["ann", "damaged"])],
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_not_migrated_is_read_and_only_creating_is_refused() {
    for key_is_indexed in [false, true] {
        let place = Place::fresh().await;
        let before: Vec<Document> = history().into_iter().flat_map(|(_, _, chats)| chats).collect();
        place.chats().insert_many(&before).await.unwrap();
        if key_is_indexed {
            let plain = IndexModel::builder().keys(doc! { "participantsKey": 1 }).build();
            place.chats().create_index(plain).await.unwrap();
        }
        let (store, world) = (place.store().await, World::default());
        for (other, id, _) in history() {
            let found = store.lookup(&chat_of(&["ann", other])).await.unwrap();
            assert_eq!(found.map(|chat| chat.id.to_string()), Some(id.to_hex()), "{other}");
            let outcome = store.create_or_get(world.proposal(&[other, "ann"])).await.unwrap();
            assert_eq!(
                (outcome.kind, outcome.chat.id.as_str()),
                (OutcomeKind::Existing, &*id.to_hex()),
                "{other}"
            );
        }
        assert_eq!(store.lookup(&chat_of(&["ann", "nobody"])).await.unwrap(), None);
        let refused = store.create_or_get(world.proposal(&["ann", "nobody"])).await;
        assert!(is_not_migrated(&refused), "{refused:?}");
        let after: Vec<Document> = place.chats().find(doc! {}).await.unwrap().try_collect().await.unwrap();
        assert_eq!(after, before, "nothing may be written");
    }
}

#[tokio::test]
async fn a_key_of_strangers_hides_nobodys_chat() {
    let place = Place::fresh().await;
    // The key of ann and bob, given by hand to somebody else's chat.
    let theirs = doc! { "participants": ["x", "y"], "participantsKey": "ann_bob" };
    let ours = ObjectId::new();
    place.chats().insert_one(theirs).await.unwrap();
    place.chats().insert_one(doc! { "_id": ours, "participants": ["ann", "bob"] }).await.unwrap();
    let (store, world) = (place.store().await, World::default());
    let outcome = store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap();
    assert_eq!(outcome.chat.id.as_str(), ours.to_hex());
    place.chats().delete_one(doc! { "_id": ours }).await.unwrap();
    let refused = store.create_or_get(world.proposal(&["ann", "bob"])).await;
    assert!(is_not_migrated(&refused), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_server_follows_the_guard_while_it_runs() {
    let place = Place::fresh().await;
    place.chats().insert_one(doc! { "participants": ["ann", "bob"] }).await.unwrap();
    let (store, world) = (place.store().await, World::default());
    assert!(is_not_migrated(&store.create_or_get(world.proposal(&["ann", "carol"])).await));
    let migrator = place.migrator().await;
    let lease = migrator.lease("test").await.unwrap();
    let status = migrator.guard_on(&lease, false, &Uncontrolled).await.unwrap();
    assert_eq!(status.state, CollectionState::Guarded);
    let followed = async {
        while let refused @ Err(_) = store.create_or_get(world.proposal(&["ann", "carol"])).await {
            assert!(is_not_migrated(&refused), "{refused:?}");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), followed).await.expect("the state is followed");
    store.ready().await.unwrap();

    migrator.guard_off(&lease).await.unwrap();
    // The guard waits until servers know.
    assert!(is_not_migrated(&store.create_or_get(world.proposal(&["ann", "dave"])).await));
    assert_eq!(
        store.create_or_get(world.proposal(&["ann", "carol"])).await.unwrap().kind,
        OutcomeKind::Existing
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn told_to_a_server_creates_what_is_not_there_all_the_same() {
    let place = Place::fresh().await;
    let old = ObjectId::new();
    place.chats().insert_one(doc! { "_id": old, "participants": ["ann", "bob"] }).await.unwrap();
    let options = MongoOptions { unsafe_no_index: true, ..MongoOptions::default() };
    let (store, world) = (place.store_with(options).await, World::default());
    let found = store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap();
    assert_eq!(found.chat.id.as_str(), old.to_hex());
    let made = store.create_or_get(world.proposal(&["ann", "carol"])).await.unwrap();
    assert_eq!(made.kind, OutcomeKind::Created);
}
