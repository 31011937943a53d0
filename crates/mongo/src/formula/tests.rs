//! Formulas that are found, and wrong keys that are none.

use mongodb::bson::RawBsonRef;
use onechat_core::ParticipantSet;

use super::*;

type Make<'a> = &'a dyn Fn(&[String]) -> String;

/// The formula of these chats, each with its participants as stored, and its key.
fn formula_of(format: KeyFormat, chats: &[(Vec<String>, String)]) -> Option<Formula> {
    let mut tally = KeyTally::new(format);
    for (members, key) in chats {
        let identity = ParticipantSet::parse(members.clone()).unwrap().into();
        tally.add(&identity, members, RawBsonRef::String(key));
    }
    tally.other_formula()
}

/// Forty pairs, every other one stored out of order.
fn pairs(key: impl Fn(&[String]) -> String) -> Vec<(Vec<String>, String)> {
    let pair = |n: usize| {
        let mut members = vec![format!("u{n}"), format!("v{}", n * 7 % 40)];
        if n % 2 == 1 {
            members.reverse();
        }
        members
    };
    (0..40).map(|n| (pair(n), key(&pair(n)))).collect()
}

fn sorted(members: &[String]) -> Vec<String> {
    let mut members = members.to_vec();
    members.sort();
    members
}

#[test]
fn a_formula_is_found_whatever_it_is() {
    let makes: [Make<'_>; 7] = [
        &|people| sorted(people).join(":"),
        &|people| people.join("-"),
        // Right by chance in every other chat.
        &|people| people.join("_"),
        &|people| sorted(people).into_iter().rev().collect::<Vec<_>>().join("_"),
        &|people| format!("[\"{}\"]", sorted(people).join("\",\"")),
        // As if somebody called `chat` had been in each of them.
        &|people| format!("chat_{}", sorted(people).join("_")),
        &|people| {
            format!("{:x}", people.join("").bytes().fold(7_u64, |sum, byte| sum * 31 + u64::from(byte)))
        },
    ];
    for (index, make) in makes.iter().enumerate() {
        let chats = pairs(make);
        for format in [KeyFormat::Escaped, KeyFormat::Joined] {
            assert!(formula_of(format, &chats).is_some(), "{index}: {:?}", chats[1]);
        }
    }
}

#[test]
fn wrong_keys_among_right_ones_are_no_formula() {
    let right = |people: &[String]| sorted(people).join("_");
    let mut chats = pairs(right);
    assert_eq!(formula_of(KeyFormat::Escaped, &chats), None);
    // Copied, left from before somebody left, another order, and nonsense.
    for index in 0..3 {
        chats[index].1 = chats[30 + index].1.clone();
        chats[4 + index].1.push_str("_zoe");
        chats[8 + index].1 = chats[8 + index].0.iter().rev().cloned().collect::<Vec<_>>().join("_");
        chats[12 + index].1 = format!("nonsense {index}");
    }
    assert_eq!(formula_of(KeyFormat::Escaped, &chats), None);
    // All of them wrong, but as ours of others: somebody's mistake, as long as they are few.
    let few: Vec<_> = chats[..3].to_vec();
    assert_eq!(formula_of(KeyFormat::Escaped, &few), None);
}

#[test]
fn keys_of_the_other_format_are_told_as_such_where_the_two_differ() {
    let chats: Vec<_> = (0..20).map(|n| vec![format!("a_{n}"), "b".to_owned()]).collect();
    let chats: Vec<_> = chats.into_iter().map(|people| (people.clone(), people.join("_"))).collect();
    assert!(formula_of(KeyFormat::Escaped, &chats).is_some_and(|formula| formula.is_plain_join()));
    assert_eq!(formula_of(KeyFormat::Joined, &chats), None);
}

#[test]
fn numbers_that_repeat_are_no_hashes() {
    let mut tally = KeyTally::new(KeyFormat::Escaped);
    for n in 0..9 {
        let members = [format!("u{n}"), format!("v{n}")];
        let identity = ParticipantSet::parse(members.clone()).unwrap().into();
        tally.add(&identity, &members, RawBsonRef::Int32(2));
    }
    assert_eq!(tally.other_formula(), None);
}

#[test]
fn only_what_a_program_like_ours_writes_may_be_ours() {
    for (key, format, may) in [
        ("a_b", KeyFormat::Escaped, true),
        ("b_a", KeyFormat::Escaped, false),
        ("a:b", KeyFormat::Escaped, false),
        ("a%5Fb_c", KeyFormat::Escaped, true),
        ("%in:x_a", KeyFormat::Escaped, true),
        ("a_b", KeyFormat::Joined, true),
        ("b_a", KeyFormat::Joined, false),
        ("a:b", KeyFormat::Joined, false),
    ] {
        assert_eq!(is_of_somebody(RawBsonRef::String(key), format), may, "{key}");
    }
    assert!(!is_of_somebody(RawBsonRef::Int32(7), KeyFormat::Escaped));
}
