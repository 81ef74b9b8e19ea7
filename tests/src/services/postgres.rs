//! A real Postgres of a test's own, from Debian's packages.
//!
//! [`shared`] is one server for all tests of a binary, each with a table of its own. A test that kills, freezes or
//! fills a server [starts](PostgresServer::start) its own.
//!
//! Postgres refuses to run as root, and then runs as its package's user `postgres`. A reaper shell ends the server and
//! removes its folder when a pipe from the test process is closed, that is, however that process ends.

mod program;

use std::env;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use self::program::{binaries, family, is_root, program, signal, spawn_reaper};

/// How long a server may take to start, or to follow another, on a machine that is busy compiling.
const TIMEOUT: Duration = Duration::from_secs(60);

/// For tests: what a killed process has written is not lost, only a killed machine would lose it; and a server of one's
/// own needs little.
const SETTINGS: &[&str] = &[
    "fsync=off",
    "shared_buffers=32MB",
    "max_connections=200",
    "listen_addresses=127.0.0.1",
    "wal_receiver_status_interval=1s",
    "hot_standby_feedback=off",
];

/// A running Postgres; dropped, it is ended and its folder removed.
#[derive(Debug)]
pub struct PostgresServer {
    dir: PathBuf,
    address: SocketAddr,
    settings: Vec<String>,
    process: Mutex<Option<Child>>,
    reaper: Child,
    /// Closing this makes the reaper end the server.
    lifeline: Option<ChildStdin>,
}

/// The server of this test binary; `None` (and a line that says so) where Postgres is not installed.
pub fn shared() -> Option<&'static PostgresServer> {
    static SHARED: OnceLock<Option<PostgresServer>> = OnceLock::new();
    SHARED.get_or_init(PostgresServer::start).as_ref()
}

/// The name of a table that no other test of this binary has.
pub fn fresh_table() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The connection string of the database of a server, or of a proxy before it.
pub fn url(address: SocketAddr) -> String {
    format!("postgres://postgres@{address}/postgres?sslmode=disable")
}

