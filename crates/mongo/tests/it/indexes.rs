//! The unique index: made where that is safe, recognised whoever made it, and without it nothing is written.

use std::{sync::Arc, time::Duration};

use mongodb::{
    IndexModel,
    bson::{Document, doc},
    options::{Collation, IndexOptions},
};
use onechat_core::{ResolveError, StoreError, ports::ChatStore};
use onechat_mongo::{IndexError, IndexPurpose, IndexStatus, MongoChatStore, MongoIndexes, MongoOptions};

use crate::support::{Place, World};

async fn indexes(place: &Place) -> MongoIndexes {
    MongoIndexes::connect(&place.url, &MongoOptions::default()).await.expect("a server that runs")
}

fn on_the_key(status: &[IndexStatus]) -> &IndexStatus {
    let on_the_key = status.iter().find(|status| status.purpose == IndexPurpose::OneChatPerKey);
    on_the_key.expect("it is always among them")
}

fn keyed(options: IndexOptions) -> IndexModel {
    IndexModel::builder().keys(doc! { "participantsKey": 1 }).options(options).build()
}

fn mongoose() -> IndexModel {
    keyed(IndexOptions::builder().unique(true).sparse(true).build())
}

fn is_unprotected<T>(answer: &Result<T, ResolveError>) -> bool {
    matches!(answer, Err(ResolveError::Store(StoreError::Unprotected(why))) if why.contains("onechat index create"))
}

fn is_not_migrated<T>(answer: &Result<T, ResolveError>) -> bool {
    matches!(answer, Err(ResolveError::Store(StoreError::NotMigrated(why))) if why.contains("onechat migrate"))
}

