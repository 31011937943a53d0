//! Keys for chats that have none, or wrong ones: all shapes, all types of ids, cut off and gone on with.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use futures_util::TryStreamExt as _;
use mongodb::{
    bson::{Bson, DateTime, Document, doc, oid::ObjectId},
    options::Collation,
};
use onechat_core::{KeyFormat, ParticipantsKey};
use onechat_migrate::{Control, MergeRules, Stopped, Uncontrolled};
use onechat_mongo::{BackfillReport, MigrateError, MongoMigrator, MongoOptions, RunKind};

use crate::support::{Place, chat_of, joined};

async fn migrator(place: &Place, options: &MongoOptions) -> MongoMigrator {
    MongoMigrator::connect(&place.url, options, MergeRules::default()).await.expect("a server that runs")
}

/// Puts the guard up and gives keys.
async fn backfill(
    place: &Place,
    options: &MongoOptions,
    control: &dyn Control,
) -> Result<BackfillReport, MigrateError> {
    let migrator = migrator(place, options).await;
    let lease = migrator.lease("test").await?;
    migrator.guard_on(&lease, false, &Uncontrolled).await?;
    let run = migrator.begin_run(&lease, RunKind::Backfill).await?;
    let report = migrator.backfill(Some(&lease), Some(&run), false, control).await;
    if report.is_ok() {
        migrator.end_run(&run).await?;
    }
    lease.release().await?;
    report
}

async fn forecast(place: &Place, options: &MongoOptions) -> BackfillReport {
    migrator(place, options).await.backfill(None, None, true, &Uncontrolled).await.expect("it only reads")
}

/// All chats by `_id`.
async fn all(place: &Place) -> HashMap<String, Document> {
    let chats: Vec<Document> = place
        .chats()
        .find(doc! {})
        .await
        .expect("the database answers")
        .try_collect()
        .await
        .expect("the database answers");
    chats.into_iter().map(|chat| (chat.get("_id").expect("the database answers").to_string(), chat)).collect()
}

fn chat(id: impl Into<Bson>, participants: &[&str], key: Option<Bson>) -> Document {
    let mut chat = doc! { "_id": id.into(), "participants": participants, "title": "as it was" };
    if let Some(key) = key {
        chat.insert("participantsKey", key);
    }
    chat
}

fn counts(report: &BackfillReport) -> [u64; 6] {
    let BackfillReport { examined, keyed, corrected, duplicates, ambiguous, malformed, .. } = report;
    [*examined, *keyed, *corrected, *duplicates, *ambiguous, *malformed]
}

#[tokio::test]
async fn every_chat_gets_its_key_whatever_it_had_and_whatever_type_its_id_is() {
    let place = Place::fresh().await;
    let chats = [
        chat(1, &["a", "b"], None),
        chat(2.5, &["a", "c"], Some(Bson::Null)),
        chat("three", &["a", "d"], Some("".into())),
        chat(ObjectId::new(), &["a", "e"], Some("e_a".into())),
        chat(true, &["f", "a", "f"], Some("a_f_f".into())),
        chat(DateTime::from_millis(7), &["a", "g"], Some(7.into())),
        chat(doc! { "sub": 1 }, &["a", "h"], Some("a_h".into())),
        // The keys of these two are each other's.
        chat(8, &["a", "i"], Some("a_j".into())),
        chat(9, &["a", "j"], Some("a_i".into())),
    ];
    place.chats().insert_many(&chats).await.unwrap();
    // More than one batch, of a type that comes between the others.
    let more = (0..2500).map(|n| chat(format!("m{n}"), &["m", &format!("n{n}")], None));
    place.chats().insert_many(more).await.unwrap();
    let before = all(&place).await;

    let wanted = forecast(&place, &MongoOptions::default()).await;
    assert_eq!(all(&place).await, before, "a dry run only reads");
    let report = backfill(&place, &MongoOptions::default(), &Uncontrolled).await.unwrap();
    assert_eq!(counts(&report), [2509, 2503, 5, 0, 0, 0], "{report:?}");
    assert_eq!(counts(&wanted), counts(&report));
    for (id, chat) in all(&place).await {
        let members: Vec<&str> =
            chat.get_array("participants").unwrap().iter().map(|member| member.as_str().unwrap()).collect();
        let mut wanted = before[&id].clone();
        let key = ParticipantsKey::new(&chat_of(&members), KeyFormat::Escaped);
        wanted.insert("participantsKey", key.as_str());
        assert_eq!(chat, wanted);
    }

    let journal = place.database.collection::<Document>("onechat_journal");
    let entries: Vec<Document> =
        journal.find(doc! { "type": "keys" }).await.unwrap().try_collect().await.unwrap();
    let mut firsts: HashMap<String, Option<Bson>> = HashMap::new();
    let mut entries = entries;
    entries.sort_by_key(|entry| entry.get_i64("order").unwrap());
    for row in entries.iter().flat_map(|entry| entry.get_array("keys").unwrap()) {
        let row = row.as_document().unwrap();
        firsts.entry(row.get("id").unwrap().to_string()).or_insert_with(|| row.get("before").cloned());
    }
    assert_eq!(firsts.len(), 2508, "all but the one that was right");
    for (id, had) in firsts {
        assert_eq!(had, before[&id].get("participantsKey").cloned(), "missing is not null");
    }

    let again = backfill(&place, &MongoOptions::default(), &Uncontrolled).await.unwrap();
    assert_eq!((counts(&again), again.run), ([2509, 0, 0, 0, 0, 0], None));
}

