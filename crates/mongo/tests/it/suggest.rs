//! What a configuration is made of that fits a database of others. That the program reads it is tested where it does.

use mongodb::bson::{Binary, Bson, DateTime, Document, doc, oid::ObjectId, spec::BinarySubtype};
use onechat_migrate::{MergeRules, Uncontrolled};
use onechat_mongo::{MigrateError, MongoMigrator, MongoOptions};

use crate::support::Place;

async fn suggest(place: &Place) -> Result<String, MigrateError> {
    let options = MongoOptions::default();
    let migrator = MongoMigrator::connect(&place.url, &options, MergeRules::default())
        .await
        .expect("the database answers");
    let toml = migrator.suggest(&Uncontrolled).await?.toml;
    toml.parse::<toml::Table>().expect("what is printed can be read");
    Ok(toml)
}

/// The settings, without comments and empty lines.
fn settings(toml: &str) -> Vec<&str> {
    toml.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

async fn fill(place: &Place, collection: &str, documents: Vec<Document>) {
    place
        .database
        .collection::<Document>(collection)
        .insert_many(documents)
        .await
        .expect("the database answers");
}

fn uuid(n: u8) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes: vec![n; 16] })
}

#[tokio::test]
async fn a_model_with_sub_documents_object_ids_and_a_public_id() {
    let place = Place::fresh().await;
    let users: Vec<ObjectId> = (0..20).map(|_| ObjectId::new()).collect();
    let conversations = (0_u8..19).map(|n| {
        let (one, other) = (users[usize::from(n)], users[usize::from(n) + 1]);
        let mut ids = [one.to_hex(), other.to_hex()];
        ids.sort();
        doc! {
            "conversationId": uuid(n), "members": [{ "user": one }, { "user": other }],
            "memberKey": ids.join("_"), "kind": "direct",
            "createdAt": DateTime::now(), "updatedAt": DateTime::now(), "lastMessageAt": DateTime::now(), "__v": 0,
        }
    });
    fill(&place, "conversations", conversations.collect()).await;
    let people = users.iter().map(|id| doc! { "_id": id, "name": "somebody", "friends": users.clone() });
    fill(&place, "users", people.collect()).await;
    let toml = suggest(&place).await.unwrap();
    let wanted = [
        "[store]",
        "key_format = \"escaped\"",
        "[mongodb]",
        "chats = \"conversations\"",
        "participants = \"object_id\"",
        "participant_path = \"user\"",
        "id_field = \"conversationId\"",
        "id_form = \"uuid\"",
        "[mongodb.chat_fields]",
        "participants = \"members\"",
        "participants_key = \"memberKey\"",
        "created_at = \"createdAt\"",
        "updated_at = \"updatedAt\"",
        "last_message_at = \"lastMessageAt\"",
    ];
    assert_eq!(settings(&toml), wanted, "{toml}");
    assert!(toml.contains("19 agree with \"escaped\", 19 with \"joined\""), "{toml}");
}

