//! What can be set, as it is written down: every field optional, because each source may say nothing of it.
//!
//! One struct is both a group of flags with their environment variables and a section of the file; what is only in
//! the file is in `mongo_settings.rs`.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use super::{
    ListenAddress, migrate_settings::MigrateSettings, mongo_settings::MongoSettings, resolved::LogFormat,
};

/// A whole configuration file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) server: ServerSettings,
    pub(crate) chats: ChatsSettings,
    pub(crate) store: StoreSettings,
    pub(crate) jwt: JwtSettings,
    pub(crate) log: LogSettings,
    pub(crate) mongodb: Option<MongoSettings>,
    pub(crate) migrate: MigrateSettings,
}

impl Settings {
    /// These settings, and where they say nothing, `other`'s.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            server: self.server.or(other.server),
            chats: self.chats.or(other.chats),
            store: self.store.or(other.store),
            jwt: self.jwt.or(other.jwt),
            log: self.log.or(other.log),
            mongodb: self.mongodb.or(other.mongodb),
            migrate: self.migrate.or(other.migrate),
        }
    }
}

macro_rules! settings {
    (
        $(#[$struct_attribute:meta])*
        $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)+ }
    ) => {
        #[derive(Debug, Clone, Default, Args, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        $(#[$struct_attribute])*
        pub(crate) struct $name {
            $($(#[$attribute])* pub(crate) $field: Option<$type>,)+
        }

        impl $name {
            fn or(self, other: Self) -> Self {
                Self { $($field: self.$field.or(other.$field),)+ }
            }
        }
    };
}

settings! {
    #[command(next_help_heading = "Server [server]")]
    ServerSettings {
        /// The address to listen on; a port alone means 127.0.0.1 [default: 127.0.0.1:8080]
        #[arg(long, env = "ONECHAT_LISTEN", value_name = "ADDRESS:PORT")]
        listen: ListenAddress,
        /// Lets a participant have a chat with nobody else in it [default: false]
        #[arg(long, env = "ONECHAT_ALLOW_NOTE_TO_SELF", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
        allow_note_to_self: bool,
        /// How long a request may take before it is answered 503 [default: 10000]
        #[arg(long, env = "ONECHAT_REQUEST_TIMEOUT_MS", value_name = "MS")]
        request_timeout_ms: u64,
        /// How many requests are worked on at once; more are answered 503 [default: 1024]
        #[arg(long, env = "ONECHAT_MAX_CONCURRENT_REQUESTS", value_name = "N")]
        max_concurrent_requests: usize,
        /// The largest body of a request [default: 262144]
        #[arg(long, env = "ONECHAT_MAX_BODY_BYTES", value_name = "BYTES")]
        max_body_bytes: usize,
        /// The largest head of a request: its first line and its headers [default: 16384]
        #[arg(long, env = "ONECHAT_MAX_HEADER_BYTES", value_name = "BYTES")]
        max_header_bytes: usize,
        /// How long a client may read nothing of its answer before its connection is closed [default: 5000]
        #[arg(long, env = "ONECHAT_SEND_TIMEOUT_MS", value_name = "MS")]
        send_timeout_ms: u64,
        /// How long accepted requests may take to finish when the server stops [default: 30000]
        #[arg(long, env = "ONECHAT_DRAIN_TIMEOUT_MS", value_name = "MS")]
        drain_timeout_ms: u64,
    }
}

settings! {
    #[command(next_help_heading = "Chats [chats]")]
    ChatsSettings {
        /// Whether chats have a context, such as a listing or a match: off, optional or required [default: off]
        #[arg(long = "chats-context", env = "ONECHAT_CHATS_CONTEXT", value_name = "POLICY")]
        context: String,
    }
}

settings! {
    #[command(next_help_heading = "Store [store]")]
    StoreSettings {
        /// Where chats are kept: `sqlite:PATH`, or `mongodb://HOST/DATABASE` (with a password better in the variable)
        #[arg(id = "store", long, env = "ONECHAT_STORE", hide_env_values = true, value_name = "URL")]
        url: String,
        /// How keys are written, escaped or joined; cannot change once there is data [default: escaped]
        #[arg(long, env = "ONECHAT_KEY_FORMAT", value_name = "FORMAT")]
        key_format: String,
        /// How many writes may wait; beyond them requests are answered 503 [default: 4096]
        #[arg(long, env = "ONECHAT_QUEUE_CAPACITY", value_name = "N")]
        queue_capacity: usize,
        /// Writes to a MongoDB without the unique index: duplicates become possible [default: false]
        #[arg(long, env = "ONECHAT_UNSAFE_NO_INDEX", num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
        unsafe_no_index: bool,
    }
}

settings! {
    #[command(next_help_heading = "Tokens [jwt]; the secret is set by ONECHAT_JWT_SECRET or in the file")]
    JwtSettings {
        /// The secret of HS256 tokens.
        #[arg(skip)]
        secret: String,
        /// A PEM file with the public key of tokens
        #[arg(long = "jwt-public-key-file", env = "ONECHAT_JWT_PUBLIC_KEY_FILE", value_name = "FILE")]
        public_key_file: PathBuf,
        /// A file with the public keys of tokens, as a JSON Web Key Set
        #[arg(long = "jwt-jwks-file", env = "ONECHAT_JWT_JWKS_FILE", value_name = "FILE")]
        jwks_file: PathBuf,
        /// The algorithm of public keys: RS256, ES256 or EdDSA
        #[arg(long = "jwt-algorithm", env = "ONECHAT_JWT_ALGORITHM", value_name = "NAME")]
        algorithm: String,
        /// The claim that names the user [default: sub]
        #[arg(long = "jwt-user-claim", env = "ONECHAT_JWT_USER_CLAIM", value_name = "CLAIM")]
        user_claim: String,
        /// How far clocks may differ when tokens are checked [default: 60]
        #[arg(long = "jwt-clock-skew-s", env = "ONECHAT_JWT_CLOCK_SKEW_S", value_name = "SECONDS")]
        clock_skew_s: u64,
    }
}

settings! {
    #[command(next_help_heading = "Logs [log]")]
    LogSettings {
        /// How logs are written on standard error [default: text]
        #[arg(long = "log-format", env = "ONECHAT_LOG_FORMAT", value_name = "FORMAT")]
        format: LogFormat,
        /// What is logged: a level, or directives [default: `info,rusqlite_migration=warn`]
        #[arg(long = "log", env = "ONECHAT_LOG", value_name = "FILTER")]
        filter: String,
    }
}
