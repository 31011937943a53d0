//! Where a backfill that was cut off goes on: kept in its run, with what it had counted.

use mongodb::bson::{Bson, Document, doc};

use super::{
    super::{MigrateError, MongoMigrator, RunId, commands::persist, journal::RUNS},
    BackfillReport,
};
use crate::error::number;

/// The field of the run.
const FIELD: &str = "backfill";

impl MongoMigrator {
    /// The `_id` of the last chat that is done, and what was counted until then.
    pub(super) async fn checkpoint(
        &self,
        run: &RunId,
    ) -> Result<(Option<Bson>, BackfillReport), MigrateError> {
        let runs = self.database.collection::<Document>(RUNS);
        let found = persist(|| async { runs.find_one(doc! { "_id": run.0 }).await }).await?;
        let Some(noted) = found.and_then(|run| run.get_document(FIELD).ok().cloned()) else {
            return Ok((None, BackfillReport::default()));
        };
        let count = |name: &str| number(noted.get(name)).unwrap_or_default().unsigned_abs();
        let examples = noted.get_array("examples").map(Vec::as_slice).unwrap_or_default();
        let is_written = noted.get_bool("isWritten").unwrap_or(false);
        let report = BackfillReport {
            run: is_written.then(|| run.to_string()),
            examined: count("examined"),
            keyed: count("keyed"),
            corrected: count("corrected"),
            duplicates: count("duplicates"),
            ambiguous: count("ambiguous"),
            malformed: count("malformed"),
            examples: examples.iter().filter_map(Bson::as_str).map(str::to_owned).collect(),
        };
        Ok((noted.get("last").cloned(), report))
    }

    pub(super) async fn note_checkpoint(
        &self,
        run: &RunId,
        last: &Bson,
        report: &BackfillReport,
    ) -> Result<(), MigrateError> {
        let count = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let noted = doc! {
            "last": last.clone(),
            "isWritten": report.run.is_some(),
            "examined": count(report.examined),
            "keyed": count(report.keyed),
            "corrected": count(report.corrected),
            "duplicates": count(report.duplicates),
            "ambiguous": count(report.ambiguous),
            "malformed": count(report.malformed),
            "examples": &report.examples,
        };
        self.update_run(run, doc! { "$set": { FIELD: noted } }).await
    }

    /// The next backfill of the run looks at everything again.
    pub(super) async fn forget_checkpoint(&self, run: &RunId) -> Result<(), MigrateError> {
        self.update_run(run, doc! { "$unset": { FIELD: "" } }).await
    }

    async fn update_run(&self, run: &RunId, change: Document) -> Result<(), MigrateError> {
        self.write(doc! { "update": RUNS, "updates": [{ "q": { "_id": run.0 }, "u": change }] }).await?;
        Ok(())
    }
}
