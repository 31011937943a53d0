//! The store under the suite that every store has to pass, on a standalone server and on a replica set of three.

use std::sync::Arc;

use async_trait::async_trait;
use onechat_contract::{Harness, conformance_tests};
use onechat_core::KeyFormat;
use onechat_mongo::{ChatFields, Mapping, MongoChatStore, MongoOptions};
use onechat_mongod::{Deployment, fresh_database, shared_replica_set, shared_standalone};

struct Standalone;
struct ReplicaSet;

async fn open(on: &Deployment, place: &str, key_format: KeyFormat) -> Result<Arc<MongoChatStore>, String> {
    let fields = ChatFields { context: Some("about".to_owned()), ..ChatFields::default() };
    let mapping = Mapping { fields, ..Mapping::default() };
    let options = MongoOptions { key_format, mapping, ..MongoOptions::default() };
    MongoChatStore::connect(&on.uri(place), options).await.map(Arc::new).map_err(|error| error.to_string())
}

#[async_trait]
impl Harness for Standalone {
    type Place = String;
    type Store = MongoChatStore;

    async fn place(&self) -> String {
        fresh_database("contract")
    }

    async fn open(&self, place: &String, key_format: KeyFormat) -> Result<Arc<MongoChatStore>, String> {
        open(shared_standalone().await, place, key_format).await
    }
}

#[async_trait]
impl Harness for ReplicaSet {
    type Place = String;
    type Store = MongoChatStore;

    async fn place(&self) -> String {
        fresh_database("contract")
    }

    async fn open(&self, place: &String, key_format: KeyFormat) -> Result<Arc<MongoChatStore>, String> {
        open(shared_replica_set().await, place, key_format).await
    }
}

mod on_a_standalone_server {
    use super::*;
    conformance_tests!(Standalone);
}

mod on_a_replica_set {
    use super::*;
    conformance_tests!(ReplicaSet);
}
