//! Differences that nothing explains: found before a merge, and what appears only during one blocks its group. What was lost
//! by older rules, the account sees.

use std::sync::Mutex;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use mongodb::{
    Collection,
    bson::{Bson, Document, doc, oid::ObjectId},
};
use onechat_migrate::{Control, FieldRule, MergeRules, Reference, RowState, Stopped, Uncontrolled};
use onechat_mongo::{MongoMigrator, MongoOptions, RunKind};
use onechat_mongod::{Deployment, shared_replica_set, shared_standalone};

use crate::support::Place;

fn id(group: u8, index: u8) -> ObjectId {
    ObjectId::from_bytes([90, 0, 0, index, group, 0, 0, 0, 0, 0, 0, 0])
}

fn rules(fields: &[(&str, FieldRule)]) -> MergeRules {
    let fields = fields.iter().map(|(field, rule)| ((*field).to_owned(), *rule));
    MergeRules { fields: fields.collect(), ..MergeRules::default() }
}

async fn migrator(place: &Place, rules: MergeRules) -> MongoMigrator {
    MongoMigrator::connect(&place.url, &MongoOptions::default(), rules).await.expect("a server that runs")
}

async fn all(chats: &Collection<Document>) -> Vec<Document> {
    let found = chats.find(doc! {}).sort(doc! { "_id": 1 }).await.expect("it answers");
    found.try_collect().await.expect("it answers")
}

/// Somebody who archives a chat as soon as the merge has found what to merge, and before it reads it.
struct Archives {
    chats: Collection<Document>,
    is_done: Mutex<bool>,
    notes: Mutex<Vec<String>>,
}

#[async_trait]
impl Control for Archives {
    async fn pace(&self, documents: u64) -> Result<(), Stopped> {
        if documents > 0 && !std::mem::replace(&mut *self.is_done.lock().expect("no panic"), true) {
            let archive = doc! { "$set": { "archived": true } };
            self.chats.update_one(doc! { "_id": id(1, 1) }, archive).await.expect("it answers");
        }
        Ok(())
    }

    fn advance(&self, _step: &str, _done: u64, _total: u64) {}

    fn note(&self, text: &str) {
        self.notes.lock().expect("no panic").push(text.to_owned());
    }
}

async fn a_late_difference_blocks_its_group(deployment: &Deployment) {
    let place = Place::on(deployment).await;
    let chats = (0..2).flat_map(|group| (0..2).map(move |index| (group, index))).map(|(group, index)| {
        doc! { "_id": id(group, index), "participants": ["ann", format!("friend {group}")] }
    });
    place.chats().insert_many(chats).await.expect("it answers");
    let migrator = migrator(&place, MergeRules::default()).await;
    assert!(migrator.differences(&Uncontrolled).await.expect("it answers").is_empty());
    let lease = migrator.lease("test").await.expect("it answers");
    let run = migrator.begin_run(&lease, RunKind::Merge).await.expect("it answers");
    // The index is made before: that is paced too.
    migrator.guard_on(&lease, false, &Uncontrolled).await.expect("it answers");
    migrator.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await.expect("it answers");
    let chats: Collection<Document> = place.database.collection("chats");
    let archives = Archives { chats, is_done: Mutex::new(false), notes: Mutex::new(Vec::new()) };
    let report = migrator.merge(&lease, &run, &archives).await.expect("it answers");
    assert_eq!((report.groups, report.blocked), (1, 1), "{report:?}");
    assert!(report.examples[0].contains("archived"), "{report:?}");
    let left = all(&archives.chats).await;
    assert_eq!(left.len(), 3, "{left:?}");
    let differences = migrator.differences(&Uncontrolled).await.expect("it answers");
    assert_eq!((differences.groups, differences.fields[0].field.as_str()), (1, "archived"));
}

#[tokio::test]
async fn a_difference_that_appears_during_the_run_blocks_its_group_on_a_standalone() {
    a_late_difference_blocks_its_group(shared_standalone().await).await;
}

#[tokio::test]
async fn a_difference_that_appears_during_the_run_blocks_its_group_on_a_replica_set() {
    a_late_difference_blocks_its_group(shared_replica_set().await).await;
}

