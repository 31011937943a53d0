//! Groups and rules in few words.

use bson::{Bson, DateTime, Document, RawDocumentBuf, doc, oid::ObjectId};
use onechat_core::{ChatIdentity, KeyFormat, ParticipantSet, ParticipantsKey};
use onechat_migrate::{
    Activity, Blocked, ChatRow, Group, GroupPlan, MergeRules, MessageFieldsOfRows, Reference, ReferenceRows,
    plan,
};

/// The `_id` of the chat called `number`: made at second `number`.
pub(crate) fn chat_id(number: u32) -> ObjectId {
    let mut bytes = [7; 12];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    ObjectId::from_bytes(bytes)
}

pub(crate) fn at(seconds: i64) -> DateTime {
    DateTime::from_millis(seconds * 1000)
}

pub(crate) fn raw(document: &Document) -> RawDocumentBuf {
    RawDocumentBuf::try_from(document).expect("it can be written")
}

/// A group of alice's and bob's chats, and one empty entry for each reference.
pub(crate) fn group(rules: &MergeRules, chats: &[Document]) -> Group {
    let identity = ChatIdentity::from(ParticipantSet::parse(["alice", "bob"]).expect("they are a set"));
    let chat = |chat| ChatRow { document: raw(chat), activity: Activity::default() };
    Group {
        key: ParticipantsKey::new(&identity, KeyFormat::Escaped),
        identity,
        chats: chats.iter().map(chat).collect(),
        references: vec![ReferenceRows::default(); rules.references.len()],
        listed: Vec::new(),
    }
}

/// The plan of chats without anything elsewhere.
pub(crate) fn planned(rules: &MergeRules, chats: &[Document]) -> GroupPlan {
    plan(rules, &group(rules, chats)).expect("they can be merged")
}

pub(crate) fn blocked(rules: &MergeRules, chats: &[Document]) -> Blocked {
    plan(rules, &group(rules, chats)).expect_err("they cannot be merged")
}

pub(crate) fn read(document: &RawDocumentBuf) -> Document {
    Document::try_from(document).expect("it can be read")
}

/// Chats of which each has one of the values in the field.
pub(crate) fn chats_with(field: &str, values: impl IntoIterator<Item = Bson>) -> Vec<Document> {
    let chat = |(number, value): (u32, Bson)| doc! { "_id": chat_id(number), field: value };
    (0..).zip(values).map(chat).collect()
}

/// What becomes of each row that is edited, by `_id`.
pub(crate) fn edits(plan: &GroupPlan) -> Vec<(Bson, Option<Document>)> {
    plan.edits.iter().map(|edit| (edit.id.clone(), edit.after.as_ref().map(read))).collect()
}

/// The fields of which nothing says what becomes of them, as the configuration names them.
pub(crate) fn unexplained(rules: &MergeRules, chats: &[Document]) -> Vec<String> {
    match blocked(rules, chats) {
        Blocked::Unexplained(differences) => {
            differences.iter().map(|difference| difference.place.to_string()).collect()
        }
        other => panic!("{other}"),
    }
}

/// A message as planning is given it.
pub(crate) fn message(id: ObjectId, chat: u32, sender: &str, text: &str, seconds: i64) -> RawDocumentBuf {
    raw(&doc! {
        "_id": id, "chatId": chat_id(chat), "sender": sender, "text": text, "createdAt": at(seconds),
    })
}

/// The survivor's document afterwards.
pub(crate) fn after(plan: &GroupPlan) -> Document {
    read(plan.survivor_after.as_ref().expect("the survivor is changed"))
}

/// The survivor's document after merging the chats.
pub(crate) fn merged(rules: &MergeRules, chats: &[Document]) -> Document {
    after(&planned(rules, chats))
}

/// The fields that conflict, with what goes.
pub(crate) fn conflicts(plan: &GroupPlan) -> Vec<(&str, Vec<Bson>)> {
    let dropped = |conflict: &onechat_migrate::Conflict| {
        conflict.dropped.iter().map(|(value, _)| value.clone()).collect()
    };
    plan.conflicts.iter().map(|conflict| (conflict.field.as_str(), dropped(conflict))).collect()
}

pub(crate) fn reference(collection: &str, field: &str) -> Reference {
    Reference {
        collection: collection.to_owned(),
        field: field.to_owned(),
        time: None,
        sequence: None,
        unique: Vec::new(),
        messages: None,
        state: None,
    }
}

/// The mapped collection of messages.
pub(crate) fn messages() -> Reference {
    let fields = MessageFieldsOfRows {
        sender: "sender".to_owned(),
        text: "text".to_owned(),
        client_message_id: "clientMessageId".to_owned(),
        created_at: "createdAt".to_owned(),
    };
    Reference { messages: Some(fields), ..reference("messages", "chatId") }
}
