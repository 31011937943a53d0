//! The store on MongoDB: any number of servers on one replica set, beside other programs that write there.
//!
//! No type of the driver leaves this crate. Why it is built this way: `docs/decisions/0005-mongodb-store.md`.

mod mapping;
mod options;

pub use mapping::{ChatFields, IdMapping, Mapping, MessageFields, ParticipantForm, PublicIdForm};
pub use options::MongoOptions;
