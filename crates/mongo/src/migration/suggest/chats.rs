//! Which collection has the chats, and what is what in them.

use mongodb::bson::{Bson, Document, spec::BinarySubtype};
use onechat_core::{KeyFormat, ParticipantSet, ParticipantsKey};

use super::sample::{Sample, at, id_text, is_most, plain};

/// What participants are called, the likeliest first.
const PEOPLE: [&str; 8] =
    ["participants", "members", "users", "participantids", "memberids", "userids", "people", "peers"];
/// What collections of chats are called.
const CHATS: [&str; 7] = ["chat", "conversation", "dialog", "thread", "room", "channel", "inbox"];
/// Where in a participant's sub-document its id may stand, the likeliest first. Mongoose puts an `_id` of its own
/// into each, so that comes last.
const ID_PATHS: [&str; 16] = [
    "userId",
    "user_id",
    "participantId",
    "memberId",
    "accountId",
    "profileId",
    "user.id",
    "user._id",
    "user.userId",
    "participant.id",
    "member.id",
    "user",
    "participant",
    "member",
    "id",
    "_id",
];

/// How chats are laid out.
#[derive(Debug)]
pub(super) struct Chats {
    pub(super) collection: String,
    pub(super) participants: String,
    pub(super) path: Option<String>,
    /// How many participants are ObjectIds, and how many are strings.
    pub(super) forms: (usize, usize),
    pub(super) key: Option<Key>,
    pub(super) public_id: Option<PublicId>,
    pub(super) created_at: Option<String>,
    pub(super) updated_at: Option<String>,
    pub(super) last_message_at: Option<String>,
}

/// The field with the key, and which format its values follow.
#[derive(Debug, Default)]
pub(super) struct Key {
    pub(super) field: String,
    pub(super) stored: usize,
    pub(super) escaped: usize,
    pub(super) joined: usize,
}

#[derive(Debug)]
pub(super) struct PublicId {
    pub(super) field: String,
    pub(super) is_uuid: bool,
}

impl Chats {
    /// The likeliest collection, with the score that it won by; the configured one if it can be it.
    pub(super) fn among(samples: &[Sample], configured: &str) -> Option<Self> {
        let mut best: Option<(usize, Self)> = None;
        for sample in samples {
            for (field, values) in sample.fields() {
                let score = score(&sample.collection, field, configured);
                let Some((path, fit)) = people(&values, sample.documents.len(), score >= 85) else {
                    continue;
                };
                let score = score + fit;
                if score >= 100 && best.as_ref().is_none_or(|(most, _)| score > *most) {
                    best = Some((score, Self::of(sample, field, path)));
                }
            }
        }
        best.map(|(_, chats)| chats)
    }

    fn of(sample: &Sample, participants: &str, path: Option<String>) -> Self {
        let mut chats = Self {
            collection: sample.collection.clone(),
            participants: participants.to_owned(),
            path,
            forms: (0, 0),
            key: None,
            public_id: None,
            created_at: dated(sample, &["creat", "insert", "started"], &[]),
            updated_at: dated(sample, &["updat", "modif", "chang"], &[]),
            last_message_at: dated(sample, &["lastmessage", "lastmsg", "lastactiv", "activ", "latest"], &[]),
        };
        let members: Vec<&Bson> =
            sample.documents.iter().flat_map(|document| chats.members(document)).collect();
        let object_ids = members.iter().filter(|member| member.as_object_id().is_some()).count();
        chats.forms = (object_ids, members.len() - object_ids);
        chats.key = chats.find_key(sample);
        chats.public_id = chats.find_public_id(sample);
        chats
    }

