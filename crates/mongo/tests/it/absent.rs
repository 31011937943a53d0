//! "There is no such chat" is a claim about everybody: who was cut off must not make it.

use std::time::Duration;

use onechat_core::{ResolveError, StoreError, ports::ChatStore};
use onechat_mongo::{MongoChatStore, MongoOptions};
use onechat_mongod::{Deployment, fresh_database};

use crate::support::{World, chat_of};

/// The old primary is paused, the others elect one and acknowledge a chat; then they are paused and the old one wakes
/// up. It has not heard of the chat, and may take itself for the primary.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_primary_of_the_past_does_not_say_that_a_chat_is_missing() {
    let deployment = Deployment::replica_set().await.unwrap();
    let name = fresh_database("absent");
    let past = deployment.primary().await.unwrap();
    let direct = {
        let (server, options) = (deployment.uri_of(past).unwrap(), "directConnection=true");
        let server = server.split('?').next().unwrap_or_default().trim_end_matches('/').to_owned();
        format!("{server}/{name}?{options}")
    };
    let options = MongoOptions { deadline: Duration::from_secs(3), ..MongoOptions::default() };
    let cut_off = MongoChatStore::connect(&direct, options).await.unwrap();
    let others = MongoChatStore::connect(&deployment.uri(&name), MongoOptions::default()).await.unwrap();
    let world = World::default();
    let known = cut_off.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap().chat;

    deployment.pause(past).unwrap();
    deployment.primary().await.unwrap();
    let chat = others.create_or_get(world.proposal(&["ann", "carol"])).await.unwrap().chat;
    let present: Vec<usize> = (0..deployment.members()).filter(|member| *member != past).collect();
    for member in &present {
        deployment.pause(*member).unwrap();
    }
    deployment.resume(past).unwrap();

    // Its connections may have to be made anew first: until it answers about a chat that it knows.
    let awake = async { while !matches!(cut_off.lookup(&known.identity).await, Ok(Some(_))) {} };
    tokio::time::timeout(Duration::from_mins(1), awake).await.expect("a member that runs answers reads");
    let by_id = cut_off.chat(&chat.id).await;
    assert!(matches!(by_id, Err(StoreError::Unavailable(_))), "{by_id:?}");
    let by_set = cut_off.lookup(&chat_of(&["ann", "carol"])).await;
    assert!(matches!(by_set, Err(ResolveError::Store(StoreError::Unavailable(_)))), "{by_set:?}");
    let sent = cut_off.send(world.message(&chat.id, "ann", "m1")).await;
    assert!(matches!(sent, Err(StoreError::Unavailable(_))), "{sent:?}");

    for member in present {
        deployment.resume(member).unwrap();
    }
    deployment.wait_until_healthy().await.unwrap();
    assert_eq!(others.chat(&chat.id).await.unwrap(), Some(chat));
}
