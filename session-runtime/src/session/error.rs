use std::error::Error;
use std::fmt;

/// A field of a session that could not be decoded, upgraded, encoded or merged. Names the session and the field, and
/// keeps the cause as its [`source`](Error::source).
#[derive(Debug)]
pub struct FieldError {
    session: &'static str,
    field: &'static str,
    doing: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl FieldError {
    /// An error in `field` of the session called `session`, while `doing` something, such as `"decode"`.
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

/// Why the stored bytes of a field gave no value, and at which step.
pub struct UpgradeError {
    doing: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl UpgradeError {
    /// An error while `doing` something, as of [`FieldError::new`].
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
    Field(FieldError),
}

impl OpenError {
    /// The record has the version `stored`, and this binary knows none above `known`.
    pub(crate) fn newer(session: &'static str, stored: u32, known: u32) -> Self {
        Self(Kind::Newer { session, stored, known })
    }

    /// The session's name.
    pub fn session(&self) -> &'static str {
        match &self.0 {
            Kind::Newer { session, .. } => session,
            Kind::Field(error) => error.session(),
        }
    }

    /// The field that does not decode; `None` where the whole record is of a newer version.
    pub fn field(&self) -> Option<&'static str> {
        match &self.0 {
            Kind::Newer { .. } => None,
            Kind::Field(error) => Some(error.field()),
        }
    }

    /// Whether a newer binary wrote the record, so that it is this one that is out of date.
    pub fn is_newer(&self) -> bool {
        matches!(self.0, Kind::Newer { .. })
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Newer { session, stored, known } => write!(
                f,
                "session `{session}`: the record has version {stored}, written by a newer binary; this one knows up to version {known}"
            ),
            Kind::Field(error) => error.fmt(f),
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0 {
            Kind::Newer { .. } => None,
            Kind::Field(error) => error.source(),
        }
    }
}

impl From<FieldError> for OpenError {
    fn from(error: FieldError) -> Self {
        Self(Kind::Field(error))
    }
}
