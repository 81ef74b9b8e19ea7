//! One value as CBOR.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value that cannot be written as CBOR.
#[derive(Debug, thiserror::Error)]
#[error("cannot be written as CBOR")]
pub struct EncodeError(#[from] ciborium::ser::Error<std::io::Error>);

/// Bytes that are not the CBOR of the expected type.
#[derive(Debug, thiserror::Error)]
#[error("is not CBOR of the expected type")]
pub struct DecodeError(#[from] ciborium::de::Error<std::io::Error>);

/// Encodes a value.
pub fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut out = Vec::new();
    ciborium::into_writer(value, &mut out)?;
    Ok(out)
}

/// Decodes a value.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DecodeError> {
    Ok(ciborium::from_reader(bytes)?)
}
