//! A sender who has resolved a chat that is merged before the message is stored: no race is needed to get there.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, DateTime, Document, RawDocumentBuf, doc, oid::ObjectId};
use onechat_core::{
    ChatId, ClientMessageId, MessageId, MessageText, NewMessage, Participant, Sent, Timestamp,
};
use onechat_mongod::{fresh_database, shared_standalone};

use crate::{
    MongoIndexes,
    codec::{Codec, StoredChat},
    collections::{ALIASES, Collections},
    connection::Connection,
    metrics::{Metrics, Pool},
};

const AT: i64 = 1_700_000_000_000;

struct Merged {
    collections: Collections,
    /// As it was found before it was merged.
    stale: StoredChat,
    loser: ObjectId,
    survivor: ObjectId,
}

impl Merged {
    /// The stale chat is gone, and an alias leads to the survivor by way of a third chat.
    async fn new() -> Self {
        let url = shared_standalone().await.uri(&fresh_database("sending"));
        let deadline = Duration::from_secs(8);
        let connection = Connection::open(&url, deadline, Pool::default()).await.unwrap();
        let codec = Codec::new(crate::Mapping::default()).unwrap();
        let indexes = MongoIndexes::new(connection.database.clone(), codec.clone());
        indexes.create_where_empty().await.unwrap();
        let collections = Collections::new(&connection, codec, Metrics::default(), deadline);
        let (loser, survivor) = (ObjectId::new(), ObjectId::new());
        let chat = |id: ObjectId| doc! { "_id": id, "participants": ["ann", "bob"] };
        insert(&collections, "chats", chat(loser)).await;
        let stale = collections.by_id(&id(&loser)).await.unwrap().unwrap();
        let one = doc! { "_id": loser };
        collections.database.collection::<Document>("chats").delete_one(one).await.unwrap();
        insert(&collections, "chats", chat(survivor)).await;
        insert(&collections, ALIASES, doc! { "_id": loser.to_hex(), "chat": "between" }).await;
        insert(&collections, ALIASES, doc! { "_id": "between", "chat": survivor.to_hex() }).await;
        Self { collections, stale, loser, survivor }
    }

    async fn send(&self, message: &NewMessage) -> Option<Sent> {
        self.collections.send_to(self.stale.clone(), message).await.unwrap()
    }

    /// Stores a message as somebody else did, in this chat.
    async fn has(&self, chat: ObjectId, message: &NewMessage, text: &str) -> ObjectId {
        let id = ObjectId::new();
        let stored = doc! {
            "_id": id, "chatId": chat, "sender": message.sender.as_str(), "text": text,
            "clientMessageId": message.client_message_id.as_str(), "createdAt": DateTime::from_millis(AT - 5),
        };
        insert(&self.collections, "messages", stored).await;
        id
    }

    /// The id and the chat of each message.
    async fn stored(&self) -> Vec<(ObjectId, ObjectId)> {
        let find = self.collections.messages.find(doc! {}).sort(doc! { "_id": 1 });
        let stored: Vec<RawDocumentBuf> = find.await.unwrap().try_collect().await.unwrap();
        let id = |message: &RawDocumentBuf, name: &str| message.get_object_id(name).unwrap();
        stored.iter().map(|message| (id(message, "_id"), id(message, "chatId"))).collect()
    }

    async fn last_message_at(&self) -> Option<DateTime> {
        let chats = self.collections.database.collection::<Document>("chats");
        let survivor = chats.find_one(doc! { "_id": self.survivor }).await.unwrap().unwrap();
        survivor.get("lastMessageAt").and_then(Bson::as_datetime).copied()
    }
}

async fn insert(collections: &Collections, collection: &str, document: Document) {
    collections.database.collection::<Document>(collection).insert_one(document).await.unwrap();
}

fn id(of: &ObjectId) -> ChatId {
    ChatId::new(of.to_hex()).unwrap()
}

fn message(chat: &ObjectId) -> (NewMessage, ObjectId) {
    let message = ObjectId::new();
    let new = NewMessage {
        chat: id(chat),
        id: MessageId::new(message.to_hex()).unwrap(),
        sender: Participant::new("ann").unwrap(),
        text: MessageText::new("hello").unwrap(),
        client_message_id: ClientMessageId::new("m1").unwrap(),
        now: Timestamp::from_unix_ms(AT).unwrap(),
    };
    (new, message)
}

#[tokio::test]
async fn a_message_follows_its_chat_through_every_merge() {
    let merged = Merged::new().await;
    let (new, message) = message(&merged.loser);
    let sent = merged.send(&new).await.unwrap();
    assert!(sent.created);
    assert_eq!(sent.message.chat, id(&merged.survivor));
    assert_eq!(merged.stored().await, [(message, merged.survivor)]);
    assert_eq!(merged.last_message_at().await, Some(DateTime::from_millis(AT)), "the survivor is touched");
}

#[tokio::test]
async fn one_that_its_sender_has_stored_there_already_is_the_answer() {
    let merged = Merged::new().await;
    let (new, _) = message(&merged.loser);
    let first = merged.has(merged.survivor, &new, "what was said first").await;
    let sent = merged.send(&new).await.unwrap();
    assert!(!sent.created);
    assert_eq!((sent.message.id.as_str(), sent.message.chat), (&*first.to_hex(), id(&merged.survivor)));
    assert_eq!(merged.stored().await, [(first, merged.survivor)], "ours was never acknowledged");
}

#[tokio::test]
async fn what_was_acknowledged_before_is_never_removed() {
    for text in ["hello", "another text"] {
        let merged = Merged::new().await;
        let (new, _) = message(&merged.loser);
        let there = merged.has(merged.survivor, &new, "hello").await;
        let left = merged.has(merged.loser, &new, text).await;
        let sent = merged.send(&new).await.unwrap();
        assert!(!sent.created);
        // The same words are the same message; other words are another, whatever its sender called it.
        let answer = if text == "hello" { there } else { left };
        assert_eq!((sent.message.id.as_str(), sent.message.chat), (&*answer.to_hex(), id(&merged.survivor)));
        let mut wanted = vec![(there, merged.survivor), (left, merged.loser)];
        wanted.sort();
        assert_eq!(merged.stored().await, wanted);
    }
}

#[tokio::test]
async fn a_merge_that_was_faster_has_brought_the_message_already() {
    let merged = Merged::new().await;
    let (new, message) = message(&merged.loser);
    let deadline = merged.collections.deadline();
    let sent = merged.collections.store(&merged.stale, &new, deadline).await.unwrap();
    let moved = doc! { "$set": { "chatId": merged.survivor } };
    merged.collections.messages.update_one(doc! { "_id": message }, moved).await.unwrap();
    let to = merged.collections.by_id(&id(&merged.loser)).await.unwrap().unwrap();
    let sent = merged.collections.follow(&merged.stale, &to, sent, &new, deadline).await.unwrap();
    assert!(sent.created);
    assert_eq!((sent.message.id, sent.message.chat), (new.id, id(&merged.survivor)));
    assert_eq!(merged.stored().await, [(message, merged.survivor)]);
}

#[tokio::test]
async fn a_chat_that_was_removed_and_not_merged_takes_no_message() {
    let merged = Merged::new().await;
    let aliases = merged.collections.database.collection::<Document>(ALIASES);
    aliases.delete_many(doc! {}).await.unwrap();
    let (new, _) = message(&merged.loser);
    assert_eq!(merged.send(&new).await, None);
    assert_eq!(merged.stored().await, []);
}
