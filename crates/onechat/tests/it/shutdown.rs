//! A server that is asked to end finishes what it has accepted, and says so.

use std::{sync::Arc, time::Duration};

use tokio::sync::Semaphore;

use crate::server::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepted_requests_are_answered_and_their_chats_are_there_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &[]);
    let answered = Arc::new(Semaphore::new(0));
    let clients: Vec<_> = (0..8)
        .map(|client| {
            let (hub, answered) = (server.user("hub"), Arc::clone(&answered));
            tokio::spawn(async move {
                let mut chats = Vec::new();
                for n in 0.. {
                    match hub.open(&["hub", &format!("friend-{client}-{n}")]).await {
                        Ok((status, chat)) => {
                            assert_eq!(status, 201, "{chat}");
                            chats.push(chat["id"].as_str().unwrap().to_owned());
                            answered.add_permits(1);
                        }
                        // Refused: the server no longer takes connections. Anything else would be a lost request.
                        Err(error) => {
                            assert!(error.is_connect(), "an accepted request was dropped: {error:?}");
                            break;
                        }
                    }
                }
                chats
            })
        })
        .collect();
    answered.acquire_many(100).await.unwrap().forget();
    server.signal("TERM");
    let event = server.event("stopped");
    assert_eq!(event["message"], "everything that was accepted is finished", "{event}");
    let status = tokio::time::timeout(Duration::from_secs(10), async { server.process.wait() });
    assert_eq!(status.await.unwrap().unwrap().code(), Some(0));

    let mut acknowledged = Vec::new();
    for client in clients {
        acknowledged.extend(client.await.unwrap());
    }
    let server = Server::start(folder.path(), &[]);
    let stored = server.user("hub").all("/api/chats", "cursor").await;
    let stored: std::collections::HashSet<_> = stored.iter().filter_map(|chat| chat["id"].as_str()).collect();
    let lost: Vec<_> = acknowledged.iter().filter(|id| !stored.contains(id.as_str())).collect();
    assert!(lost.is_empty(), "acknowledged chats are gone: {lost:?}");
}
