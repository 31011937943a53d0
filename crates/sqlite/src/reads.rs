//! The SQL of every read that serves a request. All are bounded: they run on the threads that serve.

use onechat_core::{
    Chat, ChatCursor, ChatId, Context, Message, MessageCursor, Page, PageSize, Participant, ParticipantsKey,
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

const CHATS_OF: &str = concat!(
    "SELECT ",
    chat_columns!(),
    " FROM inbox CROSS JOIN chats ON chats.id = inbox.chat_id
      WHERE inbox.participant = ?1 AND (inbox.last_activity_at_ms, inbox.chat_id) < (?2, ?3)
      ORDER BY inbox.last_activity_at_ms DESC, inbox.chat_id DESC LIMIT ?4"
);

const CHATS_OF_CONTEXT: &str = concat!(
    "SELECT ",
    chat_columns!(),
    " FROM inbox CROSS JOIN chats ON chats.id = inbox.chat_id
      WHERE inbox.participant = ?1 AND inbox.context = ?5
        AND (inbox.last_activity_at_ms, inbox.chat_id) < (?2, ?3)
      ORDER BY inbox.last_activity_at_ms DESC, inbox.chat_id DESC LIMIT ?4"
);

/// A page of a participant's chats, or of those of one context, latest activity first.
pub(crate) fn chats_of(
    connection: &Connection,
    participant: &Participant,
    context: Option<&Context>,
    size: PageSize,
    after: Option<&ChatCursor>,
) -> Result<Page<Chat, ChatCursor>> {
    let (ms, id) = after.map_or((i64::MAX, ""), |cursor| (cursor.at.unix_ms(), cursor.id.as_str()));
    let (participant, limit) = (participant.as_str(), one_more(size));
    let chats: Result<_> = match context {
        None => connection
            .prepare_cached(CHATS_OF)?
            .query_map((participant, ms, id, limit), rows::chat)?
            .collect(),
        Some(context) => connection
            .prepare_cached(CHATS_OF_CONTEXT)?
            .query_map((participant, ms, id, limit, context.as_str()), rows::chat)?
            .collect(),
    };
    Ok(Page::from_one_more(chats?, size, ChatCursor::after))
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
        connection.execute_batch(include_str!("schema/v3.sql")).unwrap();
        connection
    }

    fn plan(connection: &Connection, sql: &str) -> Vec<String> {
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let mut rows = plan.raw_query();
        let mut steps = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            steps.push(row.get("detail").unwrap());
        }
        steps
    }

    #[test]
    fn a_list_is_read_in_order_from_an_index_of_its_own() {
        let connection = schema();
        let join = "SEARCH chats USING INDEX sqlite_autoindex_chats_2 (id=?)";
        assert_eq!(
            plan(&connection, CHATS_OF),
            ["SEARCH inbox USING PRIMARY KEY (participant=? AND (last_activity_at_ms,chat_id)<(?,?))", join]
        );
        assert_eq!(
            plan(&connection, CHATS_OF_CONTEXT),
            [
                "SEARCH inbox USING COVERING INDEX inbox_by_context \
              (participant=? AND context=? AND (last_activity_at_ms,chat_id)<(?,?))",
                join
            ]
        );
    }

    /// Whoever has very many chats pays for those of the context alone, and for one without a context nothing is in
    /// the index.
    #[test]
    fn a_list_of_a_context_costs_the_same_whatever_else_there_is() {
        let connection = schema();
        let add = |from: u32, to: u32, context: &str| {
            let sql = format!(
                "WITH RECURSIVE n(i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i < {to})
                 INSERT INTO chats SELECT 'k' || i, 'c' || i, '[\"alice\",\"bob\"]', i, i, NULL, {context} FROM n;
                 INSERT INTO inbox SELECT 'alice', created_at_ms, id, context FROM chats
                     WHERE created_at_ms BETWEEN {from} AND {to}"
            );
            connection.execute_batch(&sql).unwrap();
        };
        let steps = || {
            let mut query = connection.prepare(CHATS_OF_CONTEXT).unwrap();
            let arguments = ("alice", i64::MAX, "", 51, "listing:42");
            let found = query.query_map(arguments, rows::chat).unwrap().count();
            (found, query.get_status(StatementStatus::VmStep))
        };
        add(1, 10, "'listing:42'");
        let alone = steps();
        assert_eq!(alone.0, 10);
        add(11, 5_000, "NULL");
        add(5_001, 10_000, "'listing:43'");
        assert_eq!(steps(), alone);
        let indexed: i64 = connection
            .query_row(
                "SELECT count(*) FROM inbox INDEXED BY inbox_by_context WHERE context IS NOT NULL",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(indexed, 5_010);
    }

    #[test]
    fn a_chat_is_looked_for_by_id_and_participant_at_once() {
        let connection = schema();
        assert_eq!(
            plan(&connection, BY_ID_FOR),
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
                r#"INSERT INTO chats VALUES ('alice_bob', 'c1', '["alice","bob"]', 1, 1, NULL, NULL);
                   INSERT INTO inbox VALUES ('alice', 1, 'c1', NULL), ('bob', 1, 'c1', NULL);
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
