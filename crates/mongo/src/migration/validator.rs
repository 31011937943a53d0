//! The validator that requires a key: beside the one that the collection has, which is given back afterwards.

use futures_util::TryStreamExt as _;
use mongodb::{
    Collection,
    bson::{Bson, Document, doc},
};
use onechat_migrate::Control;

use super::{MigrateError, MongoMigrator};
use crate::{
    error::unavailable,
    meta::{self, META},
};

/// The field of the notes with the validation as it was.
const BEFORE: &str = "validationBefore";

/// How a collection checks what is written.
#[derive(Debug, Clone, PartialEq)]
struct Validation {
    validator: Document,
    level: String,
    action: String,
}

impl Validation {
    fn from(options: &Document) -> Self {
        let text = |name: &str, default: &str| options.get_str(name).unwrap_or(default).to_owned();
        Self {
            validator: options.get_document("validator").cloned().unwrap_or_default(),
            level: text("validationLevel", "strict"),
            action: text("validationAction", "error"),
        }
    }

    fn to_document(&self) -> Document {
        doc! {
            "validator": self.validator.clone(),
            "validationLevel": &self.level,
            "validationAction": &self.action,
        }
    }

    /// Whether a write that it does not like is refused.
    fn refuses(&self) -> bool {
        self.level != "off" && self.action != "warn" && !self.validator.is_empty()
    }

    fn includes(&self, rule: &Document) -> bool {
        self.validator == *rule || self.parts().contains(&Bson::Document(rule.clone()))
    }

    fn parts(&self) -> &[Bson] {
        self.validator.get_array("$and").map(Vec::as_slice).unwrap_or_default()
    }

    /// With the rule besides. Old documents may break both, and can still be changed (`moderate`). What only warned, or
    /// did nothing, does not become a refusal: it rests meanwhile.
    fn with(&self, rule: Document) -> Self {
        let validator = if self.refuses() {
            doc! { "$and": [self.validator.clone(), rule] }
        } else {
            rule
        };
        Self { validator, level: "moderate".to_owned(), action: "error".to_owned() }
    }

    /// Without the rule, for a validator that somebody has changed since.
    fn without(&self, rule: &Document) -> Self {
        let mut rest: Vec<Bson> = self.parts().to_vec();
        rest.retain(|part| part.as_document() != Some(rule));
        let mut validator = self.validator.clone();
        validator.remove("$and");
        if self.validator == *rule {
            validator = Document::new();
        } else if !rest.is_empty() {
            validator.insert("$and", rest);
        }
        Self { validator, ..self.clone() }
    }
}

impl MongoMigrator {
    /// Whether a new chat without a key is refused by the collection itself.
    pub(super) async fn requires_key(&self) -> Result<bool, MigrateError> {
        let now = self.validation().await?;
        Ok(now.refuses() && now.includes(&self.key_rule()))
    }

    /// Requires a key of every new chat. Does nothing if that is so already.
    pub(super) async fn require_key(&self, control: &dyn Control) -> Result<(), MigrateError> {
        let now = self.validation().await?;
        if now.refuses() && now.includes(&self.key_rule()) {
            return Ok(());
        }
        if !now.validator.is_empty() && !now.refuses() {
            control.note(
                "the collection's own validator refuses nothing: it rests until the guard is taken off",
            );
        }
        // Before it changes, so that it can be given back whatever happens.
        self.note_before(Some(&now)).await?;
        self.validate(&now.with(self.key_rule())).await
    }

    /// Gives the validation back as it was before a key was required.
    pub(super) async fn give_validator_back(&self) -> Result<(), MigrateError> {
        let note = self.notes().find_one(doc! { "_id": self.id_of_note().await? }).await;
        let note = note.map_err(|error| unavailable(&error))?;
        let Some(before) = note.as_ref().and_then(|note| note.get_document(BEFORE).ok()) else {
            return Ok(());
        };
        let (before, now, rule) = (Validation::from(before), self.validation().await?, self.key_rule());
        if now == before.with(rule.clone()) {
            self.validate(&before).await?;
        } else if now.includes(&rule) {
            self.validate(&now.without(&rule)).await?;
        }
        self.note_before(None).await
    }

    fn key_rule(&self) -> Document {
        let key = self.codec.key_field();
        let text = doc! { key: { "bsonType": "string", "minLength": 1 } };
        let keyed = doc! { "$jsonSchema": { "required": [key], "properties": text } };
        match self.codec.outside(doc! {}) {
            Some(outside) => doc! { "$or": [outside, keyed] },
            None => keyed,
        }
    }

    async fn validation(&self) -> Result<Validation, MigrateError> {
        let list = doc! { "listCollections": 1, "filter": { "name": self.chats_name() } };
        let cursor = self.database.run_cursor_command(list).await.map_err(|error| unavailable(&error))?;
        let listed: Vec<Document> = cursor.try_collect().await.map_err(|error| unavailable(&error))?;
        let options = listed.first().and_then(|listed| listed.get_document("options").ok());
        Ok(Validation::from(options.unwrap_or(&Document::new())))
    }

    async fn validate(&self, validation: &Validation) -> Result<(), MigrateError> {
        let mut modify = doc! { "collMod": self.chats_name() };
        modify.extend(validation.to_document());
        self.write(modify).await?;
        Ok(())
    }

    async fn note_before(&self, before: Option<&Validation>) -> Result<(), MigrateError> {
        let update = if let Some(before) = before {
            doc! { "$set": { BEFORE: before.to_document() } }
        } else {
            doc! { "$unset": { BEFORE: "" } }
        };
        let noted = self.notes().update_one(doc! { "_id": self.id_of_note().await? }, update).await;
        noted.map_err(|error| unavailable(&error))?;
        Ok(())
    }

    /// The `_id` of the note of our keys.
    pub(super) async fn id_of_note(&self) -> Result<Bson, MigrateError> {
        let note = meta::id(&self.database, self.codec.mapping()).await?;
        Ok(note.unwrap_or_else(|| self.chats_name().into()))
    }

    fn notes(&self) -> Collection<Document> {
        self.database.collection(META)
    }
}
