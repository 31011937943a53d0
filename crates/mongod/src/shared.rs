//! One standalone and one replica set for all tests of a process that do not disturb them.
//!
//! Each test has a runtime of its own, and what belongs to a runtime dies with it. The shared deployments are started
//! on a thread of their own, and tests connect clients of their own by [`Deployment::uri`].

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use tokio::sync::{OnceCell, oneshot};

use crate::{Deployment, Setup, port};

/// A failure is kept as well: it will not get better, and each further try would cost its deadline.
type Shared = OnceCell<Result<Deployment, String>>;

static STANDALONE: Shared = OnceCell::const_new();
static PROTECTED: Shared = OnceCell::const_new();
static REPLICA_SET: Shared = OnceCell::const_new();

/// The standalone of this process, started by whoever asks first. It goes when the process ends.
///
/// # Panics
///
/// With the reason, if it cannot be started.
pub async fn shared_standalone() -> &'static Deployment {
    shared(&STANDALONE, Setup::standalone()).await
}

/// The protected standalone of this process, started by whoever asks first. It goes when the process ends.
///
/// # Panics
///
/// With the reason, if it cannot be started.
pub async fn shared_protected() -> &'static Deployment {
    shared(&PROTECTED, Setup::standalone().protected()).await
}

/// The replica set of three of this process, started by whoever asks first. It goes when the process ends.
///
/// # Panics
///
/// With the reason, if it cannot be started.
pub async fn shared_replica_set() -> &'static Deployment {
    shared(&REPLICA_SET, Setup::replica_set()).await
}

/// A name for a database that no other test has, in this process or another.
///
/// # Panics
///
/// If the system has no random numbers.
pub fn fresh_database(prefix: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let random = port::random().expect("the system has random numbers");
    format!("{prefix}_{random:016x}_{count}")
}

async fn shared(cell: &'static Shared, setup: Setup) -> &'static Deployment {
    match cell.get_or_init(|| started(setup)).await {
        Ok(deployment) => deployment,
        Err(reason) => panic!("the shared MongoDB cannot be started: {reason}"),
    }
}

async fn started(setup: Setup) -> Result<Deployment, String> {
    let (send, receive) = oneshot::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return drop(send.send(Err(error.to_string()))),
        };
        runtime.block_on(async {
            let started = setup.start().await.map_err(|error| error.to_string());
            let failed = started.is_err();
            // Nobody waits any more if the test that asked was given up; dropping then stops the deployment.
            if send.send(started).is_ok() && !failed {
                // Serves the tasks of the deployment's own client for as long as the process lives.
                std::future::pending::<()>().await;
            }
        });
    });
    receive.await.unwrap_or_else(|_| Err("the thread that starts it panicked".to_owned()))
}
