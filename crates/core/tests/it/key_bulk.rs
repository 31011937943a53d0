//! Injectivity in bulk: tens of thousands of adversarial participants, the same ones in every run.

use std::collections::{HashMap, HashSet};

use onechat_core::{KeyFormat, ParticipantSet, ParticipantsKey};

use crate::adversarial::{given_or_group, seeded, set, two_cuts_of_one_text};

const PARTICIPANTS: usize = 60_000;

/// The sets seen, by key. Two different sets under one key end the test.
#[derive(Default)]
struct Keys {
    set_of: HashMap<ParticipantsKey, ParticipantSet>,
    participants: HashSet<String>,
    members: usize,
    hashed: usize,
}

impl Keys {
    fn add(&mut self, set: ParticipantSet) {
        let key = ParticipantsKey::new(&set, KeyFormat::Escaped);
        if let Some(other) = self.set_of.get(&key) {
            assert_eq!(*other, set, "two sets have the key {key}");
            return;
        }
        if key.as_str().starts_with("%sha256:") {
            self.hashed += 1;
        } else {
            assert_eq!(key.decode_escaped().as_ref(), Ok(&set), "{key} does not read back");
        }
        self.members += set.members().len();
        self.participants.extend(set.members().iter().map(ToString::to_string));
        self.set_of.insert(key, set);
    }
}

#[test]
fn distinct_sets_of_tens_of_thousands_of_participants_have_distinct_keys() {
    let mut keys = Keys::default();
    for texts in seeded(given_or_group(), 1) {
        keys.add(set(&texts));
        if keys.members >= PARTICIPANTS {
            break;
        }
    }

    let joined: HashSet<_> =
        keys.set_of.values().map(|set| ParticipantsKey::new(set, KeyFormat::Joined)).collect();
    println!(
        "{} sets of {} members, {} different participants; {} hashed keys, {} joined keys",
        keys.set_of.len(),
        keys.members,
        keys.participants.len(),
        keys.hashed,
        joined.len(),
    );
    // Sets that do not stress the key would prove nothing about it.
    assert!(keys.participants.len() >= 20_000, "too few different participants");
    assert!(keys.hashed >= 500, "too few hashed keys");
}

#[test]
fn cutting_one_text_in_two_ways_gives_two_keys() {
    let mut keys = Keys::default();
    let mut ambiguous = 0;
    for (one, other) in seeded(two_cuts_of_one_text(), 2).take(20_000) {
        let (one, other) = (set(&one), set(&other));
        let joined = [&one, &other].map(|set| ParticipantsKey::new(set, KeyFormat::Joined));
        ambiguous += usize::from(one != other && joined[0] == joined[1]);
        keys.add(one);
        keys.add(other);
    }
    assert!(keys.hashed >= 500, "too few hashed keys: {}", keys.hashed);
    assert!(ambiguous >= 200, "too few pairs that a plain join confuses: {ambiguous}");
}
