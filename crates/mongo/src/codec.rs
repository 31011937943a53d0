//! Chats and messages as documents, and back. Fields that we do not know are left alone: we never replace a
//! document, and read only what the mapping names.

use mongodb::bson::{
    Binary, Bson, DateTime, Document, RawBsonRef, RawDocument, doc, oid::ObjectId, spec::BinarySubtype,
};
use onechat_core::{
    Chat, ChatId, ChatIdentity, ClientMessageId, Context, Message, MessageId, MessageText, NewMessage,
    Participant, ParticipantSet, ParticipantsKey, StoreError, Timestamp,
};
use serde_json::Value;

use crate::{Filter, IdMapping, Mapping, OpenError, PublicIdForm};

/// A chat with the `_id` of its document, which its messages refer to.
#[derive(Debug, Clone)]
pub(crate) struct StoredChat {
    pub(crate) chat: Chat,
    pub(crate) document_id: Bson,
}

/// The mapping at work.
#[derive(Debug, Clone)]
pub(crate) struct Codec {
    mapping: Mapping,
    constants: Document,
    /// The path by which a participant is found.
    participants_path: String,
}

/// Without a filter the query is what it was, byte for byte.
fn narrowed(mut query: Document, filter: Option<&Filter>) -> Document {
    let Some(filter) = filter else { return query };
    let filter = filter.document().clone();
    if query.contains_key("$and") {
        return doc! { "$and": [query, filter] };
    }
    query.insert("$and", vec![filter]);
    query
}

