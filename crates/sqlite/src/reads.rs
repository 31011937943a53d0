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

const BY_ID_FOR: &str = concat!(
    "SELECT ",
    chat_columns!(),
    " FROM inbox CROSS JOIN chats ON chats.id = inbox.chat_id
      WHERE inbox.chat_id = coalesce((SELECT chat_id FROM aliases WHERE alias = ?1), ?1) AND inbox.participant = ?2"
);

/// The same, for somebody who is in it. Who is not gets nothing before the chat is looked up: an id that does not
/// exist costs the same.
pub(crate) fn by_id_for(
    connection: &Connection,
    id: &ChatId,
    participant: &Participant,
) -> Result<Option<Chat>> {
    connection
        .prepare_cached(BY_ID_FOR)?
        .query_row((id.as_str(), participant.as_str()), rows::chat)
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

#[cfg(test)]
mod tests {
    use rusqlite::StatementStatus;

    use super::*;

    fn schema() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(include_str!("schema/v1.sql")).unwrap();
        connection.execute_batch(include_str!("schema/v2.sql")).unwrap();
        connection
    }

    #[test]
    fn a_chat_is_looked_for_by_id_and_participant_at_once() {
        let connection = schema();
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {BY_ID_FOR}")).unwrap();
        let plan: Vec<String> =
            plan.query_map(("c1", "alice"), |row| row.get("detail")).unwrap().map(Result::unwrap).collect();
        assert_eq!(
            plan,
            [
                "SEARCH inbox USING COVERING INDEX inbox_by_chat (chat_id=? AND participant=?)",
                "SCALAR SUBQUERY 1",
                "SEARCH aliases USING PRIMARY KEY (alias=?)",
                "SEARCH chats USING INDEX sqlite_autoindex_chats_2 (id=?)",
                "REUSE SUBQUERY 1",
            ]
        );
    }

    /// The order of the plan is the order of the steps: the chats come last, and only for a row that was found.
    #[test]
    fn strangers_take_as_many_steps_as_an_absent_id() {
        let connection = schema();
        connection
            .execute_batch(
                r#"INSERT INTO chats VALUES ('alice_bob', 'c1', '["alice","bob"]', 1, 1, NULL);
                   INSERT INTO inbox VALUES ('alice', 1, 'c1'), ('bob', 1, 'c1');
                   INSERT INTO aliases VALUES ('old', 'c1');"#,
            )
            .unwrap();
        let steps = |id: &str, participant: &str| {
            let mut query = connection.prepare(BY_ID_FOR).unwrap();
            let found = query.exists((id, participant)).unwrap();
            (found, query.get_status(StatementStatus::VmStep))
        };
        let (found, absent) = steps("none", "carol");
        assert!(!found);
        assert_eq!(steps("c1", "carol"), (false, absent));
        // One step of the machine less: `coalesce` does not evaluate the id once more. The lookups are the same.
        let (found, alias) = steps("old", "carol");
        assert!(!found && alias.abs_diff(absent) <= 2, "{alias} steps, {absent} for an absent id");
        assert!(steps("c1", "alice").0 && steps("old", "bob").0);
    }
}
