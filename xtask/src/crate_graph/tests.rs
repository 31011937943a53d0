//! The check finds what it is there to find.

use super::{
    table::EDGES,
    violations,
    workspace::{Crate, Dependency, Workspace},
};

/// The workspace as it is intended, every allowed edge used.
fn intended() -> Workspace {
    let crates = EDGES.iter().map(|(name, to)| {
        let directory = match *name {
            "xtask" => "xtask".to_owned(),
            other => format!("crates/{}", other.trim_start_matches("onechat-")),
        };
        Crate {
            name: (*name).to_owned(),
            manifest_path: format!("/somewhere/{directory}/Cargo.toml"),
            dependencies: to.iter().map(|to| dependency(to, None)).collect(),
        }
    });
    let crates: Vec<Crate> = crates.collect();
    let architecture = crates.iter().map(Crate::directory).collect::<Vec<_>>().join("\n");
    Workspace { crates, architecture }
}

fn dependency(name: &str, kind: Option<&str>) -> Dependency {
    Dependency { name: name.to_owned(), kind: kind.map(str::to_owned) }
}

/// What is found once `from` depends on `to`.
fn with_edge(from: &str, to: &str, kind: Option<&str>) -> Vec<String> {
    let mut workspace = intended();
    let one = workspace.crates.iter_mut().find(|one| one.name == from).expect("the crate is in the table");
    one.dependencies.push(dependency(to, kind));
    violations(&workspace)
}

#[test]
fn the_intended_workspace_is_clean() {
    assert_eq!(violations(&intended()), Vec::<String>::new());
}

#[test]
fn finds_a_wrong_edge() {
    assert_eq!(
        with_edge("onechat-core", "onechat-sqlite", None),
        ["onechat-core must not depend on onechat-sqlite"]
    );
    assert_eq!(with_edge("onechat-api", "onechat-prove", Some("dev")).len(), 1);
    assert_eq!(with_edge("onechat-api", "onechat-sqlite", Some("build")).len(), 1);
}

#[test]
fn lets_tests_use_the_suite_and_a_store() {
    assert!(with_edge("onechat-api", "onechat-contract", Some("dev")).is_empty());
    assert!(with_edge("onechat-prove", "onechat-sqlite", Some("dev")).is_empty());
    assert!(with_edge("onechat-api", "onechat-mongod", Some("dev")).is_empty());
}

#[test]
fn finds_a_driver_outside_its_crate() {
    assert_eq!(
        with_edge("onechat", "rusqlite", Some("dev")),
        ["onechat must not depend on rusqlite: it belongs to onechat-sqlite"]
    );
    assert_eq!(with_edge("onechat", "onechat-mongod", None).len(), 1);
    assert_eq!(with_edge("onechat", "mongodb", Some("dev")).len(), 1);
    assert_eq!(with_edge("onechat-prove", "axum", None).len(), 1);
    assert!(with_edge("onechat-prove", "axum", Some("dev")).is_empty());
    assert!(with_edge("onechat-api", "hyper", None).is_empty());
}

#[test]
fn finds_a_crate_that_the_table_does_not_know_and_one_that_is_gone() {
    let mut workspace = intended();
    workspace.crates[0].name = "onechat-new".to_owned();
    workspace.crates[0].dependencies.clear();
    let found = violations(&workspace);
    assert!(
        found.contains(&"onechat-new is not in the table of crate_graph/table.rs".to_owned()),
        "{found:?}"
    );
    assert!(found.contains(&"onechat is in the table of crate_graph/table.rs only".to_owned()), "{found:?}");
}

#[test]
fn finds_a_page_that_forgets_a_crate_or_names_one_that_is_gone() {
    let mut workspace = intended();
    workspace.architecture = workspace.architecture.replace("crates/core", "crates/kernel");
    assert_eq!(
        violations(&workspace),
        [
            "docs/ARCHITECTURE.md does not mention crates/core",
            "docs/ARCHITECTURE.md mentions crates/kernel, which is gone"
        ]
    );
}
