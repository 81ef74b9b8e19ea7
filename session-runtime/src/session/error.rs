use std::error::Error;
use std::fmt;

/// A field of a session that could not be decoded, upgraded, encoded or merged. Names the session and the field; the
/// cause is its [`source`](Error::source).
#[derive(Debug)]
pub struct FieldError {
    session: &'static str,
    field: &'static str,
    doing: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl FieldError {
    /// An error in `field` of the session called `session`. `doing` is the verb of the message, such as `"decode"`.
    pub fn new(
        session: &'static str,
        field: &'static str,
        doing: &'static str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            session,
            field,
            doing,
            source: source.into(),
        }
    }

    /// The field's name.
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// The session's name.
    pub fn session(&self) -> &'static str {
        self.session
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "session `{}`: cannot {} the field `{}`",
            self.session, self.doing, self.field
        )
    }
}

impl Error for FieldError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// Why a field's stored bytes could not be upgraded, and at which step.
pub struct UpgradeError {
    doing: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl UpgradeError {
    /// `doing` is as in [`FieldError::new`].
    pub(super) fn new(doing: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            doing,
            source: source.into(),
        }
    }

    /// As an error in `field` of the session called `session`.
    pub(super) fn in_field(self, session: &'static str, field: &'static str) -> FieldError {
        FieldError::new(session, field, self.doing, self.source)
    }
}

/// A stored record that this binary cannot open. Its bytes are left as they are.
#[derive(Debug)]
pub struct OpenError(Kind);

#[derive(Debug)]
enum Kind {
    Newer {
        session: &'static str,
        stored: u32,
        known: u32,
    },
    Foreign {
        session: &'static str,
        stored: Box<str>,
    },
    Field(FieldError),
}

impl OpenError {
    /// The record has version `stored`, which is above `known`, the latest that this binary reads.
    pub(crate) fn newer(session: &'static str, stored: u32, known: u32) -> Self {
        Self(Kind::Newer { session, stored, known })
    }

    /// The record belongs to the session called `stored`.
    #[cold]
    pub(crate) fn foreign(session: &'static str, stored: &str) -> Self {
        let stored = stored.into();
        Self(Kind::Foreign { session, stored })
    }

    /// The session's name.
    pub fn session(&self) -> &'static str {
        match &self.0 {
            Kind::Newer { session, .. } | Kind::Foreign { session, .. } => session,
            Kind::Field(error) => error.session(),
        }
    }

    /// The field that cannot be decoded or upgraded; `None` where the whole record is of a newer version, or another
    /// session's.
    pub fn field(&self) -> Option<&'static str> {
        match &self.0 {
            Kind::Newer { .. } | Kind::Foreign { .. } => None,
            Kind::Field(error) => Some(error.field()),
        }
    }

    /// Whether a newer binary wrote the record: then this binary is the one to be replaced.
    pub fn is_newer(&self) -> bool {
        matches!(self.0, Kind::Newer { .. })
    }

    /// Whether the record belongs to a session of another name: then two structs share a cookie or a key.
    pub fn is_foreign(&self) -> bool {
        matches!(self.0, Kind::Foreign { .. })
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Newer { session, stored, known } => write!(
                f,
                "session `{session}`: the record has version {stored}, written by a newer binary; this one knows up to version \
                 {known}: deploy the newer binary here too"
            ),
            Kind::Foreign { session, stored } => write!(
                f,
                "the record belongs to the session `{}`, not to `{session}`: two structs share a cookie or a key; give them \
                 different names with `#[session(name = \"...\")]`",
                stored.escape_debug()
            ),
            Kind::Field(error) => error.fmt(f),
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Kind::Newer { .. } | Kind::Foreign { .. } => None,
            Kind::Field(error) => error.source(),
        }
    }
}

impl From<FieldError> for OpenError {
    fn from(error: FieldError) -> Self {
        Self(Kind::Field(error))
    }
}
