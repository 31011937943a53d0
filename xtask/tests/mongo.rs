//! `cargo xtask mongo`: what it prints can be given to onechat as it is.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

#[test]
fn the_printed_connection_string_names_a_database() {
    for (kind, options) in [("standalone", ""), ("replica-set", "replicaSet=")] {
        let mut mongo = Command::new(env!("CARGO_BIN_EXE_xtask"));
        let mongo = mongo.args(["mongo", kind]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = mongo.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map(Result::unwrap);
        let url = lines.find(|line| line.starts_with("mongodb://")).unwrap();
        // The end of its input ends nothing, a command does.
        std::io::Write::write_all(&mut process.stdin.take().unwrap(), b"quit\n").unwrap();
        assert!(process.wait().unwrap().success());
        let (_, path) = url.trim_start_matches("mongodb://").split_once('/').unwrap();
        let (database, given) = path.split_once('?').unwrap_or((path, ""));
        assert_eq!(database, "chat", "{url}");
        assert!(given.starts_with(options), "{url}");
    }
}
