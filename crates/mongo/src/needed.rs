//! The indexes that a mapping needs, and which of those that are there will do.

use mongodb::bson::{Bson, Document, doc};

use crate::{
    MessagePlace,
    codec::Codec,
    error::number,
    index::{FoundIndex, IndexPurpose, IndexStatus, UnfitIndex},
};

/// An index that is needed.
pub(crate) struct Needed {
    pub(crate) purpose: IndexPurpose,
    pub(crate) collection: String,
    pub(crate) name: String,
    pub(crate) key: Document,
    pub(crate) partial: Option<Document>,
}

/// Every index that the mapping needs.
pub(crate) fn needed(codec: &Codec) -> Vec<Needed> {
    let mapping = codec.mapping();
    let (chats, messages) = (&mapping.chats, &mapping.messages);
    let key = codec.key_field();
    let id = codec.id_field();
    let (active, created) = (&mapping.fields.last_message_at, &mapping.fields.created_at);
    let of_message = &mapping.message_fields;
    let client_id = &of_message.client_message_id;
    let needed = |purpose, collection: &String, name: String, key, partial| Needed {
        purpose,
        collection: collection.clone(),
        name,
        key,
        partial,
    };
    let mut all = vec![needed(
        IndexPurpose::OneChatPerKey,
        chats,
        format!("onechat_{key}"),
        doc! { key: 1 },
        Some(doc! { key: { "$gt": "" } }),
    )];
    if mapping.message_place.has_rows() {
        all.push(needed(
            IndexPurpose::OneMessagePerClientId,
            messages,
            format!("onechat_{client_id}"),
            doc! { &of_message.chat: 1, &of_message.sender: 1, client_id: 1 },
            Some(doc! { client_id: { "$gt": "" } }),
        ));
    }
    if mapping.message_place == MessagePlace::Rows {
        all.push(needed(
            IndexPurpose::MessagesOfChat,
            messages,
            format!("onechat_{}", of_message.created_at),
            doc! { &of_message.chat: 1, &of_message.created_at: 1, "_id": 1 },
            None,
        ));
    }
    for participant in codec.participants_paths() {
        all.extend([
            needed(
                IndexPurpose::ChatOfParticipant,
                chats,
                format!("onechat_{}_{participant}", id.trim_start_matches('_')),
                // Ids first: those of new chats are close together, and so are their entries.
                doc! { id: 1, participant: 1 },
                None,
            ),
            needed(
                IndexPurpose::ActiveChatsOfParticipant,
                chats,
                format!("onechat_{participant}_{active}"),
                doc! { participant: 1, active: -1, id: -1 },
                Some(doc! { active: { "$exists": true } }),
            ),
            // Null also stands for a field that is not there.
            needed(
                IndexPurpose::SilentChatsOfParticipant,
                chats,
                format!("onechat_{participant}_{created}"),
                doc! { participant: 1, created: -1, id: -1 },
                Some(doc! { active: Bson::Null }),
            ),
        ]);
    }
    all
}

impl Needed {
    pub(crate) fn among(&self, indexes: &[Document]) -> IndexStatus {
        let (mut found, mut guarding, mut unfit) = (None, None, Vec::new());
        for index in indexes.iter().filter(|index| self.is_on_the_same_fields(index)) {
            let name = index.get_str("name").unwrap_or_default().to_owned();
            let this = FoundIndex { ours: name == self.name, name, definition: index.to_string() };
            let flaw = self.flaw_of(index);
            let is_unique = flag(index, "unique") || !self.purpose.is_unique();
            if flaw.is_none() && is_unique {
                keep(&mut found, this);
                continue;
            }
            let reason = flaw.unwrap_or_else(|| self.lack_of(index).to_owned());
            unfit.push(UnfitIndex { name: this.name.clone(), reason });
            if self.guards(index) {
                keep(&mut guarding, this);
            }
        }
        IndexStatus { collection: self.collection.clone(), purpose: self.purpose, found, guarding, unfit }
    }

    /// Whether it is ours, as we would make it, but not unique: one step from guarding.
    pub(crate) fn could_guard(&self, index: &Document) -> bool {
        index.get_str("name").is_ok_and(|name| name == self.name)
            && self.is_on_the_same_fields(index)
            && self.flaw_of(index).is_none()
            && !flag(index, "unique")
    }

    fn guards(&self, index: &Document) -> bool {
        self.purpose.is_unique() && flag(index, "prepareUnique") && self.flaw_of(index).is_none()
    }

    /// What a fit index lacks that is not unique.
    fn lack_of(&self, index: &Document) -> &'static str {
        if self.guards(index) {
            "it keeps new duplicates out, but is not unique yet: `onechat enforce` makes it so, once the old \
             duplicates are merged"
        } else {
            "it is not unique"
        }
    }

    /// Its fields, for people.
    pub(crate) fn fields(&self) -> String {
        self.key.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
    }

    fn is_on_the_same_fields(&self, index: &Document) -> bool {
        index.get_document("key").is_ok_and(|key| key.keys().eq(self.key.keys()))
    }

    /// Why an index on the right fields would not do even if it were unique.
    fn flaw_of(&self, index: &Document) -> Option<String> {
        let key = index.get_document("key").ok()?;
        if key.values().any(|direction| number(Some(direction)).is_none()) {
            return Some("it is of another kind (text, hashed, geo)".to_owned());
        }
        if !self.purpose.is_unique() && !self.has_its_order(key) {
            return Some("it is in another order".to_owned());
        }
        if index.contains_key("collation") {
            return Some("it has a collation, to which different participants may be the same".to_owned());
        }
        if flag(index, "hidden") {
            return Some("it is hidden from queries".to_owned());
        }
        match index.get_document("partialFilterExpression") {
            Ok(filter) if Some(filter) == self.partial.as_ref() => None,
            Ok(filter) => Some(format!("it leaves out documents: it has the filter {filter}")),
            Err(_) if flag(index, "sparse") && !self.purpose.is_unique() => {
                Some("it is sparse and leaves out documents".to_owned())
            }
            Err(_) => None,
        }
    }

    /// Whether an index on the same fields gives its rows in the order of this one, or in the opposite one. The first
    /// field is always equal to one value, so its direction is of no matter.
    fn has_its_order(&self, key: &Document) -> bool {
        let is_descending = |direction| number(Some(direction)).is_some_and(|direction| direction < 0);
        let mut turned = key
            .values()
            .zip(self.key.values())
            .skip(1)
            .map(|(is, needed)| is_descending(is) != is_descending(needed));
        let first = turned.next();
        turned.all(|is_turned| Some(is_turned) == first)
    }
}

/// Whether all documents with a value in the field are found by this index.
pub(crate) fn finds_all_by(index: &Document, path: &str) -> bool {
    let first = index.get_document("key").ok().and_then(|key| key.iter().next());
    first.is_some_and(|(name, direction)| name == path && number(Some(direction)).is_some())
        && !["collation", "partialFilterExpression"].iter().any(|option| index.contains_key(*option))
        && !["hidden", "sparse"].iter().any(|option| flag(index, option))
}

fn flag(index: &Document, name: &str) -> bool {
    index.get_bool(name).unwrap_or(false)
}

/// Ours goes before another program's.
fn keep(place: &mut Option<FoundIndex>, index: FoundIndex) {
    if place.as_ref().is_none_or(|known| !known.ours) {
        *place = Some(index);
    }
}
