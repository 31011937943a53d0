//! A filter that says which documents are chats of their people: nothing else is keyed, merged, adopted or answered.

mod random;

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, doc, oid::ObjectId};
use onechat_core::{
    ChatId, OutcomeKind, PageSize, Participant, ResolveError, StoreError,
    ports::{Audit as _, ChatStore},
};
use onechat_migrate::{GroupPlan, MergeRules, Uncontrolled};
use onechat_mongo::{
    Filter, Mapping, MongoAudit, MongoChatStore, MongoMigrator, MongoOptions, OpenError, RunKind, UndoTarget,
};
use onechat_mongod::{Deployment, shared_replica_set, shared_standalone};

use crate::support::{Place, World, chat_of};

struct Quiet;

impl onechat_core::ports::Progress for Quiet {
    fn advance(&self, _done: u64, _total: u64) {}
}

fn filter(text: &str) -> Filter {
    text.parse().expect("a filter")
}

fn options(only: &str) -> MongoOptions {
    let mapping = Mapping { only: Some(filter(only)), ..Mapping::default() };
    MongoOptions { mapping, ..MongoOptions::default() }
}

const DIRECT: &str = r#"{"isGroup": {"$ne": true}}"#;
const LIVING: &str = r#"{"isDeleted": {"$ne": true}}"#;

fn id(number: u8) -> ObjectId {
    ObjectId::from_bytes([0x60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number])
}

fn name(number: u8) -> ChatId {
    ChatId::new(id(number).to_hex()).expect("a valid id")
}

async fn deployments() -> [&'static Deployment; 2] {
    [shared_standalone().await, shared_replica_set().await]
}

async fn filled(deployment: &Deployment, chats: Vec<Document>) -> Place {
    let place = Place::on(deployment).await;
    place.chats().insert_many(chats).await.expect("it is empty");
    place
}

async fn all(place: &Place) -> Vec<Document> {
    let chats = place.chats();
    let found = chats.find(doc! {}).sort(doc! { "_id": 1 }).await.expect("the database answers");
    found.try_collect().await.expect("the database answers")
}

async fn one(place: &Place, number: u8) -> Document {
    let found = place.chats().find_one(doc! { "_id": id(number) }).await.expect("the database answers");
    found.expect("it is there")
}

async fn migrator(place: &Place, options: &MongoOptions) -> MongoMigrator {
    let rules = MergeRules::default();
    MongoMigrator::connect(&place.url, options, rules).await.expect("a server that runs")
}

/// All steps of a migration, keys outside being taken where needed; then how to undo it.
async fn migrate(place: &Place, options: &MongoOptions) -> UndoTarget {
    let migrator = migrator(place, options).await.taking_outside_keys(true);
    let lease = migrator.lease("test").await.expect("nobody else is there");
    let run = migrator.begin_run(&lease, RunKind::Migrate).await.expect("the database answers");
    migrator.guard_on(&lease, false, &Uncontrolled).await.expect("the guard can be made");
    migrator.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await.expect("keys can be given");
    let merged = migrator.merge(&lease, &run, &Uncontrolled).await.expect("groups can be merged");
    assert_eq!(merged.blocked, 0, "{merged:?}");
    migrator.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await.expect("keys can be given");
    let enforced = migrator.enforce(Some(&lease), false, &Uncontrolled).await.expect("it can be unique");
    assert!(enforced.is_unique && enforced.without_key == 0, "{enforced:?}");
    lease.release().await.expect("the database answers");
    UndoTarget::Run(run)
}

async fn created(store: &MongoChatStore, world: &World, people: &[&str]) -> (OutcomeKind, ChatId) {
    let outcome = store.create_or_get(world.proposal(people)).await.expect("it can be created");
    (outcome.kind, outcome.chat.id)
}

