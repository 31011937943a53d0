//! The real binary, driven as its users drive it: over HTTP, by signals, by files, by its exit codes.

#![expect(clippy::unwrap_used, reason = "a step that fails is a failed test")]

mod alike;
mod audit_baseline;
mod backend;
mod beside;
mod broken_disk;
mod collisions;
mod command_line;
mod crash;
mod crowd;
mod documented;
mod explained;
mod failover;
mod fleet;
mod ids;
mod killed;
mod layout_ids;
mod layouts;
mod live;
mod logged;
mod migrate_control;
mod migrate_course;
mod migrate_read_only;
mod migrate_refusals;
mod mongo;
mod mongo_index;
mod newcomer;
mod no_chats;
mod non_readers;
mod old_data;
mod one_server;
mod own_formula;
mod peer;
#[path = "../../../../xtask/src/peers.rs"]
mod peers;
mod proved;
mod rekey;
mod reload;
mod roles;
mod server;
mod shutdown;
mod suggest;
mod trace;
mod window;
