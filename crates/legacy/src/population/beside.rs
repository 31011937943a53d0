//! What else refers to chats: notifications, memberships, and people with their lists.

use mongodb::bson::{Bson, doc};

use super::{
    Piece, Place,
    block::Block,
    chats::{Draft, small},
    messages::named,
    writing::Writing,
};
use crate::{ExpectedSet, chance::Chance, value::date};

pub(super) fn make(
    writing: &Writing,
    chance: &mut Chance,
    block: &mut Block,
    drafts: &[Draft],
    people: &[String],
    piece: &mut Piece,
    set: &mut ExpectedSet,
) {
    for draft in drafts {
        if chance.percent(20) {
            let id = chance.object_id(draft.created_ms);
            // By either name.
            let chat = match &draft.public {
                Some(public) if chance.percent(50) => public.clone(),
                _ => named(&draft.id, chance),
            };
            let row = doc! { "_id": id, "about": { "chat": chat, "kind": "message" }, "read": false };
            set.notifications.push(id.to_hex());
            piece.documents.push((Place::Notifications, row));
        }
        if chance.percent(25) {
            memberships(writing, chance, draft, people, piece, set);
        }
        for person in people {
            if chance.percent(30) {
                let named = draft.public.clone().unwrap_or_else(|| draft.id.clone());
                block.note(person, named, &set.public_id);
            }
        }
    }
}

fn memberships(
    writing: &Writing,
    chance: &mut Chance,
    draft: &Draft,
    people: &[String],
    piece: &mut Piece,
    set: &mut ExpectedSet,
) {
    for person in people {
        let unread = i64::try_from(chance.within(0..=9)).unwrap_or_default();
        let read_ms = chance.later_ms(draft.created_ms);
        let row = doc! {
            "_id": chance.object_id(draft.created_ms), "chatId": draft.id.clone(),
            "userId": writing.person(person), "unread": small(unread), "lastReadAt": date(read_ms),
            "muted": Bson::Boolean(false), "__v": 0,
        };
        let (sum, latest) = set.memberships.entry(person.clone()).or_insert((0, i64::MIN));
        *sum += unread;
        *latest = read_ms.max(*latest);
        piece.documents.push((Place::Memberships, row));
    }
}
