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
