//! The audit on a collection where everything is wrong that can be.

use mongodb::{
    IndexModel,
    bson::{Bson, DateTime, Document, doc, oid::ObjectId},
};
use onechat_core::{
    KeyFormat,
    ports::{Audit, AuditReport, FindingKind, Progress},
};
use onechat_migrate::{MergeRules, Reference, Uncontrolled};
use onechat_mongo::{MongoAudit, MongoMigrator, MongoOptions};

use crate::support::Place;

struct Quiet;

impl Progress for Quiet {
    fn advance(&self, _done: u64, _total: u64) {}
}

pub(crate) async fn audit(place: &Place, key_format: KeyFormat) -> AuditReport {
    audit_with(place, &MongoOptions { key_format, ..MongoOptions::default() }).await
}

pub(crate) async fn audit_with(place: &Place, options: &MongoOptions) -> AuditReport {
    let audit = MongoAudit::connect(&place.url, options).await.expect("a server that runs");
    audit.audit(&Quiet).await.expect("an audit ends")
}

pub(crate) fn count(report: &AuditReport, kind: FindingKind) -> u64 {
    report.findings.iter().find(|finding| finding.kind == kind).map_or(0, |finding| finding.count)
}

#[tokio::test]
async fn every_kind_of_damage_is_found() {
    let place = Place::fresh().await;
    let sound = ObjectId::new();
    let at = |ms: i64| DateTime::from_millis(ms);
    let chats = [
        doc! { "_id": sound, "participants": ["a", "b"], "participantsKey": "a_b", "lastMessageAt": at(5000) },
        // The same set three times over, by no key, by a wrong key, and in another order.
        doc! { "participants": ["b", "a"] },
        doc! { "participants": ["a", "b", "a"], "participantsKey": "b_a" },
        doc! { "participants": ["c", "d"], "participantsKey": null },
        doc! { "participants": ["x_y", "z"], "participantsKey": "x_y_z" },
        doc! { "participants": [], "participantsKey": "none" },
        doc! { "participants": "e_f", "participantsKey": "e_f" },
        doc! { "participants": ["g", 7.5], "participantsKey": "g_7" },
        doc! { "participants": ["g", null], "participantsKey": "g_null" },
    ];
    place.chats().insert_many(chats).await.unwrap();
    let messages = place.database.collection::<Document>("messages");
    let message = |chat: ObjectId, sender: &str, ms: i64| {
        doc! { "chatId": chat, "sender": sender, "text": "hi", "createdAt": DateTime::from_millis(ms) }
    };
    let sent_by_us = |chat: ObjectId, sender: &str, ms: i64| {
        let mut message = message(chat, sender, ms);
        message.insert("clientMessageId", "m1");
        message
    };
    let [nowhere, behind, silent, foreign, ahead] = std::array::from_fn(|_| ObjectId::new());
    let chats = [
        doc! { "_id": behind, "participants": ["k", "l"], "participantsKey": "k_l", "lastMessageAt": at(8000) },
        doc! { "_id": silent, "participants": ["m", "n"], "participantsKey": "m_n" },
        doc! { "_id": foreign, "participants": ["o", "p"], "participantsKey": "o_p", "lastMessageAt": at(8000) },
        doc! { "_id": ahead, "participants": ["q", "r"], "participantsKey": "q_r", "lastMessageAt": at(9001) },
    ];
    place.chats().insert_many(chats).await.unwrap();
    messages
        .insert_many([
            message(sound, "a", 4000),
            message(sound, "mallory", 5000),
            message(nowhere, "a", 1),
            message(nowhere, "b", 2),
            sent_by_us(behind, "k", 9000),
            // Other programs do not raise the time.
            message(foreign, "o", 9000),
            message(silent, "m", 9000),
            // Raised above the message, as by clocks that differ.
            sent_by_us(ahead, "q", 9000),
        ])
        .await
        .unwrap();
    let aliases = place.database.collection::<Document>("onechat_aliases");
    let alias = |id: &str, chat: &str| doc! { "_id": id, "chat": chat };
    let sound = sound.to_hex();
    aliases
        .insert_many([
            alias("old", &sound),
            alias("lost", &nowhere.to_hex()),
            alias(&sound, &behind.to_hex()),
        ])
        .await
        .unwrap();

    let report = audit(&place, KeyFormat::Joined).await;
    assert_eq!((report.chats, report.messages, report.aliases), (13, 8, 3));
    let found: Vec<(FindingKind, u64)> =
        report.findings.iter().map(|finding| (finding.kind, finding.count)).collect();
    assert_eq!(
        found,
        [
            (FindingKind::MissingUniqueIndex, 1),
            (FindingKind::MalformedParticipants, 4),
            (FindingKind::RepeatedParticipants, 1),
            (FindingKind::UnsortedParticipants, 1),
            (FindingKind::MissingKey, 2),
            (FindingKind::WrongKey, 1),
            (FindingKind::AmbiguousKey, 1),
            (FindingKind::DuplicateSet, 1),
            (FindingKind::OrphanedMessage, 1),
            (FindingKind::ForeignSender, 1),
            (FindingKind::WrongActivity, 1),
            (FindingKind::AbsentActivity, 1),
            (FindingKind::DanglingAlias, 1),
            (FindingKind::AliasOfLiveChat, 1),
        ],
        "{report:?}"
    );
    assert!(!report.is_clean());
    let collections = place.database.list_collection_names().await.unwrap();
    assert_eq!(collections.len(), 3, "an audit must write nothing: {collections:?}");
}

