//! The laws of the key: whatever order and repeats a set is given in, one key; whatever two sets, two keys.

use onechat_core::{KeyFormat, Participant, ParticipantSet, ParticipantsKey};
use proptest::prelude::*;

use crate::adversarial::{given, participant, set, two_cuts_of_one_text};

fn escaped(set: &ParticipantSet) -> ParticipantsKey {
    ParticipantsKey::new(set, KeyFormat::Escaped)
}

fn joined(set: &ParticipantSet) -> ParticipantsKey {
    ParticipantsKey::new(set, KeyFormat::Joined)
}

proptest! {
    #[test]
    fn order_and_repeats_do_not_matter((texts, shuffled) in given().prop_flat_map(|texts| {
        let twice = [texts.clone(), texts.clone()].concat();
        (Just(texts), Just(twice).prop_shuffle())
    })) {
        let (one, other) = (set(&texts), set(&shuffled));
        prop_assert_eq!(&one, &other);
        prop_assert_eq!(escaped(&one), escaped(&other));
        prop_assert_eq!(joined(&one), joined(&other));
    }

    #[test]
    fn a_set_has_every_text_that_was_given_and_no_other(texts in given(), stranger in participant()) {
        let set = set(&texts);
        for text in &texts {
            prop_assert!(set.contains(&Participant::new(text.as_str()).unwrap()));
        }
        prop_assert_eq!(set.contains(&Participant::new(stranger.as_str()).unwrap()), texts.contains(&stranger));
        prop_assert!(set.members().is_sorted_by(|a, b| a < b), "sorted, without repeats");
    }

    #[test]
    fn two_sets_share_an_escaped_key_only_if_they_are_one((one, other) in two_cuts_of_one_text()) {
        let (one, other) = (set(&one), set(&other));
        prop_assert_eq!(escaped(&one) == escaped(&other), one == other);
    }

    #[test]
    fn one_more_member_is_another_key(texts in given(), more in participant()) {
        let (before, after) = (set(&texts), set(&[texts.clone(), vec![more]].concat()));
        prop_assert_eq!(escaped(&before) == escaped(&after), before == after);
    }

    #[test]
    fn an_escaped_key_fits_an_index(texts in given()) {
        prop_assert!(escaped(&set(&texts)).as_str().len() <= ParticipantsKey::MAX_ESCAPED_BYTES);
    }

    #[test]
    fn ids_with_neither_separator_nor_percent_need_no_escape(
        texts in given().prop_map(|texts| {
            texts.iter().map(|text| text.replace(['_', '%'], "-")).take(2).collect::<Vec<_>>()
        })
    ) {
        let set = set(&texts);
        if joined(&set).as_str().len() <= ParticipantsKey::MAX_ESCAPED_BYTES {
            prop_assert_eq!(escaped(&set), joined(&set));
        } else {
            prop_assert!(escaped(&set).as_str().starts_with("%sha256:"));
        }
    }
}

#[test]
fn joined_cannot_tell_these_apart_and_escaped_can() {
    let sets = [set(&["a_b", "c"]), set(&["a", "b_c"]), set(&["a", "b", "c"]), set(&["a_b_c"])];
    assert!(sets.iter().all(|set| joined(set).as_str() == "a_b_c"));

    let keys = sets.each_ref().map(|set| escaped(set).to_string());
    assert_eq!(keys, ["a%5Fb_c", "a_b%5Fc", "a_b_c", "a%5Fb%5Fc"]);
}

#[test]
fn the_hash_begins_at_513_bytes() {
    let longest = set(&["a".repeat(255), "b".repeat(256)]);
    assert_eq!(escaped(&longest).as_str().len(), 512);
    assert_eq!(escaped(&longest), joined(&longest));

    let longer = set(&["a".repeat(256), "b".repeat(256)]);
    assert_eq!(
        escaped(&longer).as_str(),
        "%sha256:009ef3d41707c25f5944dc96643d1da2e81c90c21b3a7b1998d1cf07e98b77cb",
    );
    assert_eq!(joined(&longer).as_str().len(), 513, "joined keys stay as JavaScript makes them");
}

#[test]
fn no_participant_imitates_a_hash() {
    let hashed = escaped(&set(&["a".repeat(256), "b".repeat(256)]));
    let imitation = set(&[hashed.as_str()]);
    assert_ne!(escaped(&imitation), hashed);
    assert!(escaped(&imitation).as_str().starts_with("%25sha256:"));
}

#[test]
fn formats_are_known_by_name() {
    for format in [KeyFormat::Escaped, KeyFormat::Joined] {
        assert_eq!(format.to_string().parse(), Ok(format));
    }
    assert_eq!(KeyFormat::default(), KeyFormat::Escaped);
    let error = "Escaped".parse::<KeyFormat>().unwrap_err();
    assert_eq!(error.to_string(), r#""Escaped" is not a key format: use "escaped" or "joined""#);
}
