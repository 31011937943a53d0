//! The index becomes unique once nothing is left that it would forbid or hide, and not before.

use mongodb::{
    IndexModel,
    bson::{Document, doc, oid::ObjectId},
    options::IndexOptions,
};
use onechat_core::KeyFormat;
use onechat_migrate::{CollectionState, MergeRules, Uncontrolled};
use onechat_mongo::{EnforceReport, Lease, MigrateError, MongoMigrator, MongoOptions};
use onechat_mongod::{Deployment, shared_replica_set, shared_standalone};

use crate::support::{Place, joined};

async fn guarded(
    deployment: &Deployment,
    chats: &[Document],
    options: &MongoOptions,
) -> (Place, MongoMigrator, Lease) {
    let place = Place::on(deployment).await;
    place.chats().insert_many(chats).await.expect("the database answers");
    let migrator = place.migrator_with(options).await;
    let lease = migrator.lease("test").await.expect("the database answers");
    migrator.guard_on(&lease, false, &Uncontrolled).await.expect("the database answers");
    (place, migrator, lease)
}

fn counts(report: &EnforceReport) -> (bool, u64, u64, u64) {
    (report.is_unique, report.duplicate_keys, report.without_key, report.cannot_have_key)
}

async fn what_is_clean_is_enforced(deployment: &Deployment) {
    let chats = [
        doc! { "participants": ["a", "b"], "participantsKey": "a_b" },
        doc! { "participants": ["d", "c"], "participantsKey": "c_d" },
    ];
    let (_place, migrator, lease) = guarded(deployment, &chats, &MongoOptions::default()).await;
    let dry = migrator.enforce(None, true, &Uncontrolled).await.expect("the database answers");
    assert_eq!(counts(&dry), (true, 0, 0, 0));
    let before = migrator.protection().await.expect("the database answers");
    assert_eq!(
        (before.state, before.is_unique),
        (CollectionState::Guarded, false),
        "a dry run changes nothing"
    );
    for _ in 0..2 {
        let report =
            migrator.enforce(Some(&lease), false, &Uncontrolled).await.expect("the database answers");
        assert_eq!(counts(&report), (true, 0, 0, 0));
        let after = migrator.protection().await.expect("the database answers");
        assert_eq!((after.state, after.is_unique), (CollectionState::Enforced, true));
    }
    // The guard has nothing to add to it.
    assert_eq!(
        migrator.guard_on(&lease, false, &Uncontrolled).await.expect("the database answers").state,
        CollectionState::Enforced
    );
}

#[tokio::test]
async fn a_clean_collection_is_enforced() {
    what_is_clean_is_enforced(shared_standalone().await).await;
}

#[tokio::test]
async fn a_clean_collection_is_enforced_on_a_replica_set() {
    what_is_clean_is_enforced(shared_replica_set().await).await;
}

#[tokio::test]
async fn what_would_be_forbidden_or_hidden_is_in_the_way() {
    let key = |key: &str| doc! { "participants": ["a", "b"], "participantsKey": key };
    let keyless = doc! { "participants": ["c", "d"] };
    let holder = doc! { "participants": ["a", "b"], "participantsKey": "a_b" };
    for (chats, wanted, hint) in [
        (vec![key("a_b"), key("a_b")], (false, 1, 0, 0), "merge apply"),
        (vec![keyless], (false, 0, 1, 0), "backfill"),
        (vec![key("b_a")], (false, 0, 1, 0), "backfill"),
        (vec![holder, key("")], (false, 0, 1, 0), "merge apply"),
    ] {
        let (_place, migrator, lease) =
            guarded(shared_standalone().await, &chats, &MongoOptions::default()).await;
        let dry = migrator.enforce(None, true, &Uncontrolled).await.unwrap();
        let report = migrator.enforce(Some(&lease), false, &Uncontrolled).await.unwrap();
        assert_eq!((counts(&report), &report), (wanted, &dry), "{chats:?}");
        assert!(report.examples.iter().any(|example| example.contains(hint)), "{:?}", report.examples);
        let after = migrator.protection().await.unwrap();
        assert_eq!((after.state, after.is_unique), (CollectionState::Guarded, false), "{chats:?}");
    }
}

#[tokio::test]
async fn more_duplicates_than_one_page_are_counted() {
    const KEYS: usize = 1500;
    let chats: Vec<Document> = (0..2 * KEYS)
        .map(|n| doc! { "participants": ["a", (n / 2).to_string()], "participantsKey": format!("{}_a", n / 2) })
        .collect();
    let (_place, migrator, _lease) =
        guarded(shared_standalone().await, &chats, &MongoOptions::default()).await;
    let report = migrator.enforce(None, true, &Uncontrolled).await.unwrap();
    assert_eq!(report.duplicate_keys, KEYS as u64);
    assert!(report.examples.len() < 100, "only examples are kept");
}

