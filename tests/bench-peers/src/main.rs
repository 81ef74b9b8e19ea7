//! Server CPU time per request, and updates lost, of this project and its peers: `main` measures, and starts itself
//! again as the server of each stack.

mod load;
mod stacks;

use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub(crate) const CONNECTIONS: usize = 16;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    if let Some(stack) = arguments.next() {
        let service = arguments.next().unwrap_or_default();
        return stacks::serve(&stack, &service);
    }
    let seconds = std::env::var("SECONDS_PER_CELL").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(5);
    let time = Duration::from_secs(seconds);
    println!("{seconds} s for each figure, {CONNECTIONS} connections, one worker thread; the servers' CPU time alone,");
    println!("without that of memcached and redis-server. In brackets: times that of bare axum, whole requests.\n");
    println!("| stack | no session touched | read | write | writes/s | lost of concurrent `visits += 1` |");
    println!("|---|---|---|---|---|---|");
    let mut bare = None;
    for stack in stacks::ALL {
        match measure(stack, time) {
            Ok(row) => {
                let bare = *bare.get_or_insert(row);
                println!("{}", row.text(stack.title, &bare));
            }
            Err(error) => println!("| {} | not measured: {error} |", stack.title),
        }
    }
    Ok(())
}

/// CPU time in microseconds per request.
#[derive(Clone, Copy)]
struct Row {
    none: f64,
    read: f64,
    write: f64,
    writes_per_second: f64,
    /// How many of how many updates; none where there are no sessions.
    lost: Option<(u64, u64)>,
}

impl Row {
    fn text(&self, title: &str, bare: &Self) -> String {
        let cell = |own: f64, bare: f64| format!("{own:.1} µs ({:.1}x)", own / bare);
        let (none, read) = (cell(self.none, bare.none), cell(self.read, bare.read));
        let (write, speed) = (cell(self.write, bare.write), self.writes_per_second);
        let lost = self.lost.map_or("–".to_owned(), |(lost, all)| {
            format!("{:.1} % of {all}", 100.0 * lost as f64 / all.max(1) as f64)
        });
        format!("| {title} | {none} | {read} | {write} | {speed:.0} | {lost} |")
    }
}

fn measure(stack: &stacks::Stack, time: Duration) -> io::Result<Row> {
    let service = Service::start(stack.service)?;
    let server = Server::start(stack.name, service.as_ref().map_or(0, |service| service.port))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut cookies = Vec::new();
        for _ in 0..CONNECTIONS {
            cookies.push(load::cookie(server.address).await?);
        }
        let cell = async |path: &'static str, cookies: &[String]| {
            // Not measured: connections, caches and allocator warm up.
            load::run(server.address, path, cookies, Duration::from_millis(500)).await?;
            let before = server.cpu()?;
            let requests = load::run(server.address, path, cookies, time).await?;
            let cpu = server.cpu()? - before;
            io::Result::Ok((cpu.as_secs_f64() * 1e6 / requests.max(1) as f64, requests))
        };
        let (none, _) = cell("/none", &cookies).await?;
        let (read, _) = cell("/read", &cookies).await?;
        let (write, writes) = cell("/write", &cookies).await?;
        let lost = if stack.has_sessions {
            let one = vec![load::cookie(server.address).await?; CONNECTIONS];
            let before = load::visits(server.address, &one[0]).await?;
            let done = load::run(server.address, "/write", &one, time).await?;
            let after = load::visits(server.address, &one[0]).await?;
            Some((done.saturating_sub(after - before), done))
        } else {
            None
        };
        Ok(Row {
            none,
            read,
            write,
            writes_per_second: writes as f64 / time.as_secs_f64(),
            lost,
        })
    })
}

/// A child that dies with this value.
struct Tied(Child);

impl Drop for Tied {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// memcached or redis-server.
struct Service {
    port: u16,
    _child: Tied,
}

impl Service {
    fn start(name: &str) -> io::Result<Option<Self>> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new(name);
        match name {
            "memcached" => command.args(["-l", "127.0.0.1", "-u", "root", "-t", "1", "-p", &port.to_string()]),
            "redis-server" => command.args(["--bind", "127.0.0.1", "--save", "", "--port", &port.to_string()]),
            _ => return Ok(None),
        };
        let child = Tied(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        for _ in 0..500 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Ok(Some(Self { port, _child: child }));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(io::Error::other(format!("{name} did not come up")))
    }
}

struct Server {
    address: SocketAddr,
    child: Tied,
}

impl Server {
    fn start(stack: &str, port: u16) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([stack, &port.to_string()]).stdout(Stdio::piped());
        let mut child = Tied(command.spawn()?);
        let stdout = child.0.stdout.take().ok_or_else(|| io::Error::other("no stdout"))?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line
            .trim()
            .parse()
            .map_err(|_| io::Error::other("the server did not come up"))?;
        Ok(Self { address, child })
    }

    /// Fields 14 and 15 of `proc_pid_stat(5)`, user and system time, in ticks of which Linux shows 100 a second.
    fn cpu(&self) -> io::Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.0.id()))?;
        let behind_name = stat.rsplit(')').next().unwrap_or_default();
        let ticks: u64 = behind_name
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|word| word.parse::<u64>().ok())
            .sum();
        Ok(Duration::from_millis(ticks * 10))
    }
}
