//! The account of a run: nothing that was there is missing, but for what the journal names.
//!
//! Other programs write meanwhile, so sums before and after cannot be compared: the inventory keeps the ids themselves
//! (12 bytes for each row, in `onechat_inventory`), and the account looks for each of them. What is not there has to be
//! in the journal, as something that a merge has removed. Rows that came later are nobody's business here.

mod embedded;
mod inventory;
mod lineage;
mod made;
mod removed;
mod rows;

use futures_util::future::try_join_all;
use onechat_migrate::{Account, Control};
use serde::Serialize;

use self::{inventory::Compared, lineage::Lineage, removed::Removed};
use super::{Lease, MigrateError, MongoMigrator, RunId, journal::shown};

/// How many examples a report has.
const EXAMPLES: usize = 20;

/// The account of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct AccountReport {
    /// Whether nothing is missing.
    pub holds: bool,
    /// Collection by collection.
    pub accounts: Vec<Account>,
    /// Rows that are not where they should be, the first few, in words.
    pub missing: Vec<String>,
    /// How many of those there are.
    pub missing_count: u64,
}

impl AccountReport {
    fn miss(&mut self, what: impl FnOnce() -> String) {
        self.missing_count += 1;
        if self.missing.len() < EXAMPLES {
            self.missing.push(what());
        }
    }
}

impl MongoMigrator {
    /// Takes the inventory that the account begins with, unless the run has one already. Before anything is changed.
    pub async fn take_inventory(
        &self,
        lease: &Lease,
        run: &RunId,
        control: &dyn Control,
    ) -> Result<(), MigrateError> {
        if self.has_inventory(run).await? {
            return Ok(());
        }
        lease.check().await?;
        self.forget_inventory(run).await?;
        let collections = self.accounted();
        try_join_all(collections.iter().map(|collection| self.list(run, collection, control))).await?;
        self.complete_inventory(run).await
    }

    /// Compares the inventory, what the journal names, and what is there now. Reads only; may be repeated at any time.
    pub async fn account(&self, run: &RunId, control: &dyn Control) -> Result<AccountReport, MigrateError> {
        if !self.has_inventory(run).await? {
            return Err(MigrateError::Refused(format!(
                "the run {run} has no inventory: only a run that took one before it changed anything has an account"
            )));
        }
        let mut report = AccountReport::default();
        let mut removed = Removed::default();
        let mut suspects = Vec::new();
        let runs = self.runs_since(run).await?;
        let journal = async {
            for one in runs {
                let rows = (one == *run).then_some(&mut suspects);
                self.read_journal(&one, &mut removed, rows, &mut report, control).await?;
            }
            self.check_made(run, &mut suspects, &mut report, control).await?;
            Ok::<_, MigrateError>(())
        };
        let collections = self.accounted();
        let compared = collections.iter().map(|collection| self.compare(run, collection, control));
        let ((), compared) = futures_util::try_join!(Box::pin(journal), try_join_all(compared))?;
        for suspect in suspects {
            if !removed.has(&suspect.collection, &suspect.id) {
                report.miss(|| suspect.text);
            }
        }
        for Compared { mut account, absent } in compared {
            for id in absent {
                if removed.has(&account.collection, &id) {
                    inventory::add(&mut account.removed, inventory::checksum(&id));
                } else {
                    let collection = &account.collection;
                    report.miss(|| format!("{collection} {} is gone, and no merge removed it", shown(&id)));
                }
            }
            report.accounts.push(account);
        }
        let balanced = |account: &Account| inventory::sum(account.removed, account.after) == account.before;
        report.holds = report.missing_count == 0 && report.accounts.iter().all(balanced);
        Ok(report)
    }

    /// The collections whose rows are accounted for.
    fn accounted(&self) -> Vec<String> {
        let references = self.rules.references.iter().map(|reference| reference.collection.clone());
        let mut all: Vec<String> = references.chain([self.chats_name().to_owned()]).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}
