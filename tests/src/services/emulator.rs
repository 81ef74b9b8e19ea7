//! Google's emulators of Datastore, started through gcloud.
//!
//! [`datastore`] and [`firestore`] are shared by all tests of a binary, each with a namespace of its own. A test that
//! freezes or kills an emulator [starts](Emulator::start) its own.
//!
//! gcloud is a Python program that runs a shell script that runs Java. All of them are one process group. A watchdog
//! shell kills the group when a pipe from the test process is closed, that is, however that process ends.

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long an emulator may take to start on a machine that is busy compiling.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// The project of the tests; an emulator accepts any.
pub const PROJECT: &str = "session-tests";

/// Runs `"$@"` as a process group of its own, prints the group's id, and kills it when its standard input ends.
/// Ignores the signals of a terminal; those end the test process, which closes the pipe.
const WATCHDOG: &str = r#"
trap '' INT TERM HUP
setsid "$@" </dev/null >"$EMULATOR_LOG" 2>&1 &
echo $!
read -r _
kill -s KILL -- -$! 2>/dev/null
rm -rf "$EMULATOR_DIR"
"#;

/// Which of Google's two emulators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavour {
    /// `gcloud beta emulators datastore`.
    Datastore,
    /// `gcloud beta emulators firestore --database-mode=datastore-mode`.
    FirestoreInDatastoreMode,
}

/// A running emulator; dropped, it is killed.
#[derive(Debug)]
pub struct Emulator {
    flavour: Flavour,
    address: SocketAddr,
    running: Mutex<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    watchdog: Child,
    /// Closing this makes the watchdog kill the group.
    lifeline: Option<ChildStdin>,
    group: String,
}

/// The Datastore emulator of this test binary; `None` (and a line that says so) where it is not installed.
pub fn datastore() -> Option<&'static Emulator> {
    static SHARED: OnceLock<Option<Emulator>> = OnceLock::new();
    SHARED.get_or_init(|| Emulator::start(Flavour::Datastore)).as_ref()
}

/// The Firestore emulator in Datastore mode of this test binary; `None` (and a line that says so) where it is not installed.
pub fn firestore() -> Option<&'static Emulator> {
    static SHARED: OnceLock<Option<Emulator>> = OnceLock::new();
    SHARED
        .get_or_init(|| Emulator::start(Flavour::FirestoreInDatastoreMode))
        .as_ref()
}

impl Emulator {
    /// Starts an emulator on a free port and waits until it answers; `None` (and a line that says so) without gcloud or
    /// Java.
    ///
    /// # Panics
    /// Where the emulator is installed and does not start.
    pub fn start(flavour: Flavour) -> Option<Self> {
        for (program, how) in [
            (
                "gcloud",
                "https://cloud.google.com/sdk/docs/install, with the emulator's component",
            ),
            ("java", "a Java runtime"),
            ("setsid", "util-linux"),
        ] {
            if !is_installed(program) {
                super::skip(program, how);
                return None;
            }
        }
        let emulator = Self {
            flavour,
            address: free_address().unwrap(),
            running: Mutex::new(None),
        };
        emulator.restart();
        Some(emulator)
    }

    /// `host:port`, as for `DATASTORE_EMULATOR_HOST`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Kills the emulator where it runs, and starts it, empty, at the same address.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn restart(&self) {
        self.kill();
        let running = Running::start(self.flavour, self.address).unwrap();
        let log = log_of(self.address);
        *self.running() = Some(running);
        let started = Instant::now();
        while !is_healthy(self.address) {
            let log = || fs::read_to_string(&log).unwrap_or_default();
            assert!(
                started.elapsed() < START_TIMEOUT,
                "{:?} did not start: {}",
                self.flavour,
                log()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Kills the emulator with all its processes, and waits until its port is closed.
    pub fn kill(&self) {
        // In a statement of its own, so that the lock is not held while waiting.
        let running = self.running().take();
        drop(running);
    }

    /// Stops the emulator's processes (SIGSTOP): connections stay open, and calls are not answered.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Resumes a frozen emulator (SIGCONT).
    ///
    /// # Panics
    /// Where it does not run.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, signal: &str) {
        let running = self.running();
        let group = &running.as_ref().expect("the emulator does not run").group;
        kill(signal, group).unwrap();
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Running {
    fn start(flavour: Flavour, address: SocketAddr) -> io::Result<Self> {
        let dir = dir_of(address);
        fs::create_dir_all(&dir)?;
        let mut command = Command::new("sh");
        command.args(["-c", WATCHDOG, "watchdog", "gcloud", "--quiet", "beta", "emulators"]);
        match flavour {
            Flavour::Datastore => command
                .args(["datastore", "start", "--no-store-on-disk", "--consistency=1.0"])
                .arg(format!("--project={PROJECT}"))
                .arg(format!("--data-dir={}", dir.display())),
            Flavour::FirestoreInDatastoreMode => command.args(["firestore", "start", "--database-mode=datastore-mode"]),
        };
        command
            .arg(format!("--host-port={address}"))
            .env("EMULATOR_LOG", log_of(address))
            .env("EMULATOR_DIR", &dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut watchdog = command.spawn()?;
        let lifeline = watchdog.stdin.take();
        let mut group = String::new();
        if let Some(stdout) = watchdog.stdout.take() {
            io::BufRead::read_line(&mut io::BufReader::new(stdout), &mut group)?;
        }
        Ok(Self {
            watchdog,
            lifeline,
            group: group.trim().to_owned(),
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        let _ = self.watchdog.wait();
    }
}

fn kill(signal: &str, group: &str) -> io::Result<()> {
    let status = Command::new("kill")
        .args([format!("-{signal}"), "--".to_owned(), format!("-{group}")])
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(io::Error::other(format!("kill -{signal} -{group}: {status}")))
    }
}

fn is_installed(program: &str) -> bool {
    let paths = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&paths).any(|path| path.join(program).is_file())
}

fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Beside the test binary, which is below the target directory.
fn dir_of(address: SocketAddr) -> PathBuf {
    let beside = env::current_exe().ok().and_then(|exe| Some(exe.parent()?.to_owned()));
    beside
        .unwrap_or_else(env::temp_dir)
        .join(format!("emulator-{}", address.port()))
}

fn log_of(address: SocketAddr) -> PathBuf {
    dir_of(address).join("log")
}

/// Whether the emulator's health check answers `Ok`.
fn is_healthy(address: SocketAddr) -> bool {
    let timeout = Duration::from_secs(2);
    let answer = || -> io::Result<[u8; 12]> {
        let mut stream = TcpStream::connect_timeout(&address, timeout)?;
        stream.set_read_timeout(Some(timeout))?;
        write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        // Only the status line, since the emulator leaves the connection open.
        let mut answer = [0; 12];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    answer().is_ok_and(|answer| answer == *b"HTTP/1.1 200")
}
