//! Random filters over random chats: nothing outside changes but a key that was needed.

use proptest::{prelude::*, test_runner::TestRunner};

use super::*;

const PEOPLE: [&[&str]; 4] = [&["ann", "bob"], &["bob", "ann"], &["ann", "bob", "cleo"], &["cleo", "dan"]];
const KEYS: [&str; 5] = ["ann_bob", "ann_bob_cleo", "cleo_dan", "other", "ann_dan"];

/// Whose chat it is, its marks `a` and `b`, and its key.
type Marked = (usize, Option<i32>, Option<i32>, Option<usize>);

/// Documents with marks `a` and `b`, and perhaps a key.
fn documents() -> impl Strategy<Value = Vec<Document>> {
    let mark = || prop::option::of(0..3_i32);
    let document = (0..PEOPLE.len(), mark(), mark(), prop::option::of(0..KEYS.len()));
    prop::collection::vec(document, 1..12).prop_map(|rows| {
        let document = |(number, (people, a, b, key)): (u8, Marked)| {
            let mut document = doc! { "_id": id(number) };
            document.extend(key.map(|key| ("participantsKey".to_owned(), KEYS[key].into())));
            document.insert("participants", PEOPLE[people].to_vec());
            document.extend(a.map(|a| ("a".to_owned(), a.into())));
            document.extend(b.map(|b| ("b".to_owned(), b.into())));
            document
        };
        (0..).zip(rows).map(document).collect()
    })
}

