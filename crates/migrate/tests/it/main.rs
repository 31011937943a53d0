//! Planning, undo and accounts, through the public interface.

mod account;
mod documents;
mod embedded;
mod file;
mod laws;
mod newest;
mod references;
mod renumber;
mod row_state;
mod state;
mod support;
mod survivor;
mod undo;
