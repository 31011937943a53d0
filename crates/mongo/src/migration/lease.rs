//! One run at a time: a lease in the database, with a fencing number that every batch of writes checks.
//!
//! `onechat_lease` has two documents for each collection of chats:
//!
//! ```text
//! { _id: "chats", holder: "merge apply on host, process 123", token: ObjectId, fence: Int64, beat: Date }
//! { _id: "chats:fence", fence: Int64, uses: Int64 }
//! ```
//!
//! `beat` is the server's time, so that no clock of ours matters; a released lease has no `token`. Whoever takes the
//! lease raises `fence` in both. Every transaction of a run updates the second document on the condition that the
//! number is still its own: one of a holder that was taken for dead cannot commit any more, however late it wakes up.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use mongodb::{
    Database,
    bson::{DateTime, Document, doc, oid::ObjectId},
    error::Error,
};
use tokio::{
    task::AbortHandle,
    time::{Instant, sleep, timeout},
};

use super::{
    MigrateError, MongoMigrator,
    commands::{may_pass, persist, write},
};
use crate::error::{number, reason};

/// The collection of leases.
pub(super) const LEASES: &str = "onechat_lease";
/// How long after its last beat a lease may be taken over.
const LIFETIME: Duration = Duration::from_secs(5);
/// How often the holder says that it lives.
const BEAT: Duration = Duration::from_secs(1);
/// How often a newcomer looks again.
const LOOK: Duration = Duration::from_millis(250);

/// The right to write, renewed in the background until it is dropped.
pub struct Lease {
    pub(crate) fence: i64,
    database: Database,
    chats: String,
    token: ObjectId,
    orders: AtomicI64,
    started: (DateTime, Instant),
    is_lost: Arc<AtomicBool>,
    renewal: AbortHandle,
}

impl Lease {
    /// Gives the right back, so that the next run need not wait.
    pub async fn release(self) -> Result<(), MigrateError> {
        self.renewal.abort();
        let update = doc! {
            "q": { "_id": &self.chats, "token": self.token }, "u": { "$unset": { "token": "", "beat": "" } },
        };
        write(&self.database, doc! { "update": LEASES, "updates": [update] }).await?;
        Ok(())
    }

    /// An error if another run is known to have taken over. What has no transaction asks before each batch.
    pub(super) async fn check(&self) -> Result<(), MigrateError> {
        if self.is_lost.load(Ordering::Relaxed) {
            return Err(MigrateError::LeaseLost);
        }
        let reply = write(&self.database, self.fence_check()).await?;
        self.read_check(&reply)
    }

    /// The command that fails to match once another run has taken over; part of every transaction.
    pub(super) fn fence_check(&self) -> Document {
        let update = doc! {
            "q": { "_id": fence_name(&self.chats), "fence": self.fence }, "u": { "$inc": { "uses": 1_i64 } },
        };
        doc! { "update": LEASES, "updates": [update] }
    }

    /// What the reply to [`Lease::fence_check`] says.
    pub(super) fn read_check(&self, reply: &Document) -> Result<(), MigrateError> {
        if number(reply.get("n")) == Some(1) {
            return Ok(());
        }
        self.is_lost.store(true, Ordering::Relaxed);
        Err(MigrateError::LeaseLost)
    }

    /// The number of the next entry of the journal: larger than all before, those of earlier holders included.
    pub(super) fn next_order(&self) -> i64 {
        (self.fence << 32) + self.orders.fetch_add(1, Ordering::Relaxed)
    }

