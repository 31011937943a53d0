//! Whether one text stands for two people: the number 42 and the text "42" are two in the documents, and one outside.

use std::collections::BTreeSet;

use mongodb::{
    Database,
    bson::{Bson, RawBsonRef, RawDocument, doc},
};
use onechat_core::StoreError;
use onechat_migrate::{number_in, number_of};

use super::Pass;
use crate::codec::Codec;

/// How many of them are named.
const MAX_EXAMPLES: usize = 5;

/// What there is. Nearly always only one of the two, and nothing has to be compared.
#[derive(Debug, Default)]
pub(crate) struct Forms {
    has_numbers: bool,
    has_texts: bool,
}

impl Forms {
    /// Notes the forms of a chat's people and context.
    pub(crate) fn note(&mut self, codec: &Codec, document: &RawDocument) {
        codec.each_name(document, |_, value| self.see(value));
    }

    /// Notes the form of one of them.
    pub(crate) fn see(&mut self, value: RawBsonRef<'_>) {
        match value {
            RawBsonRef::String(text) => self.has_texts = self.has_texts || number_in(text).is_some(),
            value => self.has_numbers = self.has_numbers || number_of(value).is_some(),
        }
    }

    /// The first few numbers that are there as numbers and as texts, if there may be any.
    pub(crate) async fn twofold(&self, database: &Database, codec: &Codec) -> Result<Vec<i64>, StoreError> {
        if !(self.has_numbers && self.has_texts) {
            return Ok(Vec::new());
        }
        let mut names = Names::default();
        let mut pass = Pass::over_chats(database, codec).await?;
        while pass.advance().await? {
            codec.each_name(pass.document(), |is_context, value| names.see(is_context, value));
        }
        Ok(names.twofold())
    }

    /// The same of the people that messages without a chat name.
    pub(crate) async fn twofold_in_messages(
        &self,
        database: &Database,
        codec: &Codec,
    ) -> Result<Vec<i64>, StoreError> {
        if !(self.has_numbers && self.has_texts) {
            return Ok(Vec::new());
        }
        let mut names = Names::default();
        let (messages, chat) = (&codec.mapping().messages, &codec.mapping().message_fields.chat);
        let projection = codec.fields_of_address().map(|name| (name.to_owned(), 1.into())).collect();
        let mut pass = Pass::over_some(database, messages, doc! { chat: Bson::Null }, projection).await?;
        while pass.advance().await? {
            codec.each_name_of_message(pass.document(), |is_context, value| names.see(is_context, value));
        }
        Ok(names.twofold())
    }
}

/// Numbers, by how they are written. Those of contexts are apart.
#[derive(Default)]
struct Names {
    numbers: BTreeSet<(bool, i64)>,
    texts: BTreeSet<(bool, i64)>,
}

impl Names {
    fn see(&mut self, is_context: bool, value: RawBsonRef<'_>) {
        let (number, place) = match value {
            RawBsonRef::String(text) => (number_in(text), &mut self.texts),
            value => (number_of(value), &mut self.numbers),
        };
        place.extend(number.map(|number| (is_context, number)));
    }

    fn twofold(&self) -> Vec<i64> {
        self.numbers.intersection(&self.texts).take(MAX_EXAMPLES).map(|(_, number)| *number).collect()
    }
}

/// What is wrong with these.
pub(crate) fn in_words(twofold: &[i64]) -> String {
    let examples: Vec<String> =
        twofold.iter().map(|number| format!("{number} and {:?}", number.to_string())).collect();
    format!(
        "people, or contexts, are there as numbers and as texts with the same digits: {}. Outside each pair is one, and \
         chats of two people would become one",
        examples.join(", ")
    )
}
