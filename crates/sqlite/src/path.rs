//! Which file a path means, found out without opening it: see `lock.rs` for why it must not be opened.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The path with all symlinks followed, so that lock file, database and audit agree on one. The file need not exist
/// yet, its folder has to.
pub(crate) fn resolve(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    // A symlink to a file that does not exist yet: SQLite would create it there.
    if let Ok(target) = fs::read_link(path) {
        return resolve(&folder.join(target));
    }
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    Ok(fs::canonicalize(folder)?.join(name))
}

/// How many names the file has; 0 if it does not exist.
pub(crate) fn hard_links(path: &Path) -> io::Result<u64> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(links_of(&metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn links_of(metadata: &fs::Metadata) -> u64 {
    // A folder has a link for each folder in it, and is refused later, as no database.
    if metadata.is_file() { std::os::unix::fs::MetadataExt::nlink(metadata) } else { 1 }
}

#[cfg(not(unix))]
fn links_of(_metadata: &fs::Metadata) -> u64 {
    1
}
