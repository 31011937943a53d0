//! Keys that another program makes by a formula of its own (`a:b`, a hash): whether the keys of a collection are such.
//! What decides that is pure; `sample.rs` reads.
//!
//! A program that writes such keys also finds its chats by them. Whoever "corrects" them makes that program create each
//! chat a second time. A single wrong key is another thing: copied from other people, or left from before somebody left.

mod sample;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use mongodb::bson::RawBsonRef;
use onechat_core::{ChatIdentity, Context, DecodeError, KeyFormat, Participant, ParticipantsKey};

pub(crate) use self::sample::{keyed_chats, other_formula};
use crate::migration::survey::packed;

/// So many different keys show a formula at the least.
const FEW: usize = 3;
/// So many different keys, where hardly any is ours, show that they are somebody else's.
const MANY: usize = 10;

/// How keys are made that are not ours.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Formula {
    /// The participants in this order, with these texts before, between and after them.
    Joined(Order, [String; 3]),
    /// Values, each different, in which the participants do not show: hashes, numbers, ids.
    Opaque,
    /// Hardly any key is ours, and nothing more is known.
    Unknown,
}

/// The order in which participants are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Order {
    Sorted,
    Reversed,
    /// As the document has them.
    Stored,
}

/// Whether a chat has its key; nothing if it has none, or if it is of one participant alone, where every formula may make
/// the same.
fn is_right(identity: &ChatIdentity, key: RawBsonRef<'_>, format: KeyFormat) -> Option<bool> {
    let says = !is_no_key(key) && identity.participants.members().len() > 1;
    says.then(|| key.as_str() == Some(ParticipantsKey::new(identity, format).as_str()))
}

/// Whether a value stands for no key.
pub(crate) fn is_no_key(value: RawBsonRef<'_>) -> bool {
    matches!(value, RawBsonRef::Null | RawBsonRef::Undefined | RawBsonRef::String(""))
}

/// Whether a program like ours may have written the key, for whomever: it may be copied from others, or left from before
/// somebody left. Servers correct no other ones.
pub(crate) fn is_of_somebody(key: RawBsonRef<'_>, format: KeyFormat) -> bool {
    let Some(key) = key.as_str() else { return false };
    match format {
        KeyFormat::Escaped => match ParticipantsKey::from_stored(key).decode_escaped() {
            // One person alone: any text without `_` would be that.
            Ok(identity) => identity.participants.members().len() > 1 || identity.context.is_some(),
            Err(error) => error == DecodeError::Hashed,
        },
        KeyFormat::Joined => {
            let parts: Vec<Vec<u16>> = key.split('_').map(|part| part.encode_utf16().collect()).collect();
            parts.len() > 1 && parts.is_sorted_by(|one, other| one < other)
        }
    }
}

/// The keys of a collection, or of a sample of it, by how they are made.
#[derive(Debug)]
pub(crate) struct KeyTally {
    format: KeyFormat,
    keyed: usize,
    right: usize,
    /// The wrong ones, each once: what duplicates have in common is one example.
    wrong: HashSet<Vec<u8>>,
    opaque: HashSet<Vec<u8>>,
    joined: HashMap<Formula, Explained>,
}

/// The keys that a formula explains.
#[derive(Debug, Default)]
struct Explained {
    right: usize,
    wrong: usize,
    /// The wrong ones, each once.
    different: HashSet<Vec<u8>>,
}

impl KeyTally {
    pub(crate) fn new(format: KeyFormat) -> Self {
        let (keyed, right, joined) = (0, 0, HashMap::new());
        Self { format, keyed, right, wrong: HashSet::new(), opaque: HashSet::new(), joined }
    }

    /// How many chats with a key were added.
    pub(crate) fn keyed(&self) -> usize {
        self.keyed
    }

