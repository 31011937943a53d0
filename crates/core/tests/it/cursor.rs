//! Cursors survive the way through a URL, and a page tells whether there is more.

use onechat_core::{
    Chat, ChatCursor, ChatId, CursorError, KeyFormat, MessageCursor, MessageId, Page, PageSize,
    ParticipantsKey, Timestamp,
};
use proptest::prelude::*;

use crate::{
    adversarial::{participant, set},
    time::RANGE_MS,
};

proptest! {
    #[test]
    fn a_cursor_reads_back_as_it_was_written(ms in RANGE_MS, text in participant()) {
        prop_assume!(text.len() <= 128);
        let at = Timestamp::from_unix_ms(ms).unwrap();
        let chat = ChatCursor { at, id: ChatId::new(text.as_str()).unwrap() };
        prop_assert_eq!(chat.to_string().parse(), Ok(chat));
        let message = MessageCursor { at, id: MessageId::new(text.as_str()).unwrap() };
        prop_assert_eq!(message.to_string().parse(), Ok(message));
    }

    #[test]
    fn any_text_is_a_cursor_or_an_error(text in any::<String>()) {
        let _: Result<ChatCursor, CursorError> = text.parse();
    }
}

#[test]
fn an_id_may_have_dots() {
    let cursor: ChatCursor = "-5.a.b".parse().unwrap();
    assert_eq!((cursor.at.unix_ms(), cursor.id.as_str()), (-5, "a.b"));
}

#[test]
fn what_is_no_cursor_is_refused() {
    for text in
        ["", ".", "5", "5.", ".a", "x.a", "5.5", "9223372036854775808.a", "253402207201000.a", "5.a\n"]
    {
        let refused = text.parse::<ChatCursor>().is_err();
        assert_eq!(refused, text != "5.5", "{text:?}");
    }
}

#[test]
fn a_chat_is_listed_under_its_newest_message_or_else_its_creation() {
    let [created, messaged] = [1_000, 2_000].map(|ms| Timestamp::from_unix_ms(ms).unwrap());
    let identity = set(&["a", "b"]).into();
    let mut chat = Chat {
        id: ChatId::new("chat").unwrap(),
        participants_key: ParticipantsKey::new(&identity, KeyFormat::Escaped),
        identity,
        created_at: created,
        updated_at: messaged,
        last_message_at: None,
    };
    assert_eq!(ChatCursor::after(&chat).to_string(), "1000.chat");
    chat.last_message_at = Some(messaged);
    assert_eq!(ChatCursor::after(&chat).to_string(), "2000.chat");
}

#[test]
fn a_page_goes_on_after_its_last_item_only_if_there_was_one_more() {
    let size = PageSize::new(3).unwrap();
    let page = |rows: u32| Page::from_one_more((1..=rows).collect(), size, |row| *row);
    assert_eq!(page(0), Page { items: vec![], next: None });
    assert_eq!(page(3), Page { items: vec![1, 2, 3], next: None });
    assert_eq!(page(4), Page { items: vec![1, 2, 3], next: Some(3) });
}
