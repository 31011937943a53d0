//! Old data on a MongoDB, the configuration that fits them, and the migration as an operator runs it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use onechat_legacy::{Database, Shape, Strictness, Totals, check, configuration, connect, generate};
use onechat_mongod::{Deployment, fresh_database};
use tempfile::TempDir;

use crate::server::{Server, onechat, text};

/// The lines with which `migrate` says that a step is done.
pub(crate) const STEPS: [&str; 7] =
    ["inventory:", "guard:", "backfill:", "merge:", "sweep:", "enforce:", "account:"];

/// A database of its own with old data in it.
pub(crate) struct OldData {
    pub(crate) store: String,
    pub(crate) database: Database,
    pub(crate) shape: Shape,
    pub(crate) totals: Totals,
    pub(crate) expected: PathBuf,
    config: PathBuf,
    _folder: TempDir,
}

impl OldData {
    pub(crate) async fn on(deployment: &Deployment, shape: Shape) -> Self {
        let store = deployment.uri(&fresh_database("old"));
        let database = connect(&store).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (expected, config) = (folder.path().join("expected.json"), folder.path().join("onechat.toml"));
        let totals = generate(&database, &shape, &expected).await.unwrap();
        fs::write(&config, configuration(&shape, &store)).unwrap();
        Self { store, database, shape, totals, expected, config, _folder: folder }
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = onechat();
        command.args(arguments).arg("--config").arg(&self.config);
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs a command that has to end well.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output));
        text(&output)
    }

    pub(crate) fn serve(&self) -> Server {
        Server::start_as(self.command(&["serve"]))
    }

    /// Everything that is not as a migration should have left it.
    pub(crate) async fn differences(&self, strictness: Strictness) -> Vec<String> {
        check(&self.database, &self.expected, strictness).await.unwrap()
    }
}

/// A command that is at work. Killed when it goes out of scope.
pub(crate) struct Running {
    process: Child,
    output: BufReader<ChildStdout>,
    seen: String,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, output, seen: String::new() }
    }

    /// Waits for a line that begins like this; `false` if it ended before.
    pub(crate) fn until(&mut self, start: &str) -> bool {
        loop {
            let before = self.seen.len();
            if self.output.read_line(&mut self.seen).unwrap() == 0 {
                return false;
            }
            if self.seen[before..].starts_with(start) {
                return true;
            }
        }
    }

    /// SIGKILL. Whether it was still at work.
    pub(crate) fn kill(mut self) -> bool {
        let was_at_work = self.process.try_wait().unwrap().is_none();
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        was_at_work
    }

    /// Asks it to stop, as Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        let pid = self.process.id().to_string();
        assert!(Command::new("kill").args(["-s", "INT", &pid]).status().unwrap().success());
    }

    /// Its exit code, and all that it printed.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut said = std::mem::take(&mut self.seen);
        self.output.read_to_string(&mut said).unwrap();
        self.process.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.process.wait().unwrap().code(), said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
