//! What is written to a chat that has ended follows to the one that lives on, and an undo takes it back.

use futures_util::TryStreamExt as _;
use mongodb::{
    Collection, IndexModel,
    bson::{Document, doc, oid::ObjectId},
    options::IndexOptions,
};
use onechat_migrate::Uncontrolled;
use onechat_mongo::{Lease, MongoMigrator, RunId, RunKind, UndoTarget};
use onechat_mongod::{Deployment, shared_replica_set, shared_standalone};

use crate::{
    old_data::{difference, dump, migrator},
    support::Place,
};

const SURVIVOR: ObjectId = ObjectId::from_bytes([1; 12]);
const LOSER: ObjectId = ObjectId::from_bytes([2; 12]);

/// Two chats of ann and bob that a run has merged, with ann's membership of both.
struct Merged {
    place: Place,
    migrator: MongoMigrator,
    lease: Lease,
    run: RunId,
}

impl Merged {
    async fn on(deployment: &Deployment) -> Self {
        let place = Place::on(deployment).await;
        let chats = [SURVIVOR, LOSER].map(|id| doc! { "_id": id, "participants": ["ann", "bob"] });
        place.chats().insert_many(chats).await.expect("it answers");
        let memberships = [SURVIVOR, LOSER]
            .map(|id| doc! { "_id": format!("old {id}"), "chat": { "id": id }, "user": "ann", "unread": 1 });
        place
            .database
            .collection::<Document>("memberships")
            .insert_many(memberships)
            .await
            .expect("it answers");
        let migrator = migrator(&place).await;
        let lease = migrator.lease("test").await.expect("it answers");
        let run = migrator.begin_run(&lease, RunKind::Merge).await.expect("it answers");
        assert_eq!(migrator.merge(&lease, &run, &Uncontrolled).await.expect("it answers").groups, 1);
        Self { place, migrator, lease, run }
    }

    fn rows(&self, collection: &str) -> Collection<Document> {
        self.place.database.collection(collection)
    }

    async fn insert(&self, collection: &str, row: Document) {
        self.rows(collection).insert_one(row).await.expect("it answers");
    }

    async fn all(&self, collection: &str) -> Vec<Document> {
        self.rows(collection)
            .find(doc! {})
            .sort(doc! { "_id": 1 })
            .await
            .expect("it answers")
            .try_collect()
            .await
            .expect("it answers")
    }

    /// What is there to sweep is counted, then swept; once more there is nothing.
    async fn sweep(&self, rows: u64) {
        assert_eq!(self.migrator.unswept(&Uncontrolled).await.expect("it answers"), rows);
        let report = self.migrator.sweep(&self.lease, &Uncontrolled).await.expect("it answers");
        assert_eq!(report.moved, rows, "{report:?}");
        assert_eq!(self.migrator.unswept(&Uncontrolled).await.expect("it answers"), 0);
        assert_eq!(self.migrator.sweep(&self.lease, &Uncontrolled).await.expect("it answers").moved, 0);
    }

    async fn undo(&self) -> Vec<String> {
        let target = UndoTarget::Run(self.run.clone());
        let report =
            self.migrator.undo(Some(&self.lease), &target, false, &Uncontrolled).await.expect("it answers");
        report.conflicts
    }
}

