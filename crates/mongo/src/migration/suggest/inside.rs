//! What is kept in the chats themselves: messages, state per participant, counters.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, Document};

use super::{
    chats::{Chats, People},
    kinds::{is_pointer, is_said, rule_of, text_field},
    rows::Messages,
    sample::{Sample, at, is_most, is_time, person_of, person_text, plain},
};

/// An array of sub-documents.
#[derive(Debug)]
pub(super) struct Embedded {
    pub(super) field: String,
    pub(super) id: Option<String>,
    pub(super) time: Option<String>,
    pub(super) sender: Option<String>,
    /// The sub-documents as messages, if they are some.
    pub(super) messages: Option<Messages>,
}

/// State per participant.
#[derive(Debug)]
pub(super) struct State {
    pub(super) field: String,
    /// Where an element names the participant, if it is an array.
    pub(super) participant: Option<String>,
    pub(super) rules: BTreeMap<String, &'static str>,
}

/// What the chats have inside.
#[derive(Debug, Default)]
pub(super) struct Inside {
    pub(super) embedded: Vec<Embedded>,
    pub(super) state: Vec<State>,
    /// State for which nothing suggests a rule, and whether its values are numbers.
    pub(super) unruled: Vec<(State, bool)>,
    pub(super) fields: BTreeMap<String, &'static str>,
}

impl Inside {
    pub(super) fn of(sample: &Sample, chats: &Chats, taken: &[&str]) -> Self {
        let mut inside = Self::default();
        inside.state.extend(chats.path().and_then(|path| of_participants(sample, chats.field(), path)));
        for (field, values) in sample.fields() {
            if field == "_id" || field == "__v" || taken.contains(&field) {
                continue;
            }
            let state = map(sample, chats, field).or_else(|| array(sample, chats, field));
            if let Some(mut state) = state {
                if is_pointer(field, &values) {
                    state.rules = BTreeMap::from([(String::new(), "newest")]);
                }
                // Without any rule it is a question.
                if state.rules.is_empty() {
                    let inner =
                        values.iter().filter_map(|value| value.as_document()).flat_map(Document::values);
                    let are_numbers = inner
                        .into_iter()
                        .all(|v| matches!(v, Bson::Int32(_) | Bson::Int64(_) | Bson::Double(_)));
                    inside.unruled.push((state, are_numbers));
                } else {
                    inside.state.push(state);
                }
            } else if is_pointer(field, &values) {
                inside.fields.insert(field.to_owned(), "newest");
            } else if let Some(embedded) = embedded(sample, chats, field) {
                inside.embedded.push(embedded);
            } else if let Some(rule) = rule_of(field, &values).filter(|rule| is_telling(field, rule)) {
                // Beside a field for each participant, a count may be of the one or of the other, who may be swapped.
                let is_sided = rule == "sum" && matches!(chats.people, People::Fields(_));
                // A list of people tells who has read, hidden or pinned a chat.
                if is_sided {
                    continue;
                }
                if rule != "union" || !lists_people(sample, chats, field) {
                    inside.fields.insert(field.to_owned(), rule);
                }
            }
        }
        // A TTL index deletes by this field. The rule `all` keeps a lasting chat from taking over an expiry.
        for field in sample.expiring.iter().filter(|field| !taken.contains(&field.as_str())) {
            inside.fields.insert(field.clone(), "all");
        }
        inside
    }
}

/// What is said of participants beside who they are, if they are sub-documents.
fn of_participants(sample: &Sample, field: &str, path: &str) -> Option<State> {
    let elements: Vec<&Bson> = sample
        .documents
        .iter()
        .flat_map(|document| document.get_array(field).map(Vec::as_slice).unwrap_or_default())
        .collect();
    let mut rules = rules(&elements, field, Some(path.split('.').next().unwrap_or(path)));
    rules.retain(|name, _| !name.starts_with('$'));
    (!rules.is_empty()).then(|| State { field: field.to_owned(), participant: Some(path.to_owned()), rules })
}

fn lists_people(sample: &Sample, chats: &Chats, field: &str) -> bool {
    let (mut of_people, mut all) = (0, 0);
    for document in &sample.documents {
        let people = chats.people(document);
        for element in document.get_array(field).map(Vec::as_slice).unwrap_or_default() {
            all += 1;
            of_people += usize::from(person_of(element).is_some_and(|id| people.contains(&id)));
        }
    }
    is_most(of_people, all, 50)
}

/// A number may be anything; only one that is called a count is added up.
fn is_telling(field: &str, rule: &str) -> bool {
    let name = plain(field);
    match rule {
        "max" => {
            ["last", "latest", "newest", "recent", "updat", "activ"].iter().any(|part| name.contains(part))
        }
        "min" => ["first", "creat", "start", "join", "since"].iter().any(|part| name.contains(part)),
        _ => true,
    }
}

/// A sub-document whose fields are called like the participants.
fn map(sample: &Sample, chats: &Chats, field: &str) -> Option<State> {
    let (mut of_people, mut all, mut values) = (0, 0, Vec::new());
    for document in &sample.documents {
        let Ok(inner) = document.get_document(field) else { continue };
        let people = chats.people(document);
        all += inner.len();
        of_people += inner.keys().filter(|key| people.contains(key)).count();
        values.extend(inner.values());
    }
    is_most(of_people, all, 80).then(|| State {
        field: field.to_owned(),
        participant: None,
        rules: rules(&values, field, None),
    })
}