#[tokio::test]
async fn malformed_chats_stop_nothing_unless_their_own_key_collides() {
    let malformed = ObjectId::new();
    let mut chats = vec![
        doc! { "participants": ["a", "b"], "participantsKey": "a_b" },
        doc! { "participants": "nobody knows" },
        doc! { "participants": [], "participantsKey": "" },
        doc! { "participantsKey": "a key of its own" },
    ];
    let (_place, migrator, lease) =
        guarded(shared_standalone().await, &chats, &MongoOptions::default()).await;
    let report = migrator.enforce(Some(&lease), false, &Uncontrolled).await.unwrap();
    assert_eq!(counts(&report), (true, 0, 0, 0));

    chats.push(doc! { "_id": malformed, "participants": 7, "participantsKey": "a_b" });
    let (place, migrator, lease) = guarded(shared_standalone().await, &chats, &MongoOptions::default()).await;
    let report = migrator.enforce(Some(&lease), false, &Uncontrolled).await.unwrap();
    assert_eq!(counts(&report), (false, 1, 0, 0));
    let example = &report.examples[0];
    assert!(example.contains(&malformed.to_hex()) && example.contains("$unset"), "{example}");
    place
        .chats()
        .update_one(doc! { "_id": malformed }, doc! { "$unset": { "participantsKey": "" } })
        .await
        .unwrap();
    assert!(migrator.enforce(Some(&lease), false, &Uncontrolled).await.unwrap().is_unique);
}

#[tokio::test]
async fn an_ambiguous_key_belongs_to_one_and_the_other_is_reported() {
    let (held, other) = (ObjectId::new(), ObjectId::new());
    let chats = [
        doc! { "_id": held, "participants": ["a_b", "c"], "participantsKey": "a_b_c" },
        doc! { "_id": other, "participants": ["a", "b_c"] },
    ];
    let (_place, migrator, lease) = guarded(shared_standalone().await, &chats, &joined()).await;
    let report = migrator.enforce(Some(&lease), false, &Uncontrolled).await.unwrap();
    assert_eq!(counts(&report), (true, 0, 0, 1));
    let example = &report.examples[0];
    assert!(example.contains(&held.to_hex()) && example.contains(&other.to_hex()), "{example}");
    // Without a holder it could have its key.
    let (_place, migrator, _lease) = guarded(shared_standalone().await, &chats[1..], &joined()).await;
    assert_eq!(counts(&migrator.enforce(None, true, &Uncontrolled).await.unwrap()), (false, 0, 1, 0));
    assert_eq!(joined().key_format, KeyFormat::Joined);
}

#[tokio::test]
async fn without_a_guard_it_says_what_comes_first() {
    let place = Place::fresh().await;
    place.chats().insert_one(doc! { "participants": ["a", "b"], "participantsKey": "a_b" }).await.unwrap();
    let migrator = place.migrator().await;
    let lease = migrator.lease("test").await.unwrap();
    let dry = migrator.enforce(None, true, &Uncontrolled).await.unwrap();
    assert!(!dry.is_unique && dry.examples[0].contains("guard on"), "{dry:?}");
    let refused = migrator.enforce(Some(&lease), false, &Uncontrolled).await.unwrap_err();
    assert!(matches!(&refused, MigrateError::Refused(why) if why.contains("onechat guard on")), "{refused}");
}

#[tokio::test]
async fn an_index_of_another_program_that_is_unique_will_do() {
    let place = Place::fresh().await;
    place.chats().insert_one(doc! { "participants": ["a", "b"] }).await.unwrap();
    let options = IndexOptions::builder().unique(true).sparse(true).build();
    let mongoose = IndexModel::builder().keys(doc! { "participantsKey": 1 }).options(options).build();
    place.chats().create_index(mongoose).await.unwrap();
    let migrator = place.migrator().await;
    let lease = migrator.lease("test").await.unwrap();
    let report = migrator.enforce(Some(&lease), false, &Uncontrolled).await.unwrap();
    assert_eq!((report.is_unique, report.without_key), (true, 1));
    assert_eq!(migrator.protection().await.unwrap().state, CollectionState::Guarded);
    let keyed = doc! { "$set": { "participantsKey": "a_b" } };
    place.chats().update_one(doc! {}, keyed).await.unwrap();
    migrator.enforce(Some(&lease), false, &Uncontrolled).await.unwrap();
    assert_eq!(migrator.protection().await.unwrap().state, CollectionState::Enforced);
    assert_eq!(place.chats().list_index_names().await.unwrap(), ["_id_", "participantsKey_1"]);
}

#[tokio::test]
async fn looking_takes_no_more_than_the_right_to_read() {
    let (place, reader) = Place::with_reader().await;
    let chats = [
        doc! { "participants": ["a", "b"], "participantsKey": "a_b" },
        doc! { "participants": ["b", "a"], "participantsKey": "a_b" },
        doc! { "participants": ["c", "d"] },
    ];
    place.chats().insert_many(chats).await.unwrap();
    let options = MongoOptions::default();
    let migrator = MongoMigrator::connect(&reader, &options, MergeRules::default()).await.unwrap();
    assert_eq!(migrator.protection().await.unwrap().state, CollectionState::Unmigrated);
    let report = migrator.enforce(None, true, &Uncontrolled).await.unwrap();
    assert_eq!(counts(&report), (false, 1, 1, 0));
    assert_eq!(place.database.list_collection_names().await.unwrap(), ["chats"], "nothing may be noted");
}
