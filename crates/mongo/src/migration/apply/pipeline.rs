//! Batch after batch; without transactions the next is read while one is written.

use super::{
    super::MigrateError,
    MergeReport, STEPS, TRANSACTION, Wanted,
    batch::{Done, EditedRows, Work},
    ordered::Prepared,
};

/// So many groups that wait for each other have a row in common that many change: only one of them can be merged at a time,
/// and all the others should not be read again for it.
const MANY_POSTPONED: usize = STEPS.groups / 4;

/// Gives the next batch; an empty one is the end.
pub(super) type Next<'a> = dyn FnMut() -> Result<Vec<Wanted>, MigrateError> + Send + 'a;

impl Work<'_> {
    /// Merges all that there is. `advance` is told of how many more groups were seen to.
    pub(super) async fn merge_all(
        &self,
        next: &mut Next<'_>,
        advance: &mut (dyn FnMut(u64) + Send),
    ) -> Result<MergeReport, MigrateError> {
        if self.migrator.is_replicated {
            Box::pin(self.one_by_one(next, advance)).await
        } else {
            Box::pin(self.one_ahead(next, advance)).await
        }
    }

    /// Of two transactions at a time one would fail at once: each writes to the fence of the lease.
    async fn one_by_one(
        &self,
        next: &mut Next<'_>,
        advance: &mut (dyn FnMut(u64) + Send),
    ) -> Result<MergeReport, MigrateError> {
        let mut report = MergeReport::default();
        loop {
            let batch = next()?;
            if batch.is_empty() {
                return Ok(report);
            }
            let groups = batch.len() as u64;
            report.add(self.merge(batch).await?);
            advance(groups);
        }
    }

    /// Reads, plans and journals a batch while the one before it is written. A row that both change by itself would be planned from
    /// what it is no more: such groups go to the batch after. Those that cannot be merged together with others wait until
    /// nothing is under way.
    async fn one_ahead(
        &self,
        next: &mut Next<'_>,
        advance: &mut (dyn FnMut(u64) + Send),
    ) -> Result<MergeReport, MigrateError> {
        let (mut report, mut ready) = (MergeReport::default(), None);
        let (mut postponed, mut alone) = (Vec::new(), Vec::new());
        loop {
            let mut batch = std::mem::take(&mut postponed);
            if batch.len() < STEPS.groups && alone.len() < STEPS.groups {
                let more = next()?;
                advance(more.len() as u64);
                batch.extend(more);
            }
            if batch.is_empty() && ready.is_none() {
                if alone.is_empty() {
                    return Ok(report);
                }
                for batch in std::mem::take(&mut alone).chunks(TRANSACTION.groups) {
                    report.add(self.merge(batch.to_vec()).await?);
                }
                continue;
            }
            let (prepared, busy) = ready.take().unzip();
            let busy = busy.unwrap_or_default();
            let written = self.write_ready(prepared, &mut report);
            let (written, prepared) = futures_util::join!(written, self.read_ahead(&batch, &busy));
            match written {
                Ok(Done::All(again)) if again.len() < MANY_POSTPONED => postponed.extend(again),
                Ok(Done::All(again) | Done::Spared(again)) => alone.extend(again),
                Ok(Done::TooMuch | Done::Conflict | Done::Clash(_)) => {}
                Err(stopped @ MigrateError::Stopped(_)) => {
                    // What is in the journal is not left half done.
                    if let Ok(Some((prepared, _))) = prepared {
                        self.carry(prepared, &mut report).await?;
                    }
                    return Err(stopped);
                }
                Err(error) => return Err(error),
            }
            match prepared? {
                Some(prepared) => ready = Some(prepared),
                None => alone.extend(batch),
            }
        }
    }

    async fn write_ready(
        &self,
        ready: Option<Prepared>,
        report: &mut MergeReport,
    ) -> Result<Done, MigrateError> {
        let Some(ready) = ready else { return Ok(Done::All(Vec::new())) };
        let before = report.rows();
        let done = self.carry(ready, report).await?;
        self.pace_rows(report.rows() - before).await?;
        Ok(done)
    }

    /// Nothing if the batch cannot be merged as a whole. A group by itself may have very many rows, which are pointed ahead.
    async fn read_ahead(
        &self,
        batch: &[Wanted],
        busy: &EditedRows,
    ) -> Result<Option<(Prepared, EditedRows)>, MigrateError> {
        if batch.len() < 2 {
            return Ok(None);
        }
        let chats: usize = batch.iter().map(|wanted| wanted.ids.len()).sum();
        self.control.pace(chats as u64).await?;
        Ok(self.prepare(batch, busy).await?.ok())
    }
}
