//! The laws of the key: whatever order and repeats a set is given in, one key; whatever two identities, two keys.

use onechat_core::{ChatIdentity, KeyFormat, Participant, ParticipantsKey};
use proptest::prelude::*;

use crate::adversarial::{
    context, given, identity, participant, set, two_cuts_of_one_text, two_readings_of_one_text,
};

fn escaped(identity: impl Into<ChatIdentity>) -> ParticipantsKey {
    ParticipantsKey::new(&identity.into(), KeyFormat::Escaped)
}

fn joined(identity: impl Into<ChatIdentity>) -> ParticipantsKey {
    ParticipantsKey::new(&identity.into(), KeyFormat::Joined)
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
    fn two_identities_share_an_escaped_key_only_if_they_are_one(
        (one, other) in (context(), context(), two_cuts_of_one_text()).prop_map(|(one, other, cuts)| {
            (identity(one.as_deref(), &cuts.0), identity(other.as_deref(), &cuts.1))
        })
    ) {
        prop_assert_eq!(escaped(one.clone()) == escaped(other.clone()), one == other);
    }

    #[test]
    fn no_set_imitates_a_context([one, other] in two_readings_of_one_text()) {
        prop_assert_ne!(escaped(one), escaped(other));
    }

    #[test]
    fn of_two_that_share_a_joined_key_one_is_known_to_be_ambiguous(
        [one, other] in prop_oneof![
            two_readings_of_one_text(),
            (context(), two_cuts_of_one_text()).prop_map(|(context, cuts)| {
                [identity(context.as_deref(), &cuts.0), identity(context.as_deref(), &cuts.1)]
            }),
        ]
    ) {
        if one != other && joined(one.clone()) == joined(other.clone()) {
            let ambiguous = [&one, &other].map(|identity| KeyFormat::Joined.may_be_ambiguous(identity));
            prop_assert!(ambiguous.contains(&true));
            let ambiguous = [&one, &other].map(|identity| KeyFormat::Escaped.may_be_ambiguous(identity));
            prop_assert_eq!(ambiguous, [false, false]);
        }
    }

    #[test]
    fn a_context_goes_before_the_key_of_the_set(context in participant(), texts in given()) {
        let (with, without) = (identity(Some(&context), &texts), identity(None, &texts));
        prop_assert_eq!(
            joined(with.clone()).to_string(),
            format!("%in:{context}_{}", joined(without.clone()))
        );
        let context = context.replace('%', "%25").replace('_', "%5F");
        let set = escaped(without);
        let is_hashed = set.as_str().starts_with("%sha256:");
        let long = format!("%in:{context}_{set}");
        if !is_hashed && long.len() <= ParticipantsKey::MAX_ESCAPED_BYTES {
            prop_assert_eq!(escaped(with).to_string(), long);
        } else {
            prop_assert!(escaped(with).as_str().starts_with("%sha256:"));
        }
    }

    #[test]
    fn an_escaped_key_fits_an_index(texts in given()) {
        prop_assert!(escaped(set(&texts)).as_str().len() <= ParticipantsKey::MAX_ESCAPED_BYTES);
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
fn the_length_that_counts_is_that_of_the_whole_key_with_its_context() {
    let pair = [format!("_{}", "a".repeat(120)), "b".repeat(128)];
    // %in: + context + _ + %5F + 120 + _ + 128
    let longest = identity(Some(&"c".repeat(255)), &pair);
    assert_eq!(escaped(longest.clone()).as_str().len(), 512);
    assert_eq!(
        escaped(longest).as_str(),
        format!("%in:{}_%5F{}_{}", "c".repeat(255), "a".repeat(120), "b".repeat(128))
    );

    let longer = identity(Some(&"c".repeat(256)), &pair);
    assert_eq!(
        escaped(longer.clone()).as_str(),
        "%sha256:cc9ffd60fc6a9d3b451d2e710e3cbf4edc0f97804120fd1e0f4f6847b30221cd"
    );
    assert_eq!(joined(longer).as_str().len(), 511, "joined keys are never hashed");
    // A context whose set alone is hashed: the hash is that of both together.
    let crowd = ["a".repeat(256), "b".repeat(256)];
    let keys = [None, Some("c"), Some("d")].map(|context| escaped(identity(context, &crowd)));
    assert!(keys.iter().all(|key| key.as_str().starts_with("%sha256:")), "{keys:?}");
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2], "{keys:?}");
}

#[test]
fn joined_cannot_tell_a_context_from_a_participant_and_escaped_can() {
    let identities = [
        identity(Some("x"), &["a", "b"]),
        identity(Some("x_a"), &["b"]),
        identity(None, &["%in:x", "a", "b"]),
        identity(None, &["%in:x_a_b"]),
    ];
    assert!(identities.iter().all(|identity| joined(identity.clone()).as_str() == "%in:x_a_b"));
    let ambiguous = identities.each_ref().map(|identity| KeyFormat::Joined.may_be_ambiguous(identity));
    assert_eq!(ambiguous, [false, true, true, true]);

    let keys = identities.map(|identity| escaped(identity).to_string());
    assert_eq!(keys, ["%in:x_a_b", "%in:x%5Fa_b", "%25in:x_a_b", "%25in:x%5Fa%5Fb"]);
}

#[test]
fn no_participant_imitates_a_hash() {
    let hashed = escaped(set(&["a".repeat(256), "b".repeat(256)]));
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
