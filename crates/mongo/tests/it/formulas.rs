//! Keys that another program makes by a formula of its own: nobody overwrites them, and no server takes them for ours.

use futures_util::TryStreamExt as _;
use mongodb::{
    IndexModel,
    bson::{Document, doc, oid::ObjectId},
    options::IndexOptions,
};
use onechat_core::{OutcomeKind, ResolveError, StoreError, ports::ChatStore};
use onechat_migrate::{MergeRules, Uncontrolled};
use onechat_mongo::{
    ChatFields, Mapping, MigrateError, MongoChatStore, MongoMigrator, MongoOptions, OpenError, RunKind,
};

use crate::support::{Place, World, chat_of};

fn pair(n: usize) -> [String; 2] {
    [format!("u{n}"), format!("v{n}")]
}

fn chat(n: usize, key: Option<String>) -> Document {
    let number = u32::try_from(n).expect("a test is small");
    let id = ObjectId::from_parts(number, [7; 5], [0; 3]);
    let mut chat = doc! { "_id": id, "participants": pair(n).to_vec() };
    chat.extend(key.map(|key| ("participantsKey".to_owned(), key.into())));
    chat
}

async fn all(place: &Place) -> Vec<Document> {
    place
        .chats()
        .find(doc! {})
        .sort(doc! { "_id": 1 })
        .await
        .expect("a server that runs")
        .try_collect()
        .await
        .expect("a server that runs")
}

/// What every step that changes keys says.
async fn refusals(place: &Place) -> Vec<String> {
    let migrator = place.migrator().await;
    let lease = migrator.lease("test").await.expect("a server that runs");
    let run = migrator.begin_run(&lease, RunKind::Migrate).await.expect("a server that runs");
    let control = &Uncontrolled;
    let refused = [
        migrator.guard_on(&lease, false, control).await.map(drop),
        migrator.backfill(Some(&lease), Some(&run), false, control).await.map(drop),
        migrator.backfill(None, None, true, control).await.map(drop),
        migrator.merge(&lease, &run, control).await.map(drop),
        migrator.apply(&lease, &run, &mut std::iter::empty(), control).await.map(drop),
    ];
    lease.release().await.expect("a server that runs");
    let why = |refused| match refused {
        Err(MigrateError::Refused(why)) => why,
        other => panic!("it was not refused: {other:?}"),
    };
    refused.into_iter().map(why).collect()
}

#[tokio::test]
async fn every_step_that_changes_keys_refuses_and_says_how_many_and_what_to_do() {
    for large in [false, true] {
        let place = Place::fresh().await;
        let keyed = if large { 60 } else { 12 };
        let mut chats: Vec<Document> = (0..keyed).map(|n| chat(n, Some(pair(n).join(":")))).collect();
        // So many unkeyed chats that a sample would hardly show a keyed one.
        chats.extend((keyed..if large { 12_000 } else { 40 }).map(|n| chat(n, None)));
        place.chats().insert_many(chats).await.unwrap();
        let before = all(&place).await;
        for why in refusals(&place).await {
            let parts = [
                &format!("{keyed} of the {keyed} chats of chats with a participantsKey"),
                "has \"u0:v0\", onechat's would be \"u0_v0\"; chat",
                "`participants_key = \"onechatKey\"` in [mongodb.chat_fields]",
            ];
            for part in parts {
                assert!(why.contains(part), "{part:?} is missing in {why}");
            }
            assert_eq!(why.matches("onechat's would be").count(), 3, "{why}");
        }
        assert_eq!(all(&place).await, before);
        let indexes = place.chats().list_index_names().await.unwrap();
        assert_eq!(indexes, ["_id_"], "something was made before it was refused");
    }
}

#[tokio::test]
async fn a_formula_of_most_chats_of_a_large_collection_is_found_too() {
    let place = Place::fresh().await;
    let chats = (0..12_000).map(|n| chat(n, Some(format!("dm-{}", pair(n).join("-")))));
    place.chats().insert_many(chats).await.unwrap();
    let why = refusals(&place).await.remove(0);
    assert!(why.starts_with("12000 of the 12000 chats"), "{why}");
}

#[tokio::test]
async fn keys_of_the_joined_format_lead_to_that_format() {
    let place = Place::fresh().await;
    let chats = (0..9).map(|n| {
        doc! { "participants": [format!("a_{n}"), "b"], "participantsKey": format!("a_{n}_b") }
    });
    place.chats().insert_many(chats).await.unwrap();
    let why = refusals(&place).await.remove(0);
    assert!(why.contains("set `key_format = \"joined\"` in [store]"), "{why}");
}

