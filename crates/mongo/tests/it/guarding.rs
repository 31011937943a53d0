//! The guard: old duplicates stand, and no new one with a key gets in.

use futures_util::TryStreamExt as _;
use mongodb::{
    IndexModel,
    bson::{Document, doc, oid::ObjectId},
    error::{Error, ErrorKind, WriteFailure},
    options::{Collation, CollationStrength, IndexOptions},
};
use onechat_core::ports::ChatStore;
use onechat_migrate::{CollectionState, Uncontrolled};
use onechat_mongo::{IndexError, IndexPurpose, MigrateError, MongoIndexes, MongoOptions};
use onechat_mongod::{Deployment, shared_replica_set, shared_standalone};

use crate::support::{Place, World};

fn is_duplicate(error: &Error) -> bool {
    matches!(&*error.kind, ErrorKind::Write(WriteFailure::WriteError(error)) if error.code == 11000)
}

/// The indexes of chats that are not unique.
const FOR_SPEED: [&str; 3] =
    ["onechat_id_participants", "onechat_participants_createdAt", "onechat_participants_lastMessageAt"];

async fn index_names(place: &Place) -> Vec<String> {
    let mut names = place.chats().list_index_names().await.expect("the database answers");
    names.sort();
    names
}

async fn old_ones_stand_and_new_ones_do_not_get_in(deployment: &Deployment) {
    let place = Place::on(deployment).await;
    let (one, other) = (ObjectId::new(), ObjectId::new());
    let duplicates =
        [one, other].map(|id| doc! { "_id": id, "participants": ["a", "b"], "participantsKey": "a_b" });
    place.chats().insert_many(&duplicates).await.expect("the database answers");
    place.chats().insert_one(doc! { "participants": ["c", "d"] }).await.expect("the database answers");
    let migrator = place.migrator().await;
    assert_eq!(migrator.protection().await.expect("the database answers").state, CollectionState::Unmigrated);
    let lease = migrator.lease("test").await.expect("the database answers");
    let status = migrator.guard_on(&lease, false, &Uncontrolled).await.expect("the database answers");
    assert_eq!(status.index.as_deref(), Some("onechat_participantsKey"));
    assert_eq!(
        (status.state, status.keeps_duplicates_out, status.is_unique),
        (CollectionState::Guarded, true, false)
    );
    assert_eq!(
        migrator.guard_on(&lease, false, &Uncontrolled).await.expect("the database answers"),
        status,
        "it may be repeated"
    );

    let chats = place.chats();
    for id in [one, other] {
        let changed = chats
            .update_one(doc! { "_id": id }, doc! { "$set": { "title": "old friends" } })
            .await
            .expect("the database answers");
        assert_eq!(changed.modified_count, 1);
    }
    for duplicate in [doc! { "participants": ["b", "a"], "participantsKey": "a_b" }] {
        assert!(is_duplicate(&chats.insert_one(duplicate).await.expect_err("it is refused")));
    }
    let keyed = doc! { "$set": { "participantsKey": "a_b" } };
    assert!(is_duplicate(
        &chats.update_one(doc! { "participants": "c" }, keyed).await.expect_err("it is refused")
    ));
    // What has no key is kept out by nothing but a validator.
    chats.insert_one(doc! { "participants": ["c", "d"] }).await.expect("the database answers");

    let indexes =
        MongoIndexes::connect(&place.url, &MongoOptions::default()).await.expect("the database answers");
    let status = indexes.status().await.expect("the database answers");
    let key = status
        .iter()
        .find(|status| status.purpose == IndexPurpose::OneChatPerKey)
        .expect("the database answers");
    assert_eq!(key.found, None);
    assert_eq!(key.guarding.as_ref().map(|index| index.ours), Some(true));
    assert!(key.unfit[0].reason.contains("onechat enforce"), "{:?}", key.unfit);
    let refused = indexes.create().await.expect_err("it is refused");
    assert!(matches!(&refused, IndexError::Guarding { .. }), "{refused:?}");

    let off = migrator.guard_off(&lease).await.expect("the database answers");
    assert_eq!((off.state, off.keeps_duplicates_out), (CollectionState::Unmigrated, false));
    chats
        .insert_one(doc! { "participants": ["b", "a"], "participantsKey": "a_b" })
        .await
        .expect("the database answers");
    assert_eq!(migrator.guard_off(&lease).await.expect("the database answers"), off, "it may be repeated");
    // On again, with the index that is there.
    let on = migrator.guard_on(&lease, false, &Uncontrolled).await.expect("the database answers");
    assert_eq!((on.state, on.keeps_duplicates_out), (CollectionState::Guarded, true));
    assert_eq!(
        migrator.rollback(&lease).await.expect("the database answers"),
        ["chats.onechat_participantsKey"]
    );
    assert_eq!(migrator.protection().await.expect("the database answers").state, CollectionState::Unmigrated);
    assert_eq!(index_names(&place).await, [&["_id_"], &FOR_SPEED[..]].concat());
    assert!(migrator.rollback(&lease).await.expect("the database answers").is_empty(), "it may be repeated");
}

