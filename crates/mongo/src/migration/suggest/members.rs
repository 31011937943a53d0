//! Where in the sub-documents of participants their ids stand.

use std::collections::{BTreeMap, BTreeSet};

use mongodb::bson::{Bson, Document};

use super::sample::{at, is_most, person_text, plain};

/// What an id of a participant is called, the likeliest first, each part plain. Mongoose puts an `_id` of its own into each
/// sub-document, so that comes last.
const ID_PATHS: [&str; 19] = [
    "$id",
    "userid",
    "participantid",
    "memberid",
    "accountid",
    "profileid",
    "personid",
    "uid",
    "user.id",
    "user.userid",
    "participant.id",
    "member.id",
    "account.id",
    "user",
    "participant",
    "member",
    "account",
    "person",
    "id",
];

/// How deep an id may stand.
const DEPTH: usize = 3;

/// The path to the id of a participant, in arrays of their sub-documents. Only of arrays that are likely to be participants may
/// it be called an id and nothing else: anything may have one, messages too.
pub(super) fn member_path(arrays: &[&Vec<Bson>], is_likely: bool) -> Option<String> {
    let elements: usize = arrays.iter().map(|array| array.len()).sum();
    let mut paths = BTreeSet::new();
    for element in arrays.iter().flat_map(|array| array.iter()).filter_map(Bson::as_document) {
        each_path(element, "", &mut paths);
    }
    let known = paths.iter().filter_map(|path| {
        let seen = Seen::of(arrays, path);
        let rank = rank(path, &seen)?;
        let is_own = is_id(path) && !seen.recurs;
        let is_one =
            is_most(seen.ids, elements, 80) && seen.tells_apart && !is_own && (is_likely || !is_id(path));
        is_one.then_some((rank, path))
    });
    known.min().map(|(_, path)| path.clone())
}

/// What the values at a path are.
struct Seen {
    /// How many are ids.
    ids: usize,
    /// Whether some people are in several chats. What is different in each element is the element's own id.
    recurs: bool,
    /// Whether two participants of a chat have hardly ever the same.
    tells_apart: bool,
    /// Whether they are ObjectIds or UUIDs, which are ids whatever they are called.
    are_opaque: bool,
}

impl Seen {
    fn of(arrays: &[&Vec<Bson>], path: &str) -> Self {
        let mut chats_of: BTreeMap<String, usize> = BTreeMap::new();
        let (mut ids, mut opaque, mut apart) = (0, 0, 0);
        for array in arrays {
            let values = array.iter().filter_map(|element| at(element.as_document()?, path));
            let (mut here, mut all) = (BTreeSet::new(), 0);
            for value in values {
                let Some(id) = person_text(value) else { continue };
                opaque += usize::from(matches!(value, Bson::ObjectId(_) | Bson::Binary(_)));
                all += 1;
                here.insert(id);
            }
            ids += all;
            apart += usize::from(here.len() == all);
            for id in here {
                *chats_of.entry(id).or_default() += 1;
            }
        }
        Self {
            ids,
            recurs: chats_of.values().any(|chats| *chats > 1),
            tells_apart: is_most(apart, arrays.len(), 80),
            are_opaque: is_most(opaque, ids, 80),
        }
    }
}

/// The likelier, the less. A name that says nothing is none of an id, unless the values say so.
fn rank(path: &str, seen: &Seen) -> Option<usize> {
    let plain: Vec<String> =
        path.split('.').map(|part| if part == "$id" { part.to_owned() } else { plain(part) }).collect();
    let known = ID_PATHS.iter().position(|name| *name == plain.join("."));
    let is_called_id = ["_id", "id"].contains(&path.rsplit('.').next().unwrap_or(path));
    let unknown = || (seen.are_opaque || is_called_id).then_some(ID_PATHS.len());
    if path == "_id" { Some(ID_PATHS.len() + 1) } else { known.or_else(unknown) }
}

/// Whether it is called an id and nothing else.
fn is_id(path: &str) -> bool {
    plain(path) == "id" && path != "$id"
}

/// Every path to a value that is no array.
fn each_path(document: &Document, before: &str, paths: &mut BTreeSet<String>) {
    for (name, value) in document {
        let path = format!("{before}{name}");
        match value {
            Bson::Document(inner) if path.matches('.').count() + 1 < DEPTH => {
                each_path(inner, &format!("{path}."), paths);
            }
            Bson::Array(_) | Bson::Document(_) => {}
            _ => drop(paths.insert(path)),
        }
    }
}
