//! What rustdoc and an editor show of the generated items.

use syn::ext::IdentExt;

use crate::ast::{Field, Kind, Session};

/// Of the companion struct.
pub(super) fn companion(session: &Session<'_>) -> String {
    let ident = session.input.ident.unraw();
    format!(
        "The fields of a [`{ident}`] session, with their accessors.\n\n\
         Reached through `TypedSession<{ident}>`, which dereferences to this struct."
    )
}

/// Of the companion of a detached session.
pub(super) fn detached(session: &Session<'_>) -> String {
    let (ident, companion) = (session.input.ident.unraw(), &session.companion);
    format!(
        "The fields of a [`{ident}`] session that outlives its request.\n\n\
         Reached through `Detached<{ident}>`, which dereferences to this struct. Fields are read as in [`{companion}`]. \
         Privileged fields are read-only here: there is no response to carry the new secret."
    )
}

/// One sentence for each accessor, in the order of [`Field::accessors`].
pub(super) fn accessors(field: &Field<'_>) -> [String; 3] {
    let name = field.name();
    let rotates = if field.privileged {
        "; a change rotates the session's secret, since the field is privileged"
    } else {
        ""
    };
    let sets = if field.privileged {
        "; this rotates the session's secret even where the value stays the same, since the field is privileged"
    } else {
        ""
    };
    match field.kind {
        Kind::Eager | Kind::Lazy => [
            format!("The field `{name}`{}.", properties(field)),
            format!("Borrows `{name}` mutably, to change it in place{rotates}."),
            format!("Sets `{name}`{sets}."),
        ],
        Kind::Flash => [
            format!("The messages in `{name}`{}.", properties(field)),
            format!("Adds a message to `{name}`, to be read once{rotates}."),
            format!("Takes all messages out of `{name}`{rotates}."),
        ],
    }
}

/// What a reader of the field should know.
fn properties(field: &Field<'_>) -> String {
    let of_kind = match field.kind {
        Kind::Eager => None,
        Kind::Lazy => Some("which is decoded when it is first used"),
        Kind::Flash => Some("which remain there"),
    };
    let of_secret = field.secret.then_some("which `Debug` does not show");
    let all: Vec<_> = of_kind.into_iter().chain(of_secret).collect();
    if all.is_empty() {
        String::new()
    } else {
        format!(", {}", all.join(" and "))
    }
}

/// Of `snapshot`.
pub(super) fn snapshot(session: &Session<'_>) -> String {
    let ident = session.input.ident.unraw();
    format!("Copies all fields, as they are now, into a `{ident}`.")
}

/// Below the heading `# Errors` of an accessor that decodes a lazy field.
pub(super) const LAZY_ERRORS: &str = "If the stored bytes do not decode; they are left as they are.";

/// Below the heading `# Errors` of a `snapshot` with lazy fields.
pub(super) const SNAPSHOT_ERRORS: &str = "If a lazy field does not decode.";
