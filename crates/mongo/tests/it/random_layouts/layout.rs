//! A random layout: where people, contexts and messages are, and in which form.

#![expect(clippy::unwrap_used, reason = "a step that fails is a failed test")]

use std::collections::BTreeSet;

use mongodb::bson::{Bson, DateTime, Document, doc, oid::ObjectId};
use onechat_core::{ChatId, ChatIdentity, Context, ParticipantSet};
use onechat_migrate::{EmbeddedArray, FieldNames, FieldRule, MergeRules, MessageFieldsOfRows, Reference};
use onechat_mongo::{ChatFields, Mapping, MessagePlace, MongoOptions, Order, ValueForm};
use proptest::prelude::*;

use crate::support::Place;

/// How many people there are.
pub(super) const PEOPLE: usize = 4;
/// Names whose plain joins coincide.
const NAMES: [&str; PEOPLE] = ["a", "a_b", "b", "%5F"];
const UUIDS: [&str; PEOPLE] = [
    "793bfb39-a2ef-483a-8e04-33b7df284d43",
    "9092a4d9-4e4f-46d7-88e3-69b041747c23",
    "c1e3efac-f3f5-4a17-9ba8-b6150ada35d1",
    "dbcf34d8-96a8-4ab3-989d-51ec6c90847f",
];

/// Where the people of a chat are.
#[derive(Debug, Clone, Copy, PartialEq)]
enum People {
    Array,
    SubDocuments,
    TwoFields,
}

#[derive(Debug, Clone)]
pub(super) struct Layout {
    people: People,
    form: ValueForm,
    /// Whether some are written as text though others are not.
    is_mixed: bool,
    context: Option<ValueForm>,
    has_outside: bool,
    place: u8,
}

/// A chat as the layout's backend has it, twice if it comes twice.
#[derive(Debug, Clone)]
pub(super) struct OldChat {
    pub(super) one: usize,
    pub(super) other: usize,
    context: Option<usize>,
    is_outside: bool,
    messages: u8,
}

impl OldChat {
    /// What was said in it, if it has this number.
    pub(super) fn said(&self, number: usize) -> Vec<String> {
        (0..self.messages).map(|message| format!("{number}.{message}")).collect()
    }
}

pub(super) fn layouts() -> impl Strategy<Value = Layout> {
    let people = prop::sample::select(vec![People::Array, People::SubDocuments, People::TwoFields]);
    (people, forms(), any::<bool>(), prop::option::of(forms()), any::<bool>(), 0..4_u8).prop_map(
        |(people, form, is_mixed, context, has_outside, place)| Layout {
            people,
            form,
            is_mixed,
            context,
            has_outside,
            place,
        },
    )
}

fn forms() -> impl Strategy<Value = ValueForm> {
    prop::sample::select(vec![ValueForm::Text, ValueForm::ObjectId, ValueForm::Uuid, ValueForm::Int64])
}

pub(super) fn chats() -> impl Strategy<Value = OldChat> {
    // Few pairs, so that many chats are of the same people.
    let pair = prop::sample::select(vec![(0, 1), (1, 0), (0, 2), (1, 3), (2, 1)]);
    (pair, prop::option::of(0..2_usize), prop::bool::weighted(0.2), 0..4_u8).prop_map(
        |((one, other), context, is_outside, messages)| OldChat { one, other, context, is_outside, messages },
    )
}

fn name(form: ValueForm, number: usize) -> String {
    match form {
        ValueForm::Text => NAMES[number].to_owned(),
        ValueForm::Uuid => UUIDS[number].to_owned(),
        ValueForm::Int64 => (number * 1000 + 7).to_string(),
        _ => object_id(200 + number).to_hex(),
    }
}

fn value(form: ValueForm, number: usize) -> Bson {
    let name = name(form, number);
    match form {
        ValueForm::Uuid => {
            let uuid = mongodb::bson::Uuid::parse_str(name).unwrap();
            uuid.into()
        }
        ValueForm::Int64 => name.parse::<i64>().unwrap().into(),
        ValueForm::ObjectId => object_id(200 + number).into(),
        _ => name.into(),
    }
}

/// The `_id` of the chat with this number.
pub(super) fn document_id(number: usize) -> Bson {
    object_id(number).into()
}

pub(super) fn chat_id(number: usize) -> ChatId {
    ChatId::new(object_id(number).to_hex()).unwrap()
}

/// An id that tells no time.
fn object_id(number: usize) -> ObjectId {
    let [high, low] = u16::try_from(number).unwrap().to_be_bytes();
    ObjectId::from_bytes([0x60, 0, 0, 0, 0, 0, 0, 0, 0, 0, high, low])
}

impl Layout {
    pub(super) fn has_inside(&self, chat: &OldChat) -> bool {
        !(self.has_outside && chat.is_outside)
    }

    pub(super) fn context_of(&self, chat: &OldChat) -> Option<usize> {
        chat.context.filter(|_| self.context.is_some())
    }

    /// Every context that there may be, and none.
    pub(super) fn contexts(&self) -> Vec<Option<usize>> {
        if self.context.is_some() { vec![None, Some(0), Some(1)] } else { vec![None] }
    }

    pub(super) fn identity(&self, people: &BTreeSet<usize>, context: Option<usize>) -> ChatIdentity {
        let names = people.iter().map(|one| name(self.form, *one));
        let context = self.context.zip(context).map(|(form, number)| name(form, number));
        ChatIdentity {
            participants: ParticipantSet::parse(names).unwrap(),
            context: context.map(|context| Context::new(context).unwrap()),
        }
    }

