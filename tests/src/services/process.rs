//! A node that is a process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use super::spawn_tied;

/// A process that is killed when this value is dropped, and with the test process.
#[derive(Debug)]
pub struct Process(Child);

impl Process {
    /// Starts a program whose first line of output is the address at which it listens; `None` where it ends before that.
    pub fn start(program: &str, configure: impl FnOnce(&mut Command)) -> Option<(Self, SocketAddr)> {
        let child = spawn_tied(program, |command| {
            command.stdin(Stdio::null()).stdout(Stdio::piped());
            configure(command);
        });
        let mut process = Self(child);
        let mut line = String::new();
        BufReader::new(process.0.stdout.take()?).read_line(&mut line).ok()?;
        Some((process, line.trim().parse().ok()?))
    }

    /// Freezes it (SIGSTOP).
    ///
    /// # Panics
    /// When the signal cannot be sent.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Resumes it (SIGCONT).
    ///
    /// # Panics
    /// When the signal cannot be sent.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let mut kill = Command::new("kill");
        let status = kill.args([signal, &self.0.id().to_string()]).status();
        assert!(status.expect("kill is installed").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _already_dead = self.0.kill();
        let _already_waited_for = self.0.wait();
    }
}