async fn rows_of_all_kinds_follow(deployment: &Deployment) {
    let merged = Merged::on(deployment).await;
    let message = |id: &str, chat: mongodb::bson::Bson, text: &str, client: &str| {
        doc! { "_id": id, "chatId": chat, "sender": "ann", "text": text, "clientMessageId": client }
    };
    let unique = IndexOptions::builder().unique(true).build();
    let keys = doc! { "chatId": 1, "sender": 1, "clientMessageId": 1 };
    merged
        .rows("messages")
        .create_index(IndexModel::builder().keys(keys).options(unique).build())
        .await
        .expect("it answers");
    for row in [
        message("as an id", LOSER.into(), "one", "c1"),
        message("as text", LOSER.to_hex().into(), "two", "c2"),
        message("here", SURVIVOR.into(), "three", "c3"),
        message("said twice", LOSER.into(), "three", "c3"),
        message("said otherwise", SURVIVOR.into(), "four", "c4"),
        message("under one id", LOSER.into(), "not four", "c4"),
    ] {
        merged.insert("messages", row).await;
    }
    merged.insert("bookmarks", doc! { "_id": 1, "chats": [LOSER, "elsewhere", SURVIVOR] }).await;
    // An old backend counts for the ended chat again, beside what the merge has made of both rows.
    merged
        .insert("memberships", doc! { "_id": "late", "chat": { "id": LOSER }, "user": "ann", "unread": 5 })
        .await;
    merged
        .insert("memberships", doc! { "_id": "new", "chat": { "id": LOSER }, "user": "bob", "unread": 7 })
        .await;
    let written = dump(&merged.place.database).await;
    merged.sweep(7).await;

    let messages = merged.all("messages").await;
    let names: Vec<&str> = messages.iter().map(|row| row.get_str("_id").expect("it has one")).collect();
    assert_eq!(names, ["as an id", "as text", "here", "said otherwise", "under one id"]);
    assert!(messages.iter().all(|row| !row.to_string().contains(&LOSER.to_hex())
        || row.get_str("_id").expect("it has one") == "under one id"));
    let renamed = messages[4].get_str("clientMessageId").expect("it has one");
    assert_eq!(renamed, format!("c4~{}", LOSER.to_hex()), "both are kept");
    assert_eq!(
        messages[1].get_str("chatId").expect("it has one"),
        SURVIVOR.to_hex(),
        "it goes on naming chats as text"
    );
    let [bookmark] = &merged.all("bookmarks").await[..] else { panic!("there is one bookmark") };
    assert_eq!(bookmark.get_array("chats").expect("it has one"), &vec![SURVIVOR.into(), "elsewhere".into()]);
    let memberships = merged.all("memberships").await;
    let unread = |user: &str| {
        let of = memberships.iter().filter(|row| row.get_str("user").expect("it has one") == user);
        of.map(|row| row.get_i32("unread").expect("it has one")).collect::<Vec<_>>()
    };
    assert_eq!((unread("ann"), unread("bob")), (vec![7], vec![7]), "{memberships:?}");

    // What was written since belongs to the chats as they were again.
    assert_eq!(merged.undo().await, [""; 0]);
    let undone = dump(&merged.place.database).await;
    assert_eq!(undone.get("messages"), written.get("messages"));
    assert_eq!(undone.get("bookmarks"), written.get("bookmarks"));
    assert_eq!(undone["memberships"].len(), 4, "both of old, and both that came late");
}

#[tokio::test]
async fn rows_of_all_kinds_follow_to_the_living_chat() {
    rows_of_all_kinds_follow(shared_standalone().await).await;
}

#[tokio::test]
async fn rows_of_all_kinds_follow_to_the_living_chat_on_a_replica_set() {
    rows_of_all_kinds_follow(shared_replica_set().await).await;
}

#[tokio::test]
async fn a_sweep_with_nothing_to_do_changes_nothing() {
    let merged = Merged::on(shared_standalone().await).await;
    let before = dump(&merged.place.database).await;
    merged.sweep(0).await;
    assert_eq!(difference(&before, &dump(&merged.place.database).await), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_who_goes_on_is_not_run_after_for_ever() {
    let merged = Merged::on(shared_standalone().await).await;
    let messages = merged.rows("messages");
    let writer = tokio::spawn(async move {
        loop {
            messages.insert_one(doc! { "chatId": LOSER, "sender": "ann" }).await.expect("it answers");
        }
    });
    // Something is there from the beginning.
    while merged.migrator.unswept(&Uncontrolled).await.expect("it answers") == 0 {
        tokio::task::yield_now().await;
    }
    let report = merged.migrator.sweep(&merged.lease, &Uncontrolled).await.expect("it ends");
    assert!(report.goes_on && report.moved > 0, "{report:?}");
    writer.abort();
    let report = merged.migrator.sweep(&merged.lease, &Uncontrolled).await.expect("it ends");
    assert!(!report.goes_on, "{report:?}");
    assert_eq!(merged.migrator.unswept(&Uncontrolled).await.expect("it answers"), 0);
}
