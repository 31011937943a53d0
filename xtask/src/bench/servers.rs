//! The servers under measurement: child processes on loopback, with nothing of the caller's environment, and gone
//! when their value is.

use std::{
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

use super::{
    http::{self, Connection},
    programs::{Programs, SECRET},
};

const START_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// A server that answers.
pub(super) struct Server {
    child: Child,
    address: SocketAddr,
    has_store: bool,
}

/// What create-or-get has found so far, by the server's own metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcomes {
    pub(super) created: u64,
    pub(super) existing: u64,
    pub(super) lost_race: u64,
}

impl Server {
    /// The service under test, on an empty store in `folder`.
    pub(super) fn onechat(programs: &Programs, folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        let mut command = Command::new(&programs.onechat);
        command.arg("serve").arg("--store").arg(format!("sqlite:{}", folder.join("chats.db").display()));
        Self::start(command, &folder.join("log"), true)
    }

    /// The service under test, on a database that it finds empty.
    pub(super) fn onechat_on(programs: &Programs, log: &Path, url: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(&programs.onechat);
        command.args(["serve", "--store", url]);
        Self::start(command, log, true)
    }

    /// The recipe in Node.js, whose packages are installed in `peer`.
    pub(super) fn peer(peer: &Path, log: &Path, url: &str, reads_first: bool) -> anyhow::Result<Self> {
        let address = free_address()?;
        let output = File::create(log).with_context(|| format!("{} cannot be written", log.display()))?;
        let child = Command::new("node")
            .arg("server.js")
            .current_dir(peer)
            .env("MONGO_URL", url)
            .env("PORT", address.port().to_string())
            .env("JWT_SECRET", SECRET)
            .env("READ_FIRST", if reads_first { "1" } else { "0" })
            .env("NODE_ENV", "production")
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .context("Node.js cannot be started: the peer needs `node` on the PATH")?;
        let mut server = Self { child, address, has_store: false };
        // It has no health check: any answer will do.
        let answers = |server: &Self| Connection::open(server.address).is_ok();
        server.wait_until(answers).with_context(|| fs::read_to_string(log).unwrap_or_default())?;
        Ok(server)
    }

    /// The same HTTP without a store; its log goes to `folder`.
    pub(super) fn null(programs: &Programs, folder: &Path) -> anyhow::Result<Self> {
        Self::start(Command::new(&programs.null_server), &folder.join("null-server-log"), false)
    }

    fn start(mut command: Command, log: &Path, has_store: bool) -> anyhow::Result<Self> {
        let address = free_address()?;
        let output = File::create(log).with_context(|| format!("{} cannot be written", log.display()))?;
        let child = command
            .env_clear()
            .env("ONECHAT_JWT_SECRET", SECRET)
            .args(["--listen", &address.to_string()])
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("{} cannot be started", command.get_program().display()))?;
        let mut server = Self { child, address, has_store };
        server
            .wait_until(|server| server.get("/healthz").is_ok())
            .with_context(|| fs::read_to_string(log).unwrap_or_default())?;
        Ok(server)
    }

    fn wait_until(&mut self, answers: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let start = Instant::now();
        while !answers(self) {
            if let Some(status) = self.child.try_wait()? {
                bail!("a server ended before it answered ({status})");
            }
            ensure!(start.elapsed() < START_TIMEOUT, "a server does not answer");
            thread::sleep(POLL);
        }
        Ok(())
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it remembers chats, so that what it says of them can be checked.
    pub(super) fn has_store(&self) -> bool {
        self.has_store
    }

    /// What create-or-get has found since the start.
    pub(super) fn outcomes(&self) -> anyhow::Result<Outcomes> {
        Outcomes::parse(&self.get("/metrics")?).context("the server's metrics are not as expected")
    }

    /// See [`peak_memory_kib`].
    pub(super) fn peak_memory_kib(&self) -> Option<u64> {
        peak_memory_kib(&self.child)
    }

    fn get(&self, path: &str) -> anyhow::Result<String> {
        let mut connection = Connection::open(self.address)?;
        connection.send(&http::get(path))?;
        let answer = connection.answer()?;
        ensure!(answer.status == 200, "{path} is answered {}", answer.status);
        Ok(String::from_utf8(answer.body)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Outcomes {
    fn parse(metrics: &str) -> Option<Self> {
        let count = |outcome| {
            let name = format!("onechat_create_or_get_total{{outcome=\"{outcome}\"}} ");
            metrics.lines().find_map(|line| line.strip_prefix(&name))?.parse().ok()
        };
        Some(Self {
            created: count("created")?,
            existing: count("existing")?,
            lost_race: count("lost_race")?,
        })
    }

    /// What was found since `earlier`.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self {
            created: self.created - earlier.created,
            existing: self.existing - earlier.existing,
            lost_race: self.lost_race - earlier.lost_race,
        }
    }
}

/// A port that nobody listens on. Somebody else may take it before the server does; then the start fails.
fn free_address() -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("loopback has no free port")?;
    Ok(listener.local_addr()?)
}

/// The most memory that a process has had resident so far, in KiB. Only Linux tells.
pub(super) fn peak_memory_kib(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::Outcomes;

    #[test]
    fn outcomes_are_read_from_the_metrics() {
        let metrics = "# TYPE onechat_create_or_get counter\n\
            onechat_create_or_get_total{outcome=\"existing\"} 7\n\
            onechat_create_or_get_total{outcome=\"lost_race\"} 0\n\
            onechat_create_or_get_total{outcome=\"created\"} 12\n";
        assert_eq!(Outcomes::parse(metrics), Some(Outcomes { created: 12, existing: 7, lost_race: 0 }));
        assert_eq!(Outcomes::parse(""), None);
    }
}
