//! Which collection has the chats, and what is what in them.

use mongodb::bson::{Bson, Document, spec::BinarySubtype};
use onechat_core::{KeyFormat, ParticipantSet, ParticipantsKey};

use super::{
    members::member_path,
    sample::{Sample, at, id_form, id_text, is_most, is_time, person_text, plain, time_form},
};
use crate::codec::uuid;

/// What participants are called, the likeliest first.
const PEOPLE: [&str; 8] =
    ["participants", "members", "users", "participantids", "memberids", "userids", "people", "peers"];
/// What is in what participants are called.
const PEOPLE_PARTS: [&str; 6] = ["particip", "member", "user", "people", "person", "peer"];
/// What collections of chats are called.
pub(super) const CHATS: [&str; 7] = ["chat", "conversation", "dialog", "thread", "room", "channel", "inbox"];
/// Where the participants of a chat stand.
#[derive(Debug, Clone)]
pub(super) enum People {
    /// In an array; as sub-documents with a path, or as they are.
    Array { field: String, path: Option<String> },
    /// In a field each.
    Fields(Vec<String>),
}

/// How chats are laid out.
#[derive(Debug)]
pub(super) struct Chats {
    pub(super) collection: String,
    pub(super) people: People,
    /// How many participants have which form, as the configuration calls it; the commonest first.
    pub(super) forms: Vec<(&'static str, usize)>,
    /// The collection that references of the driver lead to, if participants are such.
    pub(super) reference: Option<String>,
    /// How many chats have an `_id` of which form, as the configuration calls it; the commonest first.
    pub(super) id_forms: Vec<(&'static str, usize)>,
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

impl Key {
    /// Whether most of the stored keys follow one of the formats that onechat writes.
    pub(super) fn is_known(&self) -> bool {
        is_most(self.escaped.max(self.joined), self.stored, 50)
    }
}

#[derive(Debug)]
pub(super) struct PublicId {
    pub(super) field: String,
    pub(super) is_uuid: bool,
}

impl Chats {
    /// The likeliest collections, the best first; the configured one if it can be it.
    pub(super) fn among(samples: &[Sample], configured: &str) -> Vec<Self> {
        let mut found: Vec<(usize, Self)> = Vec::new();
        for sample in samples {
            for (field, values) in sample.fields() {
                if is_no_membership(field) {
                    continue;
                }
                let score = score(&sample.collection, field, configured);
                let Some((path, fit)) = people(&values, sample.documents.len(), score >= 85) else {
                    continue;
                };
                let score = score + fit;
                if score >= 100 {
                    let people = People::Array { field: field.to_owned(), path };
                    found.push((score, Self::of(sample, people)));
                }
            }
        }
        found.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
        found.into_iter().map(|(_, chats)| chats).collect()
    }

    pub(super) fn of(sample: &Sample, people: People) -> Self {
        let mut chats = Self {
            collection: sample.collection.clone(),
            people,
            forms: Vec::new(),
            reference: None,
            id_forms: Vec::new(),
            key: None,
            public_id: None,
            created_at: raisable(sample, &["creat", "insert", "started"]),
            updated_at: raisable(sample, &["updat", "modif", "chang"]),
            last_message_at: raisable(sample, &["lastmessage", "lastmsg", "lastactiv", "activ", "latest"]),
        };
        let members = sample.documents.iter().flat_map(|document| chats.members(document));
        chats.forms = counted(members.map(form_of));
        chats.id_forms =
            counted(sample.documents.iter().filter_map(|chat| chat.get("_id")).map(chat_id_form));
        chats.reference = chats.find_reference(sample);
        chats.key = chats.find_key(sample);
        chats.public_id = chats.find_public_id(sample);
        chats
    }

    /// The field with the array of participants, if there is one.
    pub(super) fn field(&self) -> &str {
        match &self.people {
            People::Array { field, .. } => field,
            People::Fields(_) => "",
        }
    }

    /// All fields with participants.
    pub(super) fn people_fields(&self) -> Vec<&str> {
        match &self.people {
            People::Array { field, .. } => vec![field],
            People::Fields(fields) => fields.iter().map(String::as_str).collect(),
        }
    }

    /// Where the participants are, in words.
    pub(super) fn whose(&self) -> String {
        match &self.people {
            People::Array { field, path: Some(path) } => format!("{field}.{path}"),
            People::Array { field, path: None } => field.clone(),
            People::Fields(fields) => format!("{}, a field each", fields.join(" and ")),
        }
    }

    /// Where in a participant's sub-document its id stands.
    pub(super) fn path(&self) -> Option<&str> {
        match &self.people {
            People::Array { path, .. } => path.as_deref(),
            People::Fields(_) => None,
        }
    }

    fn members<'a>(&self, document: &'a Document) -> Vec<&'a Bson> {
        let (field, path) = match &self.people {
            People::Fields(fields) => return fields.iter().filter_map(|field| document.get(field)).collect(),
            People::Array { field, path } => (field, path),
        };
        let members = document.get_array(field).map(Vec::as_slice).unwrap_or_default();
        let id = |member: &'a Bson| match path {
            Some(path) => at(member.as_document()?, path),
            None => Some(member),
        };
        members.iter().filter_map(id).collect()
    }

