//! What breaks without each part of the protocol.