    fn members<'a>(&self, document: &'a Document) -> Vec<&'a Bson> {
        let members = document.get_array(&self.participants).map(Vec::as_slice).unwrap_or_default();
        let id = |member: &'a Bson| match &self.path {
            Some(path) => at(member.as_document()?, path),
            None => Some(member),
        };
        members.iter().filter_map(id).collect()
    }

    /// Whose chat it is, as texts, in the order in which they are stored.
    pub(super) fn people(&self, document: &Document) -> Vec<String> {
        self.members(document).into_iter().filter_map(id_text).collect()
    }

    /// The field whose values are most often the key of the participants, in whatever order those were joined.
    fn find_key(&self, sample: &Sample) -> Option<Key> {
        let mut best: Option<(usize, Key)> = None;
        for (field, values) in sample.fields() {
            if field == self.participants || !values.iter().any(|value| value.as_str().is_some()) {
                continue;
            }
            let mut key = Key { field: field.to_owned(), ..Key::default() };
            let mut alike = 0;
            for document in &sample.documents {
                let Ok(stored) = document.get_str(field) else { continue };
                let people = self.people(document);
                let Ok(set) = ParticipantSet::parse(people.clone()) else { continue };
                key.stored += usize::from(!stored.is_empty());
                let is = |format| stored == ParticipantsKey::new(&(&set).into(), format).as_str();
                key.escaped += usize::from(is(KeyFormat::Escaped));
                key.joined += usize::from(is(KeyFormat::Joined));
                alike += usize::from(sorted(stored) == sorted(&people.join("_")));
            }
            let found = alike.max(key.escaped).max(key.joined);
            if is_most(found, key.stored, 20) && best.as_ref().is_none_or(|(most, _)| found > *most) {
                best = Some((found, key));
            }
        }
        best.map(|(_, key)| key)
    }

    /// A field whose values are ids, each different, and that is called so.
    fn find_public_id(&self, sample: &Sample) -> Option<PublicId> {
        let singular = plain(&self.collection);
        let singular = singular.strip_suffix('s').unwrap_or(&singular);
        let own = format!("{singular}id");
        let names =
            [own.as_str(), "chatid", "conversationid", "roomid", "threadid", "publicid", "uuid", "id", "uid"];
        let is_uuid = |value: &&&Bson| match value {
            Bson::Binary(binary) => binary.subtype == BinarySubtype::Uuid,
            _ => false,
        };
        let key = self.key.as_ref().map(|key| key.field.as_str());
        sample.fields().into_iter().find_map(|(field, values)| {
            let texts: Vec<String> = values
                .iter()
                .filter(|value| value.as_object_id().is_none())
                .filter_map(|v| id_text(v))
                .collect();
            let mut different = texts.clone();
            different.sort();
            different.dedup();
            let is_one = names.contains(&plain(field).as_str())
                && field != "_id"
                && Some(field) != key
                && is_most(texts.len(), sample.documents.len(), 80)
                && is_most(different.len(), texts.len(), 99);
            let uuids = values.iter().filter(is_uuid).count();
            is_one.then(|| PublicId { field: field.to_owned(), is_uuid: is_most(uuids, texts.len(), 50) })
        })
    }
}

/// A field with dates whose name has one of these in it, the likeliest name first.
pub(super) fn dated(sample: &Sample, names: &[&str], except: &[&str]) -> Option<String> {
    let fields = sample.fields();
    names.iter().find_map(|name| {
        let is_one = |(field, values): &(&&str, &Vec<&Bson>)| {
            let dates = values.iter().filter(|value| matches!(value, Bson::DateTime(_))).count();
            plain(field).contains(name) && !except.contains(*field) && is_most(dates, values.len(), 50)
        };
        fields.iter().find(is_one).map(|(field, _)| (*field).to_owned())
    })
}

/// Where in the elements of an array a participant's id stands (nothing: they are ids), and how well it fits.
fn people(values: &[&Bson], documents: usize, is_likely: bool) -> Option<(Option<String>, usize)> {
    let arrays: Vec<&Vec<Bson>> = values.iter().filter_map(|value| value.as_array()).collect();
    let several = arrays.iter().filter(|array| (2..=256).contains(&array.len())).count();
    if !is_most(arrays.len(), documents, 50) || !is_most(several, arrays.len(), 40) {
        return None;
    }
    let elements: Vec<&Bson> = arrays.iter().flat_map(|array| array.iter()).collect();
    let fit = several * 20 / arrays.len();
    let ids = elements.iter().filter(|element| id_text(element).is_some()).count();
    if is_most(ids, elements.len(), 80) {
        return Some((None, fit + 10));
    }
    let inner: Vec<&Document> = elements.iter().filter_map(|element| element.as_document()).collect();
    // Anything may have an `_id`: messages, for one.
    let paths = if is_likely { &ID_PATHS[..] } else { &ID_PATHS[..ID_PATHS.len() - 2] };
    let path = paths.iter().find(|path| {
        let ids = inner.iter().filter(|inner| at(inner, path).and_then(id_text).is_some()).count();
        is_most(ids, elements.len(), 80)
    })?;
    Some((Some((*path).to_owned()), fit))
}

/// 100 is enough: called like people in any collection, or anything in a collection that is called like chats.
fn score(collection: &str, field: &str, configured: &str) -> usize {
    let (collection_name, field) = (plain(collection), plain(field));
    let as_people = PEOPLE.iter().position(|name| *name == field).map_or(0, |at| 120 - 5 * at);
    let as_chats = if CHATS.iter().any(|name| collection_name.contains(name)) { 80 } else { 0 };
    let told = if collection == configured { 60 } else { 0 };
    as_people + as_chats + told
}

fn sorted(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.sort_unstable();
    bytes
}
