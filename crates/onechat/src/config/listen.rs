//! Where the server listens, as people write it: `127.0.0.1:8080`, `[::1]:8080`, `8080` or `localhost:8080`.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, de};
use tokio::net::TcpListener;

/// An address and a port, or a name of a host, which is looked up when the server starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListenAddress {
    Socket(SocketAddr),
    Host { name: String, port: u16 },
}

impl ListenAddress {
    /// The port on loopback: what a port alone means, so that nothing is open to a network by accident.
    pub(crate) fn loopback(port: u16) -> Self {
        Self::Socket((Ipv4Addr::LOCALHOST, port).into())
    }

    /// Whether only programs on this machine can connect.
    pub(crate) fn is_loopback(&self) -> bool {
        match self {
            Self::Socket(address) => address.ip().is_loopback(),
            Self::Host { name, .. } => name.eq_ignore_ascii_case("localhost"),
        }
    }

    /// Listens there; of several addresses that a name has, on the first that can be had.
    pub(crate) async fn bind(&self) -> std::io::Result<TcpListener> {
        match self {
            Self::Socket(address) => TcpListener::bind(address).await,
            Self::Host { name, port } => TcpListener::bind((name.as_str(), *port)).await,
        }
    }
}

/// Why a text is no address to listen on, with what to write.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no address to listen on: {reason}; write ADDRESS:PORT, for example 127.0.0.1:8080 (this machine \
     only), 0.0.0.0:8080 (every network), [::1]:8080, localhost:8080, or a port alone, which means 127.0.0.1"
)]
pub(crate) struct NoListenAddress {
    text: String,
    reason: &'static str,
}

impl FromStr for ListenAddress {
    type Err = NoListenAddress;

    fn from_str(text: &str) -> Result<Self, NoListenAddress> {
        let refused = |reason| NoListenAddress { text: text.to_owned(), reason };
        if let Ok(address) = text.parse() {
            return Ok(Self::Socket(address));
        }
        if text.contains("://") {
            return Err(refused("it is a URL"));
        }
        if text.parse::<IpAddr>().is_ok() {
            return Err(refused("it has no port, and an IPv6 address needs brackets before one"));
        }
        let (name, port) = text.rsplit_once(':').unwrap_or(("", text));
        let is_number = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number {
            return Err(refused("it has no port"));
        }
        let port = port.parse().map_err(|_| refused("a port is at most 65535"))?;
        if name.is_empty() {
            return Ok(Self::loopback(port));
        }
        let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        // A last part of digits is an IPv4 address that is not right: no domain ends in one.
        let last = name.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
        if !name.chars().all(is_of_a_name) || last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refused("what is before the port is neither an IP address nor the name of a host"));
        }
        Ok(Self::Host { name: name.to_owned(), port })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(f),
            Self::Host { name, port } => write!(f, "{name}:{port}"),
        }
    }
}

impl<'de> Deserialize<'de> for ListenAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = ListenAddress;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address to listen on, for example \"127.0.0.1:8080\", or a port")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ListenAddress, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, port: i64) -> Result<ListenAddress, E> {
                self.visit_str(&port.to_string())
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_ports_and_names_are_understood() {
        for (text, shown, is_loopback) in [
            ("127.0.0.1:8080", "127.0.0.1:8080", true),
            ("0.0.0.0:0", "0.0.0.0:0", false),
            ("[::1]:8080", "[::1]:8080", true),
            ("8080", "127.0.0.1:8080", true),
            (":8080", "127.0.0.1:8080", true),
            ("localhost:8080", "localhost:8080", true),
            ("chat.example.net:80", "chat.example.net:80", false),
        ] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!((address.to_string().as_str(), address.is_loopback()), (shown, is_loopback), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_refused_with_the_reason_and_an_example() {
        for (text, reason) in [
            ("", "no port"),
            ("localhost", "no port"),
            ("127.0.0.1", "no port"),
            ("::1", "needs brackets"),
            ("::1:8080", "needs brackets"),
            ("http://127.0.0.1:8080", "a URL"),
            ("127.0.0.1:99999", "at most 65535"),
            ("99999", "at most 65535"),
            ("-1", "no port"),
            ("256.0.0.1:80", "neither an IP address nor the name"),
            ("a b:80", "neither an IP address nor the name"),
            ("*:80", "neither an IP address nor the name"),
        ] {
            let error = text.parse::<ListenAddress>().unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("127.0.0.1:8080"), "{text:?}: {error}");
        }
    }
}
