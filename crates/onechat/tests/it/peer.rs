//! The Mongoose peer in a process of its own: the old backend beside us.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::{peers, server::SECRET};

/// A Mongoose server that is killed when it goes out of scope.
pub(crate) struct Peer {
    process: Child,
    pub(crate) url: String,
}

impl Peer {
    /// Serves the database that `store` names. It makes its index before it serves, and ends if it cannot.
    pub(crate) fn start(store: &str, reads_first: bool) -> Self {
        Self::start_with(store, reads_first, true)
    }

    /// The same on a collection in which no unique index could be made.
    pub(crate) fn start_without_index(store: &str, reads_first: bool) -> Self {
        Self::start_with(store, reads_first, false)
    }

    fn start_with(store: &str, reads_first: bool, makes_index: bool) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folder =
            peers::mongoose(&root).unwrap_or_else(|error| panic!("there is no Mongoose peer: {error}"));
        let mut process = Command::new("node")
            .arg("server.js")
            .current_dir(folder)
            .env("MONGO_URL", store)
            .env("PORT", "0")
            .env("JWT_SECRET", SECRET)
            .env("AUTO_INDEX", if makes_index { "1" } else { "0" })
            .env("READ_FIRST", if reads_first { "1" } else { "0" })
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("node cannot be run, which the peer needs: {error}"));
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.strip_prefix("peer-mongoose on ").and_then(|rest| rest.split(' ').next());
        let port = port.unwrap_or_else(|| panic!("the peer did not start: {line:?}; its errors are above"));
        Self { url: format!("http://127.0.0.1:{port}"), process }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
