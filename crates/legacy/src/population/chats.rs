//! The chats of one set of people, as backends of many years have left them.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, Document, doc};
use onechat_core::ParticipantSet;

use super::{
    block::Block,
    writing::{Writing, with},
};
use crate::{
    chance::Chance,
    value::{date, text_of},
};

/// A chat that is being made.
pub(super) struct Draft {
    pub(super) id: Bson,
    /// What the API calls it.
    pub(super) public_id: String,
    /// The same as the field has it, if there is one.
    pub(super) public: Option<Bson>,
    pub(super) created_ms: i64,
    pub(super) unread: BTreeMap<String, i64>,
    pub(super) message_count: Option<i64>,
    /// Without what is embedded.
    pub(super) document: Document,
}

/// How the key of an old chat may be.
enum OldKey {
    Missing,
    Null,
    Empty,
    /// Made by another program than the others.
    Number,
    /// `participants.sort().join('_')`.
    Joined,
    /// Joined in the order in which they came.
    Unsorted,
    /// That of other people.
    OfOthers(Vec<String>),
    Nonsense,
}

/// So many chats of these people, in no order. The oldest is found by [`oldest`].
pub(super) fn make(
    writing: &Writing,
    chance: &mut Chance,
    block: &Block,
    people: &[String],
    chats: u64,
) -> Vec<Draft> {
    let mut drafts: Vec<Draft> = Vec::new();
    for _ in 0..chats {
        // Some were made in the same second, by two taps: then the smaller `_id` was first.
        let twin = drafts.last().filter(|last| last.id.as_object_id().is_some()).map(|last| last.created_ms);
        let twin = twin.filter(|_| chance.percent(10));
        let created_ms = twin.unwrap_or_else(|| {
            loop {
                let at_ms = chance.moment_ms();
                if drafts.iter().all(|draft| draft.created_ms != at_ms) {
                    break at_ms;
                }
            }
        });
        drafts.push(draft(writing, chance, block, people, created_ms, twin.is_some()));
    }
    drafts
}

/// The one that was made first.
pub(super) fn oldest(drafts: &[Draft]) -> usize {
    let age = |index: &usize| (drafts[*index].created_ms, text_of(&drafts[*index].id));
    (0..drafts.len()).min_by_key(age).unwrap_or_default()
}

fn draft(
    writing: &Writing,
    chance: &mut Chance,
    block: &Block,
    people: &[String],
    created_ms: i64,
    is_twin: bool,
) -> Draft {
    // A string says nothing of its age.
    let is_text = !is_twin && chance.percent(5);
    let id = if is_text {
        Bson::String(crate::chance::uuid_text(&chance.uuid()))
    } else {
        chance.object_id(created_ms).into()
    };
    let (public, public_id) = match writing.public_id(chance) {
        Some((value, text)) => (Some(value), text),
        None => (None, text_of(&id).unwrap_or_default()),
    };
    let document = with(doc! { "_id": id.clone() }, "id", public.clone());
    let document = with(document, "participants", Some(writing.participants(people, chance)));
    let mut document = with(document, "participantsKey", stored_key(chance, block, people));
    let has_created_at = is_text || chance.percent(92);
    document = with(document, "createdAt", has_created_at.then(|| date(created_ms)));
    document = with(document, "updatedAt", chance.percent(90).then(|| date(created_ms + 60_000)));
    document = with(document, "lastMessageAt", chance.percent(60).then(|| date(created_ms + 30_000)));
    document = with(document, "title", chance.percent(10).then(|| format!("chat {}", chance.serial())));
    let unread = unread(chance, people);
    let counters: Document = unread.iter().map(|(person, count)| (person.clone(), small(*count))).collect();
    document = with(document, "unread", (!counters.is_empty()).then_some(counters));
    let message_count = chance.percent(30).then(|| i64::try_from(chance.within(0..=40)).unwrap_or_default());
    document = with(document, "messageCount", message_count.map(small));
    document = with(document, "__v", chance.percent(90).then_some(0));
    Draft { id, public_id, public, created_ms, unread, message_count, document }
}

fn unread(chance: &mut Chance, people: &[String]) -> BTreeMap<String, i64> {
    if chance.percent(40) {
        return BTreeMap::new();
    }
    let count = |person: &String| (person.clone(), i64::try_from(chance.within(0..=9)).unwrap_or_default());
    people.iter().map(count).collect()
}

/// As JavaScript stores a small number.
pub(super) fn small(number: i64) -> Bson {
    i32::try_from(number).map_or(Bson::Int64(number), Bson::Int32)
}

fn stored_key(chance: &mut Chance, block: &Block, people: &[String]) -> Option<Bson> {
    let key = match chance.below(100) {
        0..40 => OldKey::Missing,
        40..50 => OldKey::Null,
        50..55 => OldKey::Empty,
        55..57 => OldKey::Number,
        57..82 => OldKey::Joined,
        82..92 => OldKey::Unsorted,
        92..96 => block.earlier_set(chance, people).map_or(OldKey::Nonsense, OldKey::OfOthers),
        _ => OldKey::Nonsense,
    };
    Some(match key {
        OldKey::Missing => return None,
        OldKey::Null => Bson::Null,
        OldKey::Empty => Bson::String(String::new()),
        OldKey::Number => Bson::Int32(i32::try_from(people.len()).unwrap_or_default()),
        OldKey::Joined => Bson::String(sorted_and_joined(people)),
        OldKey::Unsorted => Bson::String(people.iter().rev().cloned().collect::<Vec<_>>().join("_")),
        OldKey::OfOthers(others) => Bson::String(sorted_and_joined(&others)),
        OldKey::Nonsense => Bson::String(format!("dm:{}", chance.serial())),
    })
}

/// `participants.sort().join('_')`.
pub(crate) fn sorted_and_joined(people: &[String]) -> String {
    let set = ParticipantSet::parse(people.iter().cloned()).expect("names of people are participants");
    set.members().iter().map(onechat_core::Participant::as_str).collect::<Vec<_>>().join("_")
}