impl Codec {
    pub(crate) fn new(mapping: Mapping) -> Result<Self, OpenError> {
        check(&mapping)?;
        let constants =
            mapping.constants.iter().map(|(name, value)| (name.clone(), to_bson(value))).collect();
        let participants_path = match &mapping.participant_path {
            Some(path) => format!("{}.{path}", mapping.fields.participants),
            None => mapping.fields.participants.clone(),
        };
        Ok(Self { mapping, constants, participants_path })
    }

    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }

    pub(crate) fn key_field(&self) -> &str {
        &self.mapping.fields.participants_key
    }

    pub(crate) fn participants_path(&self) -> &str {
        &self.participants_path
    }

    /// The field of what the API calls a chat's id.
    pub(crate) fn id_field(&self) -> &str {
        match &self.mapping.id {
            IdMapping::ObjectId => "_id",
            IdMapping::Field { name, .. } => name,
        }
    }

    /// Narrows a query to what is under the guarantee.
    pub(crate) fn inside(&self, query: Document) -> Document {
        narrowed(query, self.mapping.only.as_ref())
    }

    /// Which documents are under the guarantee, if not all.
    pub(crate) fn only(&self) -> Option<&Filter> {
        self.mapping.only.as_ref()
    }

    /// Whether a filter is about fields in which new chats differ.
    pub(crate) fn varies(&self, filter: &Filter) -> bool {
        let (about, fields) = (filter.fields(), &self.mapping.fields);
        let varying = ["_id", self.id_field(), &fields.created_at, &fields.updated_at];
        varying.into_iter().chain(self.identity_fields()).any(|name| about.contains(name))
    }

    /// Narrows a query to what is not; nothing if everything is.
    pub(crate) fn outside(&self, mut query: Document) -> Option<Document> {
        let only = self.mapping.only.as_ref()?;
        query.insert("$nor", vec![only.document().clone()]);
        Some(query)
    }

    /// Narrows a query to what people are shown.
    pub(crate) fn visible(&self, query: Document) -> Document {
        narrowed(query, self.mapping.visible.as_ref())
    }

    /// A participant as documents have it; nothing if they cannot have it.
    pub(crate) fn participant(&self, participant: &Participant) -> Option<Bson> {
        self.mapping.participant_form.written(participant.as_str())
    }

    /// A chat's id as documents have it; nothing if they cannot have it.
    pub(crate) fn id(&self, id: &ChatId) -> Option<Bson> {
        match &self.mapping.id {
            // Documents of other programs may have strings for ids.
            IdMapping::ObjectId => Some(id_value(id.as_str())),
            IdMapping::Field { form: PublicIdForm::Text, .. } => Some(Bson::String(id.as_str().to_owned())),
            IdMapping::Field { form: PublicIdForm::Uuid, .. } => uuid(id.as_str()).map(Bson::Binary),
        }
    }

    /// The document of a new chat. Made once for each proposal: tried again, it has to have the same `_id`.
    pub(crate) fn new_chat(&self, chat: &Chat) -> Result<Document, StoreError> {
        let fields = &self.mapping.fields;
        let members = chat.identity.participants.members().iter().map(|participant| {
            let value = self.participant(participant).ok_or_else(|| {
                StoreError::Refused(format!(
                    "participants are {} here, and {participant:?} is none",
                    self.mapping.participant_form
                ))
            })?;
            Ok(match &self.mapping.participant_path {
                Some(path) => {
                    path.rsplit('.').fold(value, |value, name| Bson::Document(doc! { name: value }))
                }
                None => value,
            })
        });
        let members = members.collect::<Result<Vec<Bson>, StoreError>>()?;
        let public = self.id(&chat.id).ok_or_else(|| {
            StoreError::Refused(format!("public ids are UUIDs here, and {} is none", chat.id))
        })?;
        let mut document = match &self.mapping.id {
            IdMapping::ObjectId => doc! { "_id": public },
            IdMapping::Field { name, .. } => doc! { "_id": ObjectId::new(), name: public },
        };
        document.insert(&fields.participants, members);
        if let Some(context) = &chat.identity.context {
            let Some(name) = &fields.context else {
                return Err(StoreError::Refused(
                    "chats have no context here: [mongodb.chat_fields] names no field for it".to_owned(),
                ));
            };
            let form = self.mapping.context_form;
            let value = form.written(context.as_str()).ok_or_else(|| {
                StoreError::Refused(format!("contexts are {form} here, and {context:?} is none"))
            })?;
            document.insert(name, value);
        }
        document.insert(&fields.participants_key, chat.participants_key.as_str());
        document.insert(&fields.created_at, date(chat.created_at));
        document.insert(&fields.updated_at, date(chat.updated_at));
        document.insert("__v", 0);
        document.extend(self.constants.clone());
        Ok(document)
    }

    pub(crate) fn chat(&self, document: &RawDocument) -> Result<StoredChat, StoreError> {
        let document_id = field(document, "_id").and_then(|id| Bson::try_from(id).ok()).unwrap_or(Bson::Null);
        let damaged = |what: &str| StoreError::Corrupt(format!("the chat with _id {document_id} has {what}"));
        let fields = &self.mapping.fields;
        let identity = self.identity(document).map_err(|what| damaged(&what))?;
        let id = field(document, self.id_field()).and_then(text_of).and_then(|id| ChatId::new(id).ok());
        let id = id.ok_or_else(|| damaged("no id that can be used"))?;
        let key = field(document, &fields.participants_key).and_then(RawBsonRef::as_str);
        let time = |name: &str| match field(document, name) {
            None | Some(RawBsonRef::Null) => Ok(None),
            Some(RawBsonRef::DateTime(at)) => Timestamp::from_unix_ms(at.timestamp_millis())
                .map(Some)
                .ok_or_else(|| damaged(&format!("an impossible date in {name}"))),
            Some(_) => Err(damaged(&format!("no date in {name}"))),
        };
        let created_at = time(&fields.created_at)?.unwrap_or_else(|| age(&document_id));
        let chat = Chat {
            id,
            identity,
            participants_key: ParticipantsKey::from_stored(key.unwrap_or_default()),
            created_at,
            updated_at: time(&fields.updated_at)?.unwrap_or(created_at),
            last_message_at: time(&fields.last_message_at)?,
        };
        Ok(StoredChat { chat, document_id })
    }

    /// Whose chat it is and what it is about, or what is wrong with that.
    pub(crate) fn identity(&self, document: &RawDocument) -> Result<ChatIdentity, String> {
        Ok(ChatIdentity { participants: self.participants(document)?, context: self.context(document)? })
    }

    /// The set of people of a chat, or what is wrong with them.
    fn participants(&self, document: &RawDocument) -> Result<ParticipantSet, String> {
        let members = self.members(document)?;
        ParticipantSet::parse(members).map_err(|error| format!("participants that are no set: {error}"))
    }

    /// The fields that an identity is read from.
    pub(crate) fn identity_fields(&self) -> impl Iterator<Item = &str> {
        let fields = &self.mapping.fields;
        [&fields.participants].into_iter().chain(&fields.context).map(String::as_str)
    }

    /// A projection of an identity and its key.
    pub(crate) fn identity_and_key(&self) -> Document {
        self.identity_fields()
            .chain([self.key_field()])
            .map(|name| (name.to_owned(), Bson::Int32(1)))
            .collect()
    }

    /// What a chat matches as long as its identity is stored as it is in this document.
    pub(crate) fn identity_as_stored(&self, document: &RawDocument) -> Document {
        let stored = |name| field(document, name).and_then(|value| Bson::try_from(value).ok());
        let fields = self.identity_fields();
        // Null also stands for a field that is not there.
        fields
            .map(|name| (name.to_owned(), doc! { "$eq": stored(name).unwrap_or(Bson::Null) }.into()))
            .collect()
    }

    /// What a chat is about; null is the same as a field that is not there.
    pub(crate) fn context(&self, document: &RawDocument) -> Result<Option<Context>, String> {
        let Some(name) = &self.mapping.fields.context else { return Ok(None) };
        let value = match field(document, name) {
            None | Some(RawBsonRef::Null) => return Ok(None),
            Some(value) => value,
        };
        let text = text_of(value).ok_or_else(|| {
            format!("in {name} a context that is neither a string nor an ObjectId nor a UUID")
        })?;
        Context::new(text).map(Some).map_err(|error| format!("in {name} no context: {error}"))
    }

    /// What chats of this context have, and no others. A collection that keeps no contexts has chats without one only.
    pub(crate) fn has_context(&self, context: Option<&Context>) -> Document {
        match (&self.mapping.fields.context, context) {
            (Some(name), Some(context)) => doc! { name: { "$in": forms_of(context.as_str()) } },
            // Null also stands for a field that is not there.
            (Some(name), None) => doc! { name: Bson::Null },
            (None, _) => Document::new(),
        }
    }

    /// The people of a chat in the order in which they are stored, with repeats.
    pub(crate) fn members(&self, document: &RawDocument) -> Result<Vec<String>, String> {
        let Some(RawBsonRef::Array(array)) = field(document, &self.mapping.fields.participants) else {
            return Err("no array of participants".to_owned());
        };
        let mut members = Vec::with_capacity(2);
        for value in array {
            let mut value = value.map_err(|error| error.to_string())?;
            if let Some(path) = &self.mapping.participant_path {
                let inner = value.as_document().and_then(|inner| field_at(inner, path));
                value = inner.ok_or_else(|| format!("a participant without {path}"))?;
            }
            members.push(text_of(value).ok_or("a participant that is neither a string nor an ObjectId")?);
        }
        Ok(members)
    }

    /// The document of a new message in the chat whose document has the id `chat`.
    pub(crate) fn new_message(&self, message: &NewMessage, chat: &Bson) -> Result<Document, StoreError> {
        let fields = &self.mapping.message_fields;
        let sender = self.participant(&message.sender).ok_or_else(|| {
            StoreError::Refused(format!(
                "participants are {} here, and {:?} is none",
                self.mapping.participant_form, message.sender
            ))
        })?;
        let mut document = doc! { "_id": id_value(message.id.as_str()) };
        document.insert(&fields.chat, chat.clone());
        document.insert(&fields.sender, sender);
        document.insert(&fields.text, message.text.as_str());
        document.insert(&fields.client_message_id, message.client_message_id.as_str());
        document.insert(&fields.created_at, date(message.now));
        document.insert("__v", 0);
        Ok(document)
    }

    /// A message of `chat`. Those of other programs may lack what we do not need to tell them apart.
    pub(crate) fn message(&self, document: &RawDocument, chat: &ChatId) -> Result<Message, StoreError> {
        let fields = &self.mapping.message_fields;
        let document_id = field(document, "_id").and_then(|id| Bson::try_from(id).ok()).unwrap_or(Bson::Null);
        let damaged =
            |what: &str| StoreError::Corrupt(format!("the message with _id {document_id} has {what}"));
        let id = field(document, "_id").and_then(text_of).ok_or_else(|| damaged("no id that can be used"))?;
        let sender =
            field(document, &fields.sender).and_then(text_of).and_then(|id| Participant::new(id).ok());
        let client = field(document, &fields.client_message_id).and_then(text_of);
        let client = client.and_then(|client| ClientMessageId::new(client).ok());
        let at = match field(document, &fields.created_at) {
            Some(RawBsonRef::DateTime(at)) => Timestamp::from_unix_ms(at.timestamp_millis()),
            _ => Some(age(&document_id)),
        };
        let text = field(document, &fields.text).and_then(RawBsonRef::as_str).unwrap_or_default();
        Ok(Message {
            chat: chat.clone(),
            sender: sender.ok_or_else(|| damaged("no sender"))?,
            text: MessageText::from_stored(text),
            client_message_id: match client {
                Some(client) => client,
                None => ClientMessageId::new(id.clone()).map_err(|_| damaged("an id that is too long"))?,
            },
            created_at: at.ok_or_else(|| damaged("an impossible date"))?,
            id: MessageId::new(id).map_err(|error| damaged(&error.to_string()))?,
        })
    }
}