/// Their unique index keeps their duplicates out, and none of ours.
#[tokio::test]
async fn a_server_on_another_programs_index_creates_nothing() {
    let place = Place::fresh().await;
    place.chats().insert_many((0..5).map(|n| chat(n, Some(pair(n).join(":"))))).await.unwrap();
    let options = IndexOptions::builder().unique(true).sparse(true).build();
    let index = IndexModel::builder().keys(doc! { "participantsKey": 1 }).options(options).build();
    place.chats().create_index(index).await.unwrap();
    let before = all(&place).await;
    let (store, world) = (place.store().await, World::default());
    for n in 0..5 {
        let people = pair(n);
        let people = people.each_ref().map(String::as_str);
        let outcome = store.create_or_get(world.proposal(&people)).await.unwrap();
        assert_eq!(outcome.kind, OutcomeKind::Existing, "{people:?} got a second chat");
        assert!(store.lookup(&chat_of(&people)).await.unwrap().is_some());
    }
    let refused = store.create_or_get(world.proposal(&["ann", "bob"])).await;
    assert!(
        matches!(&refused, Err(ResolveError::Store(StoreError::NotMigrated(_)))),
        "nothing says yet that ann and bob have no chat under a key of theirs: {refused:?}"
    );
    assert_eq!(all(&place).await, before);
}

/// Single chats may get such a key at any time, from a program that is not known yet.
#[tokio::test]
async fn a_server_finds_a_chat_with_another_programs_key_and_leaves_it_that() {
    let place = Place::fresh().await;
    let mut chats: Vec<Document> = (0..9).map(|n| chat(n, Some(pair(n).join("_")))).collect();
    let theirs = ["u9:v9", "v10_u10", "5f1d7e84d7d5c3a1b2c3d4e5"];
    chats.extend(theirs.iter().enumerate().map(|(n, key)| chat(9 + n, Some((*key).to_owned()))));
    // Copied from others, and left from before somebody left: corrected as ever.
    chats.push(chat(12, Some("x_y".to_owned())));
    chats.push(chat(13, Some("u13_v13_w13".to_owned())));
    place.chats().insert_many(&chats).await.unwrap();
    let migrator = place.migrator().await;
    let lease = migrator.lease("test").await.unwrap();
    migrator.guard_on(&lease, false, &Uncontrolled).await.unwrap();
    let (stores, world) = ([place.store().await, place.store().await], World::default());
    for store in stores.iter().chain(&stores) {
        for (n, chat) in chats.iter().enumerate().skip(9) {
            let people = pair(n);
            let outcome = store.create_or_get(world.proposal(&people.each_ref().map(String::as_str))).await;
            assert_eq!(outcome.unwrap().chat.id.as_str(), chat.get_object_id("_id").unwrap().to_hex());
        }
    }
    let after = all(&place).await;
    assert_eq!(after[..12], chats[..12]);
    let keys: Vec<&str> = after[12..].iter().map(|chat| chat.get_str("participantsKey").unwrap()).collect();
    assert_eq!(keys, ["u12_v12", "u13_v13"]);
}

/// The fleet has its keys in one field, an old backend has others in another one, with a unique index. A server that was
/// not told of the first would find none of the chats, and create each a second time.
#[tokio::test]
async fn once_keys_count_a_server_that_looks_for_them_elsewhere_does_not_start() {
    let place = Place::fresh().await;
    let options = IndexOptions::builder().unique(true).sparse(true).build();
    let index = IndexModel::builder().keys(doc! { "participantsKey": 1 }).options(options).build();
    place.chats().create_index(index).await.unwrap();
    place.chats().insert_many((0..5).map(|n| chat(n, Some(pair(n).join(":"))))).await.unwrap();
    // Before that, the field may still change.
    drop(place.store().await);
    let fields = ChatFields { participants_key: "onechatKey".to_owned(), ..ChatFields::default() };
    let own = MongoOptions { mapping: Mapping { fields, ..Mapping::default() }, ..MongoOptions::default() };
    let migrator = place.migrator_with(&own).await;
    let lease = migrator.lease("test").await.unwrap();
    migrator.guard_on(&lease, false, &Uncontrolled).await.unwrap();
    let run = migrator.begin_run(&lease, RunKind::Backfill).await.unwrap();
    migrator.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await.unwrap();
    assert!(migrator.enforce(Some(&lease), false, &Uncontrolled).await.unwrap().is_unique);
    place.store_with(own.clone()).await;

    let refused = MongoChatStore::connect(&place.url, MongoOptions::default()).await.err();
    assert!(
        matches!(&refused, Some(OpenError::KeyField { stored, .. }) if stored == "onechatKey"),
        "{refused:?}"
    );
    let refused =
        MongoMigrator::connect(&place.url, &MongoOptions::default(), MergeRules::default()).await.err();
    assert!(matches!(&refused, Some(OpenError::KeyField { .. })), "{refused:?}");
    // With the guarantee the field may change again.
    migrator.rollback(&lease).await.unwrap();
    place.store().await;
}

/// Notes of older versions do not say which field.
#[tokio::test]
async fn a_note_without_the_field_gets_that_of_the_next_server() {
    let place = Place::fresh().await;
    drop(place.store().await);
    let notes = place.database.collection::<Document>("onechat_meta");
    let old = doc! { "$unset": { "keyField": "" }, "$set": { "state": "enforced" } };
    notes.update_one(doc! { "_id": "chats" }, old).await.unwrap();
    drop(place.store().await);
    let note = notes.find_one(doc! { "_id": "chats" }).await.unwrap().unwrap();
    let of = |name: &str| note.get_str(name).unwrap();
    assert_eq!((of("keyField"), of("state")), ("participantsKey", "enforced"));
}
