//! What the rules have to know of the database: the unique indexes that rows of references are in.

use mongodb::bson::{Bson, Document, doc};
use onechat_migrate::MergeRules;

use super::super::{MigrateError, MongoMigrator, commands::persist};
use crate::error::{code, code_of};

impl MongoMigrator {
    /// The rules, with the unique indexes of each referenced collection.
    pub(super) async fn rules_with_facts(&self) -> Result<MergeRules, MigrateError> {
        let mut rules = self.rules.clone();
        for reference in &mut rules.references {
            let indexes = self.indexes_of(&reference.collection).await?;
            let unique = indexes.iter().filter(|index| index.get_bool("unique").unwrap_or(false));
            let others = unique.filter_map(|index| {
                let fields: Vec<String> = index.get_document("key").ok()?.keys().cloned().collect();
                let others: Vec<String> =
                    fields.iter().filter(|field| **field != reference.field).cloned().collect();
                (others.len() < fields.len()).then_some(others)
            });
            let others: Vec<Vec<String>> = others.collect();
            // What a sender has sent twice is folded, by a rule of its own.
            let is_folded = |others: &Vec<String>| {
                reference.messages.as_ref().is_some_and(|fields| {
                    others.len() == 2
                        && others.contains(&fields.sender)
                        && others.contains(&fields.client_message_id)
                })
            };
            reference.unique = others.into_iter().filter(|others| !is_folded(others)).collect();
        }
        Ok(rules)
    }

    async fn indexes_of(&self, collection: &str) -> Result<Vec<Document>, MigrateError> {
        let reply = persist(|| async {
            let list = doc! { "listIndexes": collection, "cursor": { "batchSize": 1000 } };
            match self.database.run_command(list).await {
                Err(error) if code_of(&error) == Some(code::NAMESPACE_NOT_FOUND) => Ok(Document::new()),
                other => other,
            }
        })
        .await?;
        let first = reply.get_document("cursor").and_then(|cursor| cursor.get_array("firstBatch"));
        let first = first.map(Vec::as_slice).unwrap_or_default();
        Ok(first.iter().filter_map(Bson::as_document).cloned().collect())
    }
}