/// A moment as documents have it.
pub(crate) fn date(at: Timestamp) -> Bson {
    Bson::DateTime(DateTime::from_millis(at.unix_ms()))
}

/// The `_id` that an id of ours stands for.
pub(crate) fn id_value(id: &str) -> Bson {
    object_id(id).map_or_else(|| Bson::String(id.to_owned()), Bson::ObjectId)
}

/// Every form in which a document may have this text as an id: what [`text_of`] reads.
pub(crate) fn forms_of(text: &str) -> Vec<Bson> {
    let mut forms = vec![Bson::String(text.to_owned())];
    forms.extend(object_id(text).map(Bson::ObjectId));
    forms.extend(uuid(text).map(Bson::Binary));
    forms
}

/// An id, in whatever form a document has it, as the text that stands for it outside.
pub(crate) fn text_of(value: RawBsonRef<'_>) -> Option<String> {
    match value {
        RawBsonRef::String(text) => Some(text.to_owned()),
        RawBsonRef::ObjectId(id) => Some(id.to_hex()),
        RawBsonRef::Binary(binary) if binary.subtype == BinarySubtype::Uuid => {
            uuid::Uuid::from_slice(binary.bytes).ok().map(|uuid| uuid.to_string())
        }
        _ => None,
    }
}

pub(crate) fn field<'a>(document: &'a RawDocument, name: &str) -> Option<RawBsonRef<'a>> {
    document.get(name).ok().flatten()
}

