//! What a set looks like to people: two that look alike are different sets all the same, and never merged.

use caseless::Caseless as _;
use onechat_core::ParticipantSet;
use unicode_normalization::UnicodeNormalization as _;

/// Control characters are in no participant, so one can stand between two.
const BETWEEN: &str = "\0";

/// The set as text, from which it can be read back. No other set has it.
pub(crate) fn text(set: &ParticipantSet) -> String {
    let members: Vec<&str> = set.members().iter().map(onechat_core::Participant::as_str).collect();
    members.join(BETWEEN)
}

/// The set back from its text.
pub(crate) fn set(text: &[u8]) -> Option<ParticipantSet> {
    ParticipantSet::parse(std::str::from_utf8(text).ok()?.split(BETWEEN)).ok()
}

/// The same for all sets that look alike: whose members differ in nothing but case or Unicode form. By "canonical
/// caseless match", definition D145 of the Unicode standard. Sets of different sizes never look alike.
pub(crate) fn looks(set: &ParticipantSet) -> String {
    let mut members: Vec<String> = set.members().iter().map(|member| folded(member.as_str())).collect();
    members.sort_unstable();
    members.join(BETWEEN)
}

fn folded(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars().nfd().default_case_fold().nfd().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(members: &[&str]) -> ParticipantSet {
        ParticipantSet::parse(members.iter().copied()).unwrap()
    }

    #[test]
    fn case_and_unicode_form_look_alike_and_nothing_else_does() {
        let alike = [
            (vec!["Ann", "bob"], vec!["BOB", "ann"]),
            (vec!["caf\u{e9}"], vec!["CAFE\u{301}"]),
            (vec!["stra\u{df}e"], vec!["STRASSE"]),
            (vec!["\u{212b}"], vec!["a\u{30a}"]),
        ];
        for (one, other) in alike {
            let (one, other) = (of(&one), of(&other));
            assert_eq!(looks(&one), looks(&other));
            assert_ne!(text(&one), text(&other));
        }
        let different = [
            (vec!["a", "b"], vec!["ab"]),
            (vec!["a_b", "c"], vec!["a", "b_c"]),
            (vec!["ann", "Ann", "bob"], vec!["ann", "bob"]),
            (vec!["cafe"], vec!["caf\u{e9}"]),
        ];
        for (one, other) in different {
            assert_ne!(looks(&of(&one)), looks(&of(&other)));
        }
    }

    #[test]
    fn a_set_is_read_back_from_its_text() {
        for members in [vec!["a"], vec!["a_b", "c", "%"], vec!["\u{1f600}", "\u{fffd}"]] {
            assert_eq!(set(text(&of(&members)).as_bytes()), Some(of(&members)));
        }
        assert_eq!(set(b""), None);
    }
}
