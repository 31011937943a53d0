//! The folder of a deployment, which goes when its owner goes, also when that is killed: a small shell waits for the
//! end of a pipe that only the owner holds open, and then removes it.

use std::{
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use crate::MongodError;

/// `$1` is the folder. A `mongod` may be writing its last file while the first try runs; it is being killed as well.
const REMOVE: &str = r#"
read -r _
tries=0
until rm -rf -- "$1" && [ ! -e "$1" ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || exit 1
    sleep 1
done
"#;

/// Exists for as long as this value, or the process that has it, lives.
pub(crate) struct Folder {
    path: PathBuf,
    remover: Child,
}

impl Folder {
    pub(crate) fn new() -> Result<Self, MongodError> {
        let refused = "a folder for the data of MongoDB cannot be made";
        let made = tempfile::Builder::new().prefix("onechat-mongod-").tempdir();
        let made = made.map_err(MongodError::io(refused))?;
        let remover = Command::new("sh")
            .args(["-c", REMOVE, "sh"])
            .arg(made.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(MongodError::io("sh cannot be run"))?;
        Ok(Self { path: made.keep(), remover })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Closes the pipe first, then waits.
        let _ = self.remover.wait();
    }
}
