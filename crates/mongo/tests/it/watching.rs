//! `watch` on real replica sets: it heals what old writers write, goes on where it was, and outlasts an election.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use mongodb::bson::{Document, doc, oid::ObjectId};
use onechat_migrate::{Control, Stopped, Uncontrolled};
use onechat_mongo::{MigrateError, RunKind, WatchReport};
use onechat_mongod::{Deployment, Setup, shared_replica_set, shared_standalone};
use tokio::task::JoinHandle;

use crate::{old_data::migrator, support::Place};

/// Far more than healing takes, an election in between included.
const PATIENCE: Duration = Duration::from_mins(1);

/// An operator who can say stop, and keeps what is said.
#[derive(Default)]
struct Hand {
    stop: AtomicBool,
    said: Mutex<Vec<String>>,
}

#[async_trait]
impl Control for Hand {
    async fn pace(&self, _documents: u64) -> Result<(), Stopped> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Stopped { reason: "the test is over".to_owned() });
        }
        Ok(())
    }

    fn advance(&self, _step: &str, _done: u64, _total: u64) {}

    fn note(&self, text: &str) {
        self.said.lock().expect("nobody panicked").push(text.to_owned());
    }
}

struct Watching {
    hand: Arc<Hand>,
    work: JoinHandle<Result<WatchReport, MigrateError>>,
}

impl Watching {
    async fn start(place: &Place) -> Self {
        let migrator = migrator(place).await;
        let hand = Arc::new(Hand::default());
        let own = Arc::clone(&hand);
        let work = tokio::spawn(async move {
            let lease = migrator.lease("watch").await?;
            let run = migrator.begin_run(&lease, RunKind::Watch).await?;
            let report = migrator.watch(&lease, &run, &*own).await;
            lease.release().await?;
            report
        });
        Self { hand, work }
    }

