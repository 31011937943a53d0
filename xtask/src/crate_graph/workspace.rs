//! What the check looks at: the crates as `cargo metadata` tells them, and the page about them.

use std::fs;

use anyhow::Context as _;
use serde::Deserialize;

use crate::shell;

pub(super) const ARCHITECTURE: &str = "docs/ARCHITECTURE.md";

/// The workspace, as it is or as a test makes it.
pub(crate) struct Workspace {
    pub(crate) crates: Vec<Crate>,
    /// The page that a newcomer reads first.
    pub(super) architecture: String,
}

/// A crate of the workspace, and what it names.
#[derive(Deserialize)]
pub(crate) struct Crate {
    pub(super) name: String,
    pub(super) manifest_path: String,
    pub(super) dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    pub(super) kind: Option<String>,
}

impl Workspace {
    /// Reads the workspace as it is.
    pub(crate) fn load() -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Metadata {
            packages: Vec<Crate>,
        }
        // Without --no-deps the list would have every crate of the tree; what is asked here is who names whom.
        let json = shell::output(&["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"])?;
        let metadata: Metadata = serde_json::from_str(&json).context("cargo metadata is not as expected")?;
        let architecture = fs::read_to_string(shell::root().join(ARCHITECTURE))
            .with_context(|| format!("{ARCHITECTURE} cannot be read"))?;
        Ok(Self { crates: metadata.packages, architecture })
    }
}

impl Crate {
    /// Its directory, from the root of the workspace.
    pub(super) fn directory(&self) -> String {
        let mut parts = self.manifest_path.rsplit(['/', '\\']).skip(1);
        match (parts.next(), parts.next()) {
            (Some(name), Some("crates")) => format!("crates/{name}"),
            (Some(name), _) => name.to_owned(),
            _ => String::new(),
        }
    }
}

impl Dependency {
    pub(super) fn is_for_tests(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}
