//! The account: it holds after a merge, and does not as soon as something is missing.

use mongodb::bson::{
    Binary, Bson, DateTime, Decimal128, Document, Timestamp, doc, oid::ObjectId, spec::BinarySubtype,
};
use onechat_migrate::Uncontrolled;
use onechat_mongo::{AccountReport, MongoMigrator, RunId, RunKind};
use onechat_mongod::{Deployment, shared_replica_set, shared_standalone};

use crate::{old_data::migrator, support::Place};

const GROUPS: u8 = 5;

fn id(kind: u8, group: u8, index: u8) -> ObjectId {
    ObjectId::from_bytes([90, 0, 0, index, kind, group, 0, 0, 0, 0, 0, 0])
}

/// Groups of two chats with a message and an embedded note each, and a chat by itself, merged by a run with an inventory.
struct Merged {
    place: Place,
    migrator: MongoMigrator,
    run: RunId,
}

impl Merged {
    async fn on(deployment: &Deployment) -> Self {
        let place = Place::on(deployment).await;
        let all = || (0..GROUPS).flat_map(|group| (0..2).map(move |index| (group, index)));
        let chats = all().map(|(group, index)| {
            doc! {
                "_id": id(1, group, index), "participants": ["ann", format!("friend {group}")],
                "notes": [{ "_id": format!("note {group} {index}") }],
            }
        });
        place.chats().insert_many(chats).await.expect("it answers");
        place
            .chats()
            .insert_one(doc! { "_id": id(1, GROUPS, 0), "participants": ["ann", "zoe"] })
            .await
            .expect("it answers");
        let messages = all().map(
            |(group, index)| doc! { "_id": id(2, group, index), "chatId": id(1, group, index), "sender": "ann" },
        );
        let rows = place.database.collection::<Document>("messages");
        rows.insert_many(messages).await.expect("it answers");
        rows.insert_one(doc! { "_id": id(2, GROUPS, 0), "chatId": id(1, GROUPS, 0) })
            .await
            .expect("it answers");
        let migrator = migrator(&place).await;
        let lease = migrator.lease("test").await.expect("it answers");
        let run = migrator.begin_run(&lease, RunKind::Migrate).await.expect("it answers");
        migrator.take_inventory(&lease, &run, &Uncontrolled).await.expect("it answers");
        migrator.guard_on(&lease, false, &Uncontrolled).await.expect("it answers");
        migrator.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await.expect("it answers");
        assert_eq!(
            migrator.merge(&lease, &run, &Uncontrolled).await.expect("it answers").groups,
            u64::from(GROUPS)
        );
        let merged = Self { place, migrator, run };
        let account = merged.account().await;
        assert!(account.holds, "{account:?}");
        merged
    }

    async fn account(&self) -> AccountReport {
        self.migrator.account(&self.run, &Uncontrolled).await.expect("it answers")
    }

    fn messages(&self) -> mongodb::Collection<Document> {
        self.place.database.collection("messages")
    }

    async fn is_missed(&self, what: &str) {
        let account = self.account().await;
        assert!(!account.holds, "{account:?}");
        assert!(account.missing.iter().any(|line| line.contains(what)), "{what:?} is not in {account:?}");
    }
}

async fn whatever_is_lost_is_missed(deployment: &Deployment) {
    let merged = Merged::on(deployment).await;
    let [moved, of_survivor, alone] = [id(2, 0, 1), id(2, 0, 0), id(2, GROUPS, 0)];
    for lost in [moved, of_survivor, alone] {
        let row = merged
            .messages()
            .find_one_and_delete(doc! { "_id": lost })
            .await
            .expect("it answers")
            .expect("it answers");
        merged.is_missed(&lost.to_hex()).await;
        merged.messages().insert_one(row).await.expect("it answers");
        assert!(merged.account().await.holds, "it is there again");
    }
    // Where nobody looks for it any more.
    let astray = doc! { "$set": { "chatId": id(1, 1, 0) } };
    merged.messages().update_one(doc! { "_id": moved }, astray).await.expect("it answers");
    merged.is_missed(&moved.to_hex()).await;
    let home = doc! { "$set": { "chatId": id(1, 0, 0) } };
    merged.messages().update_one(doc! { "_id": moved }, home).await.expect("it answers");

    let chats = merged.place.chats();
    let alone = chats
        .find_one_and_delete(doc! { "_id": id(1, GROUPS, 0) })
        .await
        .expect("it answers")
        .expect("it answers");
    merged.is_missed(&id(1, GROUPS, 0).to_hex()).await;
    chats.insert_one(alone).await.expect("it answers");
    let pulled = doc! { "$pull": { "notes": { "_id": "note 2 1" } } };
    chats.update_one(doc! { "_id": id(1, 2, 0) }, pulled).await.expect("it answers");
    merged.is_missed("note 2 1").await;
    let given_back = doc! { "$push": { "notes": { "_id": "note 2 1" } } };
    chats.update_one(doc! { "_id": id(1, 2, 0) }, given_back).await.expect("it answers");

    let aliases = merged.place.database.collection::<Document>("onechat_aliases");
    let alias = aliases
        .find_one_and_delete(doc! { "_id": id(1, 3, 1).to_hex() })
        .await
        .expect("it answers")
        .expect("it answers");
    merged.is_missed(&id(1, 3, 1).to_hex()).await;
    aliases.insert_one(alias).await.expect("it answers");
    assert!(merged.account().await.holds);
}

