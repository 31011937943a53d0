//! Statements of which none depends on another, on several connections.

use mongodb::bson::{Bson, Document, RawDocumentBuf, raw::cstr, rawdoc};
use onechat_core::StoreError;

use super::{
    super::{MigrateError, MongoMigrator, commands::persist},
    statements,
};
use crate::error::{code, number};

/// How many commands are sent side by side, and of how many statements each is worth it.
const LANES: usize = 3;
const FEW: usize = 100;

/// What came of statements.
#[derive(Default)]
pub(super) struct Sent {
    /// How many documents they were for.
    pub(super) matched: u64,
    /// Those that were refused, by their place.
    pub(super) refused: Vec<(usize, Refused)>,
}

#[derive(Clone, Copy)]
pub(super) enum Refused {
    /// A unique index has what it would become.
    Taken,
    /// The document is not what it was: see [`statements::replace_or_fail`].
    Changed,
}

impl MongoMigrator {
    /// Carries out statements of which none depends on another, on several connections.
    pub(super) async fn send(
        &self,
        verb: &str,
        collection: &str,
        statements: Vec<RawDocumentBuf>,
    ) -> Result<Sent, MigrateError> {
        let part = statements.len().div_ceil(LANES).max(FEW);
        let mut rest = statements;
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let after = rest.split_off(part.min(rest.len()));
            parts.push(std::mem::replace(&mut rest, after));
        }
        let parts = parts.into_iter().map(|part| self.send_in_order(verb, collection, part));
        let mut sent = Sent::default();
        // All of them come to an end before an error of one does anything.
        for (lane, of_part) in futures_util::future::join_all(parts).await.into_iter().enumerate() {
            let of_part = of_part?;
            sent.matched += of_part.matched;
            sent.refused.extend(of_part.refused.into_iter().map(|(at, why)| (lane * part + at, why)));
        }
        Ok(sent)
    }

    /// Carries statements out, one after the other, each for itself.
    pub(super) async fn send_in_order(
        &self,
        verb: &str,
        collection: &str,
        statements: Vec<RawDocumentBuf>,
    ) -> Result<Sent, MigrateError> {
        let (mut sent, mut first) = (Sent::default(), 0);
        for (mut command, count) in statements::commands(verb, collection, statements) {
            command.append(cstr!("ordered"), false);
            command.append(cstr!("writeConcern"), rawdoc! { "w": "majority", "j": true });
            let reply: Document =
                persist(|| async { self.database.run_raw_command(command.clone()).await }).await?;
            sent.matched += number(reply.get("n")).unwrap_or_default().unsigned_abs();
            let errors = reply.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
            for error in errors.iter().filter_map(Bson::as_document) {
                let index = number(error.get("index")).and_then(|index| usize::try_from(index).ok());
                let index = index.filter(|index| *index < count).ok_or_else(|| {
                    StoreError::Corrupt(format!("{collection} refuses a statement that was not sent"))
                })?;
                let refused = match number(error.get("code")).and_then(|code| i32::try_from(code).ok()) {
                    Some(code::DUPLICATE_KEY) => Refused::Taken,
                    Some(code::CONVERSION_FAILURE) => Refused::Changed,
                    _ => {
                        let why = error.get_str("errmsg").unwrap_or_default();
                        return Err(MigrateError::Refused(format!("{collection} refuses a change: {why}")));
                    }
                };
                sent.refused.push((first + index, refused));
            }
            first += count;
        }
        Ok(sent)
    }
}
