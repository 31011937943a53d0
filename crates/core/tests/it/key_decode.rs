//! Reading a set back from its key, which proves that the key has lost nothing; and refusing what is no key.

use onechat_core::{DecodeError, KeyFormat, ParticipantError, ParticipantsKey, SetError};
use proptest::prelude::*;

use crate::adversarial::{given, set};

fn decode(text: &str) -> Result<Vec<String>, DecodeError> {
    let set = ParticipantsKey::from_stored(text).decode_escaped()?;
    Ok(set.members().iter().map(ToString::to_string).collect())
}

proptest! {
    #[test]
    fn a_key_that_is_not_hashed_reads_back(texts in given()) {
        let set = set(&texts);
        let key = ParticipantsKey::new(&set, KeyFormat::Escaped);
        if key.as_str().starts_with("%sha256:") {
            prop_assert_eq!(key.decode_escaped(), Err(DecodeError::Hashed));
        } else {
            prop_assert_eq!(key.decode_escaped(), Ok(set));
        }
    }

    #[test]
    fn any_text_is_refused_or_is_exactly_the_key_of_what_it_reads_as(
        text in prop_oneof![any::<String>(), "[ab_%25F]{0,12}"]
    ) {
        let key = ParticipantsKey::from_stored(text);
        if let Ok(set) = key.decode_escaped() {
            prop_assert_eq!(ParticipantsKey::new(&set, KeyFormat::Escaped), key);
        }
    }
}

#[test]
fn reads_the_escapes() {
    assert_eq!(decode("a%5Fb_c%25"), Ok(vec!["a_b".to_owned(), "c%".to_owned()]));
    assert_eq!(decode("%255F"), Ok(vec!["%5F".to_owned()]));
}

#[test]
fn refuses_what_is_no_escape() {
    for text in ["%", "a%", "%5", "%5f", "%41", "a_b%2"] {
        assert_eq!(decode(text), Err(DecodeError::Escape), "{text}");
    }
}

#[test]
fn refuses_another_order_repeats_and_a_long_form_that_is_not_hashed() {
    let long = format!("{}_{}", "a".repeat(256), "b".repeat(256));
    for text in ["b_a", "a_a", "\u{fffd}_\u{1f600}", &long] {
        assert_eq!(decode(text), Err(DecodeError::NotCanonical), "{text}");
    }
}

#[test]
fn refuses_what_is_no_set() {
    let empty = DecodeError::Set(SetError::Participant(ParticipantError::Empty));
    for text in ["", "_", "a_", "_a", "a__b"] {
        assert_eq!(decode(text), Err(empty.clone()), "{text}");
    }
    let control = SetError::Participant(ParticipantError::ControlCharacter { character: '\n' });
    assert_eq!(decode("a\n"), Err(DecodeError::Set(control)));
}
