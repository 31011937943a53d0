//! People in neighbourhoods: each knows only some others, so that what a person has (an array of chats) can be written
//! as soon as the neighbourhood is full.

use std::collections::{BTreeMap, HashSet, VecDeque};

use mongodb::bson::{Bson, doc};

use super::{Piece, Place, writing::Writing};
use crate::{ExpectedIds, People, Record, chance::Chance, value::text_of};

const PEOPLE: usize = 24;
const SETS: usize = 60;

/// A neighbourhood.
#[derive(Default)]
pub(super) struct Block {
    people: Vec<String>,
    /// Sets that every neighbourhood has, because something about them is tricky.
    due: VecDeque<Vec<usize>>,
    had: HashSet<Vec<usize>>,
    /// For each person the chats as they are named in the array, and what they are called in the end.
    chats: BTreeMap<String, Vec<(Bson, String)>>,
}

impl Block {
    pub(super) fn new(number: u64, writing: &Writing, chance: &mut Chance) -> Self {
        let people: Vec<String> = (0..PEOPLE)
            .map(|index| match writing.shape.people {
                People::Text => name(number, index),
                People::ObjectIds => {
                    let at_ms = chance.moment_ms();
                    chance.object_id(at_ms).to_hex()
                }
            })
            .collect();
        // Look-alikes with the same friend, by case and by Unicode form; a pair within a group; two that JavaScript
        // and UTF-8 sort differently.
        let due = [&[0, 20][..], &[1, 20], &[2, 21], &[3, 21], &[0, 1, 20], &[6, 7], &[4, 5], &[11, 22, 23]];
        let due = due.map(<[usize]>::to_vec);
        Self { people, due: due.into(), had: HashSet::new(), chats: BTreeMap::new() }
    }

    pub(super) fn is_full(&self) -> bool {
        self.had.len() >= SETS
    }

    /// People who have not been a set before.
    pub(super) fn next_set(&mut self, chance: &mut Chance) -> Vec<String> {
        loop {
            let mut members = self.due.pop_front().unwrap_or_else(|| {
                let size = match chance.below(100) {
                    0 => 1,
                    1..80 => 2,
                    80..96 => 3 + chance.below(6),
                    _ => 9 + chance.below(12),
                };
                let mut members: Vec<usize> = (0..PEOPLE).collect();
                chance.shuffle(&mut members);
                members.truncate(size);
                members
            });
            members.sort_unstable();
            if self.had.insert(members.clone()) {
                return members.into_iter().map(|index| self.people[index].clone()).collect();
            }
        }
    }

    /// Somebody's set, if there has been one: whose key a careless hand may have copied.
    pub(super) fn earlier_set(&self, chance: &mut Chance, than: &[String]) -> Option<Vec<String>> {
        let other = vec![chance.below(PEOPLE), chance.below(PEOPLE)];
        let people: Vec<String> = other.iter().map(|index| self.people[*index].clone()).collect();
        let is_other = other[0] < other[1] && self.had.contains(&other) && people != than;
        is_other.then_some(people)
    }

    pub(super) fn note(&mut self, person: &str, named: Bson, in_the_end: &str) {
        let chats = self.chats.entry(person.to_owned()).or_default();
        chats.push((named, in_the_end.to_owned()));
    }

    /// The people, with their chats.
    pub(super) fn users(self, writing: &Writing) -> Piece {
        let mut piece = Piece::default();
        for (person, chats) in self.chats {
            let id = writing.person(&person);
            let mut values: Vec<String> = chats.iter().map(|(_, in_the_end)| in_the_end.clone()).collect();
            values.sort();
            values.dedup();
            let named: Vec<Bson> = chats.into_iter().map(|(named, _)| named).collect();
            debug_assert!(named.iter().all(|named| text_of(named).is_some()));
            let user = doc! { "_id": id.clone(), "name": format!("{person}!"), "chats": named, "__v": 0 };
            piece.documents.push((Place::Users, user));
            let collection = Place::Users.name().to_owned();
            piece.records.push(Record::Ids(ExpectedIds {
                collection,
                field: "chats".to_owned(),
                id,
                values,
            }));
        }
        piece
    }
}

/// Names of many kinds. None of them has a dot or begins with a dollar: they are fields of a map, too.
fn name(block: u64, index: usize) -> String {
    match index {
        0 => format!("ann-{block}"),
        1 => format!("Ann-{block}"),
        2 => format!("jos\u{e9}-{block}"),
        3 => format!("jose\u{301}-{block}"),
        4 => format!("under_score_{block}"),
        5 => format!("50%-{block}"),
        6 => format!("\u{1F600}{block}"),
        7 => format!("\u{FFFD}{block}"),
        8 => format!("Zo\u{eb} {block}"),
        9 => format!("{block}"),
        10 => format!("_{block}"),
        // Three of them make a key that is too long to be kept as it is.
        11 | 22 | 23 => format!("{}{index}-{block}", "long ".repeat(47)),
        _ => format!("user-{block}-{index}"),
    }
}
