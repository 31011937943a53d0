//! Pages of what is large: cut before they take much memory, with a cursor to go on.

use mongodb::bson::{Document, doc};
use onechat_core::{MessageText, NewMessage, PageSize, ports::ChatStore};
use onechat_mongo::{Mapping, MessagePlace, MongoOptions};

use crate::support::{Place, World};

const MESSAGES: usize = 90;
const TEXT_BYTES: usize = 16_000;

#[tokio::test]
async fn a_page_of_large_messages_is_cut_and_goes_on() {
    let place = Place::fresh().await;
    let (store, world) = (place.store().await, World::default());
    let chat = store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap().chat.id;
    for number in 0..MESSAGES {
        let text = MessageText::new("x".repeat(TEXT_BYTES)).unwrap();
        let message = NewMessage { text, ..world.message(&chat, "ann", &number.to_string()) };
        store.send(message).await.unwrap();
    }
    let size = PageSize::new(PageSize::MAX).unwrap();
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = store.messages(&chat, size, before.as_ref()).await.unwrap();
        let bytes: usize = page.items.iter().map(|message| message.text.as_str().len()).sum();
        assert!(bytes <= 1024 * 1024 + TEXT_BYTES, "a page has {bytes} bytes of text");
        seen.extend(page.items.into_iter().map(|message| message.client_message_id.as_str().to_owned()));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    let all: Vec<String> = (0..MESSAGES).rev().map(|number| number.to_string()).collect();
    assert_eq!(seen, all);
}

#[tokio::test]
async fn messages_that_an_old_backend_has_deleted_are_on_no_page() {
    for message_place in
        [MessagePlace::Rows, MessagePlace::Listed { field: "list".to_owned(), reference: None }]
    {
        let place = Place::fresh().await;
        let only_living = r#"{"isDeleted": {"$ne": true}}"#.parse().unwrap();
        let mapping = Mapping { visible_messages: Some(only_living), message_place, ..Mapping::default() };
        let store = place.store_with(MongoOptions { mapping, ..MongoOptions::default() }).await;
        let world = World::default();
        let chat = store.create_or_get(world.proposal(&["ann", "bob"])).await.unwrap().chat.id;
        for number in 0..20 {
            store.send(world.message(&chat, "ann", &number.to_string())).await.unwrap();
        }
        let rows = place.database.collection::<Document>("messages");
        let third = doc! { "clientMessageId": { "$in": ["0", "3", "4", "5", "19"] } };
        rows.update_many(third, doc! { "$set": { "isDeleted": true } }).await.unwrap();
        for size in [1, 3, 100] {
            let (mut seen, mut before) = (Vec::new(), None);
            loop {
                let page =
                    store.messages(&chat, PageSize::new(size).unwrap(), before.as_ref()).await.unwrap();
                seen.extend(
                    page.items.into_iter().map(|message| message.client_message_id.as_str().to_owned()),
                );
                before = page.next;
                if before.is_none() {
                    break;
                }
            }
            let shown = (0..20).rev().filter(|number| ![0, 3, 4, 5, 19].contains(number));
            assert_eq!(seen, shown.map(|number| number.to_string()).collect::<Vec<_>>(), "pages of {size}");
        }
        // It is stored all the same: sent again, it is no new one.
        let again = store.send(world.message(&chat, "ann", "3")).await.unwrap().unwrap();
        assert!(!again.created);
    }
}
