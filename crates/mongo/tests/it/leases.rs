//! One run at a time, and nothing of a run that was taken over.

use mongodb::bson::{DateTime, Document, doc, oid::ObjectId};
use onechat_migrate::Uncontrolled;
use onechat_mongo::{Lease, MigrateError, MongoMigrator, RunKind};
use onechat_mongod::{Deployment, shared_replica_set, shared_standalone};

use crate::support::Place;

/// As if the holder had not been heard of for long: it was paused, or its machine hangs.
async fn take_over(place: &Place, migrator: &MongoMigrator) -> Lease {
    let leases = place.database.collection::<Document>("onechat_lease");
    let long_ago = doc! { "$set": { "beat": DateTime::from_millis(0) } };
    loop {
        leases.update_one(doc! { "_id": "chats" }, long_ago.clone()).await.expect("it answers");
        match migrator.lease("the second").await {
            Ok(lease) => return lease,
            // The holder has renewed it in between.
            Err(MigrateError::Leased { .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn a_second_run_is_told_who_is_at_work() {
    let place = Place::fresh().await;
    let (one, other) = (place.migrator().await, place.migrator().await);
    let lease = one.lease("the first").await.expect("it answers");
    let refused = other.lease("the second").await.err().expect("there is one at work");
    let text = refused.to_string();
    assert!(matches!(refused, MigrateError::Leased { .. }), "{text}");
    for part in ["the first", &format!("process {}", std::process::id())] {
        assert!(text.contains(part), "{part:?} is missing in {text:?}");
    }
    lease.release().await.expect("it answers");
    other.lease("the second").await.expect("it answers");
}

#[tokio::test]
async fn what_a_killed_run_has_left_is_taken_over_by_itself() {
    let place = Place::fresh().await;
    let killed = place.migrator().await.lease("killed").await.expect("it answers");
    // It is dropped without being released, as by `kill -9`.
    drop(killed);
    place.migrator().await.lease("the next").await.expect("it answers");
}

/// Two chats of one set, and a third one without a key.
async fn old(deployment: &Deployment) -> Place {
    let place = Place::on(deployment).await;
    let chats = [
        doc! { "_id": ObjectId::from_bytes([1; 12]), "participants": ["a", "b"], "participantsKey": "a_b" },
        doc! { "_id": ObjectId::from_bytes([2; 12]), "participants": ["b", "a"] },
        doc! { "_id": ObjectId::from_bytes([3; 12]), "participants": ["c", "d"] },
    ];
    place.chats().insert_many(chats).await.expect("it answers");
    place
}

async fn a_run_that_was_taken_over_writes_nothing_more(deployment: &Deployment) {
    let place = old(deployment).await;
    let paused = place.migrator().await;
    let lease = paused.lease("paused").await.expect("it answers");
    paused.guard_on(&lease, false, &Uncontrolled).await.expect("it answers");
    let run = paused.begin_run(&lease, RunKind::Merge).await.expect("it answers");
    let next = place.migrator().await;
    let second = take_over(&place, &next).await;

    let late = [
        paused.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await.map(drop),
        paused.merge(&lease, &run, &Uncontrolled).await.map(drop),
    ];
    for late in late {
        assert!(matches!(late, Err(MigrateError::LeaseLost)), "{late:?}");
    }
    assert_eq!(place.chats().count_documents(doc! {}).await.expect("it answers"), 3);
    assert_eq!(
        place.chats().count_documents(doc! { "participantsKey": { "$gt": "" } }).await.expect("it answers"),
        1
    );

    let run = next.begin_run(&second, RunKind::Merge).await.expect("it answers");
    next.backfill(Some(&second), Some(&run), false, &Uncontrolled).await.expect("it answers");
    assert_eq!(next.merge(&second, &run, &Uncontrolled).await.expect("it answers").groups, 1);
    assert_eq!(place.chats().count_documents(doc! {}).await.expect("it answers"), 2);
}

#[tokio::test]
async fn a_run_that_was_taken_over_is_out() {
    a_run_that_was_taken_over_writes_nothing_more(shared_standalone().await).await;
}

#[tokio::test]
async fn a_run_that_was_taken_over_is_out_on_a_replica_set() {
    a_run_that_was_taken_over_writes_nothing_more(shared_replica_set().await).await;
}

#[tokio::test]
async fn a_run_that_was_taken_over_changes_neither_indexes_nor_what_servers_are_told() {
    let place = old(shared_standalone().await).await;
    let (one, other) = (place.migrator().await, place.migrator().await);
    let lost = one.lease("the first").await.expect("it answers");
    let lease = take_over(&place, &other).await;
    let is_lost = |result: Option<MigrateError>| matches!(result, Some(MigrateError::LeaseLost));
    let before = other.protection().await.expect("it answers");
    assert!(is_lost(one.guard_on(&lost, true, &Uncontrolled).await.err()));
    assert_eq!(other.protection().await.expect("it answers"), before);

    let run = other.begin_run(&lease, RunKind::Migrate).await.expect("it answers");
    let guarded = other.guard_on(&lease, false, &Uncontrolled).await.expect("it answers");
    assert!(is_lost(one.guard_off(&lost).await.err()));
    assert_eq!(other.protection().await.expect("it answers"), guarded);

    other.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await.expect("it answers");
    other.merge(&lease, &run, &Uncontrolled).await.expect("it answers");
    assert!(is_lost(one.enforce(Some(&lost), false, &Uncontrolled).await.err()));
    assert_eq!(other.protection().await.expect("it answers"), guarded);
    assert!(other.enforce(Some(&lease), false, &Uncontrolled).await.expect("it answers").is_unique);

    let enforced = other.protection().await.expect("it answers");
    assert!(is_lost(one.rollback(&lost).await.err()));
    assert_eq!(other.protection().await.expect("it answers"), enforced);
}
