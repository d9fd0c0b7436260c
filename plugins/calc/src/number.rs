//! Decimal numbers that know whether digits were left out.

use std::fmt;

use rust_decimal::{Decimal, RoundingStrategy};

use crate::{Error, failure};

/// A decimal number of up to 28 digits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number {
    pub value: Decimal,
    /// False as soon as a step left digits out.
    pub exact: bool,
}

/// The largest exponent of a power.
const MOST_EXPONENT: u32 = 1000;

impl Number {
    pub const fn exactly(value: Decimal) -> Self {
        Self { value, exact: true }
    }

    pub fn plus(self, other: Self) -> Result<Self, Error> {
        let sum = self.value.checked_add(other.value).ok_or_else(too_large)?;
        // A sum that fits keeps the longer of the two fractions.
        let kept = sum.scale() >= self.value.scale().max(other.value.scale());
        Ok(self.with(other, sum, kept))
    }

    pub fn minus(self, other: Self) -> Result<Self, Error> {
        self.plus(Self { value: -other.value, ..other })
    }

    pub fn times(self, other: Self) -> Result<Self, Error> {
        let (a, b) = (self.value.normalize(), other.value.normalize());
        let product = a.checked_mul(b).ok_or_else(too_large)?;
        // A product that fits has all digits of both fractions, zeros at its end among them.
        let kept = product.scale() == a.scale() + b.scale() || a.is_zero() || b.is_zero();
        Ok(self.with(other, product, kept))
    }

    pub fn over(self, other: Self) -> Result<Self, Error> {
        if other.value.is_zero() {
            return Err(failure("divided_by_zero", "nothing can be divided by zero"));
        }
        let quotient = self.value.checked_div(other.value).ok_or_else(too_large)?;
        let back = Self::exactly(quotient).times(Self::exactly(other.value))?;
        Ok(self.with(other, quotient, back.exact && back.value == self.value))
    }

    /// What is left of a division, with the sign of `self`.
    pub fn rest_of(self, other: Self) -> Result<Self, Error> {
        if other.value.is_zero() {
            return Err(failure("divided_by_zero", "nothing can be divided by zero"));
        }
        let rest = self.value.checked_rem(other.value).ok_or_else(too_large)?;
        Ok(self.with(other, rest, true))
    }

    pub fn power(self, exponent: Self) -> Result<Self, Error> {
        let wrong = || {
            let message = format!("an exponent is a whole number from -{MOST_EXPONENT} to {MOST_EXPONENT}");
            failure("invalid_arguments", message)
        };
        if !exponent.value.fract().is_zero() || exponent.value.abs() > Decimal::from(MOST_EXPONENT) {
            return Err(wrong());
        }
        let times: u32 = exponent.value.abs().try_into().map_err(|_| wrong())?;
        let mut power = Self::exactly(Decimal::ONE);
        for _ in 0..times {
            power = power.times(self)?;
        }
        power.exact &= exponent.exact;
        if exponent.value.is_sign_negative() && times > 0 {
            return Self::exactly(Decimal::ONE).over(power);
        }
        Ok(power)
    }

    /// With so many digits behind the point, halves away from zero.
    pub fn rounded(self, digits: u32) -> Self {
        let value = self.value.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero);
        Self { value, ..self }
    }

    fn with(self, other: Self, value: Decimal, kept: bool) -> Self {
        Self { value, exact: self.exact && other.exact && kept }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.value.normalize();
        // There is one zero, and it has no sign.
        if value.is_zero() { f.write_str("0") } else { value.fmt(f) }
    }
}

fn too_large() -> Error {
    failure("too_large", "a number is at most 79228162514264337593543950335, some 28 digits")
}
