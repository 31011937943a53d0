//! Changes taken back.

use bson::{Document, doc, raw::cstr};
use onechat_migrate::{Undone, undo_document};

use crate::support::{at, raw, read};

fn undone(before: &Document, after: &Document, now: &Document) -> (Document, Undone) {
    let undone = undo_document(&raw(before), &raw(after), &raw(now));
    (read(&undone.document), undone)
}

#[test]
fn what_nobody_has_written_since_is_as_it_was_byte_for_byte() {
    let before = doc! { "_id": 1, "b": [1, 2], "a": { "x": 1 } };
    let after = doc! { "_id": 1, "a": { "x": 2 }, "b": [1], "new": true };
    let undone = undo_document(&raw(&before), &raw(&after), &raw(&after));
    assert_eq!(undone, Undone { document: raw(&before), kept: vec![], conflicts: vec![] });
}

#[test]
fn what_was_written_since_beside_the_change_is_kept_behind() {
    let before = doc! { "_id": 1, "title": "a", "count": 1 };
    let after = doc! { "_id": 1, "count": 3, "title": "a", "extra": true };
    let now = doc! { "_id": 1, "since": at(1), "count": 3, "title": "b", "extra": true };
    let (document, undone) = undone(&before, &after, &now);
    assert_eq!(raw(&document), raw(&doc! { "_id": 1, "title": "b", "count": 1, "since": at(1) }));
    assert_eq!(undone.kept, ["title", "since"]);
    assert!(undone.conflicts.is_empty());
}

#[test]
fn what_both_have_written_stays_and_is_listed_down_to_the_sub_field() {
    let before = doc! { "_id": 1, "unread": { "alice": 1, "bob": 0 }, "gone": 1 };
    let after = doc! { "_id": 1, "unread": { "alice": 3, "bob": 2 }, "gone": 2 };
    let now = doc! { "_id": 1, "unread": { "alice": 4, "bob": 2 } };
    let (document, undone) = undone(&before, &after, &now);
    assert_eq!(document, doc! { "_id": 1, "unread": { "alice": 4, "bob": 0 } });
    assert_eq!(
        undone.conflicts,
        [
            ("unread.alice".to_owned(), Some(1.into()), Some(4.into())),
            ("gone".to_owned(), Some(1.into()), None)
        ]
    );
}

#[test]
fn elements_that_came_since_stand_behind_the_restored_ones() {
    let before = doc! { "messages": ["a", "c"], "pins": ["x"] };
    let after = doc! { "messages": ["a", "b", "c"], "other": ["b"], "pins": ["y"] };
    let now = doc! { "messages": ["a", "b", "c", "d"], "other": ["b", "e"], "pins": ["y", "x"] };
    let (document, undone) = undone(&before, &after, &now);
    assert_eq!(document, doc! { "messages": ["a", "c", "d"], "pins": ["x"], "other": ["e"] });
    assert_eq!(undone.kept, ["messages", "pins", "other"]);
    assert!(undone.conflicts.is_empty());
}

#[test]
fn an_array_that_lost_elements_since_stays_and_is_listed() {
    let (before, after) = (doc! { "messages": ["a"] }, doc! { "messages": ["a", "b"] });
    let now = doc! { "messages": ["b", "c"] };
    let (document, undone) = undone(&before, &after, &now);
    assert_eq!(document, now);
    assert_eq!(undone.conflicts.len(), 1);
}

#[test]
fn what_somebody_has_restored_already_is_no_conflict() {
    let before = doc! { "title": "a", "count": 1 };
    let (document, undone) =
        undone(&before, &doc! { "title": "b", "count": 2 }, &doc! { "title": "a", "count": 2 });
    assert_eq!(document, before);
    assert!(undone.conflicts.is_empty());
}

#[test]
fn a_document_with_a_field_that_is_there_twice_comes_back_to_the_byte() {
    let mut before = raw(&doc! { "a": 1 });
    before.append(cstr!("a"), 2);
    let after = raw(&doc! { "a": 3 });
    assert_eq!(undo_document(&before, &after, &after).document, before);
}
