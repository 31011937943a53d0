//! What is suggested for ids of chats that are no ObjectIds, and for messages that name their chat in another form.

use bson::{Bson, Document, doc};

use super::place::{Place, at, id, who};

/// Eight chats, of two pairs two each; what they are called, and how their messages name them.
async fn suggested(own: impl Fn(u8) -> Bson, named: impl Fn(u8) -> Bson) -> (Place, String) {
    let pairs = [(1, 2), (2, 1), (3, 4), (4, 3), (1, 3), (2, 4), (5, 6), (1, 6)];
    let chats = (1..).zip(pairs).map(|(number, (one, other))| {
        doc! { "_id": own(number), "members": [who(one), who(other)], "createdAt": at(number.into()) }
    });
    let messages = (1..=8_u8).map(|number| {
        let sender = who(pairs[usize::from(number) - 1].0);
        doc! {
            "_id": id(100 + number), "chatId": named(number), "sender": sender, "text": format!("word {number}"),
            "createdAt": at(i64::from(number) * 10), "likes": i32::from(number),
        }
    });
    let collections: Vec<(&str, Vec<Document>)> =
        vec![("chats", chats.collect()), ("messages", messages.collect())];
    let place = Place::new(collections).await;
    let (toml, questions) = place.suggest();
    assert!(questions.is_empty(), "{toml}");
    assert!(toml.contains("\nchat = \"chatId\"\n"), "{toml}");
    assert!(!toml.contains("migrate.references"), "{toml}");
    (place, toml)
}

fn text(number: u8) -> Bson {
    format!("dm_{number}").into()
}

#[tokio::test]
async fn ids_that_are_no_object_ids_are_suggested_as_most_are_written() {
    type Form = fn(u8) -> Bson;
    let cases: [(&str, Form); 5] = [
        ("string", text),
        ("string", |number| if number == 1 { id(number).into() } else { text(number) }),
        ("uuid_string", |number| bson::Uuid::from_bytes([number; 16]).to_string().into()),
        ("uuid", |number| bson::Uuid::from_bytes([number; 16]).into()),
        ("number", |number| Bson::Int32(number.into())),
    ];
    for (form, own) in cases {
        let (place, toml) = suggested(own, own).await;
        assert!(toml.contains(&format!("\nchat_id = \"{form}\"\n")), "{form}: {toml}");
        assert!(!toml.contains("chat_form"), "{form}: {toml}");
        place.migrate(&toml);
        let left = place.ids("chats").await;
        assert!(left.len() == 6 && !left.contains(&own(2)) && !left.contains(&own(4)), "{form}: {left:?}");
        let named: Vec<Bson> =
            place.all("messages").await.into_iter().map(|message| message["chatId"].clone()).collect();
        assert_eq!(named[..4], [own(1), own(1), own(3), own(3)], "{form}");
    }
}

#[tokio::test]
async fn the_form_in_which_most_messages_name_their_chat_is_suggested_where_it_is_not_the_chats_own() {
    let own = |number: u8| Bson::from(id(number));
    let (place, toml) = suggested(own, |number| id(number).to_hex().into()).await;
    assert!(toml.contains("\nchat_form = \"string\"\n") && !toml.contains("chat_id"), "{toml}");
    place.migrate(&toml);
    let first = place.all("messages").await.remove(1);
    assert_eq!(first["chatId"], id(1).to_hex().into());

    let mixed = |number: u8| if number < 3 { Bson::from(id(number).to_hex()) } else { id(number).into() };
    let (_, toml) = suggested(own, mixed).await;
    assert!(toml.contains("\nchat_form = \"object_id\"\n"), "{toml}");
    assert!(toml.contains("6 object_id, 2 string"), "{toml}");

    let number = |number: u8| Bson::Int32(number.into());
    let (_, toml) = suggested(number, |number| Bson::Int64(number.into())).await;
    assert!(!toml.contains("chat_form"), "the server calls them equal: {toml}");
    let (_, toml) = suggested(number, |number| number.to_string().into()).await;
    assert!(toml.contains("\nchat_form = \"string\"\n"), "{toml}");
}
