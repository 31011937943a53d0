//! Injectivity in bulk: tens of thousands of adversarial participants, the same ones in every run.

use std::collections::{HashMap, HashSet};

use onechat_core::{ChatIdentity, KeyFormat, ParticipantsKey};

use crate::adversarial::{
    context, given_or_group, identity, seeded, set, two_cuts_of_one_text, two_readings_of_one_text,
};

const PARTICIPANTS: usize = 60_000;

/// The identities seen, by key. Two different ones under one key end the test.
#[derive(Default)]
struct Keys {
    identity_of: HashMap<ParticipantsKey, ChatIdentity>,
    participants: HashSet<String>,
    members: usize,
    hashed: usize,
}

impl Keys {
    fn add(&mut self, identity: impl Into<ChatIdentity>) {
        let identity = identity.into();
        let key = ParticipantsKey::new(&identity, KeyFormat::Escaped);
        if let Some(other) = self.identity_of.get(&key) {
            assert_eq!(*other, identity, "two identities have the key {key}");
            return;
        }
        if key.as_str().starts_with("%sha256:") {
            self.hashed += 1;
        } else {
            assert_eq!(key.decode_escaped().as_ref(), Ok(&identity), "{key} does not read back");
        }
        let members = identity.participants.members();
        self.members += members.len();
        self.participants.extend(members.iter().map(ToString::to_string));
        self.identity_of.insert(key, identity);
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
        keys.identity_of.values().map(|one| ParticipantsKey::new(one, KeyFormat::Joined)).collect();
    println!(
        "{} sets of {} members, {} different participants; {} hashed keys, {} joined keys",
        keys.identity_of.len(),
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
        let joined = [&one, &other].map(|set| ParticipantsKey::new(&set.into(), KeyFormat::Joined));
        ambiguous += usize::from(one != other && joined[0] == joined[1]);
        keys.add(one);
        keys.add(other);
    }
    assert!(keys.hashed >= 500, "too few hashed keys: {}", keys.hashed);
    assert!(ambiguous >= 200, "too few pairs that a plain join confuses: {ambiguous}");
}

#[test]
fn contexts_that_imitate_sets_and_sets_that_imitate_contexts_have_keys_of_their_own() {
    let mut keys = Keys::default();
    let mut ambiguous = 0;
    for (readings, context) in seeded((two_readings_of_one_text(), context()), 6).take(20_000) {
        let joined = readings.each_ref().map(|one| ParticipantsKey::new(one, KeyFormat::Joined));
        ambiguous += usize::from(joined[0] == joined[1]);
        let [one, other] = readings;
        let members: Vec<String> = other.participants.members().iter().map(ToString::to_string).collect();
        keys.add(identity(context.as_deref(), &members));
        keys.add(one);
        keys.add(other);
    }
    assert!(keys.hashed >= 500, "too few hashed keys: {}", keys.hashed);
    assert!(ambiguous >= 200, "too few pairs that a plain join confuses: {ambiguous}");
}
