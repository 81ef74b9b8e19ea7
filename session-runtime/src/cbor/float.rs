//! Floats, in the shortest form that keeps the value (RFC 8949, sections 3.3 and 4.2.1).

use half::f16;

const HALF: u8 = 0xf9;
const SINGLE: u8 = 0xfa;
const DOUBLE: u8 = 0xfb;

/// Appends a float. Every NaN becomes the same quiet NaN (section 4.2.2), because the bits of a computed NaN differ
/// between platforms.
pub(super) fn push(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        out.extend_from_slice(&[HALF, 0x7e, 0x00]);
        return;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the next line checks whether it loses anything"
    )]
    let single = value as f32;
    if f64::from(single).to_bits() != value.to_bits() {
        out.push(DOUBLE);
        out.extend_from_slice(&value.to_be_bytes());
        return;
    }
    let half = f16::from_f32(single);
    if half.to_f32().to_bits() == single.to_bits() {
        out.push(HALF);
        out.extend_from_slice(&half.to_be_bytes());
    } else {
        out.push(SINGLE);
        out.extend_from_slice(&single.to_be_bytes());
    }
}

pub(super) fn from_half(bits: u16) -> f64 {
    f16::from_bits(bits).to_f64()
}
