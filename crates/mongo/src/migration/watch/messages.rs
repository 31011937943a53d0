//! Messages that were written without a chat: they are pointed to the one of their sender and receiver, which is made if need be.

use mongodb::bson::Bson;

use super::super::{
    ChatsReport, MigrateError,
    from_messages::{Pair, Work},
};
use super::Watch;

/// How many documents one query names.
const IDS: usize = 1000;

impl Watch<'_> {
    /// What was cut off does not show in the stream again: the messages may be pointed already.
    pub(super) async fn finish_messages(&mut self) -> Result<(), MigrateError> {
        let (migrator, lease, run, control) = (self.migrator, self.lease, self.run, self.control);
        let mut work = Work { migrator, lease, run, control, report: ChatsReport::default() };
        work.finish_interrupted().await?;
        self.report.pointed += work.report.pointed;
        Ok(())
    }

    pub(super) async fn heal_messages(&mut self, ids: &[Bson]) -> Result<(), MigrateError> {
        let migrator = self.migrator;
        if !migrator.makes_chats {
            return Ok(());
        }
        for ids in ids.chunks(IDS) {
            let mut report = ChatsReport::default();
            let pairs: Vec<Pair> = migrator.unnamed_among(ids, &mut report).await?;
            if !pairs.is_empty() {
                migrator.ensure_guarded().await?;
            }
            let (lease, run, control) = (self.lease, self.run, self.control);
            let mut work = Work { migrator, lease, run, control, report };
            work.settle(pairs).await?;
            self.report.made += work.report.made;
            self.report.pointed += work.report.pointed;
            for example in &work.report.examples {
                self.control.note(example);
            }
        }
        Ok(())
    }
}