    /// Adds the key of a chat. `members` are its participants as they are stored.
    pub(crate) fn add(&mut self, identity: &ChatIdentity, members: &[String], key: RawBsonRef<'_>) {
        let Some(is_right) = is_right(identity, key, self.format) else { return };
        self.keyed += 1;
        self.right += usize::from(is_right);
        let formulas = formulas(identity, members, key);
        if !is_right {
            self.wrong.insert(packed(key));
            if formulas.is_empty() && !is_of_somebody(key, self.format) {
                self.opaque.insert(packed(key));
            }
        }
        for formula in formulas {
            let explained = self.joined.entry(formula).or_default();
            if is_right {
                explained.right += 1;
            } else {
                explained.wrong += 1;
                explained.different.insert(packed(key));
            }
        }
    }

    /// The formula that more of the chats follow than follow ours, if there is one. Where both make the same key,
    /// that speaks for neither.
    pub(crate) fn other_formula(&self) -> Option<Formula> {
        let is_most = |wrong: usize, right: usize| wrong > right && 3 * wrong > self.keyed;
        let joined = self
            .joined
            .iter()
            .filter(|(_, of)| of.different.len() >= FEW && is_most(of.wrong, self.right - of.right));
        // Participants that are stored in order show the same in two orders.
        if let Some((formula, _)) = joined.max_by_key(|(formula, of)| (of.wrong, formula.is_sorted())) {
            return Some(formula.clone());
        }
        if self.opaque.len() >= FEW && is_most(self.opaque.len(), self.right) {
            return Some(Formula::Opaque);
        }
        (self.wrong.len() >= MANY && 10 * self.right < self.keyed).then_some(Formula::Unknown)
    }
}

impl Formula {
    fn is_sorted(&self) -> bool {
        matches!(self, Self::Joined(Order::Sorted, _))
    }

    /// Whether it is what JavaScript's `participants.sort().join('_')` makes.
    pub(crate) fn is_plain_join(&self) -> bool {
        matches!(self, Self::Joined(Order::Sorted, parts) if *parts == ["", "_", ""])
    }

    /// Whether this key is made so, and not as ours.
    pub(crate) fn makes(
        &self,
        identity: &ChatIdentity,
        members: &[String],
        key: RawBsonRef<'_>,
        format: KeyFormat,
    ) -> bool {
        let is_wrong = is_right(identity, key, format) == Some(false);
        is_wrong
            && match self {
                Self::Joined(..) => formulas(identity, members, key).contains(self),
                Self::Opaque => !is_of_somebody(key, format) && formulas(identity, members, key).is_empty(),
                Self::Unknown => true,
            }
    }
}

/// The formulas that make this key of these people.
fn formulas(identity: &ChatIdentity, members: &[String], key: RawBsonRef<'_>) -> Vec<Formula> {
    let Some(key) = key.as_str() else { return Vec::new() };
    let sorted: Vec<&str> = identity.participants.members().iter().map(Participant::as_str).collect();
    let reversed: Vec<&str> = sorted.iter().rev().copied().collect();
    let stored: Vec<&str> = members.iter().map(String::as_str).collect();
    let context = identity.context.as_ref().map(Context::as_str);
    let orders = [(Order::Sorted, sorted), (Order::Reversed, reversed), (Order::Stored, stored)];
    let made = orders.into_iter().filter_map(|(order, members)| {
        let texts = around(key, &members)?;
        // What a chat is about may be in its key too.
        let named = texts.map(|text| match context {
            Some(context) => text.replace(context, "{context}"),
            None => text.to_owned(),
        });
        Some(Formula::Joined(order, named))
    });
    made.collect()
}

/// What stands before, between and after these people, if the key has them all in this order and nothing else varies.
fn around<'a>(key: &'a str, members: &[&str]) -> Option<[&'a str; 3]> {
    let [first, second, others @ ..] = members else { return None };
    key.match_indices(first).find_map(|(at, _)| {
        let rest = &key[at + first.len()..];
        let between = &rest[..rest.find(second)?];
        let mut rest = &rest[between.len() + second.len()..];
        for member in others {
            rest = rest.strip_prefix(between)?.strip_prefix(member)?;
        }
        Some([&key[..at], between, rest])
    })
}
