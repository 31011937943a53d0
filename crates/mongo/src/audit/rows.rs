//! What shows between chats and the rows that name them. Both are brought together here, by the chat's id in whatever
//! form it is stored; the server only sends each collection once.

use std::{collections::BTreeSet, io};

use mongodb::bson::{DateTime, RawBsonRef, RawDocument, doc};
use onechat_core::{
    ChatIdentity, StoreError,
    ports::{FindingKind, Findings},
};
use onechat_migrate::{Reference, number_of, time_of};

use super::{
    MongoAudit, Told,
    chats::{pair, unpair},
    ids::shown,
    suspects::{Behind, Missing, Suspects},
};
use crate::{
    MessagePlace,
    codec::{Codec, field, field_at, root, with_raw},
    migration::survey::{Group, Pass, Spill, id_of, identity, packed, spill_failed, text, unpacked},
};

/// Chats, and what names them. The first byte of a record tells which.
pub(super) struct Join(Spill);

const CHAT: u8 = b'c';
const PUBLIC_ID: u8 = b'p';
const MESSAGE: u8 = b'm';
const REFERENCE: u8 = b'r';

/// Stands for a sender that cannot be read. Nobody has this name.
const UNREADABLE: &str = "";

impl Join {
    pub(super) fn new() -> Self {
        Self(Spill::new())
    }

    fn add(&mut self, codec: &Codec, id: RawBsonRef<'_>, kind: u8, item: &[u8]) -> io::Result<()> {
        self.0.add(&codec.same_name(id), &[&[kind], item].concat())
    }
}

impl MongoAudit {
    /// What a chat has to do with the rows that name it.
    pub(super) fn join_chat(
        &self,
        document: &RawDocument,
        identity: Option<&ChatIdentity>,
        join: &mut Join,
    ) -> io::Result<()> {
        let fields = &self.codec.mapping().fields;
        let active = field(document, &fields.last_message_at).and_then(time_of);
        let identity = identity.map(text).unwrap_or_default();
        let item = Seen::packed(&id_of(document), active, true, &identity);
        join.add(&self.codec, field(document, "_id").unwrap_or(RawBsonRef::Null), CHAT, &item)?;
        match self.codec.id_field() {
            "_id" => Ok(()),
            public => match field(document, public) {
                Some(id) => join.add(&self.codec, id, PUBLIC_ID, &[]),
                None => Ok(()),
            },
        }
    }

    /// Reads all messages. Before the chats: then each one's chat is seen too, even if both are new.
    pub(super) async fn read_messages(
        &self,
        join: &mut Join,
        told: &mut Told<'_>,
        findings: &mut Findings,
    ) -> Result<u64, StoreError> {
        let (mapping, fields) = (self.codec.mapping(), &self.codec.mapping().message_fields);
        let projection = doc! {
            &fields.chat: 1, root(&fields.sender): 1, &fields.created_at: 1, &fields.client_message_id: 1,
        };
        let mut pass = Pass::over(&self.database, &mapping.messages, projection).await?;
        while pass.advance().await? {
            let message = pass.document();
            let chat = field(message, &fields.chat).unwrap_or(RawBsonRef::Null);
            let at = field(message, &fields.created_at).and_then(time_of);
            let sender = field_at(message, &fields.sender).unwrap_or(RawBsonRef::Null);
            let sender =
                self.codec.name_of(sender).filter(|sender| !sender.is_empty()).unwrap_or_else(|| {
                    findings.add(FindingKind::MalformedSender, || {
                        format!("{sender:?} in chat {}", shown(&unpacked(&packed(chat))))
                    });
                    UNREADABLE.to_owned()
                });
            told.hear(&pass);
            let names_none = chat == RawBsonRef::Null;
            // Where chats list their messages, those of others do not name them.
            if names_none && matches!(mapping.message_place, MessagePlace::Listed { .. }) {
                continue;
            }
            if names_none && fields.receiver.is_some() {
                findings.add(FindingKind::MessageWithoutChat, || shown(&unpacked(&id_of(message))));
                continue;
            }
            let client = field(message, &fields.client_message_id).and_then(RawBsonRef::as_str);
            let item = Seen::packed(&packed(chat), at, client.is_some_and(|id| !id.is_empty()), &sender);
            join.add(&self.codec, chat, MESSAGE, &item).map_err(|error| spill_failed(&error))?;
        }
        told.end(&pass);
        Ok(pass.done())
    }

    /// Reads the rows of every other collection that is configured to name chats.
    pub(super) async fn read_references(
        &self,
        join: &mut Join,
        told: &mut Told<'_>,
    ) -> Result<(), StoreError> {
        for (index, reference) in self.references().iter().enumerate() {
            let projection = doc! { &reference.field: 1 };
            let mut pass = Pass::over(&self.database, &reference.collection, projection).await?;
            let path: Vec<&str> = reference.field.split('.').collect();
            let index = u32::try_from(index).map_err(|error| StoreError::Corrupt(error.to_string()))?;
            while pass.advance().await? {
                let (row, mut failed) = (pass.document(), None);
                let id = id_of(row);
                each_at(RawBsonRef::Document(row), &path, &mut |value| {
                    let item = pair(&packed(value), &[&index.to_le_bytes()[..], &id].concat());
                    failed = failed.take().or(join.add(&self.codec, value, REFERENCE, &item).err());
                });
                if let Some(error) = failed {
                    return Err(spill_failed(&error));
                }
                told.hear(&pass);
            }
            told.end(&pass);
        }
        Ok(())
    }

