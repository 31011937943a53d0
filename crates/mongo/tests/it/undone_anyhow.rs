//! Undo when others have written since: what can be kept is kept, what conflicts is listed row by row.

use mongodb::bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use onechat_migrate::Uncontrolled;
use onechat_mongo::{Lease, MigrateError, MongoMigrator, RunId, RunKind, UndoReport, UndoTarget};
use onechat_mongod::{Deployment, Setup, shared_replica_set, shared_standalone};

use crate::{
    old_data::{difference, dump, dump_all, migrator},
    support::Place,
};

/// Two chats of ann and bob, the first of which is the older, with five messages each, and one of others.
struct Old {
    place: Place,
    migrator: MongoMigrator,
    lease: Lease,
    survivor: ObjectId,
    loser: ObjectId,
}

impl Old {
    async fn on(deployment: &Deployment) -> Self {
        let place = Place::on(deployment).await;
        let id = |age: u32| ObjectId::from_parts(1_600_000_000 + age, [7; 5], [0, 0, 1]);
        let (survivor, loser) = (id(1), id(2));
        let chat = |id: ObjectId, title: &str| {
            doc! { "_id": id, "participants": ["ann", "bob"], "title": title, "notes": [
                { "_id": format!("note of {title}"), "at": DateTime::from_millis(5) },
            ], "unread": { "ann": 2 } }
        };
        let others = doc! { "_id": id(3), "participants": ["bob", "cleo"] };
        place
            .chats()
            .insert_many([chat(survivor, "first"), chat(loser, "second"), others])
            .await
            .expect("the database answers");
        let message = |chat: ObjectId, index: u32| {
            doc! { "_id": ObjectId::from_parts(1_600_000_100 + index, [8; 5], [0; 3]), "chatId": chat, "text": "hi" }
        };
        let messages = (0..10).map(|index| message(if index < 5 { survivor } else { loser }, index));
        place.database.collection("messages").insert_many(messages).await.expect("the database answers");
        let migrator = migrator(&place).await;
        let lease = migrator.lease("test").await.expect("the database answers");
        Self { place, migrator, lease, survivor, loser }
    }

    async fn merge(&self, kind: RunKind) -> RunId {
        let run = self.migrator.begin_run(&self.lease, kind).await.expect("the database answers");
        self.migrator.guard_on(&self.lease, false, &Uncontrolled).await.expect("the database answers");
        self.migrator
            .backfill(Some(&self.lease), Some(&run), false, &Uncontrolled)
            .await
            .expect("the database answers");
        assert_eq!(
            self.migrator.merge(&self.lease, &run, &Uncontrolled).await.expect("the database answers").groups,
            1
        );
        self.migrator.end_run(&run).await.expect("the database answers");
        self.migrator.rollback(&self.lease).await.expect("the database answers");
        run
    }

    async fn undo(&self, target: &UndoTarget) -> Result<UndoReport, MigrateError> {
        let (lease, control) = (Some(&self.lease), &Uncontrolled);
        let everything = dump_all(&self.place.database).await;
        let promised = self.migrator.undo(None, target, true, control).await;
        let differs =
            difference(&without_lease(everything), &without_lease(dump_all(&self.place.database).await));
        assert_eq!(differs, None, "a dry run only reads");
        let report = self.migrator.undo(lease, target, false, control).await;
        if let (Ok(promised), Ok(report)) = (&promised, &report) {
            assert_eq!(promised, report, "a dry run says what will be");
        }
        report
    }

    async fn entry(&self, run: &RunId) -> UndoTarget {
        let entries = self.migrator.entries(run, 0, 10).await.expect("the database answers");
        assert_eq!(entries.len(), 1);
        UndoTarget::Group(entries[0].entry.clone())
    }

    fn messages(&self) -> mongodb::Collection<Document> {
        self.place.database.collection("messages")
    }

    async fn chat(&self, id: ObjectId) -> Option<Document> {
        self.place.chats().find_one(doc! { "_id": id }).await.expect("the database answers")
    }

    async fn message(&self, index: u32) -> Option<Document> {
        let id = ObjectId::from_parts(1_600_000_100 + index, [8; 5], [0; 3]);
        self.messages().find_one(doc! { "_id": id }).await.expect("the database answers")
    }
}

type Dump = std::collections::BTreeMap<String, Vec<Vec<u8>>>;

/// The lease is renewed all the time.
fn without_lease(mut dump: Dump) -> Dump {
    dump.remove("onechat_lease");
    dump
}

