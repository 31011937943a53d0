//! Two people in a field each, and collections that hold no chats at all.

use std::collections::{BTreeSet, HashMap};

use mongodb::bson::{Bson, Document};

use super::{
    chats::CHATS,
    kinds::are_messages,
    sample::{Sample, is_most, person_text, plain},
};

/// What the fields of two people are called, in the order of the likelier first.
const PAIRS: [(&str, &str); 24] = [
    ("sender", "receiver"),
    // As it is often spelled.
    ("sender", "reciever"),
    ("sender", "recipient"),
    ("sender", "to"),
    ("from", "to"),
    ("buyer", "seller"),
    ("client", "freelancer"),
    ("client", "provider"),
    ("customer", "vendor"),
    ("customer", "agent"),
    ("customer", "driver"),
    ("customer", "provider"),
    ("host", "guest"),
    ("owner", "renter"),
    ("owner", "partner"),
    ("landlord", "tenant"),
    ("user", "partner"),
    ("user", "friend"),
    ("user", "matched"),
    ("doctor", "patient"),
    ("mentor", "mentee"),
    ("teacher", "student"),
    ("employer", "candidate"),
    ("initiator", "recipient"),
];

/// The two fields with the people of a document, if there are two.
pub(super) fn of(sample: &Sample) -> Option<(String, String)> {
    let fields = sample.fields();
    let mut people: Vec<(&str, BTreeSet<String>)> = Vec::new();
    for (field, values) in fields {
        let ids: BTreeSet<String> = values.iter().filter_map(|value| id(value)).collect();
        let name = plain(field);
        let is_other = field == "_id"
            || field == "__v"
            || [
                "last", "latest", "creat", "updat", "delet", "block", "text", "messag", "content", "count",
                "unread",
            ]
            .iter()
            .any(|part| name.contains(part));
        let filled = values.iter().filter(|value| id(value).is_some()).count();
        if !is_other && is_most(filled, sample.documents.len(), 80) {
            people.push((field, ids));
        }
    }
    let mut found: Vec<(usize, &str, &str)> = Vec::new();
    for (at, (one, ids)) in people.iter().enumerate() {
        for (other, others) in &people[at + 1..] {
            let shared = ids.intersection(others).count();
            let is_alike = is_most(shared, ids.len().min(others.len()), 20);
            let score = called_pair(one, other);
            let score = if is_alike { score + 10 } else { score };
            if are_different(sample, one, other) && (score >= 20 || is_alike && score >= 15) {
                found.push((score, one, other));
            }
        }
    }
    found.sort_by_key(|(score, ..)| std::cmp::Reverse(*score));
    let (_, one, other) = found.first()?;
    // As people say it: who writes to whom, the first and the second.
    let is_turned =
        PAIRS.iter().any(|(first, _)| plain(other).starts_with(first) && !plain(one).starts_with(first));
    let (one, other) = if is_turned { (other, one) } else { (one, other) };
    Some(((*one).to_owned(), (*other).to_owned()))
}

/// 20 for a pair of names that everybody uses, less for one that looks like a pair.
fn called_pair(one: &str, other: &str) -> usize {
    let (one, other) = (plain(one), plain(other));
    let is_listed = PAIRS.iter().any(|(first, second)| {
        (one.starts_with(first) && other.starts_with(second))
            || (other.starts_with(first) && one.starts_with(second))
    });
    let without = |name: &str, ends: &[&str]| {
        let name = name.strip_suffix("id").unwrap_or(name);
        ends.iter().find_map(|end| name.strip_suffix(end).map(str::to_owned))
    };
    let is_counted =
        [(["1", "one", "a", "first"], ["2", "two", "b", "second"])].iter().any(|(firsts, seconds)| {
            let first = without(&one, firsts).or_else(|| without(&other, firsts));
            let second = without(&other, seconds).or_else(|| without(&one, seconds));
            first.is_some() && first == second
        });
    if is_listed || is_counted { 20 } else { 0 }
}

/// Nobody has a chat with themselves, but for a note now and then.
fn are_different(sample: &Sample, one: &str, other: &str) -> bool {
    let same = sample.documents.iter().filter(|document| document.get(one) == document.get(other)).count();
    !is_most(same, sample.documents.len(), 20)
}

fn id(value: &Bson) -> Option<String> {
    match value {
        Bson::String(text) if text.contains(' ') => None,
        other => person_text(other),
    }
}

/// Two documents for each pair, one for each owner.
pub(super) struct Copies {
    /// The field with the text that both share, if there is one.
    pub(super) joint: Option<String>,
}

/// Whether most pairs have a document of each of the two.
pub(super) fn copies(sample: &Sample, one: &str, other: &str) -> Option<Copies> {
    let mut by_pair: HashMap<(String, String), Vec<&Document>> = HashMap::new();
    for document in &sample.documents {
        let (Some(one), Some(other)) = (document.get(one).and_then(id), document.get(other).and_then(id))
        else {
            continue;
        };
        by_pair.entry((one, other)).or_default().push(document);
    }
    let swapped = |(one, other): &(String, String)| by_pair.get(&(other.clone(), one.clone()));
    let with_both = by_pair.keys().filter(|pair| swapped(pair).is_some()).count();
    if !is_most(with_both, by_pair.len(), 70) {
        return None;
    }
    let fields = sample.fields();
    let joint = fields.into_iter().find(|(field, values)| {
        let is_text = values.iter().all(|value| value.as_str().is_some() || value.as_object_id().is_some());
        let shared = by_pair.iter().filter(|(pair, documents)| {
            let theirs: Vec<Option<&Bson>> = documents.iter().map(|document| document.get(*field)).collect();
            swapped(pair).is_some_and(|others| others.iter().any(|other| theirs.contains(&other.get(*field))))
        });
        is_text && *field != one && *field != other && is_most(shared.count(), by_pair.len(), 60)
    });
    // Without it, they may as well be two chats of one pair.
    let is_owned = [one, other].iter().any(|field| plain(field).contains("owner"));
    (joint.is_some() || is_owned).then(|| Copies { joint: joint.map(|(field, _)| field.to_owned()) })
}

/// Whether documents with two people are chats: called so, and no messages.
pub(super) fn are_chats(sample: &Sample) -> bool {
    let name = plain(&sample.collection);
    CHATS.iter().any(|part| name.contains(part)) && !are_messages(&sample.documents)
}
