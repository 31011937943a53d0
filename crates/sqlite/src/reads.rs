//! The SQL of every read that serves a request. All are bounded: they run on the threads that serve.

use onechat_core::{
    Chat, ChatCursor, ChatId, Message, MessageCursor, Page, PageSize, Participant, ParticipantsKey,
};
use rusqlite::{Connection, OptionalExtension, Result};

use crate::rows::{self, chat_columns, message_columns};

/// The chat under a key.
pub(crate) fn by_key(connection: &Connection, key: &ParticipantsKey) -> Result<Option<Chat>> {
    connection
        .prepare_cached(concat!("SELECT ", chat_columns!(), " FROM chats WHERE participants_key = ?1"))?
        .query_row([key.as_str()], rows::chat)
        .optional()
}

/// The chat with an id, or the one that the id is an alias of.
pub(crate) fn by_id(connection: &Connection, id: &ChatId) -> Result<Option<Chat>> {
    connection
        .prepare_cached(concat!(
            "SELECT ",
            chat_columns!(),
            " FROM chats WHERE id = coalesce((SELECT chat_id FROM aliases WHERE alias = ?1), ?1)"
        ))?
        .query_row([id.as_str()], rows::chat)
        .optional()
}

/// A page of a participant's chats, latest activity first.
pub(crate) fn chats_of(
    connection: &Connection,
    participant: &Participant,
    size: PageSize,
    after: Option<&ChatCursor>,
) -> Result<Page<Chat, ChatCursor>> {
    let (ms, id) = after.map_or((i64::MAX, ""), |cursor| (cursor.at.unix_ms(), cursor.id.as_str()));
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        chat_columns!(),
        " FROM inbox CROSS JOIN chats ON chats.id = inbox.chat_id
          WHERE inbox.participant = ?1 AND (inbox.last_activity_at_ms, inbox.chat_id) < (?2, ?3)
          ORDER BY inbox.last_activity_at_ms DESC, inbox.chat_id DESC LIMIT ?4"
    ))?;
    let rows = statement.query_map((participant.as_str(), ms, id, one_more(size)), rows::chat)?;
    Ok(Page::from_one_more(rows.collect::<Result<_>>()?, size, ChatCursor::after))
}

/// A page of a chat's messages, newest first.
pub(crate) fn messages(
    connection: &Connection,
    chat: &ChatId,
    size: PageSize,
    before: Option<&MessageCursor>,
) -> Result<Page<Message, MessageCursor>> {
    let (ms, id) = before.map_or((i64::MAX, ""), |cursor| (cursor.at.unix_ms(), cursor.id.as_str()));
    let mut statement = connection.prepare_cached(concat!(
        "SELECT ",
        message_columns!(),
        " FROM messages
          WHERE chat_id = coalesce((SELECT chat_id FROM aliases WHERE alias = ?1), ?1)
            AND (created_at_ms, id) < (?2, ?3)
          ORDER BY created_at_ms DESC, id DESC LIMIT ?4"
    ))?;
    let rows = statement.query_map((chat.as_str(), ms, id, one_more(size)), rows::message)?;
    Ok(Page::from_one_more(rows.collect::<Result<_>>()?, size, MessageCursor::after))
}

fn one_more(size: PageSize) -> i64 {
    i64::try_from(size.get() + 1).unwrap_or(i64::MAX)
}
