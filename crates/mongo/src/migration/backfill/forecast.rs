//! What a backfill would do, counted without writing: one pass, grouped by the key that each chat should have.

use mongodb::bson::{RawDocument, RawDocumentBuf};
use onechat_core::{ChatIdentity, StoreError};
use onechat_migrate::Control;

use super::{
    super::{
        MigrateError, MongoMigrator,
        survey::{Group, Spill, identity, spill_failed, text},
    },
    BackfillReport, STEP,
    contest::{Age, Holder, Verdict, decide},
    seen::Seen,
};
use crate::codec::field;

/// How a chat stands to the key under which it is grouped.
const RIGHT: u8 = b'r';
const NONE: u8 = b'n';
const WRONG: u8 = b'w';
const MALFORMED: u8 = b'm';

impl MongoMigrator {
    pub(super) async fn forecast(&self, control: &dyn Control) -> Result<BackfillReport, MigrateError> {
        let (mut report, mut keys) = (BackfillReport::default(), Spill::new());
        let total = self.about_how_many().await?;
        let mut next = self.next_chats(None).await?;
        while let Some(last) = next.last() {
            let last = super::id_value(last);
            for document in &next {
                self.note(document, &mut keys, &mut report)?;
            }
            control.advance(STEP, report.examined, total.max(report.examined));
            control.pace(0).await?;
            next = self.next_chats(Some(&last)).await?;
        }
        for group in keys.finish().groups() {
            count(&group.map_err(|error| spill_failed(&error))?, &mut report)?;
        }
        Ok(report)
    }

    fn note(
        &self,
        document: &RawDocumentBuf,
        keys: &mut Spill,
        report: &mut BackfillReport,
    ) -> Result<(), StoreError> {
        report.examined += 1;
        let added = match self.see(document) {
            Ok(seen) => keys.add(seen.right.as_bytes(), &packed(&seen)),
            Err(reason) => {
                report.malformed(document, &reason);
                match self.stored_key(document) {
                    Some(key) => keys.add(key.as_bytes(), &[MALFORMED]),
                    None => Ok(()),
                }
            }
        };
        added.map_err(|error| spill_failed(&error))
    }

    fn stored_key<'a>(&self, document: &'a RawDocument) -> Option<&'a str> {
        field(document, self.codec.key_field())?.as_str().filter(|key| !key.is_empty())
    }
}

fn packed(seen: &Seen) -> Vec<u8> {
    let kind = match seen {
        seen if seen.is_right() => RIGHT,
        seen if seen.is_wrong() => WRONG,
        _ => NONE,
    };
    let (created, id) = &seen.age;
    let length = u32::try_from(id.len()).expect("no document has more than 16 MB");
    [&[kind], &created.to_le_bytes()[..], &length.to_le_bytes(), id, text(&seen.identity).as_bytes()].concat()
}

struct Noted {
    kind: u8,
    age: Age,
    identity: Option<ChatIdentity>,
}

impl Noted {
    fn of(item: &[u8]) -> Option<Self> {
        let (kind, rest) = item.split_first()?;
        if *kind == MALFORMED {
            return Some(Self { kind: *kind, age: Age::default(), identity: None });
        }
        let (created, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let (id, text) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        Some(Self {
            kind: *kind,
            age: (i64::from_le_bytes(*created), id.to_vec()),
            identity: Some(identity(text)?),
        })
    }
}

fn count(group: &Group, report: &mut BackfillReport) -> Result<(), StoreError> {
    let noted: Option<Vec<Noted>> = group.items.iter().map(|item| Noted::of(item)).collect();
    let noted =
        noted.ok_or_else(|| StoreError::Corrupt("a temporary file was written by others".to_owned()))?;
    let (takers, holders): (Vec<&Noted>, Vec<&Noted>) =
        noted.iter().partition(|noted| matches!(noted.kind, NONE | WRONG));
    let held: Vec<Holder<'_>> = holders
        .iter()
        .map(|holder| Holder { identity: holder.identity.as_ref(), age: holder.age.clone() })
        .collect();
    let sets: Vec<&ChatIdentity> = takers.iter().filter_map(|taker| taker.identity.as_ref()).collect();
    let (losing, verdicts) = decide(&held, &sets);
    let key = String::from_utf8_lossy(&group.name);
    let id = |noted: &Noted| super::super::survey::unpacked(&noted.age.1);
    for (holder, _) in holders.iter().zip(losing).filter(|(_, loses)| *loses) {
        report.ambiguous(&id(holder), &key);
    }
    for (taker, verdict) in takers.iter().zip(verdicts) {
        match verdict {
            Verdict::Gets => report.given(taker.kind == WRONG),
            Verdict::Duplicate => report.duplicates += 1,
            Verdict::Ambiguous => report.ambiguous(&id(taker), &key),
        }
    }
    Ok(())
}
