//! The examples of docs/configuration.md that sign and check tokens, as written and in their order.

use std::{fmt::Write as _, net::TcpListener, process::Command};

use crate::server::{onechat, scrub, text};

const PAGE: &str = include_str!("../../../../docs/configuration.md");

/// The commands of the shell blocks of a section, block by block; of a console, those behind its prompt.
fn blocks(heading: &str) -> Vec<String> {
    let section = PAGE.split_once(&format!("\n{heading}\n")).unwrap().1;
    let section = section.split("\n##").next().unwrap();
    let fenced = section.split("\n```").skip(1).step_by(2);
    let mut blocks = Vec::new();
    for block in fenced {
        let (kind, lines) = block.split_once('\n').unwrap();
        match kind {
            "sh" => blocks.push(lines.to_owned()),
            "console" => blocks.push(typed(lines)),
            _ => {}
        }
    }
    blocks
}

/// What follows a prompt, with the lines that its open quotes take in.
fn typed(console: &str) -> String {
    let (mut commands, mut is_open) = (String::new(), false);
    for line in console.lines() {
        let command = if is_open { Some(line) } else { line.strip_prefix("$ ") };
        if let Some(command) = command {
            writeln!(commands, "{command}").unwrap();
            is_open ^= command.matches('\'').count() % 2 == 1;
        }
    }
    commands
}

#[test]
fn the_examples_of_keys_work_one_after_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // A server goes on in the background, as in a terminal of its own, until the next one is started.
    let mut script = format!(
        "set -e\nserver() {{\n\
           [ -z \"$pid\" ] || {{ kill $pid; wait $pid; }}\n\
           onechat \"$@\" --listen 127.0.0.1:{port} & pid=$!\n\
           until curl -fsS http://127.0.0.1:{port}/healthz >/dev/null 2>&1; do kill -0 $pid; done\n\
         }}\ntrap 'kill $pid' EXIT\n"
    );
    for block in blocks("## Keys for tokens") {
        for line in block.lines() {
            let line = line.replace("127.0.0.1:8080", &format!("127.0.0.1:{port}"));
            writeln!(script, "{}", line.replacen("onechat serve", "server serve", 1)).unwrap();
        }
    }
    assert_eq!(script.matches("server serve").count(), 2, "{script}");
    let mut shell = Command::new("bash");
    scrub(&mut shell);
    let program = onechat();
    let program = std::path::Path::new(program.get_program());
    let path =
        format!("{}:{}", program.parent().unwrap().display(), std::env::var_os("PATH").unwrap().display());
    let output = shell.current_dir(folder.path()).env("PATH", path).args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}\n{script}", text(&output));
    assert!(text(&output).contains(r#"{"items":[],"nextCursor":null}"#), "{}", text(&output));
}
