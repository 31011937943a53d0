//! Makes the chats of messages that name none, but say from whom and to whom they are, and points the messages there.
//!
//! Every change is in the journal before it is made, and is made on the condition that nobody was faster: the unique index
//! decides who makes a chat, and a message is pointed only while it names none. So servers and old backends may write all
//! the while, and what was cut off is done again from what is there.

mod chats;
mod pairs;
mod point;
mod raise;
mod survey;
mod write;

use mongodb::bson::{Bson, Document, doc};
use onechat_migrate::Control;
use serde::Serialize;

pub(super) use self::{pairs::Pair, survey::Unnamed, write::Work};
use super::{Lease, MigrateError, MongoMigrator, RunId};

/// What progress is told under.
const STEP: &str = "chats";
/// How many passes look for messages that others wrote during the pass before.
const MOST_PASSES: u32 = 3;
/// How many examples a report has.
const EXAMPLES: usize = 10;

/// What came, or would come, of messages that name no chat.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ChatsReport {
    /// Chats that were made.
    pub made: u64,
    /// Messages that name the chat of their sender and receiver now.
    pub pointed: u64,
    /// Messages that cannot name their chat: another chat has its key, or a unique index of the messages is in the way.
    pub blocked: u64,
    /// Messages to their own sender: left as they are.
    pub to_oneself: u64,
    /// Messages to nobody: left as they are.
    pub without_receiver: u64,
    /// Messages whose sender, receiver or context cannot be read: left as they are.
    pub unreadable: u64,
    /// The first few of those that cannot be read or are blocked, in words.
    pub examples: Vec<String>,
}

impl ChatsReport {
    /// Messages that are left as they are.
    pub fn left(&self) -> u64 {
        self.to_oneself + self.without_receiver + self.unreadable
    }

    /// What one more pass has found: what was done is added up, what is left is what is left now.
    fn begin_pass(&mut self, unnamed: &Unnamed) {
        let (made, pointed) = (self.made, self.pointed);
        *self = Self { made, pointed, ..unnamed.left.clone() };
    }

    fn block(&mut self, messages: usize, why: impl FnOnce() -> String) {
        self.blocked += messages as u64;
        self.example(why);
    }

    fn example(&mut self, text: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(text());
        }
    }
}

impl MongoMigrator {
    /// Makes the chats of messages that name none, each for its sender and receiver.
    #[must_use]
    pub fn making_chats(self, makes: bool) -> Self {
        Self { makes_chats: makes, ..self }
    }

    /// Makes the chats that messages are missing and points the messages there, until a pass finds none that can be pointed.
    /// Finishes first what an earlier run was cut off in. Does nothing if the configuration does not ask for it.
    pub async fn make_chats(
        &self,
        lease: &Lease,
        run: &RunId,
        control: &dyn Control,
    ) -> Result<ChatsReport, MigrateError> {
        if !self.makes_chats {
            return Ok(ChatsReport::default());
        }
        self.ensure_outside_keys_may_be_taken().await?;
        self.ensure_keys_are_ours().await?;
        self.seal(lease, run, control).await?;
        self.ensure_guarded().await?;
        let mut work = Work { migrator: self, lease, run, control, report: ChatsReport::default() };
        work.finish_interrupted().await?;
        for _ in 0..MOST_PASSES {
            let unnamed = self.unnamed(control).await?;
            let before = work.report.pointed;
            work.report.begin_pass(&unnamed);
            let (total, mut done) = (unnamed.messages, 0);
            for batch in unnamed.batches() {
                let batch = batch?;
                done += batch.iter().map(|pair| pair.rows.len() as u64).sum::<u64>();
                work.settle(batch).await?;
                control.advance(STEP, done, total);
            }
            if work.report.pointed == before {
                break;
            }
        }
        // Messages without a chat may have been in the way of an index that servers need.
        if work.report.pointed > 0 {
            self.build_for_servers(lease, &self.indexes(), control).await?;
        }
        Ok(work.report)
    }

    /// What [`MongoMigrator::make_chats`] would do; nothing if it is not asked for. Reads only. Refused if the configuration
    /// cannot be meant: nobody is named by the fields, or new chats would be outside `only`.
    pub async fn would_make_chats(&self, control: &dyn Control) -> Result<Option<ChatsReport>, MigrateError> {
        if !self.makes_chats {
            return Ok(None);
        }
        let unnamed = self.unnamed(control).await?;
        let mut report = unnamed.left.clone();
        let (total, mut done) = (unnamed.messages, 0);
        for batch in unnamed.batches() {
            let batch = batch?;
            if done == 0 {
                self.ensure_new_chats_are_inside(&batch).await?;
            }
            done += batch.iter().map(|pair| pair.rows.len() as u64).sum::<u64>();
            self.forecast_chats(&batch, &mut report).await?;
            control.pace(0).await?;
            control.advance(STEP, done, total);
        }
        Ok(Some(report))
    }

    /// Without an index that keeps duplicates out, a server could make the same chat at the same time.
    pub(super) async fn ensure_guarded(&self) -> Result<(), MigrateError> {
        if self.indexes().on_the_key().await?.keeps_out().is_some() {
            return Ok(());
        }
        Err(MigrateError::Refused(format!(
            "nothing keeps duplicates out of {} yet: `onechat guard on` first, or `onechat migrate`, which does it",
            self.chats_name()
        )))
    }
}

/// What matches a field that is as it was seen.
pub(in crate::migration) fn as_seen(value: Option<&Bson>) -> Document {
    match value {
        None => doc! { "$exists": false },
        Some(Bson::Null) => doc! { "$type": "null" },
        Some(other) => doc! { "$eq": other.clone() },
    }
}