#[tokio::test]
async fn the_account_misses_whatever_is_lost() {
    whatever_is_lost_is_missed(shared_standalone().await).await;
}

#[tokio::test]
async fn the_account_misses_whatever_is_lost_on_a_replica_set() {
    whatever_is_lost_is_missed(shared_replica_set().await).await;
}

#[tokio::test]
async fn what_others_write_is_nobodys_business() {
    let merged = Merged::on(shared_standalone().await).await;
    let new = doc! { "chatId": id(1, 0, 0), "sender": "ann", "text": "new" };
    merged.messages().insert_one(new).await.expect("it answers");
    merged
        .place
        .chats()
        .insert_one(doc! { "participants": ["x", "y"], "participantsKey": "x_y" })
        .await
        .expect("it answers");
    let text = doc! { "$set": { "text": "edited" } };
    merged.messages().update_one(doc! { "_id": id(2, 0, 1) }, text).await.expect("it answers");
    assert!(merged.account().await.holds);
}

#[tokio::test]
async fn a_run_without_an_inventory_has_no_account() {
    let place = Place::fresh().await;
    let migrator = place.migrator().await;
    let lease = migrator.lease("test").await.expect("it answers");
    let run = migrator.begin_run(&lease, RunKind::Merge).await.expect("it answers");
    let refused = migrator.account(&run, &Uncontrolled).await.expect_err("it is refused").to_string();
    assert!(refused.contains("no inventory"), "{refused}");
}

/// Every type that an `_id` may have, but those that no driver of today writes.
#[tokio::test]
async fn rows_are_accounted_for_whatever_type_their_id_has() {
    let place = Place::fresh().await;
    let ids = [
        Bson::from(id(2, 0, 0)),
        Bson::from("text"),
        Bson::from(7_i32),
        Bson::from(8_i64),
        Bson::from(1.5),
        Bson::from(false),
        Bson::from(DateTime::from_millis(1)),
        Bson::from(Binary { subtype: BinarySubtype::Uuid, bytes: vec![7; 16] }),
        Bson::from(doc! { "chat": 1, "number": 2 }),
        Bson::from(Timestamp { time: 1, increment: 2 }),
        Bson::from("2.5".parse::<Decimal128>().expect("a number")),
        Bson::JavaScriptCode("x".to_owned()),
        Bson::Null,
        Bson::MinKey,
        Bson::MaxKey,
    ];
    let messages = place.database.collection::<Document>("messages");
    let rows = ids.iter().map(|row| doc! { "_id": row, "chatId": id(1, 0, 0) });
    messages.insert_many(rows).await.expect("it is empty");
    let migrator = migrator(&place).await;
    let lease = migrator.lease("test").await.expect("it answers");
    let run = migrator.begin_run(&lease, RunKind::Migrate).await.expect("it answers");
    migrator.take_inventory(&lease, &run, &Uncontrolled).await.expect("it answers");
    for (lost, row) in ids.iter().enumerate() {
        let deleted = messages.delete_one(doc! { "_id": row }).await.expect("it answers");
        assert_eq!(deleted.deleted_count, 1, "{row}");
        let account = migrator.account(&run, &Uncontrolled).await.expect("it answers");
        assert_eq!(account.missing_count, lost as u64 + 1, "{row} is lost, and {account:?}");
    }
}
