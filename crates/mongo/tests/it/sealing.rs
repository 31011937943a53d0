//! On a replica set keys go from chat to chat under a unique index only. MongoDB 6.0.5 ends a secondary that is to
//! apply such changes under an index that only guards, and none of its own transactions shows it: the members have to
//! be alive, and equal, afterwards.

use std::time::Duration;

use mongodb::bson::{Document, doc};
use onechat_migrate::Uncontrolled;
use onechat_mongo::{MigrateError, RunKind};
use onechat_mongod::{Deployment, shared_replica_set};

use crate::support::Place;

/// The youngest chat of each pair has the right key, so that merging into the oldest one takes it from one chat and
/// gives it to another.
async fn with_keys_to_be_moved(deployment: &Deployment, pairs: u32) -> Place {
    let place = Place::on(deployment).await;
    let chats = (0..pairs).flat_map(|pair| {
        let people = ["ann".to_owned(), format!("friend {pair}")];
        let key = format!("ann_friend {pair}");
        [
            doc! { "participants": people.to_vec() },
            doc! { "participants": people.to_vec(), "participantsKey": &key },
            doc! { "participants": people.to_vec(), "participantsKey": &key },
        ]
    });
    place.chats().insert_many(chats).await.expect("it answers");
    place
}

/// Every member's own hash of the database, once all have applied the same.
async fn hashes(deployment: &Deployment, database: &str) -> Vec<String> {
    let mut hashes = Vec::new();
    for member in 0..deployment.members() {
        let url = deployment.uri_of(member).expect("it is a member");
        let client = mongodb::Client::with_uri_str(url).await.expect("it answers");
        let reply = client.database(database).run_command(doc! { "dbHash": 1 }).await.expect("it answers");
        hashes.push(
            reply
                .get_document("collections")
                .expect("hashes")
                .get_str("chats")
                .expect("one of chats")
                .to_owned(),
        );
    }
    hashes
}

#[tokio::test]
async fn no_member_dies_of_keys_that_go_from_chat_to_chat() {
    // Its own: members that die would take the other tests along.
    let deployment = Deployment::replica_set().await.expect("it answers");
    let place = with_keys_to_be_moved(&deployment, 200).await;
    let migrator = place.migrator().await;
    let lease = migrator.lease("test").await.expect("it answers");
    let run = migrator.begin_run(&lease, RunKind::Merge).await.expect("it answers");
    migrator.guard_on(&lease, false, &Uncontrolled).await.expect("it answers");
    assert!(!migrator.protection().await.expect("it answers").is_unique, "the guard alone");
    assert_eq!(migrator.merge(&lease, &run, &Uncontrolled).await.expect("it answers").groups, 200);
    assert!(migrator.protection().await.expect("it answers").is_unique);
    assert_eq!(place.chats().count_documents(doc! {}).await.expect("it answers"), 200);
    deployment.wait_until_healthy().await.expect("a member died");
    for _ in 0..100 {
        let hashes = hashes(&deployment, place.database.name()).await;
        if hashes.iter().all(|hash| *hash == hashes[0]) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the members do not come to have the same");
}

#[tokio::test]
async fn malformed_chats_that_share_a_key_are_named_before_anything_is_merged() {
    let place = with_keys_to_be_moved(shared_replica_set().await, 1).await;
    let malformed = [0, 1].map(|_| doc! { "participants": 7, "participantsKey": "broken" });
    place.chats().insert_many(malformed).await.expect("it answers");
    let migrator = place.migrator().await;
    let lease = migrator.lease("test").await.expect("it answers");
    let run = migrator.begin_run(&lease, RunKind::Merge).await.expect("it answers");
    migrator.guard_on(&lease, false, &Uncontrolled).await.expect("it answers");
    let refused = migrator.merge(&lease, &run, &Uncontrolled).await.expect_err("it is refused");
    assert!(matches!(&refused, MigrateError::Refused(why) if why.contains("malformed")), "{refused}");
    assert_eq!(place.chats().count_documents(doc! {}).await.expect("it answers"), 5);
    let mended = doc! { "$unset": { "participantsKey": "" } };
    let chats = place.database.collection::<Document>("chats");
    chats.update_one(doc! { "participantsKey": "broken" }, mended).await.expect("it answers");
    assert_eq!(migrator.merge(&lease, &run, &Uncontrolled).await.expect("it answers").groups, 1);
}