#[tokio::test]
async fn a_group_of_two_is_never_the_chat_of_its_people() {
    for deployment in deployments().await {
        let people = ["ann", "bob"];
        let group = |number: u8| doc! { "_id": id(number), "participants": people.to_vec(), "isGroup": true };
        let chats = vec![
            group(1),
            doc! { "_id": id(2), "participants": people.to_vec() },
            group(3),
            doc! { "_id": id(4), "participants": people.to_vec(), "isGroup": false },
            doc! { "_id": id(5), "participants": ["ann", "cleo"], "isGroup": true },
        ];
        let options = options(DIRECT);
        let place = filled(deployment, chats.clone()).await;
        place
            .database
            .collection("messages")
            .insert_many([doc! { "_id": 1, "chatId": id(1), "sender": "ann", "text": "in the group" }])
            .await
            .unwrap();
        let rules = MergeRules {
            fields: [("isGroup".to_owned(), onechat_migrate::FieldRule::Survivor)].into(),
            ..MergeRules::default()
        };
        let migrator = MongoMigrator::connect(&place.url, &options, rules).await.unwrap();
        let lease = migrator.lease("test").await.unwrap();
        let run = migrator.begin_run(&lease, RunKind::Migrate).await.unwrap();
        migrator.guard_on(&lease, true, &Uncontrolled).await.unwrap();
        migrator.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await.unwrap();
        let merged = migrator.merge(&lease, &run, &Uncontrolled).await.unwrap();
        assert_eq!((merged.groups, merged.losers, merged.blocked), (1, 1, 0), "{merged:?}");
        let enforced = migrator.enforce(Some(&lease), false, &Uncontrolled).await.unwrap();
        assert!(enforced.is_unique, "{enforced:?}");
        lease.release().await.unwrap();
        let after = all(&place).await;
        assert_eq!(after.len(), 4);
        for group in [0, 2, 4] {
            assert!(after.contains(&chats[group]), "{after:?}");
        }

        let (store, world) = (place.store_with(options.clone()).await, World::default());
        assert_eq!(created(&store, &world, &people).await, (OutcomeKind::Existing, name(2)));
        assert_eq!(store.lookup(&chat_of(&["ann", "cleo"])).await.unwrap(), None);
        assert_eq!(created(&store, &world, &["ann", "cleo"]).await.0, OutcomeKind::Created);
        // By its id a group is shown, and in lists.
        assert!(store.chat(&name(5)).await.unwrap().is_some());
        let ann = Participant::new("ann").unwrap();
        let list = store.chats_of(&ann, None, PageSize::default(), None).await.unwrap();
        assert_eq!(list.items.len(), 5);

        // The validator asks only what is inside for a key.
        place.chats().insert_one(group(9)).await.unwrap();
        let refused = place.chats().insert_one(doc! { "participants": ["dan", "eve"] }).await;
        assert!(refused.unwrap_err().to_string().contains("121"));

        let audit = MongoAudit::connect(&place.url, &options).await.unwrap();
        let report = audit.audit(&Quiet).await.unwrap();
        assert!(report.is_clean(), "{report:?}");
        assert_eq!((report.chats, report.outside), (2, all(&place).await.len() as u64 - 2));
    }
}

#[tokio::test]
async fn a_document_outside_gives_its_key_up_to_whoever_creates_and_to_nobody_who_looks() {
    for deployment in deployments().await {
        let place = filled(
            deployment,
            vec![
                doc! { "_id": id(1), "participants": ["ann", "bob"] },
                doc! { "_id": id(2), "participants": ["ann", "cleo"] },
            ],
        )
        .await;
        let options = options(LIVING);
        migrate(&place, &options).await;
        let (store, world) = (place.store_with(options.clone()).await, World::default());
        // The old backend deletes both, and then a third one comes back.
        place.chats().update_many(doc! {}, doc! { "$set": { "isDeleted": true } }).await.unwrap();
        place.chats().insert_one(doc! { "_id": id(3), "participants": ["cleo", "ann"] }).await.unwrap();
        let before = one(&place, 1).await;
        assert_eq!(store.lookup(&chat_of(&["ann", "bob"])).await.unwrap(), None);
        assert_eq!(one(&place, 1).await, before, "a get takes nothing");

        let (kind, new) = created(&store, &world, &["ann", "bob"]).await;
        assert_eq!(kind, OutcomeKind::Created);
        let mut expected = before.clone();
        expected.remove("participantsKey");
        assert_eq!(one(&place, 1).await, expected);
        assert_eq!(created(&store, &world, &["ann", "bob"]).await, (OutcomeKind::Existing, new));
        // An adoption takes it as well.
        assert_eq!(created(&store, &world, &["ann", "cleo"]).await, (OutcomeKind::Existing, name(3)));
        assert_eq!(one(&place, 3).await.get_str("participantsKey").ok(), Some("ann_cleo"));
        assert!(!one(&place, 2).await.contains_key("participantsKey"));
        let taken = place.database.collection::<Document>("onechat_taken_keys");
        let taken: Vec<Document> = taken.find(doc! {}).await.unwrap().try_collect().await.unwrap();
        let taken: Vec<_> = taken
            .iter()
            .map(|one| (one.get_object_id("chat").unwrap(), one.get_str("key").unwrap()))
            .collect();
        assert!(taken.contains(&(id(1), "ann_bob")) && taken.contains(&(id(2), "ann_cleo")), "{taken:?}");
    }
}