impl PostgresServer {
    /// Starts one on a free port, with an empty database `postgres`; `None` (and a line that says so) where it is not
    /// installed.
    ///
    /// # Panics
    /// Where it is installed and does not start.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// Starts one with more settings, such as `["max_connections=20"]`.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_with(settings: &[&str]) -> Option<Self> {
        if binaries().is_none() {
            super::skip("postgresql", "apt-get install postgresql");
            return None;
        }
        let server = Self::new(settings);
        let data = server.data();
        let initdb = server.run("initdb", |command| {
            command.args([
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-locale",
                "--no-sync",
            ]);
            command.arg("-D").arg(&data);
        });
        initdb.expect("initdb makes a database");
        server.launch();
        Some(server)
    }

    /// Starts a standby that follows this server, by its write-ahead log.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start_standby(&self) -> Self {
        let settings: Vec<_> = self.settings.iter().map(String::as_str).collect();
        let standby = Self::new(&settings);
        let data = standby.data();
        let backup = standby.run("pg_basebackup", |command| {
            command.args(["-U", "postgres", "-X", "stream", "-c", "fast", "-R", "--no-sync"]);
            command.args(["-h", "127.0.0.1", "-p", &self.address.port().to_string()]);
            command.arg("-D").arg(&data);
        });
        backup.expect("a server that runs is copied");
        standby.launch();
        standby
    }

    /// Makes the server acknowledge a commit only once a standby has it; returns when that holds also for what was
    /// committed before.
    ///
    /// # Panics
    /// Where no standby follows it.
    pub fn wait_for_standby(&self) {
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.sql("SELECT pg_reload_conf()");
        // A standby receives the log in its order.
        let lag = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync' AND flush_lsn >= pg_current_wal_flush_lsn()";
        let started = Instant::now();
        while self.sql(lag) != "1" {
            assert!(started.elapsed() < TIMEOUT, "no standby follows");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Makes a standby a server of its own, which acknowledges commits without another.
    ///
    /// # Panics
    /// Where it is none.
    pub fn promote(&self) {
        assert_eq!(self.sql("SELECT pg_promote()"), "t");
        self.sql("ALTER SYSTEM RESET synchronous_standby_names");
        self.sql("SELECT pg_reload_conf()");
    }

    /// From now on whoever comes over TCP needs a password.
    ///
    /// # Panics
    /// Where its files cannot be written.
    pub fn require_passwords(&self) {
        let rules = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
        fs::write(self.data().join("pg_hba.conf"), rules).expect("the folder is this test's");
        self.sql("SELECT pg_reload_conf()");
    }

    /// From now on it takes TLS too, with a certificate for 127.0.0.1; the file with that of the authority which signed
    /// it.
    /// `None` (and a line that says so) without OpenSSL's program.
    ///
    /// # Panics
    /// Where OpenSSL cannot make them.
    pub fn use_tls(&self) -> Option<PathBuf> {
        if Command::new("openssl").arg("version").output().is_err() {
            super::skip("openssl", "apt-get install openssl");
            return None;
        }
        let commands = "
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=authority
            openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj /CN=server
            echo subjectAltName=IP:127.0.0.1 >names
            openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names -out server.pem
            chown $(stat -c %u:%g data) server.key && chmod 600 server.key";
        let made = Command::new("sh")
            .args(["-ec", commands])
            .current_dir(&self.dir)
            .output();
        let made = made.expect("sh is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        for (setting, file) in [("ssl_cert_file", "server.pem"), ("ssl_key_file", "server.key")] {
            self.sql(&format!(
                "ALTER SYSTEM SET {setting} = '{}'",
                self.dir.join(file).display()
            ));
        }
        self.sql("ALTER SYSTEM SET ssl = on");
        self.sql("SELECT pg_reload_conf()");
        Some(self.dir.join("ca.pem"))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The connection string of its database.
    pub fn url(&self) -> String {
        url(self.address)
    }

    /// The folder of its socket.
    pub fn socket_dir(&self) -> &Path {
        &self.dir
    }

    /// Runs a command of SQL; what it answers, without the last line's end.
    ///
    /// # Panics
    /// Where it fails.
    pub fn sql(&self, command: &str) -> String {
        self.try_sql(command)
            .unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    fn try_sql(&self, sql: &str) -> io::Result<String> {
        let answer = self.run("psql", |command| {
            command.args([
                "-X",
                "-A",
                "-t",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "postgres",
                "-c",
                sql,
            ]);
            command
                .arg("-h")
                .arg(&self.dir)
                .args(["-p", &self.address.port().to_string(), "postgres"]);
        })?;
        Ok(answer.trim_end().to_owned())
    }

    /// Kills all of its processes (SIGKILL), as the system does when it is out of memory.
    pub fn kill(&self) {
        let mut process = self.process();
        if let Some(mut postmaster) = process.take() {
            signal("KILL", &family(postmaster.id()));
            let _already_waited_for = postmaster.wait();
        }
    }

    /// Kills it where it runs, and starts it with what it has on disk, at the same address.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn restart(&self) {
        self.kill();
        self.launch();
    }

    /// Stops its processes (SIGSTOP): connections stay open, and nothing is answered.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn freeze(&self) {
        let postmaster = self.id();
        // First the one that starts the others.
        signal("STOP", &[postmaster]);
        signal("STOP", &family(postmaster));
    }

    /// Resumes a frozen server (SIGCONT); it then does what it was sent meanwhile.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn thaw(&self) {
        signal("CONT", &family(self.id()));
    }

    fn new(settings: &[&str]) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Not below the build's folder, which the user `postgres` may be unable to enter.
        let dir = env::temp_dir().join(format!("session-tests-postgres-{}-{number}", std::process::id()));
        fs::create_dir(&dir).expect("a folder of this name is new");
        if is_root() {
            let chown = Command::new("chown").arg("postgres:").arg(&dir).status();
            assert!(chown.expect("chown is installed").success());
        }
        let mut reaper = spawn_reaper(&dir);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        Self {
            dir,
            address: listener.local_addr().expect("a bound socket has an address"),
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
            process: Mutex::default(),
            lifeline: reaper.stdin.take(),
            reaper,
        }
    }

    /// Starts it and waits until it answers.
    fn launch(&self) {
        let started = Instant::now();
        loop {
            let mut child = self.spawn();
            while !self.is_ready(child.id()) {
                assert!(started.elapsed() < TIMEOUT, "Postgres did not start: {}", self.log());
                if child.try_wait().expect("it is a child of this process").is_some() {
                    break;
                }
                thread::sleep(Duration::from_millis(5));
            }
            // It ends where processes of the one before still hold its memory.
            if child.try_wait().expect("it is a child of this process").is_none() {
                *self.process() = Some(child);
                return;
            }
            assert!(started.elapsed() < TIMEOUT, "Postgres did not start: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn spawn(&self) -> Child {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_path());
        let log = log.expect("the folder is this test's");
        let mut command = program("postgres");
        command.arg("-D").arg(self.data());
        let own = [
            format!("port={}", self.address.port()),
            format!("unix_socket_directories={}", self.dir.display()),
        ];
        let settings = SETTINGS.iter().map(|setting| (*setting).to_owned());
        for setting in settings.chain(own).chain(self.settings.iter().cloned()) {
            command.args(["-c", &setting]);
        }
        command.current_dir("/").stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a file")).stderr(log);
        command.spawn().expect("postgres is installed")
    }

    /// Whether the process of this id takes connections: it says so in a file.
    fn is_ready(&self, id: u32) -> bool {
        let status = fs::read_to_string(self.data().join("postmaster.pid")).unwrap_or_default();
        let mut lines = status.lines();
        lines.next() == Some(id.to_string().as_str()) && lines.nth(6).is_some_and(|status| status.trim() == "ready")
    }

    fn run(&self, name: &str, configure: impl FnOnce(&mut Command)) -> io::Result<String> {
        let mut command = program(name);
        configure(command.current_dir("/").stdin(Stdio::null()));
        let output = command.output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("{name} of {}: {errors}", self.dir.display())))
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn id(&self) -> u32 {
        self.process().as_ref().expect("the server runs").id()
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
        drop(self.lifeline.take());
        let _already_waited_for = self.reaper.wait();
    }
}
