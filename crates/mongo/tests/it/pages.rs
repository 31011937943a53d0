//! Pages of what is large: cut before they take much memory, with a cursor to go on.

use onechat_core::{MessageText, NewMessage, PageSize, ports::ChatStore};

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
