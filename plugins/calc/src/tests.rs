#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn value(expression: &str) -> String {
    let answer =
        Calc::evaluate(expression.into()).unwrap_or_else(|error| panic!("{expression}: {}", error.message));
    if answer.exact { answer.value } else { format!("about {}", answer.value) }
}

fn code(expression: &str) -> String {
    Calc::evaluate(expression.into()).map(|answer| answer.value).unwrap_err().code
}

fn convert(value: &str, source: &str, target: &str) -> String {
    let converted = Calc::convert(value.into(), source.into(), target.into()).unwrap();
    let about = if converted.exact { "" } else { "about " };
    format!("{about}{} {}", converted.value, converted.unit)
}

#[test]
fn decimal_fractions_are_exact() {
    assert_eq!(value("0.1 + 0.2"), "0.3");
    assert_eq!(value("1.10 * 3"), "3.3");
    assert_eq!(value("100 * 1.1 - 110"), "0");
    assert_eq!(value("9_999_999_999_999_999 + 1"), "10000000000000000");
    assert_eq!(value("-0"), "0");
}

#[test]
fn operations_have_their_usual_order() {
    assert_eq!(value("1 + 2 * 3"), "7");
    assert_eq!(value("(1 + 2) * 3"), "9");
    assert_eq!(value("2^3^2"), "512");
    assert_eq!(value("-2^2"), "-4");
    assert_eq!(value("2^-2"), "0.25");
    assert_eq!(value("10 - 4 - 3"), "3");
    assert_eq!(value("17 mod 5 + 1"), "3");
    assert_eq!(value("7 × 6 ÷ 2 − 1"), "20");
    assert_eq!(value("200 * (1 + 19%)"), "238");
    assert_eq!(value("--3"), "3");
}

#[test]
fn functions_take_what_they_say() {
    assert_eq!(value("round(2.5) + round(-2.5)"), "0");
    assert_eq!(value("round(1299 * 1.19 / 7, 2)"), "220.83");
    assert_eq!(value("round(1 / 3, 2)"), "about 0.33");
    assert_eq!(value("floor(-1.5) + ceil(-1.5)"), "-3");
    assert_eq!(value("min(3, 1, 2) + max(3, 1, 2) + abs(-4)"), "8");
    assert_eq!(value("sum(1, 2, 3) + avg(1, 2)"), "7.5");
    assert_eq!(code("round(1, 2, 3)"), "invalid_arguments");
    assert_eq!(code("round(1, 1.5)"), "invalid_arguments");
    assert_eq!(code("sqrt(2)"), "unknown_name");
}

#[test]
fn an_answer_that_lost_digits_says_so() {
    assert!(value("1 / 3").starts_with("about 0.3333"));
    assert!(value("1 / 3 * 3").starts_with("about "));
    assert_eq!(value("1 / 8"), "0.125");
    assert!(value("0.12345678901234567 * 0.12345678901234567").starts_with("about "));
    assert!(value("79228162514264337593543950335 - 0.5").starts_with("about "));
    assert_eq!(value("1.50 * 2.0"), "3");
}

#[test]
fn what_is_no_expression_is_refused_with_its_place() {
    let message = |text: &str| Calc::evaluate(text.into()).map(|answer| answer.value).unwrap_err().message;

    assert_eq!(message("1 + "), "the expression ends too early");
    assert_eq!(message("1 + * 2"), "`*` at character 5 was not expected");
    assert_eq!(message("é"), "`é` at character 1 was not expected");
    assert_eq!(message("(1"), "the expression ends too early");
    assert_eq!(code("1 2"), "syntax");
    assert_eq!(code("1.2.3"), "syntax");
    assert_eq!(code(""), "syntax");
    assert_eq!(code("x + 1"), "unknown_name");
    assert_eq!(code("1 / 0"), "divided_by_zero");
    assert_eq!(code("1 mod 0"), "divided_by_zero");
    assert_eq!(code("2 ^ 0.5"), "invalid_arguments");
}

#[test]
fn what_is_too_large_is_refused_and_never_wraps() {
    assert_eq!(code("9 ^ 99"), "too_large");
    assert_eq!(code("79228162514264337593543950335 + 1"), "too_large");
    assert_eq!(code(&"9".repeat(40)), "too_large");
    assert_eq!(code(&"(".repeat(100)), "too_large");
    assert_eq!(code(&"-".repeat(100)), "too_large");
    assert_eq!(code(&format!("2{}", "^1".repeat(100))), "too_large");
    assert_eq!(code(&"1+".repeat(4000)), "too_large");
}

#[test]
fn units_of_one_kind_turn_into_each_other() {
    assert_eq!(convert("1", "mi", "km"), "1.609344 km");
    assert_eq!(convert("2 * 6", "inches", "ft"), "1 ft");
    assert_eq!(convert("72", "F", "C"), "about 22.22222222222222222222222222 C");
    assert_eq!(convert("100", "°C", "F"), "212 F");
    assert_eq!(convert("-40", "C", "F"), "-40 F");
    assert_eq!(convert("90", "km/h", "m/s"), "25 m/s");
    assert_eq!(convert("1", "GiB", "MB"), "1073.741824 MB");
    assert_eq!(convert("8", "bit", "B"), "1 B");
    assert_eq!(convert("1", "KILOGRAM", "g"), "1000 g");
}

#[test]
fn units_that_do_not_fit_are_refused() {
    let code = |source: &str, target: &str| {
        Calc::convert("1".into(), source.into(), target.into()).map(|answer| answer.value).unwrap_err().code
    };

    assert_eq!(code("kg", "m"), "different_kinds");
    assert_eq!(code("furlong", "m"), "unknown_unit");
    assert_eq!(Calc::units(Some("mass".into())).len(), 7);
    assert!(Calc::units(None).len() > 60);
}

#[test]
fn no_name_means_two_units() {
    let all = Calc::units(None);
    let mut names: Vec<_> =
        all.iter().flat_map(|unit| std::iter::once(&unit.name).chain(&unit.others)).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
}

proptest! {
    #[test]
    fn nothing_that_is_written_brings_it_down(text in "[-0-9.+*/^%() a-z,_]{0,60}") {
        let _ = Calc::evaluate(text);
    }

    #[test]
    fn whole_numbers_come_out_as_rust_has_them(a in -1_000_000_i64..1_000_000, b in -1_000_000_i64..1_000_000) {
        prop_assert_eq!(value(&format!("({a}) + ({b})")), (a + b).to_string());
        prop_assert_eq!(value(&format!("({a}) * ({b})")), (a * b).to_string());
    }

    #[test]
    fn a_unit_and_back_is_the_same_when_nothing_was_lost(number in 0_u32..1_000_000, pair in any::<prop::sample::Index>()) {
        let source = &units::ALL[pair.index(units::ALL.len())];
        for target in units::ALL.iter().filter(|target| target.kind == source.kind) {
            let there = Calc::convert(number.to_string(), source.name.into(), target.name.into()).unwrap();
            let back = Calc::convert(there.value, target.name.into(), source.name.into()).unwrap();
            if there.exact && back.exact {
                prop_assert_eq!(back.value, number.to_string());
            }
        }
    }
}
