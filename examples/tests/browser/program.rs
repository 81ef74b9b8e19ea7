//! A program that says which port it listens on.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use session_tests::services::spawn_tied;

use super::PATIENCE;

pub(super) struct Program {
    child: Child,
    pub(super) port: u16,
}

impl Program {
    pub(super) fn is_installed(name: &str) -> bool {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
    }

    /// Starts it, with this folder for what it leaves behind, and waits for the line that has the port after `mark`.
    pub(super) fn start(name: &str, args: &[String], folder: &Path, mark: &'static str) -> Self {
        let mut child = spawn_tied(name, |command: &mut Command| {
            command
                .args(args)
                .env("TMPDIR", folder)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
        });
        let (sender, ports) = mpsc::channel();
        let outputs: [Box<dyn std::io::Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for output in outputs {
            let sender = sender.clone();
            // To its end, or the program would wait for a reader.
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if let Some((_, rest)) = line.split_once(mark) {
                        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                        let _nobody_waits = sender.send(digits.parse().unwrap());
                    }
                }
            });
        }
        let mut program = Self { child, port: 0 };
        program.port = ports
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| panic!("{name} does not start"));
        program
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _has_ended = self.child.kill();
        let _is_known = self.child.wait();
    }
}
