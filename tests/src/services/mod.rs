//! The servers that tests run against: started by the test run itself, on free ports, and stopped with it.

#[cfg(feature = "datastore")]
pub mod datastore_proxy;
pub mod emulator;
pub mod memcached;
#[cfg(unix)]
pub mod postgres;
pub mod process;
pub mod valkey;

use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};

/// Whether a missing server is a failure rather than a reason to skip (`SESSION_REQUIRE_SERVICES=1`, as CI has it).
pub fn are_required() -> bool {
    std::env::var_os("SESSION_REQUIRE_SERVICES").is_some_and(|value| value == "1")
}

/// Prints one line: that the test is skipped, since `program` is missing, and how to install it.
///
/// # Panics
/// Where services [are required](are_required).
pub fn skip(program: &str, how_to_get_it: &str) {
    let line = format!("skipped: {program} is not installed ({how_to_get_it})");
    assert!(
        !are_required(),
        "{line}; SESSION_REQUIRE_SERVICES=1 makes that a failure"
    );
    eprintln!("{line}");
}

/// Starts `program`, as `configure` has it, so that it is killed when this process dies, however it dies.
///
/// `setpriv` (util-linux) sets a parent-death signal; without it, the program outlives a test process that is killed.
///
/// # Panics
/// When it cannot be started.
pub fn spawn_tied(program: &str, configure: impl FnOnce(&mut Command)) -> Child {
    type Request = (Command, Sender<Child>);
    static SPAWNER: OnceLock<Mutex<Sender<Request>>> = OnceLock::new();
    let mut command = match Command::new("setpriv").arg("--version").output() {
        Ok(output) if output.status.success() => {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL", program]);
            command
        }
        _ => Command::new(program),
    };
    configure(&mut command);
    // The signal is sent when the thread that started the child ends, and a test's thread ends with the test. So one
    // thread, which ends with the process, starts all children.
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, receiver) = channel::<Request>();
        std::thread::spawn(move || {
            while let Ok((mut command, reply)) = receiver.recv() {
                if let Ok(child) = command.spawn() {
                    let _test_has_ended = reply.send(child);
                }
            }
        });
        Mutex::new(sender)
    });
    let (reply, child) = channel();
    let sender = spawner
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .clone();
    sender.send((command, reply)).expect("the spawner never ends");
    child.recv().unwrap_or_else(|_| panic!("{program} cannot be started"))
}