    /// Whose chat it is, as texts, in the order in which they are stored.
    pub(super) fn people(&self, document: &Document) -> Vec<String> {
        self.members(document).into_iter().filter_map(person_text).collect()
    }

    /// How many different people a chat has.
    pub(super) fn size(&self, document: &Document) -> usize {
        let mut people = self.people(document);
        people.sort();
        people.dedup();
        people.len()
    }

    /// The collection that references lead to.
    fn find_reference(&self, sample: &Sample) -> Option<String> {
        let People::Array { field, path: Some(path) } = &self.people else { return None };
        let inside = path.strip_suffix("$id")?;
        let reference = format!("{inside}$ref");
        let members = sample.documents.iter().filter_map(|document| document.get_array(field).ok()).flatten();
        let mut names = members.filter_map(|member| at(member.as_document()?, &reference)?.as_str());
        names.next().map(str::to_owned)
    }

    /// The field whose values are most often the key of the participants, in whatever order those were joined.
    fn find_key(&self, sample: &Sample) -> Option<Key> {
        let mut best: Option<(usize, Key)> = None;
        for (field, values) in sample.fields() {
            if self.people_fields().contains(&field) || !values.iter().any(|value| value.as_str().is_some()) {
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

/// A field with times whose name has one of these in it, the likeliest name first; dates before numbers and texts.
pub(super) fn timed(sample: &Sample, names: &[&str]) -> Option<String> {
    let is_date = |value: &Bson| matches!(value, Bson::DateTime(_));
    of_most(sample, names, &is_date).or_else(|| of_most(sample, names, &is_time))
}

/// The same for a time that servers raise, which they cannot if it is a timestamp.
fn raisable(sample: &Sample, names: &[&str]) -> Option<String> {
    timed(sample, names).filter(|field| {
        let values = sample.fields().remove(field.as_str()).unwrap_or_default();
        time_form(&values) != Some("timestamp")
    })
}

/// A field of which most values are so.
fn of_most(sample: &Sample, names: &[&str], is: &dyn Fn(&Bson) -> bool) -> Option<String> {
    let fields = sample.fields();
    names.iter().find_map(|name| {
        let is_one = |(field, values): &(&&str, &Vec<&Bson>)| {
            let some = values.iter().filter(|value| is(value)).count();
            plain(field).contains(name) && is_most(some, values.len(), 50)
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
    let twos = arrays.iter().filter(|array| array.len() == 2).count();
    let fit = several * 20 / arrays.len() + if is_most(twos, arrays.len(), 50) { 5 } else { 0 };
    let ids = elements.iter().filter(|element| person_text(element).is_some()).count();
    if is_most(ids, elements.len(), 80) {
        return Some((None, fit + 10));
    }
    Some((Some(member_path(&arrays, is_likely)?), fit))
}

/// How often each is there, the commonest first.
pub(super) fn counted<T: Ord>(all: impl Iterator<Item = T>) -> Vec<(T, usize)> {
    let mut counts = std::collections::BTreeMap::<T, usize>::new();
    all.for_each(|one| *counts.entry(one).or_default() += 1);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

/// How the `_id` of a chat is written, as the configuration calls it.
fn chat_id_form(value: &Bson) -> &'static str {
    match value {
        Bson::String(text) if uuid(text).is_some() => "uuid_string",
        Bson::Binary(binary) if binary.subtype == BinarySubtype::UuidOld => LEGACY_UUID,
        value => match id_form(value) {
            Some("int32" | "int64" | "double") => "number",
            form => form.unwrap_or("of another type"),
        },
    }
}

/// What does not tell its order of bytes.
pub(super) const LEGACY_UUID: &str = "uuid_legacy";

/// How a participant is written, as the configuration calls it.
pub(super) fn form_of(value: &Bson) -> &'static str {
    match value {
        Bson::ObjectId(_) => "object_id",
        Bson::Binary(_) => "uuid",
        Bson::Int32(_) => "int32",
        Bson::Int64(_) => "int64",
        _ => "string",
    }
}

/// Who has read, liked or hidden something are people too, and never those whose chat it is.
fn is_no_membership(field: &str) -> bool {
    const OTHERS: [&str; 25] = [
        "read", "seen", "deliver", "receiv", "view", "like", "react", "mention", "delet", "hid", "archiv",
        "mute", "block", "pin", "star", "favor", "typing", "messag", "msg", "file", "attach", "media", "tag",
        "admin", "unread",
    ];
    let name = plain(field);
    OTHERS.iter().any(|part| name.contains(part))
}

/// 100 is enough: called like people in any collection, or anything in a collection that is called like chats.
fn score(collection: &str, field: &str, configured: &str) -> usize {
    let (collection_name, field) = (plain(collection), plain(field));
    let is_like = PEOPLE_PARTS.iter().any(|part| field.contains(part));
    let as_people = PEOPLE.iter().position(|name| *name == field).map(|at| 120 - 5 * at);
    let as_people = as_people.unwrap_or(if is_like { 75 } else { 0 });
    let as_chats = if CHATS.iter().any(|name| collection_name.contains(name)) { 80 } else { 0 };
    let told = if collection == configured { 60 } else { 0 };
    as_people + as_chats + told
}

fn sorted(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.sort_unstable();
    bytes
}