#[tokio::test]
async fn all_differences_of_all_groups_are_found_without_writing() {
    let place = Place::fresh().await;
    let chats = (0..50).flat_map(|group| (0..2).map(move |index| (group, index))).map(|(group, index)| {
        let mut chat = doc! { "_id": id(group, index), "participants": ["ann", format!("friend {group}")] };
        if index == 1 {
            chat.insert(format!("field{}", group % 3), i32::from(group));
        }
        chat
    });
    place.chats().insert_many(chats).await.expect("it answers");
    let before = place.database.run_command(doc! { "dbHash": 1 }).await.expect("it answers");
    let differences = migrator(&place, MergeRules::default())
        .await
        .differences(&Uncontrolled)
        .await
        .expect("it only reads");
    let found: Vec<(&str, u64, usize)> =
        differences.fields.iter().map(|one| (one.field.as_str(), one.groups, one.examples.len())).collect();
    assert_eq!(found, [("field0", 17, 3), ("field1", 17, 3), ("field2", 16, 3)]);
    assert_eq!(differences.groups, 50);
    let after = place.database.run_command(doc! { "dbHash": 1 }).await.expect("it answers");
    assert_eq!(before.get("md5"), after.get("md5"));
}

#[tokio::test]
async fn the_account_sees_the_elements_of_arrays_that_nobody_has_configured() {
    let place = Place::fresh().await;
    let chats = (0..2).map(|index| {
        let own = Bson::from(vec![i32::from(index), 7]);
        doc! {
            "_id": id(0, index), "participants": ["ann", "bob"], "tags": own.clone(), "info": { "labels": own },
        }
    });
    place.chats().insert_many(chats).await.expect("it answers");
    let merging = [("tags", FieldRule::Survivor), ("info", FieldRule::Survivor)];
    let merger = migrator(&place, rules(&merging)).await;
    let lease = merger.lease("test").await.expect("it answers");
    let run = merger.begin_run(&lease, RunKind::Migrate).await.expect("it answers");
    merger.take_inventory(&lease, &run, &Uncontrolled).await.expect("it answers");
    merger.guard_on(&lease, false, &Uncontrolled).await.expect("it answers");
    merger.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await.expect("it answers");
    assert_eq!(merger.merge(&lease, &run, &Uncontrolled).await.expect("it answers").groups, 1);
    let account = merger.account(&run, &Uncontrolled).await.expect("it answers");
    assert!(account.holds, "a rule says that the survivor's are enough: {account:?}");
    for (rules, lost) in [
        (rules(&[]), vec!["info.labels 1", "tags 1"]),
        (rules(&[("tags", FieldRule::Union), ("info", FieldRule::Newest)]), vec!["tags 1"]),
    ] {
        let account = migrator(&place, rules).await.account(&run, &Uncontrolled).await.expect("it answers");
        assert!(!account.holds, "{account:?}");
        let mut missing = account.missing.clone();
        missing.sort();
        assert_eq!(missing.len(), lost.len(), "{account:?}");
        for (line, lost) in missing.iter().zip(lost) {
            assert!(line.contains(lost), "{lost} is not in {line}");
        }
    }
}

#[tokio::test]
async fn a_late_row_that_differs_in_what_no_rule_covers_is_left_and_counted() {
    let place = Place::fresh().await;
    let chats = (0..2).map(|index| doc! { "_id": id(0, index), "participants": ["ann", "bob"] });
    place.chats().insert_many(chats).await.expect("it answers");
    let memberships = Reference {
        collection: "memberships".to_owned(),
        field: "chat".to_owned(),
        time: None,
        sequence: None,
        unique: Vec::new(),
        messages: None,
        state: Some(RowState { participant: "user".to_owned(), rules: [].into(), read_until: None }),
    };
    let migrator =
        migrator(&place, MergeRules { references: vec![memberships], ..MergeRules::default() }).await;
    let lease = migrator.lease("test").await.expect("it answers");
    let run = migrator.begin_run(&lease, RunKind::Merge).await.expect("it answers");
    assert_eq!(migrator.merge(&lease, &run, &Uncontrolled).await.expect("it answers").groups, 1);
    let rows = place.database.collection::<Document>("memberships");
    let row = |number: i32, index: u8, role: &str| {
        doc! { "_id": number, "chat": id(0, index), "user": "ann", "role": role }
    };
    let late = [row(1, 0, "member"), row(2, 1, "admin")];
    rows.insert_many(&late).await.expect("it answers");
    let report = migrator.sweep(&lease, &Uncontrolled).await.expect("it answers");
    assert_eq!((report.moved, report.blocked), (0, 1), "{report:?}");
    assert_eq!(all(&rows).await, late);
    // The look at what could be merged sees such rows too.
    let again = doc! { "_id": id(0, 1), "participants": ["bob", "ann"] };
    place.chats().insert_one(again).await.expect("it answers");
    let differences = migrator.differences(&Uncontrolled).await.expect("it answers");
    let fields: Vec<&str> = differences.fields.iter().map(|one| one.field.as_str()).collect();
    assert_eq!(fields, ["memberships: role"]);
}
