//! Accounts.

use bson::RawBson;
use onechat_migrate::{Account, Tally};

fn ids(range: std::ops::Range<i32>) -> Vec<RawBson> {
    range.map(RawBson::Int32).collect()
}

fn account(before: Tally, removed: Tally, after: Tally) -> Account {
    Account { collection: "messages".to_owned(), before, removed, after }
}

#[test]
fn a_tally_does_not_depend_on_the_order_nor_on_the_parts() {
    let (mut backwards, mut parts) = (ids(0..10), Tally::of(&ids(0..4)));
    backwards.reverse();
    parts.merge(Tally::of(&ids(4..10)));
    assert_eq!(Tally::of(&backwards), Tally::of(&ids(0..10)));
    assert_eq!(parts, Tally::of(&ids(0..10)));
    assert_ne!(Tally::of(&ids(0..10)), Tally::of(&ids(1..11)));
}

#[test]
fn it_holds_if_only_what_the_journal_names_is_gone() {
    let (before, removed) = (Tally::of(&ids(0..10)), Tally::of(&ids(0..2)));
    let holds = account(before, removed, Tally::of(&ids(2..10)));
    assert!(holds.holds());
    assert!(holds.to_string().ends_with("holds"), "{holds}");
    assert!(account(before, removed, Tally::of(&ids(2..11))).holds());
}

#[test]
fn it_does_not_hold_if_one_is_lost_or_was_exchanged() {
    let (before, removed) = (Tally::of(&ids(0..10)), Tally::of(&ids(0..2)));
    let lost = account(before, removed, Tally::of(&ids(3..10)));
    assert!(!lost.holds() && lost.to_string().ends_with("1 are missing"), "{lost}");
    let exchanged = account(before, removed, Tally::of(&ids(3..11)));
    assert!(!exchanged.holds() && exchanged.to_string().ends_with("not the same ones"), "{exchanged}");
    assert!(!account(removed, before, Tally::default()).holds());
}
