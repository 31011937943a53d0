//! Whose chat it is and what it is about, as documents have it.

use mongodb::bson::{Bson, Document, RawBsonRef, RawDocument, doc};
use onechat_core::{ChatIdentity, Context, Participant, ParticipantSet, Roles, StoreError};
use onechat_migrate::name_of;

use super::{Codec, field, field_at, forms_of_name, nested, root, set_at};
use crate::Mapping;

impl Codec {
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
        fields.participants.iter().chain(&fields.context).map(|path| root(path))
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
        let Some(path) = &self.mapping.fields.context else { return Ok(None) };
        let value = match field_at(document, path) {
            None | Some(RawBsonRef::Null) => return Ok(None),
            Some(value) => value,
        };
        let text = self.name_of(value).ok_or_else(|| {
            format!(
                "in {path} a context that is neither a string nor an ObjectId nor a UUID nor a whole number"
            )
        })?;
        Context::new(text).map(Some).map_err(|error| format!("in {path} no context: {error}"))
    }

    /// What chats of this context have, and no others. A collection that keeps no contexts has chats without one only.
    pub(crate) fn has_context(&self, context: Option<&Context>) -> Document {
        match (&self.mapping.fields.context, context) {
            (Some(path), Some(context)) => doc! { path: { "$in": self.forms_of_name(context.as_str()) } },
            // Null also stands for a field that is not there.
            (Some(path), None) => doc! { path: Bson::Null },
            (None, _) => Document::new(),
        }
    }

    /// What chats of all these people have, and few others.
    pub(crate) fn has_all(&self, participants: &ParticipantSet) -> Document {
        let members = participants.members().iter();
        let forms = members.map(|member| self.forms_of_name(member.as_str()));
        let conditions: Vec<Document> = match self.participants_paths() {
            [path] => forms.map(|forms| doc! { path: { "$in": forms } }).collect(),
            paths => {
                let forms: Vec<Bson> = forms.flatten().collect();
                paths.iter().map(|path| doc! { path: { "$in": forms.clone() } }).collect()
            }
        };
        doc! { "$and": conditions }
    }

    /// The people of a chat in the order in which they are stored, with repeats.
    pub(crate) fn members(&self, document: &RawDocument) -> Result<Vec<String>, String> {
        let mut members = Vec::with_capacity(2);
        self.each_member(document, |value| {
            let name = self.name_of(value).ok_or(
                "a participant that is neither a string nor an ObjectId nor a UUID nor a whole number",
            )?;
            members.push(name);
            Ok(())
        })?;
        Ok(members)
    }

    /// The values that name people, and the one that says what the chat is about, for which it says true.
    pub(crate) fn each_name<'a>(&self, document: &'a RawDocument, mut see: impl FnMut(bool, RawBsonRef<'a>)) {
        // What is malformed names nobody.
        let _ = self.each_member(document, |value| {
            see(false, value);
            Ok(())
        });
        let path = self.mapping.fields.context.as_deref();
        if let Some(context) = path.and_then(|path| field_at(document, path)) {
            see(true, context);
        }
    }

    /// The values that name people.
    fn each_member<'a>(
        &self,
        document: &'a RawDocument,
        mut see: impl FnMut(RawBsonRef<'a>) -> Result<(), String>,
    ) -> Result<(), String> {
        let inside = |value: RawBsonRef<'a>| match &self.mapping.participant_path {
            Some(path) => {
                let inner = value.as_document().and_then(|inner| field_at(inner, path));
                inner.ok_or_else(|| format!("a participant without {path}"))
            }
            None => Ok(value),
        };
        if let [name] = &self.mapping.fields.participants[..] {
            let Some(RawBsonRef::Array(array)) = field(document, name) else {
                return Err("no array of participants".to_owned());
            };
            for value in array {
                see(inside(value.map_err(|error| error.to_string())?)?)?;
            }
            return Ok(());
        }
        for name in &self.mapping.fields.participants {
            match field(document, name) {
                None | Some(RawBsonRef::Null) => return Err(format!("nobody in {name}")),
                Some(value) => see(inside(value)?)?,
            }
        }
        Ok(())
    }

    /// Who somebody is, or what a chat is about, as the text that stands for it outside.
    pub(crate) fn name_of(&self, value: RawBsonRef<'_>) -> Option<String> {
        name_of(value, self.uuids)
    }

    /// Every form in which a document may have it.
    pub(crate) fn forms_of_name(&self, text: &str) -> Vec<Bson> {
        forms_of_name(text, self.uuids)
    }

    /// A participant as documents have it; nothing if they cannot have it.
    pub(crate) fn participant(&self, participant: &Participant) -> Option<Bson> {
        self.mapping.participant_form.written(participant.as_str())
    }

    /// The same, or why it is refused.
    pub(super) fn written(&self, participant: &Participant) -> Result<Bson, StoreError> {
        self.participant(participant).ok_or_else(|| {
            StoreError::Refused(format!(
                "participants are {} here, and {participant:?} is none",
                self.mapping.participant_form
            ))
        })
    }

    /// Gives a new chat its identity.
    pub(super) fn identify(
        &self,
        document: &mut Document,
        identity: &ChatIdentity,
        roles: &Roles,
    ) -> Result<(), StoreError> {
        let Mapping { fields, participant_path, participant_ref, context_ref, context_form, .. } =
            &self.mapping;
        let one = |participant: &Participant| {
            let value = self.written(participant)?;
            Ok(match participant_path {
                Some(path) => nested(path, value, participant_ref.as_deref()),
                None => value,
            })
        };
        let participants = &identity.participants;
        match &fields.participants[..] {
            [name] => {
                let members = participants.members().iter().map(one);
                document.insert(name, members.collect::<Result<Vec<Bson>, StoreError>>()?);
            }
            names => document.extend(self.in_fields(names, participants, roles, one)?),
        }
        let Some(context) = &identity.context else { return Ok(()) };
        let Some(path) = &fields.context else {
            return Err(StoreError::Refused(
                "chats have no context here: [mongodb.chat_fields] names no field for it".to_owned(),
            ));
        };
        let value = context_form.written(context.as_str()).ok_or_else(|| {
            StoreError::Refused(format!("contexts are {context_form} here, and {context:?} is none"))
        })?;
        set_at(document, path, value, context_ref.as_deref());
        Ok(())
    }
}
