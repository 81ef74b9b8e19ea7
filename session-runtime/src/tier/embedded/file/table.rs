//! What lies in the file, and how one change changes it.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use redb::{Database, Error, ReadableDatabase, ReadableTable, Table, TableDefinition, TableHandle, WriteTransaction};

use crate::tier::{Stored, Version, Write};

/// Key to (version, `expires_at` in nanoseconds since the epoch, value).
const RECORDS: TableDefinition<'_, &str, (u64, u64, &[u8])> = TableDefinition::new("session_records");

/// The records by the moment at which they expire. Written in the same transaction as the record it stands for.
const EXPIRY: TableDefinition<'_, (u64, &str), ()> = TableDefinition::new("session_expiry");

/// [`FORMAT_KEY`] and [`COUNTER_KEY`].
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("session_meta");
const FORMAT_KEY: &str = "format";
const COUNTER_KEY: &str = "counter";

/// The layout of the tables above.
pub(super) const FORMAT: u64 = 1;

/// What a writer can be asked to do.
#[derive(Clone)]
pub(super) enum Change {
    Insert {
        key: String,
        value: Bytes,
        expires_at: SystemTime,
    },
    Update {
        key: String,
        base: Version,
        value: Bytes,
        expires_at: SystemTime,
    },
    Delete {
        key: String,
        base: Version,
    },
    Purge {
        now: SystemTime,
        limit: usize,
    },
}

/// How a change ended.
#[derive(Clone, Copy)]
pub(super) struct Outcome {
    pub(super) write: Write,
    /// How many records a purge deleted.
    pub(super) purged: usize,
}

impl Change {
    /// The bytes that it adds to a transaction.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Insert { value, .. } | Self::Update { value, .. } => value.len(),
            Self::Delete { .. } | Self::Purge { .. } => 0,
        }
    }
}

/// What a database turned out to hold when it was opened.
pub(super) enum Contents {
    Ours,
    Foreign,
    OtherFormat(u64),
}

/// Makes an empty database a session store, and tells what any other one is, changing nothing in it.
pub(super) fn prepare(database: &Database) -> Result<Contents, Error> {
    let txn = database.begin_write()?;
    let tables: Vec<String> = txn.list_tables()?.map(|table| table.name().to_owned()).collect();
    if tables.is_empty() && txn.list_multimap_tables()?.next().is_none() {
        txn.open_table(META)?.insert(FORMAT_KEY, FORMAT)?;
        txn.open_table(RECORDS)?;
        txn.open_table(EXPIRY)?;
        txn.commit()?;
        return Ok(Contents::Ours);
    }
    if !tables.iter().any(|name| name == META.name()) {
        return Ok(Contents::Foreign);
    }
    let format = txn.open_table(META)?.get(FORMAT_KEY)?.map(|format| format.value());
    match format {
        Some(FORMAT) => {}
        Some(other) => return Ok(Contents::OtherFormat(other)),
        None => return Ok(Contents::Foreign),
    }
    // A mismatch of types shows now.
    txn.open_table(RECORDS)?;
    txn.open_table(EXPIRY)?;
    txn.abort()?;
    Ok(Contents::Ours)
}

pub(super) fn read(database: &Database, key: &str) -> Result<Option<Stored>, Error> {
    let txn = database.begin_read()?;
    let records = txn.open_table(RECORDS)?;
    Ok(records.get(key)?.map(|found| {
        let (version, _, value) = found.value();
        Stored {
            value: Bytes::copy_from_slice(value),
            version: Version(version),
        }
    }))
}

/// The counter as it was committed last: it tells whether a commit of unknown outcome landed.
pub(super) fn counter(database: &Database) -> Result<u64, Error> {
    let txn = database.begin_read()?;
    let counter = txn.open_table(META)?.get(COUNTER_KEY)?.map(|counter| counter.value());
    Ok(counter.unwrap_or(0))
}

/// The changes of one transaction.
pub(super) struct Changes {
    txn: WriteTransaction,
    outcomes: Vec<Outcome>,
    before: u64,
    after: u64,
}

