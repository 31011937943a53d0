//! A rush of new chats: once chat after chat was new, only a sample of a batch is looked for before the insert.
//!
//! One thread, so that calls which are made together are in one batch.

use futures_util::future::join_all;
use mongodb::bson::{Document, doc};
use onechat_core::{Outcome, OutcomeKind, ResolveError, ports::ChatStore};
use onechat_mongo::MongoChatStore;

use crate::support::{Place, World};

/// Calls of one wave.
const WAVE: usize = 64;
/// Waves of new chats after which a store expects more of them.
const RUSH: usize = 5;

#[tokio::test]
async fn it_is_inserted_without_a_look_for_each_chat() {
    let place = Place::fresh().await;
    let (store, world) = (place.store().await, World::default());
    rush(&store, &world).await;
    place.database.run_command(doc! { "profile": 2 }).await.unwrap();
    let outcomes = wave(&store, &world, "next").await;
    place.database.run_command(doc! { "profile": 0 }).await.unwrap();
    assert!(outcomes.iter().all(|outcome| kind(outcome) == OutcomeKind::Created));
    let looked_for = keys_looked_for(&place).await;
    assert!((1..WAVE / 4).contains(&looked_for), "{looked_for} keys were looked for, of {WAVE}");
}

#[tokio::test]
async fn chats_that_are_there_are_found_in_it_and_are_no_lost_races() {
    let place = Place::fresh().await;
    let (store, world) = (place.store().await, World::default());
    let existing = wave(&store, &world, "there").await;
    rush(&store, &world).await;
    let again: Vec<_> = (0..WAVE).map(|n| if n == 0 { pair("new", n) } else { pair("there", n) }).collect();
    let outcomes = ask(&store, &world, &again).await;
    assert_eq!(kind(&outcomes[0]), OutcomeKind::Created);
    for (before, now) in existing.iter().zip(&outcomes).skip(1) {
        assert_eq!(kind(now), OutcomeKind::Existing);
        assert_eq!(now.as_ref().unwrap().chat.id, before.as_ref().unwrap().chat.id);
    }
}

#[tokio::test]
async fn without_the_index_nothing_is_inserted_in_it_either() {
    let place = Place::fresh().await;
    let (store, world) = (place.store().await, World::default());
    wave(&store, &world, "there").await;
    rush(&store, &world).await;
    let before = place.chats().count_documents(doc! {}).await.unwrap();
    place.chats().drop_index("onechat_participantsKey").await.unwrap();
    let outcomes = wave(&store, &world, "there").await;
    assert!(outcomes.iter().all(|outcome| !outcome.as_ref().is_ok_and(|it| it.kind == OutcomeKind::Created)));
    assert_eq!(place.chats().count_documents(doc! {}).await.unwrap(), before);
}

async fn rush(store: &MongoChatStore, world: &World) {
    for round in 0..RUSH {
        let outcomes = wave(store, world, &format!("rush-{round}")).await;
        assert!(outcomes.iter().all(|outcome| kind(outcome) == OutcomeKind::Created));
    }
}

async fn wave(store: &MongoChatStore, world: &World, name: &str) -> Vec<Answer> {
    let pairs: Vec<_> = (0..WAVE).map(|n| pair(name, n)).collect();
    ask(store, world, &pairs).await
}

type Answer = Result<Outcome, ResolveError>;

async fn ask(store: &MongoChatStore, world: &World, pairs: &[[String; 2]]) -> Vec<Answer> {
    let calls = pairs.iter().map(|names| world.proposal(&names.each_ref().map(String::as_str)));
    join_all(calls.map(|proposal| store.create_or_get(proposal))).await
}

fn pair(name: &str, n: usize) -> [String; 2] {
    [format!("ann-{name}-{n}"), format!("bob-{name}-{n}")]
}

fn kind(outcome: &Answer) -> OutcomeKind {
    outcome.as_ref().expect("the database answers").kind
}

/// Keys in all finds of chats that the profiler saw.
async fn keys_looked_for(place: &Place) -> usize {
    let profile = place.database.collection::<Document>("system.profile");
    let finds = doc! { "op": "query", "command.find": "chats" };
    let mut cursor = profile.find(finds).await.expect("it answers");
    let mut keys = 0;
    while cursor.advance().await.expect("it answers") {
        let find = cursor.deserialize_current().expect("it answers");
        let filter = find
            .get_document("command")
            .and_then(|command| command.get_document("filter"))
            .expect("it answers");
        let key = filter.get_document("participantsKey").expect("it answers");
        keys += key.get_array("$in").map_or(1, Vec::len);
    }
    keys
}
