//! One `mongod` of a deployment: its port and data, which stay, and its process, which comes and goes.

use std::{
    fmt, fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustix::process::Signal;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

use crate::{Mongod, MongodError, ask::Line, port::Port, process::Process};

/// How often is looked whether something has happened.
pub(crate) const POLL: Duration = Duration::from_millis(25);
/// How long anything may take that takes seconds on an idle machine.
pub(crate) const DEADLINE: Duration = Duration::from_mins(2);
/// What `mongod` exits with when it cannot listen.
const CANNOT_LISTEN: i32 = 48;
const LOG_LINES: usize = 15;

/// Whether the process of a member runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Life {
    /// It runs.
    Running,
    /// It is there, and does nothing until it is resumed.
    Paused,
    /// There is no process: it was killed, or ended by itself.
    Dead,
}

enum State {
    Running(Process),
    Paused(Process),
    Dead,
}

pub(crate) struct Member {
    index: usize,
    mongod: Mongod,
    /// All but the port.
    arguments: Vec<String>,
    log: PathBuf,
    port: Port,
    state: Mutex<State>,
}

impl Member {
    /// Its process starts with [`Member::launch`].
    pub(crate) fn new(
        mongod: &Mongod,
        index: usize,
        folder: &Path,
        more: &[String],
    ) -> Result<Self, MongodError> {
        let data = folder.join(format!("member-{index}"));
        fs::create_dir(&data).map_err(MongodError::io(format!("{} cannot be made", data.display())))?;
        let mut arguments = vec!["--dbpath".to_owned(), data.display().to_string()];
        arguments.extend(ARGUMENTS.iter().map(|&argument| argument.to_owned()));
        arguments.extend_from_slice(more);
        Ok(Self {
            index,
            mongod: mongod.clone(),
            arguments,
            log: folder.join(format!("member-{index}.log")),
            port: Port::lease()?,
            state: Mutex::new(State::Dead),
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }

    /// As the members of a set name it.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port())
    }

    pub(crate) fn life(&self) -> Life {
        let ended = self.ended().is_some();
        match &*self.state() {
            State::Running(_) | State::Paused(_) if ended => Life::Dead,
            State::Running(_) => Life::Running,
            State::Paused(_) => Life::Paused,
            State::Dead => Life::Dead,
        }
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        let ended = self.ended().is_some();
        match &*self.state() {
            State::Running(process) | State::Paused(process) if !ended => Some(process.pid()),
            _ => None,
        }
    }

    /// The last lines of its log.
    pub(crate) fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    pub(crate) fn pause(&self) -> Result<(), MongodError> {
        self.stop_or_go("pause", Signal::STOP)
    }

    pub(crate) fn resume(&self) -> Result<(), MongodError> {
        self.stop_or_go("resume", Signal::CONT)
    }

    fn stop_or_go(&self, what: &str, signal: Signal) -> Result<(), MongodError> {
        let mut state = self.state();
        *state = match (std::mem::replace(&mut *state, State::Dead), signal) {
            (State::Running(mut process), Signal::STOP) => {
                process.signal(signal)?;
                State::Paused(process)
            }
            (State::Paused(mut process), Signal::CONT) => {
                process.signal(signal)?;
                State::Running(process)
            }
            (other, _) => {
                let reason = format!("member {} is {other}: it cannot {what}", self.index);
                *state = other;
                return Err(MongodError::Refused(reason));
            }
        };
        Ok(())
    }

    /// Returns when the process is gone.
    pub(crate) fn kill(&self) -> Result<(), MongodError> {
        match std::mem::replace(&mut *self.state(), State::Dead) {
            State::Dead => Err(MongodError::Refused(format!("member {} is dead already", self.index))),
            // Dropped, and so killed.
            State::Running(_) | State::Paused(_) => Ok(()),
        }
    }

    /// An orderly end, if it has a process; one that is paused is resumed for it.
    pub(crate) async fn shut_down(&self) {
        let asked = match &mut *self.state() {
            State::Running(process) | State::Paused(process) => {
                process.signal(Signal::TERM).is_ok() && process.signal(Signal::CONT).is_ok()
            }
            State::Dead => return,
        };
        let start = Instant::now();
        while asked && self.life() != Life::Dead && start.elapsed() < DEADLINE {
            sleep(POLL).await;
        }
        *self.state() = State::Dead;
    }

    /// Starts the process, on the same port and the same data.
    pub(crate) fn launch(&self) -> Result<(), MongodError> {
        let mut arguments = self.arguments.clone();
        arguments.extend(["--port".to_owned(), self.port().to_string()]);
        *self.state() = State::Running(Process::start(self.mongod.program(), &arguments, &self.log)?);
        Ok(())
    }

    pub(crate) fn take_another_port(&mut self) -> Result<(), MongodError> {
        self.port = Port::lease()?;
        Ok(())
    }

    /// Waits until the process answers. `false`: it has ended, because somebody else has its port.
    pub(crate) async fn is_up(&self) -> Result<bool, MongodError> {
        let start = Instant::now();
        let mut last = "nothing listens on its port".to_owned();
        while start.elapsed() < DEADLINE {
            if let Some((code, status)) = self.ended() {
                if code == Some(CANNOT_LISTEN) {
                    return Ok(false);
                }
                return Err(MongodError::Ended { member: self.index, status, log: self.log() });
            }
            // The driver would wait half a second between two tries.
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port()));
            if TcpStream::connect(address).await.is_ok() {
                // Whoever listens there may be another, and this one about to find that out.
                match Line::to(self.port())?.pid().await {
                    // One that is protected does not say who it is. It is on our port, and our process lives.
                    Ok(None) => return Ok(true),
                    Ok(Some(pid)) if Some(pid) == self.pid() => return Ok(true),
                    Ok(Some(pid)) => last = format!("process {pid} answers on its port"),
                    Err(error) => last = error.to_string(),
                }
            }
            sleep(POLL).await;
        }
        let what = "a member does not answer";
        Err(MongodError::Late { what, after: DEADLINE, last, log: self.log() })
    }

    /// How it ended, if it did by itself.
    pub(crate) fn ended(&self) -> Option<(Option<i32>, String)> {
        match &mut *self.state() {
            State::Running(process) | State::Paused(process) => {
                process.exited().map(|status| (status.code(), status.to_string()))
            }
            State::Dead => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic between two assignments leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Running(_) => "running",
            Self::Paused(_) => "paused",
            Self::Dead => "dead",
        })
    }
}

/// Small, and reachable from this machine only. The journal is on: acknowledged data must survive a kill.
const ARGUMENTS: &[&str] = &[
    "--bind_ip",
    "127.0.0.1",
    "--nounixsocket",
    "--wiredTigerCacheSizeGB",
    "0.25",
    "--setParameter",
    "diagnosticDataCollectionEnabled=false",
];
