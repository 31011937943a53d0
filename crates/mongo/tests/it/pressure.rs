//! More than the database can do: bounded queues, deadlines, and nothing that was accepted is lost.

use std::{sync::Arc, time::Duration};

use onechat_core::{OutcomeKind, ResolveError, StoreError, ports::ChatStore};
use onechat_mongo::MongoOptions;
use onechat_mongod::Deployment;

use crate::support::{Place, World};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn beyond_the_queue_callers_are_turned_away_and_nothing_accepted_is_lost() {
    let deployment = Deployment::standalone().await.unwrap();
    let place = Place::on(&deployment).await;
    let options =
        MongoOptions { queue_capacity: 10, deadline: Duration::from_mins(2), ..MongoOptions::default() };
    let (store, world) = (place.store_with(options).await, World::default());
    deployment.pause(0).unwrap();
    let calls: Vec<_> = (0..100)
        .map(|n| {
            let (store, proposal) = (Arc::clone(&store), world.proposal(&["ann", &format!("friend-{n}")]));
            tokio::spawn(async move { store.create_or_get(proposal).await })
        })
        .collect();
    let finished = || calls.iter().filter(|call| call.is_finished()).count();
    tokio::time::timeout(Duration::from_mins(1), async {
        while finished() < 90 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("callers beyond the queue must be answered although the database hangs");
    deployment.resume(0).unwrap();
    let (mut created, mut turned_away) = (0, 0);
    for call in calls {
        match call.await.unwrap() {
            Ok(outcome) => {
                assert_eq!(outcome.kind, OutcomeKind::Created);
                assert!(store.chat(&outcome.chat.id).await.unwrap().is_some());
                created += 1;
            }
            Err(ResolveError::Store(StoreError::Overloaded)) => turned_away += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((created, turned_away), (10, 90));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_database_that_hangs_is_given_up_and_taken_up_again() {
    let deployment = Deployment::standalone().await.unwrap();
    let place = Place::on(&deployment).await;
    let options = MongoOptions { deadline: Duration::from_millis(800), ..MongoOptions::default() };
    let (store, world) = (place.store_with(options).await, World::default());
    let chat = store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap().chat;
    deployment.pause(0).unwrap();
    let give_up = async {
        let calls = (
            store.create_or_get(world.proposal(&["ann", "carol"])),
            store.create_or_get(world.proposal(&["ann", "bob"])),
            store.chat(&chat.id),
            store.send(world.message(&chat.id, "ann", "m1")),
        );
        let (new, old, read, sent) = tokio::join!(calls.0, calls.1, calls.2, calls.3);
        assert!(matches!(new, Err(ResolveError::Store(StoreError::Unavailable(_)))), "{new:?}");
        assert!(matches!(old, Err(ResolveError::Store(StoreError::Unavailable(_)))), "{old:?}");
        assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
        assert!(matches!(sent, Err(StoreError::Unavailable(_))), "{sent:?}");
    };
    tokio::time::timeout(Duration::from_mins(1), give_up).await.expect("no call may hang for ever");
    deployment.resume(0).unwrap();
    let again = async { while store.create_or_get(world.proposal(&["ann", "carol"])).await.is_err() {} };
    tokio::time::timeout(Duration::from_mins(1), again).await.expect("the store must find back by itself");
    assert_eq!(store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap().chat, chat);
}
