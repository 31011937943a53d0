//! Where a run took place: figures without their machine mean nothing. What cannot be found out is left out.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    path::Path,
    thread,
    time::Instant,
};

use anyhow::{Context as _, ensure};

use super::{format, series::Series};
use crate::shell;

const SYNCS: usize = 100;
const PAGE_BYTES: usize = 4096;

/// A list of facts, a line each, about this machine and the programs that take part.
pub(super) fn facts(folder: &Path, wrk_version: &str) -> anyhow::Result<String> {
    let mut facts = String::new();
    let mut add = |name: &str, fact: Option<String>| {
        if let Some(fact) = fact {
            let _ = writeln!(facts, "- {name}: {}", fact.trim());
        }
    };
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cores = thread::available_parallelism().context("the number of cores is unknown")?;
    let model = field(&read("/proc/cpuinfo"), "model name");
    add("processor", Some(format!("{}, {cores} cores", model.unwrap_or_else(|| "unknown".to_owned()))));
    add("memory", field(&read("/proc/meminfo"), "MemTotal").and_then(|total| gib(&total)));
    add("system", shell::output(&["uname", "-srm"]).ok());
    let synced = format::ms(sync_ms(folder)?);
    let file_system = file_system(folder);
    ensure!(
        file_system.as_deref() != Some("tmpfs"),
        "the build folder is in memory (tmpfs): nothing would be durable; set CARGO_TARGET_DIR to a folder on a disk"
    );
    let disk = file_system.map_or_else(String::new, |name| format!("{name}, "));
    add("store on", Some(format!("{disk}4 KiB appended and synced in {synced} ms")));
    let version = concat!("onechat ", env!("CARGO_PKG_VERSION"));
    let commit = shell::output(&["git", "describe", "--always", "--dirty", "--abbrev=10"]).ok();
    let commit = commit.map_or_else(String::new, |commit| format!(", commit {}", commit.trim()));
    add(
        "program",
        Some(format!("{version}{commit}, built by {}", shell::output(&["rustc", "--version"])?.trim())),
    );
    add("load", Some(wrk_version.to_owned()));
    Ok(facts)
}

/// What durability costs here: the median time of an append that is waited for.
fn sync_ms(folder: &Path) -> anyhow::Result<f64> {
    let mut file = File::create(folder.join("sync"))?;
    let mut times = Vec::new();
    for _ in 0..SYNCS {
        let start = Instant::now();
        file.write_all(&[1; PAGE_BYTES])?;
        file.sync_data().context("the disk cannot be synced")?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(Series::new(times).median())
}

fn file_system(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    mounted_at(&folder, &fs::read_to_string("/proc/self/mounts").ok()?)
}

/// The file system of the longest mount point that `folder` is under; of equals, the last hides the others.
fn mounted_at(folder: &Path, mounts: &str) -> Option<String> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let over = mounts.filter(|(point, _)| folder.starts_with(point));
    over.max_by_key(|(point, _)| point.len()).map(|(_, name)| name.to_owned())
}

/// The value of the first line `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    fields.find(|(field, _)| field.trim() == name).map(|(_, value)| value.trim().to_owned())
}

fn gib(kib: &str) -> Option<String> {
    let kib: f64 = kib.strip_suffix(" kB")?.parse().ok()?;
    Some(format!("{:.1} GiB", kib / 1024.0 / 1024.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_counts() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/disk xfs rw 0 0\n";
        assert_eq!(mounted_at(Path::new("/home/x"), mounts).as_deref(), Some("ext4"));
        assert_eq!(mounted_at(Path::new("/tmp/x"), mounts).as_deref(), Some("tmpfs"));
        assert_eq!(mounted_at(Path::new("/tmp/disk/x"), mounts).as_deref(), Some("xfs"));
    }

    #[test]
    fn facts_are_read_as_the_kernel_writes_them() {
        assert_eq!(
            field("processor\t: 0\nmodel name\t: Some CPU\n", "model name").as_deref(),
            Some("Some CPU")
        );
        assert_eq!(gib("4194304 kB").as_deref(), Some("4.0 GiB"));
    }
}