#[tokio::test]
async fn what_is_malformed_or_a_duplicate_or_a_look_alike_keeps_what_it_has() {
    let place = Place::fresh().await;
    let chats = [
        chat(1, &["ann", "bob"], Some("ann_bob".into())),
        chat(2, &["bob", "ann"], None),
        chat(3, &["bob", "ann"], Some("bob_ann".into())),
        chat(4, &["Ann", "bob"], None),
        chat(5, &["caf\u{e9}", "bob"], None),
        chat(6, &["cafe\u{301}", "bob"], None),
        chat(7, &[], Some("x_y".into())),
        doc! { "_id": 8, "participants": "ann_bob" },
        doc! { "_id": 9, "participants": ["ann", 7.5], "participantsKey": "ann_7.5" },
        // Its key is held by a chat that nobody may touch.
        chat(10, &["x", "y"], None),
    ];
    place.chats().insert_many(&chats).await.unwrap();
    let wanted = forecast(&place, &MongoOptions::default()).await;
    let report = backfill(&place, &MongoOptions::default(), &Uncontrolled).await.unwrap();
    assert_eq!(counts(&report), [10, 3, 0, 2, 1, 3], "{report:?}");
    assert_eq!(counts(&wanted), counts(&report));
    let now = all(&place).await;
    for untouched in [0, 1, 2, 6, 7, 8, 9] {
        let chat: &Document = &chats[untouched];
        assert_eq!(now[&chat.get("_id").unwrap().to_string()], *chat);
    }
    assert_eq!(now["4"].get_str("participantsKey").unwrap(), "Ann_bob");
    assert_eq!(now["6"].get_str("participantsKey").unwrap(), "bob_cafe\u{301}");
}

#[tokio::test]
async fn of_different_sets_with_one_joined_key_the_oldest_keeps_it() {
    let place = Place::fresh().await;
    let at = |ms: i64, mut chat: Document| {
        chat.insert("createdAt", DateTime::from_millis(ms));
        chat
    };
    let key = || Some(Bson::from("a_b_c"));
    place
        .chats()
        .insert_many([
            at(3000, chat(1, &["a_b", "c"], key())),
            at(1000, chat(2, &["a", "b_c"], key())),
            at(2000, chat(3, &["a", "b", "c"], key())),
            at(500, chat(4, &["b_c", "a"], None)),
            at(100, chat(5, &["c", "b", "a"], None)),
            // This one's key belongs to the next, and its own is free.
            chat(6, &["p_q", "r"], Some("s_t".into())),
            chat(7, &["s", "t"], None),
        ])
        .await
        .unwrap();
    let wanted = forecast(&place, &joined()).await;
    let report = backfill(&place, &joined(), &Uncontrolled).await.unwrap();
    assert_eq!(counts(&report), [7, 1, 1, 1, 3, 0], "{report:?}");
    assert_eq!(counts(&wanted), counts(&report));
    let keys = all(&place).await;
    let key = |id: &str| keys[id].get("participantsKey").and_then(Bson::as_str);
    assert_eq!([key("1"), key("2"), key("3"), key("4"), key("5")], [None, Some("a_b_c"), None, None, None]);
    assert_eq!([key("6"), key("7")], [Some("p_q_r"), Some("s_t")]);
    assert!(!keys["1"].contains_key("participantsKey"), "it is gone, and not null");
}

