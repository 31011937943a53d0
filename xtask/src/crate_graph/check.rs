//! Compares the workspace with the table.

use std::collections::BTreeSet;

use super::{
    table::{CONFINED, EDGES, FOR_TESTS},
    workspace::{ARCHITECTURE, Crate, Workspace},
};

/// Everything that is not as intended, one line each.
pub(crate) fn violations(workspace: &Workspace) -> Vec<String> {
    let mut found = table_violations(workspace);
    found.extend(workspace.crates.iter().flat_map(edge_violations));
    found.extend(workspace.crates.iter().flat_map(confinement_violations));
    found.extend(page_violations(workspace));
    found
}

fn table_violations(workspace: &Workspace) -> Vec<String> {
    let existing: BTreeSet<&str> = workspace.crates.iter().map(|one| one.name.as_str()).collect();
    let listed: BTreeSet<&str> = EDGES.iter().map(|(name, _)| *name).collect();
    let unlisted = existing
        .difference(&listed)
        .map(|name| format!("{name} is not in the table of crate_graph/table.rs"));
    let gone = listed
        .difference(&existing)
        .map(|name| format!("{name} is in the table of crate_graph/table.rs only"));
    unlisted.chain(gone).collect()
}

fn edge_violations(one: &Crate) -> Vec<String> {
    let allowed = EDGES.iter().find(|(name, _)| *name == one.name).map_or(&[] as &[&str], |(_, to)| to);
    let of_workspace = |name: &str| EDGES.iter().any(|(listed, _)| *listed == name);
    let wrong = one.dependencies.iter().filter(|dependency| {
        let name = dependency.name.as_str();
        let for_tests = dependency.is_for_tests() && FOR_TESTS.contains(&name);
        of_workspace(name) && !allowed.contains(&name) && !for_tests
    });
    wrong.map(|dependency| format!("{} must not depend on {}", one.name, dependency.name)).collect()
}

fn confinement_violations(one: &Crate) -> Vec<String> {
    let mut found = Vec::new();
    for dependency in &one.dependencies {
        let Some(confined) = CONFINED.iter().find(|confined| confined.library == dependency.name) else {
            continue;
        };
        let name = one.name.as_str();
        let for_tests = dependency.is_for_tests() && confined.test_users.contains(&name);
        if !confined.users.contains(&name) && !for_tests {
            let users = confined.users.join(", ");
            found.push(format!("{name} must not depend on {}: it belongs to {users}", confined.library));
        }
    }
    found
}

/// The page has to name every crate by its directory, and none that is gone.
fn page_violations(workspace: &Workspace) -> Vec<String> {
    let directories: BTreeSet<String> = workspace.crates.iter().map(Crate::directory).collect();
    let named: BTreeSet<String> = directories_named(&workspace.architecture);
    let mentioned = |directory: &str| {
        if directory.starts_with("crates/") {
            named.contains(directory)
        } else {
            workspace.architecture.contains(directory)
        }
    };
    let missing = directories.iter().filter(|directory| !mentioned(directory));
    let missing = missing.map(|directory| format!("{ARCHITECTURE} does not mention {directory}"));
    let gone =
        named.difference(&directories).map(|name| format!("{ARCHITECTURE} mentions {name}, which is gone"));
    missing.chain(gone).collect()
}

/// Every `crates/name` in `text`.
fn directories_named(text: &str) -> BTreeSet<String> {
    let names = text.split("crates/").skip(1).map(|rest| {
        rest.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect::<String>()
    });
    names.filter(|name| !name.is_empty()).map(|name| format!("crates/{name}")).collect()
}
