//! Messages that chats of other programs hold themselves, or list by their ids, with the flaws of real ones.

#![expect(clippy::unwrap_used, reason = "a step that fails is a failed test")]

use mongodb::bson::{Bson, Document, doc, oid::ObjectId};
use onechat_core::{
    ChatId, Message, PageSize, StoreError,
    ports::{AuditReport, ChatStore, FindingKind},
};
use onechat_mongo::{Mapping, MessagePlace, MongoChatStore, MongoOptions};

use crate::{
    audit::audit_with,
    support::{Place, World},
};

const ALICE: &str = "alice";

async fn store(place: &Place, message_place: MessagePlace) -> std::sync::Arc<MongoChatStore> {
    place.store_with(with(message_place)).await
}

fn with(message_place: MessagePlace) -> MongoOptions {
    MongoOptions { mapping: Mapping { message_place, ..Mapping::default() }, ..MongoOptions::default() }
}

fn embedded() -> MessagePlace {
    MessagePlace::Embedded { field: "said".to_owned() }
}

fn listed() -> MessagePlace {
    MessagePlace::Listed { field: "list".to_owned(), reference: None }
}

/// A chat as another program has it, with this in one of its fields.
async fn chat_with(place: &Place, field: &str, value: impl Into<Bson>) -> ChatId {
    let id = ObjectId::new();
    let chat = doc! { "_id": id, "participants": [ALICE, "bob"], "participantsKey": "alice_bob", field: value.into() };
    place.chats().insert_one(chat).await.unwrap();
    ChatId::new(id.to_hex()).unwrap()
}

/// All pages of this size, oldest first.
async fn read(store: &MongoChatStore, chat: &ChatId, size: u16) -> Vec<Message> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = store.messages(chat, PageSize::new(size).unwrap(), before.as_ref()).await.unwrap();
        all.extend(page.items);
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    all.reverse();
    all
}

async fn audited(place: &Place) -> AuditReport {
    audit_with(place, &with(embedded())).await
}

fn texts(messages: &[Message]) -> Vec<&str> {
    messages.iter().map(|message| message.text.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_without_ids_and_times_are_read_in_the_order_of_their_array() {
    let place = Place::fresh().await;
    let store = store(&place, embedded()).await;
    let said = |text: &str| doc! { "sender": ALICE, "text": text };
    let old = ["one", "two", "three", "four", "five"];
    let chat = chat_with(&place, "said", old.map(said).to_vec()).await;
    let world = World::default();
    let sent = store.send(world.message(&chat, "bob", "m1")).await.unwrap().unwrap();
    for size in [1, 2, 4, 100] {
        let all = read(&store, &chat, size).await;
        assert_eq!(texts(&all), ["one", "two", "three", "four", "five", "hello"], "pages of {size}");
        let ids: std::collections::HashSet<_> = all.iter().map(|message| &message.id).collect();
        assert_eq!(ids.len(), 6);
        assert_eq!(all[5].id, sent.message.id);
    }
    assert_eq!(audited(&place).await.messages, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_server_can_read_among_embedded_messages_is_a_finding() {
    let place = Place::fresh().await;
    let store = store(&place, embedded()).await;
    let mixed: Vec<Bson> =
        vec!["hello".into(), doc! { "text": "by nobody" }.into(), doc! { "sender": "bob" }.into()];
    let chat = chat_with(&place, "said", mixed).await;
    let report = audited(&place).await;
    let found = report.findings.iter().find(|finding| finding.kind == FindingKind::MalformedSender).unwrap();
    assert_eq!((report.messages, found.count), (3, 2), "{found:?}");
    let page = store.messages(&chat, PageSize::default(), None).await;
    assert!(matches!(page, Err(StoreError::Corrupt(_))), "{page:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_holds_something_else_is_not_replaced() {
    let place = Place::fresh().await;
    let store = store(&place, embedded()).await;
    let chat = chat_with(&place, "said", "something else").await;
    let refused = store.send(World::default().message(&chat, ALICE, "m1")).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    let stored = place.chats().find_one(doc! {}).await.unwrap().unwrap();
    assert_eq!(stored.get_str("said").unwrap(), "something else");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_whose_document_is_full_says_so() {
    let place = Place::fresh().await;
    let store = store(&place, embedded()).await;
    // 16 MiB are 16,777,216 bytes.
    let large = doc! { "sender": ALICE, "text": "x".repeat(16_777_000) };
    let chat = chat_with(&place, "said", vec![large]).await;
    let refused = store.send(World::default().message(&chat, ALICE, "m1")).await;
    assert!(matches!(&refused, Err(StoreError::Refused(why)) if why.contains("full")), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_ids_that_lead_nowhere_or_are_there_twice_shows_each_message_once() {
    let place = Place::fresh().await;
    let store = store(&place, listed()).await;
    let ids: Vec<ObjectId> = (0..6).map(|_| ObjectId::new()).collect();
    let rows = ["a", "b", "c", "d"].into_iter().zip(&ids);
    let rows = rows.map(|(text, id)| doc! { "_id": id, "sender": ALICE, "text": text });
    place.database.collection("messages").insert_many(rows).await.unwrap();
    // The last two lead nowhere; one is text.
    let list: Vec<Bson> = [0, 4, 1, 0, 5, 2, 1, 4]
        .map(|at| Bson::from(ids[at]))
        .into_iter()
        .chain([ids[3].to_hex().into()])
        .collect();
    let chat = chat_with(&place, "list", list).await;
    for size in [1, 2, 3, 100] {
        assert_eq!(texts(&read(&store, &chat, size).await), ["a", "c", "b", "d"], "pages of {size}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_ids_have_the_form_of_those_that_are_listed() {
    let place = Place::fresh().await;
    let store = store(&place, listed()).await;
    let first = ObjectId::new().to_hex();
    let chat = chat_with(&place, "list", vec![first.clone()]).await;
    let world = World::default();
    let message = world.message(&chat, ALICE, "m1");
    for _ in 0..2 {
        store.send(message.clone()).await.unwrap();
    }
    let stored: Document = place.chats().find_one(doc! {}).await.unwrap().unwrap();
    let expected: Vec<Bson> = vec![first.into(), message.id.as_str().into()];
    assert_eq!(stored.get_array("list").unwrap(), &expected);
}
