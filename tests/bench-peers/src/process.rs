//! Other processes: servers of the stacks, and the services that they need.

use std::io;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::load;

/// How long a process may take to accept connections; a file of a million sessions is checked in that time.
const START: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(5);

/// A process that listens on a port of this machine, and ends with this value.
pub(crate) struct Process {
    pub(crate) port: u16,
    pub(crate) start_time: Duration,
    child: Child,
    /// What makes it end at once, and leave nothing behind.
    stop: Signal,
    _folder: Option<TempDir>,
}

impl Process {
    async fn start(mut command: Command, port: u16, stop: Signal, folder: Option<TempDir>) -> io::Result<Self> {
        let begin = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let mut process = Self {
            port,
            start_time: Duration::ZERO,
            child,
            stop,
            _folder: folder,
        };
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            if let Some(status) = process.child.try_wait()? {
                return Err(io::Error::other(format!("{:?}: {status}", command.get_program())));
            }
            if begin.elapsed() > START {
                return Err(io::Error::other(format!("{:?} did not come up", command.get_program())));
            }
            sleep(Duration::from_millis(10)).await;
        }
        process.start_time = begin.elapsed();
        Ok(process)
    }

    /// This program, as the server of a stack, that may keep files in `folder`.
    pub(crate) async fn server(stack: &str, service: u16, folder: &Path, counts: bool) -> io::Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["serve", stack, &port.to_string(), &service.to_string()])
            .arg(folder);
        command.args(counts.then_some("count"));
        Self::start(command, port, Signal::KILL, None).await
    }

    pub(crate) async fn usage(&self) -> io::Result<Usage> {
        let body = load::body(self.port, "/usage", "").await?;
        let mut numbers = body.split_whitespace().map(|word| word.parse().unwrap_or_default());
        let mut next = || numbers.next().unwrap_or_default();
        let (cpu_nanos, allocations) = (next(), next());
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = resident.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        Ok(Usage {
            cpu_nanos,
            allocations,
            resident: kilobytes.unwrap_or_default() * 1024,
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let asked = pid.is_some_and(|pid| kill_process(pid, self.stop).is_ok());
        let begin = Instant::now();
        while asked && begin.elapsed() < STOP {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server has used so far.
pub(crate) struct Usage {
    pub(crate) cpu_nanos: u64,
    pub(crate) allocations: u64,
    /// In bytes.
    pub(crate) resident: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Service {
    None,
    Memcached,
    Redis,
    Postgres,
}

impl Service {
    /// Where it comes from, on Debian and Ubuntu.
    pub(crate) fn package(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Memcached => "memcached",
            Self::Redis => "redis-server",
            Self::Postgres => "postgresql, with its `bin` folder in PATH",
        }
    }

    pub(crate) async fn start(self) -> io::Result<Option<Process>> {
        let port = free_port()?;
        let (program, arguments) = match self {
            Self::None => return Ok(None),
            // `-u` is looked at by root alone.
            Self::Memcached => ("memcached", "-l 127.0.0.1 -u root -t 1 -m 1024 -p"),
            Self::Redis => ("redis-server", "--bind 127.0.0.1 --save '' --port"),
            Self::Postgres => return postgres(port).await.map(Some),
        };
        let mut command = Command::new(program);
        let arguments = arguments.split(' ').map(|word| if word == "''" { "" } else { word });
        command.args(arguments).arg(port.to_string()).stderr(Stdio::null());
        Process::start(command, port, Signal::TERM, None).await.map(Some)
    }
}

/// A cluster of its own, with the settings that Postgres comes with: each commit is synced.
async fn postgres(port: u16) -> io::Result<Process> {
    let folder = tempfile::tempdir()?;
    let (mut initdb, mut postgres) = (Command::new("initdb"), Command::new("postgres"));
    initdb
        .args(["-A", "trust", "-U", "bench", "--no-sync", "-D"])
        .arg(folder.path());
    postgres.args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]);
    postgres
        .args(["-p", &port.to_string(), "-D"])
        .arg(folder.path())
        .stderr(Stdio::null());
    // It refuses to run as root.
    if geteuid().is_root() {
        let users = std::fs::read_to_string("/etc/passwd")?;
        let user = users.lines().find_map(|line| line.strip_prefix("postgres:"));
        let words = user.unwrap_or_default().split(':').skip(1);
        let mut ids = words.map_while(|word| word.parse::<u32>().ok());
        let (Some(uid), Some(gid)) = (ids.next(), ids.next()) else {
            return Err(io::Error::new(io::ErrorKind::NotFound, "there is no user `postgres`"));
        };
        chown(folder.path(), Some(uid), Some(gid))?;
        initdb.uid(uid).gid(gid).current_dir("/");
        postgres.uid(uid).gid(gid).current_dir("/");
    }
    initdb.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let made = tokio::process::Command::from(initdb).kill_on_drop(true).status();
    let status = timeout(START, made).await??;
    if !status.success() {
        return Err(io::Error::other(format!("initdb: {status}")));
    }
    Process::start(postgres, port, Signal::QUIT, Some(folder)).await
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