async fn writes_since_are_kept_and_listed(deployment: &Deployment) {
    let old = Old::on(deployment).await;
    let run = old.merge(RunKind::Merge).await;
    assert_eq!(old.chat(old.loser).await, None);
    let id = |index: u32| ObjectId::from_parts(1_600_000_100 + index, [8; 5], [0; 3]);
    let messages = old.messages();
    // Deleted, moved elsewhere, changed, and new.
    messages.delete_one(doc! { "_id": id(5) }).await.expect("the database answers");
    let elsewhere = ObjectId::from_parts(1, [9; 5], [0; 3]);
    messages
        .update_one(doc! { "_id": id(6) }, doc! { "$set": { "chatId": elsewhere } })
        .await
        .expect("the database answers");
    messages
        .update_one(doc! { "_id": id(7) }, doc! { "$set": { "text": "edited" } })
        .await
        .expect("the database answers");
    let young = ObjectId::from_parts(u32::MAX - 1, [8; 5], [0; 3]);
    messages
        .insert_one(doc! { "_id": young, "chatId": old.survivor, "text": "new" })
        .await
        .expect("the database answers");
    let note = doc! { "_id": "new note", "at": DateTime::from_millis(9) };
    let since = doc! {
        "$set": { "title": "renamed", "colour": "red" }, "$push": { "notes": note.clone() }, "$inc": { "unread.ann": 1 },
    };
    old.place.chats().update_one(doc! { "_id": old.survivor }, since).await.expect("the database answers");

    let report = old.undo(&UndoTarget::Run(run)).await.expect("the database answers");
    assert_eq!((report.groups, report.revived, report.moved_back), (1, 1, 3), "{report:?}");
    let listed = |what: &str| report.conflicts.iter().filter(|line| line.contains(what)).count();
    assert_eq!(listed(&format!("{} was deleted since", id(5))), 1, "{report:?}");
    assert_eq!(listed(&format!("{} names {elsewhere}", id(6))), 1, "{report:?}");
    assert_eq!(listed("unread.ann"), 1, "{report:?}");
    assert_eq!(report.conflicts.len(), 3, "{report:?}");
    // A message, the title, the colour, and a note.
    assert_eq!(report.kept, 4, "{report:?}");
    assert_eq!(old.message(5).await, None);
    assert_eq!(
        old.message(6).await.expect("the database answers").get("chatId"),
        Some(&Bson::from(elsewhere))
    );
    let seventh = old.message(7).await.expect("the database answers");
    assert_eq!((&seventh["chatId"], &seventh["text"]), (&Bson::from(old.loser), &Bson::from("edited")));
    let newest = messages
        .find_one(doc! { "_id": young })
        .await
        .expect("the database answers")
        .expect("the database answers");
    assert_eq!(newest.get("chatId"), Some(&Bson::from(old.survivor)));
    let survivor = old.chat(old.survivor).await.expect("the database answers");
    assert_eq!((&survivor["title"], &survivor["colour"]), (&Bson::from("renamed"), &Bson::from("red")));
    let notes = survivor.get_array("notes").expect("the database answers");
    assert_eq!(notes.last(), Some(&Bson::from(note)));
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert_eq!(survivor.get_document("unread").expect("the database answers")["ann"], Bson::from(5));
    assert_eq!(old.chat(old.loser).await.expect("the database answers")["title"], Bson::from("second"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_since_are_kept_and_listed_on_a_standalone() {
    writes_since_are_kept_and_listed(shared_standalone().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_since_are_kept_and_listed_on_a_replica_set() {
    writes_since_are_kept_and_listed(shared_replica_set().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_that_was_made_anew_stays_and_a_survivor_that_is_gone_is_said() {
    let old = Old::on(shared_replica_set().await).await;
    let run = old.merge(RunKind::Merge).await;
    old.place.chats().delete_one(doc! { "_id": old.survivor }).await.unwrap();
    let anew = doc! { "_id": old.loser, "participants": ["ann", "bob"], "title": "anew" };
    old.place.chats().insert_one(anew.clone()).await.unwrap();
    let target = old.entry(&run).await;
    let report = old.undo(&target).await.unwrap();
    assert_eq!(report.conflicts.len(), 2, "{report:?}");
    assert!(
        report.conflicts.iter().any(|line| line.contains(&format!("{} is gone", old.survivor))),
        "{report:?}"
    );
    assert!(report.conflicts.iter().any(|line| line.contains("made anew")), "{report:?}");
    assert_eq!(old.chat(old.loser).await, Some(anew));
    assert_eq!(report.moved_back, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_an_index_keeps_duplicates_out_nothing_is_undone() {
    let old = Old::on(shared_standalone().await).await;
    let run = old.merge(RunKind::Merge).await;
    old.migrator.guard_on(&old.lease, false, &Uncontrolled).await.unwrap();
    let merged = dump(&old.place.database).await;
    let error = old.undo(&UndoTarget::Run(run.clone())).await.unwrap_err();
    assert!(matches!(&error, MigrateError::Refused(why) if why.contains("onechat rollback")), "{error}");
    assert_eq!(difference(&merged, &dump(&old.place.database).await), None);
    old.migrator.rollback(&old.lease).await.unwrap();
    assert_eq!(old.undo(&UndoTarget::Run(run)).await.unwrap().groups, 1);
    assert!(old.chat(old.loser).await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_later_is_undone_first() {
    let old = Old::on(shared_replica_set().await).await;
    let before = dump(&old.place.database).await;
    let first = old.merge(RunKind::Merge).await;
    let first_entry = old.entry(&first).await;
    // One that is older than both, so that the survivor ends too.
    let oldest = ObjectId::from_parts(1_600_000_000, [7; 5], [0; 3]);
    let chat = doc! { "_id": oldest, "participants": ["bob", "ann"], "title": "oldest" };
    old.place.chats().insert_one(chat).await.unwrap();
    let second = old.merge(RunKind::Watch).await;
    assert_eq!(old.chat(old.survivor).await, None);
    let second_entry = old.entry(&second).await;
    let UndoTarget::Group(name) = &second_entry else { unreachable!() };

    let error = old.undo(&first_entry).await.unwrap_err();
    assert!(matches!(&error, MigrateError::Refused(why) if why.contains(name.as_str())), "{error}");
    assert_eq!(old.undo(&UndoTarget::Run(second)).await.unwrap().conflicts, Vec::<String>::new());
    old.place.chats().delete_one(doc! { "_id": oldest }).await.unwrap();
    assert_eq!(old.undo(&first_entry).await.unwrap().conflicts, Vec::<String>::new());
    assert!(old.chat(old.loser).await.is_some());
    assert_eq!(old.undo(&UndoTarget::Run(first)).await.unwrap().conflicts, Vec::<String>::new());
    assert_eq!(difference(&before, &dump(&old.place.database).await), None);
}

/// Lets the writes of one undo fail from the one on that comes after `after` others.
async fn fail_after(old: &Old, mode: Bson) {
    let admin = old.place.database.client().database("admin");
    let data = doc! { "failCommands": ["insert", "update", "delete"], "errorCode": 8000 };
    admin
        .run_command(doc! { "configureFailPoint": "failCommand", "mode": mode, "data": data })
        .await
        .expect("the database answers");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_that_is_cut_off_anywhere_is_gone_on_with() {
    let setup = Setup::standalone().parameter("enableTestCommands", "1");
    let deployment = setup.start().await.unwrap();
    let mut cut_off = 0;
    for after in 0.. {
        let old = Old::on(&deployment).await;
        let before = dump(&old.place.database).await;
        let run = old.merge(RunKind::Merge).await;
        let target = UndoTarget::Run(run);
        fail_after(&old, Bson::from(doc! { "skip": after })).await;
        let result = old.migrator.undo(Some(&old.lease), &target, false, &Uncontrolled).await;
        fail_after(&old, Bson::from("off")).await;
        let Old { place, migrator, lease, .. } = old;
        lease.release().await.unwrap();
        cut_off += usize::from(result.is_err());
        let lease = migrator.lease("again").await.unwrap();
        let again = migrator.undo(Some(&lease), &target, false, &Uncontrolled).await.unwrap();
        assert_eq!(again.conflicts, Vec::<String>::new(), "cut off after {after} writes");
        let differs = difference(&before, &dump(&place.database).await);
        assert_eq!(differs, None, "cut off after {after} writes: {result:?}");
        place.database.drop().await.unwrap();
        if result.is_ok() {
            break;
        }
    }
    // Intentions, chats, rows, documents, aliases, conclusion, keys: wherever it may be cut off.
    assert!(cut_off > 6, "{cut_off}");
}

#[tokio::test]
async fn chats_that_had_each_others_keys_have_them_again_after_an_undo() {
    for deployment in [shared_standalone().await, shared_replica_set().await] {
        let place = Place::on(deployment).await;
        let id = |age: u32| ObjectId::from_parts(1_600_000_000 + age, [7; 5], [0, 0, 1]);
        let chats = [
            doc! { "_id": id(1), "participants": ["ann", "bob"], "participantsKey": "cleo_dan" },
            doc! { "_id": id(2), "participants": ["cleo", "dan"], "participantsKey": "ann_bob" },
            doc! { "_id": id(3), "participants": ["eve", "fay"], "participantsKey": "gil_hal" },
        ];
        place.chats().insert_many(chats).await.expect("the database answers");
        let before = dump(&place.database).await;
        let migrator = migrator(&place).await;
        let lease = migrator.lease("test").await.expect("the database answers");
        let run = migrator.begin_run(&lease, RunKind::Migrate).await.expect("the database answers");
        migrator.guard_on(&lease, false, &Uncontrolled).await.expect("the database answers");
        let given = migrator.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await;
        assert_eq!(given.expect("the database answers").corrected, 3);
        migrator.rollback(&lease).await.expect("the database answers");
        let undone = migrator.undo(Some(&lease), &UndoTarget::Run(run), false, &Uncontrolled).await;
        let undone = undone.expect("the database answers");
        assert!(undone.conflicts.is_empty(), "{:?}", undone.conflicts);
        assert_eq!(dump(&place.database).await, before);
    }
}
