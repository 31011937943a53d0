//! What SQLite itself can check: the file, and rows that point at other rows.

use onechat_core::ports::{FindingKind, Findings};
use rusqlite::{Connection, Result};

/// Each query lists the rows that are wrong, as a text to show.
const RELATIONS: &[(FindingKind, &str)] = &[
    (
        FindingKind::InboxMismatch,
        "SELECT 'list row of ' || participant || ' for chat ' || chat_id FROM inbox
         WHERE NOT EXISTS (
             SELECT 1 FROM chats, json_each(iif(json_valid(chats.participants), chats.participants, '[]')) AS member
             WHERE chats.id = inbox.chat_id AND member.value = inbox.participant
               AND inbox.context IS chats.context
               AND inbox.last_activity_at_ms = max(chats.created_at_ms, coalesce(chats.last_message_at_ms, chats.created_at_ms)))",
    ),
    (
        FindingKind::OrphanedMessage,
        "SELECT 'message ' || id || ' in chat ' || chat_id FROM messages
         WHERE chat_id NOT IN (SELECT id FROM chats)",
    ),
    (
        FindingKind::ForeignSender,
        "SELECT 'message ' || messages.id || ' of ' || sender || ' in chat ' || chat_id
         FROM messages JOIN chats ON chats.id = messages.chat_id
         WHERE json_valid(chats.participants)
           AND sender NOT IN (SELECT value FROM json_each(chats.participants))",
    ),
    (
        FindingKind::WrongActivity,
        "SELECT 'chat ' || id FROM chats WHERE last_message_at_ms IS NOT
             (SELECT max(created_at_ms) FROM messages WHERE chat_id = chats.id)",
    ),
    (
        FindingKind::DanglingAlias,
        "SELECT 'alias ' || alias || ' of chat ' || chat_id FROM aliases
         WHERE chat_id NOT IN (SELECT id FROM chats)",
    ),
    (FindingKind::AliasOfLiveChat, "SELECT 'alias ' || alias FROM aliases WHERE alias IN (SELECT id FROM chats)"),
];

pub(super) fn integrity(connection: &Connection, findings: &mut Findings) -> Result<()> {
    let mut check = connection.prepare("PRAGMA integrity_check(1000)")?;
    let mut rows = check.query([])?;
    while let Some(row) = rows.next()? {
        let line: String = row.get(0)?;
        if line != "ok" {
            findings.add(FindingKind::DamagedStorage, || line);
        }
    }
    Ok(())
}

pub(super) fn relations(connection: &Connection, findings: &mut Findings) -> Result<()> {
    for (kind, sql) in RELATIONS {
        let mut query = connection.prepare(sql)?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            let example: String = row.get(0)?;
            findings.add(*kind, || example);
        }
    }
    Ok(())
}
