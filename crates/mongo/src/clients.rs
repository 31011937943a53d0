//! The end of clients: one that is only dropped says goodbye to the server in a task of its own, which the end of the
//! runtime cuts off, and then it may panic on the way out of a command that went well.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mongodb::Client;

/// How long the farewell may take: a server that hangs must not hold a command up that is done.
const FAREWELL: Duration = Duration::from_secs(2);

type Opened = Arc<Mutex<Vec<Client>>>;

tokio::task_local! {
    static OPENED: Opened;
}

/// Does `work`, and then shuts down every client that was opened in it (but not in tasks that it spawned), however
/// it ended. To be the last thing that a runtime does.
pub async fn closing_clients<T>(work: impl Future<Output = T>) -> T {
    let opened = Opened::default();
    let result = OPENED.scope(Arc::clone(&opened), work).await;
    let clients = std::mem::take(&mut *opened.lock().unwrap_or_else(PoisonError::into_inner));
    for client in clients {
        // Cursors and sessions that were dropped are given back by tasks of the driver, which this waits for; but a
        // task of ours that was left behind may hold one for ever.
        if tokio::time::timeout(FAREWELL, client.clone().shutdown()).await.is_err() {
            let _ = tokio::time::timeout(FAREWELL, client.shutdown().immediate(true)).await;
        }
    }
    result
}

/// Has `client` shut down at the end of [`closing_clients`], if there is such an end.
pub(crate) fn close_at_the_end(client: &Client) {
    let _ = OPENED.try_with(|opened| {
        opened.lock().unwrap_or_else(PoisonError::into_inner).push(client.clone());
    });
}
