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
mod renumber;
mod row_state;
mod rows;
mod state;
mod survivor;
mod swept;
mod timeline;

use bson::{Bson, RawDocument};

use crate::{Blocked, Difference, Group, GroupPlan, LoserPlan, MergeRules, fields::sha256};
pub use swept::swept;
use {
    document::Elsewhere, embedded::Listed, ids::Identities, messages::Messages, record::Notes,
    survivor::Chat, timeline::Timeline,
};

/// What becomes of a group, or why nothing can. Of a group of one: its key.
pub fn plan(rules: &MergeRules, group: &Group) -> Result<GroupPlan, Blocked> {
    let listed = Listed::new(&group.listed);
    let chats = survivor::in_order(rules, &group.chats, &listed)?;
    let (plan, unexplained) = planned(rules, group, &chats, &listed)?;
    if unexplained.is_empty() { Ok(plan) } else { Err(Blocked::Unexplained(unexplained)) }
}

/// The same, with the survivor that was chosen before, to which somebody has written since: `earlier` is what it was.
/// What differs only since then is the survivor's, since the others have ended.
pub fn plan_around(
    rules: &MergeRules,
    group: &Group,
    survivor: &Bson,
    earlier: &RawDocument,
) -> Result<GroupPlan, Blocked> {
    let listed = Listed::new(&group.listed);
    let mut chats = survivor::in_order(rules, &group.chats, &listed)?;
    chats.sort_by_key(|chat| chat.id != *survivor);
    if let Some(chat) = chats.first_mut().filter(|chat| chat.row.document.as_bytes() != earlier.as_bytes()) {
        chat.earlier = Some(earlier.to_owned());
    }
    planned(rules, group, &chats, &listed).map(|(plan, _)| plan)
}

/// The plan, and the fields of which nothing says what becomes of them.
fn planned(
    rules: &MergeRules,
    group: &Group,
    chats: &[Chat<'_>],
    listed: &Listed<'_>,
) -> Result<(GroupPlan, Vec<Difference>), Blocked> {
    let [survivor, losers @ ..] = chats else {
        return Err(Blocked::Unreadable {
            id: group.key.to_string(),
            reason: "a group without chats".to_owned(),
        });
    };
    let mut notes = Notes::default();
    let ids = Identities::new(chats.iter().map(|chat| chat.ids.clone()).collect(), rules.names.uuids)?;
    let mut messages = Messages::of_rows(rules, &group.references);
    let mut timeline = Timeline::new(rules, group, chats, &ids);
    let (moves, edits) = references::planned(rules, group, &ids, &mut messages, &timeline, &mut notes)?;
    timeline.forget(&edits);
    let elsewhere = Elsewhere { messages, timeline: &timeline, listed };
    let after = document::merged(rules, group, chats, elsewhere, &mut notes)?;
    let after = document::checked(&after)?;
    notes.conflicts.sort_by(|one, other| one.field.cmp(&other.field));
    let plan = GroupPlan {
        key: group.key.as_str().to_owned(),
        participants: group
            .identity
            .participants
            .members()
            .iter()
            .map(|member| member.as_str().to_owned())
            .collect(),
        context: group.identity.context.as_ref().map(|context| context.as_str().to_owned()),
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
    };
    Ok((plan, notes.unexplained))
}

fn fingerprint_of(chat: &Chat<'_>) -> String {
    sha256([chat.row.document.as_bytes()])
}
