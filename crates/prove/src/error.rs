//! Why a run could not take place: never to be confused with a violation, which is a finding of a run.

/// The run could not begin.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// There is nothing to drive.
    #[error("no server was named: at least one base URL is needed")]
    NoServer,
    /// The base URL cannot be used.
    #[error("{url:?} is not a base URL such as http://127.0.0.1:8080")]
    BadUrl {
        /// What was given.
        url: String,
    },
    /// The prover carries no TLS.
    #[error(
        "{url} is https, which the prover does not speak: reach the server by plain http, for example beside it"
    )]
    Https {
        /// What was given.
        url: String,
    },
    /// Nobody answers there.
    #[error("the server at {url} cannot be reached: {reason}")]
    Unreachable {
        /// What was given.
        url: String,
        /// What the connection failed with.
        reason: String,
    },
    /// Somebody answers there, but not as the service would.
    #[error("the server at {url} answers GET /healthz with {status}: is this the service?")]
    NotTheService {
        /// What was given.
        url: String,
        /// The status that was answered instead of 200.
        status: u16,
    },
    /// The workload asks for nothing.
    #[error("the workload is empty: {0} must be at least 1")]
    Empty(&'static str),
    /// The HTTP client could not be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(String),
}
