//! The programs of Debian's package, and the processes of a server.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// Ends the server whose folder is `$1`, and removes that, when its standard input ends. Ignores the signals of a
/// terminal; those end the test process, which closes the pipe.
const REAPER: &str = r#"
trap '' INT TERM HUP
read -r _
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ]; then
    kill -s CONT $pid $(cat /proc/$pid/task/$pid/children 2>/dev/null) 2>/dev/null
    kill -s QUIT $pid 2>/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 $pid 2>/dev/null || break; sleep 0.2; done
    kill -s KILL $pid 2>/dev/null
fi
for _ in 1 2 3; do rm -rf "$1" 2>/dev/null && break; sleep 0.2; done
"#;

pub(super) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|this| this.uid() == 0)
}

/// The folder of the programs: Debian has one for each version, and the newest is taken.
pub(super) fn binaries() -> Option<&'static Path> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut bins: Vec<_> = versions
            .filter_map(|version| {
                Some((
                    version.file_name().to_str()?.parse::<u32>().ok()?,
                    version.path().join("bin"),
                ))
            })
            .filter(|(_, bin)| bin.join("postgres").exists())
            .collect();
        bins.sort();
        bins.pop().map(|(_, bin)| bin)
    };
    FOUND.get_or_init(find).as_deref()
}

/// A program of Postgres, as the user that it may run as.
pub(super) fn program(name: &str) -> Command {
    let path = binaries().expect("Postgres is installed").join(name);
    if !is_root() {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups"])
        .arg(path);
    command
}

/// A process and its children.
pub(super) fn family(id: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    std::iter::once(id).chain(children).collect()
}

/// Sends a signal to each; one that has ended meanwhile is none.
pub(super) fn signal(name: &str, ids: &[u32]) {
    let ids = ids.iter().map(ToString::to_string);
    let mut kill = Command::new("kill");
    let status = kill.args(["-s", name]).args(ids).stderr(Stdio::null()).status();
    status.expect("kill is installed");
}

/// Starts the shell that ends the server in this folder when its standard input is closed.
pub(super) fn spawn_reaper(dir: &Path) -> Child {
    let mut reaper = Command::new("sh");
    reaper.args(["-c", REAPER, "reaper"]).arg(dir);
    reaper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    reaper.spawn().expect("sh is installed")
}
