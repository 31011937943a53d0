//! A `mongod` that cannot outlive its owner. Between the two stands a small shell that waits for the end of a pipe
//! that only the owner holds open: when the owner is gone, by `kill -9` too, the shell kills the `mongod`, which also
//! works while that is stopped.

use std::{
    fs::OpenOptions,
    io::{BufRead as _, BufReader},
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::MongodError;

/// The `mongod` is waited for by the outer shell alone, so that its process id is not given to another process while
/// the guard may still use it. The outer shell ends after it, with its status.
///
/// The owner's end makes orphans of this process group, and if a process of such a group is stopped, the system sends
/// SIGHUP to all of it. Neither shell may die of that before its work is done.
const SUPERVISE: &str = r#"
trap '' HUP
exec 3<&0 </dev/null
"$@" >&2 3<&- &
mongod=$!
( read -r _; kill -KILL "$mongod" ) <&3 >/dev/null 2>&1 &
guard=$!
echo "$mongod"
exec >/dev/null 3<&-
wait "$mongod"
status=$?
kill -KILL "$guard"
exit "$status"
"#;

/// A running (or stopped) `mongod`. Dropping kills it, and returns when it is gone.
pub(crate) struct Process {
    supervisor: Child,
    pid: Pid,
}

impl Process {
    /// What it prints goes to the end of `log`.
    pub(crate) fn start(program: &Path, arguments: &[String], log: &Path) -> Result<Self, MongodError> {
        let file = OpenOptions::new().create(true).append(true).open(log);
        let file = file.map_err(MongodError::io(format!("{} cannot be written", log.display())))?;
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISE, "sh"])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(file)
            // Ctrl-C in a terminal is meant for the owner, which then ends this in its own way.
            .process_group(0)
            .spawn()
            .map_err(MongodError::io("sh cannot be run"))?;
        let mut line = String::new();
        if let Some(output) = supervisor.stdout.take() {
            let read = BufReader::new(output).read_line(&mut line);
            read.map_err(MongodError::io("the supervisor of mongod does not answer"))?;
        }
        match line.trim().parse().ok().and_then(Pid::from_raw) {
            Some(pid) => Ok(Self { supervisor, pid }),
            None => Err(MongodError::Refused(format!("the supervisor of mongod said {line:?} for its pid"))),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// How it ended, if it has.
    pub(crate) fn exited(&mut self) -> Option<ExitStatus> {
        self.supervisor.try_wait().ok().flatten()
    }

    pub(crate) fn signal(&mut self, signal: Signal) -> Result<(), MongodError> {
        if let Some(status) = self.exited() {
            return Err(MongodError::Refused(format!("the process has ended ({status})")));
        }
        kill_process(self.pid, signal).map_err(|error| MongodError::Io {
            what: "mongod cannot be signalled".to_owned(),
            source: error.into(),
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Closes the pipe first, on which the guard kills; then waits for the supervisor, which waits for the mongod.
        let _ = self.supervisor.wait();
    }
}
