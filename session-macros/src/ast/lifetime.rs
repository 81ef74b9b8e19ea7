//! `#[session(idle = "15m", max_age = "12h")]`

use syn::LitStr;

use crate::attr::Arg;
use crate::ctxt::Ctxt;

/// A time, and the literal that it was written as.
pub(crate) struct Lifetime {
    pub(crate) seconds: u64,
    pub(crate) lit: LitStr,
}

impl Lifetime {
    pub(super) fn from_arg(ctxt: &Ctxt, arg: &Arg) -> Option<Self> {
        let lit = arg.string(ctxt, "\"15m\"")?;
        match seconds(&lit.value()) {
            Ok(seconds) => Some(Self {
                seconds,
                lit: lit.clone(),
            }),
            Err(message) => {
                ctxt.error_at(lit, message);
                None
            }
        }
    }
}

/// The seconds of a number with a unit. In milliseconds, as records store times, it must fit into 64 bits.
fn seconds(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|char: char| !char.is_ascii_digit());
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let unit: u64 = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => 0,
    };
    if !is_number || unit == 0 {
        return Err(format!(
            "\"{}\" is not a time: write a number and a unit, s, m, h or d, such as \"30s\", \"15m\", \"12h\", \"7d\"",
            text.escape_debug()
        ));
    }
    let number: Option<u64> = digits.parse().ok();
    let seconds = number.and_then(|number| number.checked_mul(unit));
    match seconds.filter(|seconds| seconds.checked_mul(1000).is_some()) {
        Some(0) => Err("a session that ends at once is of no use: write one second, \"1s\", or more".to_owned()),
        Some(seconds) => Ok(seconds),
        None => Err("this time does not fit into 64 bits of milliseconds: write a shorter one".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        assert_eq!(
            ["1s", "15m", "12h", "30d", "007s"].map(seconds),
            [1, 900, 43_200, 2_592_000, 7].map(Ok)
        );
        assert_eq!(seconds("18446744073709551s"), Ok(u64::MAX / 1000));
        for wrong in [
            "", "s", "15", "15 m", " 15m", "15min", "1h30m", "-1s", "+1s", "1.5h", "15M", "\u{661}s", "15\u{b5}",
        ] {
            assert!(seconds(wrong).unwrap_err().contains("is not a time"), "{wrong}");
        }
        for long in ["18446744073709552s", "213503982334602d", "99999999999999999999s"] {
            assert!(seconds(long).unwrap_err().contains("64 bits"), "{long}");
        }
        assert!(seconds("0m").unwrap_err().contains("at once"));
    }
}