#[tokio::test]
async fn more_than_fit_a_batch_are_all_compared() {
    let place = Place::fresh().await;
    let unique = mongodb::options::IndexOptions::builder().unique(true).sparse(true).build();
    place
        .chats()
        .create_index(IndexModel::builder().keys(doc! { "participantsKey": 1 }).options(unique).build())
        .await
        .unwrap();
    let ids: Vec<ObjectId> = (0..2500).map(|_| ObjectId::new()).collect();
    let chats = ids.iter().enumerate().map(|(n, id)| {
        let (one, two) = (format!("a{n}"), format!("b{n}"));
        doc! {
            "_id": id, "participants": [&one, &two], "participantsKey": format!("{one}_{two}"),
            "lastMessageAt": DateTime::from_millis(1),
        }
    });
    place.chats().insert_many(chats).await.unwrap();
    let messages = ids.iter().enumerate().map(|(n, id)| {
        let chat = if n % 500 == 0 { Bson::ObjectId(ObjectId::new()) } else { Bson::ObjectId(*id) };
        doc! { "chatId": chat, "sender": format!("a{n}"), "text": "hi", "createdAt": DateTime::from_millis(1) }
    });
    place.database.collection::<Document>("messages").insert_many(messages).await.unwrap();
    let report = audit(&place, KeyFormat::Escaped).await;
    assert_eq!((report.chats, report.messages), (2500, 2500));
    assert_eq!(count(&report, FindingKind::OrphanedMessage), 5);
    assert_eq!(report.findings.len(), 1, "{report:?}");
}

fn found(report: &AuditReport) -> Vec<(FindingKind, u64)> {
    report.findings.iter().map(|finding| (finding.kind, finding.count)).collect()
}

#[tokio::test]
async fn what_only_looks_alike_or_shares_a_key_is_told_and_is_no_duplicate() {
    let place = Place::fresh().await;
    let chat =
        |participants: &[&str], key: &str| doc! { "participants": participants, "participantsKey": key };
    place
        .chats()
        .insert_many([
            chat(&["Ann", "bob"], "Ann_bob"),
            chat(&["ann", "bob"], "ann_bob"),
            chat(&["bob", "caf\u{e9}"], "bob_caf\u{e9}"),
            chat(&["bob", "cafe\u{301}"], "bob_cafe\u{301}"),
            // A pair and a group, by the same joined key.
            chat(&["a_b", "c"], "a_b_c"),
            chat(&["a", "b", "c"], "a_b_c"),
            // Edited by hand.
            chat(&["x", "y"], "y_z"),
            chat(&["y", "z"], "y_z"),
            chat(&[], "k_l"),
            chat(&["k", "l"], "k_l"),
        ])
        .await
        .unwrap();
    let report = audit(&place, KeyFormat::Joined).await;
    let wanted = [
        (FindingKind::MissingUniqueIndex, 1),
        (FindingKind::MalformedParticipants, 1),
        (FindingKind::LookAlikes, 2),
        (FindingKind::WrongKey, 1),
        (FindingKind::SharedKey, 3),
        (FindingKind::AmbiguousKey, 1),
    ];
    assert_eq!(found(&report), wanted, "{report:?}");
    let look_alikes = &report.findings[2];
    assert!(look_alikes.examples().iter().any(|example| example.contains("\\u{301}")), "{look_alikes:?}");
}

