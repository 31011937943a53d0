//! The times of a chat: each new message raises them, whatever the clocks of the servers say.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use mongodb::bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use onechat_core::{Chat, ChatId, NewMessage, PageSize, Timestamp, ports::ChatStore};
use onechat_mongo::MongoChatStore;
use onechat_mongod::shared_replica_set;
use tokio::sync::watch;

use crate::support::{Place, World};

const AT_MS: i64 = 1_700_000_000_000;
const HOUR_MS: i64 = 3_600_000;

fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(AT_MS + ms).expect("it is valid")
}

fn message(world: &World, chat: &ChatId, client: &str, clock_ms: i64) -> NewMessage {
    NewMessage { now: at(clock_ms), ..world.message(chat, "ann", client) }
}

async fn chat(store: &MongoChatStore, id: &ChatId) -> Chat {
    store.chat(id).await.expect("the database answers").expect("it is valid")
}

#[tokio::test]
async fn each_new_message_raises_both_times_whatever_the_clock_says() {
    let (place, world) = (Place::fresh().await, World::default());
    let store = place.store().await;
    let mut proposal = world.proposal(&["ann", "bob"]);
    proposal.now = at(0);
    let mut before = store.create_or_get(proposal).await.unwrap().chat;
    for (n, clock_ms) in [-HOUR_MS, 0, 0, 1, HOUR_MS, HOUR_MS + 5, 10, 11, -50].into_iter().enumerate() {
        let sent =
            store.send(message(&world, &before.id, &format!("m{n}"), clock_ms)).await.unwrap().unwrap();
        assert_eq!(sent.message.created_at, at(clock_ms), "a message has the time of the clock");
        let after = chat(&store, &before.id).await;
        let raised = before.last_activity_at().unix_ms() + 1;
        let expected = Timestamp::from_unix_ms(raised).unwrap().max(at(clock_ms));
        assert_eq!((after.last_message_at, after.updated_at), (Some(expected), expected), "message {n}");
        before = after;
    }
}

#[tokio::test]
async fn times_of_other_programs_are_raised_each_by_itself() {
    let (place, world) = (Place::fresh().await, World::default());
    let store = place.store().await;
    let date = |ms: i64| Bson::DateTime(DateTime::from_millis(AT_MS + ms));
    // What is there, the clock, and what is there then.
    let cases = [
        (doc! {}, 0, (0, 0)),
        (doc! { "lastMessageAt": null, "updatedAt": null }, 0, (0, 0)),
        (doc! { "lastMessageAt": null, "createdAt": date(7), "updatedAt": date(9) }, 0, (8, 10)),
        (doc! { "lastMessageAt": date(5), "updatedAt": date(HOUR_MS) }, 10, (10, HOUR_MS + 1)),
        (doc! { "lastMessageAt": date(20), "updatedAt": date(3) }, 10, (21, 10)),
        // What a reader is shown as `updatedAt` is then the creation: it has to grow as well.
        (doc! { "createdAt": date(HOUR_MS) }, 0, (HOUR_MS + 1, HOUR_MS + 1)),
    ];
    for (n, (times, clock_ms, (active, updated))) in (1_u8..).zip(cases) {
        let id = ObjectId::from_bytes([n; 12]);
        let mut document = doc! { "_id": id, "participants": ["ann", format!("b{n}")] };
        document.extend(times);
        place.chats().insert_one(document).await.unwrap();
        let id = ChatId::new(id.to_hex()).unwrap();
        store.send(message(&world, &id, "m", clock_ms)).await.unwrap().unwrap();
        let after = chat(&store, &id).await;
        assert_eq!((after.last_message_at, after.updated_at), (Some(at(active)), at(updated)), "case {n}");
    }
}

