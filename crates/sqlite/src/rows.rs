//! From rows to the model. A row that breaks the model's rules is an error of the data, never a panic.

use onechat_core::{
    Chat, ChatId, ChatIdentity, ClientMessageId, Context, Message, MessageId, MessageText, Participant,
    ParticipantSet, ParticipantsKey, Timestamp,
};
use rusqlite::{Row, types::Type};

/// The columns that [`chat`] reads, in its order, of a table named `chats`.
macro_rules! chat_columns {
    () => {
        "chats.id, chats.participants_key, chats.participants, \
         chats.created_at_ms, chats.updated_at_ms, chats.last_message_at_ms, chats.context"
    };
}

/// The columns that [`message`] reads, in its order.
macro_rules! message_columns {
    () => {
        "id, chat_id, sender, text, client_message_id, created_at_ms"
    };
}

pub(crate) use {chat_columns, message_columns};

pub(crate) fn chat(row: &Row<'_>) -> rusqlite::Result<Chat> {
    Ok(Chat {
        id: text(row, 0, ChatId::new)?,
        participants_key: ParticipantsKey::from_stored(row.get_ref(1)?.as_str()?),
        identity: ChatIdentity { participants: participants(row, 2)?, context: context(row, 6)? },
        created_at: time(row, 3)?,
        updated_at: time(row, 4)?,
        last_message_at: row.get::<_, Option<i64>>(5)?.map(|ms| from_ms(5, ms)).transpose()?,
    })
}

pub(crate) fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        id: text(row, 0, MessageId::new)?,
        chat: text(row, 1, ChatId::new)?,
        sender: text(row, 2, Participant::new)?,
        text: text(row, 3, MessageText::new)?,
        client_message_id: text(row, 4, ClientMessageId::new)?,
        created_at: time(row, 5)?,
    })
}

/// How a set is kept: a JSON array in canonical order.
pub(crate) fn participants_json(set: &ParticipantSet) -> String {
    let names: Vec<&str> = set.members().iter().map(Participant::as_str).collect();
    serde_json::to_string(&names).expect("strings can be written as JSON")
}

pub(crate) fn parse_participants(json: &str) -> Result<ParticipantSet, String> {
    let names: Vec<Box<str>> = serde_json::from_str(json).map_err(|error| error.to_string())?;
    ParticipantSet::parse(names).map_err(|error| error.to_string())
}

pub(crate) fn parse_context(text: &str) -> Result<Context, String> {
    Context::new(text).map_err(|error| error.to_string())
}

fn participants(row: &Row<'_>, column: usize) -> rusqlite::Result<ParticipantSet> {
    parse_participants(row.get_ref(column)?.as_str()?).map_err(|reason| invalid(column, reason))
}

fn context(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Context>> {
    let text = row.get_ref(column)?.as_str_or_null()?;
    text.map(parse_context).transpose().map_err(|reason| invalid(column, reason))
}

fn text<'a, T, E: ToString>(
    row: &'a Row<'_>,
    column: usize,
    parse: impl FnOnce(&'a str) -> Result<T, E>,
) -> rusqlite::Result<T> {
    parse(row.get_ref(column)?.as_str()?).map_err(|error| invalid(column, error.to_string()))
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    from_ms(column, row.get(column)?)
}

fn from_ms(column: usize, ms: i64) -> rusqlite::Result<Timestamp> {
    Timestamp::from_unix_ms(ms).ok_or_else(|| invalid(column, format!("{ms} ms is no time")))
}

fn invalid(column: usize, reason: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, reason.into())
}
