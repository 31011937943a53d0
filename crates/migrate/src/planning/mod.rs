//! Makes the plan of a group. Pure: no clock, no database, no order of documents.

mod clashes;
mod combine;
mod document;
mod embedded;
mod folds;
mod ids;
mod messages;
mod order;
mod paths;
mod record;
mod references;
mod row_state;
mod rows;
mod state;
mod survivor;
mod swept;

use bson::Bson;

use crate::{Blocked, Group, GroupPlan, LoserPlan, MergeRules, fields::sha256};
pub use swept::swept;
use {ids::Identities, messages::Messages, record::Notes, survivor::Chat};

/// What becomes of a group, or why nothing can. Of a group of one: its key.
pub fn plan(rules: &MergeRules, group: &Group) -> Result<GroupPlan, Blocked> {
    planned(rules, group, &survivor::in_order(rules, &group.chats)?)
}

/// The same, with the survivor that was chosen before.
pub fn plan_around(rules: &MergeRules, group: &Group, survivor: &Bson) -> Result<GroupPlan, Blocked> {
    let mut chats = survivor::in_order(rules, &group.chats)?;
    chats.sort_by_key(|chat| chat.id != *survivor);
    planned(rules, group, &chats)
}

fn planned(rules: &MergeRules, group: &Group, chats: &[Chat<'_>]) -> Result<GroupPlan, Blocked> {
    let [survivor, losers @ ..] = chats else {
        return Err(Blocked::Unreadable {
            id: group.key.to_string(),
            reason: "a group without chats".to_owned(),
        });
    };
    let mut notes = Notes::default();
    let ids = Identities::new(chats.iter().map(|chat| chat.ids.clone()).collect());
    let mut messages = Messages::of_rows(&group.references);
    let (moves, edits) = references::planned(rules, group, &ids, &mut messages, &mut notes)?;
    let after = document::merged(rules, group, chats, messages, &mut notes)?;
    let after = document::checked(&after)?;
    notes.conflicts.sort_by(|one, other| one.field.cmp(&other.field));
    Ok(GroupPlan {
        key: group.key.as_str().to_owned(),
        participants: group.set.members().iter().map(|member| member.as_str().to_owned()).collect(),
        survivor: survivor.id.clone(),
        survivor_public_id: survivor.public_id.clone(),
        survivor_fingerprint: fingerprint_of(survivor),
        survivor_after: (after != survivor.row.document).then_some(after),
        losers: losers
            .iter()
            .map(|loser| LoserPlan {
                id: loser.id.clone(),
                public_id: loser.public_id.clone(),
                fingerprint: fingerprint_of(loser),
            })
            .collect(),
        moves,
        edits,
        conflicts: notes.conflicts,
        repeats: notes.repeats,
    })
}

fn fingerprint_of(chat: &Chat<'_>) -> String {
    sha256([chat.row.document.as_bytes()])
}
