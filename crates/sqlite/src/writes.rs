//! The SQL of every write. Each function is one intent, whole, inside the writer's transaction.

use std::time::Duration;

use onechat_core::{
    AliasError, Chat, ChatId, Message, NewMessage, ParticipantsKey, Proposal, Sent, Timestamp,
};
use rusqlite::{Connection, Result};

use crate::{
    reads::{by_id, by_key},
    rows::{self, message_columns},
};

/// As precise as times are kept.
const TICK: Duration = Duration::from_millis(1);

/// The chat that stands under the key afterwards: the proposed one, or the one that was there.
pub(crate) fn create(connection: &Connection, proposal: &Proposal, key: &ParticipantsKey) -> Result<Chat> {
    if !insert_chat(connection, proposal, key)? {
        return by_key(connection, key)?.ok_or(rusqlite::Error::QueryReturnedNoRows);
    }
    insert_inbox(connection, proposal)?;
    Ok(proposal.to_chat(key.clone()))
}

/// Whether the chat is new. Statements that do not speak of a context are faster than those that give none: most chats
/// are created by them.
fn insert_chat(connection: &Connection, proposal: &Proposal, key: &ParticipantsKey) -> Result<bool> {
    let (id, key, now_ms) = (proposal.id.as_str(), key.as_str(), proposal.now.unix_ms());
    let participants = rows::participants_json(&proposal.identity.participants);
    let inserted = match &proposal.identity.context {
        None => connection
            .prepare_cached(
                "INSERT INTO chats (id, participants_key, participants, created_at_ms, updated_at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?4) ON CONFLICT (participants_key) DO NOTHING",
            )?
            .execute((id, key, participants, now_ms))?,
        Some(context) => connection
            .prepare_cached(
                "INSERT INTO chats (id, participants_key, participants, created_at_ms, updated_at_ms, context)
                 VALUES (?1, ?2, ?3, ?4, ?4, ?5) ON CONFLICT (participants_key) DO NOTHING",
            )?
            .execute((id, key, participants, now_ms, context.as_str()))?,
    };
    Ok(inserted > 0)
}

fn insert_inbox(connection: &Connection, proposal: &Proposal) -> Result<()> {
    let (id, now_ms) = (proposal.id.as_str(), proposal.now.unix_ms());
    let mut inbox = connection.prepare_cached(match &proposal.identity.context {
        None => "INSERT INTO inbox (participant, last_activity_at_ms, chat_id) VALUES (?1, ?2, ?3)",
        Some(_) => {
            "INSERT INTO inbox (participant, last_activity_at_ms, chat_id, context) VALUES (?1, ?2, ?3, ?4)"
        }
    })?;
    for participant in proposal.identity.participants.members() {
        match &proposal.identity.context {
            None => inbox.execute((participant.as_str(), now_ms, id))?,
            Some(context) => inbox.execute((participant.as_str(), now_ms, id, context.as_str()))?,
        };
    }
    Ok(())
}

/// Stores a message unless its sender has stored one with this client's id; nothing if there is no such chat.
pub(crate) fn send(connection: &Connection, message: &NewMessage) -> Result<Option<Sent>> {
    let Some(chat) = by_id(connection, &message.chat)? else {
        return Ok(None);
    };
    let at = next_time(&chat, message.now);
    let inserted = connection
        .prepare_cached(
            "INSERT INTO messages (id, chat_id, sender, text, client_message_id, created_at_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (chat_id, sender, client_message_id) DO NOTHING",
        )?
        .execute((
            message.id.as_str(),
            chat.id.as_str(),
            message.sender.as_str(),
            message.text.as_str(),
            message.client_message_id.as_str(),
            at.unix_ms(),
        ))?;
    if inserted == 0 {
        return first_message(connection, &chat.id, message)
            .map(|message| Some(Sent { message, created: false }));
    }
    touch(connection, &chat, at)?;
    let message = Message {
        id: message.id.clone(),
        chat: chat.id,
        sender: message.sender.clone(),
        text: message.text.clone(),
        client_message_id: message.client_message_id.clone(),
        created_at: at,
    };
    Ok(Some(Sent { message, created: true }))
}

/// The time of the chat's next message: that of the clock, or a millisecond after all that has happened in the chat.
/// So times grow in the order of commits, and who reads the chat whenever `updated_at` has changed misses nothing.
fn next_time(chat: &Chat, now: Timestamp) -> Timestamp {
    now.max(chat.updated_at.max(chat.last_activity_at()).plus(TICK))
}

/// Moves the chat to the front of its participants' lists. `at` is later than all that has happened in it.
fn touch(connection: &Connection, chat: &Chat, at: Timestamp) -> Result<()> {
    connection
        .prepare_cached("UPDATE chats SET last_message_at_ms = ?2, updated_at_ms = ?2 WHERE id = ?1")?
        .execute((chat.id.as_str(), at.unix_ms()))?;
    let mut inbox = connection.prepare_cached(
        "UPDATE inbox SET last_activity_at_ms = ?4
         WHERE participant = ?1 AND last_activity_at_ms = ?2 AND chat_id = ?3",
    )?;
    let before_ms = chat.last_activity_at().unix_ms();
    for participant in chat.identity.participants.members() {
        inbox.execute((participant.as_str(), before_ms, chat.id.as_str(), at.unix_ms()))?;
    }
    Ok(())
}

fn first_message(connection: &Connection, chat: &ChatId, message: &NewMessage) -> Result<Message> {
    connection
        .prepare_cached(concat!(
            "SELECT ",
            message_columns!(),
            " FROM messages WHERE chat_id = ?1 AND sender = ?2 AND client_message_id = ?3"
        ))?
        .query_row(
            (chat.as_str(), message.sender.as_str(), message.client_message_id.as_str()),
            rows::message,
        )
}

/// Adds an alias, or says why it would be wrong.
pub(crate) fn add_alias(
    connection: &Connection,
    alias: &ChatId,
    chat: &ChatId,
) -> Result<Result<(), AliasError>> {
    let living =
        |id: &ChatId| connection.prepare_cached("SELECT 1 FROM chats WHERE id = ?1")?.exists([id.as_str()]);
    if living(alias)? {
        return Ok(Err(AliasError::LiveChat(alias.clone())));
    }
    let Some(target) = by_id(connection, chat)? else {
        return Ok(Err(AliasError::NoSuchChat(chat.clone())));
    };
    let taken = by_id(connection, alias)?.map(|standing| standing.id);
    if let Some(standing) = taken.filter(|standing| *standing != target.id) {
        return Ok(Err(AliasError::Taken(standing)));
    }
    connection
        .prepare_cached("INSERT INTO aliases (alias, chat_id) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute((alias.as_str(), target.id.as_str()))?;
    Ok(Ok(()))
}

/// Fails if the disk has no room for ordinary writes. Keeps 32 KiB for itself: a byte would fit on a full disk too.
pub(crate) fn probe(connection: &Connection) -> Result<()> {
    connection
        .execute(
            "INSERT INTO meta (name, value) VALUES ('probe', hex(randomblob(16384)))
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            [],
        )
        .map(drop)
}
