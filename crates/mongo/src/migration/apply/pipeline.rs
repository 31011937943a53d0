//! Batch after batch, with two of them under way.

use futures_util::{StreamExt as _, TryStreamExt as _};

use super::{
    super::MigrateError,
    MergeReport, STEPS, TRANSACTION, Wanted,
    batch::{Done, EditedRows, Work},
    ordered::Prepared,
};

/// How many transactions run side by side. What one of them changes under the other makes that start anew.
const TRANSACTIONS: usize = 2;

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
            Box::pin(self.side_by_side(next, advance)).await
        } else {
            Box::pin(self.one_ahead(next, advance)).await
        }
    }

    async fn side_by_side(
        &self,
        next: &mut Next<'_>,
        advance: &mut (dyn FnMut(u64) + Send),
    ) -> Result<MergeReport, MigrateError> {
        let batches = std::iter::from_fn(|| match next() {
            Ok(batch) if batch.is_empty() => None,
            batch => Some(batch),
        });
        let merges = futures_util::stream::iter(batches).map(|batch| async {
            let batch = batch?;
            let groups = batch.len() as u64;
            Ok::<_, MigrateError>((groups, self.merge(batch).await?))
        });
        let mut merges = std::pin::pin!(merges.buffer_unordered(TRANSACTIONS));
        let mut report = MergeReport::default();
        while let Some((groups, merged)) = merges.try_next().await? {
            report.add(merged);
            advance(groups);
        }
        Ok(report)
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
