//! Everything about one set of people.

use mongodb::bson::RawDocumentBuf;
use onechat_core::ParticipantSet;

use super::{Piece, Place, beside, block::Block, chats, messages, sizes::Size, writing::Writing};
use crate::{ExpectedSet, LegacyError, Record, chance::Chance, value::digest};

pub(super) fn make(
    writing: &Writing,
    chance: &mut Chance,
    block: &mut Block,
    people: &[String],
    size: Size,
) -> Result<Piece, LegacyError> {
    let members = ParticipantSet::parse(people.iter().cloned()).expect("names of people are participants");
    let mut drafts = chats::make(writing, chance, block, people, size.chats);
    let oldest = chats::oldest(&drafts);
    let mut set = ExpectedSet {
        participants: members.members().iter().map(ToString::to_string).collect(),
        key: writing.key(&members),
        survivor: Some(drafts[oldest].id.clone()),
        public_id: drafts[oldest].public_id.clone(),
        ..ExpectedSet::default()
    };
    let mut piece = Piece::default();
    messages::rows(writing, chance, &drafts, people, size.messages, &mut piece, &mut set);
    if writing.shape.embedded {
        messages::embed(writing, chance, &mut drafts, people, &mut set);
    }
    beside::make(writing, chance, block, &drafts, people, &mut piece, &mut set);
    for (index, draft) in drafts.iter().enumerate() {
        for (person, count) in &draft.unread {
            *set.unread.entry(person.clone()).or_default() += count;
        }
        if let Some(count) = draft.message_count {
            *set.message_count.get_or_insert(0) += count;
        }
        if index != oldest {
            set.losers.push(draft.id.clone());
            set.aliases.push(draft.public_id.clone());
        }
    }
    if let [alone] = &drafts[..] {
        set.digest = Some(digest(&RawDocumentBuf::try_from(&alone.document)?)?);
    }
    piece.documents.extend(drafts.into_iter().map(|draft| (Place::Chats, draft.document)));
    piece.records.push(Record::Set(Box::new(set)));
    Ok(piece)
}
