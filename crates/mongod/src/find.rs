//! Where the `mongod` comes from: what `ONECHAT_MONGOD` names, else what the `PATH` has, else what was fetched into
//! the build folder. The first that is there is taken or is an error; a broken one is never passed over in silence.

use std::{
    env,
    ffi::OsString,
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{MongodError, fetch};

/// The oldest that has what onechat uses (unique indexes that are prepared before they are enforced).
const OLDEST_MAJOR: u32 = 6;
const NAMED: &str = "named by ONECHAT_MONGOD";
const ON_PATH: &str = "found on the PATH";
const FETCHED: &str = "fetched into the build folder";

/// A `mongod` that runs on this machine.
#[derive(Clone, Debug)]
pub struct Mongod {
    program: PathBuf,
    version: String,
    origin: &'static str,
}

impl Mongod {
    /// Finds one, or fetches it, and makes sure that it runs. Blocks for as long as a download takes.
    pub fn find() -> Result<Self, MongodError> {
        Search::here().run()
    }

    /// The program.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Its version, as `6.0.5`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Where it was found, in words.
    pub fn origin(&self) -> &'static str {
        self.origin
    }

    fn checked(program: PathBuf, origin: &'static str) -> Result<Self, MongodError> {
        match version_of(&program) {
            Ok(version) => Ok(Self { program, version, origin }),
            Err(reason) => Err(MongodError::Unusable { program, origin, reason, advice: advice(origin) }),
        }
    }
}

/// Where to look. A value, so that tests can look elsewhere.
pub(crate) struct Search {
    pub(crate) named: Option<OsString>,
    pub(crate) path: Option<OsString>,
    pub(crate) fetch: fetch::Fetch,
}

impl Search {
    fn here() -> Self {
        let fetch = fetch::Fetch { store: target_folder().join("mongod"), python: "python3".into() };
        Self { named: env::var_os("ONECHAT_MONGOD"), path: env::var_os("PATH"), fetch }
    }

    pub(crate) fn run(&self) -> Result<Mongod, MongodError> {
        if let Some(named) = self.named.as_ref().filter(|named| !named.is_empty()) {
            return Mongod::checked(named.into(), NAMED);
        }
        let folders = self.path.iter().flat_map(env::split_paths);
        let found = folders.map(|folder| folder.join("mongod")).find(|program| is_executable(program));
        match found {
            Some(program) => Mongod::checked(program, ON_PATH),
            None => Mongod::checked(self.fetch.run()?, FETCHED),
        }
    }
}

/// The build folder. Tests are not told its name, but what makes it differ from the usual one.
fn target_folder() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().unwrap_or(root);
    // `join` takes an absolute path as it is.
    root.join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

fn advice(origin: &str) -> &'static str {
    match origin {
        NAMED => {
            "set ONECHAT_MONGOD to the path of a mongod 6.0 or later, or unset it to have one found or fetched"
        }
        ON_PATH => "mend it, or set ONECHAT_MONGOD to the path of another one",
        _ => "install MongoDB 6.0 or later and put `mongod` on the PATH, or set ONECHAT_MONGOD to its path",
    }
}

fn is_executable(program: &Path) -> bool {
    program.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

/// What the program says of itself, or what is wrong with it.
fn version_of(program: &Path) -> Result<String, String> {
    let data = program.metadata().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        _ => error.to_string(),
    })?;
    if !data.is_file() {
        return Err("it is not a file".to_owned());
    }
    if !is_executable(program) {
        return Err("it is not executable".to_owned());
    }
    // A relative path without a slash would be looked up on the PATH.
    let program = std::path::absolute(program).map_err(|error| error.to_string())?;
    let output = Command::new(program).arg("--version").output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout);
    let version = said.lines().find_map(|line| line.strip_prefix("db version v"));
    let Some(version) = version.filter(|_| output.status.success()) else {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`--version` did not tell a version ({}) {}", output.status, complaint.trim()));
    };
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major < Some(OLDEST_MAJOR) {
        return Err(format!("its version {version} is too old"));
    }
    Ok(version.to_owned())
}

#[cfg(test)]
mod tests;
