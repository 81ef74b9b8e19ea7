//! Numbers: exact, and saturating at their limits.

use super::*;

/// Sign and magnitude of `theirs + ours - base`, or of the nearest `i128`, summed in two halves of 64 bits.
fn exact(theirs: i128, ours: i128, base: i128) -> (bool, u128) {
    // Each as hi * 2^64 + lo, with 0 <= lo < 2^64: the sums of the halves fit with room to spare.
    let split = |n: i128| (n >> 64, n & i128::from(u64::MAX));
    let [theirs, ours, base] = [theirs, ours, base].map(split);
    let (high, low) = (theirs.0 + ours.0 - base.0, theirs.1 + ours.1 - base.1);
    let (high, low) = (high + (low >> 64), low & i128::from(u64::MAX));
    if high >= 1 << 63 {
        (false, i128::MAX.unsigned_abs())
    } else if high < -(1 << 63) {
        (true, i128::MIN.unsigned_abs())
    } else {
        let sum = (high << 64) | low;
        (sum < 0, sum.unsigned_abs())
    }
}

fn edgy_i128() -> impl Strategy<Value = i128> {
    prop_oneof![
        any::<i128>(),
        (-3..4_i128),
        (0..3_i128).prop_map(|n| i128::MAX - n),
        (0..3_i128).prop_map(|n| i128::MIN + n),
        (-3..4_i128).prop_map(|n| n + (1 << 64)),
    ]
}

fn edgy_u128() -> impl Strategy<Value = u128> {
    prop_oneof![any::<u128>(), 0..4_u128, (0..4_u128).prop_map(|n| u128::MAX - n)]
}

macro_rules! exact_in_i128 {
    ($($number:ident)*) => {$(
        proptest! {
            #[test]
            fn $number(
                base in prop_oneof![any::<$number>(), Just($number::MIN), Just($number::MAX)],
                theirs in prop_oneof![any::<$number>(), Just($number::MIN), Just($number::MAX)],
                ours in prop_oneof![any::<$number>(), Just($number::MIN), Just($number::MAX)],
            ) {
                let wide = |n: $number| i128::try_from(n).unwrap();
                let sum = wide(theirs) + wide(ours) - wide(base);
                let sum = sum.clamp(wide($number::MIN), wide($number::MAX));
                prop_assert_eq!(wide(merged(merge::add::<$number>, &base, &theirs, &ours)), sum);
            }
        }
    )*};
}

mod add_is_exact_or_the_nearest {
    use super::*;
    exact_in_i128!(u8 u16 u32 u64 usize i8 i16 i32 i64 isize);
}

proptest! {
    #[test]
    fn add_is_exact_or_the_nearest_i128(base in edgy_i128(), theirs in edgy_i128(), ours in edgy_i128()) {
        let sum = merged(merge::add::<i128>, &base, &theirs, &ours);
        prop_assert_eq!((sum < 0, sum.unsigned_abs()), exact(theirs, ours, base));
    }

    #[test]
    fn add_is_exact_or_the_nearest_u128(base in edgy_u128(), theirs in edgy_u128(), ours in edgy_u128()) {
        let (sum, carried) = theirs.overflowing_add(ours);
        let nearest = match (carried, sum >= base) {
            (false, _) => sum.saturating_sub(base),
            (true, true) => u128::MAX,
            // 2^128 + sum - base.
            (true, false) => u128::MAX - (base - sum) + 1,
        };
        prop_assert_eq!(merged(merge::add::<u128>, &base, &theirs, &ours), nearest);
    }

    #[test]
    fn three_adders_in_any_order(base in -1000..1000_i64, changes in prop::array::uniform3(-1000..1000_i64)) {
        let serial = base + changes.iter().sum::<i64>();
        for [a, b, c] in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let stored = merged(merge::add::<i64>, &base, &(base + changes[a]), &(base + changes[b]));
            prop_assert_eq!(merged(merge::add::<i64>, &base, &stored, &(base + changes[c])), serial);
        }
    }

    #[test]
    fn risers_and_fallers_in_either_order(base in any::<i32>(), left in any::<i32>(), right in any::<i32>()) {
        let (up, down) = ([base.max(left), base.max(right)], [base.min(left), base.min(right)]);
        assert_both_ways(merge::max::<i32>, &base, &up[0], &up[1], &up[0].max(right));
        assert_both_ways(merge::min::<i32>, &base, &down[0], &down[1], &down[0].min(right));
    }

    #[test]
    fn floats_that_are_finite_stay_so(base in finite(), theirs in finite(), ours in finite()) {
        prop_assert!(merged(merge::add::<f64>, &base, &theirs, &ours).is_finite());
    }

    #[test]
    fn floats_that_need_no_rounding_are_serial(base in any::<i32>(), left in any::<i32>(), right in any::<i32>()) {
        let (base, left, right) = (f64::from(base), f64::from(left), f64::from(right));
        assert_both_ways(merge::add::<f64>, &base, &(base + left), &(base + right), &(base + left + right));
    }
}