/// An array whose elements name each a participant, and no participant twice.
fn array(sample: &Sample, chats: &Chats, field: &str) -> Option<State> {
    let elements = elements(sample, field);
    // One message each by two people is no state of theirs.
    if elements.is_empty() || elements.iter().any(|(_, element)| is_said(element.keys())) {
        return None;
    }
    let names = elements.iter().flat_map(|(_, element)| element.keys());
    let names: std::collections::BTreeSet<&String> = names.collect();
    let participant = names.into_iter().find(|name| {
        let of_people = elements.iter().filter(|(document, element)| {
            let id = element.get(name.as_str()).and_then(person_of);
            id.is_some_and(|id| chats.people(document).contains(&id))
        });
        is_most(of_people.count(), elements.len(), 80)
    })?;
    let is_once = sample.documents.iter().all(|document| {
        let array = document.get_array(field).map(Vec::as_slice).unwrap_or_default();
        let mut ids: Vec<String> =
            array.iter().filter_map(|e| person_of(at(e.as_document()?, participant)?)).collect();
        let all = ids.len();
        ids.sort();
        ids.dedup();
        ids.len() == all
    });
    let values: Vec<&Bson> = sample
        .documents
        .iter()
        .flat_map(|document| document.get_array(field).map(Vec::as_slice).unwrap_or_default())
        .collect();
    is_once.then(|| State {
        field: field.to_owned(),
        rules: rules(&values, field, Some(participant)),
        participant: Some(participant.clone()),
    })
}

/// Rules for values, or for the fields of sub-documents.
fn rules(values: &[&Bson], field: &str, participant: Option<&str>) -> BTreeMap<String, &'static str> {
    let mut fields: BTreeMap<&str, Vec<&Bson>> = BTreeMap::new();
    for (name, value) in values.iter().filter_map(|value| value.as_document()).flatten() {
        fields.entry(name).or_default().push(value);
    }
    if fields.is_empty() {
        return rule_of_state(field, values).map(|rule| (String::new(), rule)).into_iter().collect();
    }
    fields.retain(|name, _| Some(*name) != participant && *name != "_id");
    fields
        .iter()
        .filter_map(|(name, values)| Some(((*name).to_owned(), rule_of_state(name, values)?)))
        .collect()
}

/// A participant's flag (hidden, archived, muted) is set only if it is in all chats.
fn rule_of_state(field: &str, values: &[&Bson]) -> Option<&'static str> {
    let is_flag = values.iter().all(|value| matches!(value, Bson::Boolean(_) | Bson::Null));
    if is_flag { Some("all") } else { rule_of(field, values) }
}

/// An array of sub-documents with an id or a time.
fn embedded(sample: &Sample, chats: &Chats, field: &str) -> Option<Embedded> {
    let elements = elements(sample, field);
    let mut fields: BTreeMap<&str, Vec<&Bson>> = BTreeMap::new();
    for (name, value) in elements.iter().flat_map(|(_, element)| element.iter()) {
        fields.entry(name).or_default().push(value);
    }
    let is_in_most =
        |name: &&str| fields.get(name).is_some_and(|values| is_most(values.len(), elements.len(), 80));
    // One that is counted within each chat is none.
    let is_unique = |name: &&str| {
        let ids: Vec<String> =
            fields.get(name).into_iter().flatten().filter_map(|id| person_text(id)).collect();
        let different: std::collections::BTreeSet<&String> = ids.iter().collect();
        is_most(different.len(), ids.len(), 99)
    };
    let id = ["_id", "id", "messageId", "uuid"].into_iter().find(|name| is_in_most(name) && is_unique(name));
    let is_time = |(_, values): &(&&str, &Vec<&Bson>)| {
        is_most(values.iter().filter(|value| is_time(value)).count(), elements.len(), 80)
    };
    let times: Vec<&str> = fields.iter().filter(is_time).map(|(name, _)| *name).collect();
    let is_made =
        |name: &&&str| ["creat", "sent", "time", "date"].iter().any(|part| plain(name).contains(part));
    let time = times.iter().find(is_made).or(times.first()).copied();
    let sender = fields.keys().copied().find(|name| {
        let of_people = elements.iter().filter(|(document, element)| {
            let id = element.get(name).and_then(person_of);
            id.is_some_and(|id| chats.people(document).contains(&id))
        });
        is_most(of_people.count(), elements.len(), 60)
    });
    let is_message = sender.is_some() && text_field(&fields, &[]).is_some();
    (id.is_some() || time.is_some()).then(|| Embedded {
        field: field.to_owned(),
        id: id.map(str::to_owned),
        time: time.map(str::to_owned),
        sender: sender.filter(|_| is_message).map(str::to_owned),
        messages: sender.and_then(|sender| {
            let documents = elements.iter().map(|(_, element)| (*element).clone()).collect();
            Messages::of(&sample.with(documents), None, sender)
        }),
    })
}

/// The sub-documents of an array, each with its chat.
fn elements<'a>(sample: &'a Sample, field: &str) -> Vec<(&'a Document, &'a Document)> {
    let of = |document: &'a Document| {
        let array = document.get_array(field).map(Vec::as_slice).unwrap_or_default();
        array.iter().take(50).filter_map(move |element| Some((document, element.as_document()?)))
    };
    sample.documents.iter().flat_map(of).collect()
}
