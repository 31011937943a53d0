//! Participants made of what breaks keys: separators, escapes, texts that imitate escapes and hashes, characters
//! that UTF-8 and UTF-16 order differently. One description for the property tests and for the seeded bulk runs.

use std::iter;

use onechat_core::{ChatIdentity, Context, Participant, ParticipantSet};
use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    strategy::ValueTree,
    test_runner::{RngAlgorithm, TestRng, TestRunner},
};

const ATOMS: &[&str] = &[
    "_",
    "__",
    "%",
    "%25",
    "%5F",
    "%5f",
    "5F",
    "%sha256:",
    "%in:",
    "in:",
    "a",
    "b",
    "A",
    "0",
    "10",
    "\u{e9}",
    "e\u{301}",
    "\u{d7ff}",
    "\u{e000}",
    "\u{fffd}",
    "\u{ffff}",
    "\u{10000}",
    "\u{1f600}",
    "\u{10ffff}",
    "\u{2028}",
    "\"",
    "\\",
    " ",
];

/// A valid participant.
pub(crate) fn participant() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => vec(atom(), 1..6).prop_map(|atoms| atoms.concat()),
        1 => atom().prop_map(|atom| full_length(&atom)),
    ]
}

/// Participants of one set, in any order, with repeats.
pub(crate) fn given() -> impl Strategy<Value = Vec<String>> {
    vec(participant(), 1..6).prop_flat_map(|texts| vec(select(texts), 1..12))
}

/// Like [`given`], and now and then a group as large as a chat can be.
pub(crate) fn given_or_group() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![100 => given(), 1 => vec(participant(), 200..=ParticipantSet::MAX_MEMBERS)]
}

/// Two lists of participants that a plain join writes alike, unless sorting moves a part: the same pieces, and
/// between two of them either a separator inside one participant or the end of one.
pub(crate) fn two_cuts_of_one_text() -> impl Strategy<Value = (Vec<String>, Vec<String>)> {
    let piece = prop_oneof![4 => atom(), 1 => Just("a".repeat(100))];
    vec((piece, any::<bool>(), any::<bool>()), 2..16).prop_map(|mut pieces| {
        pieces.sort_unstable();
        let cut = |at: fn(&(String, bool, bool)) -> bool| {
            let mut texts = vec![pieces[0].0.clone()];
            for piece in &pieces[1..] {
                let last = texts.last_mut().expect("it starts with one text");
                if at(piece) || last.len() + 1 + piece.0.len() > Participant::MAX_BYTES {
                    texts.push(piece.0.clone());
                } else {
                    last.push('_');
                    last.push_str(&piece.0);
                }
            }
            texts
        };
        (cut(|piece| piece.1), cut(|piece| piece.2))
    })
}

/// A context, or none.
pub(crate) fn context() -> impl Strategy<Value = Option<String>> {
    prop_oneof![1 => Just(None), 3 => participant().prop_map(Some)]
}

/// Two identities that a plain join writes alike, unless sorting moves a part: of one list of pieces, the first is the
/// context of one of them, or a participant that is written like it.
pub(crate) fn two_readings_of_one_text() -> impl Strategy<Value = [ChatIdentity; 2]> {
    let prefix = prop_oneof![4 => Just("%in:"), 1 => Just("in:"), 1 => Just("%25in:"), 1 => Just("")];
    (prefix, participant(), two_cuts_of_one_text()).prop_filter_map(
        "the participant that imitates a context is too long",
        |(prefix, context, (one, other))| {
            let imitation = Participant::new(format!("{prefix}{context}")).ok()?.to_string();
            let imitating = [vec![imitation], other].concat();
            Some([identity(Some(&context), &one), identity(None, &imitating)])
        },
    )
}

/// Values of `strategy` without end, the same ones in every run.
pub(crate) fn seeded<S: Strategy>(strategy: S, seed: u8) -> impl Iterator<Item = S::Value> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(ProptestConfig::default(), rng);
    iter::repeat_with(move || {
        strategy.new_tree(&mut runner).expect("no strategy here rejects for long").current()
    })
}

/// The set of `texts`, which are valid.
pub(crate) fn set(texts: &[impl AsRef<str>]) -> ParticipantSet {
    ParticipantSet::parse(texts.iter().map(AsRef::as_ref)).expect("the texts make a set")
}

/// The identity of `texts` and `context`, which are valid.
pub(crate) fn identity(context: Option<&str>, texts: &[impl AsRef<str>]) -> ChatIdentity {
    let context = context.map(|text| Context::new(text).expect("the text is a context"));
    ChatIdentity { participants: set(texts), context }
}

fn atom() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => select(ATOMS).prop_map(str::to_owned),
        1 => any::<char>().prop_map(|c| if c.is_control() { "x".to_owned() } else { c.to_string() }),
    ]
}

fn full_length(atom: &str) -> String {
    let mut text = atom.repeat(Participant::MAX_BYTES / atom.len());
    text.push_str(&"x".repeat(Participant::MAX_BYTES - text.len()));
    text
}
