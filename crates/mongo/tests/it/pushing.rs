//! Merges beside an old backend that still pushes ids of messages into its chats, and sets the pointer to the newest one.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use mongodb::{
    Database,
    bson::{Bson, DateTime, Document, doc, oid::ObjectId},
};
use onechat_migrate::{EmbeddedArray, FieldRule, MergeRules, Uncontrolled};
use onechat_mongo::{MongoMigrator, MongoOptions, RunKind, UndoTarget};
use onechat_mongod::{Deployment, shared_replica_set, shared_standalone};

use crate::{
    old_data::{difference, dump},
    support::Place,
};

const GROUPS: u8 = 20;
const SIZE: u8 = 3;

fn chat(group: u8, index: u8) -> ObjectId {
    ObjectId::from_bytes([90, 0, 0, index, group, 0, 0, 0, 0, 0, 0, 0])
}

fn rules() -> MergeRules {
    MergeRules {
        embedded: vec![EmbeddedArray {
            field: "messages".to_owned(),
            id: None,
            ids_of: Some("messages".to_owned()),
            time: Some("sentAt".to_owned()),
            sender: None,
        }],
        fields: [("lastMessage".to_owned(), FieldRule::Newest)].into(),
        ..MergeRules::default()
    }
}

/// Stores a message and notes it in the chat, as a program that knows nothing of merging does it; whether the chat was there.
async fn send(database: &Database, chat: ObjectId, ms: i64) -> Option<ObjectId> {
    let message = ObjectId::new();
    let row = doc! { "_id": message, "text": "hi", "sentAt": DateTime::from_millis(ms) };
    database.collection::<Document>("messages").insert_one(row).await.expect("it answers");
    let note = doc! { "$push": { "messages": message }, "$set": { "lastMessage": message } };
    let chats = database.collection::<Document>("chats");
    let noted = chats.update_one(doc! { "_id": chat }, note).await.expect("it answers");
    (noted.matched_count == 1).then_some(message)
}

/// What was noted of which group, in the order of time.
async fn write(database: Database, stop: Arc<AtomicBool>) -> Vec<(u8, ObjectId)> {
    let (mut written, begin) = (Vec::new(), 1_900_000_000_000);
    for turn in 0_i64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let at = |many: u8| u8::try_from(turn % i64::from(many)).expect("it is small");
        let chat = chat(at(GROUPS), at(SIZE));
        written.extend(send(&database, chat, begin + turn).await.map(|message| (at(GROUPS), message)));
    }
    written
}

async fn place_with_chats(deployment: &Deployment) -> Place {
    let place = Place::on(deployment).await;
    for group in 0..GROUPS {
        for index in 0..SIZE {
            let new = doc! { "_id": chat(group, index), "participants": ["ann", format!("friend {group}")] };
            place.chats().insert_one(new).await.expect("it answers");
            for time in 0..3 {
                // In turn with those of the other chats.
                let ms = 1_600_000_000_000 + time * 10 + i64::from(index);
                send(&place.database, chat(group, index), ms).await.expect("the chat is there");
            }
        }
    }
    place
}

async fn nothing_that_was_pushed_is_lost(deployment: &Deployment) {
    let place = place_with_chats(deployment).await;
    let migrator = MongoMigrator::connect(&place.url, &MongoOptions::default(), rules())
        .await
        .expect("a server that runs");
    let lease = migrator.lease("test").await.expect("it answers");
    let run = migrator.begin_run(&lease, RunKind::Merge).await.expect("it answers");
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write(place.database.clone(), Arc::clone(&stop)));
    let report = migrator.merge(&lease, &run, &Uncontrolled).await.expect("it answers");
    stop.store(true, Ordering::Relaxed);
    let written = writer.await.expect("a writer ends");
    assert_eq!((report.blocked, report.losers), (0, u64::from(GROUPS * (SIZE - 1))), "{report:?}");
    for group in 0..GROUPS {
        let living = place.chats().find_one(doc! { "_id": chat(group, 0) }).await.expect("it answers");
        let living = living.expect("the oldest lives on");
        let messages = living.get_array("messages").expect("a list");
        let late: Vec<Bson> =
            written.iter().filter(|(of, _)| *of == group).map(|(_, message)| (*message).into()).collect();
        assert_eq!(messages.len(), 9 + late.len(), "group {group}");
        let kept: Vec<Bson> = messages.iter().filter(|message| late.contains(message)).cloned().collect();
        assert_eq!(kept.len(), late.len(), "group {group}: {messages:?}");
        if let Some(newest) = late.last() {
            assert_eq!(living.get("lastMessage"), Some(newest), "group {group}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pushed_during_a_merge_is_kept_on_a_standalone() {
    nothing_that_was_pushed_is_lost(shared_standalone().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_pushed_during_a_merge_is_kept_on_a_replica_set() {
    nothing_that_was_pushed_is_lost(shared_replica_set().await).await;
}

#[tokio::test]
async fn lists_of_ids_are_in_order_and_given_back_to_the_byte() {
    for deployment in [shared_standalone().await, shared_replica_set().await] {
        let place = place_with_chats(deployment).await;
        let before = dump(&place.database).await;
        let migrator = MongoMigrator::connect(&place.url, &MongoOptions::default(), rules()).await;
        let migrator = migrator.expect("a server that runs");
        let lease = migrator.lease("test").await.expect("it answers");
        let run = migrator.begin_run(&lease, RunKind::Migrate).await.expect("it answers");
        migrator.take_inventory(&lease, &run, &Uncontrolled).await.expect("it answers");
        migrator.guard_on(&lease, false, &Uncontrolled).await.expect("it answers");
        migrator.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await.expect("it answers");
        migrator.merge(&lease, &run, &Uncontrolled).await.expect("it answers");
        let account = migrator.account(&run, &Uncontrolled).await.expect("it answers");
        assert!(account.holds, "{account:?}");
        let rows = place.database.collection::<Document>("messages");
        for group in 0..GROUPS {
            let living = place.chats().find_one(doc! { "_id": chat(group, 0) }).await.expect("it answers");
            let living = living.expect("it lives on");
            let messages = living.get_array("messages").expect("a list");
            let mut times = Vec::new();
            for message in messages {
                let row = rows.find_one(doc! { "_id": message }).await.expect("it answers").expect("a row");
                times.push(*row.get_datetime("sentAt").expect("its time"));
            }
            assert!(times.len() == 9 && times.is_sorted(), "group {group}: {times:?}");
            assert_eq!(living.get("lastMessage"), messages.last(), "group {group}");
        }
        migrator.rollback(&lease).await.expect("it answers");
        migrator.undo(Some(&lease), &UndoTarget::Run(run), false, &Uncontrolled).await.expect("it answers");
        assert_eq!(difference(&before, &dump(&place.database).await), None);
    }
}
