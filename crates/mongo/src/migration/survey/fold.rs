//! What an identity looks like to people: two that look alike are different all the same, and never merged.

use caseless::Caseless as _;
use onechat_core::{ChatIdentity, Context, Participant, ParticipantSet};
use unicode_normalization::UnicodeNormalization as _;

/// Control characters are in no participant, so one can stand between two.
const BETWEEN: &str = "\0";

/// Nor are they in contexts.
const ABOUT: &str = "\u{1}";

/// The identity as text, from which it can be read back. No other identity has it.
pub(crate) fn text(identity: &ChatIdentity) -> String {
    let members: Vec<&str> = identity.participants.members().iter().map(Participant::as_str).collect();
    with_context(&members.join(BETWEEN), identity.context.as_ref().map(Context::as_str))
}

/// The identity back from its text.
pub(crate) fn identity(text: &[u8]) -> Option<ChatIdentity> {
    let text = std::str::from_utf8(text).ok()?;
    let (members, context) = text.split_once(ABOUT).map_or((text, None), |(set, about)| (set, Some(about)));
    let participants = ParticipantSet::parse(members.split(BETWEEN)).ok()?;
    Some(ChatIdentity { participants, context: context.map(Context::new).transpose().ok()? })
}

/// The same for all identities that look alike: whose members and contexts differ in nothing but case or Unicode form.
/// By "canonical caseless match", definition D145 of the Unicode standard. Sets of different sizes never look alike.
pub(crate) fn looks(identity: &ChatIdentity) -> String {
    let members = identity.participants.members().iter();
    let mut members: Vec<String> = members.map(|member| folded(member.as_str())).collect();
    members.sort_unstable();
    let context = identity.context.as_ref().map(|context| folded(context.as_str()));
    with_context(&members.join(BETWEEN), context.as_deref())
}

fn with_context(members: &str, context: Option<&str>) -> String {
    context.map_or_else(|| members.to_owned(), |context| [members, context].join(ABOUT))
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

    fn of(members: &[&str]) -> ChatIdentity {
        ParticipantSet::parse(members.iter().copied()).unwrap().into()
    }

    fn about(context: &str) -> ChatIdentity {
        ChatIdentity { context: Some(Context::new(context).unwrap()), ..of(&["a", "b"]) }
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
        assert_eq!(looks(&about("Lamp")), looks(&about("lamp")));
        assert_ne!(looks(&about("lamp")), looks(&of(&["a", "b"])));
        assert_ne!(looks(&about("lamp")), looks(&of(&["a", "b", "lamp"])));
    }

    #[test]
    fn an_identity_is_read_back_from_its_text() {
        for members in [vec!["a"], vec!["a_b", "c", "%"], vec!["\u{1f600}", "\u{fffd}"]] {
            assert_eq!(identity(text(&of(&members)).as_bytes()), Some(of(&members)));
        }
        for context in ["lamp", "%in:x", "a_b"] {
            assert_eq!(identity(text(&about(context)).as_bytes()), Some(about(context)));
        }
        assert_eq!(identity(b""), None);
    }
}
