//! Messages that are counted within each chat, by a unique index.

use futures_util::TryStreamExt as _;
use mongodb::{
    IndexModel,
    bson::{DateTime, Document, doc, oid::ObjectId},
};
use onechat_migrate::{MergeRules, MessageFieldsOfRows, Reference, Uncontrolled};
use onechat_mongo::{MongoMigrator, MongoOptions, RunKind, UndoTarget};
use onechat_mongod::{Deployment, shared_replica_set, shared_standalone};

use crate::{
    old_data::{difference, dump},
    support::Place,
};

fn id(kind: u8, group: u8, index: u8) -> ObjectId {
    ObjectId::from_bytes([90, 0, 0, index, kind, group, 0, 0, 0, 0, 0, 0])
}

fn rules() -> MergeRules {
    let messages = Reference {
        collection: "messages".to_owned(),
        field: "chatId".to_owned(),
        time: Some("createdAt".to_owned()),
        sequence: Some("seq".to_owned()),
        unique: Vec::new(),
        messages: Some(MessageFieldsOfRows {
            sender: "sender".to_owned(),
            text: "text".to_owned(),
            client_message_id: "clientMessageId".to_owned(),
            created_at: "createdAt".to_owned(),
        }),
        state: None,
    };
    MergeRules { references: vec![messages], ..MergeRules::default() }
}

fn message(group: u8, chat: u8, seq: u8) -> Document {
    // Those of both chats by turns.
    let at = DateTime::from_millis(1_700_000_000_000 + i64::from(seq) * 10 + i64::from(chat));
    doc! { "_id": id(2 + chat, group, seq), "chatId": id(1, group, chat), "sender": "ann", "seq": i32::from(seq), "createdAt": at }
}

async fn counted_on(deployment: &Deployment) {
    const GROUPS: u8 = 10;
    let place = Place::on(deployment).await;
    let rows = place.database.collection::<Document>("messages");
    let both = || (0..GROUPS).flat_map(|group| (0..2).map(move |index| (group, index)));
    let chats = both().map(|(group, index)| {
        doc! { "_id": id(1, group, index), "participants": ["ann", format!("friend {group}")] }
    });
    place.chats().insert_many(chats).await.expect("it answers");
    let messages = both().flat_map(|(group, index)| (1..=4).map(move |seq| message(group, index, seq)));
    rows.insert_many(messages).await.expect("it answers");
    let unique = mongodb::options::IndexOptions::builder().unique(true).build();
    let index = IndexModel::builder().keys(doc! { "chatId": 1, "seq": 1 }).options(unique).build();
    rows.create_index(index).await.expect("they are unique");
    let before = dump(&place.database).await;

    let migrator = MongoMigrator::connect(&place.url, &MongoOptions::default(), rules()).await;
    let migrator = migrator.expect("a server that runs");
    let lease = migrator.lease("test").await.expect("it answers");
    let run = migrator.begin_run(&lease, RunKind::Migrate).await.expect("it answers");
    migrator.take_inventory(&lease, &run, &Uncontrolled).await.expect("it answers");
    migrator.guard_on(&lease, false, &Uncontrolled).await.expect("it answers");
    migrator.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await.expect("it answers");
    let report = migrator.merge(&lease, &run, &Uncontrolled).await.expect("it answers");
    assert_eq!((report.groups, report.blocked), (u64::from(GROUPS), 0), "{report:?}");
    // An old backend counts on in a chat that has ended.
    let late = doc! { "_id": id(9, 0, 0), "chatId": id(1, 0, 1), "sender": "ann", "seq": 5 };
    rows.insert_one(&late).await.expect("it answers");
    migrator.sweep(&lease, &Uncontrolled).await.expect("it answers");
    for group in 0..GROUPS {
        let living = rows.find(doc! { "chatId": id(1, group, 0) }).sort(doc! { "seq": 1 }).await;
        let living: Vec<Document> = living.expect("it answers").try_collect().await.expect("it answers");
        let numbers: Vec<i32> = living.iter().map(|row| row.get_i32("seq").expect("a number")).collect();
        let expected: Vec<i32> = (1..=if group == 0 { 9 } else { 8 }).collect();
        assert_eq!(numbers, expected, "group {group}");
        let moved: Vec<ObjectId> =
            living[4..8].iter().map(|row| row.get_object_id("_id").expect("its id")).collect();
        assert_eq!(moved, [1, 2, 3, 4].map(|seq| id(3, group, seq)), "group {group}");
    }
    let account = migrator.account(&run, &Uncontrolled).await.expect("it answers");
    assert!(account.holds, "{account:?}");
    migrator.rollback(&lease).await.expect("it answers");
    let undone = migrator.undo(Some(&lease), &UndoTarget::Run(run), false, &Uncontrolled).await;
    let undone = undone.expect("it answers");
    assert!(undone.conflicts.is_empty(), "{undone:?}");
    // The late one is what its writer wrote.
    assert_eq!(rows.find_one(doc! { "_id": id(9, 0, 0) }).await.expect("it answers"), Some(late));
    rows.delete_one(doc! { "_id": id(9, 0, 0) }).await.expect("it answers");
    assert_eq!(difference(&before, &dump(&place.database).await), None);
}

#[tokio::test]
async fn what_is_counted_within_a_chat_is_counted_on_on_a_standalone() {
    counted_on(shared_standalone().await).await;
}

#[tokio::test]
async fn what_is_counted_within_a_chat_is_counted_on_on_a_replica_set() {
    counted_on(shared_replica_set().await).await;
}