/// Collections of all sorts of chats, by a seed; of those with a key, most have their own.
fn anything(seed: u64, chats: i32, format: KeyFormat) -> Vec<Document> {
    let mut state = seed;
    let mut below = move |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    let names = ["a", "b", "a_b", "b_a", "A", "c_", "_c", "%"];
    let name = |index: u64| names[usize::try_from(index).expect("the database answers")];
    let mut made = Vec::new();
    for n in 0..chats {
        let members: Vec<&str> = (0..=below(3)).map(|_| name(below(8))).collect();
        let id = if below(2) == 0 { Bson::from(n) } else { Bson::from(format!("id{n}")) };
        let key = match below(12) {
            0 => None,
            1 => Some(Bson::Null),
            2 => Some("".into()),
            3 => Some(members.join("_").into()),
            4 => Some(ParticipantsKey::new(&chat_of(&members), KeyFormat::Joined).as_str().into()),
            5 => Some(name(below(8)).into()),
            _ => Some(ParticipantsKey::new(&chat_of(&members), format).as_str().into()),
        };
        let mut chat = chat(id, &members, key);
        // A fraction is nobody.
        let alone = [Bson::from(1.5), Bson::from(1)]
            .into_iter()
            .nth(usize::try_from(below(10)).expect("it is small"));
        if let Some(alone) = alone {
            chat.insert("participants", vec![alone]);
        }
        chat.insert(
            "createdAt",
            DateTime::from_millis(i64::try_from(below(1000)).expect("the database answers")),
        );
        made.push(chat);
    }
    made
}

#[tokio::test]
async fn a_dry_run_foretells_what_the_real_one_counts_and_a_second_one_changes_nothing() {
    for (seed, chats) in [(0, 200), (1, 200), (2, 200), (3, 200), (4, 200), (5, 2500)] {
        for options in [MongoOptions::default(), joined()] {
            let place = Place::fresh().await;
            place.chats().insert_many(anything(seed, chats, options.key_format)).await.unwrap();
            let wanted = forecast(&place, &options).await;
            let report = backfill(&place, &options, &Uncontrolled).await.unwrap();
            assert_eq!(counts(&report), counts(&wanted), "{seed} {options:?}");
            let after = all(&place).await;
            let again = backfill(&place, &options, &Uncontrolled).await.unwrap();
            assert_eq!((again.keyed, again.corrected), (0, 0), "{seed} {options:?}: {again:?}");
            assert_eq!(all(&place).await, after);
            // No key is in two sets' chats, and every set that can have one has one.
            let audit = crate::audit::audit(&place, options.key_format).await;
            let shared = crate::audit::count(&audit, onechat_core::ports::FindingKind::SharedKey);
            let malformed = after.values().any(|chat| chat.get_array("participants").unwrap().len() == 1);
            assert!(shared == 0 || malformed, "{seed} {options:?}: {audit:?}");
        }
    }
}

/// Stops before more than so many documents are written.
struct StopsAfter(AtomicU64);

#[async_trait::async_trait]
impl Control for StopsAfter {
    async fn pace(&self, documents: u64) -> Result<(), Stopped> {
        let left = self.0.load(Ordering::SeqCst);
        if documents > left {
            return Err(Stopped { reason: "enough".to_owned() });
        }
        self.0.store(left - documents, Ordering::SeqCst);
        Ok(())
    }

