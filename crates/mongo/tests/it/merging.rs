//! Merging on real servers: what comes out is what was planned, whoever writes meanwhile and wherever it is cut off.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use onechat_core::{ChatId, ports::ChatStore as _};
use onechat_migrate::{GroupPlan, Uncontrolled};
use onechat_mongo::{Lease, MergeReport, MongoMigrator, MongoOptions, RunId, RunKind, UndoTarget};
use onechat_mongod::{Deployment, Setup, shared_replica_set, shared_standalone};

use crate::{
    old_data::{difference, dump, migrator},
    support::Place,
};

/// A database in the middle of a migration.
struct Old {
    place: Place,
    migrator: MongoMigrator,
    lease: Lease,
    run: RunId,
}

fn id(kind: u8, group: usize, index: usize) -> ObjectId {
    let seconds = 1_600_000_000 + u32::try_from(index).expect("few chats");
    let [high, low] = u16::try_from(group).expect("few groups").to_be_bytes();
    ObjectId::from_parts(seconds, [kind; 5], [kind, high, low])
}

/// The chats of group `group`, the oldest first.
fn chat(group: usize, index: usize) -> ObjectId {
    id(1, group, index)
}

fn people(group: usize) -> [String; 2] {
    ["ann".to_owned(), format!("friend{group}")]
}

impl Old {
    async fn on(deployment: &Deployment) -> Self {
        let place = Place::on(deployment).await;
        let migrator = migrator(&place).await;
        let lease = migrator.lease("test").await.expect("nobody else is there");
        let run = migrator.begin_run(&lease, RunKind::Merge).await.expect("the database answers");
        Self { place, migrator, lease, run }
    }

    /// `groups` groups of `size` chats, each with a note, a message, a membership; a bookmark names all of a group.
    async fn fill(&self, groups: usize, size: usize) {
        let all = || (0..groups).flat_map(|group| (0..size).map(move |index| (group, index)));
        let chats = all().map(|(group, index)| {
            doc! {
                "_id": chat(group, index), "participants": people(group).to_vec(),
                "notes": [{ "_id": format!("old-{group}-{index}"), "at": DateTime::from_millis(i64::try_from(index).expect("a small group")) }],
                "unread": { "ann": 1 }, "title": format!("title {index}"),
            }
        });
        self.place.chats().insert_many(chats).await.expect("it is empty");
        let messages = all().map(|(group, index)| {
            let chat = chat(group, index);
            let named = if index == 1 { Bson::String(chat.to_hex()) } else { Bson::ObjectId(chat) };
            doc! { "_id": id(2, group, index), "chatId": named, "sender": "ann", "text": format!("text {index}"),
                "clientMessageId": format!("c{index}") }
        });
        self.insert("messages", messages.collect()).await;
        let memberships = all().map(|(group, index)| {
            doc! { "_id": id(3, group, index), "chat": { "id": chat(group, index) }, "user": "ann", "unread": 1 }
        });
        self.insert("memberships", memberships.collect()).await;
        let bookmarks = (0..groups).map(|group| {
            let ids: Vec<ObjectId> = (0..size).map(|index| chat(group, index)).collect();
            doc! { "_id": id(4, group, 0), "chats": ids }
        });
        self.insert("bookmarks", bookmarks.collect()).await;
    }

    async fn insert(&self, collection: &str, rows: Vec<Document>) {
        let collection = self.place.database.collection::<Document>(collection);
        collection.insert_many(rows).await.expect("it is empty");
    }

    async fn all(&self, collection: &str) -> Vec<Document> {
        let rows = self.place.database.collection::<Document>(collection);
        let rows = rows.find(doc! {}).sort(doc! { "_id": 1 }).await.expect("it answers");
        rows.try_collect().await.expect("it answers")
    }

    async fn plans(&self) -> Vec<GroupPlan> {
        let mut plans = Vec::new();
        let mut keep = |plan| {
            plans.push(plan);
            Ok(())
        };
        self.migrator.plan(&Uncontrolled, &mut keep).await.expect("it only reads");
        plans
    }

    async fn merge(&self) -> MergeReport {
        self.migrator.merge(&self.lease, &self.run, &Uncontrolled).await.expect("nothing is in the way")
    }
}

