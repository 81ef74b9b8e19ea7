//! A real memcached of a test's own.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{skip, spawn_tied};

/// How long a server may take to answer before the test fails.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A memcached on a free port of 127.0.0.1. It dies with this value, and with the test process.
#[derive(Debug)]
pub struct Memcached {
    address: SocketAddr,
    arguments: Vec<String>,
    child: Child,
}

impl Memcached {
    /// Starts one; `None`, and a line that says so, where memcached is not installed.
    ///
    /// # Panics
    /// When it does not start, or is not installed though services [are required](super::are_required).
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// Starts one with more arguments, such as `["-I", "64k"]`.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_with(arguments: &[&str]) -> Option<Self> {
        if let Err(error) = Command::new("memcached").arg("-V").stdout(Stdio::null()).status() {
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "memcached: {error}");
            skip("memcached", "apt-get install memcached");
            return None;
        }
        let arguments: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        // Another process may take the port before memcached binds it.
        for _ in 0..20 {
            let address = free_address();
            if let Some(child) = launch(address, &arguments) {
                return Some(Self {
                    address,
                    arguments,
                    child,
                });
            }
        }
        panic!("memcached did not start on any of 20 ports");
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kills it (SIGKILL): its connections break, its items are gone, its port refuses.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn kill(&mut self) {
        let _already_dead = self.child.kill();
        self.child.wait().expect("memcached is a child of this process");
    }

    /// Starts it again, empty, on the same port; kills it first where it still runs.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        let started = (0..20).find_map(|_| launch(self.address, &self.arguments));
        self.child = started.expect("memcached starts on the port that it had");
    }

    /// Freezes it (SIGSTOP): connections are accepted by the system, and nothing answers.
    ///
    /// # Panics
    /// When the signal cannot be sent.
    pub fn pause(&self) {
        self.signal("-STOP");
        let stat = format!("/proc/{}/stat", self.child.id());
        let deadline = Instant::now() + TIMEOUT;
        // The field after the name in parentheses is the state.
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") T ")) {
            assert!(Instant::now() < deadline, "memcached did not stop");
            std::thread::yield_now();
        }
    }

    /// Resumes it (SIGCONT); it then handles what was sent to it meanwhile.
    ///
    /// # Panics
    /// When the signal cannot be sent.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// Deletes every item.
    ///
    /// # Panics
    /// When memcached does not answer.
    pub fn flush(&self) {
        assert_eq!(self.send("flush_all\r\n").expect("memcached answers"), "OK");
    }

    /// Sends raw bytes on a connection of its own; the first line of the reply, without its end.
    ///
    /// # Errors
    /// When memcached does not answer.
    pub fn send(&self, request: &str) -> io::Result<String> {
        first_line(self.address, request)
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(status.expect("kill is installed").success());
    }
}

impl Drop for Memcached {
    fn drop(&mut self) {
        let _already_dead = self.child.kill();
        let _already_waited_for = self.child.wait();
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("a bound socket has an address")
}

/// Starts memcached and waits until it answers; `None` where it ends instead, as it does when the port is taken.
fn launch(address: SocketAddr, arguments: &[String]) -> Option<Child> {
    let mut child = spawn_tied("memcached", |command| {
        command.args([
            "-l",
            &address.ip().to_string(),
            "-p",
            &address.port().to_string(),
            "-U",
            "0",
        ]);
        // As root, memcached requires a user name; changing to another user would clear the parent-death signal.
        command.args(["-u", "root", "-t", "2", "-m", "64"]).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    });
    let deadline = Instant::now() + TIMEOUT;
    while child
        .try_wait()
        .expect("memcached is a child of this process")
        .is_none()
    {
        assert!(Instant::now() < deadline, "memcached does not answer");
        // Checks the pid, since another server may listen on that port.
        if first_line(address, "stats\r\n").is_ok_and(|line| line == format!("STAT pid {}", child.id())) {
            return Some(child);
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
    None
}

fn first_line(address: SocketAddr, request: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.write_all(request.as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}
