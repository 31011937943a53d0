//! Ids of merged chats go on working in every call, and a message that is on its way while its chat is merged arrives.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{TryStreamExt as _, future::join_all};
use mongodb::bson::{DateTime, Document, doc, oid::ObjectId};
use onechat_core::{
    ChatId, PageSize,
    ports::{AliasStore as _, ChatStore},
};
use onechat_migrate::{GroupPlan, Uncontrolled};
use onechat_mongo::RunKind;
use onechat_mongod::{Deployment, shared_replica_set, shared_standalone};
use tokio::sync::watch;

use crate::{
    old_data::migrator,
    support::{Place, World},
};

fn id(text: &str) -> ChatId {
    ChatId::new(text).expect("the database answers")
}

async fn alias(place: &Place, from: &str, to: &str) {
    let aliases = place.database.collection::<Document>("onechat_aliases");
    aliases.insert_one(doc! { "_id": from, "chat": to }).await.expect("the database answers");
}

#[tokio::test]
async fn a_chain_of_aliases_is_followed_in_every_call() {
    let place = Place::fresh().await;
    let (store, world) = (place.store().await, World::default());
    let chat = store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap().chat;
    // Each of these was merged into the next one.
    for n in 0..10 {
        alias(&place, &format!("old{n}"), &format!("old{}", n + 1)).await;
    }
    alias(&place, "old10", chat.id.as_str()).await;
    assert_eq!(store.chat(&id("old0")).await.unwrap(), Some(chat.clone()));
    let sent = store.send(world.message(&id("old0"), "ann", "m1")).await.unwrap().unwrap();
    assert_eq!(sent.message.chat, chat.id);
    let page = store.messages(&id("old3"), PageSize::default(), None).await.unwrap();
    assert_eq!(page.items, [sent.message]);
    store.add_alias(&id("older"), &id("old0")).await.unwrap();
    assert_eq!(store.chat(&id("older")).await.unwrap().map(|chat| chat.id), Some(chat.id));
}

#[tokio::test]
async fn a_ring_of_aliases_ends() {
    let place = Place::fresh().await;
    let (store, world) = (place.store().await, World::default());
    alias(&place, "one", "two").await;
    alias(&place, "two", "one").await;
    assert_eq!(store.chat(&id("one")).await.unwrap(), None);
    assert!(store.send(world.message(&id("two"), "ann", "m1")).await.unwrap().is_none());
}

/// Senders write to the old ids during the merges. Their clock is behind what the chats have seen. On a replica set they never
/// stop: they are quicker than a merge, which has to make them wait. On a standalone it cannot, so each stops after some.
async fn sent_during_merges(deployment: &Deployment, sweeps: bool) {
    const GROUPS: usize = 30;
    let place = Place::on(deployment).await;
    place.database.create_collection("onechat_aliases").await.expect("it answers");
    let later = DateTime::from_millis(4_000_000_000_000);
    let (mut groups, mut chats) = (Vec::new(), Vec::new());
    for n in 0..GROUPS {
        let (survivor, loser) = (ObjectId::new(), ObjectId::new());
        let people = ["ann".to_owned(), format!("friend{n}")];
        chats.push(doc! { "_id": survivor, "participants": &people[..], "participantsKey": people.join("_"), "lastMessageAt": later, "updatedAt": later });
        chats.push(
            doc! { "_id": loser, "participants": &people[..], "lastMessageAt": later, "updatedAt": later },
        );
        groups.push((survivor, loser));
    }
    place.chats().insert_many(&chats).await.expect("it answers");
    let (store, world) = (place.store().await, Arc::new(World::default()));
    let migrator = migrator(&place).await;
    let lease = migrator.lease("test").await.expect("it answers");
    let run = migrator.begin_run(&lease, RunKind::Merge).await.expect("it answers");
    let mut plans = BTreeMap::new();
    let mut keep = |plan: GroupPlan| {
        plans.insert(plan.survivor.as_object_id().expect("an ObjectId"), plan);
        Ok(())
    };
    migrator.plan(&Uncontrolled, &mut keep).await.expect("it answers");

    let mut acknowledged = Vec::new();
    for (survivor, loser) in groups {
        let (merged, is_merged) = watch::channel(false);
        let senders: Vec<_> = (0..4)
            .map(|sender| {
                let (store, world, mut is_merged) =
                    (Arc::clone(&store), Arc::clone(&world), is_merged.clone());
                let most = if sweeps { (sender + acknowledged.len()) % 8 } else { usize::MAX };
                tokio::spawn(async move {
                    let (mut sent, mut after) = (Vec::new(), 0);
                    while after < 2 {
                        if sent.len() >= most {
                            is_merged.wait_for(|is_merged| *is_merged).await.expect("the merge ends");
                        }
                        after += usize::from(*is_merged.borrow());
                        let name = format!("{loser} {sender} {}", sent.len());
                        let message = world.message(&id(&loser.to_hex()), "ann", &name);
                        let answer = store
                            .send(message)
                            .await
                            .expect("it answers")
                            .expect("the chat is there, under one id or the other");
                        assert!(answer.created);
                        sent.push((answer.message.id, name));
                    }
                    sent
                })
            })
            .collect();
        let plan = plans.remove(&survivor).expect("a plan for each");
        loop {
            let mut plan = std::iter::once(Ok(plan.clone()));
            let report = migrator.apply(&lease, &run, &mut plan, &Uncontrolled).await.expect("it answers");
            // Without transactions a chat that is written to is spared until the next pass.
            if sweeps && report.groups == 0 {
                continue;
            }
            assert_eq!((report.groups, report.losers), (1, 1), "{report:?}");
            break;
        }
        merged.send_replace(true);
        for sent in join_all(senders).await {
            acknowledged.extend(sent.expect("a sender ends").into_iter().map(|sent| (survivor, sent)));
        }
    }
    if sweeps {
        migrator.sweep(&lease, &Uncontrolled).await.expect("it answers");
    }
    let messages = place.database.collection::<Document>("messages");
    assert_eq!(messages.count_documents(doc! {}).await.expect("it answers"), acknowledged.len() as u64);
    for (survivor, (message, name)) in acknowledged {
        let filter = doc! { "clientMessageId": &name };
        let stored = messages.find_one(filter).await.expect("it answers").expect("it was acknowledged");
        assert_eq!(stored.get_object_id("_id").expect("an id").to_hex(), message.as_str());
        assert_eq!(
            stored.get_object_id("chatId").expect("a chat"),
            survivor,
            "{name} is not where its chat is"
        );
    }
    let without_times = |mut chat: Document| {
        for name in ["lastMessageAt", "updatedAt"] {
            let at = chat.remove(name).and_then(|at| at.as_datetime().copied()).expect("a date");
            assert!(at >= later, "{name} went back");
        }
        chat
    };
    let survivors: Vec<Document> = chats.into_iter().step_by(2).map(without_times).collect();
    let chats = place.chats();
    let find = chats.find(doc! {}).sort(doc! { "_id": 1 });
    let left: Vec<Document> = find.await.expect("it answers").try_collect().await.expect("it answers");
    let left: Vec<Document> = left.into_iter().map(without_times).collect();
    assert_eq!(left, survivors, "no trace stays in a chat");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_message_that_is_sent_while_its_chat_is_merged_is_in_the_survivor_once() {
    sent_during_merges(shared_replica_set().await, false).await;
}

/// Without transactions a message can stay behind, and only until the sweep.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn on_a_standalone_it_is_there_after_the_sweep() {
    sent_during_merges(shared_standalone().await, true).await;
}