/// Creates the chat of a new pair as soon as that is allowed.
async fn until_it_creates(store: &MongoChatStore, world: &World, name: &str) {
    let made = async {
        loop {
            match store.create_or_get(world.proposal(&["ann", name])).await {
                Ok(_) => break,
                refused => assert!(is_unprotected(&refused) || is_not_migrated(&refused), "{refused:?}"),
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), made)
        .await
        .expect("an index that is there again is noticed");
}

#[tokio::test]
async fn an_empty_collection_gets_its_indexes() {
    let place = Place::fresh().await;
    let before = indexes(&place).await.status().await.unwrap();
    assert!(before.iter().all(|status| status.found.is_none()), "{before:?}");
    let (one, two) = tokio::join!(place.store(), place.store());
    let after = indexes(&place).await.status().await.unwrap();
    assert!(after.iter().all(|status| status.found.as_ref().is_some_and(|found| found.ours)), "{after:?}");
    one.ready().await.unwrap();
    two.ready().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn without_the_index_nothing_is_created_until_it_is_there() {
    let place = Place::fresh().await;
    place.chats().insert_one(doc! { "participants": ["x", "y"], "participantsKey": "x_y" }).await.unwrap();
    let (store, world) = (place.store().await, World::default());
    assert!(is_not_migrated(&store.create_or_get(world.proposal(&["ann", "bob"])).await));
    assert!(matches!(store.ready().await, Err(StoreError::NotMigrated(_))));
    assert_eq!(place.chats().count_documents(doc! {}).await.unwrap(), 1);

    let made = indexes(&place).await.create().await.unwrap();
    assert!(made.iter().all(|status| status.found.is_some()), "{made:?}");
    until_it_creates(&store, &world, "bob").await;
    store.ready().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_index_that_is_lost_is_missed_at_once() {
    let place = Place::fresh().await;
    let (store, world) = (place.store().await, World::default());
    for round in 0..5 {
        until_it_creates(&store, &world, &format!("before-{round}")).await;
        place.chats().drop_index("onechat_participantsKey").await.unwrap();
        // The very next call, long before the watch looks again.
        let answer = store.create_or_get(world.proposal(&["ann", &format!("after-{round}")])).await;
        assert!(is_unprotected(&answer), "round {round}: {answer:?}");
        assert_eq!(place.chats().count_documents(doc! {}).await.unwrap(), round + 1);
        indexes(&place).await.create().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn servers_are_told_before_the_index_is_dropped_and_when_it_is_back() {
    let place = Place::fresh().await;
    let (store, world) = (place.store().await, World::default());
    let chat = store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap().chat;
    let dropped = indexes(&place).await.drop().await.unwrap();
    assert_eq!(dropped, ["chats.onechat_participantsKey"]);
    let answer = store.create_or_get(world.proposal(&["ann", "carol"])).await;
    assert!(is_not_migrated(&answer), "{answer:?}");
    assert_eq!(
        store.create_or_get(world.proposal(&["bob", "ann"])).await.unwrap().chat,
        chat,
        "what is there is read"
    );
    indexes(&place).await.create().await.unwrap();
    until_it_creates(&store, &world, "carol").await;
    store.ready().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn told_to_it_writes_without_an_index() {
    let place = Place::fresh().await;
    place.chats().insert_one(doc! { "participants": ["x", "y"], "participantsKey": "x_y" }).await.unwrap();
    let options = MongoOptions { unsafe_no_index: true, ..MongoOptions::default() };
    let (store, world) = (place.store_with(options).await, World::default());
    let chat = store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap().chat;
    assert_eq!(store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap().chat, chat);
    store.ready().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_index_of_mongoose_will_do_and_both_get_along() {
    // Theirs first: ours is not made.
    let place = Place::fresh().await;
    place.chats().create_index(mongoose()).await.unwrap();
    let (store, world) = (place.store().await, World::default());
    until_it_creates(&store, &world, "bob").await;
    let status = indexes(&place).await.status().await.unwrap();
    let found = on_the_key(&status).found.clone().unwrap();
    assert_eq!((found.name.as_str(), found.ours), ("participantsKey_1", false));
    // Ours first: theirs can still be made, and either can go.
    let place = Place::fresh().await;
    let store = place.store().await;
    place.chats().create_index(mongoose()).await.unwrap();
    place.chats().drop_index("onechat_participantsKey").await.unwrap();
    until_it_creates(&store, &world, "carol").await;
    assert_eq!(indexes(&place).await.drop().await.unwrap(), ["chats.participantsKey_1"]);
}

#[tokio::test]
async fn indexes_that_only_look_right_will_not_do() {
    let plain = IndexOptions::builder().name("plain".to_owned()).build();
    let collation =
        Collation::builder().locale("en").strength(mongodb::options::CollationStrength::Secondary).build();
    let folding =
        IndexOptions::builder().name("folding".to_owned()).unique(true).collation(collation).build();
    let narrow: Document = doc! { "participantsKey": { "$gt": "m" } };
    let narrow = IndexOptions::builder()
        .name("narrow".to_owned())
        .unique(true)
        .partial_filter_expression(narrow)
        .build();
    let hidden =
        IndexOptions::builder().name("hidden".to_owned()).unique(true).sparse(true).hidden(true).build();
    let place = Place::fresh().await;
    for options in [plain, folding, narrow, hidden] {
        place.chats().create_index(keyed(options)).await.unwrap();
    }
    let status = indexes(&place).await.status().await.unwrap();
    let status = on_the_key(&status);
    assert_eq!(status.found, None);
    let mut unfit: Vec<&str> = status.unfit.iter().map(|index| index.name.as_str()).collect();
    unfit.sort_unstable();
    assert_eq!(unfit, ["folding", "hidden", "narrow", "plain"]);
}

#[tokio::test]
async fn duplicates_are_in_the_way_of_the_index_and_it_says_so() {
    let place = Place::fresh().await;
    let chat = || doc! { "participants": ["x", "y"], "participantsKey": "x_y" };
    place.chats().insert_many([chat(), chat()]).await.unwrap();
    let error = indexes(&place).await.create().await.unwrap_err();
    assert!(matches!(&error, IndexError::Duplicates { collection } if collection == "chats"), "{error:?}");
    assert!(error.to_string().contains("onechat audit"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nulls_and_missing_keys_of_others_are_in_nobodys_way() {
    let place = Place::fresh().await;
    let store = place.store().await;
    let keyless = [
        doc! { "participants": ["a", "b"], "participantsKey": null },
        doc! { "participants": ["c", "d"], "participantsKey": null },
        doc! { "participants": ["e", "f"], "participantsKey": "" },
        doc! { "participants": ["g", "h"], "participantsKey": "" },
        doc! { "participants": ["i", "j"] },
    ];
    place.chats().insert_many(keyless).await.unwrap();
    let world = Arc::new(World::default());
    until_it_creates(&store, &world, "bob").await;
}