#[tokio::test]
async fn old_duplicates_stand_and_new_ones_do_not_get_in() {
    old_ones_stand_and_new_ones_do_not_get_in(shared_standalone().await).await;
}

#[tokio::test]
async fn old_duplicates_stand_and_new_ones_do_not_get_in_on_a_replica_set() {
    old_ones_stand_and_new_ones_do_not_get_in(shared_replica_set().await).await;
}

#[tokio::test]
async fn a_guard_that_was_cut_off_half_way_is_completed() {
    let place = Place::fresh().await;
    place.chats().insert_one(doc! { "participants": ["a", "b"] }).await.unwrap();
    // The index was made, and nothing after it.
    let options = IndexOptions::builder()
        .name("onechat_participantsKey".to_owned())
        .partial_filter_expression(doc! { "participantsKey": { "$gt": "" } })
        .build();
    let half = IndexModel::builder().keys(doc! { "participantsKey": 1 }).options(options).build();
    place.chats().create_index(half).await.unwrap();
    let migrator = place.migrator().await;
    let before = migrator.protection().await.unwrap();
    assert_eq!((before.state, before.keeps_duplicates_out), (CollectionState::Unmigrated, false));
    let lease = migrator.lease("test").await.unwrap();
    assert!(migrator.guard_on(&lease, false, &Uncontrolled).await.unwrap().keeps_duplicates_out);
    // The state was noted, and the index stayed: servers create nothing, and it can be put on again.
    place.tell("unmigrated").await;
    let on = migrator.guard_on(&lease, false, &Uncontrolled).await.unwrap();
    assert_eq!(on.state, CollectionState::Guarded);
}

#[tokio::test]
async fn a_unique_index_of_another_program_is_guard_enough() {
    let place = Place::fresh().await;
    place.chats().insert_one(doc! { "participants": ["a", "b"] }).await.unwrap();
    let options = IndexOptions::builder().unique(true).sparse(true).build();
    let mongoose = IndexModel::builder().keys(doc! { "participantsKey": 1 }).options(options).build();
    place.chats().create_index(mongoose).await.unwrap();
    let migrator = place.migrator().await;
    let lease = migrator.lease("test").await.unwrap();
    let status = migrator.guard_on(&lease, false, &Uncontrolled).await.unwrap();
    assert_eq!(
        (status.index.as_deref(), status.state),
        (Some("participantsKey_1"), CollectionState::Guarded)
    );
    let names = [&["_id_"], &FOR_SPEED[..], &["participantsKey_1"]].concat();
    assert_eq!(index_names(&place).await, names);
    let refused = migrator.guard_off(&lease).await.unwrap_err();
    assert!(matches!(&refused, MigrateError::Refused(why) if why.contains("onechat rollback")), "{refused}");
    assert_eq!(migrator.protection().await.unwrap(), status, "a refusal changes nothing");
    assert_eq!(migrator.rollback(&lease).await.unwrap(), ["chats.participantsKey_1"]);
}

#[tokio::test]
async fn a_guard_is_nothing_new_where_there_is_no_history() {
    let place = Place::fresh().await;
    let migrator = place.migrator().await;
    let lease = migrator.lease("test").await.unwrap();
    let status = migrator.guard_on(&lease, false, &Uncontrolled).await.unwrap();
    assert_eq!((status.state, status.is_unique), (CollectionState::New, true));
    let (store, world) = (place.store().await, World::default());
    store.create_or_get(world.proposal(&["a", "b"])).await.unwrap();
    assert_eq!(migrator.guard_on(&lease, false, &Uncontrolled).await.unwrap(), status);
}

/// To a collection that ignores case, `Ann` and `ann` are one; here they are two people.
#[tokio::test]
async fn a_collation_of_the_collection_makes_no_two_people_one() {
    let place = Place::fresh().await;
    let folding = Collation::builder().locale("en").strength(CollationStrength::Secondary).build();
    place.database.create_collection("chats").collation(folding).await.unwrap();
    let upper = ObjectId::new();
    place.chats().insert_one(doc! { "_id": upper, "participants": ["Ann", "bob"] }).await.unwrap();
    let migrator = place.migrator().await;
    let lease = migrator.lease("test").await.unwrap();
    assert!(migrator.guard_on(&lease, false, &Uncontrolled).await.unwrap().keeps_duplicates_out);
    let (store, world) = (place.store().await, World::default());
    let lower = store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap().chat;
    assert_ne!(lower.id.as_str(), upper.to_hex());
    let old = store.create_or_get(world.proposal(&["Ann", "bob"])).await.unwrap().chat;
    assert_eq!(old.id.as_str(), upper.to_hex());
    let keys: Vec<Document> = place.chats().find(doc! {}).await.unwrap().try_collect().await.unwrap();
    let mut keys: Vec<&str> = keys.iter().map(|chat| chat.get_str("participantsKey").unwrap()).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["Ann_bob", "ann_bob"]);
    for name in [&lower.id, &old.id] {
        assert_eq!(store.chat(name).await.unwrap().map(|chat| chat.id), Some(name.clone()));
    }
}
