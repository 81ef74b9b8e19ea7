//! Runnable programs for session-runtime; see the README of this folder.
