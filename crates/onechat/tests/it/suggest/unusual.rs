//! Names and forms that nobody has foreseen: what values are decides, where names say nothing.

use bson::{Bson, Document, doc};

use super::{PAIRS, Place, all_but, at, chats, id, users, who};

/// A message in each chat, by the first of its people.
fn messages() -> Vec<Document> {
    let message = |(number, (sender, _)): (u8, (u8, u8))| {
        super::message(number + 100, id(number).into(), sender, i64::from(number) * 10)
    };
    (1..).zip(PAIRS).map(message).collect()
}

/// Nothing is asked, and the two pairs with two chats have one each.
async fn merges_unasked(collections: Vec<(&str, Vec<Document>)>, expected: &[&str]) -> Place {
    let place = Place::new(collections).await;
    let (toml, questions) = place.suggest();
    assert!(questions.is_empty(), "{toml}");
    for line in expected {
        assert!(toml.contains(line), "{line:?} is not in\n{toml}");
    }
    place.migrate(&toml);
    assert_eq!(place.ids("chats").await, all_but(&[2, 4]), "{toml}");
    place
}

#[tokio::test]
async fn the_id_of_a_participant_is_what_recurs_and_not_what_each_sub_document_has_of_its_own() {
    for name in ["Account", "whom", "profile.ref"] {
        let mut all = chats("members", |_| doc! {});
        for (number, chat) in (0_u8..).zip(&mut all) {
            let people = chat.get_array("members").unwrap().clone();
            let inner = |(index, person): (u8, Bson)| {
                let nested = if let Some((outer, inner)) = name.split_once('.') {
                    doc! { outer: { inner: person } }
                } else {
                    doc! { name: person }
                };
                let mut inner = doc! { "_id": id(10 + number * 2 + index), "role": "member" };
                inner.extend(nested);
                Bson::from(inner)
            };
            chat.insert("members", (0_u8..).zip(people).map(inner).collect::<Vec<_>>());
        }
        let path = format!("participant_path = \"{name}\"");
        merges_unasked(vec![("chats", all), ("messages", messages()), ("users", users())], &[&path]).await;
    }
}

#[tokio::test]
async fn a_copy_of_the_newest_message_is_one_whatever_it_is_called() {
    let copy = |number: u8| doc! { "author": who(PAIRS[usize::from(number) - 1].0), "body": format!("word {}", number + 100) };
    let more = |number: u8| doc! { "newest": copy(number), "newestFor": { who(1).to_hex(): copy(number) } };
    let mut rows = messages();
    for row in &mut rows {
        let said = row.remove("text").unwrap();
        row.insert("body", said);
    }
    let place = merges_unasked(
        vec![("chats", chats("members", more)), ("messages", rows), ("users", users())],
        &["newest = \"newest\""],
    )
    .await;
    let survivor = place.all("chats").await.swap_remove(0);
    assert_eq!(survivor.get_document("newest").unwrap(), &copy(2), "{survivor}");
}

#[tokio::test]
async fn who_said_the_newest_message_may_be_a_number() {
    let person = |number: u8| i32::from(number) * 7;
    let all = (1_u8..).zip(PAIRS).map(|(number, (one, other))| {
        doc! {
            "_id": id(number), "members": [person(one), person(other)], "createdAt": at(number.into()),
            "lastSender": person(if number % 2 == 0 { one } else { other }),
        }
    });
    let rows = (1_u8..).zip(PAIRS).map(|(number, (one, other))| {
        doc! {
            "_id": id(100 + number), "chat": id(number), "text": "ok", "createdAt": at(i64::from(number) * 10),
            "sender": person(if number % 2 == 0 { one } else { other }),
        }
    });
    let collections = vec![("chats", all.collect()), ("messages", rows.collect())];
    merges_unasked(collections, &["lastSender = \"newest\"", "participants = \"int32\""]).await;
}

#[tokio::test]
async fn where_chats_hold_their_messages_servers_are_told_so() {
    let more = |number: u8| {
        let sender = who(PAIRS[usize::from(number) - 1].0);
        let said = doc! { "_id": id(100 + number), "from": sender, "body": "ok", "time": at(number.into()) };
        doc! { "messages": [said] }
    };
    merges_unasked(
        vec![("chats", chats("members", more)), ("users", users())],
        &["\nmessages = \"messages\"", "sender = \"from\"", "text = \"body\"", "created_at = \"time\""],
    )
    .await;
}

#[tokio::test]
async fn times_are_written_as_they_are_there() {
    let mut all = chats("members", |_| doc! {});
    for chat in &mut all {
        let created = chat.get_datetime("createdAt").unwrap().timestamp_millis();
        chat.insert("createdAt", created);
    }
    let mut rows = messages();
    for row in &mut rows {
        let created = row.get_datetime("createdAt").unwrap().timestamp_millis() / 1000;
        row.insert("createdAt", created);
    }
    merges_unasked(
        vec![("chats", all), ("messages", rows), ("users", users())],
        &["times = \"milliseconds\"", "times = \"seconds\""],
    )
    .await;
}

#[tokio::test]
async fn a_flag_that_hides_messages_hides_them_from_pages() {
    let mut rows = messages();
    rows[2].insert("isDeleted", true);
    rows[3].insert("isDeleted", false);
    let expected = ["visible_messages = \"{\\\"isDeleted\\\": {\\\"$ne\\\": true}}\""];
    let collections = vec![("chats", chats("members", |_| doc! {})), ("messages", rows), ("users", users())];
    merges_unasked(collections, &expected).await;
}
