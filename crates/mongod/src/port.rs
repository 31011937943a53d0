//! Ports that nobody else takes while a member is down.

use std::{env, fs, fs::File, net::Ipv4Addr, net::TcpListener};

use crate::MongodError;

/// Below the ports that Linux gives to outgoing connections: one of those, held for a moment by any client on the
/// machine, would keep a killed member from coming back.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;
const TRIES: usize = 1_000;

/// A port of loopback that belongs to whoever has this value. Others that ask here do not get it, in this process or
/// another, and also while nothing listens on it. The system gives it back when the process ends.
pub(crate) struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    pub(crate) fn lease() -> Result<Self, MongodError> {
        let refused = MongodError::io("no free port of loopback was found");
        // One folder for each user, as others' files could not be opened.
        let user = rustix::process::getuid().as_raw();
        let folder = env::temp_dir().join(format!("onechat-mongod-ports-{user}"));
        let leased = fs::create_dir_all(&folder).and_then(|()| {
            for _ in 0..TRIES {
                let number = FIRST + u16::try_from(random()? % u64::from(COUNT)).unwrap_or_default();
                let lock = File::create(folder.join(number.to_string()))?;
                if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                    return Ok(Self { number, _lock: lock });
                }
            }
            Err(std::io::ErrorKind::AddrInUse.into())
        });
        leased.map_err(refused)
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}

/// The system's chance: two test programs that start together must not try the same ports.
pub(crate) fn random() -> std::io::Result<u64> {
    getrandom::u64().map_err(std::io::Error::other)
}
