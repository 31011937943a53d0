//! What only our own code can check: every chat's identity, key and place in the lists.
//!
//! Duplicates are found by the recomputed identity, not by the stored key, in a temporary table that SQLite keeps on
//! disk.

use onechat_core::{
    ChatIdentity, KeyFormat, ParticipantsKey,
    ports::{FindingKind, Findings, Progress},
};
use rusqlite::{Connection, Result};

use crate::rows::{parse_context, parse_participants, participants_json};

/// How often progress is told, in chats.
const STRIDE: u64 = 10_000;

pub(super) fn chats(
    connection: &Connection,
    format: KeyFormat,
    total: u64,
    progress: &dyn Progress,
    findings: &mut Findings,
) -> Result<()> {
    connection.execute_batch(
        "DROP TABLE IF EXISTS temp.identities;
         CREATE TEMP TABLE identities (identity_key TEXT NOT NULL, id TEXT NOT NULL) STRICT;",
    )?;
    let mut keep = connection.prepare("INSERT INTO temp.identities (identity_key, id) VALUES (?1, ?2)")?;
    let mut listed = connection.prepare(
        "SELECT 1 FROM inbox WHERE participant = ?1 AND last_activity_at_ms = ?2 AND chat_id = ?3",
    )?;
    let mut query = connection.prepare(
        "SELECT id, participants_key, participants,
                max(created_at_ms, coalesce(last_message_at_ms, created_at_ms)), context FROM chats",
    )?;
    let mut rows = query.query([])?;
    let mut done = 0;
    while let Some(row) = rows.next()? {
        let (id, key): (String, String) = (row.get(0)?, row.get(1)?);
        let (json, activity_ms): (String, i64) = (row.get(2)?, row.get(3)?);
        let context: Option<String> = row.get(4)?;
        match canonical(&json, context.as_deref()) {
            Err((kind, reason)) => findings.add(kind, || format!("chat {id}: {reason}")),
            Ok(identity) => {
                check_key(&id, &key, &identity, format, findings);
                keep.execute((ParticipantsKey::new(&identity, KeyFormat::Escaped).as_str(), &id))?;
                for participant in identity.participants.members() {
                    if !listed.exists((participant.as_str(), activity_ms, &id))? {
                        let example = || format!("chat {id} is missing from the list of {participant}");
                        findings.add(FindingKind::InboxMismatch, example);
                    }
                }
            }
        }
        done += 1;
        if done % STRIDE == 0 {
            progress.advance(done, total);
        }
    }
    progress.advance(done, total);
    duplicates(connection, findings)
}

fn canonical(json: &str, context: Option<&str>) -> std::result::Result<ChatIdentity, (FindingKind, String)> {
    let malformed = |reason| (FindingKind::MalformedParticipants, reason);
    let participants = parse_participants(json).map_err(malformed)?;
    if participants_json(&participants) != json {
        return Err(malformed("not in canonical order, or with repeats".to_owned()));
    }
    let context = context.map(parse_context).transpose();
    let context = context.map_err(|reason| (FindingKind::MalformedContext, reason))?;
    Ok(ChatIdentity { participants, context })
}

fn check_key(id: &str, key: &str, identity: &ChatIdentity, format: KeyFormat, findings: &mut Findings) {
    let right = ParticipantsKey::new(identity, format);
    if format.may_be_ambiguous(identity) {
        findings.add(FindingKind::AmbiguousKey, || format!("chat {id} has {key:?}"));
    }
    if key.is_empty() {
        findings.add(FindingKind::MissingKey, || format!("chat {id} should have {right:?}"));
    } else if key != right.as_str() {
        findings.add(FindingKind::WrongKey, || {
            format!("chat {id} has {key:?}, its participants' key is {right:?}")
        });
    }
}

fn duplicates(connection: &Connection, findings: &mut Findings) -> Result<()> {
    let mut query = connection.prepare(
        "SELECT count(*), min(id), max(id) FROM temp.identities GROUP BY identity_key HAVING count(*) > 1",
    )?;
    let mut rows = query.query([])?;
    while let Some(row) = rows.next()? {
        let (count, first, last): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        findings.add(FindingKind::DuplicateSet, || {
            format!("{count} chats of one set, among them {first} and {last}")
        });
    }
    Ok(())
}
