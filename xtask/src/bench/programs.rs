//! The programs that take part: built from this tree, and as fast as users get them.

use std::{path::PathBuf, process::Command};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::shell;

/// Made up; nothing outside a run trusts it.
pub(super) const SECRET: &str = "a secret for benchmarks on loopback only";

/// Where the programs are.
pub(super) struct Programs {
    pub(super) onechat: PathBuf,
    pub(super) null_server: PathBuf,
    /// Where builds and other things that can be made again are kept.
    pub(super) target: PathBuf,
}

impl Programs {
    pub(super) fn build() -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Metadata {
            target_directory: PathBuf,
        }
        let build = ["cargo", "build", "--release", "--locked"];
        shell::run(&[&build[..], &["-p", "onechat"]].concat(), &[])?;
        shell::run(&[&build[..], &["-p", "onechat-api", "--example", "null_server"]].concat(), &[])?;
        let json = shell::output(&["cargo", "metadata", "--format-version", "1", "--no-deps", "--locked"])?;
        let metadata: Metadata = serde_json::from_str(&json).context("cargo metadata is not as expected")?;
        let target = metadata.target_directory;
        let release = target.join("release");
        Ok(Self {
            onechat: release.join("onechat"),
            null_server: release.join("examples/null_server"),
            target,
        })
    }

    /// A token that may open the chat of any pair, made by the program itself.
    pub(super) fn token(&self) -> anyhow::Result<String> {
        let output = Command::new(&self.onechat)
            .args(["token", "--sub", "benchmark", "--scope", "chats:any", "--ttl", "1d"])
            .env_clear()
            .env("ONECHAT_JWT_SECRET", SECRET)
            .output()
            .context("onechat cannot be run")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "no token can be made: {errors}");
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }
}
