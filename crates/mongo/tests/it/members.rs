//! A chat by its id, for its participants only: nobody else can tell it from one that does not exist.

use futures_util::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use onechat_core::{
    ChatId, Participant,
    ports::{AliasStore, ChatStore},
};
use onechat_mongo::{IdMapping, Mapping, MongoChatStore, MongoOptions, PublicIdForm};
use onechat_mongod::{Deployment, shared_replica_set, shared_standalone};

use crate::support::{Place, World};

const INDEX: &str = "onechat_id_participants";

fn id(text: &str) -> ChatId {
    ChatId::new(text).expect("it is valid")
}

fn who(name: &str) -> Participant {
    Participant::new(name).expect("it is valid")
}

/// A chat of ann and bob, an alias of it, and an alias of that.
async fn chat_with_aliases(place: &Place, store: &MongoChatStore) -> [ChatId; 3] {
    let chat = store
        .create_or_get(World::default().proposal(&["ann", "bob"]))
        .await
        .expect("the database answers")
        .chat
        .id;
    store.add_alias(&id("old"), &chat).await.expect("the database answers");
    // As a second merge leaves it.
    let aliases = place.database.collection::<Document>("onechat_aliases");
    aliases.insert_one(doc! { "_id": "older", "chat": "old" }).await.expect("the database answers");
    [chat, id("old"), id("older")]
}

async fn answers_are_right(deployment: &Deployment) {
    let place = Place::on(deployment).await;
    let store = place.store().await;
    let ids = chat_with_aliases(&place, &store).await;
    for is_indexed in [true, false] {
        if !is_indexed {
            place.chats().drop_index(INDEX).await.expect("the database answers");
        }
        let chat = store.chat(&ids[0]).await.expect("the database answers");
        assert!(chat.is_some());
        for id in &ids {
            for name in ["ann", "bob"] {
                assert_eq!(
                    store.chat_for(id, &who(name)).await.expect("the database answers"),
                    chat,
                    "{id} for {name}"
                );
            }
            for name in ["carol", "ANN", "an", "ann_bob"] {
                assert_eq!(
                    store.chat_for(id, &who(name)).await.expect("the database answers"),
                    None,
                    "{id} for {name}"
                );
            }
        }
        for absent in ["000000000000000000000000", "nothing"] {
            assert_eq!(store.chat_for(&id(absent), &who("ann")).await.expect("the database answers"), None);
        }
    }
}

#[tokio::test]
async fn participants_find_their_chat_and_nobody_else_does() {
    answers_are_right(shared_standalone().await).await;
}

#[tokio::test]
async fn participants_find_their_chat_and_nobody_else_does_on_a_replica_set() {
    answers_are_right(shared_replica_set().await).await;
}

/// What the server did for the store since so many commands: each command with its collection, and the documents of chats
/// that were fetched.
async fn commands(place: &Place, since: usize) -> (usize, Vec<String>, i32) {
    let profile = place.database.collection::<Document>("system.profile");
    let ours = doc! {
        "appName": "onechat",
        "$or": [{ "command.find": "chats" }, { "command.aggregate": "onechat_aliases" }],
    };
    let all: Vec<Document> = profile
        .find(ours)
        .sort(doc! { "$natural": 1 })
        .await
        .expect("the database answers")
        .try_collect()
        .await
        .expect("the database answers");
    let named = all[since..].iter().map(|entry| {
        let level = entry
            .get_document("command")
            .expect("it is valid")
            .get_document("readConcern")
            .expect("it is valid");
        format!(
            "{} {}",
            entry.get_str("ns").expect("it is valid"),
            level.get_str("level").expect("it is valid")
        )
    });
    let chats = place.chats().namespace().to_string();
    let of_chats = all[since..].iter().filter(|entry| entry.get_str("ns").expect("it is valid") == chats);
    let fetched = of_chats.map(|entry| entry.get_i32("docsExamined").unwrap_or(0)).sum();
    (all.len(), named.collect(), fetched)
}

#[tokio::test]
async fn a_chat_of_others_costs_what_an_absent_one_costs() {
    let place = Place::on(shared_replica_set().await).await;
    let store = place.store().await;
    let ids = chat_with_aliases(&place, &store).await;
    place.database.run_command(doc! { "profile": 2 }).await.unwrap();
    let mut costs = Vec::new();
    let mut since = 0;
    let absent = [id("000000000000000000000000"), id("nothing")];
    for id in absent.iter().chain(&ids) {
        assert_eq!(store.chat_for(id, &who("carol")).await.unwrap(), None);
        let (count, named, fetched) = commands(&place, since).await;
        assert_eq!(fetched, 0, "the document of others was read for {id}");
        costs.push(named);
        since = count;
    }
    assert!(costs[0].iter().any(|command| command.ends_with("linearizable")), "{costs:?}");
    assert!(costs.iter().all(|cost| *cost == costs[0]), "{costs:#?}");
    assert!(store.chat_for(&ids[0], &who("ann")).await.unwrap().is_some());
    let (_, named, fetched) = commands(&place, since).await;
    assert_eq!((named.len(), fetched), (1, 1), "a participant's own chat is one read");
}

#[tokio::test]
async fn an_id_that_cannot_exist_costs_what_an_absent_one_costs() {
    let place = Place::on(shared_replica_set().await).await;
    let public = IdMapping::Field { name: "publicId".to_owned(), form: PublicIdForm::Uuid };
    let mapping = Mapping { id: public, ..Mapping::default() };
    let store = place.store_with(MongoOptions { mapping, ..MongoOptions::default() }).await;
    let chat = id("67e55044-10b1-426f-9247-bb680e5fe0c8");
    let proposal = World::default().proposal_with_id(&["ann", "bob"], chat.clone());
    store.create_or_get(proposal).await.unwrap();
    assert!(store.chat_for(&chat, &who("bob")).await.unwrap().is_some());
    place.database.run_command(doc! { "profile": 2 }).await.unwrap();
    let (mut since, mut costs) = (0, Vec::new());
    for id in [&id("00000000-0000-4000-8000-000000000000"), &id("no uuid"), &chat] {
        assert_eq!(store.chat_for(id, &who("carol")).await.unwrap(), None);
        let (count, named, fetched) = commands(&place, since).await;
        assert_eq!(fetched, 0);
        costs.push(named);
        since = count;
    }
    assert!(costs.iter().all(|cost| *cost == costs[0]), "{costs:#?}");
}