    /// The server's time, about.
    pub(super) fn now(&self) -> DateTime {
        let (at, then) = self.started;
        let elapsed = i64::try_from(then.elapsed().as_millis()).unwrap_or_default();
        DateTime::from_millis(at.timestamp_millis().saturating_add(elapsed))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

impl MongoMigrator {
    /// Takes the lease. One that a killed run has left is waited out, a few seconds; one that is renewed meanwhile is an error
    /// that says who has it. `what` is the command, for others to read.
    pub async fn lease(&self, what: &str) -> Result<Lease, MigrateError> {
        let token = ObjectId::new();
        let mut first = None;
        loop {
            if let Some(taken) = self.take(what, token).await? {
                return self.hold(token, &taken).await;
            }
            let Some(seen) = self.seen().await? else { continue };
            let first = first.get_or_insert_with(|| seen.clone());
            if first.token != seen.token || first.beat != seen.beat {
                let seconds_ago = u64::try_from(seen.age_ms / 1000).unwrap_or_default();
                return Err(MigrateError::Leased { holder: seen.holder, seconds_ago });
            }
            sleep(LOOK).await;
        }
    }

    /// Takes a lease that nobody has, or whose holder has not been heard of for long enough.
    async fn take(&self, what: &str, token: ObjectId) -> Result<Option<Document>, MigrateError> {
        let chats = self.chats_name();
        let lifetime = i64::try_from(LIFETIME.as_millis()).unwrap_or(i64::MAX);
        let is_over = doc! { "$or": [
            { "$eq": [{ "$type": "$token" }, "missing"] },
            // Ours already: an answer was lost.
            { "$eq": ["$token", token] },
            { "$lt": [{ "$add": ["$beat", lifetime] }, "$$NOW"] },
        ] };
        let fence = doc! { "$cond": [
            { "$eq": ["$token", token] },
            "$fence",
            { "$add": [{ "$ifNull": ["$fence", 0_i64] }, 1_i64] },
        ] };
        let update = vec![doc! { "$set": {
            "holder": { "$literal": format!("{what} {}", whereabouts()) }, "token": token, "fence": fence, "beat": "$$NOW",
        } }];
        // An upsert by such a query is not allowed: there has to be one that nobody has.
        let unheld = doc! {
            "q": { "_id": chats }, "u": { "$setOnInsert": { "fence": 0_i64 } }, "upsert": true,
        };
        self.write(doc! { "update": LEASES, "updates": [unheld] }).await?;
        let command = doc! {
            "findAndModify": LEASES,
            "query": { "_id": chats, "$expr": is_over },
            "update": update,
            "new": true,
            "writeConcern": { "w": "majority", "j": true },
        };
        let taken = persist(|| async { self.database.run_command(command.clone()).await }).await?;
        Ok(taken.get_document("value").ok().cloned())
    }

    /// Raises the fence and goes on renewing.
    async fn hold(&self, token: ObjectId, taken: &Document) -> Result<Lease, MigrateError> {
        let chats = self.chats_name().to_owned();
        let (Some(fence), Ok(now)) = (number(taken.get("fence")), taken.get_datetime("beat")) else {
            return Err(MigrateError::Refused(format!(
                "what {LEASES} says of {chats} cannot be understood; use a newer onechat"
            )));
        };
        let update = doc! {
            "q": { "_id": fence_name(&chats) }, "u": { "$max": { "fence": fence } }, "upsert": true,
        };
        self.write(doc! { "update": LEASES, "updates": [update] }).await?;
        let is_lost = Arc::new(AtomicBool::new(false));
        let renewal = tokio::spawn(renew(self.database.clone(), chats.clone(), token, Arc::clone(&is_lost)));
        Ok(Lease {
            fence,
            database: self.database.clone(),
            chats,
            token,
            orders: AtomicI64::new(0),
            started: (*now, Instant::now()),
            is_lost,
            renewal: renewal.abort_handle(),
        })
    }

    async fn seen(&self) -> Result<Option<Seen>, MigrateError> {
        let stages = vec![
            doc! { "$match": { "_id": self.chats_name() } },
            doc! { "$set": { "age": { "$subtract": ["$$NOW", "$beat"] } } },
        ];
        let leases = self.database.collection::<Document>(LEASES);
        let mut found = persist(|| async {
            let mut cursor = leases.aggregate(stages.clone()).await?;
            let found = if cursor.advance().await? { Some(cursor.deserialize_current()?) } else { None };
            Ok::<_, Error>(found)
        })
        .await?;
        Ok(found.take().map(|found| Seen {
            holder: found.get_str("holder").unwrap_or_default().to_owned(),
            token: found.get_object_id("token").ok(),
            beat: found.get_datetime("beat").ok().copied(),
            age_ms: number(found.get("age")).unwrap_or_default(),
        }))
    }
}

/// The lease as another run sees it.
#[derive(Clone)]
struct Seen {
    holder: String,
    token: Option<ObjectId>,
    beat: Option<DateTime>,
    age_ms: i64,
}

fn fence_name(chats: &str) -> String {
    format!("{chats}:fence")
}

fn whereabouts() -> String {
    let names = rustix::system::uname();
    format!("on {}, process {}", names.nodename().to_string_lossy(), std::process::id())
}

/// Says each second that the run lives. While no primary answers, nobody else can take over either, so it is tried
/// until one does; that another has taken over meanwhile shows then.
async fn renew(database: Database, chats: String, token: ObjectId, is_lost: Arc<AtomicBool>) {
    let update = doc! {
        "q": { "_id": &chats, "token": token }, "u": [{ "$set": { "beat": "$$NOW" } }],
    };
    let command = doc! {
        "update": LEASES, "updates": [update], "writeConcern": { "w": "majority", "j": true },
    };
    loop {
        sleep(BEAT).await;
        let renewed = timeout(LIFETIME / 2, database.run_command(command.clone()).into_future()).await;
        let Ok(renewed) = renewed else {
            tracing::warn!(event = "not_renewed", "the lease was not renewed: no answer in time");
            continue;
        };
        match renewed {
            Ok(reply) if number(reply.get("n")) == Some(0) => {
                tracing::error!(event = "lease_lost", "another run has taken over");
                return is_lost.store(true, Ordering::Relaxed);
            }
            Ok(_) => {}
            Err(error) => {
                let passes = may_pass(&error);
                tracing::warn!(
                    event = "not_renewed",
                    passes,
                    reason = reason(&error),
                    "the lease was not renewed"
                );
            }
        }
    }
}
