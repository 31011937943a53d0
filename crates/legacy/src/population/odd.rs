//! What is no chat of a set of people, refers to none, or cannot be told from another: nothing may happen to it.

use mongodb::bson::{Bson, Document, RawDocumentBuf, doc};
use onechat_core::ParticipantSet;

use super::{
    Piece, Place,
    chats::sorted_and_joined,
    writing::{Writing, with},
};
use crate::{
    ExpectedSet, Kept, LegacyError, Record,
    chance::Chance,
    value::{date, hex},
};

/// All of them at once: they are few.
pub(super) fn make(writing: &Writing, chance: &mut Chance) -> Result<Piece, LegacyError> {
    let mut piece = Piece::default();
    let mut malformed = Vec::new();
    for nth in 0..writing.shape.malformed {
        let chat = malformed_chat(writing, chance, nth);
        malformed.push(chat.get("_id").cloned().unwrap_or(Bson::Null));
        keep(&mut piece, Place::Chats, chat)?;
    }
    for nth in 0..writing.shape.dangling {
        let at_ms = chance.moment_ms();
        let chat = match malformed.get(usize::try_from(nth / 4).unwrap_or(usize::MAX)) {
            // What was said in a chat that cannot be used stays where it is, too.
            Some(id) if nth % 4 == 0 => id.clone(),
            _ if nth % 4 == 1 => Bson::String(format!("gone-{}", chance.serial())),
            _ => chance.object_id(at_ms).into(),
        };
        let row = doc! {
            "_id": chance.object_id(at_ms), "chatId": chat, "sender": writing.person("nobody"),
            "text": "is there anybody", "createdAt": date(at_ms), "__v": 0,
        };
        keep(&mut piece, Place::Messages, row)?;
    }
    for nth in 0..writing.shape.ambiguous {
        ambiguous(writing, chance, nth, &mut piece);
    }
    Ok(piece)
}

fn keep(piece: &mut Piece, place: Place, document: Document) -> Result<(), LegacyError> {
    let bytes = hex(RawDocumentBuf::try_from(&document)?.as_bytes());
    let id = document.get("_id").cloned().unwrap_or(Bson::Null);
    piece.records.push(Record::Kept(Kept { collection: place.name().to_owned(), id, bytes }));
    piece.documents.push((place, document));
    Ok(())
}

fn malformed_chat(writing: &Writing, chance: &mut Chance, nth: u64) -> Document {
    let at_ms = chance.moment_ms();
    let document = doc! { "_id": chance.object_id(at_ms) };
    let document = with(document, "id", writing.public_id(chance).map(|(value, _)| value));
    let somebody = writing.participant("somebody", chance);
    let participants = match nth % 8 {
        0 => None,
        1 => Some(Bson::Null),
        2 => Some(Bson::Int32(2)),
        3 => Some(Bson::Array(Vec::new())),
        4 => Some(Bson::Document(doc! { "a": "somebody", "b": "somebody else" })),
        5 => Some(Bson::Array(vec![somebody, Bson::Double(7.5)])),
        6 => Some(Bson::Array(vec![somebody, Bson::String(String::new())])),
        _ => Some(Bson::String("somebody".to_owned())),
    };
    let document = with(document, "participants", participants);
    // Each key is there once: they are in nobody's way.
    let key = match nth % 3 {
        0 => None,
        1 => Some(Bson::Null),
        _ => Some(Bson::String(format!("broken:{nth}"))),
    };
    with(with(document, "participantsKey", key), "createdAt", Some(date(at_ms)))
}

/// `["a_b", "c"]` and `["a", "b_c"]`: one joined key for two sets.
fn ambiguous(writing: &Writing, chance: &mut Chance, nth: u64, piece: &mut Piece) {
    let one = [format!("a{nth}_b"), "c".to_owned()];
    let other = [format!("a{nth}"), "b_c".to_owned()];
    for people in [one, other] {
        let at_ms = chance.moment_ms();
        let id = chance.object_id(at_ms);
        let (public, public_id) = match writing.public_id(chance) {
            Some((value, text)) => (Some(value), text),
            None => (None, id.to_hex()),
        };
        let members =
            ParticipantSet::parse(people.iter().cloned()).expect("names of people are participants");
        let mut chat = with(doc! { "_id": id }, "id", public);
        chat.insert("participants", writing.participants(&people, chance));
        // Every other pair has its key already, on both.
        let key = (nth.is_multiple_of(2)).then(|| sorted_and_joined(&people));
        let chat = with(with(chat, "participantsKey", key), "createdAt", Some(date(at_ms)));
        piece.documents.push((Place::Chats, chat));
        piece.records.push(Record::Set(Box::new(ExpectedSet {
            participants: members.members().iter().map(ToString::to_string).collect(),
            key: writing.key(&members),
            survivor: Some(id.into()),
            public_id,
            shares_key: writing.shape.joined,
            ..ExpectedSet::default()
        })));
    }
}