/// Two servers with clocks apart, many senders at once, and a client that reads the newest messages only when the chat
/// has changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_that_goes_by_updated_at_sees_every_message() {
    const ROUNDS: i64 = 40;
    let (place, world) = (Place::on(shared_replica_set().await).await, World::default());
    let (one, two) = tokio::join!(place.store(), place.store());
    let id = one.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap().chat.id;
    let seen = Arc::new(Mutex::new(HashSet::new()));
    let (polled, mut polls) = watch::channel(0_u64);
    let is_over = Arc::new(AtomicBool::new(false));
    let client = {
        let (store, id, seen, is_over) =
            (Arc::clone(&one), id.clone(), Arc::clone(&seen), Arc::clone(&is_over));
        tokio::spawn(async move {
            let mut known = None;
            while !is_over.load(Ordering::Relaxed) {
                let updated = Some(chat(&store, &id).await.updated_at);
                if updated != known {
                    let page = store.messages(&id, PageSize::new(100).unwrap(), None).await.unwrap();
                    seen.lock().unwrap().extend(page.items.into_iter().map(|message| message.id));
                    known = updated;
                }
                polled.send_modify(|count| *count += 1);
            }
        })
    };
    let mut raised = chat(&one, &id).await.updated_at.unix_ms();
    for round in 0..ROUNDS {
        let messages: Vec<NewMessage> = (0..8_i64)
            .map(|n| message(&world, &id, &format!("{round}-{n}"), round * 3 + n % 2 * -50))
            .collect();
        let sends = messages.iter().enumerate().map(|(n, message)| {
            let store = if n % 2 == 0 { &one } else { &two };
            store.send(message.clone())
        });
        for sent in futures_util::future::join_all(sends).await {
            assert!(sent.unwrap().unwrap().created);
        }
        // Two polls have ended since: the second began when all was quiet.
        let quiet = *polls.borrow_and_update() + 2;
        polls.wait_for(|count| *count >= quiet).await.unwrap();
        let unseen: Vec<_> =
            messages.iter().filter(|message| !seen.lock().unwrap().contains(&message.id)).collect();
        assert!(unseen.is_empty(), "round {round}: not seen {unseen:?}");
        let updated = chat(&one, &id).await.updated_at.unix_ms();
        assert!(updated >= raised + 8, "round {round}: 8 messages raised {raised} to {updated}");
        raised = updated;
    }
    is_over.store(true, Ordering::Relaxed);
    client.await.unwrap();
}

#[tokio::test]
async fn a_repeat_stays_in_its_place_and_makes_up_for_a_raise_that_was_lost() {
    let (place, world) = (Place::fresh().await, World::default());
    let store = place.store().await;
    let mut proposal = world.proposal(&["ann", "bob"]);
    proposal.now = at(0);
    let id = store.create_or_get(proposal).await.unwrap().chat.id;
    store.send(message(&world, &id, "m1", 100)).await.unwrap().unwrap();
    let first = chat(&store, &id).await;
    let again = store.send(message(&world, &id, "m1", HOUR_MS)).await.unwrap().unwrap();
    assert!(!again.created);
    let repeated = chat(&store, &id).await;
    assert_eq!(repeated.last_message_at, first.last_message_at, "a repeat is no activity");

    // A server that died after it had stored a message, its clock behind or not.
    for (client, created_ms, active_ms) in [("behind", 50, 100), ("ahead", 500, 500)] {
        let before = chat(&store, &id).await;
        let messages = place.database.collection::<Document>("messages");
        let lost = doc! {
            "chatId": ObjectId::parse_str(id.as_str()).unwrap(), "sender": "ann", "text": "hello",
            "clientMessageId": client, "createdAt": DateTime::from_millis(AT_MS + created_ms),
        };
        messages.insert_one(lost).await.unwrap();
        let again = store.send(message(&world, &id, client, HOUR_MS)).await.unwrap().unwrap();
        assert!(!again.created);
        let after = chat(&store, &id).await;
        assert!(after.updated_at > before.updated_at, "{client}: who goes by updatedAt misses the message");
        assert_eq!(after.last_message_at, Some(at(active_ms)), "{client}");
    }
}

#[tokio::test]
async fn a_rule_that_forbids_the_raise_loses_no_message() {
    let (place, world) = (Place::fresh().await, World::default());
    let store = place.store().await;
    let id = store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap().chat.id;
    let rule = doc! { "collMod": "chats", "validator": { "kind": { "$exists": true } } };
    place.database.run_command(rule).await.unwrap();
    let sent = store.send(message(&world, &id, "m1", 0)).await.unwrap().unwrap();
    assert!(sent.created);
    assert!(!store.send(message(&world, &id, "m1", 0)).await.unwrap().unwrap().created);
}
