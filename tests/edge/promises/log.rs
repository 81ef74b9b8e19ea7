//! What is logged on the test's own thread.

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};

use tracing::level_filters::LevelFilter;
use tracing::subscriber::DefaultGuard;
use tracing::{Dispatch, Level};

/// A second subscriber, which hears nothing. While there is but one, `tracing` asks the thread that first comes to an event
/// whether anybody listens, and remembers the no of a thread of another test.
static SECOND: LazyLock<Dispatch> =
    LazyLock::new(|| Dispatch::new(tracing_subscriber::fmt().with_max_level(LevelFilter::OFF).finish()));

pub(crate) fn with_second_subscriber() {
    LazyLock::force(&SECOND);
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Events as lines of text, for as long as this lives.
pub(crate) struct Log {
    buffer: Buffer,
    _guard: DefaultGuard,
}

impl Log {
    /// The events from debug upwards.
    pub(crate) fn capture() -> Self {
        Self::from_level(Level::DEBUG)
    }

    /// All events, and the spans that they are in.
    pub(crate) fn capture_all() -> Self {
        Self::from_level(Level::TRACE)
    }

    fn from_level(level: Level) -> Self {
        with_second_subscriber();
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .without_time()
            .with_writer(move || writer.clone())
            .finish();
        Self {
            buffer,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    /// All lines so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.buffer.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines of this level.
    pub(crate) fn of(&self, level: Level) -> String {
        let text = self.text();
        let lines = text
            .lines()
            .filter(|line| line.trim_start().starts_with(level.as_str()));
        lines.collect::<Vec<_>>().join("\n")
    }
}