fn reference(collection: &str, field: &str) -> Reference {
    let (collection, field) = (collection.to_owned(), field.to_owned());
    Reference {
        collection,
        field,
        time: None,
        sequence: None,
        unique: Vec::new(),
        messages: None,
        state: None,
    }
}

#[tokio::test]
async fn rows_that_name_no_chat_are_told_wherever_and_however_they_name_it() {
    let (place, reader) = Place::with_reader().await;
    let (one, other, nobody) = (ObjectId::new(), ObjectId::new(), ObjectId::new());
    let chat = |id: ObjectId, participants: [&str; 2], public: &str| {
        doc! { "_id": id, "publicId": public, "participants": participants.to_vec(), "participantsKey": participants.join("_") }
    };
    place
        .chats()
        .insert_many([chat(one, ["a", "b"], "pub1"), chat(other, ["a", "c"], "pub2")])
        .await
        .unwrap();
    let rows = |name: &str| place.database.collection::<Document>(name);
    rows("notifications")
        .insert_many([
            doc! { "about": { "chat": one } },
            doc! { "about": { "chat": other.to_hex() } },
            doc! { "about": { "chat": "pub1" } },
            doc! { "about": { "chat": nobody } },
            doc! { "about": { "chat": Bson::Null } },
            doc! { "about": 7 },
        ])
        .await
        .unwrap();
    rows("folders")
        .insert_one(doc! { "items": [{ "chats": [one.to_hex(), nobody.to_hex()] }, { "chats": ["pub9"] }] })
        .await
        .unwrap();
    rows("messages")
        .insert_many([
            doc! { "chatId": one.to_hex(), "sender": "a", "text": "hi" },
            doc! { "chatId": nobody.to_hex(), "sender": "a", "text": "hi" },
        ])
        .await
        .unwrap();
    let options = || {
        let name = "publicId".to_owned();
        let id = onechat_mongo::IdMapping::Field { name, form: onechat_mongo::PublicIdForm::Text };
        let mapping = onechat_mongo::Mapping { id, ..onechat_mongo::Mapping::default() };
        MongoOptions { mapping, ..MongoOptions::default() }
    };
    let rules = MergeRules {
        references: vec![
            reference("notifications", "about.chat"),
            reference("folders", "items.chats"),
            reference("messages", "chatId"),
            reference("nothing", "chatId"),
        ],
        ..MergeRules::default()
    };
    let before = place.database.list_collection_names().await.unwrap();
    let audit = MongoAudit::connect(&reader, &options()).await.unwrap().with_rules(rules);
    let report = audit.audit(&Quiet).await.unwrap();
    let wanted = [
        (FindingKind::MissingUniqueIndex, 1),
        (FindingKind::OrphanedMessage, 1),
        (FindingKind::OtherIdForm, 1),
        (FindingKind::DanglingReference, 3),
    ];
    assert_eq!(found(&report), wanted, "{report:?}");
    assert_eq!(place.database.list_collection_names().await.unwrap(), before);
}

#[tokio::test]
async fn how_far_the_collection_has_come_is_told() {
    let place = Place::fresh().await;
    place.chats().insert_one(doc! { "participants": ["a", "b"], "participantsKey": "a_b" }).await.unwrap();
    let first = async || found(&audit(&place, KeyFormat::Escaped).await).first().copied();
    assert_eq!(first().await, Some((FindingKind::MissingUniqueIndex, 1)));
    let options = MongoOptions::default();
    let migrator = MongoMigrator::connect(&place.url, &options, MergeRules::default()).await.unwrap();
    let lease = migrator.lease("test").await.unwrap();
    migrator.guard_on(&lease, false, &Uncontrolled).await.unwrap();
    assert_eq!(first().await, Some((FindingKind::Guarded, 1)));
    migrator.enforce(Some(&lease), false, &Uncontrolled).await.unwrap();
    assert_eq!(first().await, None);
    let note = place.database.collection::<Document>("onechat_meta");
    note.update_one(doc! { "_id": "chats" }, doc! { "$set": { "state": "unmigrated" } }).await.unwrap();
    assert_eq!(first().await, Some((FindingKind::NotMigrated, 1)));
}
