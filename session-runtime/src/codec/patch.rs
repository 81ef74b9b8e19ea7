//! What one request changed in a session.