async fn merged_as_planned(deployment: &Deployment) {
    let old = Old::on(deployment).await;
    old.fill(7, 3).await;
    // Sent twice: once to each of two chats.
    let again = doc! { "_id": "again", "chatId": chat(0, 2), "sender": "ann", "text": "text 0", "clientMessageId": "c0" };
    let other = doc! { "_id": "other", "chatId": chat(1, 2), "sender": "ann", "text": "else", "clientMessageId": "c0" };
    old.insert("messages", vec![again, other]).await;
    let plans = old.plans().await;
    let report = old.merge().await;

    assert_eq!((report.groups, report.losers, report.blocked), (7, 14, 0), "{report:?}");
    let chats = old.all("chats").await;
    assert_eq!(chats.len(), 7);
    for plan in &plans {
        let planned =
            Document::try_from(plan.survivor_after.as_deref().expect("it gets notes")).expect("it is BSON");
        assert!(chats.contains(&planned), "{planned} is not in {chats:?}");
    }
    let store = old.place.store_with(MongoOptions { unsafe_no_index: true, ..MongoOptions::default() }).await;
    let messages = old.all("messages").await;
    assert_eq!(messages.len(), 22, "of what was sent twice, one is gone");
    for group in 0..7 {
        let survivor = chat(group, 0);
        for index in 1..3 {
            let alias = ChatId::new(chat(group, index).to_hex()).expect("a valid id");
            let found = store.chat(&alias).await.expect("it answers").expect("an old id works");
            assert_eq!(found.id.as_str(), survivor.to_hex());
        }
        let of = |row: &&Document| {
            let value = row.get("chatId").expect("a chat");
            *value == Bson::ObjectId(survivor) || *value == Bson::String(survivor.to_hex())
        };
        assert_eq!(messages.iter().filter(of).count(), if group == 1 { 4 } else { 3 });
    }
    let renamed =
        messages.iter().find(|row| row.get_str("_id").ok() == Some("other")).expect("it says something else");
    assert_eq!(renamed.get_str("clientMessageId").ok(), Some(&*format!("c0~{}", chat(1, 2).to_hex())));
    for row in old.all("memberships").await {
        assert_eq!(row.get_i32("unread").ok(), Some(3), "{row}");
    }
    assert_eq!(old.all("memberships").await.len(), 7);
    for row in old.all("bookmarks").await {
        assert_eq!(row.get_array("chats").map(Vec::len).ok(), Some(1), "{row}");
    }

    let before = dump(&old.place.database).await;
    let second = old.merge().await;
    assert_eq!((second.groups, second.moved, second.edited), (0, 0, 0));
    assert_eq!(difference(&before, &dump(&old.place.database).await), None, "a second merge does nothing");
}

#[tokio::test]
async fn what_comes_out_is_what_was_planned_on_a_standalone() {
    merged_as_planned(shared_standalone().await).await;
}

#[tokio::test]
async fn what_comes_out_is_what_was_planned_on_a_replica_set() {
    merged_as_planned(shared_replica_set().await).await;
}

/// What a writer was told has been written: the group and the note.
type Acknowledged = Vec<(usize, String)>;

/// Adds a note to a chat and counts it as unread, again and again, as a program that knows nothing of merging.
async fn write(
    place: Arc<Place>,
    writer: usize,
    groups: usize,
    size: usize,
    stop: Arc<AtomicBool>,
) -> Acknowledged {
    let (chats, mut written) = (place.chats(), Vec::new());
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let (group, index) = ((turn * 7 + writer) % groups, (turn + turn / groups) % size);
        let note = format!("new-{writer}-{turn}");
        let update = doc! {
            "$push": { "notes": { "_id": &note, "at": DateTime::from_millis(1000 + i64::try_from(turn).expect("a short test")) } },
            "$inc": { "unread.ann": 1 },
        };
        let updated = chats.update_one(doc! { "_id": chat(group, index) }, update).await.expect("it answers");
        if updated.matched_count == 1 {
            written.push((group, note));
        }
    }
    written
}

