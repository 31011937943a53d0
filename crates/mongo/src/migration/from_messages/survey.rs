//! One pass over the messages that name no chat, which brings those of one sender and receiver together.

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use mongodb::bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use onechat_core::ChatIdentity;
use onechat_migrate::{Control, time_of};

use super::{
    super::{
        MigrateError, MongoMigrator,
        commands::persist,
        journal::shown,
        survey::{Forms, Pass, Spill, Spilled, in_words, text},
    },
    ChatsReport,
    pairs::{Batches, Pair, Row},
};
use crate::codec::{Unaddressed, field};

/// Messages that name no chat.
pub(in crate::migration) struct Unnamed {
    groups: Spilled,
    /// How many of them say whose chat they are in.
    pub(in crate::migration) messages: u64,
    /// What is left as it is.
    pub(super) left: ChatsReport,
}

impl Unnamed {
    pub(super) fn batches(&self) -> Batches {
        Batches::new(self.groups.groups())
    }
}

impl MongoMigrator {
    /// All messages that name no chat, by their sender and receiver. Reads only.
    ///
    /// Refused if hardly any says whose chat it is in, or if one text stands for two people.
    pub(super) async fn unnamed(&self, control: &dyn Control) -> Result<Unnamed, MigrateError> {
        let (mut spill, mut forms) = (Spill::new(), Forms::default());
        let (mut messages, mut left) = (0, ChatsReport::default());
        let names = &self.codec.mapping().message_fields;
        let unnamed = doc! { &names.chat: Bson::Null };
        let collection = &self.codec.mapping().messages;
        let mut pass = Pass::over_some(&self.database, collection, unnamed, self.address_and_time()).await?;
        while pass.advance().await? {
            let message = pass.document();
            if let Some((row, whose)) = self.addressed(message) {
                self.codec.each_name_of_message(message, |_, value| forms.see(value));
                match whose {
                    Ok(identity) => {
                        messages += 1;
                        row.add_to(&mut spill, &identity, message)?;
                    }
                    Err(why) => left.leave(&row, why),
                }
            }
            if let Some((done, total)) = pass.milestone() {
                control.pace(0).await?;
                control.advance("messages without a chat", done, total);
            }
        }
        self.ensure_addressed(messages, &left).await?;
        let twofold = forms.twofold_in_messages(&self.database, &self.codec).await?;
        if !twofold.is_empty() {
            return Err(MigrateError::Refused(in_words(&twofold)));
        }
        Ok(Unnamed { groups: spill.finish(), messages, left })
    }

    /// The same of some messages.
    pub(in crate::migration) async fn unnamed_among(
        &self,
        ids: &[Bson],
        report: &mut ChatsReport,
    ) -> Result<Vec<Pair>, MigrateError> {
        let mapping = self.codec.mapping();
        let rows = self.database.collection::<RawDocumentBuf>(&mapping.messages);
        let filter = doc! { "_id": { "$in": ids }, &mapping.message_fields.chat: Bson::Null };
        let found: Vec<RawDocumentBuf> = persist(|| async {
            rows.find(filter.clone()).projection(self.address_and_time()).await?.try_collect().await
        })
        .await?;
        let mut pairs: BTreeMap<String, (ChatIdentity, Vec<Row>)> = BTreeMap::new();
        for message in &found {
            match self.addressed(message) {
                None => {}
                Some((row, Ok(identity))) => {
                    pairs.entry(text(&identity)).or_insert_with(|| (identity, Vec::new())).1.push(row);
                }
                Some((row, Err(why))) => report.leave(&row, why),
            }
        }
        Ok(pairs.into_values().map(|(identity, rows)| Pair::new(identity, rows)).collect())
    }

    fn address_and_time(&self) -> Document {
        let time = self.codec.mapping().message_fields.created_at.as_str();
        let fields = self.codec.fields_of_address().chain([time]);
        fields.map(|name| (name.to_owned(), Bson::Int32(1))).collect()
    }

    /// A message that names no chat, and whose chat it is in.
    fn addressed(&self, message: &RawDocument) -> Option<(Row, Result<ChatIdentity, Unaddressed>)> {
        let names = &self.codec.mapping().message_fields;
        let at = field(message, &names.created_at).and_then(time_of);
        let at = at.or_else(|| Some(field(message, "_id")?.as_object_id()?.timestamp()));
        let at = at.map(mongodb::bson::DateTime::timestamp_millis);
        let row = Row::of(message, field(message, &names.chat), at)?;
        Some((row, self.codec.identity_of_message(message)))
    }

    /// Most of them can be read: otherwise the configuration names other fields than the messages have. What is left over where
    /// others were read says nothing.
    async fn ensure_addressed(&self, messages: u64, left: &ChatsReport) -> Result<(), MigrateError> {
        let all = messages + left.left();
        let is_sound = 2 * left.unreadable <= all && (all == 0 || left.without_receiver < all);
        if is_sound || self.has_addressed().await? {
            return Ok(());
        }
        let names = &self.codec.mapping().message_fields;
        let receiver = names.receiver.as_deref().unwrap_or_default();
        let examples = left.examples.iter().take(3).fold(String::new(), |text, one| format!("{text}; {one}"));
        Err(MigrateError::Refused(format!(
            "of {all} messages in {} that name no chat, {} have nobody in {receiver} and {} cannot be read{examples}. The \
             configuration does not fit: `receiver` and `sender` in [mongodb.message_fields] say where messages have them, \
             and `participants` in [mongodb] how people are written. Nothing was changed.",
            self.codec.mapping().messages,
            left.without_receiver,
            left.unreadable
        )))
    }

    /// Whether any message names its chat and somebody to whom it is.
    async fn has_addressed(&self) -> Result<bool, MigrateError> {
        let mapping = self.codec.mapping();
        let Some(receiver) = &mapping.message_fields.receiver else { return Ok(false) };
        let rows = self.database.collection::<RawDocumentBuf>(&mapping.messages);
        let not_null = || doc! { "$ne": Bson::Null };
        let filter = doc! { &mapping.message_fields.chat: not_null(), receiver: not_null() };
        let found = persist(|| async { rows.find_one(filter.clone()).projection(doc! { "_id": 1 }).await });
        Ok(found.await?.is_some())
    }
}

impl ChatsReport {
    fn leave(&mut self, row: &Row, why: Unaddressed) {
        match why {
            Unaddressed::NoReceiver => self.without_receiver += 1,
            Unaddressed::ToOneself => self.to_oneself += 1,
            Unaddressed::Unreadable(why) => {
                self.unreadable += 1;
                self.example(|| format!("message {}: {why}", shown(&row.id)));
            }
        }
    }
}
