//! The audit on a collection where everything is wrong that can be.

use mongodb::{
    IndexModel,
    bson::{Bson, DateTime, Document, doc, oid::ObjectId},
};
use onechat_core::{
    KeyFormat,
    ports::{Audit, AuditReport, FindingKind, Progress},
};
use onechat_mongo::{MongoAudit, MongoOptions};

use crate::support::Place;

struct Quiet;

impl Progress for Quiet {
    fn advance(&self, _done: u64, _total: u64) {}
}

pub(crate) async fn audit(place: &Place, key_format: KeyFormat) -> AuditReport {
    let options = MongoOptions { key_format, ..MongoOptions::default() };
    let audit = MongoAudit::connect(&place.url, &options).await.expect("a server that runs");
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
        doc! { "participants": ["g", 7], "participantsKey": "g_7" },
        doc! { "participants": ["g", null], "participantsKey": "g_null" },
    ];
    place.chats().insert_many(chats).await.unwrap();
    let messages = place.database.collection::<Document>("messages");
    let message = |chat: ObjectId, sender: &str, ms: i64| {
        doc! { "chatId": chat, "sender": sender, "text": "hi", "createdAt": DateTime::from_millis(ms) }
    };
    let (nowhere, behind) = (ObjectId::new(), ObjectId::new());
    place
        .chats()
        .insert_one(doc! { "_id": behind, "participants": ["k", "l"], "participantsKey": "k_l" })
        .await
        .unwrap();
    messages
        .insert_many([
            message(sound, "a", 4000),
            message(sound, "mallory", 5000),
            message(nowhere, "a", 1),
            message(nowhere, "b", 2),
            message(behind, "k", 9000),
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
    assert_eq!((report.chats, report.messages, report.aliases), (10, 5, 3));
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