    /// Waits until it has noted where it is: what comes afterwards it sees in the stream.
    async fn until_placed(&self, place: &Place) {
        let notes = place.database.collection::<Document>("onechat_meta");
        let began = Instant::now();
        while notes.count_documents(doc! { "watch.place": { "$exists": true } }).await.expect("it answers")
            == 0
        {
            assert!(began.elapsed() < PATIENCE, "it notes no place");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Returns what it did, and what it said.
    async fn stop(self) -> (WatchReport, Vec<String>) {
        self.hand.stop.store(true, Ordering::Relaxed);
        let report = self.work.await.expect("it answers").expect("it answers");
        (report, self.hand.said.lock().expect("nobody panicked").clone())
    }
}

const OLD: ObjectId = ObjectId::from_bytes([1; 12]);

/// A guarded collection with a chat of ann and bob.
async fn guarded(deployment: &Deployment) -> Place {
    let place = Place::on(deployment).await;
    place
        .chats()
        .insert_one(doc! { "_id": OLD, "participants": ["ann", "bob"], "participantsKey": "ann_bob" })
        .await
        .expect("it answers");
    let migrator = migrator(&place).await;
    let lease = migrator.lease("guard").await.expect("it answers");
    migrator.guard_on(&lease, false, &Uncontrolled).await.expect("it answers");
    lease.release().await.expect("it answers");
    place
}

/// What an old backend does: a chat without a key, and a message to it.
async fn old_write(place: &Place, people: [&str; 2]) -> ObjectId {
    let id = ObjectId::new();
    place.chats().insert_one(doc! { "_id": id, "participants": people.to_vec() }).await.expect("it answers");
    message(place, id).await;
    id
}

async fn message(place: &Place, chat: ObjectId) {
    let messages = place.database.collection::<Document>("messages");
    messages.insert_one(doc! { "chatId": chat, "sender": "ann", "text": "hi" }).await.expect("it answers");
}

/// Waits until every chat has a key of its own and so many messages are in the old chat.
async fn until_healed(place: &Place, chats: u64, messages: u64) {
    let began = Instant::now();
    let rows = place.database.collection::<Document>("messages");
    loop {
        let keyed = place.chats().count_documents(doc! { "participantsKey": { "$gt": "" } }).await;
        let all = place.chats().count_documents(doc! {}).await;
        let at_home = rows.count_documents(doc! { "chatId": OLD }).await;
        if let (Ok(keyed), Ok(all), Ok(at_home)) = (keyed, all, at_home) {
            if (keyed, all, at_home) == (chats, chats, messages) {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "{keyed} keys, {all} chats, {at_home} messages at home");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_old_writer_writes_is_healed() {
    let place = guarded(shared_replica_set().await).await;
    let watching = Watching::start(&place).await;
    watching.until_placed(&place).await;
    let twin = old_write(&place, ["bob", "ann"]).await;
    until_healed(&place, 1, 1).await;
    // The old backend has the ended chat's id still in its memory.
    message(&place, twin).await;
    until_healed(&place, 1, 2).await;
    old_write(&place, ["ann", "cleo"]).await;
    until_healed(&place, 2, 2).await;
    let (report, _) = watching.stop().await;
    assert_eq!((report.keyed, report.merged), (1, 1), "{report:?}");
    assert_eq!(report.moved, 2, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_on_where_it_stopped() {
    let place = guarded(shared_replica_set().await).await;
    let watching = Watching::start(&place).await;
    watching.until_placed(&place).await;
    old_write(&place, ["bob", "ann"]).await;
    until_healed(&place, 1, 1).await;
    watching.stop().await;

    old_write(&place, ["ann", "bob"]).await;
    let watching = Watching::start(&place).await;
    until_healed(&place, 1, 2).await;
    let (report, said) = watching.stop().await;
    assert!(report.events >= 2, "it has seen them in the stream: {report:?}");
    assert!(!said.iter().any(|line| line.contains("full pass")), "{said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_oplog_does_not_go_back_so_far_a_full_pass_makes_up_for_it() {
    let setup = Setup::replica_set().members(1).parameter("enableTestCommands", "1");
    let deployment = setup.start().await.expect("it answers");
    let place = guarded(&deployment).await;
    let watching = Watching::start(&place).await;
    watching.until_placed(&place).await;
    old_write(&place, ["bob", "ann"]).await;
    until_healed(&place, 1, 1).await;
    watching.stop().await;

    old_write(&place, ["ann", "bob"]).await;
    // An oplog has to be filled for hours to forget something; the server says so once all the same.
    let lost = doc! { "failCommands": ["aggregate"], "errorCode": 286, "appName": "onechat" };
    let admin = deployment.client().database("admin");
    let fail = doc! { "configureFailPoint": "failCommand", "mode": { "times": 1 }, "data": lost };
    admin.run_command(fail).await.expect("it answers");
    let watching = Watching::start(&place).await;
    until_healed(&place, 1, 2).await;
    let (report, said) = watching.stop().await;
    assert!(said.iter().any(|line| line.contains("full pass")), "{report:?} {said:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_outlasts_a_step_down_and_a_killed_primary() {
    let deployment = Deployment::replica_set().await.expect("it answers");
    let place = guarded(&deployment).await;
    let watching = Watching::start(&place).await;
    watching.until_placed(&place).await;
    old_write(&place, ["bob", "ann"]).await;
    until_healed(&place, 1, 1).await;
    deployment.step_down().await.expect("it answers");
    deployment.wait_until_writable().await.expect("it answers");
    old_write(&place, ["bob", "ann"]).await;
    until_healed(&place, 1, 2).await;
    let primary = deployment.primary().await.expect("it answers");
    deployment.kill(primary).expect("it runs");
    deployment.wait_until_writable().await.expect("it answers");
    old_write(&place, ["bob", "ann"]).await;
    until_healed(&place, 1, 3).await;
    deployment.restart(primary).await.expect("it answers");
    let (report, said) = watching.stop().await;
    assert_eq!(report.merged, 3, "{report:?} {said:?}");
    assert!(!said.iter().any(|line| line.contains("full pass")), "{said:?}");
}

#[tokio::test]
async fn a_standalone_server_has_nothing_to_follow() {
    let place = guarded(shared_standalone().await).await;
    let refused =
        Watching::start(&place).await.work.await.expect("it answers").expect_err("it is refused").to_string();
    assert!(refused.contains("no change streams") && refused.contains("onechat migrate"), "{refused}");
}
