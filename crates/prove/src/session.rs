//! The frame of every run over HTTP: connect, let the clients loose, read everything at rest, check, report.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use tokio::task::JoinSet;

use crate::{
    Control, Counts, Ended, Namespace, ProveError, Report, Target, cast::Cast, check::check, driver::Driver,
    http::Http, recorder::Recorder, report::About, rest::read_at_rest,
};

pub(crate) struct Session {
    pub(crate) driver: Driver,
    pub(crate) clients: usize,
    control: Control,
    done: AtomicU64,
    began: Instant,
}

/// What distinguishes one kind of run from another in its report.
pub(crate) struct Kind {
    pub(crate) workload: String,
    pub(crate) namespace: Namespace,
    pub(crate) seed: Option<u64>,
    pub(crate) notes: Vec<String>,
}

impl Session {
    pub(crate) async fn connect(
        target: &Target,
        cast: Cast,
        clients: usize,
        control: Control,
    ) -> Result<Arc<Self>, ProveError> {
        let http = Http::connect(target, clients, control.clone()).await?;
        let cast = Arc::new(cast);
        let driver = Driver { http, cast: Arc::clone(&cast), recorder: Recorder::new(cast) };
        Ok(Arc::new(Self { driver, clients, control, done: AtomicU64::new(0), began: Instant::now() }))
    }

    /// One more of `total` things is done.
    pub(crate) fn advance(&self, total: usize) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.control.progress.advance(done, total as u64);
    }

    pub(crate) fn restart_progress(&self) {
        self.done.store(0, Ordering::Relaxed);
    }

    /// Reads what is there once all clients are done, and concludes.
    pub(crate) async fn conclude(self: Arc<Self>, kind: Kind) -> Report {
        let active = self.began.elapsed();
        let requests_while_active = self.driver.http.requests();
        if !self.driver.http.halted() {
            read_at_rest(&self).await;
        }
        let finished = matches!(&self.driver.recorder.book().history.rest, Some(rest) if rest.unread == 0);
        let ended = match (finished, self.control.stopped(), self.driver.http.gone()) {
            (false, true, _) => Ended::Interrupted,
            (false, _, true) => Ended::ServerGone,
            _ => Ended::Completed,
        };
        let Ok(session) = Arc::try_unwrap(self) else { unreachable!("all clients have been joined") };
        let Driver { http, recorder, .. } = session.driver;
        let book = recorder.into_book();
        let findings = check(&book.history);
        let counts = Counts {
            requests: http.requests(),
            retried: http.retried(),
            unknown: http.unknown(),
            ..Counts::of(&book.history)
        };
        About {
            workload: kind.workload,
            namespace: kind.namespace.to_string(),
            seed: kind.seed,
            clients: session.clients,
            notes: kind.notes,
            ended,
            counts,
            active,
            requests_while_active,
        }
        .report(findings, &book.latencies)
    }
}

/// Runs all at the same time, to their end. A panic of one is a panic of all: half a run proves nothing.
pub(crate) async fn all_of<F>(tasks: impl IntoIterator<Item = F>)
where
    F: Future<Output = ()> + Send + 'static,
{
    tasks.into_iter().collect::<JoinSet<()>>().join_all().await;
}
