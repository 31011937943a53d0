//! How an operator holds long work: slower by rate and by lag, stopped by signal and by flag file; and what the
//! operator sees of it.

mod bucket;
mod gauge;
mod limits;
mod screen;
mod stop;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use onechat_core::ports::Progress;
use onechat_migrate::{Control, Stopped};
use onechat_mongo::MongoMigrator;

use self::{bucket::Bucket, gauge::Gauge, limits::CurrentLimits, screen::Screen, stop::Stop};
use crate::config::{Limits, LimitsFile};

/// The longest that a change of limits, or a flag file, can go unnoticed during a pause.
const SLICE: Duration = Duration::from_millis(250);

/// The operator's hand on the work.
pub(crate) struct Operator {
    screen: Arc<Screen>,
    stop: Stop,
    limits: CurrentLimits,
    bucket: Mutex<Bucket>,
    gauge: Gauge,
}

impl Operator {
    /// Fails if the flag file is there already, or a limit cannot be kept.
    pub(crate) async fn new(
        migrator: Arc<MongoMigrator>,
        limits: Limits,
        file: Option<LimitsFile>,
        stop_file: Option<PathBuf>,
    ) -> anyhow::Result<Self> {
        let screen = Arc::new(Screen::default());
        let stop = Stop::new(stop_file, Arc::clone(&screen))?;
        stop.check()?;
        if limits.max_lag.is_some() {
            migrator.lag().await?;
        }
        Ok(Self {
            stop,
            limits: CurrentLimits::new(limits, file)?,
            bucket: Mutex::new(Bucket::new(Instant::now())),
            gauge: Gauge::new(migrator),
            screen,
        })
    }

    /// Work that writes: asked to stop, it stops at the end of a batch; asked twice, it ends at once.
    pub(crate) async fn hold<T>(&self, work: impl Future<Output = T>) -> Result<T, Stopped> {
        tokio::select! {
            biased;
            result = work => Ok(result),
            stopped = self.stop.insisted() => Err(stopped),
        }
    }

    /// Work that only reads, or waits: asked to stop, it ends at once.
    pub(crate) async fn reading<T, E>(&self, work: impl Future<Output = Result<T, E>>) -> anyhow::Result<T>
    where
        anyhow::Error: From<E>,
    {
        tokio::select! {
            biased;
            result = work => Ok(result?),
            stopped = self.stop.asked() => Err(stopped.into()),
        }
    }

    /// Takes the bar off the screen.
    pub(crate) fn clear(&self) {
        self.screen.clear();
    }

    /// How long to wait before more is written; zero if nothing is in the way.
    async fn wait(&self) -> Duration {
        let limits = self.limits.now(&self.screen);
        let rate = self.bucket().wait(limits.max_rate, Instant::now());
        rate.max(self.gauge.wait(limits.max_lag, &self.screen).await)
    }

    fn bucket(&self) -> std::sync::MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Control for Operator {
    async fn pace(&self, documents: u64) -> Result<(), Stopped> {
        loop {
            self.stop.check()?;
            if documents == 0 {
                return Ok(());
            }
            let wait = self.wait().await;
            if wait.is_zero() {
                self.bucket().take(documents);
                return Ok(());
            }
            tokio::select! {
                () = tokio::time::sleep(wait.min(SLICE)) => {}
                stopped = self.stop.asked() => return Err(stopped),
            }
        }
    }

    fn advance(&self, step: &str, done: u64, total: u64) {
        self.screen.advance(step, done, total);
    }

    fn note(&self, text: &str) {
        self.screen.note(text);
    }
}

/// An audit tells the same screen.
impl Progress for Operator {
    fn advance(&self, done: u64, total: u64) {
        self.screen.advance("audit", done, total);
    }
}
