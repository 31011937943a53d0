//! What every constructor takes, and the first thing on either side that it refuses.

use onechat_core::{
    ChatId, ClientMessageId, Context, ContextError, IdError, MessageError, MessageId, MessageText, PageSize,
    PageSizeError, Participant, ParticipantError, ParticipantSet, SetError,
};

const CONTROLS: [char; 6] = ['\0', '\n', '\u{1f}', '\u{7f}', '\u{80}', '\u{9f}'];

#[test]
fn a_participant_has_1_to_256_bytes() {
    assert_eq!(Participant::new(""), Err(ParticipantError::Empty));
    assert!(Participant::new("a").is_ok());
    assert!(Participant::new("a".repeat(256)).is_ok());
    assert_eq!(Participant::new("a".repeat(257)), Err(ParticipantError::TooLong { bytes: 257 }));
    assert!(Participant::new("\u{1f600}".repeat(64)).is_ok());
    assert_eq!(Participant::new("\u{1f600}".repeat(65)), Err(ParticipantError::TooLong { bytes: 260 }));
}

#[test]
fn a_participant_has_no_control_characters() {
    for character in CONTROLS {
        let error = Participant::new(format!("a{character}b"));
        assert_eq!(error, Err(ParticipantError::ControlCharacter { character }));
    }
    for other in [' ', '\u{a0}', '\u{ad}', '\u{200b}', '\u{2028}', '\u{feff}', '\u{ffff}'] {
        assert!(Participant::new(other.to_string()).is_ok(), "U+{:04X}", other as u32);
    }
    let error = Participant::new("\u{7f}").unwrap_err();
    assert_eq!(error.to_string(), "a participant must not contain control characters, this one has U+007F");
}

#[test]
fn a_participant_is_taken_as_it_is() {
    for text in [" a ", "Ann", "\u{e9}", "e\u{301}", "a%5Fb"] {
        assert_eq!(Participant::new(text).unwrap().as_str(), text);
    }
    assert_ne!(Participant::new("\u{e9}"), Participant::new("e\u{301}"));
}

#[test]
fn a_context_follows_the_rules_of_a_participant() {
    assert_eq!(Context::new(""), Err(ContextError::Empty));
    for text in ["a".to_owned(), "a".repeat(256), " listing:42_% ".to_owned(), "%in:".to_owned()] {
        assert_eq!(Context::new(text.as_str()).unwrap().as_str(), text);
    }
    assert_eq!(Context::new("a".repeat(257)), Err(ContextError::TooLong { bytes: 257 }));
    for character in CONTROLS {
        let error = Context::new(format!("a{character}b"));
        assert_eq!(error, Err(ContextError::ControlCharacter { character }));
    }
    let error = Context::new("\u{7f}").unwrap_err();
    assert_eq!(error.to_string(), "a context must not contain control characters, this one has U+007F");
}

#[test]
fn a_set_has_1_to_256_different_members() {
    let numbers = |count: u16| ParticipantSet::parse((0..count).map(|n| n.to_string()));
    assert_eq!(numbers(0), Err(SetError::Empty));
    assert_eq!(numbers(1).unwrap().members().len(), 1);
    assert_eq!(numbers(256).unwrap().members().len(), 256);
    assert_eq!(numbers(257), Err(SetError::TooMany { members: 257 }));

    let repeats = ParticipantSet::parse((0..1_000_u16).map(|n| (n % 256).to_string()));
    assert_eq!(repeats, numbers(256), "repeats do not count");
    assert_eq!(
        ParticipantSet::parse(["a", ""]),
        Err(SetError::Participant(ParticipantError::Empty)),
        "one that is no participant spoils the set",
    );
}

#[test]
fn an_id_has_1_to_128_bytes_and_no_control_characters() {
    for text in
        ["a".to_owned(), "a".repeat(128), "\u{1f600}".repeat(32), "507f1f77bcf86cd799439011".to_owned()]
    {
        assert_eq!(ChatId::new(text.as_str()).unwrap().as_str(), text);
        assert_eq!(MessageId::new(text.as_str()).unwrap().as_str(), text);
        assert_eq!(ClientMessageId::new(text.as_str()).unwrap().as_str(), text);
    }
    let controls = CONTROLS.map(|control| format!("a{control}b"));
    for text in controls.into_iter().chain([String::new(), "a".repeat(129), "\u{1f600}".repeat(33)]) {
        assert_eq!(ChatId::new(text.as_str()), Err(IdError), "{text:?}");
        assert_eq!(MessageId::new(text.as_str()), Err(IdError), "{text:?}");
        assert_eq!(ClientMessageId::new(text.as_str()), Err(MessageError::ClientMessageId), "{text:?}");
    }
}

#[test]
fn a_message_has_1_to_16384_bytes_of_any_text() {
    assert_eq!(MessageText::new(""), Err(MessageError::EmptyText));
    assert_eq!(MessageText::new("two\nlines\t\u{0}").unwrap().as_str(), "two\nlines\t\u{0}");
    assert!(MessageText::new("a".repeat(16_384)).is_ok());
    assert_eq!(MessageText::new("a".repeat(16_385)), Err(MessageError::TextTooLong { bytes: 16_385 }));
    assert_eq!(MessageText::new("\u{e9}".repeat(8_193)), Err(MessageError::TextTooLong { bytes: 16_386 }));
}

#[test]
fn a_page_has_1_to_100_items() {
    assert_eq!(PageSize::new(0), Err(PageSizeError));
    assert_eq!(PageSize::new(1).unwrap().get(), 1);
    assert_eq!(PageSize::new(100).unwrap().get(), 100);
    assert_eq!(PageSize::new(101), Err(PageSizeError));
    assert_eq!(PageSize::new(u16::MAX), Err(PageSizeError));
    assert_eq!(PageSize::default().get(), 50);
}