    /// Says what the rows show, once the chats are read too.
    pub(super) async fn report_rows(&self, join: Join, findings: &mut Findings) -> Result<(), StoreError> {
        let mut suspects = Suspects::new(self).await?;
        for group in join.0.finish().groups() {
            let group = group.map_err(|error| spill_failed(&error))?;
            self.judge(&group, &mut suspects, findings);
            if suspects.are_many() {
                suspects.settle(findings).await?;
            }
        }
        suspects.settle(findings).await
    }

    /// One chat, or one id that is none.
    fn judge(&self, group: &Group, suspects: &mut Suspects<'_>, findings: &mut Findings) {
        let of = |kind: u8| group.items.iter().filter(move |item| item[0] == kind).map(|item| &item[1..]);
        let messages: Vec<Seen<'_>> = of(MESSAGE).map(Seen::of).collect();
        let chat = of(CHAT).next();
        if chat.is_none() && of(PUBLIC_ID).next().is_none() {
            for item in of(REFERENCE) {
                let (value, rest) = unpair(item);
                let (index, row) = rest.split_first_chunk().expect("it begins with the reference's number");
                let reference = &self.references()[u32::from_le_bytes(*index) as usize];
                suspects.reference(Missing {
                    value: unpacked(value),
                    what: format!(
                        "{} {} of {}",
                        reference.field,
                        shown(&unpacked(value)),
                        reference.collection
                    ),
                    row: shown(&unpacked(row)),
                });
            }
        }
        let Some(first) = messages.first() else { return };
        let Some(chat) = chat.map(Seen::of) else {
            return suspects.message(unpacked(first.id), messages.len());
        };
        let id = unpacked(chat.id);
        // One without a set is reported as malformed.
        let Some(of) = identity(chat.text.as_bytes()) else { return };
        let senders: BTreeSet<&str> = messages.iter().map(|message| message.text).collect();
        for sender in senders.into_iter().filter(|sender| *sender != UNREADABLE) {
            if !of.participants.members().iter().any(|member| member.as_str() == sender) {
                findings.add(FindingKind::ForeignSender, || format!("{sender} in chat {}", shown(&id)));
            }
        }
        let others = messages.iter().filter(|message| !are_equal(message.id, chat.id)).count();
        // Messages of all forms are read if one is configured.
        if others > 0 && self.codec.mapping().message_fields.chat_form.is_none() {
            findings.add(FindingKind::OtherIdForm, || format!("{others} in chat {}", shown(&id)));
        }
        // Other programs may not raise the chat's time with their messages: that is no damage, once there is one.
        let has_none = chat.at.is_none();
        let newest = messages
            .iter()
            .filter(|message| has_none || message.is_ours)
            .filter_map(|message| message.at)
            .max();
        if let Some(newest) = newest.filter(|newest| Some(*newest) > chat.at) {
            suspects.behind(Behind { id, newest, has_none });
        }
    }

    /// The references but for the messages, which have findings of their own.
    pub(super) fn references(&self) -> Vec<&Reference> {
        let mapping = self.codec.mapping();
        let is_of_messages = |reference: &Reference| {
            reference.collection == mapping.messages && reference.field == mapping.message_fields.chat
        };
        self.rules.references.iter().filter(|reference| !is_of_messages(reference)).collect()
    }
}

/// What is kept of a chat (its `_id`, its activity, its set) or of a message (its chat, its time, its sender).
struct Seen<'a> {
    id: &'a [u8],
    at: Option<i64>,
    /// Whether it is written as we write it.
    is_ours: bool,
    text: &'a str,
}

impl<'a> Seen<'a> {
    fn packed(id: &[u8], at: Option<DateTime>, is_ours: bool, text: &str) -> Vec<u8> {
        let at = at.map_or(i64::MIN, DateTime::timestamp_millis);
        pair(id, &[&at.to_le_bytes()[..], &[u8::from(is_ours)], text.as_bytes()].concat())
    }

    fn of(item: &'a [u8]) -> Self {
        let (id, rest) = unpair(item);
        let (at, text) = rest.split_first_chunk().expect("it begins with a time");
        let at = Some(i64::from_le_bytes(*at)).filter(|at| *at != i64::MIN);
        let (is_ours, text) = text.split_first().expect("it says whose it is");
        let is_ours = *is_ours == 1;
        Self { id, at, is_ours, text: std::str::from_utf8(text).unwrap_or_default() }
    }
}

/// Whether the server calls two ids equal, which are one in some form: a number is equal to itself in another type.
fn are_equal(one: &[u8], other: &[u8]) -> bool {
    let is_number = |id| with_raw(&unpacked(id), number_of).is_some();
    one == other || is_number(one) && is_number(other)
}

/// Calls `on` with every value at the end of the path, which may lead through arrays and end in one.
fn each_at(value: RawBsonRef<'_>, path: &[&str], on: &mut dyn FnMut(RawBsonRef<'_>)) {
    match (value, path) {
        (RawBsonRef::Array(values), _) => {
            values.into_iter().filter_map(Result::ok).for_each(|value| each_at(value, path, on));
        }
        (RawBsonRef::Document(inner), [first, rest @ ..]) => {
            if let Some(value) = field(inner, first) {
                each_at(value, rest, on);
            }
        }
        (RawBsonRef::Null | RawBsonRef::Undefined, _) | (_, [_, ..]) => {}
        (value, []) => on(value),
    }
}
