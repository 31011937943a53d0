//! Messages as documents, and back.

use mongodb::bson::{Bson, Document, RawBsonRef, RawDocument, doc};
use onechat_core::{
    ChatId, ClientMessageId, Message, MessageId, MessageText, NewMessage, Participant, StoreError,
};

use super::{Codec, StoredChat, age, field, field_at, id_value, set_at, text_of};

impl Codec {
    /// The document of a new message in the chat.
    pub(crate) fn new_message(
        &self,
        message: &NewMessage,
        chat: &StoredChat,
    ) -> Result<Document, StoreError> {
        let fields = &self.mapping.message_fields;
        let id = id_value(message.id.as_str());
        let mut document = self.said(
            message,
            chat,
            doc! { "_id": id, &fields.chat: self.named_by_message(&chat.document_id) },
        )?;
        document.insert("__v", 0);
        Ok(document)
    }

    /// The sub-document of a new message in its chat.
    pub(crate) fn new_element(
        &self,
        message: &NewMessage,
        chat: &StoredChat,
    ) -> Result<Document, StoreError> {
        self.said(message, chat, doc! { "_id": id_value(message.id.as_str()) })
    }

    /// Who said what, and when, behind what is there.
    fn said(
        &self,
        message: &NewMessage,
        chat: &StoredChat,
        mut document: Document,
    ) -> Result<Document, StoreError> {
        let fields = &self.mapping.message_fields;
        let sender = self.written(&message.sender)?;
        let collection = self.mapping.participant_ref.as_deref();
        set_at(&mut document, &fields.sender, sender, collection);
        self.address(&mut document, message, &chat.chat.identity)?;
        document.insert(&fields.text, message.text.as_str());
        document.insert(&fields.client_message_id, message.client_message_id.as_str());
        document.insert(&fields.created_at, fields.times.written(message.now));
        Ok(document)
    }

    /// Why an element of the chat's array cannot be read as a message.
    pub(crate) fn flaw_of_element(&self, element: RawBsonRef<'_>) -> Option<String> {
        let Some(document) = element.as_document() else {
            return Some(format!("{element:?} is no message"));
        };
        let sender = field_at(document, &self.mapping.message_fields.sender);
        let sender = sender.and_then(|sender| self.name_of(sender)).filter(|sender| !sender.is_empty());
        sender.is_none().then(|| "a message has no sender".to_owned())
    }

    /// A message of `chat`. Those of other programs may lack what we do not need to tell them apart.
    pub(crate) fn message(&self, document: &RawDocument, chat: &ChatId) -> Result<Message, StoreError> {
        let fields = &self.mapping.message_fields;
        let document_id = field(document, "_id").and_then(|id| Bson::try_from(id).ok()).unwrap_or(Bson::Null);
        let damaged =
            |what: &str| StoreError::Corrupt(format!("the message with _id {document_id} has {what}"));
        let id = field(document, "_id").and_then(text_of).ok_or_else(|| damaged("no id that can be used"))?;
        let sender = field_at(document, &fields.sender).and_then(|sender| self.name_of(sender));
        let sender = sender.and_then(|id| Participant::new(id).ok());
        let client = field(document, &fields.client_message_id).and_then(text_of);
        let client = client.and_then(|client| ClientMessageId::new(client).ok());
        // Pages are in the order of the index, in which a time of another form has no place in time.
        let at = field(document, &fields.created_at).and_then(|at| fields.times.read(at));
        let text = field(document, &fields.text).and_then(RawBsonRef::as_str).unwrap_or_default();
        Ok(Message {
            chat: chat.clone(),
            sender: sender.ok_or_else(|| damaged("no sender"))?,
            text: MessageText::from_stored(text),
            client_message_id: match client {
                Some(client) => client,
                None => ClientMessageId::new(id.clone()).map_err(|_| damaged("an id that is too long"))?,
            },
            created_at: at.unwrap_or_else(|| age(&document_id)),
            id: MessageId::new(id).map_err(|error| damaged(&error.to_string()))?,
        })
    }
}
