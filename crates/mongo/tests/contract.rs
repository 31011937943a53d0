//! The store under the suite that every store has to pass, on a standalone server and on a replica set of three, and with
//! messages wherever old backends keep them.

use std::sync::Arc;

use async_trait::async_trait;
use onechat_contract::{Harness, conformance_tests};
use onechat_core::KeyFormat;
use onechat_mongo::{ChatFields, Mapping, MessagePlace, MongoChatStore, MongoOptions};
use onechat_mongod::{Deployment, fresh_database, shared_replica_set, shared_standalone};

struct Standalone;
struct ReplicaSet;
struct Embedded;
struct Listed;
struct ListedByReference;

async fn open(
    on: &Deployment,
    place: &str,
    key_format: KeyFormat,
    message_place: MessagePlace,
) -> Result<Arc<MongoChatStore>, String> {
    let fields = ChatFields { context: Some("about".to_owned()), ..ChatFields::default() };
    let mapping = Mapping { fields, message_place, ..Mapping::default() };
    let options = MongoOptions { key_format, mapping, ..MongoOptions::default() };
    MongoChatStore::connect(&on.uri(place), options).await.map(Arc::new).map_err(|error| error.to_string())
}

macro_rules! harness {
    ($name:ident on $deployment:ident with $place:expr) => {
        #[async_trait]
        impl Harness for $name {
            type Place = String;
            type Store = MongoChatStore;

            async fn place(&self) -> String {
                fresh_database("contract")
            }

            async fn open(
                &self,
                place: &String,
                key_format: KeyFormat,
            ) -> Result<Arc<MongoChatStore>, String> {
                open($deployment().await, place, key_format, $place).await
            }

            fn lists_messages_as_stored(&self) -> bool {
                $place != MessagePlace::Rows
            }
        }
    };
}

fn listed(reference: Option<&str>) -> MessagePlace {
    MessagePlace::Listed { field: "list".to_owned(), reference: reference.map(str::to_owned) }
}

harness!(Standalone on shared_standalone with MessagePlace::Rows);
harness!(ReplicaSet on shared_replica_set with MessagePlace::Rows);
harness!(Embedded on shared_replica_set with MessagePlace::Embedded { field: "said".to_owned() });
harness!(Listed on shared_replica_set with listed(None));
harness!(ListedByReference on shared_standalone with listed(Some("messages")));

mod on_a_standalone_server {
    use super::*;
    conformance_tests!(Standalone);
}

mod on_a_replica_set {
    use super::*;
    conformance_tests!(ReplicaSet);
}

mod with_messages_in_their_chats {
    use super::*;
    conformance_tests!(Embedded);
}

mod with_messages_that_their_chats_list {
    use super::*;
    conformance_tests!(Listed);
}

mod with_references_to_messages {
    use super::*;
    conformance_tests!(ListedByReference);
}