#[tokio::test]
async fn one_that_comes_back_is_found_and_adopted_however_far_the_collection_has_come() {
    for deployment in deployments().await {
        let place = filled(
            deployment,
            vec![
                doc! { "_id": id(1), "participants": ["ann", "bob"], "isDeleted": true },
                doc! { "_id": id(2), "participants": ["ann", "cleo"] },
            ],
        )
        .await;
        let options = options(LIVING);
        migrate(&place, &options).await;
        let (store, world) = (place.store_with(options.clone()).await, World::default());
        assert_eq!(store.lookup(&chat_of(&["ann", "bob"])).await.unwrap(), None);
        place
            .chats()
            .update_one(doc! { "_id": id(1) }, doc! { "$unset": { "isDeleted": "" } })
            .await
            .unwrap();
        let found = store.lookup(&chat_of(&["ann", "bob"])).await.unwrap();
        assert_eq!(found.map(|chat| chat.id), Some(name(1)));
        assert!(!one(&place, 1).await.contains_key("participantsKey"));
        assert_eq!(created(&store, &world, &["ann", "bob"]).await, (OutcomeKind::Existing, name(1)));
        assert_eq!(one(&place, 1).await.get_str("participantsKey").ok(), Some("ann_bob"));
    }
}

#[tokio::test]
async fn no_new_chat_is_outside_and_the_refusal_names_the_field() {
    let with = |only: &str, constants: serde_json::Value| {
        let constants = constants.as_object().expect("an object").clone();
        let mapping = Mapping { only: Some(filter(only)), constants, ..Mapping::default() };
        MongoOptions { mapping, ..MongoOptions::default() }
    };
    let refused = [
        (r#"{"isGroup": {"$ne": true}, "kind": "direct"}"#, serde_json::json!({}), "kind"),
        (r#"{"kind": "direct"}"#, serde_json::json!({"kind": "group"}), "kind"),
        (r#"{"_id": {"$exists": false}}"#, serde_json::json!({}), "_id"),
        (r#"{"$or": [{"a": 1}, {"b": {"$gt": 2}}]}"#, serde_json::json!({"b": 1}), "a, b"),
        (r#"{"participants": "zoe"}"#, serde_json::json!({}), "participants"),
    ];
    for (only, constants, field) in refused {
        let place = Place::fresh().await;
        let (store, world) = (place.store_with(with(only, constants)).await, World::default());
        for _ in 0..2 {
            let error = store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap_err();
            let expected = ResolveError::Store(StoreError::OutsideFilter(field.to_owned()));
            assert_eq!(error, expected, "{only}");
        }
        assert_eq!(place.chats().count_documents(doc! {}).await.unwrap(), 0);
    }
    let accepted = [
        (r#"{"kind": "direct", "gone": null}"#, serde_json::json!({"kind": "direct"})),
        (r#"{"text": "$kind"}"#, serde_json::json!({"text": "$kind"})),
        (r#"{"participants": "ann"}"#, serde_json::json!({})),
        (r#"{"createdAt": {"$gt": {"$date": "2020-01-01T00:00:00Z"}}}"#, serde_json::json!({})),
    ];
    for (only, constants) in accepted {
        let place = Place::fresh().await;
        let (store, world) = (place.store_with(with(only, constants)).await, World::default());
        assert_eq!(created(&store, &world, &["ann", "bob"]).await.0, OutcomeKind::Created, "{only}");
    }
}

#[tokio::test]
async fn lists_and_reads_by_id_show_what_is_visible() {
    let place = filled(
        shared_standalone().await,
        vec![
            doc! { "_id": id(1), "participants": ["ann", "bob"], "isDeleted": true },
            doc! { "_id": id(2), "participants": ["ann", "cleo"] },
        ],
    )
    .await;
    let mapping = Mapping { only: Some(filter(LIVING)), visible: Some(filter(LIVING)), ..Mapping::default() };
    let options = MongoOptions { mapping, ..MongoOptions::default() };
    migrate(&place, &options).await;
    let (store, world) = (place.store_with(options).await, World::default());
    let ann = Participant::new("ann").unwrap();
    for is_deleted in [true, false] {
        let shown = usize::from(!is_deleted);
        let list = store.chats_of(&ann, None, PageSize::default(), None).await.unwrap();
        assert_eq!(list.items.len(), 1 + shown);
        assert_eq!(store.chat(&name(1)).await.unwrap().is_some(), !is_deleted);
        assert_eq!(store.chat_for(&name(1), &ann).await.unwrap().is_some(), !is_deleted);
        let message = world.message(&name(1), "ann", "c1");
        assert_eq!(store.send(message).await.unwrap().is_some(), !is_deleted);
        let messages = store.messages(&name(1), PageSize::default(), None).await.unwrap();
        assert_eq!(messages.items.len(), shown);
        assert!(store.chat(&name(2)).await.unwrap().is_some());
        place
            .chats()
            .update_one(doc! { "_id": id(1) }, doc! { "$set": { "isDeleted": false } })
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn keys_outside_stop_a_run_before_it_changes_anything_until_they_may_be_taken() {
    for deployment in deployments().await {
        let key = |key: &str| Bson::from(key);
        let chats = vec![
            doc! { "_id": id(1), "participantsKey": key("ann_bob"), "participants": ["ann", "bob"], "isGroup": true },
            doc! { "_id": id(2), "participants": ["ann", "bob"] },
            // Nobody inside needs it.
            doc! { "_id": id(3), "participantsKey": key("ann_dan"), "participants": ["ann", "dan"], "isGroup": true },
            // Shared outside: the index cannot be.
            doc! { "_id": id(4), "participantsKey": key("x"), "participants": ["ann", "eve"], "isGroup": true },
            doc! { "_id": id(5), "participantsKey": key("x"), "participants": "nobody", "isGroup": true },
        ];
        let place = filled(deployment, chats.clone()).await;
        let options = options(DIRECT);
        let asks = migrator(&place, &options).await;
        let question = asks.question_of_outside_keys().await.unwrap().unwrap();
        assert!(question.contains("4 documents of chats") && question.contains("outside_keys"), "{question}");
        let lease = asks.lease("test").await.unwrap();
        let refused = asks.guard_on(&lease, false, &Uncontrolled).await.unwrap_err().to_string();
        assert_eq!(refused, question);
        lease.release().await.unwrap();
        assert_eq!(all(&place).await, chats);

        let undo = migrate(&place, &options).await;
        let after = all(&place).await;
        let of = |number: usize| after[number - 1].get_str("participantsKey").ok();
        assert_eq!((of(1), of(2), of(3)), (None, Some("ann_bob"), Some("ann_dan")));
        assert_eq!([of(4), of(5)].iter().flatten().count(), 1);
        let migrator = migrator(&place, &options).await;
        let lease = migrator.lease("test").await.unwrap();
        migrator.rollback(&lease).await.unwrap();
        let undone = migrator.undo(Some(&lease), &undo, false, &Uncontrolled).await.unwrap();
        assert!(undone.conflicts.is_empty(), "{undone:?}");
        lease.release().await.unwrap();
        assert_eq!(all(&place).await, chats);
    }
}

#[tokio::test]
async fn one_that_leaves_after_it_was_planned_is_not_merged() {
    for deployment in deployments().await {
        let chat = |number: u8| doc! { "_id": id(number), "participants": ["ann", "bob"] };
        let place = filled(deployment, vec![chat(1), chat(2), chat(3)]).await;
        let options = options(LIVING);
        let migrator = migrator(&place, &options).await;
        let lease = migrator.lease("test").await.unwrap();
        let run = migrator.begin_run(&lease, RunKind::Merge).await.unwrap();
        migrator.guard_on(&lease, false, &Uncontrolled).await.unwrap();
        let mut plans: Vec<GroupPlan> = Vec::new();
        migrator
            .plan(&Uncontrolled, &mut |plan| {
                plans.push(plan);
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(plans.len(), 1);
        let dies = doc! { "$set": { "isDeleted": true } };
        place.chats().update_one(doc! { "_id": id(1) }, dies).await.unwrap();
        let dead = one(&place, 1).await;
        let mut plans = plans.into_iter().map(Ok);
        let merged = migrator.apply(&lease, &run, &mut plans, &Uncontrolled).await.unwrap();
        assert_eq!((merged.groups, merged.losers), (1, 1), "{merged:?}");
        assert_eq!(one(&place, 1).await, dead);
        assert!(!one(&place, 2).await.contains_key("isDeleted"));
        lease.release().await.unwrap();
    }
}

#[tokio::test]
async fn a_watch_heals_what_comes_back_inside_and_leaves_the_rest() {
    let place = filled(
        shared_replica_set().await,
        vec![
            doc! { "_id": id(1), "participants": ["ann", "bob"], "isDeleted": true },
            doc! { "_id": id(2), "participants": ["ann", "bob"] },
        ],
    )
    .await;
    let options = options(LIVING);
    migrate(&place, &options).await;
    let healer = migrator(&place, &options).await.taking_outside_keys(true);
    let watch = tokio::spawn(async move {
        let lease = healer.lease("watch").await.unwrap();
        let run = healer.begin_run(&lease, RunKind::Watch).await.unwrap();
        healer.watch(&lease, &run, &Uncontrolled).await.map(drop)
    });
    let notes = place.database.collection::<Document>("onechat_meta");
    let is_placed = doc! { "watch.place": { "$exists": true } };
    while notes.count_documents(is_placed.clone()).await.unwrap() == 0 {
        tokio::task::yield_now().await;
    }
    // A new one outside, one whose key a document outside has, and one that comes back.
    let outside = doc! { "_id": id(7), "participants": ["ann", "bob"], "isDeleted": true };
    place.chats().insert_one(outside.clone()).await.unwrap();
    let keyed = doc! { "_id": id(8), "participants": ["cleo", "dan"], "participantsKey": "cleo_dan", "isDeleted": true };
    place.chats().insert_one(keyed).await.unwrap();
    place.chats().insert_one(doc! { "_id": id(9), "participants": ["cleo", "dan"] }).await.unwrap();
    place.chats().update_one(doc! { "_id": id(1) }, doc! { "$unset": { "isDeleted": "" } }).await.unwrap();
    let began = std::time::Instant::now();
    let healed = doc! { "_id": id(9), "participantsKey": "cleo_dan" };
    let living = doc! { "participants": "bob", "isDeleted": { "$ne": true } };
    while place.chats().count_documents(healed.clone()).await.unwrap() == 0
        || place.chats().count_documents(living.clone()).await.unwrap() > 1
    {
        assert!(!watch.is_finished());
        assert!(began.elapsed() < std::time::Duration::from_mins(1), "{:?}", all(&place).await);
        tokio::task::yield_now().await;
    }
    watch.abort();
    assert_eq!(one(&place, 7).await, outside);
}

#[tokio::test]
async fn another_filter_is_refused_once_keys_count_and_one_that_the_server_does_not_know_always() {
    let place =
        filled(shared_standalone().await, vec![doc! { "_id": id(1), "participants": ["ann", "bob"] }]).await;
    migrate(&place, &options(LIVING)).await;
    place.store_with(options(LIVING)).await;
    for other in [options(DIRECT), MongoOptions::default()] {
        let refused = MongoChatStore::connect(&place.url, other.clone()).await.err().unwrap();
        assert!(matches!(refused, OpenError::Only { .. }), "{refused:?}");
        let refused = MongoMigrator::connect(&place.url, &other, MergeRules::default()).await.err().unwrap();
        assert!(refused.to_string().contains("isDeleted"), "{refused}");
    }
    let unknown = options(r#"{"a": {"$ist": 1}}"#);
    let refused = MongoAudit::connect(&place.url, &unknown).await.err().unwrap().to_string();
    assert!(refused.contains("only of [mongodb]") && refused.contains("$ist"), "{refused}");
    let empty = Place::fresh().await;
    let refused = MongoChatStore::connect(&empty.url, unknown).await.err().unwrap();
    assert!(matches!(refused, OpenError::Mapping(_)), "{refused:?}");
}

fn without_key(document: &Document) -> Document {
    let mut document = document.clone();
    document.remove("participantsKey");
    document
}

/// Each is inside by another condition, and by the fields of both the survivor would be outside.
#[tokio::test]
async fn a_merge_by_which_the_survivor_would_leave_the_filter_is_blocked() {
    for deployment in deployments().await {
        let documents = vec![
            doc! { "_id": id(1), "participants": ["ann", "bob"], "a": 0 },
            doc! { "_id": id(2), "participants": ["ann", "bob"], "b": 0 },
        ];
        let place = filled(deployment, documents.clone()).await;
        let options = options(r#"{"$or": [{"a": {"$ne": 0}}, {"b": {"$exists": false}}]}"#);
        let fields = ["a", "b"].map(|name| (name.to_owned(), onechat_migrate::FieldRule::Survivor));
        let rules = MergeRules { fields: fields.into(), ..MergeRules::default() };
        let migrator = MongoMigrator::connect(&place.url, &options, rules).await.unwrap();
        let lease = migrator.lease("test").await.unwrap();
        let run = migrator.begin_run(&lease, RunKind::Merge).await.unwrap();
        migrator.guard_on(&lease, false, &Uncontrolled).await.unwrap();
        migrator.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await.unwrap();
        let merged = migrator.merge(&lease, &run, &Uncontrolled).await.unwrap();
        assert_eq!((merged.groups, merged.blocked), (0, 1), "{merged:?}");
        assert!(merged.examples[0].contains("outside `only`"), "{merged:?}");
        let after: Vec<Document> = all(&place).await.iter().map(without_key).collect();
        assert_eq!(after, documents);
    }
}
