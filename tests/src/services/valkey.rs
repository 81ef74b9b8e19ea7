//! A real Valkey or Redis of a test's own.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{skip, spawn_tied};

/// How long a server may take to answer before the test fails.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The programs, of which the first that is installed is used.
const PROGRAMS: [&str; 2] = ["valkey-server", "redis-server"];

/// A server on a free port of 127.0.0.1. It dies with this value, and with the test process.
#[derive(Debug)]
pub struct ValkeyServer {
    program: &'static str,
    address: SocketAddr,
    arguments: Vec<String>,
    dir: PathBuf,
    child: Child,
}

impl ValkeyServer {
    /// Starts one; `None`, and a line that says so, where it is not installed.
    ///
    /// # Panics
    /// When it does not start, or is not installed though services [are required](super::are_required).
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// Starts one with more arguments, such as `["--maxmemory", "3mb"]`.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_with(arguments: &[&str]) -> Option<Self> {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let Some(program) = PROGRAMS.into_iter().find(|program| is_installed(program)) else {
            skip(PROGRAMS[1], "apt-get install redis-server");
            return None;
        };
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = format!("session-tests-valkey-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir(&dir).expect("a folder of this name is new");
        let arguments: Vec<_> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        // Another process may take the port before the server binds it.
        for _ in 0..20 {
            let address = free_address();
            if let Some(child) = launch(program, address, &dir, &arguments) {
                return Some(Self {
                    program,
                    address,
                    arguments,
                    dir,
                    child,
                });
            }
        }
        panic!("{program} did not start on any of 20 ports");
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address for a client.
    pub fn url(&self) -> String {
        url(self.address)
    }

    /// Kills it (SIGKILL): its connections break, and its port refuses.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn kill(&mut self) {
        let _already_dead = self.child.kill();
        self.child.wait().expect("it is a child of this process");
    }

    /// Starts it again on the same port, with what its last snapshot has; kills it first where it still runs.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        let started = (0..20).find_map(|_| launch(self.program, self.address, &self.dir, &self.arguments));
        self.child = started.expect("it starts on the port that it had");
    }

    /// Stores a snapshot.
    ///
    /// # Panics
    /// When it cannot.
    pub fn save(&self) {
        assert_eq!(self.send(&["SAVE"]), "OK");
    }

    /// Removes its snapshot.
    pub fn forget_snapshot(&self) {
        let _there_is_none = fs::remove_file(self.dir.join("dump.rdb"));
    }

    /// Makes it a replica of another, and waits until it has what that has.
    ///
    /// # Panics
    /// When it does not follow.
    pub fn replicate(&self, primary: &Self) {
        let port = primary.address.port().to_string();
        assert_eq!(self.send(&["REPLICAOF", "127.0.0.1", &port]), "OK");
        self.wait_for_primary(primary);
    }

    /// Waits until it, a replica, has what its primary has.
    ///
    /// # Panics
    /// When it does not follow.
    pub fn wait_for_primary(&self, primary: &Self) {
        let deadline = Instant::now() + TIMEOUT;
        let offset = |info: &str, name: &str| {
            let mut lines = info.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::to_owned))
        };
        loop {
            let info = self.send(&["INFO", "replication"]);
            let wanted = primary.send(&["INFO", "replication"]);
            let is_up = info.contains("master_link_status:up");
            if is_up && offset(&info, "slave_repl_offset") >= offset(&wanted, "master_repl_offset") {
                return;
            }
            assert!(Instant::now() < deadline, "the replica does not follow: {info}");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Waits until it, a replica, has had a copy of all that its primary has, and is told what comes.
    ///
    /// # Panics
    /// When it does not follow.
    pub fn wait_until_linked(&self) {
        let deadline = Instant::now() + TIMEOUT;
        while !self.send(&["INFO", "replication"]).contains("master_link_status:up") {
            assert!(Instant::now() < deadline, "the replica does not follow");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Makes a replica a primary.
    ///
    /// # Panics
    /// When it cannot.
    pub fn promote(&self) {
        assert_eq!(self.send(&["REPLICAOF", "NO", "ONE"]), "OK");
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
        while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") T ")) {
            assert!(Instant::now() < deadline, "it did not stop");
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

    /// From now on it takes TLS at a port of its own, with a certificate for 127.0.0.1: its address for a client, and
    /// the file with the certificate of the authority that signed it. `None` (and a line that says so) without
    /// OpenSSL's program, or where it was built without TLS.
    ///
    /// # Panics
    /// Where OpenSSL cannot make them.
    pub fn use_tls(&self) -> Option<(String, PathBuf)> {
        if Command::new("openssl").arg("version").output().is_err() {
            skip("openssl", "apt-get install openssl");
            return None;
        }
        let commands = "
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=authority
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj /CN=server
            echo subjectAltName=IP:127.0.0.1 >names
            openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out server.pem";
        let made = Command::new("sh")
            .args(["-ec", commands])
            .current_dir(&self.dir)
            .output();
        let made = made.expect("sh is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let file = |name: &str| self.dir.join(name).display().to_string();
        let port = free_address().port();
        let answer = self.send(&[
            "CONFIG",
            "SET",
            "tls-cert-file",
            &file("server.pem"),
            "tls-key-file",
            &file("server.key"),
            "tls-ca-cert-file",
            &file("ca.pem"),
            "tls-auth-clients",
            "no",
            "tls-port",
            &port.to_string(),
        ]);
        if answer != "OK" {
            skip(
                "a server with TLS",
                &format!("{} answers {answer}; Debian's package has it", self.program),
            );
            return None;
        }
        Some((format!("rediss://127.0.0.1:{port}"), self.dir.join("ca.pem")))
    }

    /// What it answers to a command, on a connection of its own: a word, a number, an error, or the text of a value.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn send(&self, words: &[&str]) -> String {
        let words: Vec<_> = words.iter().map(|word| word.as_bytes()).collect();
        let answer = send(self.address, &words).expect("the server answers");
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// The bytes under a key; empty where there is nothing.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn raw(&self, key: &str) -> Vec<u8> {
        send(self.address, &[b"GET", key.as_bytes()]).expect("the server answers")
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(status.expect("kill is installed").success());
    }
}

impl Drop for ValkeyServer {
    fn drop(&mut self) {
        let _already_dead = self.child.kill();
        let _already_waited_for = self.child.wait();
        let _already_gone = fs::remove_dir_all(&self.dir);
    }
}

/// The address for a client of a server, or of a proxy before it.
pub fn url(address: SocketAddr) -> String {
    format!("redis://{address}")
}

/// What the server at an address answers to a command, without the mark of its kind. Arrays are not read.
///
/// # Errors
/// When it does not answer.
pub fn send(address: SocketAddr, words: &[&[u8]]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word);
        request.extend_from_slice(b"\r\n");
    }
    stream.write_all(&request)?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let Some(len) = line.strip_prefix('$') else {
        return Ok(line.get(1..).unwrap_or_default().trim_end().as_bytes().to_vec());
    };
    let mut value = vec![0; len.trim_end().parse().unwrap_or(0)];
    reader.read_exact(&mut value)?;
    Ok(value)
}

fn is_installed(program: &str) -> bool {
    let version = Command::new(program).arg("--version").stdout(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("a bound socket has an address")
}

/// Starts the server and waits until it answers; `None` where it ends instead, as it does when the port is taken.
fn launch(program: &str, address: SocketAddr, dir: &Path, arguments: &[String]) -> Option<Child> {
    let mut child = spawn_tied(program, |command| {
        command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string(), "--dir"]);
        // Snapshots are stored when the test says so.
        command.arg(dir).args(["--save", "", "--appendonly", "no"]);
        // A replica gets its data over the connection, and at once.
        command.args(["--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "0"]);
        command.args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    });
    let deadline = Instant::now() + TIMEOUT;
    while child.try_wait().expect("it is a child of this process").is_none() {
        assert!(Instant::now() < deadline, "{program} does not answer");
        // Checks the pid, since another server may listen on that port.
        let info = send(address, &[b"INFO", b"server"]);
        let id = format!("process_id:{}\r\n", child.id());
        let info = info.map(|info| String::from_utf8_lossy(&info).into_owned());
        if info.is_ok_and(|info| info.contains(&id) || info.starts_with("NOAUTH")) {
            return Some(child);
        }
        std::thread::park_timeout(Duration::from_millis(2));
    }
    None
}
