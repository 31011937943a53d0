//! The programs of `bench/peers`, which the service is measured against and shares collections with: where they are, and
//! their packages installed.
//!
//! Uses the standard library alone, because the tests of `crates/onechat` include this file.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
};

/// The Mongoose peer under `root`, the folder of the workspace: its folder, with its packages installed.
///
/// Several test programs may want it in the same moment; one installs, the others wait for it. Installed means that
/// `npm ci` came to its end, with the lock file of today.
pub(crate) fn mongoose(root: &Path) -> io::Result<PathBuf> {
    let peer = root.join("bench/peers/mongoose");
    let (wanted, modules) = (fs::read(peer.join("package-lock.json"))?, peer.join("node_modules"));
    let installed = modules.join(".onechat-installed");
    let is_installed = || fs::read(&installed).is_ok_and(|lock| lock == wanted);
    if is_installed() {
        return Ok(peer);
    }
    // Not in the folder of the packages, which npm removes.
    let lock = File::create(peer.join(".install.lock"))?;
    lock.lock()?;
    if is_installed() {
        return Ok(peer);
    }
    let npm = Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&peer).output();
    let npm = npm.map_err(|error| {
        io::Error::new(error.kind(), format!("npm cannot be run, which comes with Node.js: {error}"))
    })?;
    if !npm.status.success() {
        let said = String::from_utf8_lossy(&npm.stderr);
        let what = format!("`npm ci` in {} failed ({}):\n{said}", peer.display(), npm.status);
        return Err(io::Error::other(what));
    }
    fs::write(&installed, wanted)?;
    Ok(peer)
}