fn filters() -> impl Strategy<Value = String> {
    let leaf = (prop::sample::select(vec!["a", "b"]), 0..5_u8, 0..3_i32);
    let leaf = leaf.prop_map(|(field, kind, value)| match kind {
        0 => format!(r#"{{"{field}": {value}}}"#),
        1 => format!(r#"{{"{field}": {{"$ne": {value}}}}}"#),
        2 => format!(r#"{{"{field}": {{"$exists": false}}}}"#),
        3 => format!(r#"{{"{field}": {{"$gt": {value}}}}}"#),
        _ => format!(r#"{{"{field}": null}}"#),
    });
    let pair = (leaf.clone(), leaf.clone(), prop::sample::select(vec!["$and", "$or", "$nor"]));
    let pair = pair.prop_map(|(one, other, operator)| format!(r#"{{"{operator}": [{one}, {other}]}}"#));
    prop_oneof![leaf, pair]
}

fn people_of(document: &Document) -> Vec<String> {
    let people = document.get_array("participants").expect("an array");
    let mut people: Vec<String> = people.iter().map(|one| one.as_str().expect("a name").to_owned()).collect();
    people.sort();
    people
}

fn filter_of(only: &str) -> Document {
    doc! { "$and": [serde_json::from_str::<Document>(only).expect("a filter")] }
}

async fn holds(deployment: &Deployment, documents: Vec<Document>, only: &str) -> Result<(), TestCaseError> {
    let place = filled(deployment, documents.clone()).await;
    let is_inside = filter_of(only);
    let find =
        place.chats().find(is_inside).projection(doc! { "_id": 1 }).await.expect("the database answers");
    let inside: Vec<Document> = find.try_collect().await.expect("the database answers");
    let is_inside = |document: &Document| inside.iter().any(|one| one["_id"] == document["_id"]);
    let options = options(only);
    let rules = MergeRules {
        fields: ["a", "b"].map(|name| (name.to_owned(), onechat_migrate::FieldRule::Survivor)).into(),
        ..MergeRules::default()
    };
    let migrator = MongoMigrator::connect(&place.url, &options, rules)
        .await
        .expect("the database answers")
        .taking_outside_keys(true);
    let lease = migrator.lease("test").await.expect("the database answers");
    let run = migrator.begin_run(&lease, RunKind::Migrate).await.expect("the database answers");
    migrator.guard_on(&lease, false, &Uncontrolled).await.expect("the database answers");
    migrator.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await.expect("the database answers");
    let merged = migrator.merge(&lease, &run, &Uncontrolled).await.expect("the database answers");
    migrator.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await.expect("the database answers");
    let enforced = migrator.enforce(Some(&lease), false, &Uncontrolled).await.expect("the database answers");
    // Where the merged chat would be outside, nothing is merged, and somebody has to say what it is to be.
    let is_done = merged.blocked == 0;
    prop_assert!(!is_done || enforced.is_unique && enforced.without_key == 0, "{:?} {:?}", merged, enforced);
    let after = all(&place).await;
    for before in documents.iter().filter(|document| !is_inside(document)) {
        let now = after.iter().find(|now| now["_id"] == before["_id"]);
        let Some(now) = now else { return Err(TestCaseError::fail(format!("{before} is gone"))) };
        if now != before {
            prop_assert_eq!(without_key(now), without_key(before));
            let key = before.get_str("participantsKey").expect("the database answers");
            let wants = |other: &Document| {
                other["_id"] != now["_id"] && other.get_str("participantsKey").ok() == Some(key)
            };
            prop_assert!(after.iter().any(wants), "{} lost its key for nothing", before);
        }
    }
    let find = place.chats().find(filter_of(only)).projection(doc! { "_id": 1 }).await;
    let inside_now: Vec<Document> = find.expect("it answers").try_collect().await.expect("it answers");
    for chat in after.iter().filter(|chat| is_inside(chat)) {
        prop_assert!(inside_now.iter().any(|one| one["_id"] == chat["_id"]), "{} has left the filter", chat);
    }
    if !is_done {
        return Ok(());
    }
    let mut seen = std::collections::HashMap::new();
    for chat in after.iter().filter(|chat| is_inside(chat)) {
        let people = people_of(chat);
        prop_assert_eq!(chat.get_str("participantsKey").ok(), Some(&*people.join("_")));
        prop_assert!(seen.insert(people, chat["_id"].clone()).is_none(), "a duplicate");
    }
    for before in documents.iter().filter(|document| is_inside(document)) {
        prop_assert!(seen.contains_key(&people_of(before)), "{} is nowhere", before);
    }
    // A server finds each of them, and for nobody else anything.
    let store = place.store_with(options).await;
    for people in PEOPLE {
        let found = store
            .lookup(&chat_of(people))
            .await
            .expect("the database answers")
            .map(|chat| chat.id.as_str().to_owned());
        let people = people_of(&doc! { "participants": people.to_vec() });
        let expected = seen.get(&people).and_then(Bson::as_object_id).map(ObjectId::to_hex);
        prop_assert_eq!(found, expected);
    }
    migrator.rollback(&lease).await.expect("the database answers");
    let undone = migrator
        .undo(Some(&lease), &UndoTarget::Run(run), false, &Uncontrolled)
        .await
        .expect("the database answers");
    prop_assert!(undone.conflicts.is_empty(), "{:?}", undone);
    lease.release().await.expect("the database answers");
    // A key that had to make way on the way there comes back at the end of its document.
    let parts = |document: &Document| (without_key(document), document.get("participantsKey").cloned());
    let undone: Vec<_> = all(&place).await.iter().map(parts).collect();
    prop_assert_eq!(undone, documents.iter().map(parts).collect::<Vec<_>>());
    place.database.drop().await.expect("the database answers");
    Ok(())
}

fn for_many(cases: u32, deployment: impl AsyncFn() -> &'static Deployment) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("threads can be had");
    let deployment = runtime.block_on(deployment());
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let result = TestRunner::new(config).run(&(documents(), filters()), |(documents, only)| {
        runtime.block_on(holds(deployment, documents, &only))
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn whatever_the_filter_nothing_outside_changes_but_a_key_that_was_needed_on_a_standalone() {
    for_many(24, async || shared_standalone().await);
}

#[test]
fn whatever_the_filter_nothing_outside_changes_but_a_key_that_was_needed_on_a_replica_set() {
    for_many(8, async || shared_replica_set().await);
}