fn finite() -> impl Strategy<Value = f64> {
    use prop::num::f64::{NEGATIVE, NORMAL, POSITIVE, ZERO};
    prop_oneof![
        -1e6..1e6_f64,
        POSITIVE | NEGATIVE | NORMAL | ZERO,
        Just(f64::MAX),
        Just(f64::MIN)
    ]
}

#[test]
fn durations_add_up_and_stop_at_their_limits() {
    let seconds = Duration::from_secs;
    assert_eq!(
        merged(merge::add::<Duration>, &seconds(5), &seconds(7), &seconds(4)),
        seconds(6)
    );
    assert_eq!(
        merged(merge::add::<Duration>, &seconds(5), &seconds(1), &seconds(0)),
        Duration::ZERO
    );
    assert_eq!(
        merged(merge::add::<Duration>, &seconds(0), &seconds(1), &Duration::MAX),
        Duration::MAX
    );
}

#[test]
fn floats_at_the_edge() {
    let (max, min, inf, nan) = (f64::MAX, f64::MIN, f64::INFINITY, f64::NAN);
    let cases = [
        // The difference overflows, the sum does not.
        (min, min, max, max),
        (max, max, min, min),
        (0.0, max, max, max),
        (0.0, min, min, min),
        // Setting an infinity or NaN wins, whichever writer comes second.
        (1.0, 2.0, inf, inf),
        (1.0, inf, 2.0, inf),
        (1.0, 2.0, nan, nan),
        (1.0, nan, 2.0, nan),
        (1.0, -inf, inf, inf),
        // From an infinity or NaN, a change is a plain write.
        (inf, inf, 3.0, 3.0),
        (inf, 3.0, inf, 3.0),
        (nan, nan, 3.0, 3.0),
        (nan, 3.0, nan, 3.0),
        (nan, 3.0, 4.0, 4.0),
    ];
    for (base, theirs, ours, expected) in cases {
        let sum = merged(merge::add::<f64>, &base, &theirs, &ours);
        assert!(
            sum.total_cmp(&expected).is_eq() || (sum.is_nan() && expected.is_nan()),
            "{base} {theirs} {ours}: {sum}"
        );
    }
}

#[test]
fn a_value_that_does_not_compare_loses() {
    for strategy in [merge::max::<f64>, merge::min::<f64>] {
        assert_both_ways(strategy, &1.0, &f64::NAN, &2.0, &2.0);
        assert!(merged(strategy, &1.0, &f64::NAN, &f64::NAN).is_nan());
    }
    assert_both_ways(merge::max::<f64>, &1.0, &f64::INFINITY, &2.0, &f64::INFINITY);
    assert_both_ways(merge::min::<Option<u8>>, &Some(3), &Some(1), &None, &None);
    assert_both_ways(merge::max::<Option<u8>>, &None, &Some(1), &None, &Some(1));
}

#[test]
fn of_two_that_do_not_compare_ours_wins() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Set(u8);
    impl PartialOrd for Set {
        fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
            match (self.0 | other.0 == self.0, self.0 | other.0 == other.0) {
                (true, true) => Some(std::cmp::Ordering::Equal),
                (true, false) => Some(std::cmp::Ordering::Greater),
                (false, true) => Some(std::cmp::Ordering::Less),
                (false, false) => None,
            }
        }
    }
    assert_both_ways(merge::max::<Set>, &Set(0), &Set(1), &Set(3), &Set(3));
    assert_eq!(merged(merge::max::<Set>, &Set(0), &Set(1), &Set(2)), Set(2));
    assert_eq!(
        merged(merge::max::<(f64, u8)>, &(0.0, 0), &(f64::NAN, 2), &(f64::NAN, 1)).1,
        1
    );
}
