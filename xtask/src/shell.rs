//! Running programs at the root of the workspace, wherever the caller stands.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs a command whose output belongs to the terminal.
pub(crate) fn run(command: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<()> {
    println!("$ {}", command.join(" "));
    let status = start(command)
        .envs(environment.iter().copied())
        .status()
        .with_context(|| format!("{} cannot be run", command[0]))?;
    ensure!(status.success(), "`{}` failed ({status})", command.join(" "));
    Ok(())
}

/// Runs a command for what it prints. Its errors still go to the terminal.
pub(crate) fn output(command: &[&str]) -> anyhow::Result<String> {
    let output = start(command)
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("{} cannot be run", command[0]))?;
    ensure!(output.status.success(), "`{}` failed ({})", command.join(" "), output.status);
    String::from_utf8(output.stdout).with_context(|| format!("`{}` printed no UTF-8", command.join(" ")))
}

fn start(command: &[&str]) -> Command {
    let mut started = Command::new(command[0]);
    started.args(&command[1..]).current_dir(root());
    // What cargo told this program of itself: another cargo would build anew what depends on it, `ring` for one.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            started.env_remove(&*name);
        }
    }
    started
}
