//! Messages that name no chat are pointed to theirs.

use mongodb::bson::{Bson, Document, doc};
use onechat_core::StoreError;

use super::{
    super::{
        MigrateError,
        journal::{Pointed, shown},
    },
    as_seen,
    write::Work,
};
use crate::{
    error::{code, number},
    index::simple_document,
};

impl Work<'_> {
    /// Points messages that name no chat still.
    pub(super) async fn point(&mut self, rows: &[Pointed]) -> Result<(), MigrateError> {
        let mut statements: Vec<(&Bson, bool, &[Bson])> = Vec::new();
        for row in rows {
            let parts = [(false, &row.absent), (true, &row.null)];
            let parts = parts.into_iter().filter(|(_, ids)| !ids.is_empty());
            statements.extend(parts.map(|(is_null, ids)| (&row.to, is_null, ids.as_slice())));
        }
        if statements.is_empty() {
            return Ok(());
        }
        let (pointed, refused) = self.point_by(&statements).await?;
        self.report.pointed += pointed;
        // A unique index stops a statement at the first message that it refuses.
        for statement in refused {
            let (to, is_null, ids) = statements[statement];
            for id in ids {
                let (pointed, refused) = self.point_by(&[(to, is_null, std::slice::from_ref(id))]).await?;
                self.report.pointed += pointed;
                if !refused.is_empty() {
                    self.report.block(1, || {
                        format!(
                            "message {} cannot name the chat {}: a unique index holds its values there already",
                            shown(id),
                            shown(to)
                        )
                    });
                }
            }
        }
        Ok(())
    }

    /// How many were pointed, and which statements a unique index has stopped.
    async fn point_by(
        &self,
        statements: &[(&Bson, bool, &[Bson])],
    ) -> Result<(u64, Vec<usize>), MigrateError> {
        let mapping = self.migrator.codec.mapping();
        let (messages, chat) = (&mapping.messages, &mapping.message_fields.chat);
        let updates = statements.iter().map(|(to, is_null, ids)| {
            let as_seen = as_seen(is_null.then_some(&Bson::Null));
            doc! {
                "q": { "_id": { "$in": ids.to_vec() }, chat: as_seen },
                "u": { "$set": { chat: (*to).clone() } },
                "multi": true,
                "collation": simple_document(),
            }
        });
        let updates: Vec<Document> = updates.collect();
        let reply =
            self.migrator.write(doc! { "update": messages, "updates": updates, "ordered": false }).await?;
        let mut refused = Vec::new();
        for error in reply.get_array("writeErrors").into_iter().flatten().filter_map(Bson::as_document) {
            let why = error.get_str("errmsg").unwrap_or_default();
            let index = number(error.get("index")).and_then(|index| usize::try_from(index).ok());
            match (number(error.get("code")), index) {
                (Some(number), Some(index)) if number == i64::from(code::DUPLICATE_KEY) => {
                    refused.push(index);
                }
                (Some(number), _) if number == i64::from(code::DOCUMENT_VALIDATION_FAILURE) => {
                    return Err(MigrateError::Refused(format!(
                        "the validator of {messages} forbids messages that name their chat in {chat}: allow that field"
                    )));
                }
                _ => return Err(StoreError::Unavailable(format!("{messages}: {why}")).into()),
            }
        }
        Ok((number(reply.get("nModified")).unwrap_or_default().unsigned_abs(), refused))
    }
}
