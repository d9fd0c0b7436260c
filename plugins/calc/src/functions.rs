//! The functions of expressions.

use rust_decimal::Decimal;

use crate::number::Number;
use crate::{Error, failure};

const NAMES: &str = "round, floor, ceil, abs, min, max, sum, avg";

/// Calls `name`; there is at least one argument.
pub fn call(name: &str, arguments: &[Number]) -> Result<Number, Error> {
    let one = || match arguments {
        [number] => Ok(*number),
        _ => {
            Err(failure("invalid_arguments", format!("{name}(x) takes one number, not {}", arguments.len())))
        }
    };
    match name {
        "floor" => one().map(|number| Number { value: number.value.floor(), ..number }),
        "ceil" => one().map(|number| Number { value: number.value.ceil(), ..number }),
        "abs" => one().map(|number| Number { value: number.value.abs(), ..number }),
        "round" => match arguments {
            [number, digits] => Ok(number.rounded(places(digits)?)),
            _ => one().map(|number| number.rounded(0)),
        },
        "min" => Ok(best(arguments, |a, b| a < b)),
        "max" => Ok(best(arguments, |a, b| a > b)),
        "sum" => sum(arguments),
        "avg" => sum(arguments)?.over(Number::exactly(arguments.len().into())),
        other => Err(failure("unknown_name", format!("there is no function `{other}`: there are {NAMES}"))),
    }
}

fn places(digits: &Number) -> Result<u32, Error> {
    let whole = Some(digits.value).filter(|value| value.fract().is_zero());
    let places = whole.and_then(|value| u32::try_from(value).ok()).filter(|places| *places <= 28);
    places.ok_or_else(|| {
        failure("invalid_arguments", "round(x, digits) takes a whole number of digits from 0 to 28")
    })
}

fn sum(numbers: &[Number]) -> Result<Number, Error> {
    numbers.iter().try_fold(Number::exactly(Decimal::ZERO), |sum, number| sum.plus(*number))
}

fn best(numbers: &[Number], wins: fn(Decimal, Decimal) -> bool) -> Number {
    let mut best = numbers[0];
    for number in &numbers[1..] {
        let exact = best.exact && number.exact;
        if wins(number.value, best.value) {
            best = *number;
        }
        best.exact = exact;
    }
    best
}
