//! The shared deployments serve tests of different runtimes, each with a client and a database of its own.

use std::{collections::HashSet, thread};

use mongodb::{Client, bson::doc};
use onechat_mongod::{fresh_database, shared_replica_set, shared_standalone};

/// As the test harness does it: a thread and a runtime for each test.
fn in_runtimes_of_their_own(kind: &'static str) -> HashSet<String> {
    let one = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let shared = match kind {
                "standalone" => shared_standalone().await,
                _ => shared_replica_set().await,
            };
            let name = fresh_database("shared");
            let client = Client::with_uri_str(shared.uri(&name)).await.unwrap();
            let database = client.default_database().unwrap();
            assert_eq!(database.name(), name);
            let notes = database.collection("notes");
            notes.insert_one(doc! { "_id": 1 }).await.unwrap();
            assert_eq!(notes.count_documents(doc! {}).await.unwrap(), 1);
            // Control works from any runtime.
            shared.wait_until_healthy().await.unwrap();
            shared.folder().display().to_string()
        })
    };
    let threads: Vec<_> = (0..6).map(|_| thread::spawn(one)).collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

#[test]
fn one_standalone_serves_all_runtimes() {
    assert_eq!(in_runtimes_of_their_own("standalone").len(), 1);
    // The runtime that asked first is gone.
    assert_eq!(in_runtimes_of_their_own("standalone").len(), 1);
}

#[test]
fn one_replica_set_serves_all_runtimes() {
    assert_eq!(in_runtimes_of_their_own("replica set").len(), 1);
    assert_eq!(in_runtimes_of_their_own("replica set").len(), 1);
}

#[test]
fn names_of_databases_do_not_repeat() {
    let names: HashSet<String> = (0..100).map(|_| fresh_database("name")).collect();
    assert_eq!(names.len(), 100);
    assert!(names.iter().all(|name| name.starts_with("name_") && name.len() <= 38));
}