    fn advance(&self, _step: &str, _done: u64, _total: u64) {}

    fn note(&self, _text: &str) {}
}

#[tokio::test]
async fn one_that_was_stopped_goes_on_where_it_stopped() {
    let place = Place::fresh().await;
    let chats = (0..3500).map(|n| chat(n, &["a", &format!("b{n}")], None));
    place.chats().insert_many(chats).await.unwrap();
    let stopped = backfill(&place, &MongoOptions::default(), &StopsAfter(2000.into())).await;
    assert!(matches!(stopped, Err(MigrateError::Stopped(_))), "{stopped:?}");
    let keyless = doc! { "participantsKey": { "$exists": false } };
    assert_eq!(place.chats().count_documents(keyless.clone()).await.unwrap(), 1500);
    // What was done is not looked at again.
    place.chats().update_one(doc! { "_id": 5 }, doc! { "$unset": { "participantsKey": "" } }).await.unwrap();
    let report = backfill(&place, &MongoOptions::default(), &Uncontrolled).await.unwrap();
    assert_eq!(counts(&report), [3500, 3500, 0, 0, 0, 0]);
    assert_eq!(place.chats().count_documents(keyless.clone()).await.unwrap(), 1);
    let report = backfill(&place, &MongoOptions::default(), &Uncontrolled).await.unwrap();
    assert_eq!(counts(&report), [3500, 1, 0, 0, 0, 0], "the next one looks at everything");
    assert_eq!(place.chats().count_documents(keyless).await.unwrap(), 0);
}

#[tokio::test]
async fn it_compares_letters_where_the_collection_does_not() {
    let place = Place::fresh().await;
    let ignoring_case =
        Collation::builder().locale("en").strength(mongodb::options::CollationStrength::Secondary);
    place.database.create_collection("chats").collation(ignoring_case.build()).await.unwrap();
    let chats = [
        chat("B", &["Ann", "bob"], None),
        chat("a", &["ann", "bob"], None),
        chat("C", &["ann", "carol"], Some("ANN_carol".into())),
        chat(4, &["ANN", "carol"], Some("ann_carol".into())),
        chat("\u{1f600}", &["ANN", "bob"], Some("".into())),
    ];
    place.chats().insert_many(chats).await.unwrap();
    let report = backfill(&place, &MongoOptions::default(), &Uncontrolled).await.unwrap();
    assert_eq!(counts(&report), [5, 3, 2, 0, 0, 0], "{report:?}");
    let now = all(&place).await;
    let key = |id: &str| now[&Bson::from(id).to_string()].get_str("participantsKey").unwrap().to_owned();
    assert_eq!(
        [key("B"), key("a"), key("C"), key("\u{1f600}")],
        ["Ann_bob", "ann_bob", "ann_carol", "ANN_bob"]
    );
}

#[tokio::test]
async fn without_a_guard_nothing_is_written() {
    let place = Place::fresh().await;
    place.chats().insert_one(chat(1, &["a", "b"], None)).await.unwrap();
    let migrator = migrator(&place, &MongoOptions::default()).await;
    let lease = migrator.lease("test").await.unwrap();
    let run = migrator.begin_run(&lease, RunKind::Backfill).await.unwrap();
    let refused = migrator.backfill(Some(&lease), Some(&run), false, &Uncontrolled).await;
    assert!(matches!(refused, Err(MigrateError::Refused(_))), "{refused:?}");
    assert!(!all(&place).await["1"].contains_key("participantsKey"));
}

#[tokio::test]
async fn a_dry_run_needs_no_right_but_to_read() {
    let (place, reader) = Place::with_reader().await;
    place.chats().insert_one(chat(1, &["a", "b"], None)).await.unwrap();
    let place = Place { url: reader, ..place };
    let migrator = migrator(&place, &MongoOptions::default()).await;
    let report = migrator.backfill(None, None, true, &Uncontrolled).await.unwrap();
    assert_eq!(counts(&report), [1, 1, 0, 0, 0, 0]);
    assert!(migrator.lease("test").await.is_err(), "the user may really only read");
}
