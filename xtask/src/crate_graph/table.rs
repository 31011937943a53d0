//! The intended crate graph, as data. A change here is a change of the architecture: see `docs/ARCHITECTURE.md`.

/// Every crate of the workspace, with the others that it may depend on.
pub(super) const EDGES: &[(&str, &[&str])] = &[
    (
        "onechat",
        &[
            "onechat-api",
            "onechat-core",
            "onechat-migrate",
            "onechat-mongo",
            "onechat-prove",
            "onechat-sqlite",
        ],
    ),
    ("onechat-api", &["onechat-core"]),
    ("onechat-contract", &["onechat-core"]),
    ("onechat-core", &[]),
    ("onechat-legacy", &["onechat-core"]),
    ("onechat-migrate", &["onechat-core"]),
    ("onechat-mongo", &["onechat-core", "onechat-migrate"]),
    ("onechat-mongod", &[]),
    ("onechat-prove", &["onechat-core"]),
    ("onechat-sqlite", &["onechat-core"]),
    ("xtask", &["onechat-legacy", "onechat-mongod"]),
];

/// What any crate may use in its tests: a suite to pass, a store to run on, a MongoDB, and old data for it.
pub(super) const FOR_TESTS: &[&str] =
    &["onechat-contract", "onechat-legacy", "onechat-mongod", "onechat-sqlite"];

/// A library that only some crates may name.
pub(super) struct Confined {
    pub(super) library: &'static str,
    pub(super) users: &'static [&'static str],
    pub(super) test_users: &'static [&'static str],
}

pub(super) const CONFINED: &[Confined] = &[
    Confined { library: "rusqlite", users: &["onechat-sqlite"], test_users: &[] },
    Confined { library: "rusqlite_migration", users: &["onechat-sqlite"], test_users: &[] },
    Confined {
        library: "mongodb",
        users: &["onechat-legacy", "onechat-mongo", "onechat-mongod"],
        test_users: &[],
    },
    Confined { library: "axum", users: &["onechat-api"], test_users: &["onechat-prove"] },
    Confined { library: "hyper", users: &["onechat-api"], test_users: &["onechat-prove"] },
];
