//! The one thread that writes. What has queued up while a commit was on its way shares the next one.
//!
//! There is no timer: a lone write is committed at once. A caller hears of its write only after the commit that
//! holds it. This file knows nothing of chats; the SQL is in `writes.rs`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use onechat_core::StoreError;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use crate::{
    error::{is_fatal, store_error},
    metrics::Metrics,
    readers::Readers,
};

/// More than this in one transaction makes the first callers wait without making the last ones faster.
const MAX_BATCH: usize = 512;

/// At most one failed transaction is logged in this time.
const LOG_PAUSE: Duration = Duration::from_secs(1);

pub(crate) struct Writer {
    queue: Option<SyncSender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    metrics: Metrics,
    failing: Arc<AtomicBool>,
}

impl Writer {
    /// Starts the thread; at most `capacity` writes wait for it.
    pub(crate) fn start(
        connection: Connection,
        readers: Arc<Readers>,
        capacity: usize,
        metrics: Metrics,
    ) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(capacity);
        let failing = Arc::new(AtomicBool::new(false));
        let state = Thread {
            readers,
            connection,
            metrics: metrics.clone(),
            failing: Arc::clone(&failing),
            logged: None,
            not_logged: 0,
        };
        let thread =
            std::thread::Builder::new().name("onechat-writer".to_owned()).spawn(move || state.run(&jobs))?;
        Ok(Self { queue: Some(queue), thread: Some(thread), metrics, failing })
    }

    /// Runs `work` in a transaction, and answers when that is on the disk.
    ///
    /// `work` may run twice, the first time in a transaction that is rolled back.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Work { run: work, done: None, reply });
        let stopped = || StoreError::Unavailable("the store's writer has stopped".to_owned());
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        self.metrics.queue_depth.inc();
        queue.try_send(job).map_err(|error| {
            self.metrics.queue_depth.dec();
            match error {
                TrySendError::Full(_) => StoreError::Overloaded,
                TrySendError::Disconnected(_) => stopped(),
            }
        })?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Whether the last transaction failed, so that the next write is in doubt.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }
}

impl Drop for Writer {
    /// Finishes what was accepted.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A write that waits, whatever its answer is.
trait Job: Send {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

struct Work<F, T> {
    run: F,
    done: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<F, T> Job for Work<F, T>
where
    F: FnMut(&Connection) -> rusqlite::Result<T> + Send,
    T: Send,
{
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.done = Some((self.run)(connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Self { done, reply, .. } = *self;
        let not_run = || StoreError::Unavailable("the write was not run".to_owned());
        let answer = committed.and_then(|()| done.ok_or_else(not_run));
        // A caller that has gone away needs no answer; what it asked for is stored all the same.
        let _ = reply.send(answer);
    }
}

struct Thread {
    // Before the writer's connection, which has to be the last to close: see `SqliteChatStore`.
    readers: Arc<Readers>,
    connection: Connection,
    metrics: Metrics,
    failing: Arc<AtomicBool>,
    /// When a failed transaction was last logged, and how many have failed since.
    logged: Option<Instant>,
    not_logged: u64,
}

impl Thread {
    fn run(mut self, jobs: &Receiver<Box<dyn Job>>) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        while let Ok(first) = jobs.recv() {
            batch.push(first);
            batch.extend(jobs.try_iter().take(MAX_BATCH - 1));
            self.settle(&mut batch);
        }
    }

    fn settle(&mut self, batch: &mut Vec<Box<dyn Job>>) {
        match self.commit(batch) {
            Ok(()) => self.answer(batch, &Ok(())),
            // One bad statement must not take the others with it: each gets a transaction of its own.
            Err(error) if batch.len() > 1 && !is_fatal(&error) => {
                for job in batch.drain(..) {
                    let mut alone = vec![job];
                    let committed = self.commit(&mut alone).map_err(|error| store_error(&error));
                    self.answer(&mut alone, &committed);
                }
            }
            Err(error) => self.answer(batch, &Err(store_error(&error))),
        }
    }

    /// All of `batch` in one transaction, or nothing of it.
    fn commit(&mut self, batch: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
        let result = self.transaction(batch);
        self.failing.store(result.is_err(), Ordering::Relaxed);
        if let Err(error) = &result {
            self.log_failure(batch.len(), error);
        }
        result
    }

    /// A full disk fails every write for as long as it is full, and the log may lie on the same disk.
    fn log_failure(&mut self, writes: usize, error: &rusqlite::Error) {
        let now = Instant::now();
        if self.logged.is_some_and(|last| now.duration_since(last) < LOG_PAUSE) {
            self.not_logged += 1;
            return;
        }
        self.logged = Some(now);
        let not_logged = std::mem::take(&mut self.not_logged);
        tracing::error!(event = "commit_failed", writes, not_logged, %error, "a transaction failed");
    }

    fn transaction(&mut self, batch: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for job in batch.iter_mut() {
            job.run(&transaction)?;
        }
        let start = Instant::now();
        self.readers.around_commit(|| transaction.commit())?;
        self.metrics.commit_seconds.observe(start.elapsed().as_secs_f64());
        #[expect(clippy::cast_precision_loss, reason = "a batch has at most MAX_BATCH writes")]
        self.metrics.batch_size.observe(batch.len() as f64);
        Ok(())
    }

    fn answer(&self, batch: &mut Vec<Box<dyn Job>>, committed: &Result<(), StoreError>) {
        for job in batch.drain(..) {
            self.metrics.queue_depth.dec();
            job.answer(committed.clone());
        }
    }
}