    fn message_place(&self) -> MessagePlace {
        let field = "said".to_owned();
        match self.place {
            0 => MessagePlace::Rows,
            1 => MessagePlace::Embedded { field },
            2 => MessagePlace::Listed { field, reference: None },
            _ => MessagePlace::Listed { field, reference: Some("messages".to_owned()) },
        }
    }

    fn fields(&self) -> ChatFields {
        ChatFields {
            participants: match self.people {
                People::TwoFields => vec!["first".to_owned(), "second".to_owned()],
                _ => vec!["people".to_owned()],
            },
            context: self.context.map(|_| "about".to_owned()),
            ..ChatFields::default()
        }
    }

    pub(super) fn options(&self) -> MongoOptions {
        let mapping = Mapping {
            fields: self.fields(),
            participant_form: self.form,
            context_form: self.context.unwrap_or_default(),
            participant_path: (self.people == People::SubDocuments).then(|| "user".to_owned()),
            order: (self.people == People::TwoFields).then_some(Order::Sorted),
            only: self.has_outside.then(|| r#"{"isGroup": {"$ne": true}}"#.parse().unwrap()),
            message_place: self.message_place(),
            ..Mapping::default()
        };
        MongoOptions { mapping, ..MongoOptions::default() }
    }

    pub(super) fn rules(&self) -> MergeRules {
        let (fields, options) = (self.fields(), self.options());
        let messages = Reference {
            collection: "messages".to_owned(),
            field: "chatId".to_owned(),
            time: Some("createdAt".to_owned()),
            sequence: None,
            unique: Vec::new(),
            messages: Some(MessageFieldsOfRows {
                sender: "sender".to_owned(),
                text: "text".to_owned(),
                client_message_id: "clientMessageId".to_owned(),
                created_at: "createdAt".to_owned(),
            }),
            state: None,
        };
        let embedded = EmbeddedArray {
            field: "said".to_owned(),
            id: match self.place {
                1 => Some("_id".to_owned()),
                2 => None,
                _ => Some("$id".to_owned()),
            },
            ids_of: (self.place > 1).then(|| "messages".to_owned()),
            time: Some("createdAt".to_owned()),
            sender: None,
        };
        MergeRules {
            names: FieldNames {
                participants: fields.participants,
                participant_path: options.mapping.participant_path,
                context: fields.context,
                ..FieldNames::default()
            },
            references: if self.place == 1 { Vec::new() } else { vec![messages] },
            embedded: if self.place == 0 { Vec::new() } else { vec![embedded] },
            fields: [("title".to_owned(), FieldRule::Survivor)].into(),
            ..MergeRules::default()
        }
    }

    /// Writes the chats as the layout's backend would have.
    pub(super) async fn fill(&self, place: &Place, chats: &[OldChat]) {
        let (mut documents, mut rows) = (Vec::new(), Vec::new());
        for (number, chat) in chats.iter().enumerate() {
            let mut document = doc! { "_id": object_id(number), "title": format!("chat {number}") };
            self.put_people(&mut document, chat, number);
            if let Some((form, context)) = self.context.zip(chat.context) {
                document.insert("about", value(form, context));
            }
            if self.has_outside && chat.is_outside {
                document.insert("isGroup", true);
            }
            document.insert(
                "createdAt",
                DateTime::from_millis(1_700_000_000_000 + i64::try_from(number).unwrap()),
            );
            let said: Vec<Document> = chat
                .said(number)
                .into_iter()
                .enumerate()
                .map(|(at, text)| self.message(number, at, &text))
                .collect();
            let ids = said.iter().map(|message| message["_id"].clone());
            match self.place {
                0 => {}
                1 => drop(document.insert("said", said.clone())),
                2 => drop(document.insert("said", ids.collect::<Vec<_>>())),
                _ => {
                    let pointers: Vec<Bson> =
                        ids.map(|id| doc! { "$ref": "messages", "$id": id }.into()).collect();
                    document.insert("said", pointers);
                }
            }
            if self.place != 1 {
                rows.extend(said);
            }
            documents.push(document);
        }
        place.chats().insert_many(documents).await.unwrap();
        if !rows.is_empty() {
            place.database.collection("messages").insert_many(rows).await.unwrap();
        }
    }

    fn put_people(&self, document: &mut Document, chat: &OldChat, number: usize) {
        let people = [chat.one, chat.other].map(|one| {
            // Another program may have written an id as text.
            let is_text = self.is_mixed && (one + number).is_multiple_of(3) && self.form != ValueForm::Int64;
            if is_text { name(self.form, one).into() } else { value(self.form, one) }
        });
        match self.people {
            People::Array => drop(document.insert("people", people.to_vec())),
            People::SubDocuments => {
                let people = people.map(|user| Bson::from(doc! { "user": user }));
                document.insert("people", people.to_vec());
            }
            People::TwoFields => {
                let [first, second] = people;
                document.extend([("first".to_owned(), first), ("second".to_owned(), second)]);
            }
        }
    }

    fn message(&self, chat: usize, at: usize, text: &str) -> Document {
        let time = DateTime::from_millis(1_700_000_100_000 + i64::try_from(at * 1000 + chat).unwrap());
        let mut message = doc! { "_id": object_id(1000 + chat * 10 + at), "sender": value(self.form, 0), "text": text, "createdAt": time };
        if self.place == 0 {
            message.insert("chatId", object_id(chat));
        }
        message
    }
}