impl Changes {
    /// Applies `changes` one after the other, each seeing what the ones before it did. Nothing is committed yet.
    pub(super) fn apply<'c>(database: &Database, changes: impl Iterator<Item = &'c Change>) -> Result<Self, Error> {
        let txn = database.begin_write()?;
        let mut outcomes = Vec::new();
        let (before, after);
        {
            let mut meta = txn.open_table(META)?;
            let mut tables = Tables {
                records: txn.open_table(RECORDS)?,
                expiry: txn.open_table(EXPIRY)?,
                counter: meta.get(COUNTER_KEY)?.map_or(0, |counter| counter.value()),
            };
            before = tables.counter;
            for change in changes {
                outcomes.push(tables.change(change)?);
            }
            after = tables.counter;
            drop(tables);
            if after != before {
                meta.insert(COUNTER_KEY, after)?;
            }
        }
        Ok(Self {
            txn,
            outcomes,
            before,
            after,
        })
    }

    /// Whether there is anything to commit.
    pub(super) fn is_empty(&self) -> bool {
        self.before == self.after
    }

    /// The counter that a committed file shows.
    pub(super) fn counter(&self) -> u64 {
        self.after
    }

    pub(super) fn outcomes(&self) -> Vec<Outcome> {
        self.outcomes.clone()
    }

    /// Returns when the changes are on the disk.
    pub(super) fn commit(self) -> Result<(), Error> {
        // The durability of a transaction is `Immediate` unless it is told otherwise.
        Ok(self.txn.commit()?)
    }
}

struct Tables<'txn> {
    records: Table<'txn, &'static str, (u64, u64, &'static [u8])>,
    expiry: Table<'txn, (u64, &'static str), ()>,
    /// The last version that was given. One counter for the file rather than one for each key: it outlives the
    /// deletion of a record, so that a record that is created anew does not begin again.
    counter: u64,
}

impl Tables<'_> {
    fn change(&mut self, change: &Change) -> Result<Outcome, Error> {
        let mut purged = 0;
        let write = match change {
            Change::Insert { key, value, expires_at } => match self.current(key)? {
                Some(_) => Write::Conflict,
                None => self.store(key, None, value, *expires_at)?,
            },
            Change::Update {
                key,
                base,
                value,
                expires_at,
            } => match self.current(key)? {
                Some(found) if found.version == base.0 => self.store(key, Some(found), value, *expires_at)?,
                Some(_) => Write::Conflict,
                None => Write::Missing,
            },
            Change::Delete { key, base } => match self.current(key)? {
                Some(found) if found.version == base.0 => self.delete(key, &found)?,
                Some(_) => Write::Conflict,
                None => Write::Missing,
            },
            Change::Purge { now, limit } => {
                purged = self.purge(*now, *limit)?;
                Write::Missing
            }
        };
        Ok(Outcome { write, purged })
    }

    fn current(&self, key: &str) -> Result<Option<Current>, Error> {
        Ok(self.records.get(key)?.map(|found| {
            let (version, expires_at, _) = found.value();
            Current { version, expires_at }
        }))
    }

    fn next_version(&mut self) -> Version {
        self.counter = self.counter.saturating_add(1);
        Version(self.counter)
    }

    fn store(&mut self, key: &str, old: Option<Current>, value: &[u8], at: SystemTime) -> Result<Write, Error> {
        let (version, expires_at) = (self.next_version(), nanos(at));
        self.records.insert(key, (version.0, expires_at, value))?;
        if let Some(old) = old.filter(|old| old.expires_at != expires_at) {
            self.expiry.remove((old.expires_at, key))?;
        }
        self.expiry.insert((expires_at, key), ())?;
        Ok(Write::Done(version))
    }

    /// A deletion counts as well, so that the counter tells whether its commit landed.
    fn delete(&mut self, key: &str, found: &Current) -> Result<Write, Error> {
        self.records.remove(key)?;
        self.expiry.remove((found.expires_at, key))?;
        Ok(Write::Done(self.next_version()))
    }

    fn purge(&mut self, now: SystemTime, limit: usize) -> Result<usize, Error> {
        let now = nanos(now);
        let mut expired = Vec::new();
        for entry in self.expiry.range((0, "")..)?.take(limit) {
            let (entry, _) = entry?;
            let (expires_at, key) = entry.value();
            // `NEVER` is no moment, and a moment is over only when the clock is past it.
            if expires_at >= now || expires_at == NEVER {
                break;
            }
            expired.push((expires_at, key.to_owned()));
        }
        let mut purged = 0;
        for (expires_at, key) in &expired {
            self.expiry.remove((*expires_at, key.as_str()))?;
            // The index is written with the record, so they agree; were they not to, the record is what counts.
            if self.current(key)?.is_some_and(|found| found.expires_at == *expires_at) {
                self.records.remove(key.as_str())?;
                purged += 1;
            }
            self.next_version();
        }
        Ok(purged)
    }
}

struct Current {
    version: u64,
    expires_at: u64,
}

/// A moment that a `u64` of nanoseconds cannot say (after the year 2554): such a record is never purged.
const NEVER: u64 = u64::MAX;

fn nanos(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_nanos()).unwrap_or(NEVER)
}