fn field_at<'a>(document: &'a RawDocument, path: &str) -> Option<RawBsonRef<'a>> {
    match path.split_once('.') {
        Some((first, rest)) => field_at(field(document, first)?.as_document()?, rest),
        None => field(document, path),
    }
}

/// Only the one text that an ObjectId is written as outside: `ABC…` and `abc…` are different participants.
pub(crate) fn object_id(text: &str) -> Option<ObjectId> {
    ObjectId::parse_str(text).ok().filter(|id| id.to_hex() == text)
}

pub(crate) fn uuid(text: &str) -> Option<Binary> {
    let uuid = uuid::Uuid::try_parse(text).ok().filter(|uuid| uuid.to_string() == text)?;
    Some(Binary { subtype: BinarySubtype::Uuid, bytes: uuid.as_bytes().to_vec() })
}

/// When a document without a date was made, as far as its id tells.
pub(crate) fn age(document_id: &Bson) -> Timestamp {
    let ms = document_id.as_object_id().map_or(0, |id| id.timestamp().timestamp_millis());
    Timestamp::from_unix_ms(ms).expect("the time of an ObjectId is between 1970 and 2106")
}

fn to_bson(value: &Value) -> Bson {
    match value {
        Value::Null => Bson::Null,
        Value::Bool(value) => Bson::Boolean(*value),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => i32::try_from(whole).map_or(Bson::Int64(whole), Bson::Int32),
            None => Bson::Double(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Bson::String(text.clone()),
        Value::Array(values) => values.iter().map(to_bson).collect::<Vec<_>>().into(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), to_bson(value))).collect::<Document>().into()
        }
    }
}

fn check(mapping: &Mapping) -> Result<(), OpenError> {
    let fields = &mapping.fields;
    let public = match &mapping.id {
        IdMapping::ObjectId => None,
        IdMapping::Field { name, .. } => Some(name),
    };
    let mut chat: Vec<&String> = vec![
        &fields.participants,
        &fields.participants_key,
        &fields.created_at,
        &fields.updated_at,
        &fields.last_message_at,
    ];
    chat.extend(public);
    chat.extend(&fields.context);
    chat.extend(mapping.constants.keys());
    let of_message = &mapping.message_fields;
    let message = vec![
        &of_message.chat,
        &of_message.sender,
        &of_message.text,
        &of_message.client_message_id,
        &of_message.created_at,
    ];
    for names in [chat, message] {
        for (index, name) in names.iter().enumerate() {
            if name.is_empty()
                || name.contains(['.', '\0'])
                || name.starts_with('$')
                || *name == "_id"
                || *name == "__v"
            {
                return Err(OpenError::Mapping(format!("{name:?} cannot be the name of a field")));
            }
            if names[..index].contains(name) {
                return Err(OpenError::Mapping(format!("{name:?} is the name of two fields")));
            }
        }
    }
    let collections = [&mapping.chats, &mapping.messages];
    if let Some(name) = collections.iter().find(|name| name.is_empty() || name.contains(['$', '\0'])) {
        return Err(OpenError::Mapping(format!("{name:?} cannot be the name of a collection")));
    }
    if mapping.chats == mapping.messages {
        return Err(OpenError::Mapping("chats and messages are in one collection".to_owned()));
    }
    let key = mapping.fields.participants_key.as_str();
    if mapping.only.as_ref().is_some_and(|only| only.fields().contains(key)) {
        return Err(OpenError::Mapping(format!(
            "only is about {key:?}, the key, which is given to what is inside: it has to select by other fields"
        )));
    }
    let path = mapping.participant_path.as_deref();
    if path.is_some_and(|path| path.split('.').any(|part| part.is_empty() || part.starts_with('$'))) {
        return Err(OpenError::Mapping("participant_path is no path of fields".to_owned()));
    }
    Ok(())
}