async fn nothing_written_is_lost(deployment: &Deployment) {
    const GROUPS: usize = 30;
    let old = Old::on(deployment).await;
    old.fill(GROUPS, 3).await;
    let place = Arc::new(Place { url: old.place.url.clone(), database: old.place.database.clone() });
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| tokio::spawn(write(Arc::clone(&place), writer, GROUPS, 3, Arc::clone(&stop))))
        .collect();
    let report = old.merge().await;
    stop.store(true, Ordering::Relaxed);
    let mut written: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for writer in writers {
        for (group, note) in writer.await.expect("a writer ends") {
            written.entry(group).or_default().push(note);
        }
    }
    assert_eq!((report.blocked, report.losers), (0, 60), "{report:?}");
    for group in 0..GROUPS {
        let living = old.place.chats().find_one(doc! { "participants": people(group).to_vec() }).await;
        let living = living.expect("it answers").expect("one lives on");
        let notes: Vec<&str> = living
            .get_array("notes")
            .expect("notes")
            .iter()
            .map(|note| note.as_document().expect("a note").get_str("_id").expect("its name"))
            .collect();
        let new = written.get(&group).cloned().unwrap_or_default();
        let mut expected: BTreeSet<&str> = new.iter().map(String::as_str).collect();
        let olds: Vec<String> = (0..3).map(|index| format!("old-{group}-{index}")).collect();
        expected.extend(olds.iter().map(String::as_str));
        assert_eq!(notes.iter().copied().collect::<BTreeSet<_>>(), expected, "group {group}");
        assert_eq!(notes.len(), expected.len(), "nothing is there twice: {notes:?}");
        let unread = living.get_document("unread").expect("counters").get_i32("ann").expect("a counter");
        assert_eq!(
            usize::try_from(unread),
            Ok(expected.len()),
            "group {group}: every unread note is counted once"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_during_a_merge_is_kept_on_a_replica_set() {
    nothing_written_is_lost(shared_replica_set().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_during_a_merge_is_kept_on_a_standalone() {
    nothing_written_is_lost(shared_standalone().await).await;
}

/// A row is replaced while somebody counts in it: what he was told is counted stays counted.
async fn no_count_is_lost(deployment: &Deployment) {
    const GROUPS: usize = 200;
    let old = Old::on(deployment).await;
    old.fill(GROUPS, 2).await;
    let bookmarks = old.place.database.collection::<Document>("bookmarks");
    let stop = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (0..4)
        .map(|reader| {
            let (bookmarks, stop) = (bookmarks.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut counted = [0_i32; GROUPS];
                for turn in 0.. {
                    let group = (turn * 7 + reader * GROUPS / 4) % GROUPS;
                    let row = doc! { "_id": id(4, group, 0) };
                    bookmarks.update_one(row, doc! { "$inc": { "opened": 1 } }).await.expect("it answers");
                    counted[group] += 1;
                    if stop.load(Ordering::Relaxed) && turn > GROUPS {
                        break;
                    }
                }
                counted
            })
        })
        .collect();
    let report = old.merge().await;
    stop.store(true, Ordering::Relaxed);
    assert_eq!((report.blocked, report.losers), (0, GROUPS as u64), "{report:?}");
    let mut counted = [0; GROUPS];
    for reader in readers {
        for (all, one) in counted.iter_mut().zip(reader.await.expect("a reader ends")) {
            *all += one;
        }
    }
    old.migrator.sweep(&old.lease, &Uncontrolled).await.expect("it answers");
    for (group, counted) in counted.into_iter().enumerate() {
        let row = bookmarks.find_one(doc! { "_id": id(4, group, 0) }).await.expect("it answers");
        let expected = doc! { "_id": id(4, group, 0), "chats": [chat(group, 0)], "opened": counted };
        assert_eq!(row, Some(expected));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_counted_in_a_row_during_a_merge_stays_counted_on_a_standalone() {
    no_count_is_lost(shared_standalone().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_counted_in_a_row_during_a_merge_stays_counted_on_a_replica_set() {
    no_count_is_lost(shared_replica_set().await).await;
}

async fn a_stale_plan_is_made_anew(deployment: &Deployment) {
    let old = Old::on(deployment).await;
    old.fill(3, 2).await;
    let plans = old.plans().await;
    let note = doc! { "$push": { "notes": { "_id": "late", "at": DateTime::from_millis(9) } } };
    old.place.chats().update_one(doc! { "_id": chat(1, 1) }, note).await.expect("it answers");
    let count = plans.len();
    let mut plans = plans.into_iter().map(Ok);
    let report =
        old.migrator.apply(&old.lease, &old.run, &mut plans, &Uncontrolled).await.expect("it applies");
    assert_eq!((count, report.groups, report.stale), (3, 3, 1));
    let living =
        old.place.chats().find_one(doc! { "_id": chat(1, 0) }).await.expect("it answers").expect("it lives");
    let notes = living.get_array("notes").expect("notes");
    assert!(
        notes
            .iter()
            .any(|note| note.as_document().is_some_and(|note| note.get_str("_id").ok() == Some("late")))
    );
}

#[tokio::test]
async fn a_group_that_changed_since_is_planned_anew_on_a_standalone() {
    a_stale_plan_is_made_anew(shared_standalone().await).await;
}

#[tokio::test]
async fn a_group_that_changed_since_is_planned_anew_on_a_replica_set() {
    a_stale_plan_is_made_anew(shared_replica_set().await).await;
}

async fn a_large_group(deployment: &Deployment) {
    let old = Old::on(deployment).await;
    old.fill(1, 2).await;
    let index = doc! { "createIndexes": "messages", "indexes": [{ "key": { "chatId": 1 }, "name": "chat" }] };
    old.place.database.run_command(index).await.expect("it answers");
    let messages = (0..12_000).map(|row| doc! { "_id": row, "chatId": chat(0, 1), "text": "hi" });
    old.insert("messages", messages.collect()).await;
    let before = dump(&old.place.database).await;
    let report = old.merge().await;
    assert_eq!((report.groups, report.moved), (1, 12_001), "{report:?}");
    let messages = old.place.database.collection::<Document>("messages");
    let left = doc! { "chatId": { "$in": [Bson::from(chat(0, 1)), Bson::String(chat(0, 1).to_hex())] } };
    assert_eq!(messages.count_documents(left).await.expect("it answers"), 0);
    let entries = old.place.database.collection::<Document>("onechat_journal");
    let ahead = doc! { "type": "merge", "losers": [] };
    assert!(
        entries.count_documents(ahead).await.expect("it answers") > 0,
        "it took more than one transaction"
    );
    let target = UndoTarget::Run(old.run.clone());
    let undone =
        old.migrator.undo(Some(&old.lease), &target, false, &Uncontrolled).await.expect("it is undone");
    assert_eq!(undone.conflicts, Vec::<String>::new());
    assert_eq!(difference(&before, &dump(&old.place.database).await), None);
}

#[tokio::test]
async fn a_large_group_takes_several_steps_on_a_standalone() {
    a_large_group(shared_standalone().await).await;
}

#[tokio::test]
async fn a_large_group_takes_several_transactions_on_a_replica_set() {
    a_large_group(shared_replica_set().await).await;
}

/// Rows that the last groups of one batch and the first ones of the next change both: on a standalone server the second batch is
/// read while the first is written.
async fn shared_rows(deployment: &Deployment, batch: usize) {
    let old = Old::on(deployment).await;
    let shared = 100;
    old.fill(batch + shared, 2).await;
    let named = |row: usize| [batch - shared + row, batch + row];
    let bookmarks = (0..shared).map(|row| {
        let chats = named(row).into_iter().flat_map(|group| [chat(group, 0), chat(group, 1)]);
        doc! { "_id": id(5, row, 0), "chats": chats.collect::<Vec<_>>() }
    });
    old.insert("bookmarks", bookmarks.collect()).await;
    let report = old.merge().await;
    assert_eq!((report.groups, report.blocked), ((batch + shared) as u64, 0), "{report:?}");
    let bookmarks = old.place.database.collection::<Document>("bookmarks");
    for row in 0..shared {
        let found = bookmarks.find_one(doc! { "_id": id(5, row, 0) }).await.expect("it answers");
        let chats = named(row).map(|group| Bson::ObjectId(chat(group, 0))).to_vec();
        assert_eq!(found.expect("it is there").get_array("chats").ok(), Some(&chats), "row {row}");
    }
}

#[tokio::test]
async fn rows_of_groups_in_different_batches_are_changed_for_both_on_a_standalone() {
    shared_rows(shared_standalone().await, 500).await;
}

#[tokio::test]
async fn rows_of_groups_in_different_batches_are_changed_for_both_on_a_replica_set() {
    shared_rows(shared_replica_set().await, 100).await;
}

/// Rows that clash in an index that nobody has said anything about keep their group from being merged, and only that.
async fn a_blocked_group(deployment: &Deployment) {
    let old = Old::on(deployment).await;
    old.fill(3, 2).await;
    let index = doc! { "createIndexes": "messages", "indexes": [
        { "key": { "chatId": 1, "number": 1 }, "name": "number", "unique": true,
          "partialFilterExpression": { "number": { "$exists": true } } },
    ] };
    old.place.database.run_command(index).await.expect("it answers");
    let rows = (0..2)
        .map(|index: i32| doc! { "_id": index, "chatId": chat(1, usize::try_from(index).expect("two rows")), "number": 5, "text": index });
    old.insert("messages", rows.collect()).await;
    let report = old.merge().await;
    assert_eq!((report.groups, report.blocked), (2, 1), "{report:?}");
    assert!(report.examples[0].contains("number"), "{report:?}");
    assert_eq!(old.place.chats().count_documents(doc! {}).await.expect("it answers"), 4);
}

#[tokio::test]
async fn a_blocked_group_stays_as_it_is_on_a_standalone() {
    a_blocked_group(shared_standalone().await).await;
}

#[tokio::test]
async fn a_blocked_group_stays_as_it_is_on_a_replica_set() {
    a_blocked_group(shared_replica_set().await).await;
}

/// Chats of other people hold the key: what the merged chat holds besides must not be lost with it.
async fn a_taken_key(deployment: &Deployment) {
    let old = Old::on(deployment).await;
    old.fill(2, 2).await;
    let stranger = doc! { "_id": "stranger", "participants": ["x", "y"], "participantsKey": "ann_friend0" };
    old.place.chats().insert_one(stranger).await.expect("it answers");
    let index = doc! { "createIndexes": "chats", "indexes": [
        { "key": { "participantsKey": 1 }, "name": "key", "unique": true,
          "partialFilterExpression": { "participantsKey": { "$gt": "" } } },
    ] };
    old.place.database.run_command(index).await.expect("it answers");
    let before = dump(&old.place.database).await;
    let report = old.merge().await;
    assert_eq!((report.groups, report.blocked), (1, 1), "{report:?}");
    let chats = old.all("chats").await;
    let theirs: Vec<&Document> = chats
        .iter()
        .filter(|chat| chat.get_array("participants").is_ok_and(|all| all.contains(&"friend0".into())))
        .collect();
    assert_eq!(theirs.len(), 2, "they are not merged: {theirs:?}");
    let now = dump(&old.place.database).await;
    for chat in theirs {
        let bytes = mongodb::bson::serialize_to_vec(chat).expect("it is BSON");
        assert!(before["chats"].contains(&bytes) && now["chats"].contains(&bytes), "{chat} was changed");
    }
}

#[tokio::test]
async fn a_group_whose_key_others_have_stays_as_it_is_on_a_standalone() {
    a_taken_key(shared_standalone().await).await;
}

#[tokio::test]
async fn a_group_whose_key_others_have_stays_as_it_is_on_a_replica_set() {
    a_taken_key(shared_replica_set().await).await;
}

/// Whichever write is the last one that a run comes to (every `step`th is tried), the next run ends where an undisturbed one
/// does.
async fn cut_off_anywhere(groups: usize, size: usize, step: usize) {
    let setup = Setup::standalone().parameter("enableTestCommands", "1");
    let server = setup.start().await.expect("it starts");
    let whole = Old::on(&server).await;
    whole.fill(groups, size).await;
    whole.merge().await;
    let whole = dump(&whole.place.database).await;
    let admin = server.client().database("admin");
    let fail = async |mode: Bson| {
        let data = doc! { "failCommands": ["insert", "update", "delete"], "errorCode": 13 };
        let command = doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data };
        admin.run_command(command).await.expect("test commands are allowed")
    };
    for done in (0..).step_by(step) {
        let old = Old::on(&server).await;
        old.fill(groups, size).await;
        fail(doc! { "activationProbability": 0.0 }.into()).await;
        fail(doc! { "skip": done }.into()).await;
        let cut_off = old.migrator.merge(&old.lease, &old.run, &Uncontrolled).await.is_err();
        fail("off".into()).await;
        old.merge().await;
        assert_eq!(difference(&whole, &dump(&old.place.database).await), None, "cut off after {done} writes");
        let entries = old.migrator.entries(&old.run, 0, 10_000).await.expect("it answers");
        assert!(entries.iter().all(|entry| entry.state == "done"));
        old.place.database.drop().await.expect("it answers");
        if !cut_off {
            assert!(done > 5, "it was never cut off");
            return;
        }
    }
}

#[tokio::test]
async fn a_merge_that_is_cut_off_anywhere_is_gone_on_with() {
    cut_off_anywhere(3, 3, 1).await;
}

/// Of the second batch the journal may speak while the first is written.
#[tokio::test]
async fn two_batches_that_are_cut_off_are_gone_on_with() {
    cut_off_anywhere(510, 2, 3).await;
}
