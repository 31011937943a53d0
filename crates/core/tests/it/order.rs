//! The order of participants is that of UTF-16 code units, JavaScript's, and not that of UTF-8 bytes, Rust's own.

use onechat_core::Participant;
use proptest::prelude::*;

use crate::adversarial::{participant, set};

proptest! {
    #[test]
    fn participants_compare_as_their_utf16_code_units_do(one in participant(), other in participant()) {
        let units = |text: &str| text.encode_utf16().collect::<Vec<_>>();
        let ordering = Participant::new(one.as_str()).unwrap().cmp(&Participant::new(other.as_str()).unwrap());
        prop_assert_eq!(ordering, units(&one).cmp(&units(&other)));
    }
}

#[test]
fn an_astral_character_comes_before_the_last_ones_of_the_basic_plane() {
    let texts = ["\u{ffff}", "\u{fffd}", "\u{e000}", "\u{10ffff}", "\u{1f600}", "\u{d7ff}", "z"];
    let members = set(&texts).members().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(members, ["z", "\u{d7ff}", "\u{1f600}", "\u{10ffff}", "\u{e000}", "\u{fffd}", "\u{ffff}"]);

    let mut by_bytes = texts;
    by_bytes.sort_unstable();
    assert_ne!(members, by_bytes, "the texts do not show the difference");
}

#[test]
fn numbers_are_ordered_as_texts_and_a_prefix_comes_first() {
    let members =
        set(&["9", "10", "1", "a", "A", "a_"]).members().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(members, ["1", "10", "9", "A", "a", "a_"]);
}
