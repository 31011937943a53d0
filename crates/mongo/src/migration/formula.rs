//! Keys of another formula than ours: the operator is asked before any key is changed.

use mongodb::bson::{Bson, RawBsonRef, RawDocument};
use onechat_core::{KeyFormat, ParticipantsKey};

use super::{MigrateError, MongoMigrator, commands::persist, journal::shown, survey::Pass};
use crate::{
    codec::field,
    formula::{Formula, keyed_chats, other_formula},
};

/// How many examples an operator is shown.
const EXAMPLES: usize = 3;
/// A field that no other program writes.
const OWN_FIELD: &str = "onechatKey";

impl MongoMigrator {
    /// What an operator has to be asked before any key is changed: another program finds its chats by keys of its own
    /// formula in the field of the key. Reads only. Once no such formula was found, it is not looked for again.
    pub async fn question_of_other_formula(&self) -> Result<Option<String>, MigrateError> {
        if self.keys_are_ours.get().is_some() {
            return Ok(None);
        }
        let found = persist(|| other_formula(&self.database, &self.codec, self.key_format)).await?;
        let Some(formula) = found else {
            // Whoever else has found the same has set it.
            let _ = self.keys_are_ours.set(());
            return Ok(None);
        };
        let chats = self.chats_name();
        let projection = self.codec.identity_and_key();
        let mut pass = Pass::over_some(&self.database, chats, keyed_chats(&self.codec), projection).await?;
        let (mut count, mut examples) = (0_u64, Vec::new());
        while pass.advance().await? {
            let chat = pass.document();
            if formula.is_of(&self.codec, chat, self.key_format) {
                count += 1;
                if examples.len() < EXAMPLES {
                    examples.extend(self.example(chat));
                }
            }
        }
        Ok(Some(self.asked(&formula, count, pass.done(), &examples.join("; "))))
    }

    /// Every step that changes keys, or lets servers change them, begins with this.
    pub(super) async fn ensure_keys_are_ours(&self) -> Result<(), MigrateError> {
        match self.question_of_other_formula().await? {
            Some(question) => Err(MigrateError::Refused(question)),
            None => Ok(()),
        }
    }

    fn example(&self, chat: &RawDocument) -> Option<String> {
        let id = field(chat, "_id").and_then(|id| Bson::try_from(id).ok())?;
        let key = field(chat, self.codec.key_field())?;
        let key = match key {
            RawBsonRef::String(text) => format!("{text:?}"),
            other => Bson::try_from(other).ok()?.to_string(),
        };
        let ours = ParticipantsKey::new(&self.codec.identity(chat).ok()?, self.key_format);
        Some(format!("chat {} has {key}, onechat's would be {:?}", shown(&id), ours.as_str()))
    }

    fn asked(&self, formula: &Formula, count: u64, keyed: u64, examples: &str) -> String {
        let (field, chats) = (self.codec.key_field(), self.chats_name());
        let format = if formula.is_plain_join() && self.key_format == KeyFormat::Escaped {
            "they are of the format that onechat calls joined: set `key_format = \"joined\"` in [store], or "
        } else {
            ""
        };
        format!(
            "{count} of the {keyed} chats of {chats} with a {field} have it by another formula than onechat's \
             ({examples}). A program that finds its chats by these keys would create each of them a second time if \
             they were changed. What to do: {format}name another field for onechat's keys, \
             `participants_key = \"{OWN_FIELD}\"` in [mongodb.chat_fields]; or, if no program needs these keys any \
             more, $unset {field} in all chats. Nothing was changed."
        )
    }
}
