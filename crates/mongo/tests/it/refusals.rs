//! Rules of the collection that are not ours: an error that names them, never a null and never a stranger's chat.

use std::sync::Arc;

use mongodb::{
    IndexModel,
    bson::{Document, doc},
    options::IndexOptions,
};
use onechat_core::{OutcomeKind, ResolveError, StoreError, ports::ChatStore};
use onechat_migrate::Uncontrolled;
use onechat_mongo::RunKind;
use prometheus_client::{encoding::text::encode, registry::Registry};

use crate::support::{Place, World, chat_of};

async fn place_with_a_slug() -> Place {
    let place = Place::fresh().await;
    let unique = IndexOptions::builder().unique(true).build();
    place
        .chats()
        .create_index(IndexModel::builder().keys(doc! { "slug": 1 }).options(unique).build())
        .await
        .expect("an index on nothing");
    place
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_unique_index_that_fires_is_named() {
    let place = place_with_a_slug().await;
    let (store, world) = (place.store().await, Arc::new(World::default()));
    // The first chat without a slug is the only one that this index allows.
    let first = store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap().chat;
    let calls: Vec<_> = (0..150)
        .map(|_| {
            let (store, proposal) = (Arc::clone(&store), world.proposal(&["ann", "carol"]));
            tokio::spawn(async move { store.create_or_get(proposal).await })
        })
        .collect();
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        let ResolveError::Store(StoreError::Refused(reason)) = &error else { panic!("{error:?}") };
        assert!(reason.contains("slug_1") && reason.contains("chats"), "{reason}");
    }
    assert_eq!(store.lookup(&chat_of(&["ann", "carol"])).await.unwrap(), None);
    assert_eq!(store.create_or_get(world.proposal(&["bob", "ann"])).await.unwrap().chat, first);

    let mut registry = Registry::default();
    store.register_metrics(&mut registry);
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    assert!(text.contains(r#"onechat_mongo_duplicate_key_errors_total{index="slug"}"#), "{text}");
}

/// A unique index on the array: each person is in one chat. Old chats are brought to the guarantee all the same.
#[tokio::test(flavor = "multi_thread")]
async fn where_each_person_has_one_chat_a_second_one_is_refused_by_the_name_of_the_index() {
    let place = Place::fresh().await;
    let unique = IndexOptions::builder().unique(true).build();
    let one_each = IndexModel::builder().keys(doc! { "participants": 1 }).options(unique).build();
    place.chats().create_index(one_each).await.unwrap();
    let chats = [["ann", "bob"], ["dan", "cleo"]].map(|people| doc! { "participants": people.to_vec() });
    place.chats().insert_many(chats).await.unwrap();
    let migrator = place.migrator().await;
    let lease = migrator.lease("test").await.unwrap();
    migrator.guard_on(&lease, false, &Uncontrolled).await.unwrap();
    let run = migrator.begin_run(&lease, RunKind::Migrate).await.unwrap();
    let report = migrator.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await.unwrap();
    assert_eq!(report.keyed, 2, "{report:?}");
    assert_eq!(migrator.merge(&lease, &run, &Uncontrolled).await.unwrap().groups, 0);
    assert!(migrator.enforce(Some(&lease), false, &Uncontrolled).await.unwrap().is_unique);
    let (store, world) = (place.store().await, World::default());
    let found = store.create_or_get(world.proposal(&["cleo", "dan"])).await.unwrap();
    assert_eq!(found.kind, OutcomeKind::Existing);
    assert_eq!(
        store.create_or_get(world.proposal(&["eve", "fred"])).await.unwrap().kind,
        OutcomeKind::Created
    );
    for refused in [["ann", "cleo"], ["ann", "gus"]] {
        let error = store.create_or_get(world.proposal(&refused)).await.unwrap_err();
        let ResolveError::Store(StoreError::Refused(reason)) = &error else { panic!("{error:?}") };
        assert!(reason.contains("participants_1"), "{reason}");
        assert_eq!(store.lookup(&chat_of(&refused)).await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_that_is_refused_does_not_take_the_others_of_its_batch_with_it() {
    let place = Place::fresh().await;
    let validator = doc! { "participants": { "$ne": "forbidden" } };
    place.database.create_collection("chats").validator(validator).await.unwrap();
    let (store, world) = (place.store().await, Arc::new(World::default()));
    let calls: Vec<_> = (0..40)
        .map(|n| {
            let other = if n == 7 { "forbidden".to_owned() } else { format!("friend-{n}") };
            let (store, proposal) = (Arc::clone(&store), world.proposal(&["ann", &other]));
            tokio::spawn(async move { store.create_or_get(proposal).await })
        })
        .collect();
    for (n, call) in calls.into_iter().enumerate() {
        let answer = call.await.unwrap();
        if n == 7 {
            let refused = matches!(&answer, Err(ResolveError::Store(StoreError::Refused(why))) if why.contains("validator"));
            assert!(refused, "{answer:?}");
        } else {
            assert!(answer.is_ok(), "call {n}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_damaged_chat_hides_no_other() {
    let place = Place::fresh().await;
    let (store, world) = (place.store().await, Arc::new(World::default()));
    let sound = store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap().chat;
    let damaged = doc! { "participantsKey": "ann_carol", "participants": "ann and carol" };
    place.chats().insert_one(damaged).await.unwrap();
    let calls: Vec<_> = (0..40)
        .map(|n| {
            let names = if n % 2 == 0 { ["ann", "bob"] } else { ["ann", "carol"] };
            let (store, proposal) = (Arc::clone(&store), world.proposal(&names));
            tokio::spawn(async move { store.create_or_get(proposal).await })
        })
        .collect();
    for (n, call) in calls.into_iter().enumerate() {
        match (n % 2, call.await.unwrap()) {
            (0, Ok(outcome)) => assert_eq!(outcome.chat, sound),
            (1, Err(ResolveError::Store(StoreError::Corrupt(_)))) => {}
            (_, other) => panic!("call {n}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn another_unique_index_on_messages_is_named_and_not_waited_for() {
    let place = Place::fresh().await;
    let (store, world) = (place.store().await, World::default());
    let chat = store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap().chat;
    let unique = IndexOptions::builder().unique(true).build();
    let index = IndexModel::builder().keys(doc! { "sender": 1 }).options(unique).build();
    place.database.collection::<Document>("messages").create_index(index).await.unwrap();
    store.send(world.message(&chat.id, "ann", "m1")).await.unwrap().unwrap();
    let again = store.send(world.message(&chat.id, "ann", "m1")).await.unwrap().unwrap();
    assert!(!again.created, "a repeated message is answered, whatever index stopped it");
    let refused = store.send(world.message(&chat.id, "ann", "m2")).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Refused(why) if why.contains("sender")), "{refused:?}");
    store.send(world.message(&chat.id, "bob", "m1")).await.unwrap().unwrap();
}
