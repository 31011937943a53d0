//! Clients that ask for large pages and read nothing, on both stores: the memory of the server stays bounded.

use std::{fs, time::Duration};

use onechat_mongod::{fresh_database, shared_standalone};
use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream},
};

use crate::server::{Server, onechat, token};

const CLIENTS: usize = 100;

/// Well above what they take if all is well (30 MiB), well below what they took (400 to 700).
const BOUND_MIB: usize = 150;

/// The memory of a process, in MiB. Nothing where there is no `/proc`.
fn resident_mib(process: u32) -> Option<usize> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse::<usize>().ok().map(|kib| kib / 1024)
}

async fn non_reader(server: &Server) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.url.trim_start_matches("http://").parse().unwrap()).await.unwrap();
    let request = format!(
        "GET /api/chats?limit=100 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\r\n",
        token("mallory")
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn memory_is_bounded(server: Server) {
    let crowd: Vec<String> = (0..254).map(|number| format!("{number:03}{}", "x".repeat(253))).collect();
    let mallory = server.user("mallory");
    for chat in 0..100 {
        let other = format!("other {chat}");
        let people: Vec<&str> = crowd.iter().map(String::as_str).chain(["mallory", &other]).collect();
        assert_eq!(mallory.open(&people).await.unwrap().0, 201);
    }
    let Some(before) = resident_mib(server.process.id()) else {
        println!("NOT RUN: there is no /proc here");
        return;
    };
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(non_reader(&server).await);
    }
    let (mut most, mut quiet) = (before, 0);
    // Until nothing has grown for two seconds: then all that will be read for them has been.
    while quiet < 20 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = resident_mib(server.process.id()).unwrap();
        quiet = if now > most { 0 } else { quiet + 1 };
        most = most.max(now);
    }
    assert!(most < before + BOUND_MIB, "{before} MiB before, up to {most} with {CLIENTS} who do not read");
}

#[tokio::test]
async fn memory_is_bounded_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    memory_is_bounded(Server::start(folder.path(), &[])).await;
}

#[tokio::test]
async fn memory_is_bounded_on_mongodb() {
    let store = shared_standalone().await.uri(&fresh_database("it"));
    let mut command = onechat();
    command.args(["serve", "--store", &store]);
    memory_is_bounded(Server::start_as(command)).await;
}
