//! The one decision that every store makes in the same way: who created the chat, and whose it is.

use onechat_core::{
    Chat, ChatId, ChatIdentity, KeyCollision, KeyFormat, Outcome, OutcomeKind, ParticipantsKey, Proposal,
    Roles, Timestamp,
};

use crate::adversarial::{identity, set};

fn proposal(id: &str, identity: impl Into<ChatIdentity>) -> Proposal {
    Proposal {
        identity: identity.into(),
        id: ChatId::new(id).expect("the text is an id"),
        now: Timestamp::from_unix_ms(1_000).expect("the moment is in range"),
        roles: Roles::default(),
    }
}

/// The chat that a proposal leaves in a store that keeps joined keys.
fn stored(id: &str, participants: &[&str]) -> Chat {
    stored_of(id, set(participants))
}

fn stored_of(id: &str, identity: impl Into<ChatIdentity>) -> Chat {
    let proposal = proposal(id, identity);
    let key = ParticipantsKey::new(&proposal.identity, KeyFormat::Joined);
    proposal.to_chat(key)
}

fn settle(stored: &Chat, wrote: bool) -> Result<OutcomeKind, KeyCollision> {
    let Outcome { chat, kind } = proposal("mine", set(&["b", "a"])).settle(stored.clone(), wrote)?;
    assert_eq!(chat, *stored, "the chat is handed out as it is stored");
    Ok(kind)
}

#[test]
fn a_new_chat_carries_what_was_proposed() {
    let chat = stored("mine", &["b", "a"]);
    let now = Timestamp::from_unix_ms(1_000).unwrap();
    assert_eq!(chat.id.as_str(), "mine");
    assert_eq!(chat.identity, set(&["a", "b"]).into());
    assert_eq!(chat.participants_key.as_str(), "a_b");
    assert_eq!((chat.created_at, chat.updated_at, chat.last_message_at), (now, now, None));
}

#[test]
fn the_own_id_means_created() {
    assert_eq!(settle(&stored("mine", &["a", "b"]), true), Ok(OutcomeKind::Created));
}

#[test]
fn the_own_id_means_created_even_if_an_earlier_try_wrote_it() {
    assert_eq!(settle(&stored("mine", &["a", "b"]), false), Ok(OutcomeKind::Created));
}

#[test]
fn another_id_without_a_write_means_existing() {
    assert_eq!(settle(&stored("theirs", &["a", "b"]), false), Ok(OutcomeKind::Existing));
}

#[test]
fn another_id_after_a_write_means_a_lost_race() {
    assert_eq!(settle(&stored("theirs", &["a", "b"]), true), Ok(OutcomeKind::LostRace));
}

#[test]
fn a_strangers_chat_is_a_collision_whatever_its_id() {
    let participants = ["a_b"];
    for id in ["mine", "theirs"] {
        for wrote in [true, false] {
            let stored = stored(id, &participants);
            assert_eq!(stored.participants_key.as_str(), "a_b");
            let collision = KeyCollision { key: stored.participants_key.clone(), holder: stored.id.clone() };
            assert_eq!(settle(&stored, wrote), Err(collision), "{id}, wrote: {wrote}");
        }
    }
}

#[test]
fn a_chat_of_more_or_fewer_people_is_a_strangers() {
    for participants in [&["a"] as &[&str], &["a", "b", "c"], &["A", "b"]] {
        assert!(
            stored("theirs", participants).checked_for(&set(&["a", "b"]).into()).is_err(),
            "{participants:?}"
        );
    }
}

#[test]
fn a_chat_of_another_context_is_a_strangers() {
    let pair = ["a", "b"];
    let [none, one, other] = [None, Some("x"), Some("y")].map(|context| identity(context, &pair));
    for (held, wanted) in [(&none, &one), (&one, &none), (&one, &other)] {
        let chat = stored_of("theirs", held.clone());
        assert!(chat.clone().checked_for(wanted).is_err(), "{held:?} for {wanted:?}");
        assert_eq!(chat.clone().checked_for(held), Ok(chat));
    }
    // The key is the same: only the comparison tells them apart.
    let imitation = stored_of("theirs", identity(None, &["%in:x", "a", "b"]));
    let wanted = proposal("mine", one);
    assert_eq!(ParticipantsKey::new(&wanted.identity, KeyFormat::Joined), imitation.participants_key);
    assert!(wanted.settle(imitation, true).is_err());
}