#[tokio::test]
async fn a_database_with_everything() {
    let (place, reader) = Place::with_reader().await;
    let at = |ms: i64| DateTime::from_millis(ms);
    let mut rows: [Vec<Document>; 5] = Default::default();
    let mut rooms = Vec::new();
    for n in 0..30_i32 {
        let (id, one, other) = (ObjectId::new(), format!("user_{n:02}"), format!("user_{:02}", n + 1));
        rooms.push(doc! {
            "_id": id, "participants": [&other, &one], "chatKey": format!("{one}_{other}"),
            "created": at(1), "lastActivity": at(2), "messageCount": 3, "title": "a room", "lastMessage": "how are you", "hiddenAt": at(9),
            "lastMessagePerUser": { &one: { "text": "hi", "seen": true }, &other: { "text": "hi", "seen": false } },
            "nicknames": { &one: "the one" }, "hiddenFor": [&one], "tags": ["work"],
            "history": [{ "_id": ObjectId::new(), "author": &one, "body": "how are you", "sentAt": at(3) }],
            "unread": { &one: 1, &other: 0 },
            "readers": [{ "who": &one, "seenAt": at(4), "muted": true }, { "who": &other, "seenAt": at(5), "muted": false }],
        });
        let [posts, alerts, bookmarks, members, files] = &mut rows;
        posts.push(doc! {
            "room": id, "from": &one, "body": "hello there", "nonce": format!("n{n}"), "sentAt": at(6),
        });
        alerts.push(doc! { "about": { "room": id.to_hex() }, "userId": &one, "kind": "mention" });
        bookmarks.push(doc! { "owner": &other, "rooms": [id.to_hex(), ObjectId::new().to_hex()] });
        members.push(doc! { "room": id, "user": &one, "unread": 4, "lastReadAt": at(7), "joinedAt": at(1), "pins": [1] });
        members.push(doc! { "room": id, "user": &other, "unread": 0, "lastReadAt": at(8), "joinedAt": at(1), "pins": [2] });
        files.push(doc! { "owner": ObjectId::new(), "name": "picture" });
    }
    fill(&place, "rooms", rooms).await;
    for (name, rows) in ["posts", "alerts", "bookmarks", "roomMembers", "files"].into_iter().zip(rows) {
        fill(&place, name, rows).await;
    }
    let before = place.database.list_collection_names().await.unwrap().len();
    let toml = suggest(&Place { url: reader, database: place.database.clone() }).await.unwrap();
    let wanted = [
        "[store]",
        "key_format = \"joined\"",
        "[mongodb]",
        "chats = \"rooms\"",
        "messages = \"posts\"",
        "participants = \"string\"",
        "[mongodb.chat_fields]",
        "participants = \"participants\"",
        "participants_key = \"chatKey\"",
        "created_at = \"created\"",
        "last_message_at = \"lastActivity\"",
        "[mongodb.message_fields]",
        "chat = \"room\"",
        "sender = \"from\"",
        "text = \"body\"",
        "client_message_id = \"nonce\"",
        "created_at = \"sentAt\"",
        "[[migrate.references]]",
        "collection = \"alerts\"",
        "field = \"about.room\"",
        "[[migrate.references]]",
        "collection = \"bookmarks\"",
        "field = \"rooms\"",
        "[[migrate.references]]",
        "collection = \"roomMembers\"",
        "field = \"room\"",
        "participant = \"user\"",
        "rules = { joinedAt = \"min\", lastReadAt = \"max\", pins = \"union\", unread = \"sum\" }",
        "[[migrate.embedded]]",
        "field = \"history\"",
        "id = \"_id\"",
        "time = \"sentAt\"",
        "sender = \"author\"",
        "[[migrate.state]]",
        "field = \"lastMessagePerUser\"",
        "form = \"map\"",
        "rules = { \"\" = \"newest\" }",
        "[[migrate.state]]",
        "field = \"readers\"",
        "form = \"array\"",
        "participant = \"who\"",
        "rules = { muted = \"all\", seenAt = \"max\" }",
        "[[migrate.state]]",
        "field = \"unread\"",
        "form = \"map\"",
        "rules = { \"\" = \"sum\" }",
        "[migrate.fields]",
        "lastMessage = \"newest\"",
        "messageCount = \"sum\"",
        "tags = \"union\"",
    ];
    assert_eq!(settings(&toml), wanted, "{toml}");
    assert!(toml.contains("30 agree with \"joined\"") || toml.contains("30 with \"joined\""), "{toml}");
    assert!(toml.contains("30 of 60 different values are ids of chats: strings."), "{toml}");
    assert_eq!(place.database.list_collection_names().await.unwrap().len(), before);
}

#[tokio::test]
async fn without_anything_like_chats_it_says_so() {
    let place = Place::fresh().await;
    fill(&place, "orders", vec![doc! { "items": [{ "price": 1 }] }]).await;
    let error = suggest(&place).await.unwrap_err();
    assert!(matches!(error, MigrateError::Refused(_)), "{error:?}");
}
