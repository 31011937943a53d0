//! Messages, in rows of their own and embedded in chats; and how they name their chat.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, Document, doc};

use super::{Piece, Place, chats::Draft, writing::Writing};
use crate::{ExpectedSet, chance::Chance, value::date};

/// The name of a chat in a row of messages: its `_id`, some of them as text.
pub(super) fn named(id: &Bson, chance: &mut Chance) -> Bson {
    match id {
        Bson::ObjectId(id) if chance.percent(5) => Bson::String(id.to_hex()),
        other => other.clone(),
    }
}

/// So many rows of messages in these chats.
pub(super) fn rows(
    writing: &Writing,
    chance: &mut Chance,
    drafts: &[Draft],
    people: &[String],
    mut count: u64,
    piece: &mut Piece,
    set: &mut ExpectedSet,
) {
    if drafts.len() > 1 && count >= 2 && chance.percent(15) {
        count -= 2;
        sent_twice(writing, chance, drafts, people, piece, set);
    }
    for _ in 0..count {
        let draft = chance.pick(drafts);
        let at_ms = chance.later_ms(draft.created_ms);
        let id = chance.object_id(at_ms);
        let mut row = doc! {
            "_id": id,
            "chatId": named(&draft.id, chance),
            "sender": writing.person(&people[chance.below(people.len())]),
            "text": format!("message {}", chance.serial()),
        };
        match chance.below(100) {
            0..60 => drop(row.insert("clientMessageId", format!("c-{}", chance.serial()))),
            60..65 => drop(row.insert("clientMessageId", Bson::Null)),
            _ => {}
        }
        row.insert("createdAt", date(at_ms));
        row.insert("__v", 0);
        set.messages.push(id.to_hex());
        piece.documents.push((Place::Messages, row));
    }
}

/// A client that did not hear the answer sent its message again, and it went to another chat of the same people. Or two
/// messages have the same name by mistake: then both have to stay.
fn sent_twice(
    writing: &Writing,
    chance: &mut Chance,
    drafts: &[Draft],
    people: &[String],
    piece: &mut Piece,
    set: &mut ExpectedSet,
) {
    let is_the_same = chance.percent(60);
    let (sender, client) = (chance.pick(people).clone(), format!("twice-{}", chance.serial()));
    let mut at_ms = drafts.iter().map(|draft| draft.created_ms).max().unwrap_or_default();
    let text = format!("message {}", chance.serial());
    let mut chats = [0, 1];
    chance.shuffle(&mut chats);
    for (nth, chat) in chats.into_iter().enumerate() {
        at_ms = chance.later_ms(at_ms);
        let id = chance.object_id(at_ms);
        let text = if is_the_same || nth == 0 { text.clone() } else { format!("{text}, another one") };
        let row = doc! {
            "_id": id, "chatId": drafts[chat].id.clone(), "sender": writing.person(&sender), "text": text,
            "clientMessageId": &client, "createdAt": date(at_ms), "__v": 0,
        };
        let list = if is_the_same && nth == 1 { &mut set.folded } else { &mut set.messages };
        list.push(id.to_hex());
        piece.documents.push((Place::Messages, row));
    }
}

/// Puts messages into some of the chats; the same ones into two, where somebody has copied a chat.
pub(super) fn embed(
    writing: &Writing,
    chance: &mut Chance,
    drafts: &mut [Draft],
    people: &[String],
    set: &mut ExpectedSet,
) {
    let mut all: BTreeMap<String, Document> = BTreeMap::new();
    for draft in drafts {
        if !chance.percent(12) {
            continue;
        }
        let mut own: Vec<Document> = (0..chance.below(5))
            .map(|_| {
                let at_ms = chance.later_ms(draft.created_ms);
                doc! {
                    "_id": chance.object_id(at_ms), "sender": writing.person(&people[chance.below(people.len())]),
                    "text": format!("embedded {}", chance.serial()), "createdAt": date(at_ms),
                }
            })
            .collect();
        if chance.percent(50) {
            own.extend(all.values().take(3).cloned());
        }
        // As they were appended, one after the other.
        own.sort_by_key(|message| message.get_datetime("createdAt").map(|at| at.timestamp_millis()).ok());
        for message in &own {
            let id =
                message.get_object_id("_id").map(mongodb::bson::oid::ObjectId::to_hex).unwrap_or_default();
            all.insert(id, message.clone());
        }
        draft.document.insert("messages", own);
    }
    set.embedded = all.into_keys().collect();
}
