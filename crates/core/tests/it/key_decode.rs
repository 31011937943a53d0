//! Reading an identity back from its key, which proves that the key has lost nothing; and refusing what is no key.

use onechat_core::{ContextError, DecodeError, KeyFormat, ParticipantError, ParticipantsKey, SetError};
use proptest::prelude::*;

use crate::adversarial::{context, given, identity};

fn decode(text: &str) -> Result<Vec<String>, DecodeError> {
    let identity = ParticipantsKey::from_stored(text).decode_escaped()?;
    Ok(identity.participants.members().iter().map(ToString::to_string).collect())
}

proptest! {
    #[test]
    fn a_key_that_is_not_hashed_reads_back(context in context(), texts in given()) {
        let identity = identity(context.as_deref(), &texts);
        let key = ParticipantsKey::new(&identity, KeyFormat::Escaped);
        if key.as_str().starts_with("%sha256:") {
            prop_assert_eq!(key.decode_escaped(), Err(DecodeError::Hashed));
        } else {
            prop_assert_eq!(key.decode_escaped(), Ok(identity));
        }
    }

    #[test]
    fn any_text_is_refused_or_is_exactly_the_key_of_what_it_reads_as(
        text in prop_oneof![any::<String>(), "[ab_%25F]{0,12}", "%in:[ab_%25F]{0,12}"]
    ) {
        let key = ParticipantsKey::from_stored(text);
        if let Ok(identity) = key.decode_escaped() {
            prop_assert_eq!(ParticipantsKey::new(&identity, KeyFormat::Escaped), key);
        }
    }
}

#[test]
fn reads_the_escapes() {
    assert_eq!(decode("a%5Fb_c%25"), Ok(vec!["a_b".to_owned(), "c%".to_owned()]));
    assert_eq!(decode("%255F"), Ok(vec!["%5F".to_owned()]));
}

#[test]
fn reads_the_context() {
    for (text, context, names) in [
        ("%in:x_a_b", Some("x"), &["a", "b"] as &[&str]),
        ("%in:listing:42_a", Some("listing:42"), &["a"]),
        ("%in:x%5Fa_b", Some("x_a"), &["b"]),
        ("%in:%25in:x_a", Some("%in:x"), &["a"]),
        ("%25in:x_a", None, &["%in:x", "a"]),
        ("a_in:x", None, &["a", "in:x"]),
    ] {
        let read = ParticipantsKey::from_stored(text).decode_escaped();
        assert_eq!(read, Ok(identity(context, names)), "{text}");
    }
}

#[test]
fn refuses_what_is_no_context() {
    assert_eq!(decode("%in:_a"), Err(DecodeError::Context(ContextError::Empty)));
    assert_eq!(decode("%in:"), Err(DecodeError::Context(ContextError::Empty)));
    let control = ContextError::ControlCharacter { character: '\n' };
    assert_eq!(decode("%in:\n_a"), Err(DecodeError::Context(control)));
    let long = format!("%in:{}_a", "c".repeat(257));
    assert_eq!(decode(&long), Err(DecodeError::Context(ContextError::TooLong { bytes: 257 })));
    for text in ["%in:x", "%in:x_"] {
        let empty = DecodeError::Set(SetError::Participant(ParticipantError::Empty));
        assert_eq!(decode(text), Err(empty), "{text}");
    }
    for text in ["%in:%41_a", "%IN:x_a", "a_%in:x", "%in:%in:x_a"] {
        assert_eq!(decode(text), Err(DecodeError::Escape), "{text}");
    }
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
