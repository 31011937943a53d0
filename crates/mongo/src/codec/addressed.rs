//! Messages that say whom they are to: their sender and receiver are the people of the chat, whether or not they name it.

use mongodb::bson::{Document, RawBsonRef, RawDocument};
use onechat_core::{ChatIdentity, Context, NewMessage, Participant, ParticipantSet, StoreError};

use super::{Codec, field_at, root, set_at};

/// Why the identity of a message's chat cannot be told by its sender and receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unaddressed {
    /// It is to nobody.
    NoReceiver,
    /// Sender and receiver are the same person.
    ToOneself,
    /// Somebody, or what it is about, cannot be read, or not be written in a chat.
    Unreadable(String),
}

impl Codec {
    /// Whose chat a message is in, and what that is about, by the message alone.
    pub(crate) fn identity_of_message(&self, message: &RawDocument) -> Result<ChatIdentity, Unaddressed> {
        let fields = &self.mapping.message_fields;
        let Some(receiver) = &fields.receiver else { return Err(Unaddressed::NoReceiver) };
        let receiver = match field_at(message, receiver) {
            None | Some(RawBsonRef::Null) => return Err(Unaddressed::NoReceiver),
            Some(receiver) => receiver,
        };
        let sender = field_at(message, &fields.sender).unwrap_or(RawBsonRef::Null);
        let mut people = Vec::with_capacity(2);
        for (what, value) in [("sender", sender), ("receiver", receiver)] {
            let unreadable = || Unaddressed::Unreadable(format!("the {what} {value:?} cannot be read"));
            people.push(self.name_of(value).ok_or_else(unreadable)?);
        }
        let participants = ParticipantSet::parse(people)
            .map_err(|error| Unaddressed::Unreadable(format!("sender and receiver are no set: {error}")))?;
        if participants.members().len() < 2 {
            return Err(Unaddressed::ToOneself);
        }
        for participant in participants.members() {
            self.written(participant).map_err(|error| Unaddressed::Unreadable(error.to_string()))?;
        }
        Ok(ChatIdentity { participants, context: self.context_of_message(message)? })
    }

    fn context_of_message(&self, message: &RawDocument) -> Result<Option<Context>, Unaddressed> {
        let Some(path) = &self.mapping.message_fields.context else { return Ok(None) };
        let value = match field_at(message, path) {
            None | Some(RawBsonRef::Null) => return Ok(None),
            Some(value) => value,
        };
        let unreadable = || Unaddressed::Unreadable(format!("{value:?} in {path} is no context"));
        let context = self.name_of(value).and_then(|text| Context::new(text).ok()).ok_or_else(unreadable)?;
        self.mapping.context_form.written(context.as_str()).ok_or_else(unreadable)?;
        Ok(Some(context))
    }

    /// The fields that [`Codec::identity_of_message`] reads, and the one that names the chat.
    pub(crate) fn fields_of_address(&self) -> impl Iterator<Item = &str> {
        let fields = &self.mapping.message_fields;
        let paths = [&fields.sender].into_iter().chain(&fields.receiver).chain(&fields.context);
        paths.map(|path| root(path)).chain([fields.chat.as_str()])
    }

    /// The values in a message that name people, and the one that says what it is about, for which it says true.
    pub(crate) fn each_name_of_message<'a>(
        &self,
        message: &'a RawDocument,
        mut see: impl FnMut(bool, RawBsonRef<'a>),
    ) {
        let fields = &self.mapping.message_fields;
        for path in [&fields.sender].into_iter().chain(&fields.receiver) {
            if let Some(value) = field_at(message, path) {
                see(false, value);
            }
        }
        if let Some(value) = fields.context.as_ref().and_then(|path| field_at(message, path)) {
            see(true, value);
        }
    }

    /// Writes into a new message whom it is to and what it is about, where messages say so: programs that know no chats find
    /// it by that. Chats of more people may be there all the same.
    pub(super) fn address(
        &self,
        document: &mut Document,
        message: &NewMessage,
        chat: &ChatIdentity,
    ) -> Result<(), StoreError> {
        let fields = &self.mapping.message_fields;
        let Some(path) = &fields.receiver else { return Ok(()) };
        let members = chat.participants.members();
        let others: Vec<&Participant> = members.iter().filter(|member| **member != message.sender).collect();
        if let ([other], 2) = (&others[..], members.len()) {
            set_at(document, path, self.written(other)?, self.mapping.participant_ref.as_deref());
        }
        if let (Some(path), Some(context)) = (&fields.context, &chat.context)
            && let Some(value) = self.mapping.context_form.written(context.as_str())
        {
            set_at(document, path, value, self.mapping.context_ref.as_deref());
        }
        Ok(())
    }

    /// Whether messages of a new chat can say whom they are to, if they have to.
    pub(super) fn ensure_fits_messages(&self, identity: &ChatIdentity) -> Result<(), StoreError> {
        let Some(receiver) = &self.mapping.message_fields.receiver else { return Ok(()) };
        match identity.participants.members().len() {
            2 => Ok(()),
            count => Err(StoreError::Refused(format!(
                "chats are of two people here, not of {count}: each message names the one that it is to in {receiver}"
            ))),
        }
    }
}
